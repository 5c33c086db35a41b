#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format nbdhybrid: data from DEVICE, the map from an NBD export.

load ../lib/helpers

size=$((16 << 20))

# exports NAME IMAGE [FORMAT]
# qemu-nbd exports IMAGE, on $socket.
exports() {
    nbd_server unix qemu-nbd --persistent --shared 0 -r -x "$1" \
        -f "${3:-qcow2}" "$2"
}

@test "data comes from DEVICE, and the map from the export" {
    # See stream-hybrid.bats.
    make_disk device $size full
    empty_image base.qcow2 $size
    allocate base.qcow2 9M+192K
    overlay image.qcow2 base.qcow2 qcow2
    allocate image.qcow2 4M+1M 15M+1M
    make_disk expected $size data@4M+1M data@9M+192K data@15M+1M
    exports disk7 image.qcow2
    both_arrive expected nbdhybrid "device:$socket:disk7:$size"
    [ "$(data_ranges streamable.qcow2)" = "$(data_ranges image.qcow2)" ]
    sends expected nbdhybrid "$PWD/device:$socket:disk7:$size" --direct
}

@test "both layouts are those of the hybrid of the same image" {
    make_disk device $size full
    disk_image qcow2 device image.qcow2
    qemu-io -f qcow2 -c 'discard -q 5M 2M' -c 'write -q -z 8M 1M' \
        -c 'discard -q 10M 64K' image.qcow2
    exports '' image.qcow2
    local layout
    for layout in streamable convert; do
        stdout_to=hybrid.qcow2 qcow_tool stream --source-format hybrid \
            --source device:image.qcow2 --layout $layout
        stdout_to=nbd.qcow2 qcow_tool stream --source-format nbdhybrid \
            --source "device:$socket::$size" --layout $layout
        same_bytes hybrid.qcow2 nbd.qcow2
    done
}

@test "DEVICE is a block device" {
    requires loop
    make_disk device $size runs:300K/300K
    disk_image qcow2 device image.qcow2
    exports disk image.qcow2
    local loop
    loop=$(make_loop device --read-only)
    both_arrive device nbdhybrid "$loop:$socket:disk:$size"
}

@test "an export that is a raw file with holes" {
    make_disk device $size full
    make_disk map.raw $size data@1M+64K data@7M+1M
    make_disk expected $size data@1M+64K data@7M+1M
    exports disk map.raw raw
    # 4 KiB clusters, so that no range is widened over DEVICE's other data.
    sends expected nbdhybrid "device:$socket:disk:$size" --cluster-size 4K
}

@test "zeroes that the map has as data stay data, unless they are looked for" {
    make_disk device $size data@1M+64K
    empty_image image.qcow2 $size
    allocate image.qcow2 1M+1M
    exports disk image.qcow2
    sends device nbdhybrid "device:$socket:disk:$size"
    [ "$(data_ranges streamable.qcow2)" = 1048576+1048576 ]
    sends device nbdhybrid "device:$socket:disk:$size" --detect-zeroes
    [ "$(data_ranges streamable.qcow2)" = 1048576+65536 ]
}

@test "an export that cannot tell its map: all of DEVICE counts" {
    make_disk device $size data@1M+64K data@9M+1M
    nbd_server unix nbdkit -r --filter=noextents null $size
    sends device nbdhybrid "device:$socket::$size"
}

@test "an export held by a process that writes to it" {
    make_disk device $size data@1M+64K
    disk_image qcow2 device image.qcow2
    nbd_server unix qemu-nbd --persistent --shared 0 -x disk -f qcow2 \
        image.qcow2
    both_arrive device nbdhybrid "device:$socket:disk:$size"
    qemu-io -f raw -c "write -q -P 0x22 8M 64K" "$(exported disk)"
}

@test "sources that are no DEVICE:NBD-SOCKET:EXPORT:SIZE are usage errors" {
    make_disk device $size data@1M+64K
    local bad
    for bad in device device: device:x device:x:y device:x:y: :x:y:1M \
        device:x:y:z device:x:y:-1 device:x:y:1Q device:x:y:0x \
        device::y:1M ''; do
        refused 2 --source-format nbdhybrid --source "$bad"
        error_says "(DEVICE:NBD-SOCKET:EXPORT:SIZE|SIZE|source)"
    done
}

@test "a SIZE that is not that of the export is an error with both" {
    make_disk device $size data@1M+64K
    disk_image qcow2 device image.qcow2
    exports disk image.qcow2
    local wrong
    for wrong in $((size - 65536)) $((size + 65536)) 0; do
        source_fails "" nbdhybrid "device:$socket:disk:$wrong"
        nothing_sent
        error_says "$size"
        error_says "$wrong"
    done
}

@test "a DEVICE that is smaller than the export is an error with both sizes" {
    make_disk device $((size - 65536)) data@1M+64K
    empty_image image.qcow2 $size
    exports disk image.qcow2
    source_fails "" nbdhybrid "device:$socket:disk:$size"
    nothing_sent
    error_says "$size"
    error_says "$((size - 65536))"
}

@test "what is missing is named: DEVICE, the socket, the export" {
    make_disk device $size data@1M+64K
    disk_image qcow2 device image.qcow2
    exports disk image.qcow2
    source_fails "nosuch.*No such file or directory" \
        nbdhybrid "nosuch:$socket:disk:$size"
    nothing_sent
    source_fails "nosuch.sock.*No such file or directory" \
        nbdhybrid "device:$PWD/nosuch.sock:disk:$size"
    nothing_sent
    source_fails "wrong" nbdhybrid "device:$socket:wrong:$size"
    nothing_sent
}

@test "nobody listens on the socket" {
    make_disk device $size data@1M+64K
    listens unix --deaf -- sleep 60
    source_fails "Connection refused" nbdhybrid "device:$socket:disk:$size"
    nothing_sent
}

@test "an export that fails to tell its map is an error" {
    make_disk device $size data@1M+64K
    nbd_server unix nbdkit -r eval get_size="echo $size" pread='exit 1' \
        can_extents='exit 0' extents='echo EIO no >&2; exit 1'
    source_fails "offset 0.*Input/output error" \
        nbdhybrid "device:$socket::$size"
    nothing_sent
}
