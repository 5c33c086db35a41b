#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --zero-clusters: how a difference says that what was data is zero.

load ../lib/helpers

# Zeroes at 1M+1M and 4M+256K, and in a part of the cluster at 8M.
setup() {
    helpers_setup
    make_disk base 10M full
    make_disk disk 10M full zeroes@1M+1M zeroes@4M+256K zeroes@8M+4K \
        seed:2 data@6M+64K
    raw=(--source-format raw --source disk --relative-to base)
    zeroes="1048576+1048576
4194304+262144"
}

# The same by depth: top.qcow2 over base.qcow2.
chain() {
    empty_image base.qcow2 10M "$@"
    lay base base.qcow2
    overlay top.qcow2 base.qcow2 qcow2 "$@"
    guest top.qcow2 "write -q -z 1M 1M" "discard -q 4M 256K" \
        "write -q -z 8M 4K" "write -q -P 7 6M 64K"
}

@test "data is the default: no flag, zeroes in clusters" {
    good_difference disk base "${raw[@]}"
    holds difference.qcow2 1441792 1441792
    cp difference.qcow2 default.qcow2
    good_difference disk base "${raw[@]}" --zero-clusters data
    same_bytes default.qcow2 difference.qcow2
}

@test "flag, by comparing: what is zero is flagged, and nothing else" {
    flags=yes good_difference disk base "${raw[@]}" --zero-clusters flag
    [ "$(flagged difference.qcow2)" = "$zeroes" ]
    holds difference.qcow2 1441792 1441792
    # Two clusters hold data, and there are five of tables.
    [ "$(stat -c %s difference.qcow2)" -le $((7 * 65536)) ]
}

@test "flag, by depth: what is zero is flagged, and nothing else" {
    chain
    flags=yes by_depth top.qcow2 base.qcow2 --zero-clusters flag
    [ "$(flagged difference.qcow2)" = "$zeroes" ]
    holds difference.qcow2 1441792 1441792
    [ "$(stat -c %s difference.qcow2)" -le $((7 * 65536)) ]
    by_depth top.qcow2 base.qcow2
    holds difference.qcow2 1441792 1441792
}

@test "flag with other clusters in the chain and in the stream" {
    chain -o cluster_size=4K
    flags=yes by_depth top.qcow2 base.qcow2 --zero-clusters flag
    [ "$(flagged difference.qcow2)" = "$zeroes" ]
    flags=yes by_depth top.qcow2 base.qcow2 --zero-clusters flag \
        --cluster-size 4K
    [ "$(flagged difference.qcow2)" = "$zeroes
8388608+4096" ]
    flags=yes by_depth top.qcow2 base.qcow2 --zero-clusters flag \
        --cluster-size 2M
    [ -z "$(flagged difference.qcow2)" ]
}

@test "flag with extended L2: subclusters are flagged" {
    flags=yes good_difference disk base "${raw[@]}" --zero-clusters flag \
        --extended-l2
    [ "$(flagged difference.qcow2)" = "$zeroes
8388608+4096" ]
    make_disk base 10M full
    make_disk disk 10M full zeroes@1M+6K zeroes@1030K+512 zeroes@5M+1M
    flags=yes good_difference disk base "${raw[@]}" --zero-clusters flag \
        --extended-l2
    [ "$(flagged difference.qcow2)" = "1048576+6144
5242880+1048576" ]
}

@test "flag where all is zero, and where nothing is" {
    make_disk zero 10M
    flags=yes good_difference zero base --source zero --relative-to base \
        --zero-clusters flag
    [ "$(flagged difference.qcow2)" = 0+10485760 ]
    [ "$(stat -c %s difference.qcow2)" -le $((5 * 65536)) ]
    make_disk other 10M seed:5 full
    flags=yes good_difference other base --source other --relative-to base \
        --zero-clusters flag
    [ -z "$(flagged difference.qcow2)" ]
    flags=yes good_difference base base --source base --relative-to base \
        --zero-clusters flag
    is_empty difference.qcow2
}

@test "flag does not flag what is zero in BASE as well" {
    make_disk base 10M zeroes@0+3M
    make_disk disk 10M zeroes@2M+3M zeroes@8M+1M
    make_disk hollow 10M
    flags=yes good_difference hollow hollow --source hollow \
        --relative-to hollow --zero-clusters flag
    is_empty difference.qcow2
    flags=yes good_difference disk base "${raw[@]}" --zero-clusters flag
    [ "$(flagged difference.qcow2)" = "3145728+2097152
8388608+1048576" ]
}

@test "flag at the end of a disk that is no number of clusters" {
    make_disk odd 3000832 full
    make_disk cut 3000832 full zeroes@2949120+64K
    flags=yes good_difference cut odd --source cut --relative-to odd \
        --zero-clusters flag
    [ "$(flagged difference.qcow2)" = 2949120+51712 ]
    flags=yes good_difference cut base --source cut --relative-to base \
        --zero-clusters flag
    make_disk short 3000003
    flags=yes good_difference short base --source short --relative-to base \
        --zero-clusters flag
}

@test "flag and --detect-zeroes, in data of an image that is zero" {
    chain
    guest top.qcow2 "write -q -P 0 2M 128K"
    flags=yes by_depth top.qcow2 base.qcow2 --zero-clusters flag \
        --detect-zeroes
    [ "$(flagged difference.qcow2)" = "1048576+1179648
4194304+262144" ]
    flags=yes by_depth top.qcow2 base.qcow2 --zero-clusters flag
    [ "$(flagged difference.qcow2)" = "$zeroes" ]
}

@test "flag needs compat 1.1, and data does not" {
    refused 2 "${raw[@]}" --zero-clusters flag --compat 0.10
    error_says "zero-clusters"
    error_says "compat"
    refused 2 "${raw[@]}" --compat 0.10 --zero-clusters flag
    good_difference disk base "${raw[@]}" --zero-clusters data --compat 0.10
}

@test "another way than data or flag is a usage error" {
    local way
    for way in "" Flag zero 1; do
        refused 2 "${raw[@]}" --zero-clusters "$way"
        error_says "zero-clusters"
    done
}
