#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --layout streamable, the default: tables first, then the data in one run.
#
#   | header | tables of all kinds, in any order | data, by disk offset |

load ../lib/helpers

# good_stream DISK [STREAM-ARG...]
# Streams DISK into stream.qcow2 and checks all that the layout promises.
# $order is that of good_order.
good_stream() {
    local disk=$1
    shift
    time_limit=120 stdout_to=stream.qcow2 qcow_tool stream \
        --source-format raw --source "$disk" "$@"
    measured stream.qcow2 --source-format raw --source "$disk" "$@"
    sound_image stream.qcow2
    same_content "$disk" raw stream.qcow2
    good_order stream.qcow2
    nothing_left
}

feature() {
    qemu-img info --output=json -f qcow2 stream.qcow2 |
        jq -r "if has(\"$1\") then .\"$1\" else
            .\"format-specific\".data.\"$1\" end"
}

@test "the streamable layout is the default, with 64 KiB clusters" {
    mixed_disk disk
    good_stream disk
    [[ $order = "cluster size 65536, 1 refcount blocks, 1 L2 tables"* ]]
    [ "$(feature compat)" = 1.1 ]
    [ "$(feature refcount-bits)" = 16 ]
    stdout_to=again.qcow2 qcow_tool stream --source-format raw \
        --source disk --layout streamable
    same_bytes stream.qcow2 again.qcow2
}

@test "512 B clusters: hundreds of refcount blocks before the data" {
    make_disk disk 40M runs:1M/200K
    good_stream disk --cluster-size 512
    [[ $order =~ ", "[1-9][0-9]{2}" refcount blocks" ]]
    [[ $order =~ ", "1?[0-9]{3}" L2 tables" ]]
}

@test "512 B clusters and a small disk, with one refcount block" {
    make_disk disk 300K data@10K+9K tail+2K
    good_stream disk --cluster-size 512
    [[ $order =~ ", 1 refcount blocks" ]]
}

@test "4 KiB clusters: many refcount blocks before the data" {
    make_disk disk 300M runs:3M/400K
    good_stream disk --cluster-size 4K
    [[ $order =~ ", "[2-9][0-9]" refcount blocks" ]]
}

@test "4 KiB clusters in sub-cluster pieces and written zeroes" {
    mixed_disk disk
    good_stream disk --cluster-size 4K
}

@test "2 MiB clusters" {
    mixed_disk disk 300M
    good_stream disk --cluster-size 2M
    [[ $order = "cluster size 2097152,"* ]]
}

@test "compat=0.10" {
    mixed_disk disk
    good_stream disk --compat 0.10
    [ "$(feature compat)" = 0.10 ]
    good_stream disk --compat 0.10 --cluster-size 4K
}

@test "extended L2, with 64 KiB and with 2 MiB clusters" {
    mixed_disk disk
    good_stream disk --extended-l2
    [ "$(feature extended-l2)" = true ]
    good_stream disk --extended-l2 --cluster-size 2M
}

@test "1-bit and 64-bit refcounts" {
    mixed_disk disk
    good_stream disk --refcount-bits 1
    [ "$(feature refcount-bits)" = 1 ]
    good_stream disk --refcount-bits 64 --cluster-size 4K
    [ "$(feature refcount-bits)" = 64 ]
    [[ $order =~ ", "([2-9]|[1-9][0-9])" refcount blocks" ]]
}

@test "sub-cluster holes, many" {
    make_disk disk 64M runs:64K/64K
    good_stream disk
    good_stream disk --cluster-size 4K
    good_stream disk --extended-l2
}

@test "a size that is no multiple of a cluster, without and with data there" {
    make_disk disk 10507264 data@1M+2M
    good_stream disk
    make_disk disk 10507264 tail+3K
    good_stream disk
    good_stream disk --cluster-size 2M
    good_stream disk --extended-l2
}

@test "a size that is no multiple of a cluster, past one refcount block" {
    make_disk disk 50002432 runs:3M/64K tail+1K
    good_stream disk --cluster-size 4K
}

@test "an end of the disk without data, past one refcount block" {
    # 24.2 of the 2 MiB that an L2 table describes: when QEMU cuts the disk to
    # its size it makes a table for the last of these, if there is none.
    make_disk disk 50743808 data@20M+21M
    good_stream disk --cluster-size 4K
    good_stream disk --cluster-size 4K --compat 0.10
}

@test "a size that is no multiple of 512, with data in the last sector" {
    make_disk disk 10000001 data@1M+2M tail+5000
    good_stream disk
    good_stream disk --cluster-size 4K
    [ "$(virtual_size stream.qcow2 qcow2)" = 10000384 ]
}

@test "a disk of a few bytes" {
    make_disk disk 512 full
    good_stream disk
    make_disk one 100 full
    good_stream one
}

@test "an empty disk, and one full of written zeroes, have no data clusters" {
    make_disk empty 5G
    good_stream empty
    [[ $order =~ ", 0 data clusters" ]]
    good_stream empty --cluster-size 4K
    make_disk zeroes 20M zeroes@0+20M
    good_stream zeroes
    [[ $order =~ ", 0 data clusters" ]]
}

@test "a full disk, and one full but for a few clusters" {
    make_disk full 64M full
    good_stream full
    good_stream full --cluster-size 4K
    [[ $order =~ ", 16384 data clusters" ]]
    make_disk nearly 64M data@0+9M data@9220K+40M data@51M+5M tail+7M
    good_stream nearly --cluster-size 4K
}

@test "data that ends just below, on and just above one refcount block" {
    # 4 KiB clusters, 16 bits: one block covers 2048 clusters, tables included.
    # 2 MiB of disk for each L2 table: 4 tables, header, L1, and two for
    # refcounts leave 2040 for data.
    local clusters
    for clusters in 2036 2038 2039 2040 2041 2042 2048; do
        rm -f disk
        make_disk disk 8M "data@0+$((clusters * 4))K"
        good_stream disk --cluster-size 4K
        [[ $order = *", $clusters data clusters"* ]]
    done
}

@test "one cluster of data in each of many L2 tables" {
    # A table covers 2 MiB with 4 KiB clusters.
    local shapes=() i
    for i in {0..999}; do
        shapes+=("data@$((i * 2048 + i % 500 * 4))K+4K")
    done
    make_disk disk 2000M "${shapes[@]}"
    good_stream disk --cluster-size 4K
    [[ $order =~ ", 1000 L2 tables" ]]
}

@test "8 TiB with little data" {
    make_disk disk 8T data@1M+300K data@3T+70K tail+64K
    good_stream disk
    [[ $order =~ ", 3 L2 tables" ]]
    [ "$(stat -c %s stream.qcow2)" -lt 4194304 ]
}

@test "the largest disk of 4 KiB clusters, in use to its end" {
    # Its L1 table has the 32 MiB that QEMU allows: there is no entry left for
    # anything but the disk.  9 MiB need more than one refcount block.
    make_disk disk 8T data@1M+9M tail+512
    stdout_to=stream.qcow2 qcow_tool stream --source-format raw \
        --source disk --cluster-size 4K
    sound_image stream.qcow2
    good_order stream.qcow2
    [[ $order =~ ", "[2-9]" refcount blocks" ]]
}

@test "a QEMU that does not reserve is led to the layout in the older way" {
    qemu-io -c 'help truncate' | grep -q -e -m ||
        skip 'needs a qemu-io that preallocates'
    make_disk disk 16M data@1M+9M data@12M+100K
    good_stream disk --cluster-size 4K --debug
    run ! grep "once more" stderr
    # One that lets the failing preallocation go, and one that knows no other.
    printf '#!/bin/sh\n%s\n' >forgets 'case $* in
        *l2-cache-size*) exit 1 ;;
        esac
        exec qemu-img "$@"'
    printf '#!/bin/sh\n%s\n' >refuses \
        'sed "s/truncate -m metadata/truncate -m unknown/" | exec qemu-io "$@"'
    chmod 755 forgets refuses
    local program
    for program in '--qemu-img ./forgets' '--qemu-io ./refuses'; do
        # shellcheck disable=SC2086 # an option and its value
        stdout_to=other.qcow2 qcow_tool stream --source-format raw \
            --source disk --cluster-size 4K --debug $program
        stderr_says "laying it out once more"
        same_content disk raw other.qcow2
        good_order other.qcow2
    done
    nothing_left
}

@test "a loop device" {
    requires loop
    mixed_disk disk
    local device
    device=$(make_loop disk --read-only)
    good_stream "$device"
    good_stream "$device" --cluster-size 4K --direct
}

# That the first refcount block ends at 2 GiB is why it takes so long.
@test "over 2 GiB of data" {
    requires space:6
    make_disk disk 2300M runs:6M/256K@1M+2299M
    good_stream disk
    [[ $order =~ ", 2 refcount blocks" ]]
}

@test "the rules can fail: qemu-img convert's own layout breaks them" {
    make_disk disk 64M runs:1M/1M
    qemu-img convert -f raw -O qcow2 -o cluster_size=4k disk stream.qcow2
    run ! good_order stream.qcow2
    [[ $output =~ "wrong order: first data at file offset" ]]
}
