#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --relative-to an image that is in the chain: what differs is what lies above
# it, and the chain's maps say that.

load ../lib/helpers

# base_image KIND [CREATE-OPTION...]
base_image() {
    local kind=$1
    shift
    empty_image base.qcow2 5M "$@"
    case $kind in
    random) make_disk content 5M seed:2 runs:96K/96K ;;
    full) make_disk content 5M seed:2 full ;;
    esac
    [ "$kind" = empty ] || lay content base.qcow2
}

# top_image KIND [CREATE-OPTION...]
# A guest wrote the whole of an empty or a full disk, or a bit here and there.
top_image() {
    local kind=$1
    shift
    overlay top.qcow2 base.qcow2 qcow2 "$@"
    case $kind in
    empty) guest top.qcow2 "write -q -z 0 5M" ;;
    random)
        make_disk changes 5M seed:3 pieces:6 data@2M+64K tail+512
        lay changes top.qcow2
        guest top.qcow2 "write -q -z 1M 300K" "discard -q 4M 200K" \
            "write -q -P 0 1500K 70K" "write -q -z -u 700K 3K"
        ;;
    full)
        make_disk changes 5M seed:3 full
        lay changes top.qcow2
        ;;
    esac
}

# over KIND
over() {
    local kind
    base_image "$1"
    for kind in empty random full; do
        top_image $kind
        by_depth top.qcow2 base.qcow2
        rm top.qcow2
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

@test "an overlay in which nothing was written: nothing is sent" {
    base_image random
    overlay top.qcow2 base.qcow2 qcow2
    by_depth top.qcow2 base.qcow2
    is_empty difference.qcow2
}

@test "BASE is the image itself: nothing is sent" {
    base_image random
    top_image random
    by_depth top.qcow2 top.qcow2
    is_empty difference.qcow2
    by_depth base.qcow2 base.qcow2
    is_empty difference.qcow2
}

@test "zeroes over data, by each way that a guest has" {
    base_image full
    overlay top.qcow2 base.qcow2 qcow2
    guest top.qcow2 "write -q -z 0 128K" "write -q -z -u 1M 128K" \
        "discard -q 2M 128K" "write -q -P 0 3M 128K" "write -q -z 4M 4K"
    by_depth top.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = "0+131072
1048576+131072
2097152+131072
3145728+131072
4194304+65536" ]
}

@test "zeroes over nothing are nothing" {
    empty_image base.qcow2 5M
    guest base.qcow2 "write -q -z 2M 1M"
    overlay top.qcow2 base.qcow2 qcow2
    guest top.qcow2 "write -q -z 1M 2M" "discard -q 4M 64K"
    by_depth top.qcow2 base.qcow2
    is_empty difference.qcow2
}

@test "data over zeroes, and over what the base discarded" {
    base_image full
    guest base.qcow2 "write -q -z 1M 256K" "discard -q 2M 256K"
    overlay top.qcow2 base.qcow2 qcow2
    allocate top.qcow2 1M+64K 1200K+1K 2M+512
    by_depth top.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = "1048576+65536
1179648+65536
2097152+65536" ]
}

@test "data that a guest rewrote is sent by depth, as comparing would not" {
    base_image full
    overlay top.qcow2 base.qcow2 qcow2
    guest top.qcow2 "write -q -P 7 1M 64K"
    raw_of base.qcow2 content
    make_disk same 5M
    dd if=content of=same bs=64K skip=32 seek=32 count=4 conv=notrunc \
        status=none
    lay same top.qcow2
    by_depth top.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = "1048576+65536
2097152+262144" ]
}

@test "an overlay larger than its base, and one smaller" {
    base_image full
    overlay top.qcow2 base.qcow2 qcow2 9M
    allocate top.qcow2 5100K+64K 8M+1M
    by_depth top.qcow2 base.qcow2
    holds difference.qcow2 1179648 1179648
    overlay small.qcow2 base.qcow2 qcow2 3M
    allocate small.qcow2 1M+64K 3145216+512
    guest small.qcow2 "write -q -z 2M 64K"
    by_depth small.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = "1048576+65536
2097152+65536
3080192+65536" ]
}

@test "sizes that are no number of clusters" {
    make_disk content 3000832 full
    qemu-img convert -f raw -O qcow2 content base.qcow2
    overlay top.qcow2 base.qcow2 qcow2
    by_depth top.qcow2 base.qcow2
    is_empty difference.qcow2
    allocate top.qcow2 3000320+512
    by_depth top.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = 2949120+51712 ]
    guest top.qcow2 "write -q -z 2949120 51712"
    by_depth top.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = 2949120+51712 ]
    overlay large.qcow2 base.qcow2 qcow2 4000256
    by_depth large.qcow2 base.qcow2
    is_empty difference.qcow2
    allocate large.qcow2 3000832+512
    by_depth large.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = 2949120+65536 ]
    overlay small.qcow2 base.qcow2 qcow2 1000448
    allocate small.qcow2 999936+512
    by_depth small.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = 983040+17408 ]
}

@test "compressed clusters in the overlay and in its base" {
    make_disk content 5M seed:2 runs:96K/96K
    qemu-img convert -c -f raw -O qcow2 content base.qcow2
    overlay top.qcow2 base.qcow2 qcow2
    guest top.qcow2 "write -q -c -P 7 1M 64K" "write -q -P 8 2M 3K" \
        "write -q -z 3M 64K"
    by_depth top.qcow2 base.qcow2
    holds difference.qcow2 131072 196608
}

@test "an image with compat 0.10, which has no zero flag" {
    base_image full -o compat=0.10
    top_image random -o compat=0.10
    by_depth top.qcow2 base.qcow2
}

@test "an image that is held open by another process" {
    base_image full
    top_image random
    hold_open top.qcow2
    local options=(--source-format hybrid --source top.raw:top.qcow2
        --relative-to base.qcow2)
    # The copies are made without it.
    qemu-img convert -U -f qcow2 -O raw top.qcow2 top.raw
    qemu-img convert -U -f qcow2 -O raw base.qcow2 base.raw
    good_difference top.raw base.raw "${options[@]}"
    good_difference top.raw base.raw --source-format qcow2 \
        --source top.qcow2 --relative-to base.qcow2
}
