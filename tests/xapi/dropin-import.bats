#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# qcow-stream-tool stream_decode: qcow2 from standard input onto a device that
# may hold the base of it.

load ../lib/helpers

# decoded IMAGE
# ... onto a file full of other data: that stays where IMAGE allocates nothing.
decoded() {
    other_data copy.raw "$(virtual_size "$1" qcow2)"
    only_allocated "$1" expected.raw
    drop_in qcow-stream-tool stream_decode copy.raw <"$1"
    same_bytes expected.raw copy.raw
    nothing_left
}

# undone REGEX
# Standard input is refused before a byte is written.
undone() {
    other_data copy.raw 4M
    time_limit=20 drop_in 1 qcow-stream-tool stream_decode copy.raw
    error_says "^[a-z0-9-]+: .*($1)"
    one_line stderr
    untouched copy.raw
    nothing_left
}

@test "what is not allocated is left alone, all else is written" {
    qemu-img create -q -f qcow2 disk.qcow2 10M
    guest disk.qcow2 'write -q -P 1 1M 1M' 'write -q -P 0 3M 128K' \
        'write -q -P 2 5M 1M' 'write -q -z 5M 256K' 'write -q -z 7M 64K' \
        'write -q -z -u 8M 64K' 'write -q -P 3 10485248 512'
    decoded disk.qcow2
    cmp -i 3M:0 -n 131072 copy.raw /dev/zero
    cmp -i 5M:0 -n 262144 copy.raw /dev/zero
    cmp -i 7M:0 -n 65536 copy.raw /dev/zero
    cmp -i 8M:0 -n 65536 copy.raw /dev/zero
    [ "$(od -An -tx1 -j 9M -N 1 copy.raw)" = " aa" ]
}

@test "an image that allocates nothing changes nothing" {
    qemu-img create -q -f qcow2 disk.qcow2 10M
    decoded disk.qcow2
    untouched copy.raw
}

@test "it does what serve --prezeroed does" {
    make_image disk.qcow2 mixed-snapshots --size 20M
    decoded disk.qcow2
    other_data other.raw 20M
    qcow_tool serve --prezeroed --destination other.raw <disk.qcow2
    same_bytes other.raw copy.raw
}

@test "layouts of convert, at all sizes of clusters" {
    local layout
    for layout in plain clusters-512 clusters-2m compat-0.10 out-of-order; do
        make_image disk.qcow2 $layout --size 12M --data 2M
        decoded disk.qcow2
    done
}

@test "compressed clusters" {
    local layout
    for layout in zlib zlib-4k zstd-extended-l2 guest-coded; do
        make_image disk.qcow2 $layout --size 12M --data 6M
        decoded disk.qcow2
    done
}

@test "extended L2, snapshots, discards, preallocation, the dirty bit" {
    local layout
    for layout in extended-l2-16k snapshots zero-over-data guest \
        prealloc-metadata dirty shrunk; do
        make_image disk.qcow2 $layout --size 12M --data 2M
        decoded disk.qcow2
    done
}

@test "a last cluster in part" {
    local size
    for size in 512 66048 3000832 2097664; do
        make_image disk.qcow2 plain --size $size --data 2M
        decoded disk.qcow2
        make_image disk.qcow2 zlib-4k --size $size --data 2M ||
            [ $size = 512 ]
        decoded disk.qcow2
    done
    qemu-img create -q -f qcow2 disk.qcow2 3000832
    guest disk.qcow2 'write -q -P 1 3000320 512'
    decoded disk.qcow2
    guest disk.qcow2 'write -q -z 2949120 51712'
    decoded disk.qcow2
}

@test "a device that is larger keeps its end" {
    make_image disk.qcow2 plain --size 4M --data 2M
    other_data copy.raw 5M
    drop_in qcow-stream-tool stream_decode copy.raw <disk.qcow2
    cmp -i 4M:0 -n 1048576 copy.raw <(head -c 1M /dev/zero | tr '\0' '\252')
    nothing_left
}

@test "a device that is too small is refused, and untouched" {
    qemu-img create -q -f qcow2 disk.qcow2 5M
    guest disk.qcow2 'write -q -P 1 0 5M'
    undone "(4194304|5242880)" <disk.qcow2
}

@test "a block device, and its name as xapi has it" {
    requires loop
    local device
    make_image disk.qcow2 guest --size 6M
    other_data copy.raw 6M
    only_allocated disk.qcow2 expected.raw
    device=$(make_loop copy.raw)
    ln -s "$device" vdi
    drop_in qcow-stream-tool stream_decode "$PWD/vdi" <disk.qcow2
    blockdev --flushbufs "$device"
    same_bytes expected.raw copy.raw
    nothing_left
}

@test "from a socket that stays open, and from one that is non-blocking" {
    make_image disk.qcow2 guest-coded --size 6M
    link_drop_in qcow-stream-tool
    only_allocated disk.qcow2 expected.raw
    local name
    for name in keep_open nonblocking; do
        other_data copy.raw 6M
        declare "$name=1"
        time_limit=30 through_socketpair \
            python3 "$tests/send.py" '{}' disk.qcow2 -- \
            sh -c 'exec bin/qcow-stream-tool stream_decode copy.raw <&{}'
        unset "$name"
        same_bytes expected.raw copy.raw
        nothing_left
    done
}

@test "from a slow socket, byte by byte" {
    qemu-img create -q -f qcow2 -o cluster_size=4K disk.qcow2 256K
    guest disk.qcow2 'write -q -P 1 100K 20K' 'write -q -z 40K 8K'
    link_drop_in qcow-stream-tool
    only_allocated disk.qcow2 expected.raw
    other_data copy.raw 256K
    nonblocking=1 through_socketpair \
        python3 "$tests/send.py" '{}' disk.qcow2 --chunk 1 -- \
        sh -c 'exec bin/qcow-stream-tool stream_decode copy.raw <&{}'
    same_bytes expected.raw copy.raw
}

@test "an image with a backing file is refused" {
    qemu-img create -q -f qcow2 base.qcow2 4M
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 disk.qcow2
    undone "backing file" <disk.qcow2
}

@test "images that are none, or that cannot be read, are refused" {
    qemu-img create -q -f qcow2 disk.qcow2 4M
    cp disk.qcow2 bad.qcow2
    poke bad.qcow2 79 02
    undone "corrupt" <bad.qcow2
    cp disk.qcow2 bad.qcow2
    poke bad.qcow2 32 00000001
    undone "encrypt" <bad.qcow2
    cp disk.qcow2 bad.qcow2
    poke bad.qcow2 79 40
    undone "feature|incompatible" <bad.qcow2
    make_disk disk.raw 4M full
    undone "[Nn]ot (a )?qcow2" <disk.raw
    undone "[Nn]ot (a )?qcow2" < <(printf 'HTTP/1.1 404 Not Found\r\n\r\n')
}

@test "no byte at all fails at once, with one line, and nothing touched" {
    time_limit=5 undone "" </dev/null
    set -o pipefail
    : | time_limit=5 undone ""
    time_limit=5 drop_in 1 qcow-stream-tool stream_decode new.raw </dev/null
    [ ! -s new.raw ]
}

@test "a stream that is cut short" {
    local length
    make_disk disk.raw 4M full
    image disk.raw disk.qcow2
    for length in 1 103 112 65536 200000 262200; do
        undone "source: .*(truncated|end)" < <(head -c "$length" disk.qcow2)
    done
    for length in 400000 $(($(stat -c %s disk.qcow2) - 65536)); do
        drop_in 1 qcow-stream-tool stream_decode copy.raw \
            < <(head -c "$length" disk.qcow2)
        error_says "^[a-z0-9-]+: .*source: .*(truncated|end)"
        error_says "offset [0-9]+"
    done
    nothing_left
}

@test "a device that is missing or cannot be written" {
    local device
    qemu-img create -q -f qcow2 disk.qcow2 4M
    guest disk.qcow2 'write -q -P 1 0 4M'
    mkdir directory
    drop_in "[12]" qcow-stream-tool stream_decode "" <disk.qcow2
    for device in nosuch/device directory /dev/full /dev/null; do
        drop_in 1 qcow-stream-tool stream_decode $device <disk.qcow2
        error_says "^[a-z0-9-]+: .*$device"
        nothing_left
    done
}

@test "wrong usage is exit status 2" {
    usage() {
        drop_in 2 qcow-stream-tool "$@" </dev/null
        error_says "^[a-z0-9-]+: "
        nothing_left
    }
    other_data copy.raw 1M
    usage
    usage stream_decode
    usage stream_decode copy.raw more
    usage stream_decode --nosuch copy.raw
    usage read_headers
    usage read_headers copy.raw more
    usage read_header
    usage --nosuch
    untouched copy.raw
}

@test "--help and --version" {
    drop_in qcow-stream-tool --help
    [[ $stdout = *"stream_decode"* ]]
    drop_in qcow-stream-tool stream_decode --help
    drop_in qcow-stream-tool --version
    [ -n "$stdout" ]
}
