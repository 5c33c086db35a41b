#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# VHDs: who wrote them decides what their size is.

load ../lib/helpers

# written_by CREATOR SIZE
# image.vpc, of a disk of SIZE bytes with some data at its end.
written_by() {
    rm -f disk image.vpc
    make_disk disk "$2" data@1M+100K tail+8K
    # QEMU rounds the size up to a geometry.
    qemu-img create -q -f vpc image.vpc "$2"
    qemu-img convert -n -f raw -O vpc disk image.vpc
    python3 "$tests/vhd-creator.py" image.vpc "$1" \
        "$(stat -c %s disk)"
}

# has_size SIZE
has_size() {
    stream_into out.qcow2 --source-format "${2:-vpc}" \
        --source "${3:-image.vpc}"
    [ "$(virtual_size out.qcow2 qcow2)" = "$1" ]
}

@test "a VHD of Xen Orchestra, xapi or VirtualBox is as large as it says" {
    local creator size
    while read -r creator size; do
        written_by "$creator" "$size"
        has_size "$(stat -c %s disk)"
        qemu-img compare -q -f raw -F qcow2 disk out.qcow2
    done <<END
xo 64M
xo 67109376
vbox 67109376
tap 64M
END
}

@test "a VHD of Virtual PC or QEMU is as large as its geometry says" {
    local creator size
    for creator in "vpc " "vs  "; do
        written_by "$creator" 65M
        size=$(virtual_size image.vpc vpc)
        [ "$size" != $((65 << 20)) ]
        has_size "$size"
    done
}

@test "the same below a qcow2 image, and as the base of a difference" {
    written_by "xo  " 64M
    qemu-img create -q -u -f qcow2 -b image.vpc -F vpc over.qcow2 64M
    qemu-img create -q -u -f qcow2 -b over.qcow2 -F qcow2 top.qcow2 64M
    qemu-io -c 'write -q -P 0x11 5M 64K' --image-opts "driver=qcow2,\
file.filename=top.qcow2,backing.backing.force_size_calc=current_size"
    has_size 67108864 qcow2 top.qcow2
    qemu-io -f raw -c 'write -q -P 0x11 5M 64K' disk
    qemu-img compare -q -f raw -F qcow2 disk out.qcow2
    stream_into out.qcow2 --source-format qcow2 --source top.qcow2 \
        --relative-to image.vpc
    [ "$(data_ranges out.qcow2)" = 5242880+65536 ]
}
