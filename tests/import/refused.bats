#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What `serve` refuses, and that nothing is written then. The connection stays
# open: none of this needs its end to be seen.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 4M runs:256K/512K
    image disk.raw bad.qcow2
    other_data copy.raw 4M
}

# refused REGEX
# bad.qcow2, by an existing file and by a new one.
refused() {
    local to
    for to in copy.raw new.raw; do
        expect="* 1" keep_open=1 time_limit=20 send_image bad.qcow2 -- \
            --destination "$to"
        error_says "^qcow-tool: serve: .*($1)" receiver.stderr
    done
    untouched copy.raw
    [ ! -e new.raw ]
    nothing_left
}

@test "an image with a backing file is refused" {
    qemu-img create -q -f qcow2 -b disk.raw -F raw bad.qcow2
    refused "backing file"
}

@test "the place of a backing file without a name is no backing file" {
    poke bad.qcow2 8 0000000000000200
    send_image bad.qcow2 -- --destination copy.raw
    same_content bad.qcow2 copy.raw
    # Past the first cluster QEMU refuses it, too.
    poke bad.qcow2 8 0000000000010001
    run ! qemu-io -f qcow2 -c quit bad.qcow2
    other_data copy.raw 4M
    refused "backing file"
}

@test "an image with an external data file is refused" {
    qemu-img create -q -f qcow2 -o data_file=data.bin bad.qcow2 4M
    refused "data file"
}

@test "an image encrypted with AES or with LUKS is refused" {
    poke bad.qcow2 32 00000001
    refused "encrypt"
    poke bad.qcow2 32 00000002
    refused "encrypt"
}

@test "an image with an unknown encryption is refused" {
    poke bad.qcow2 32 00000007
    refused "encrypt"
}

@test "an image marked corrupt is refused" {
    poke bad.qcow2 79 02
    refused "corrupt"
}

@test "an image with an incompatible feature that is not known is refused" {
    poke bad.qcow2 79 20
    refused "feature|incompatible"
    poke bad.qcow2 79 00
    poke bad.qcow2 72 80
    refused "feature|incompatible"
}

@test "an image with an unknown compression type is refused" {
    poke bad.qcow2 79 08
    poke bad.qcow2 104 07
    refused "compression"
}

@test "a compression type that contradicts its feature bit is refused" {
    # The type is at 104, the bit for one that is not zlib is the fourth.
    poke bad.qcow2 104 01
    run ! qemu-io -f qcow2 -c quit bad.qcow2
    refused "compression type 1 contradicts"
    poke bad.qcow2 104 00
    poke bad.qcow2 79 08
    run ! qemu-io -f qcow2 -c quit bad.qcow2
    refused "compression type 0 contradicts"
}

@test "an image of version 1 is refused" {
    qemu-img convert -f raw -O qcow disk.raw bad.qcow2
    refused "version 1"
}

@test "an image of version 4 is refused" {
    poke bad.qcow2 4 00000004
    refused "version 4"
}

@test "a VMDK image is refused" {
    qemu-img convert -f raw -O vmdk disk.raw bad.qcow2
    refused "[Nn]ot (a )?qcow2"
}

@test "a raw disk is refused" {
    cp disk.raw bad.qcow2
    refused "[Nn]ot (a )?qcow2"
}

@test "noise is refused" {
    head -c 300000 /dev/urandom >bad.qcow2
    poke bad.qcow2 0 00
    refused "[Nn]ot (a )?qcow2"
}

@test "a few bytes of an answer that is no image are refused" {
    printf 'HTTP/1.1 404 Not Found\r\n\r\n' >bad.qcow2
    expect="* 1" send_image bad.qcow2 -- --destination copy.raw
    error_says "^qcow-tool: serve: .*[Nn]ot (a )?qcow2" receiver.stderr
    untouched copy.raw
    nothing_left
}

@test "cluster sizes that QEMU does not know are refused" {
    poke bad.qcow2 20 00000008
    refused "cluster"
    poke bad.qcow2 20 00000016
    refused "cluster"
    poke bad.qcow2 20 ffffffff
    refused "cluster"
}

@test "a refcount width that QEMU does not know is refused" {
    poke bad.qcow2 96 00000007
    refused "refcount"
}

@test "a header length that cannot be is refused" {
    poke bad.qcow2 100 00000048
    refused "header"
    poke bad.qcow2 100 7fffffff
    refused "header"
}

@test "an L1 table larger than QEMU's limit is refused" {
    poke bad.qcow2 36 00400001
    refused "L1"
}

@test "an L1 table too small for the disk is refused" {
    poke bad.qcow2 36 00000000
    refused "L1"
}

@test "a refcount table larger than QEMU's limit is refused" {
    poke bad.qcow2 56 00100000
    refused "refcount"
}

@test "tables that do not lie on a cluster are refused" {
    poke bad.qcow2 40 0000000000030200
    refused "L1"
}

@test "a table far past the end of any stream is refused, or missed" {
    poke bad.qcow2 40 7fffffffffff0000
    expect="* 1" send_image bad.qcow2 -- --destination copy.raw
    error_says "^qcow-tool: serve: .*(L1|truncated|ended)" receiver.stderr
    untouched copy.raw
    nothing_left
}

@test "an L1 entry that points at no cluster is refused" {
    # The L1 table is the fourth cluster of what qemu-img convert writes. It
    # is QEMU that sees this, and words it.
    poke bad.qcow2 196608 8000000000040200
    refused "QEMU: "
}
