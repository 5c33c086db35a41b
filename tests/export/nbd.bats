#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format nbd: servers that work, each in its way.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 10507264 data@0+4K runs:200K/300K@1M+4M zeroes@2M+256K \
        data@7M+1M tail+3K
}

@test "qemu-nbd on a Unix socket" {
    nbd_server unix qemu-nbd --persistent --shared 8 -r -f raw disk
    both_arrive disk nbd "$uri"
}

@test "qemu-nbd over TCP, by IPv4 and by a host's name" {
    requires name:localhost
    nbd_server 127.0.0.1 qemu-nbd --persistent --shared 8 -r -f raw disk
    both_arrive disk nbd "$uri"
    sends disk nbd "nbd://localhost:$port/"
}

@test "qemu-nbd over TCP, by IPv6" {
    needs_ipv6
    qcow-tool --version | grep -qE '^libnbd 1\.[0-9]\.' &&
        skip 'libnbd here takes no IPv6 address in a URI'
    nbd_server ::1 qemu-nbd --persistent --shared 8 -r -f raw disk
    both_arrive disk nbd "$uri"
}

@test "the allocation of a qcow2 image that qemu-nbd serves is the stream's" {
    disk_image qcow2 disk base.qcow2
    overlay image.qcow2 base.qcow2 qcow2
    allocate image.qcow2 3M+64K 9M+192K
    qemu-io -f qcow2 -c "write -q -z 7M 512K" -c "write -q -P 0 4M 128K" \
        image.qcow2
    qemu-img convert -f qcow2 -O raw image.qcow2 expected.raw
    nbd_server unix qemu-nbd --persistent --shared 8 -r -f qcow2 image.qcow2
    both_arrive expected.raw nbd "$uri"
    [ "$(allocated streamable.qcow2)" = "$(allocated image.qcow2)" ]
}

@test "an export by its name" {
    nbd_server unix qemu-nbd --persistent --shared 8 -r -x disk7 -f raw disk
    sends disk nbd "$(exported disk7)"
}

@test "an export whose name has to be quoted in a URI" {
    nbd_server unix qemu-nbd --persistent --shared 8 -r \
        -x 'the disk/7 é?' -f raw disk
    both_arrive disk nbd "$(exported 'the%20disk%2F7%20%C3%A9%3F')"
    nbd_server 127.0.0.1 qemu-nbd --persistent --shared 8 -r \
        -x 'the disk/7 é?' -f raw disk
    sends disk nbd "$(exported 'the%20disk%2F7%20%C3%A9%3F')"
}

@test "one of many exports of one server" {
    mkdir many
    mv disk many/right
    make_disk many/wrong 1M full
    nbd_server unix nbdkit -r file dir=many
    sends many/right nbd "$(exported right)"
}

@test "nbdkit, over as many connections as the client wants" {
    nbd_server unix nbdkit -r file disk
    both_arrive disk nbd "$uri"
    sends disk nbd "$uri" --cluster-size 4K
    sends disk nbd "$uri" --extended-l2
}

@test "a server that says it takes one connection only" {
    requires nbdkit:multi-conn
    nbd_server unix nbdkit -r --filter=multi-conn file disk \
        multi-conn-mode=disable
    both_arrive disk nbd "$uri"
}

@test "a server that lets a second connection wait for the end of the first" {
    nbd_server unix nbdkit -r --filter=noparallel file disk \
        serialize=connections
    both_arrive disk nbd "$uri"
}

@test "a server that is slow" {
    requires nbdkit:blocksize-policy # as young as delay-open
    nbd_server unix nbdkit -r --filter=delay file disk delay-open=200ms \
        rdelay=20ms delay-extents=20ms
    both_arrive disk nbd "$uri"
}

@test "a server that takes only requests that are aligned" {
    local size=$((10 << 20))
    truncate -s $size disk
    requires nbdkit:blocksize-policy
    nbd_server unix nbdkit -r --filter=blocksize-policy file disk \
        blocksize-minimum=4096 blocksize-error-policy=error
    sends disk nbd "$uri"
}

@test "a server that takes only small requests" {
    requires nbdkit:blocksize-policy
    nbd_server unix nbdkit -r --filter=blocksize-policy file disk \
        blocksize-maximum=65536 blocksize-error-policy=error
    sends disk nbd "$uri"
}

@test "a server without block status: what is zero is left out all the same" {
    nbd_server unix nbdkit -r --filter=noextents file disk
    both_arrive disk nbd "$uri"
    local layout
    for layout in streamable convert; do
        stdout_to=raw.qcow2 qcow_tool stream --source-format raw \
            --source disk --layout $layout
        [ "$(data_ranges $layout.qcow2)" = "$(data_ranges raw.qcow2)" ]
    done
}

@test "a server without structured replies" {
    nbd_server unix nbdkit -r --no-sr file disk
    sends disk nbd "$uri"
}

@test "a server of the old protocol, without options" {
    nbd_server unix nbdkit -r -o file disk
    sends disk nbd "$uri"
}

@test "disks whose size is no multiple of 512, nor of 64 KiB" {
    local size
    for size in 1 100 65537 1048575; do
        rm disk
        make_disk disk $size full zeroes@4K+16K
        nbd_server unix nbdkit -r file disk
        sends disk nbd "$uri"
        nbd_server unix nbdkit -r --filter=noextents file disk
        sends disk nbd "$uri"
    done
}

@test "an empty disk and a full one" {
    make_disk empty 6M
    make_disk full 6M full
    nbd_server unix nbdkit -r file empty
    sends empty nbd "$uri"
    [ -z "$(data_ranges convert.qcow2)" ]
    nbd_server unix nbdkit -r file full
    sends full nbd "$uri"
}

@test "a disk of 8 TiB with little in it" {
    make_disk big 8T data@1M+300K data@3T+70K tail+64K
    nbd_server unix nbdkit -r file big
    stdout_to=stream.qcow2 qcow_tool stream --source-format nbd --source "$uri"
    sound_image stream.qcow2
    good_order stream.qcow2
    measured stream.qcow2 --source-format nbd --source "$uri"
    same_content big raw stream.qcow2
    nothing_left
}

@test "both layouts are those of the same disk as a raw file" {
    # nbdkit tells the holes of the file; qemu-img convert sees the same.
    mixed_disk mixed
    qemu-img convert -f raw -O qcow2 mixed expected.qcow2
    local filter
    for filter in nofilter noextents; do
        nbd_server unix nbdkit -r --filter=$filter file mixed
        stdout_to=stream.qcow2 qcow_tool stream --source-format nbd \
            --source "$uri" --layout convert --detect-zeroes
        same_bytes expected.qcow2 stream.qcow2
        stdout_to=stream.qcow2 qcow_tool stream --source-format nbd \
            --source "$uri" --detect-zeroes
        stdout_to=raw.qcow2 qcow_tool stream --source-format raw --source mixed
        same_bytes raw.qcow2 stream.qcow2
    done
}
