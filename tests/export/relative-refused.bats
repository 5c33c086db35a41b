#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# A BASE that cannot be one: an error with its name, and nothing is sent.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 4M runs:96K/96K
    empty_image base.qcow2 4M
    allocate base.qcow2 1M+1M
    overlay top.qcow2 base.qcow2 qcow2
    allocate top.qcow2 2M+64K
    raw=(--source disk)
    hybrid=(--source-format hybrid --source disk:top.qcow2)
    qcow2=(--source-format qcow2 --source top.qcow2)
}

# Each source format with BASE and what the first line says then.
all_refuse() {
    local base=$1 regex=$2
    refused 1 "${hybrid[@]}" --relative-to "$base"
    error_says "^qcow-tool: stream: .*($regex)"
    refused 1 "${qcow2[@]}" --relative-to "$base"
    error_says "^qcow-tool: stream: .*($regex)"
}

@test "a BASE that is missing" {
    refused 1 "${raw[@]}" --relative-to nosuch
    error_says "^qcow-tool: stream: .*nosuch.*No such file or directory"
    all_refuse nosuch.qcow2 "nosuch.qcow2.*No such file or directory"
}

@test "a BASE that is a directory, a pipe or a character device" {
    local base
    mkdir directory
    mkfifo pipe
    for base in directory pipe /dev/zero; do
        time_limit=10 refused 1 "${raw[@]}" --relative-to $base
        error_says "^qcow-tool: stream: .*$base"
    done
}

@test "an empty name" {
    refused "[12]" "${raw[@]}" --relative-to ""
    refused "[12]" "${hybrid[@]}" --relative-to ""
    refused 2 "${raw[@]}" --relative-to
}

@test "an image whose BASE is of another format" {
    make_disk other 4M data@1M+1M
    all_refuse other "other"
    qemu-img convert -f raw -O vdi disk other.vdi
    all_refuse other.vdi "other.vdi"
    refused 1 --source-format vdi --source other.vdi \
        --relative-to base.qcow2
    error_says "^qcow-tool: stream: .*base.qcow2"
}

@test "a BASE that is cut short, and one whose tables are not where it says" {
    qemu-img convert -f raw -O qcow2 disk bad.qcow2
    cp bad.qcow2 cut.qcow2
    truncate -s 60 cut.qcow2
    all_refuse cut.qcow2 "cut.qcow2"
    # The entries of the L1 table, of which there is one.
    printf '\x80\0\0\0\0\x04\x02\0' |
        dd of=bad.qcow2 bs=1 seek=196608 conv=notrunc status=none
    all_refuse bad.qcow2 "bad.qcow2"
}

@test "a BASE whose own backing file is missing" {
    empty_image root.qcow2 4M
    overlay other.qcow2 root.qcow2 qcow2
    rm root.qcow2
    all_refuse other.qcow2 "root.qcow2"
}

@test "a chain that is a loop, of the image and of BASE" {
    empty_image one.qcow2 4M
    overlay two.qcow2 one.qcow2 qcow2
    qemu-img rebase -u -b two.qcow2 -F qcow2 -f qcow2 one.qcow2
    time_limit=5 all_refuse two.qcow2 "one.qcow2|two.qcow2"
    time_limit=5 refused 1 --source-format hybrid --source disk:two.qcow2 \
        --relative-to base.qcow2
    time_limit=5 refused 1 --source-format qcow2 --source two.qcow2 \
        --relative-to one.qcow2
    empty_image self.qcow2 4M
    qemu-img rebase -u -b self.qcow2 -F qcow2 -f qcow2 self.qcow2
    time_limit=5 all_refuse self.qcow2 "self.qcow2"
    time_limit=5 refused 1 --source-format qcow2 --source self.qcow2 \
        --relative-to self.qcow2
}

@test "a BASE whose backing file has no format recorded: nothing is probed" {
    empty_image root.qcow2 4M
    allocate root.qcow2 1M+64K
    overlay other.qcow2 root.qcow2 qcow2
    python3 "$tests/forget-backing-format.py" other.qcow2
    all_refuse other.qcow2 "other.qcow2.*backing.*format"
}

@test "a link of the chain below BASE has no format recorded" {
    overlay higher.qcow2 top.qcow2 qcow2
    python3 "$tests/forget-backing-format.py" top.qcow2
    refused 1 --source-format qcow2 --source higher.qcow2 \
        --relative-to top.qcow2
    error_says "top.qcow2.*backing.*format"
    refused 1 --source-format hybrid --source disk:higher.qcow2 \
        --relative-to top.qcow2
    error_says "top.qcow2.*backing.*format"
}

# as_destination BASE ARG...
# BASE is named as the destination, under each of its names, and is kept.
as_destination() {
    local base=$1 name
    shift
    cp "$base" kept
    ln -s "$base" symbolic
    ln "$base" hard
    for name in "$base" "$PWD/$base" "file://$PWD/$base" symbolic hard; do
        qcow_tool "[12]" stream "$@" --relative-to "$base" \
            --destination "$name"
        error_says "^qcow-tool: stream: destination: it is the (base|source)"
        same_bytes kept "$base"
    done
    qcow_tool "[12]" stream "$@" --relative-to "$base" --destination-fd 5 \
        5<>"$base"
    same_bytes kept "$base"
    nothing_left
    rm symbolic hard
}

@test "BASE as the destination is refused, and keeps what it holds" {
    make_disk base 4M full
    as_destination base "${raw[@]}"
    as_destination base.qcow2 "${qcow2[@]}"
    as_destination base.qcow2 "${hybrid[@]}"
}

@test "a BASE that is missing leaves the destination as it was" {
    echo precious >old
    qcow_tool 1 stream "${raw[@]}" --relative-to nosuch --destination old
    [ "$(cat old)" = precious ]
    qcow_tool 1 stream "${qcow2[@]}" --relative-to nosuch --destination new
    [ ! -e new ]
    nothing_left
}

@test "measure refuses the same" {
    qcow_tool 1 measure "${raw[@]}" --relative-to nosuch
    error_says "nosuch.*No such file or directory"
    [ ! -s stdout ]
    qcow_tool 1 measure "${qcow2[@]}" --relative-to nosuch
    error_says "nosuch.*No such file or directory"
    [ ! -s stdout ]
    qcow_tool 2 measure "${raw[@]}" --relative-to disk --zero-clusters flag \
        --compat 0.10
    [ ! -s stdout ]
    nothing_left
}

@test "a BASE of raw that looks like qcow2 is still raw" {
    make_disk base 4M runs:96K/96K
    dd if=base.qcow2 of=base conv=notrunc bs=64K status=none
    force=yes good_difference disk base "${raw[@]}" --relative-to base
    good_difference base disk --source base --relative-to disk
}
