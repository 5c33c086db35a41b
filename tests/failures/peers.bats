#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The other end leaves at any place, or the spool is full at any: many small
# transfers, of which each must end as it should.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 2M data@256K+512K zeroes@1M+64K
    image disk.raw disk.qcow2
}

teardown() {
    if mountpoint -q "$BATS_TEST_TMPDIR/small"; then
        umount "$BATS_TEST_TMPDIR/small"
    fi
    helpers_teardown
}

# The same places on each run, and others with another FAULT_SEED.
places() {
    RANDOM=$((${FAULT_SEED:-0} + 1))
    local i
    for ((i = 0; i < ${FAULT_PLACES:-30}; i++)); do
        echo $(((RANDOM << 15 | RANDOM) % $1))
    done
}

@test "a sender that leaves at any place is told where that was" {
    local size at
    size=$(stat -c %s disk.qcow2)
    for at in $(places "$size"); do
        rm -f new.raw
        # More is needed than there is, but for padding at the end.
        head -c "$at" disk.qcow2 >part.qcow2
        qcow_tool 1 serve --destination new.raw --source-size "$size" \
            <part.qcow2
        error_says "^qcow-tool: serve: source: .*($at|empty|only|header)"
        one_line stderr
        [ ! -e new.raw ]
        nothing_left
    done
}

@test "a reader that leaves at any place is told of, and nothing is left" {
    local at
    make_disk full.raw 3M full
    set -o pipefail
    # A pipe holds 1 MiB.
    for at in $(places $((2 << 20))); do
        stdout_to=- qcow_tool 1 stream --source-format raw \
            --source full.raw | head -c "$at" >part.bin
        error_says '^qcow-tool: stream: destination: the reader left at file'
        one_line stderr
        nothing_left
    done
}

@test "the spool of an import may be full at any place" {
    requires root
    # The tables stand behind the data: all of it is kept.
    make_disk full.raw 1M full
    image full.raw full.qcow2
    qemu-img snapshot -c one full.qcow2
    qemu-io -f qcow2 -c 'write -q -P 0x11 0 64K' full.qcow2
    qemu-img convert -f qcow2 -O raw full.qcow2 expected.raw
    each_size serve --destination run/out <full.qcow2
}

@test "the spool of an export may be full at any place" {
    requires root
    qcow-tool stream --source-format raw --source disk.raw \
        --destination expected.raw
    each_size stream --source-format raw --source disk.raw \
        --destination run/out
}

# each_size ARG...
# With spools from one page on, until it is enough; what was made then is
# ./expected.raw.
each_size() {
    local size=4 step=$((2048 / ${FAULT_PLACES:-30})) rc=1 n=0
    mkdir small run
    mount -t tmpfs -o size=4K none small || skip 'cannot mount'
    cat >input
    until [ $rc = 0 ]; do
        rc=0
        rm -f run/out
        mount -o "remount,size=${size}K" small
        watch -- qcow-tool "$@" --spool-dir small <input 2>stderr || rc=$?
        no_children_left
        [ -z "$(ls -A small)" ]
        [ $rc = 0 ] || {
            n=$((n + 1))
            [ $rc = 1 ] && [ ! -e run/out ]
            error_says ": spool: .*([Nn]o space left|cannot make a file)" ||
                error_says 'QEMU: .*No space left'
            one_line stderr
        }
        size=$((size + step))
        [ $size -lt 4096 ]
    done
    echo "$n sizes were too small" >&2
    [ $n -gt 2 ]
    same_bytes expected.raw run/out
}

@test "transfers in a row and at once leave no process, file or byte" {
    requires root
    local i pids=() before
    mkdir small
    mount -t tmpfs -o size=64M none small || skip 'cannot mount'
    before=$(df --output=used small)
    for ((i = 0; i < ${FAULT_TRANSFERS:-20}; i++)); do
        rm -f new.raw
        send_disk disk.raw --spool-dir small -- \
            --destination new.raw --spool-dir small
        no_children_left
    done
    same_bytes disk.raw new.raw
    for ((i = 0; i < 16; i++)); do
        qcow-tool stream --source-format raw --source disk.raw \
            --spool-dir small | qcow-tool serve --destination "new.$i" \
            --spool-dir small 3>&- &
        pids+=($!)
    done
    for i in "${!pids[@]}"; do
        wait "${pids[i]}"
        same_bytes disk.raw "new.$i"
    done
    [ -z "$(ls -A small)" ]
    [ "$(df --output=used small)" = "$before" ]
}
