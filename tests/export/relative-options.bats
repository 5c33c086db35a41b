#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --relative-to together with the other options of `stream`.

load ../lib/helpers

# A base of data, holes and zeroes, and a disk with some of each changed.
setup() {
    helpers_setup
    make_disk base 10M runs:128K/128K zeroes@7M+1M
    cp --sparse=always base disk
    make_disk disk 10M seed:2 pieces:8 empties:8 data@7M+5K zeroes@8M+70K \
        tail+512
    raw=(--source-format raw --source disk --relative-to base)
}

@test "all cluster sizes" {
    local size
    for size in 4K 2M; do
        good_difference disk base "${raw[@]}" --cluster-size $size
    done
    make_disk small 600K runs:16K/16K
    cp --sparse=always small changed
    make_disk changed 600K seed:2 pieces:2 empties:2
    good_difference changed small --source changed --relative-to small \
        --cluster-size 512
}

@test "extended L2: subclusters are sent, not clusters" {
    good_difference disk base "${raw[@]}" --extended-l2
    difference_is disk base "${raw[@]}" --extended-l2 --cluster-size 2M
    make_disk base 10M full
    make_disk disk 10M full
    make_disk disk 10M seed:2 data@1M+512 data@5000K+3K
    good_difference disk base "${raw[@]}" --extended-l2
    # Subclusters of 2 KiB.
    [ "$(sent difference.qcow2)" = "1048576+2048
5120000+4096" ]
}

@test "compat 0.10 and refcounts of 1 and of 64 bits" {
    good_difference disk base "${raw[@]}" --compat 0.10
    difference_is disk base "${raw[@]}" --refcount-bits 1
    difference_is disk base "${raw[@]}" --refcount-bits 64
}

@test "--detect-zeroes still sends the zeroes that are data in BASE" {
    good_difference disk base "${raw[@]}" --detect-zeroes
    make_disk base 10M full
    make_disk disk 10M zeroes@0+10M
    good_difference disk base "${raw[@]}" --detect-zeroes
    holds difference.qcow2 10485760 10485760
}

@test "block devices, and --direct" {
    requires loop
    local disk base
    disk=$(make_loop disk --read-only)
    base=$(make_loop base --read-only)
    good_difference disk base --source-format raw --source "$disk" \
        --relative-to "$base"
    difference_is disk base --source-format raw --source "$disk" \
        --relative-to "$base" --direct
    difference_is disk base "${raw[@]}" --direct
}

@test "without the fast mover" {
    export QCOW_TOOL_MOVER=copy
    good_difference disk base "${raw[@]}"
}

@test "the same stream each time, and --offset sends its rest" {
    local size offset
    stdout_to=whole.qcow2 qcow_tool stream "${raw[@]}"
    stdout_to=again.qcow2 qcow_tool stream "${raw[@]}"
    same_bytes whole.qcow2 again.qcow2
    size=$(stat -c %s whole.qcow2)
    for offset in 1 65537 400001 $((size - 1)) "$size"; do
        stdout_to=rest.bin qcow_tool stream "${raw[@]}" --offset "$offset"
        cmp <(tail -c +$((offset + 1)) whole.qcow2) rest.bin
    done
    nothing_left
}

@test "progress for machines ends with 100" {
    qcow_tool stream "${raw[@]}" --destination out.qcow2 --progress --machine
    [[ $stdout =~ ^([0-9]{3})*100$ ]]
    served disk base out.qcow2
}

@test "from disk to disk through a socket" {
    cp --sparse=always base copy.raw
    through_socketpair qcow-tool stream "${raw[@]}" --destination-fd '{}' -- \
        qcow-tool serve --source-fd '{}' --destination copy.raw --prezeroed
    same_bytes disk copy.raw
    nothing_left
}

@test "what xapi says besides changes nothing, nor does the order of options" {
    stdout_to=one.qcow2 qcow_tool stream "${raw[@]}"
    qcow_tool stream --relative-to base --source-protocol none \
        --source-format raw --source disk --destination-protocol none \
        --destination-format qcow2 --destination-fd 5 --path /dev/mapper:. \
        --tar-filename-prefix "" --progress --machine --direct 5>two.qcow2
    same_bytes one.qcow2 two.qcow2
}

@test "a raw base that begins as qcow2 does gets a warning, and is raw" {
    image base base.qcow2
    truncate -s 10M base.qcow2
    stdout_to=out.qcow2 qcow_tool stream disk --relative-to base.qcow2
    error_says 'warning: base.qcow2 begins as a qcow2.* compared as a raw'
    one_line stderr
    cp base.qcow2 copy.raw
    qcow_tool serve copy.raw --prezeroed --force <out.qcow2
    same_bytes disk copy.raw
    # Not for programs, who know what they have, nor for bases that are none.
    qcow_tool measure disk --relative-to base.qcow2 --progress --machine
    run ! grep warning stderr
    qcow_tool measure disk --relative-to base
    [ ! -s stderr ]
}
