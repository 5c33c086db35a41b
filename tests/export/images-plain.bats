#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Data that lies in an image as it is on the disk comes from the image's file;
# qemu-nbd reads the rest, and is not started where there is none.

load ../lib/helpers

# The suite may be run with qemu-nbd for all images.
setup() {
    helpers_setup
    unset QCOW_TOOL_IMAGES
}

# The disk of which each is an image.
some_disk() {
    make_disk disk 10507264 data@0+4K runs:200K/300K@1M+4M zeroes@2M+256K \
        data@7M+1M tail+3K
}

# same_both_ways FORMAT IMAGE [STREAM-ARG...]
# The stream is the one that it is if qemu-nbd reads all; $tool_options are for
# the other way.
same_both_ways() {
    local layout from=(--source-format "$1" --source "$2" "${@:3}")
    for layout in streamable convert; do
        stream_into ours.qcow2 "${from[@]}" --layout $layout \
            "${tool_options[@]}"
        QCOW_TOOL_IMAGES=qemu \
            stream_into qemus.qcow2 "${from[@]}" --layout $layout
        same_bytes ours.qcow2 qemus.qcow2
    done
    no_spool_left
}
tool_options=()

# is_plain FORMAT IMAGE [STREAM-ARG...]
# The same, and no qemu-nbd is needed.
is_plain() {
    local tool_options=(--qemu-nbd /nowhere/qemu-nbd)
    same_both_ways "$@"
}

# by_qemu BYTES FORMAT IMAGE [STREAM-ARG...]
# qemu-nbd reads so many of them, which may be a pattern, and no more.
by_qemu() {
    same_both_ways "${@:2}"
    stdout_to=ours.qcow2 qcow_tool stream --source-format "$2" --source "$3" \
        --debug "${@:4}"
    stderr_says "places in its files, $1 in [0-9]+ ranges are QEMU's to read"
    nothing_left
}

@test "a qcow2 image needs no qemu-nbd, whatever its clusters are" {
    some_disk
    local options
    for options in cluster_size=64k cluster_size=512 extended_l2=on; do
        disk_image qcow2 disk image.qcow2 $options
        is_plain qcow2 image.qcow2
    done
    is_plain qcow2 image.qcow2 --detect-zeroes
}

@test "VHDs, VDIs and a VMDK of one file need no qemu-nbd" {
    some_disk
    disk_image vpc disk image.vhd
    is_plain vpc image.vhd
    disk_image vpc disk fixed.vhd subformat=fixed
    is_plain vpc fixed.vhd
    disk_image vdi disk image.vdi
    is_plain vdi image.vdi
    disk_image vdi disk static.vdi static=on
    is_plain vdi static.vdi
    disk_image vmdk disk image.vmdk
    is_plain vmdk image.vmdk
}

@test "a VMDK whose disk is one other file needs no qemu-nbd, where it begins in that" {
    some_disk
    mkdir there
    disk_image vmdk disk there/image.vmdk subformat=monolithicFlat
    is_plain vmdk there/image.vmdk
    overlay over.qcow2 there/image.vmdk vmdk
    qemu-io -f qcow2 -c 'write -q -P 0x31 1M 300K' over.qcow2
    is_plain qcow2 over.qcow2
    # With something before the disk.
    { head -c 1M /dev/urandom && cat disk; } >there/image-flat.vmdk
    sed -i 's/-flat.vmdk" 0$/-flat.vmdk" 2048/' there/image.vmdk
    is_plain vmdk there/image.vmdk
    # Whether all of it is there is seen now.
    truncate -s 5M there/image-flat.vmdk
    qcow_tool 1 stream --source-format vmdk --source there/image.vmdk \
        --destination new.qcow2
    error_says 'source: .*there/image-flat.vmdk is truncated: .* 5242880'
    [ ! -e new.qcow2 ]
}

@test "a VMDK in several files is qemu-nbd's to read" {
    make_disk disk 4M data@1M+64K
    qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentFlat parts.vmdk 2G
    qemu-io -f vmdk -c 'write -q -P 5 1M 64K' parts.vmdk
    # A second part, of nothing.
    truncate -s 1M second.vmdk
    sed -i '/FLAT/a RW 2048 FLAT "second.vmdk" 0' parts.vmdk
    by_qemu '[1-9][0-9]*' vmdk parts.vmdk
}

@test "an image of which QEMU has no map is qemu-nbd's to read" {
    some_disk
    disk_image vhdx disk image.vhdx
    by_qemu 10507264 vhdx image.vhdx
    disk_image vmdk disk packed.vmdk subformat=streamOptimized
    by_qemu '[1-9][0-9]*' vmdk packed.vmdk
}

@test "a data file of its own is read at its own offsets" {
    some_disk
    local raw
    for raw in off on; do
        rm -f data.raw image.qcow2
        disk_image qcow2 disk image.qcow2 \
            data_file=data.raw,data_file_raw=$raw
        is_plain qcow2 image.qcow2
    done
}

@test "a chain is read from each of its files" {
    some_disk
    disk_image vpc disk base.vhd force_size=on
    overlay middle.qcow2 base.vhd vpc -o cluster_size=4k
    qemu-io -f qcow2 -c 'write -q -P 0x31 1M 300K' -c 'write -q -z 7M 96K' \
        middle.qcow2
    overlay image.qcow2 middle.qcow2 qcow2 -o extended_l2=on
    qemu-io -f qcow2 -c 'write -q -P 0x32 1100K 6K' \
        -c 'write -q -z 1200K 2K' -c 'discard -q 8M 64K' image.qcow2
    is_plain qcow2 image.qcow2
    is_plain qcow2 image.qcow2 --cluster-size 4K
}

@test "a raw base that ends within a sector is zero behind its end" {
    make_disk odd $(((9 << 20) + 77)) full
    qemu-img create -q -f qcow2 -b odd -F raw image.qcow2 10M
    is_plain qcow2 image.qcow2
}

@test "what was allocated in a raw base and never written is zero" {
    requires fallocate
    make_disk base 8M data@1M+300K
    fallocate -l 2M -o 4M base
    overlay image.qcow2 base raw
    is_plain qcow2 image.qcow2
    # QEMU is told that it is data once it is in the page cache.
    cat base >/dev/null
    is_plain qcow2 image.qcow2
}

@test "of an image that is compressed in part only that is qemu-nbd's to read" {
    yes 'one and the same' | head -c 3M >words
    make_disk disk 12M
    dd if=words of=disk bs=1M seek=1 conv=notrunc status=none
    qemu-img convert -c -f raw -O qcow2 disk image.qcow2
    qemu-io -f qcow2 -c 'write -q -P 0x31 2M 1M' -c 'write -q -P 0x32 8M 2M' \
        image.qcow2
    by_qemu $((2 << 20)) qcow2 image.qcow2
    # A piece that is too short to wait for it is read in between.
    qemu-io -f qcow2 -c 'write -q -P 0x33 3200K 64K' image.qcow2
    by_qemu $((2 << 20)) qcow2 image.qcow2
}

@test "an encrypted image is never sent as it lies in its file" {
    make_disk disk 4M data@1M+1M
    qemu-img create -q -f qcow2 --object secret,id=key,data=secret \
        -o encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10 \
        image.qcow2 4M || skip "needs QEMU with LUKS"
    qemu-io --object secret,id=key,data=secret --image-opts \
        driver=qcow2,file.filename=image.qcow2,encrypt.key-secret=key \
        -c 'write -q -P 0x31 1M 1M'
    source_fails "encrypt.*secret.* is required" qcow2 image.qcow2
    nothing_sent
}

@test "--direct and the base of a comparison give the same stream" {
    some_disk
    disk_image vdi disk base.vdi
    make_disk disk 10507264 seed:7 data@3M+200K zeroes@7M+200K
    disk_image vdi disk later.vdi
    same_both_ways vdi later.vdi --relative-to base.vdi
    same_both_ways vdi later.vdi --direct
}

@test "an image in pieces of all sizes is sent by all movers" {
    make_disk disk 40M pieces:400
    disk_image qcow2 disk image.qcow2 cluster_size=512
    is_plain qcow2 image.qcow2 --cluster-size 4K
    QCOW_TOOL_MOVER=copy is_plain qcow2 image.qcow2 --cluster-size 4K
}
