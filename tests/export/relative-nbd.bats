#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --relative-to where the disk, or BASE, is on an NBD server.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk base.raw 6M runs:128K/128K zeroes@2M+1M
    cp --sparse=always base.raw disk.raw
    make_disk disk.raw 6M seed:2 pieces:6 empties:6 data@2M+5K \
        zeroes@3M+200K tail+512
    stdout_to=raw.qcow2 qcow_tool stream --source disk.raw \
        --relative-to base.raw
}

# export_image NAME FORMAT FILE
# Sets $uri_NAME; the socket is NAME.sock.
export_image() {
    in_background qemu-nbd --read-only --shared 8 --persistent -f "$2" \
        -x "$1" --socket "$PWD/$1.sock" "$3"
    wait_until 10 test -S "$1.sock"
    printf -v "uri_$1" '%s' "nbd+unix:///$1?socket=$PWD/$1.sock"
}

# same_as_raw STREAM-ARG...
# A good difference, and the same ranges as of the raw files.
same_as_raw() {
    good_difference disk.raw base.raw "$@"
    [ "$(sent difference.qcow2)" = "$(sent raw.qcow2)" ]
}

@test "nbd, and BASE is a raw file" {
    export_image disk raw disk.raw
    same_as_raw --source-format nbd --source "$uri_disk" \
        --relative-to base.raw
}

@test "nbd, and BASE is a block device" {
    requires loop
    local base
    export_image disk raw disk.raw
    base=$(make_loop base.raw --read-only)
    same_as_raw --source-format nbd --source "$uri_disk" --relative-to "$base"
}

@test "nbd, and BASE is another export" {
    export_image disk raw disk.raw
    export_image base raw base.raw
    same_as_raw --source-format nbd --source "$uri_disk" \
        --relative-to "$uri_base"
    flags=yes good_difference disk.raw base.raw --source-format nbd \
        --source "$uri_disk" --relative-to "$uri_base" --zero-clusters flag
    good_difference disk.raw disk.raw --source-format nbd \
        --source "$uri_disk" --relative-to "$uri_disk"
    is_empty difference.qcow2
}

@test "nbd, exports of qcow2 images" {
    qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
    qemu-img convert -c -f raw -O qcow2 base.raw base.qcow2
    export_image disk qcow2 disk.qcow2
    export_image base qcow2 base.qcow2
    same_as_raw --source-format nbd --source "$uri_disk" \
        --relative-to "$uri_base"
}

@test "nbd, a base that is larger and one that is smaller" {
    make_disk large.raw 7340544 full
    make_disk small.raw 3000832 full
    export_image disk raw disk.raw
    export_image large raw large.raw
    export_image small raw small.raw
    local size
    for size in large small; do
        local name=uri_$size
        good_difference disk.raw $size.raw --source-format nbd \
            --source "$uri_disk" --relative-to "${!name}"
        good_difference $size.raw disk.raw --source-format nbd \
            --source "${!name}" --relative-to "$uri_disk"
    done
}

@test "every format takes an export as BASE" {
    export_image base raw base.raw
    same_as_raw --source-format raw --source disk.raw \
        --relative-to "$uri_base"
    qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
    same_as_raw --source-format qcow2 --source disk.qcow2 \
        --relative-to "$uri_base"
    same_as_raw --source-format hybrid --source disk.raw:disk.qcow2 \
        --relative-to "$uri_base"
    qemu-img convert -f raw -O vdi disk.raw disk.vdi
    same_as_raw --source-format vdi --source disk.vdi \
        --relative-to "$uri_base"
}

@test "nbdhybrid, and BASE is a raw file or an export" {
    qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
    export_image disk qcow2 disk.qcow2
    export_image base raw base.raw
    local source="disk.raw:$PWD/disk.sock:disk:6291456"
    same_as_raw --source-format nbdhybrid --source "$source" \
        --relative-to base.raw
    same_as_raw --source-format nbdhybrid --source "$source" \
        --relative-to "$uri_base"
}

@test "a server without block status" {
    requires nbdkit
    in_background nbdkit -f -r -U "$PWD/plain.sock" --filter=noextents file \
        base.raw
    wait_until 10 test -S plain.sock
    same_as_raw --source disk.raw \
        --relative-to "nbd+unix:///?socket=$PWD/plain.sock"
}

@test "BASE on a server that is not there, or without that export" {
    refused 1 --source disk.raw \
        --relative-to "nbd+unix:///?socket=$PWD/nosuch.sock"
    error_says "^qcow-tool: stream: .*(nosuch.sock|No such file)"
    export_image base raw base.raw
    refused 1 --source disk.raw \
        --relative-to "nbd+unix:///other?socket=$PWD/base.sock"
    error_says "^qcow-tool: stream: .*other"
}

@test "a BASE that cannot be read in the middle is named with the offset" {
    requires nbdkit
    make_disk base.raw 6M full
    make_disk disk.raw 6M full
    in_background nbdkit -f -r -U "$PWD/bad.sock" --filter=error \
        file base.raw error-pread=EIO error-pread-rate=100%
    wait_until 10 test -S bad.sock
    refused 1 --source disk.raw \
        --relative-to "nbd+unix:///?socket=$PWD/bad.sock"
    error_says "^qcow-tool: stream: .*offset [0-9]+"
}
