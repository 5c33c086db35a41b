#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images that `stream` did not make come through a connection that stays open
# after the last byte, onto a file full of other data, and into a new image.

load ../lib/helpers

# arrives IMAGE
arrives() {
    qemu-img convert -f qcow2 -O raw "$1" guest.raw
    other_data copy.raw "$(stat -c %s guest.raw)"
    keep_open=1 time_limit=20 send_image "$1" -- --destination copy.raw \
        --source-size "$(stat -c %s "$1")"
    same_bytes guest.raw copy.raw
    # A large one would take long, and show nothing more.
    [ "$(virtual_size "$1" qcow2)" -gt $((1 << 30)) ] || becomes_image "$1"
    nothing_left
}

# becomes_image IMAGE
# Of another format in each test.
becomes_image() {
    local formats format
    find_formats
    format=${formats[BATS_SUITE_TEST_NUMBER % ${#formats[@]}]}
    rm -f "copy.$format"
    qcow_tool serve "copy.$format" --destination-format "$format" <"$1"
    same_image "$1" "copy.$format" "$format"
}

mixed_disk() {
    make_disk disk.raw "${1:-20M}" runs:256K/512K pieces:40 empties:20
}

# guest IMAGE COMMAND...
# Writes as a guest would, each COMMAND one of qemu-io.
guest() {
    local image=$1 commands=() command
    shift
    for command; do
        commands+=(-c "$command")
    done
    qemu-io -f qcow2 "${commands[@]}" "$image" >/dev/null
}

@test "an image as qemu-img convert writes it" {
    mixed_disk
    image disk.raw disk.qcow2
    arrives disk.qcow2
}

@test "an image in clusters of 512 bytes" {
    mixed_disk 2M
    image disk.raw disk.qcow2 cluster_size=512
    arrives disk.qcow2
}

@test "an image in clusters of 4 KiB, its tables among the data" {
    mixed_disk 40M
    image disk.raw disk.qcow2 cluster_size=4096
    arrives disk.qcow2
}

@test "an image in clusters of 2 MiB" {
    mixed_disk
    image disk.raw disk.qcow2 cluster_size=2M
    arrives disk.qcow2
}

@test "an image with extended L2 entries, its subclusters partly written" {
    mixed_disk
    image disk.raw disk.qcow2 extended_l2=on
    guest disk.qcow2 'write -P 0x11 10M 2K' 'write -z 11M 6K' \
        'write -P 0x22 15M 66K' 'discard 0 2K'
    arrives disk.qcow2
}

@test "an image with compat=0.10" {
    mixed_disk
    image disk.raw disk.qcow2 compat=0.10
    arrives disk.qcow2
}

@test "an image written out of order by qemu-img" {
    make_disk disk.raw 40M full
    qemu-img convert -f raw -O qcow2 -o cluster_size=4096 -W -m 16 \
        disk.raw disk.qcow2
    arrives disk.qcow2
}

@test "an image written from its end to its start, tables anywhere" {
    # With clusters of 4 KiB each table has 2 MiB of the disk.
    qemu-img create -q -f qcow2 -o cluster_size=4096 disk.qcow2 60M
    local commands=() at
    for at in {29..0}; do
        commands+=("write -P $((at + 1)) $((at * 2 + 1))M 20K"
            "write -P $((at + 100)) $((at * 2048 + 7))K 1K")
    done
    guest disk.qcow2 "${commands[@]}"
    arrives disk.qcow2
}

@test "an image with an internal snapshot and writes after it" {
    mixed_disk
    image disk.raw disk.qcow2
    qemu-img snapshot -c one disk.qcow2
    guest disk.qcow2 'write -P 0x11 1M 300K' 'write -z 4M 1M' \
        'discard 8M 1M'
    qemu-img snapshot -c two disk.qcow2
    guest disk.qcow2 'write -P 0x22 1100K 10K' 'write -P 0x33 19M 64K'
    arrives disk.qcow2
}

@test "an image with a persistent bitmap" {
    mixed_disk
    image disk.raw disk.qcow2
    qemu-img bitmap --add disk.qcow2 changes
    guest disk.qcow2 'write -P 0x11 1M 300K'
    arrives disk.qcow2
}

@test "an image with the dirty bit, of a machine that lost power" {
    qemu-img create -q -f qcow2 -o lazy_refcounts=on disk.qcow2 10M
    run ! guest disk.qcow2 'write -P 0x11 1M 300K' 'write -P 0x22 5M 1M' \
        'flush' 'sigraise 9'
    qemu-img info disk.qcow2 | grep -q 'lazy refcounts: true'
    [ "$(dd if=disk.qcow2 bs=1 skip=79 count=1 status=none |
        od -An -tu1)" -eq 1 ]
    arrives disk.qcow2
}

@test "an image with its metadata preallocated" {
    qemu-img create -q -f qcow2 -o preallocation=metadata disk.qcow2 20M
    guest disk.qcow2 'write -P 0x11 15M 300K'
    arrives disk.qcow2
}

@test "an image with its data preallocated" {
    qemu-img create -q -f qcow2 -o preallocation=full disk.qcow2 20M
    guest disk.qcow2 'write -P 0x11 15M 300K'
    arrives disk.qcow2
}

@test "an image that was grown, and one that was shrunk" {
    mixed_disk
    image disk.raw disk.qcow2
    qemu-img resize -q disk.qcow2 26M
    guest disk.qcow2 'write -P 0x11 24M 300K'
    arrives disk.qcow2
    qemu-img resize -q --shrink disk.qcow2 9M
    arrives disk.qcow2
}

@test "an image with refcounts of 1 and of 64 bits" {
    mixed_disk
    image disk.raw disk.qcow2 refcount_bits=1
    arrives disk.qcow2
    image disk.raw disk.qcow2 refcount_bits=64
    arrives disk.qcow2
}

@test "an image of 1 TiB with data in few places" {
    qemu-img create -q -f qcow2 disk.qcow2 1T
    guest disk.qcow2 'write -P 0x11 0 64K' 'write -P 0x22 700G 1M' \
        'write -P 0x33 1099511627264 512'
    send_image disk.qcow2 -- --destination copy.raw
    same_content disk.qcow2 copy.raw
    [ "$(stat -c %b copy.raw)" -lt 65536 ]
    nothing_left
}

# It takes a quarter of a minute: offsets of more than 31 bits cannot be had
# with less.
@test "an image of more than 2 GiB, with data behind them" {
    requires space:6
    qemu-img create -q -f qcow2 -o preallocation=metadata disk.qcow2 2200M
    guest disk.qcow2 'write -P 0x11 0 1M' 'write -P 0x22 1100M 64K' \
        'write -P 0x33 2199M 1M'
    time_limit=120 send_image disk.qcow2 -- --destination copy.raw
    same_content disk.qcow2 copy.raw
    nothing_left
}

@test "an image that ends with a part of a cluster, as QEMU writes it" {
    make_disk disk.raw 5243392 full
    image disk.raw disk.qcow2
    truncate -s "$(($(stat -c %s disk.qcow2) / 65536 * 65536 + 512))" \
        disk.qcow2
    arrives disk.qcow2
}
