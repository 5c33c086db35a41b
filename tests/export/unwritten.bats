#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What was allocated and never written is a hole to lseek(2) until somebody has
# read it.  The stream is the same before and after.  Where nobody has a map
# that no reading changes, contents count.

load ../lib/helpers

# allocated_file NAME SIZE
# All of it allocated; data at 1M and at 5M, nothing in the page cache.
allocated_file() {
    fallocate -l "$2" "$1" || skip "needs fallocate"
    scatter "$1"
}

# scatter FILE
scatter() {
    local at
    for at in 1 5; do
        dd if=/dev/urandom of="$1" bs=1M seek=$at count=1 conv=notrunc \
            oflag=sync status=none
    done
    dd if="$1" iflag=nocache count=0 status=none
}

# steady FILE STREAM-ARG...
# The stream is as it was measured, though FILE has been read in between; it
# has 2 MiB of data, and a few clusters besides at most.
steady() {
    local file=$1
    shift
    quickly qcow-tool measure "$@" >before
    cat "$file" >/dev/null
    stdout_to=stream.qcow2 qcow_tool stream "$@" \
        --expect-id "$(jq -r .id before)"
    [ "$(stat -c %s stream.qcow2)" = "$(jq .length before)" ]
    [ $(($(jq .data before) >> 16)) -le 40 ]
    [ "$(jq .stable before)" = true ]
}

@test "a raw base" {
    allocated_file base.raw 8M
    overlay image.qcow2 base.raw raw
    steady base.raw --source-format qcow2 --source image.qcow2
    [ "$(allocated stream.qcow2)" = $'1048576+1048576\n5242880+1048576' ]
}

@test "a raw base below two others, one of which is shorter" {
    allocated_file base.raw 9M
    overlay middle.qcow2 base.raw raw 8M
    overlay image.qcow2 middle.qcow2 qcow2 12M
    steady base.raw --source-format qcow2 --source image.qcow2
}

@test "a hybrid's raw image, and its raw base" {
    allocated_file image.raw 8M
    make_disk device 8M full
    steady image.raw --source-format hybrid --source device:image.raw \
        --image-format raw
    allocated_file base.raw 8M
    overlay image.qcow2 base.raw raw
    steady base.raw --source-format hybrid --source device:image.qcow2
}

# flat FORMAT OPTION FILE
# An image that lies in FILE as the disk does.
flat() {
    rm -f image*
    qemu-img create -q -f "$1" -o "$2" "image.$1" 8M
    fallocate -n -l "$(stat -c %s "$3")" "$3" || skip "needs fallocate"
    qemu-io -f "$1" -c "write -q -P 7 1M 1M" -c "write -q -P 7 5M 1M" \
        "image.$1"
    sync "$3"
    dd if="$3" iflag=nocache count=0 status=none
    steady "$3" --source-format "$1" --source "image.$1"
}

@test "fixed VHDs, static VDIs and flat VMDKs" {
    flat vpc subformat=fixed,force_size=on image.vpc
    flat vdi static=on image.vdi
    flat vmdk subformat=monolithicFlat image-flat.vmdk
}

@test "the layout of qemu-img convert, of a raw disk and of an image over it" {
    allocated_file base.raw 8M
    overlay image.qcow2 base.raw raw
    allocate image.qcow2 2M+100K
    create=cluster_size=4k same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 4K
    case $(stat -f -c %T .) in
    ext2/ext3 | xfs | btrfs) ;;
    *) skip "the file system has no map" ;;
    esac
    quickly qcow-tool measure --source base.raw --layout convert >before
    [ "$(jq .stable before)" = true ]
    cat base.raw >/dev/null
    stdout_to=stream.qcow2 qcow_tool stream --source base.raw \
        --layout convert --expect-id "$(jq -r .id before)"
    qemu-img convert -f raw -O qcow2 base.raw expected.qcow2
    same_bytes expected.qcow2 stream.qcow2
}

@test "a block device has no map: it is looked at, and only it" {
    requires loop
    make_disk base.raw 8M data@1M+100K zeroes@2M+1M data@6M+64K
    local device
    device=$(make_loop base.raw)
    overlay image.qcow2 "$device" raw
    # What the overlay holds goes out as it is.
    guest image.qcow2 "write -q -P 0 4M 128K" "write -q -P 5 7M 64K"
    stdout_to=stream.qcow2 qcow_tool stream --source-format qcow2 \
        --source image.qcow2
    [ "$(allocated stream.qcow2)" = "1048576+131072
4194304+131072
6291456+65536
7340032+65536" ]
    same_content image.qcow2 stream.qcow2
    nothing_left
}

@test "QEMU has no map of VHDX: in a chain only that is looked at" {
    make_disk disk 8M data@1M+100K zeroes@2M+1M data@6M+64K
    disk_image vhdx disk base.vhdx
    overlay image.qcow2 base.vhdx vhdx
    guest image.qcow2 "write -q -P 0 4M 128K" "write -q -P 5 7M 64K"
    stdout_to=stream.qcow2 qcow_tool stream --source-format qcow2 \
        --source image.qcow2
    [ "$(allocated stream.qcow2)" = "1048576+131072
4194304+131072
6291456+65536
7340032+65536" ]
    same_content image.qcow2 stream.qcow2
    same_as_qemu_img qcow2 image.qcow2
}

@test "over a base without a map, what was zero there already is no difference" {
    requires loop
    make_disk base.raw 8M data@1M+256K zeroes@2M+1M data@6M+64K data@6208K+4K
    local device
    device=$(make_loop base.raw)
    overlay image.qcow2 "$device" raw
    guest image.qcow2 "write -q -z 1M 128K" "write -q -z 2M 128K" \
        "write -q -P 5 4M 64K" "write -q -z -u 6M 4K"
    raw_of image.qcow2 expected.raw
    stdout_to=difference.qcow2 qcow_tool stream --source-format qcow2 \
        --source image.qcow2 --relative-to "$device"
    served expected.raw base.raw difference.qcow2
    [ "$(sent difference.qcow2)" = "1048576+131072
4194304+65536
6291456+65536" ]
    stdout_to=difference.qcow2 qcow_tool stream --source-format qcow2 \
        --source image.qcow2 --relative-to "$device" --zero-clusters flag
    served expected.raw base.raw difference.qcow2
    [ "$(flagged difference.qcow2)" = 1048576+131072 ]
}
