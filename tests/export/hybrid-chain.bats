#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format hybrid over backing chains, and what of them is refused.

load ../lib/helpers

@test "a chain of three, of relative and absolute names and all cluster sizes" {
    mkdir sub
    make_disk device 64M full
    empty_image sub/base.qcow2 64M -o cluster_size=4k
    allocate sub/base.qcow2 1M+64K 20M+1M
    # Relative to the image that names it, not to the current directory.
    overlay sub/middle.qcow2 base.qcow2 qcow2 -o cluster_size=2M
    allocate sub/middle.qcow2 4M+2M 20M+2M
    overlay image.qcow2 "$PWD/sub/middle.qcow2" qcow2
    allocate image.qcow2 30M+64K 63M+1M
    make_disk expected 64M data@1M+64K data@4M+2M data@20M+2M data@30M+64K \
        data@63M+1M
    good_hybrid device image.qcow2 expected
    good_hybrid "$PWD/device" "$PWD/image.qcow2" expected --cluster-size 4K
}

@test "an image longer than its base: beyond the base there is nothing" {
    make_disk device 64M full
    empty_image base.qcow2 10M
    allocate base.qcow2 9M+1M
    overlay image.qcow2 base.qcow2 qcow2 64M
    allocate image.qcow2 20M+1M
    make_disk expected 64M data@9M+1M data@20M+1M
    good_hybrid device image.qcow2 expected
}

@test "an image shorter than its base: the base's end does not count" {
    make_disk device 8M full
    empty_image base.qcow2 64M
    allocate base.qcow2 1M+1M 7M+5M
    overlay image.qcow2 base.qcow2 qcow2 8M
    make_disk expected 8M data@1M+1M data@7M+1M
    good_hybrid device image.qcow2 expected
}

@test "ranges that IMAGE marks zero hide the data of its base" {
    make_disk device 64M full
    empty_image base.qcow2 64M
    allocate base.qcow2 1M+10M
    overlay image.qcow2 base.qcow2 qcow2
    qemu-io -f qcow2 -c "write -q -z 4M 2M" -c "write -q -z 30M 1M" image.qcow2
    make_disk expected 64M data@1M+3M data@6M+5M
    good_hybrid device image.qcow2 expected
}

@test "a raw base with sub-cluster holes" {
    make_disk base.raw 32M runs:64K/100K
    overlay image.qcow2 base.raw raw 32M
    cp --sparse=always base.raw device
    make_disk device 32M seed:7 data@5M+1M data@31M+1M
    allocate image.qcow2 5M+1M 31M+1M
    cp --sparse=always device expected
    good_hybrid device image.qcow2 expected
    good_hybrid device image.qcow2 expected --cluster-size 4K
    good_hybrid device image.qcow2 expected --extended-l2
    # Its data comes from DEVICE like all: the map is all that is read of it.
    make_disk base.raw 32M seed:9 runs:64K/100K
    good_hybrid device image.qcow2 expected
}

@test "a base recorded as raw is raw, though its guest wrote a qcow2 header" {
    make_disk base.raw 16M data@0+1M data@8M+1M
    empty_image inner.qcow2 700M
    dd if=inner.qcow2 of=base.raw conv=notrunc status=none
    overlay image.qcow2 base.raw raw 16M
    cp --sparse=always base.raw device
    good_hybrid device image.qcow2 device
}

@test "a chain of which every link is held open by other processes" {
    make_disk device 16M full
    empty_image base.qcow2 16M
    allocate base.qcow2 1M+1M
    overlay image.qcow2 base.qcow2 qcow2
    allocate image.qcow2 3M+1M
    hold_open image.qcow2
    make_disk expected 16M data@1M+1M data@3M+1M
    good_hybrid device image.qcow2 expected
}

@test "a link with no backing format recorded is refused: nothing is probed" {
    make_disk device 16M full
    empty_image base.qcow2 16M
    allocate base.qcow2 1M+1M
    overlay middle.qcow2 base.qcow2 qcow2
    overlay image.qcow2 middle.qcow2 qcow2
    # For a raw base: what a guest could do with a qcow2 header there.
    python3 "$tests/forget-backing-format.py" middle.qcow2
    refused 1 --source-format hybrid --source device:image.qcow2
    error_says "middle.qcow2.*backing"
    error_says "format"
    python3 "$tests/forget-backing-format.py" image.qcow2
    refused 1 --source-format hybrid --source device:image.qcow2
    error_says "image.qcow2.*backing"
    error_says "format"
}

@test "a base that is missing is an error with its name" {
    make_disk device 16M full
    empty_image base.qcow2 16M
    overlay image.qcow2 base.qcow2 qcow2
    rm base.qcow2
    refused 1 --source-format hybrid --source device:image.qcow2
    error_says "base.qcow2.*No such file"
}

@test "DEVICE smaller or larger than IMAGE is an error with both sizes" {
    make_disk small 15M full
    make_disk large 17M full
    empty_image image.qcow2 16M
    refused 1 --source-format hybrid --source small:image.qcow2
    error_says "15728640"
    error_says "16777216"
    refused 1 --source-format hybrid --source large:image.qcow2
    error_says "17825792"
    error_says "16777216"
}

@test "IMAGE that is not in the format it is said to be is an error" {
    make_disk device 16M full
    make_disk image.raw 16M data@1M+1M
    refused 1 --source-format hybrid --source device:image.raw
    error_says "image.raw"
    error_says "qcow2"
}

@test "a missing DEVICE or IMAGE is an error with its name" {
    make_disk device 16M full
    empty_image image.qcow2 16M
    refused 1 --source-format hybrid --source nosuch:image.qcow2
    error_says "nosuch.*No such file or directory"
    refused 1 --source-format hybrid --source device:none.qcow2
    error_says "none.qcow2.*No such file or directory"
}

@test "a source without a colon is a usage error" {
    make_disk device 16M full
    refused 2 --source-format hybrid --source device
    error_says "DEVICE:IMAGE"
}
