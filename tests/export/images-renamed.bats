#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# An image whose map is one file's and whose data is another's would be
# neither: what is read is what was mapped, or nothing is sent. Names count
# where QEMU opens files by them, as with --direct.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 4M data@1M+300K
    make_disk other 4M data@2M+300K
    disk_image qcow2 disk base.qcow2
    overlay image.qcow2 base.qcow2 qcow2
    allocate image.qcow2 3M+64K
}

# renames PROGRAM FROM TO [WHEN]
# Makes the script ./PROGRAM: the program, but FROM takes the name TO before it
# runs with WHEN as its first argument. That is for who has no sandbox.
renames() {
    cat >"$1" <<END
#!/bin/sh
# A wrapper has to exec: what has the files open is the child itself.
case \$1 in
${4:---read-only}) [ ! -e "$2" ] || mv "$2" "$3" ;;
esac
exec $1 "\$@"
END
    chmod +x "$1"
}

# is_noticed FILE STREAM-ARG...
is_noticed() {
    local file=$1
    shift
    qcow_tool 1 stream "$@" --sandbox off --destination out.qcow2
    error_says "source: .*$file has become another file"
    [ ! -e out.qcow2 ]
    nothing_left
}

@test "a link that is renamed before qemu-nbd opens it is noticed, by name" {
    local link
    for link in image.qcow2 base.qcow2; do
        disk_image qcow2 other new.qcow2
        renames qemu-nbd new.qcow2 "$link"
        cp "$link" kept.qcow2
        QCOW_TOOL_QEMU_NBD=$PWD/qemu-nbd is_noticed "$link" \
            --source-format qcow2 --source image.qcow2 --direct
        mv kept.qcow2 "$link"
    done
}

@test "a raw base and a data file that are renamed are noticed" {
    qemu-img create -q -f qcow2 -b disk -F raw over.qcow2
    renames qemu-nbd other disk
    QCOW_TOOL_QEMU_NBD=$PWD/qemu-nbd is_noticed disk \
        --source-format qcow2 --source over.qcow2 --direct
    make_disk other 4M data@2M+300K
    empty_image split.qcow2 4M -o data_file=data.raw
    allocate split.qcow2 1M+64K
    renames qemu-nbd other data.raw
    QCOW_TOOL_QEMU_NBD=$PWD/qemu-nbd is_noticed data.raw \
        --source-format qcow2 --source split.qcow2 --direct
}

@test "an image that QEMU has to map by its name is noticed, too" {
    qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentFlat disk \
        parts.vmdk
    sed 's/^CID=.*/CID=12345678/' parts.vmdk >new.vmdk
    renames qemu-img new.vmdk parts.vmdk map
    QCOW_TOOL_QEMU_IMG=$PWD/qemu-img is_noticed parts.vmdk \
        --source-format vmdk --source parts.vmdk
}

@test "a VHD that is renamed between its size and its map is noticed" {
    disk_image vpc disk image.vpc
    disk_image vpc other new.vpc
    renames qemu-img new.vpc image.vpc map
    QCOW_TOOL_QEMU_IMG=$PWD/qemu-img is_noticed image.vpc \
        --source-format vpc --source image.vpc --direct
}

@test "what is renamed after it was opened is sent as it was, if no name counts" {
    local format
    for format in qcow2 vpc; do
        disk_image $format disk image.$format
        disk_image $format other new.$format
        cp image.$format kept.$format
        renames qemu-img new.$format image.$format map
        QCOW_TOOL_QEMU_IMG=$PWD/qemu-img qcow_tool stream --sandbox off \
            --source-format $format --source image.$format \
            --destination out.qcow2
        [ ! -e new.$format ]
        qemu-img compare -q -f $format -F qcow2 kept.$format out.qcow2
        nothing_left
    done
}
