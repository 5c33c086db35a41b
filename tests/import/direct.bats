#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --direct onto devices with all sizes of sectors, however the bytes arrive.

load ../lib/helpers

# Odd sizes of what arrives at a time, and data at any sector of the file.
chunks="777 4097 65537"

setup() {
    helpers_setup
    requires loop
}

# onto_devices IMAGE [SERVE-ARG...]
onto_devices() {
    local image=$1 size sector chunk backing device
    shift
    size=$(virtual_size "$image" qcow2)
    for sector in 512 4096; do
        # Whole sectors; what is behind the disk is left as it was.
        backing=$(((size + 4095) / 4096 * 4096))
        other_data backing $backing
        device=$(make_loop backing --sector-size $sector)
        for chunk in $chunks; do
            send_image "$image" --chunk "$chunk" -- \
                --destination "$device" --direct "$@"
            qemu-img convert -f qcow2 -O raw "$image" expected.raw
            cmp -n "$size" expected.raw "$device"
            cmp <(tail -c +$((size + 1)) "$device") \
                <(head -c $((backing - size)) /dev/zero | tr '\0' '\252')
            other_data again $backing
            dd if=again of="$device" bs=1M status=none
        done
    done
    nothing_left
}

@test "clusters of 512 bytes" {
    make_disk disk.raw 1M runs:4K/8K pieces:40 empties:10 tail+512
    image disk.raw disk.qcow2 cluster_size=512
    onto_devices disk.qcow2
}

@test "clusters of 64 KiB, the disk no whole number of them" {
    make_disk disk.raw 4195840 runs:64K/256K pieces:40 tail+512
    image disk.raw disk.qcow2
    onto_devices disk.qcow2
}

@test "extended L2 entries, of 16 KiB clusters" {
    # Subclusters of 512 bytes.
    make_image disk.qcow2 extended-l2-16k --size 8M --data 2M
    onto_devices disk.qcow2
}

@test "compressed and plain clusters, and snapshots" {
    make_image disk.qcow2 mixed-snapshots --size 24M --data 6M
    onto_devices disk.qcow2
}

@test "a guest's writes, discards and zeroes" {
    make_image disk.qcow2 guest-4k --size 10486272
    onto_devices disk.qcow2
}

@test "the same, the slow way" {
    export QCOW_TOOL_MOVER=copy
    chunks=4097
    make_image disk.qcow2 guest-4k --size 10486272
    onto_devices disk.qcow2
}

@test "a file, with every size of cluster and a narrow connection" {
    for name in clusters-512 clusters-4k zlib extended-l2; do
        make_image disk.qcow2 $name --size 20000256 --data 2M
        other_data copy.raw 20000256
        nonblocking=1 sndbuf=4608 send_image disk.qcow2 --chunk 5001 -- \
            --destination copy.raw --direct
        same_content disk.qcow2 copy.raw
    done
    nothing_left
}
