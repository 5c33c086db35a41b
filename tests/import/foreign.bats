#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What comes in the place of a qcow2 image is called by its name.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 1M data@64K+64K
    image disk.raw disk.qcow2
}

# is WORDS: standard input is refused as that, and nothing is left.
is() {
    qcow_tool 1 serve new.raw
    error_says "^qcow-tool: serve: source: not a qcow2 image but .*($1)"
    one_line stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "what was packed is named, and how to unpack it" {
    requires gzip xz bzip2
    local tool
    for tool in gzip xz bzip2; do
        $tool -c disk.qcow2 >packed
        is "$tool data: pipe it through $tool -dc" <packed
        $tool -dc packed | qcow_tool serve unpacked.raw
        same_bytes disk.raw unpacked.raw
        rm unpacked.raw
    done
    # Not everybody has zstd: its first bytes, by RFC 8878.
    printf '\050\265\057\375\044\000' >packed
    is 'zstd data: pipe it through zstd -dc' <packed
}

@test "images of other formats are named, and sent as is said" {
    local format
    for format in vmdk vpc vhdx vdi; do
        qemu-img convert -O $format disk.raw disk.$format
        is "source-format $format" <disk.$format
        qcow-tool stream disk.$format --source-format $format |
            qcow_tool serve copy.raw
        cmp -n 1048576 disk.raw copy.raw
        rm copy.raw
    done
}

@test "a disk that is no image is named" {
    head -c 2M /dev/zero >iso
    printf 'CD001' | dd of=iso bs=1 seek=32769 conv=notrunc status=none
    is 'ISO 9660' <iso
    # Of a pipe it takes more than one read.
    is 'ISO 9660' < <(cat iso)
    printf '\125\252' | dd of=disk.raw bs=1 seek=510 conv=notrunc status=none
    is 'raw disk with a boot sector' <disk.raw
    is 'zeroes' </dev/zero
}

@test "what servers say is named, and shown" {
    is 'HTTP response.*HTTP/1.1 404 Not Found' \
        < <(printf 'HTTP/1.1 404 Not Found\r\n\r\n<html>')
    is 'HTML page.*<html><body>Internal' \
        < <(printf '\n<html><body>Internal server error</body></html>')
    is 'JSON text.*"error": "no such VDI"' \
        < <(printf '{\n    "error": "no such VDI"\n}\n')
    is 'JSON text' < <(qcow-tool measure disk.raw)
}

@test "a sender that waits for an answer gets it, though it sent little" {
    printf '{"id":1}' >request
    expect="* 1" keep_open=1 time_limit=20 send_image request -- \
        --destination new.raw
    error_says 'not a qcow2 image but a JSON text: [{]"id":1[}]$' \
        receiver.stderr
    printf 'abcd' >request
    expect="* 1" keep_open=1 time_limit=20 send_image request -- \
        --destination new.raw
    error_says 'not a qcow2 image: no magic number' receiver.stderr
    nothing_left
}
