#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# qcow2-to-stdout with maps of the images below its devices.

load ../lib/helpers

# mapped DISK NAME [ARG...]
# out.qcow2 holds DISK.
mapped() {
    with_map "$@"
    [ ! -s stderr ]
    sound_image out.qcow2
    good_order out.qcow2
    : >nothing
    sound_difference "$1" nothing out.qcow2
    nothing_left
}

# converted [OPTIONS]
# The raw disk as an image, described as `disk`.
converted() {
    qemu-img convert -f raw -O qcow2 ${1:+-o "$1"} disk disk.qcow2
    describe disk.qcow2 disk
}

@test "an image of the same cluster size" {
    mixed_disk disk 12M
    converted
    mapped disk disk
    stdout_to=stream.qcow2 qcow_tool stream --source-format hybrid \
        --source disk:disk.qcow2
    same_bytes stream.qcow2 out.qcow2
}

@test "ranges smaller than a cluster" {
    make_disk disk 12M runs:8K/100K data@5M+4K tail+4K
    converted cluster_size=4K
    mapped disk disk
    mapped disk disk -c 2097152
    mapped disk disk -c 4096
    converted cluster_size=512
    mapped disk disk
    converted extended_l2=on
    mapped disk disk
}

@test "clusters larger than those of the stream" {
    make_disk disk 12M runs:8K/1M tail+4K
    converted cluster_size=2M
    mapped disk disk
    mapped disk disk -c 4096 -r 64
}

@test "a last cluster in part, of which no byte may get lost" {
    local cluster
    make_disk disk 3000832 runs:8K/200K tail+512
    for cluster in 4K 64K 2M; do
        converted cluster_size=$cluster
        mapped disk disk
        mapped disk disk -c 2097152
    done
}

@test "a device that ends inside a sector" {
    # The image behind it has the whole of it.
    make_disk disk 3000003 runs:8K/200K tail+100
    converted
    mapped disk disk
}

@test "data comes from the device, and the map says what of it" {
    make_disk disk 12M full
    make_disk expected 12M data@1M+64K data@9M+192K
    empty_image image.qcow2 12M
    allocate image.qcow2 1M+64K 9M+192K
    describe image.qcow2 image
    with_map disk image
    sound_image out.qcow2
    same_content expected out.qcow2
    # What is marked zero is zero, though it keeps its clusters.
    guest image.qcow2 "write -q -z 9M 64K" "write -q -z 3M 64K"
    make_disk expected 12M zeroes@9M+64K
    describe image.qcow2 image
    with_map disk image
    same_content expected out.qcow2
}

@test "a chain of images with compressed clusters, zeroes and discards" {
    make_disk disk 6M runs:128K/128K
    qemu-img convert -c -f raw -O qcow2 disk base.qcow2
    overlay top.qcow2 base.qcow2 qcow2 -o cluster_size=4K
    guest top.qcow2 "write -q -P 1 1M 70K" "write -q -c -P 2 2M 4K" \
        "write -q -z 3M 300K" "discard -q 4M 64K"
    raw_of top.qcow2 disk
    describe top.qcow2 top
    jq -e 'any(.data and (has("offset") | not))' top.map
    mapped disk top
}

@test "maps as newer and as older versions of QEMU write them" {
    make_disk disk 6M runs:128K/128K
    converted
    jq -c 'map(. + {compressed: false, extra: {a: [1, null, "]"]}})' \
        disk.map >newer.map
    jq '. + {children: [{name: "file", info: .}], extra: [[], {}]}' \
        disk.info >newer.info
    mapped disk newer
    jq 'map(del(.present))' disk.map >older.map
    cp disk.info older.info
    mapped disk older
}

@test "a disk without data, and one that is full" {
    make_disk disk 5M
    converted
    mapped disk disk
    is_empty out.qcow2
    make_disk disk 5M full
    converted
    mapped disk disk
    holds out.qcow2 5242880 5242880
}

# Two images, and their disks.
two() {
    make_disk base 6M runs:128K/128K
    cp --sparse=always base disk
    make_disk disk 6M seed:2 pieces:6 empties:6 zeroes@4M+300K tail+512
    qemu-img convert -f raw -O qcow2 ${1:+-o "$1"} disk disk.qcow2
    qemu-img convert -f raw -O qcow2 ${2:+-o "$2"} base base.qcow2
    describe disk.qcow2 disk
    describe base.qcow2 base
}

# differs DISK NAME BASE NAME [ARG...]
differs() {
    with_maps "$@"
    [ ! -s stderr ]
    sound_difference "$1" "$3" out.qcow2
    good_order out.qcow2
    nothing_left
}

@test "--diff with both maps" {
    two
    differs disk disk base base
    stdout_to=stream.qcow2 qcow_tool stream --source disk --relative-to base
    [ "$(sent stream.qcow2)" = "$(sent out.qcow2)" ]
    differs disk disk base base -c 4096
    differs disk disk base base -c 2097152 -r 1
    differs disk disk disk disk
    is_empty out.qcow2
}

@test "--diff with maps of other cluster sizes" {
    two cluster_size=4K cluster_size=2M
    differs disk disk base base
    differs base base disk disk
    two cluster_size=2M cluster_size=512
    differs disk disk base base
    differs base base disk disk
    two extended_l2=on
    differs disk disk base base
}

# half NAME OPTION OPTION
# Only one of the maps.
half() {
    from_pipes "map=$1.map" "info=$1.info" -- disk --diff base \
        "$2" '{map}' "$3" '{info}'
    sound_difference disk base out.qcow2
    good_order out.qcow2
    nothing_left
}

@test "--diff with one of the maps only" {
    two
    half disk --json-header-map --json-header-info
    half base --json-header-diff-map --json-header-diff-info
    sound_difference disk base out.qcow2
}

@test "--diff with maps, and disks of other sizes" {
    make_disk disk 6M runs:64K/64K
    make_disk small 3000832 seed:2 runs:64K/64K tail+512
    local name
    for name in disk small; do
        qemu-img convert -f raw -O qcow2 $name $name.qcow2
        describe $name.qcow2 $name
    done
    differs disk disk small small
    differs small small disk disk
}

@test "--diff of an overlay and its base, as xapi has them" {
    empty_image base.qcow2 6M
    make_disk content 6M full
    lay content base.qcow2
    overlay top.qcow2 base.qcow2 qcow2
    guest top.qcow2 "write -q -P 1 1M 3K" "write -q -z 2M 128K" \
        "discard -q 3M 64K" "write -q -P 0 4M 64K"
    raw_of base.qcow2 base
    raw_of top.qcow2 top
    describe base.qcow2 base
    describe top.qcow2 top
    differs top top base base
    [ "$(sent out.qcow2)" = "1048576+65536
2097152+131072
3145728+65536
4194304+65536" ]
}
