#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format nbd: servers whose block status is odd, but true.

load ../lib/helpers

# with_extents LINE...
# Serves `disk` with this block status: OFFSET LENGTH TYPE, holes between.
with_extents() {
    printf '%s\n' "$@" >extents
    nbd_server unix nbdkit -r --filter=extentlist file disk extentlist=extents
}

@test "holes that may hold anything are read" {
    # NBD_STATE_HOLE alone says nothing about the content.
    make_disk disk 8M data@1M+1M data@3M+1M data@6M+1M
    with_extents '0 2M hole' '3M 1M' '6M 2M hole'
    both_arrive disk nbd "$uri"
}

@test "zeroes that are no holes are left out" {
    make_disk disk 8M data@1M+1M zeroes@2M+2M data@6M+1M
    with_extents '0 1M zero' '1M 1M' '2M 4M zero' '6M 1M'
    sends disk nbd "$uri"
    [ "$(data_ranges streamable.qcow2)" = $'1048576+1048576\n6291456+1048576' ]
}

@test "what the server says is data is sent, without a look" {
    make_disk disk 8M data@1M+64K
    with_extents '1M 1M' '4M 192K'
    sends disk nbd "$uri"
    [ "$(data_ranges streamable.qcow2)" = $'1048576+1048576\n4194304+196608' ]
    sends disk nbd "$uri" --detect-zeroes
    [ "$(data_ranges streamable.qcow2)" = 1048576+65536 ]
}

@test "extents that begin and end anywhere" {
    make_disk disk 8M full
    python3 - disk >extents <<\END
import random, sys
rng = random.Random(1)
at = 0
with open(sys.argv[1], "r+b") as f:
    while at < 8 << 20:
        n = min(rng.choice([1, 7, 511, 513, 4097, 65537, 100001]),
                (8 << 20) - at)
        if rng.random() < 0.5:
            f.seek(at)
            f.write(bytes(n))
            print(at, n, rng.choice(["zero", "hole,zero"]))
        else:
            print(at, n, rng.choice(["0", "hole"]))
        at += n
END
    nbd_server unix nbdkit -r --filter=extentlist file disk extentlist=extents
    both_arrive disk nbd "$uri"
    sends disk nbd "$uri" --cluster-size 512
    sends disk nbd "$uri" --extended-l2
}

@test "extents of one sector, thousands of them" {
    make_disk disk 6M full
    python3 - disk >extents <<\END
import sys
with open(sys.argv[1], "r+b") as f:
    for at in range(1 << 20, 4 << 20, 1024):
        f.seek(at)
        f.write(bytes(512))
        print(at, 512, "hole,zero")
        print(at + 512, 512, 0)
print(0, 1 << 20)
print(4 << 20, 2 << 20)
END
    nbd_server unix nbdkit -r --filter=extentlist file disk extentlist=extents
    both_arrive disk nbd "$uri"
    sends disk nbd "$uri" --cluster-size 512
}

@test "a server that answers with one extent at a time" {
    make_disk disk 2M data@64K+64K data@1M+192K tail+64K
    # Extents of 64 KiB, whatever is asked for.
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r eval \
        get_size='stat -c %s disk' \
        pread='dd if=disk bs=64K iflag=skip_bytes,count_bytes \
            skip=$4 count=$3 status=none' \
        can_extents='exit 0' \
        extents='at=$(($4 / 65536))
            case $at in 1 | 1[6-8] | 31) type=0 ;; *) type=hole,zero ;; esac
            echo $((at * 65536)) 65536 $type'
    both_arrive disk nbd "$uri"
    [ "$(data_ranges streamable.qcow2)" = \
        $'65536+65536\n1048576+196608\n2031616+65536' ]
}

@test "a server that answers for more than was asked" {
    make_disk disk 2M data@64K+64K data@1M+192K tail+64K
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r eval \
        get_size='stat -c %s disk' \
        pread='dd if=disk bs=64K iflag=skip_bytes,count_bytes \
            skip=$4 count=$3 status=none' \
        can_extents='exit 0' \
        extents='echo 0 64K hole,zero
            echo 64K 64K
            echo 128K 896K hole,zero
            echo 1M 1M'
    sends disk nbd "$uri"
}

@test "a server whose block status fails: an error that says so" {
    make_disk disk 2M data@64K+64K
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r eval get_size='echo 2M' \
        pread='dd if=disk bs=64K iflag=skip_bytes,count_bytes \
            skip=$4 count=$3 status=none' \
        can_extents='exit 0' extents='echo EIO no >&2; exit 1'
    source_fails "offset 0.*Input/output error" nbd "$uri"
    nothing_sent
}

@test "one long extent: 3 TiB of hole before a little data" {
    make_disk disk 3T tail+64K
    with_extents "$((3 * 1024 * 1024 - 1))M 1M"
    stdout_to=stream.qcow2 qcow_tool stream --source-format nbd --source "$uri"
    same_content disk raw stream.qcow2
    good_order stream.qcow2
}

@test "data of more than 4 GiB in one extent is measured" {
    # A reply of block status has 32 bits for its length.
    with_extents_of 9G '1G 7G'
    qcow_tool measure --source-format nbd --source "$uri"
    [ "$(jq .data stdout)" = $((7 << 30)) ]
    with_extents_of 9G '0 8G'
    qcow_tool measure --source-format nbd --source "$uri"
    [ "$(jq .data stdout)" = $((8 << 30)) ]
}

# with_extents_of SIZE LINE...
with_extents_of() {
    rm -f disk
    truncate -s "$1" disk
    with_extents "${@:2}"
}
