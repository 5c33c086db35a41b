#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --relative-to with raw disks: what differs is found by comparing.

load ../lib/helpers

# compared DISK BASE [STREAM-ARG...]
compared() {
    local disk=$1 base=$2
    shift 2
    good_difference "$disk" "$base" --source-format raw --source "$disk" \
        --relative-to "$base" "$@"
}

# The same, of the default layout only.
compared_once() {
    local disk=$1 base=$2
    shift 2
    difference_is "$disk" "$base" --source-format raw --source "$disk" \
        --relative-to "$base" "$@"
}

# over KIND
# Each kind of disk over a base of that kind.
over() {
    make_disk empty 5M
    make_disk random 5M runs:96K/96K zeroes@1M+1M tail+512
    make_disk full 5M full
    case $1 in
    empty) make_disk base 5M zeroes@0+5M ;;
    random) make_disk base 5M seed:2 runs:96K/96K zeroes@3M+64K ;;
    full) make_disk base 5M seed:2 full ;;
    esac
    local disk
    for disk in empty random full; do
        compared $disk base
    done
}

@test "an empty, a random and a full disk over an empty base" {
    over empty
}

@test "an empty, a random and a full disk over a random base" {
    over random
}

@test "an empty, a random and a full disk over a full base" {
    over full
}

@test "the same disk: the stream is that of an empty one" {
    mixed_disk disk 12M
    cp disk base
    compared disk base
    is_empty difference.qcow2
    make_disk empty 12M
    stdout_to=empty.qcow2 qcow_tool stream --source empty
    same_bytes empty.qcow2 difference.qcow2
}

@test "BASE is the disk itself: nothing differs" {
    mixed_disk disk 12M
    compared disk disk
    is_empty difference.qcow2
    ln -s disk link
    difference_is disk disk --source disk --relative-to "$PWD/link"
    is_empty difference.qcow2
}

@test "some bytes here and there: their clusters, and no others" {
    make_disk base 24M full
    cp base disk
    make_disk disk 24M seed:3 data@99+1 data@1114111+9 data@9M+512 \
        data@20M+3K tail+1
    compared disk base
    [ "$(sent difference.qcow2)" = "0+65536
1048576+131072
9437184+65536
20971520+65536
25100288+65536" ]
    compared_once disk base --cluster-size 4K
    [ "$(sent difference.qcow2)" = "0+4096
1110016+8192
9437184+4096
20971520+4096
25161728+4096" ]
}

@test "holes and written zeroes are the same" {
    make_disk base 12M data@1M+1M data@9M+1M
    make_disk disk 12M data@1M+1M data@9M+1M zeroes@4M+1M zeroes@11M+1M
    compared disk base
    is_empty difference.qcow2
    compared_once base disk
    is_empty difference.qcow2
}

@test "holes and written zeroes over data are clusters of zeroes" {
    make_disk base 12M full
    make_disk disk 12M full
    fallocate --punch-hole --offset 1M --length 1M disk
    make_disk disk 12M zeroes@4M+300K zeroes@9000K+1K
    compared disk base
    [ "$(sent difference.qcow2)" = "1048576+1048576
4194304+327680
9175040+65536" ]
}

@test "data over zeroes and over holes" {
    make_disk base 12M zeroes@1M+1M
    make_disk disk 12M data@1M+64K data@5M+128K tail+512
    compared disk base
    [ "$(sent difference.qcow2)" = "1048576+65536
5242880+131072
12517376+65536" ]
}

@test "a base larger than the disk: its end does not count" {
    make_disk base 20M full
    make_disk disk 9M full
    compared disk base
    is_empty difference.qcow2
    make_disk disk 9M seed:2 data@1M+64K tail+512
    compared_once disk base
    holds difference.qcow2 131072 131072
}

@test "a base smaller than the disk: behind it there are zeroes" {
    make_disk base 5M full
    make_disk disk 16M data@0+5M
    compared disk base
    is_empty difference.qcow2
    make_disk disk 16M data@0+7M tail+512
    compared_once disk base
    [ "$(sent difference.qcow2)" = "5242880+2097152
16711680+65536" ]
}

@test "the smaller one ends in the middle of a cluster and of a sector" {
    make_disk base 1000003 full
    make_disk disk 3000320 data@0+1000003
    compared disk base
    is_empty difference.qcow2
    make_disk disk 3000320 data@0+1000004
    compared_once disk base
    holds difference.qcow2 65536 65536
    make_disk disk 3000320 full
    compared_once disk base
    compared_once base disk
    # The last sector's other end is zero now.
    holds difference.qcow2 512 17408
}

@test "a last cluster and a last sector in part: changed, zeroed, the same" {
    local size
    for size in 3000832 3000003; do
        rm -f base disk
        make_disk base $size full
        make_disk disk $size full
        compared disk base
        is_empty difference.qcow2
        make_disk disk $size seed:2 tail+3
        compared_once disk base
        [ "$(sent difference.qcow2 | cut -d+ -f1)" = 2949120 ]
        make_disk disk $size zeroes@2949120+64K
        compared_once disk base
        [ "$(sent difference.qcow2 | cut -d+ -f1)" = 2949120 ]
    done
}

@test "an empty base, an empty disk and disks of one sector" {
    : >nothing
    make_disk disk 5M runs:96K/96K
    compared disk nothing
    make_disk sector 512 full
    make_disk other 512 seed:2 full
    compared_once sector other
    compared_once sector disk
    compared_once disk sector
    make_disk zero 512
    compared_once zero sector
    compared_once sector nothing
}
