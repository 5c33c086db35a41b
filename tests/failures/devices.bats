#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Devices that fail: a loop device whose file has lost its end cannot be read
# there, and one whose file is on a full file system cannot be written.

# shellcheck disable=SC2030,SC2031 # each test has its own device

load ../lib/helpers

setup() {
    helpers_setup
    requires loop
    make_disk disk.raw 8M full
    image disk.raw disk.qcow2
}

teardown() {
    helpers_teardown
    if mountpoint -q "$BATS_TEST_TMPDIR/small"; then
        umount "$BATS_TEST_TMPDIR/small"
    fi
}

# $device is one of 16M of which some can be written.
full_device() {
    mkdir small
    mount -t tmpfs -o size=1M none small || skip 'cannot mount'
    truncate -s 16M small/backing
    device=$(make_loop small/backing)
}

@test "a sector of the source that cannot be read is named, however read" {
    local way device args
    device=$(make_loop disk.raw)
    truncate -s 4M disk.raw
    for way in sendfile copy --direct; do
        export QCOW_TOOL_MOVER=$way
        args=()
        [[ $way != --* ]] || args=("$way")
        qcow_tool 1 stream --source-format raw --source "$device" \
            --destination out.qcow2 "${args[@]}"
        error_says 'stream: source: cannot read at disk offset [0-9]+.*Input/o'
        one_line stderr
        [ ! -e out.qcow2 ]
        nothing_left
    done
}

@test "a source that goes while it is read is an error" {
    local device
    device=$(make_loop disk.raw)
    # shellcheck disable=SC2016 # for the inner shell
    expect="1 0" through_socketpair qcow-tool stream --source-format raw \
        --source "$device" --destination-fd '{}' -- \
        sh -c 'head -c 4 <&"$2" >first.bin && truncate -s 0 disk.raw &&
        losetup -c "$1" && exec python3 "$0" "$2" rest.bin' \
        "$tests/drain.py" "$device" '{}'
    error_says 'stream: source: (cannot read|ended) at disk' sender.stderr
    one_line sender.stderr
    nothing_left
}

@test "what a destination cannot write is told at the flush, at the latest" {
    full_device
    qcow_tool 1 serve --destination "$device" <disk.qcow2
    error_says 'destination: cannot flush /dev/loop.*Input/output error'
    one_line stderr
    nothing_left
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination "$device"
    error_says 'destination: cannot flush it: Input/output error'
    one_line stderr
    nothing_left
}

@test "with --direct it is told with the disk offset" {
    full_device
    qcow_tool 1 serve --direct --destination "$device" <disk.qcow2
    error_says 'destination: cannot write at disk offset [0-9]+: '
    one_line stderr
    nothing_left
}

@test "a destination that goes while it is written is an error" {
    local device
    cp disk.raw backing
    device=$(make_loop backing)
    mkfifo parts.fifo
    {
        head -c 4M disk.qcow2
        truncate -s 0 backing
        losetup -c "$device"
        tail -c +$(((4 << 20) + 1)) disk.qcow2
    } >parts.fifo &
    qcow_tool 1 serve --destination "$device" <parts.fifo
    error_says 'destination: cannot (write|flush).*(Input/output|No space)'
    one_line stderr
    nothing_left
}
