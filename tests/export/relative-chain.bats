#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --relative-to an image further down the chain, of other cluster sizes, by
# other names; and that by depth no data is read.

load ../lib/helpers

# sizes BASE TOP
# base.qcow2 and top.qcow2 with these sizes of clusters.
sizes() {
    rm -f ./*.qcow2
    empty_image base.qcow2 6M -o "cluster_size=$1"
    make_disk content 6M seed:2 runs:200K/200K
    lay content base.qcow2
    guest base.qcow2 "write -q -z 5M 300K"
    overlay top.qcow2 base.qcow2 qcow2 -o "cluster_size=$2"
    make_disk changes 6M seed:3 data@100K+3K data@2500K+200K tail+512
    lay changes top.qcow2
    guest top.qcow2 "write -q -z 1M 130K" "discard -q 4M 70K" \
        "write -q -z 3333K 9K"
}

# A chain of four; each writes, zeroes and discards what is below it.
four() {
    empty_image a.qcow2 6M
    make_disk content 6M seed:2 full
    lay content a.qcow2
    overlay b.qcow2 a.qcow2 qcow2
    guest b.qcow2 "write -q -P 1 1M 64K" "write -q -z 2M 128K" \
        "discard -q 3M 128K"
    overlay c.qcow2 b.qcow2 qcow2 -o cluster_size=4K
    guest c.qcow2 "write -q -P 2 1100K 4K" "write -q -P 3 2M 4K" \
        "write -q -z 4M 64K" "write -q -P 4 5M 64K"
    overlay d.qcow2 c.qcow2 qcow2
    guest d.qcow2 "write -q -P 5 4128K 1K" "write -q -z 5M 64K" \
        "write -q -z 3M 64K"
}

# Compressed clusters, which begin behind five others, become noise.
spoil() {
    local size
    size=$(stat -c %s "$1")
    head -c $((size - 327680)) /dev/zero | tr '\0' '\377' |
        dd of="$1" bs=64K seek=5 conv=notrunc status=none
}

@test "clusters of 4K over 64K, and 64K over 4K" {
    sizes 64K 4K
    by_depth top.qcow2 base.qcow2
    sizes 4K 64K
    by_depth top.qcow2 base.qcow2
}

@test "clusters of 2M over 4K, and 4K over 2M" {
    sizes 4K 2M
    by_depth top.qcow2 base.qcow2
    sizes 2M 4K
    by_depth top.qcow2 base.qcow2
}

@test "clusters in the stream of another size than both" {
    sizes 64K 4K
    by_depth top.qcow2 base.qcow2 --cluster-size 16K
    by_depth top.qcow2 base.qcow2 --cluster-size 2M
    sizes 2M 64K
    by_depth top.qcow2 base.qcow2 --cluster-size 4K
}

@test "an overlay with extended L2, and a stream with it" {
    empty_image base.qcow2 6M
    make_disk content 6M seed:2 full
    lay content base.qcow2
    overlay top.qcow2 base.qcow2 qcow2 -o extended_l2=on
    guest top.qcow2 "write -q -P 1 1M 1K" "write -q -z 2M 6K" \
        "write -q -P 2 3M 70K" "discard -q 3100K 10K"
    by_depth top.qcow2 base.qcow2
    by_depth top.qcow2 base.qcow2 --cluster-size 4K
    by_depth top.qcow2 base.qcow2 --extended-l2
    sizes 4K 64K
    by_depth top.qcow2 base.qcow2 --extended-l2
}

@test "BASE one, two and three links down, and the top itself" {
    four
    local base
    for base in d c b a; do
        by_depth d.qcow2 $base.qcow2
    done
    # In d: 64K at 4M + 0, 5M and 3M. Zeroes that are zeroes in c, too, are
    # no difference.
    difference_is top.raw base.raw --source-format qcow2 --source d.qcow2 \
        --relative-to a.qcow2
    raw_of c.qcow2 base.raw
    difference_is top.raw base.raw --source-format qcow2 --source d.qcow2 \
        --relative-to c.qcow2
    [ "$(sent difference.qcow2)" = "4194304+65536
5242880+65536" ]
}

@test "a link between that is smaller hides the end of BASE" {
    # Behind the 2 MiB of the middle the disk reads as zeroes, and BASE does
    # not:   base  ddddddddddddd
    #        mid   dddd
    #        top   dddd.........
    empty_image base.qcow2 5M
    make_disk content 5M full
    lay content base.qcow2
    overlay mid.qcow2 base.qcow2 qcow2 2M
    overlay top.qcow2 mid.qcow2 qcow2 6M
    guest top.qcow2 "write -q -P 1 1M 64K"
    by_depth top.qcow2 base.qcow2
    [ "$(sent difference.qcow2)" = "1048576+65536
2097152+3145728" ]
    by_depth top.qcow2 mid.qcow2
    [ "$(sent difference.qcow2)" = 1048576+65536 ]
}

@test "BASE by another path, and with a colon, a comma and blanks in it" {
    mkdir sub "a b, c=d"
    empty_image sub/base.qcow2 5M
    make_disk content 5M full
    lay content sub/base.qcow2
    overlay top.qcow2 sub/base.qcow2 qcow2
    guest top.qcow2 "write -q -P 1 1M 64K"
    ln -s ../sub/base.qcow2 "a b, c=d/it's: \"base\""
    local name
    for name in "$PWD/sub/base.qcow2" ./sub/../sub/base.qcow2 \
        "a b, c=d/it's: \"base\""; do
        # What is data is known though the data is not there.
        rm -f absent.raw
        truncate -s 5M absent.raw
        qcow_tool measure --source-format hybrid \
            --source absent.raw:top.qcow2 --relative-to "$name"
        [ "$(jq .data stdout)" = 65536 ]
        by_depth top.qcow2 "$name"
    done
}

@test "by depth the data of a hybrid's device is not read" {
    four
    truncate -s 6M absent.raw
    qcow_tool measure --source-format hybrid --source absent.raw:d.qcow2 \
        --relative-to c.qcow2
    [ "$(jq .data stdout)" = 131072 ]
    # Comparing would find no more here than zeroes.
    make_disk noise 6M seed:9 full
    stdout_to=one.qcow2 qcow_tool stream --source-format hybrid \
        --source absent.raw:d.qcow2 --relative-to b.qcow2
    stdout_to=two.qcow2 qcow_tool stream --source-format hybrid \
        --source noise:d.qcow2 --relative-to b.qcow2
    [ -n "$(sent one.qcow2)" ]
    [ "$(sent one.qcow2)" = "$(sent two.qcow2)" ]
}

@test "by depth the data of BASE is not read" {
    empty_image base.qcow2 5M
    guest base.qcow2 "write -q -c -P 9 0 5M"
    raw_of base.qcow2 base.raw
    overlay top.qcow2 base.qcow2 qcow2
    guest top.qcow2 "write -q -P 1 1M 64K" "write -q -z 2M 64K"
    raw_of top.qcow2 top.raw
    spoil base.qcow2
    run ! qemu-img convert -f qcow2 -O raw base.qcow2 unreadable.raw
    good_difference top.raw base.raw --source-format qcow2 \
        --source top.qcow2 --relative-to base.qcow2
    holds difference.qcow2 131072 131072
    good_difference top.raw base.raw --source-format hybrid \
        --source top.raw:top.qcow2 --relative-to base.qcow2
    holds difference.qcow2 131072 131072
}
