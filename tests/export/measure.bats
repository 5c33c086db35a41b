#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# `measure` tells, as JSON, how long a stream will be.

load ../lib/helpers

# measures STREAM-ARG...
# The stream is as long as `measure` says, in both layouts.
measures() {
    local layout
    for layout in streamable convert; do
        stream_into stream.qcow2 "$@" --layout $layout
        measured stream.qcow2 "$@" --layout $layout
    done
    no_spool_left
}

raw_disk() {
    measures --source-format raw --source disk "$@"
}

@test "one JSON object, and nothing else" {
    make_disk disk 4M data@1M+100K
    qcow_tool measure --source-format raw --source disk
    [ ! -s stderr ]
    [ "$(jq -s length stdout)" = 1 ]
    [ "$(jq -c keys stdout)" = \
        '["data","id","length","metadata","stable","virtual-size"]' ]
    [ "$(jq -c 'map(type)' stdout)" = \
        '["number","number","number","number","string","boolean"]' ]
    [[ $(jq -r .id stdout) =~ ^[0-9a-f]{64}$ ]]
    # A whole line, for `read` as well.
    [ "$(tail -c 1 stdout | od -An -tx1)" = " 0a" ]
    [ "$(jq '."virtual-size"' stdout)" = 4194304 ]
    [ "$(jq '.data' stdout)" = 131072 ]
    [ "$(jq '.data + .metadata == .length' stdout)" = true ]
    nothing_left
}

@test "raw is the format and streamable the layout, as for stream" {
    mixed_disk disk
    stdout_to=stream.qcow2 qcow_tool stream --source disk
    measured stream.qcow2 --source disk
    measured stream.qcow2 --source-format raw --source disk \
        --layout streamable --cluster-size 64K --refcount-bits 16 --compat 1.1
}

@test "all cluster sizes" {
    make_disk disk 8M runs:1M/512K seed:2 pieces:20 tail+3K
    local size
    for size in 512 1K 4K 16K 64K 256K 2M; do
        raw_disk --cluster-size $size
    done
}

@test "all refcount widths" {
    make_disk disk 12M runs:1M/512K
    local bits
    for bits in 1 2 4 8 16 32 64; do
        raw_disk --cluster-size 4K --refcount-bits $bits
    done
}

@test "old images, extended L2, and all of these together" {
    mixed_disk disk
    raw_disk --compat 0.10
    raw_disk --compat 0.10 --cluster-size 4K
    raw_disk --extended-l2
    raw_disk --extended-l2 --cluster-size 2M --refcount-bits 64
}

@test "an empty disk, and a full one" {
    make_disk disk 5G
    raw_disk
    raw_disk --cluster-size 4K
    qcow_tool measure --source disk
    [ "$(jq .data stdout)" = 0 ]
    rm disk
    make_disk disk 32M full
    raw_disk
    raw_disk --cluster-size 4K
    qcow_tool measure --source disk
    [ "$(jq .data stdout)" = 33554432 ]
}

@test "tiny disks, and sizes that are no multiple of anything" {
    local size
    for size in 1 512 513 65535 65537 10000001; do
        rm -f disk
        make_disk disk $size full zeroes@4K+32K
        raw_disk
    done
}

@test "disks of terabytes" {
    make_disk disk 2T data@100M+1M data@1500G+3M tail+64K
    raw_disk
    rm disk
    make_disk disk 8T data@3T+70K
    stdout_to=stream.qcow2 qcow_tool stream --source disk
    measured stream.qcow2 --source disk
}

@test "hybrids and images" {
    make_disk disk 16M runs:300K/300K
    disk_image qcow2 disk base.qcow2 cluster_size=4k
    overlay image.qcow2 base.qcow2 qcow2
    allocate image.qcow2 3M+100K
    measures --source-format hybrid --source disk:image.qcow2
    measures --source-format hybrid --source disk:image.qcow2 --cluster-size 4K
    measures --source-format hybrid --source disk:disk --image-format raw
    measures --source-format qcow2 --source image.qcow2
    measures --source-format qcow2 --source image.qcow2 --detect-zeroes
    disk_image vmdk disk image.vmdk
    measures --source-format vmdk --source image.vmdk
    nbd_server unix nbdkit -r file disk
    measures --source-format nbd --source "$uri"
    measures --source-format nbdhybrid --source "disk:$socket::$((16 << 20))"
}

@test "differences" {
    make_disk disk 16M runs:300K/300K
    make_disk base 16M runs:300K/300K
    make_disk disk 16M data@3M+1M zeroes@5M+2M
    local zeroes
    for zeroes in data flag; do
        measures --source disk --relative-to base --zero-clusters $zeroes
    done
    disk_image qcow2 base base.qcow2
    overlay image.qcow2 base.qcow2 qcow2
    allocate image.qcow2 3M+100K
    measures --source-format qcow2 --source image.qcow2 \
        --relative-to base.qcow2
}

@test "a hybrid's device is not read" {
    truncate -s 16M device
    empty_image image.qcow2 16M
    allocate image.qcow2 3M+128K
    qcow_tool measure --source-format hybrid --source device:image.qcow2
    [ "$(jq .data stdout)" = 131072 ]
}

@test "an image that another process holds open" {
    make_disk disk 8M runs:300K/300K
    disk_image qcow2 disk image.qcow2
    hold_open image.qcow2
    measures --source-format qcow2 --source image.qcow2
    measures --source-format hybrid --source disk:image.qcow2
}

@test "the help names the options, and no destination" {
    qcow_tool measure --help
    [ ! -s stderr ]
    run ! grep -E '.{80}' stdout
    local word
    for word in --source --source-format --image-format --relative-to \
        --layout --cluster-size --refcount-bits --compat --extended-l2 \
        --zero-clusters --detect-zeroes --expect-id --expect-length; do
        grep -q -e "$word" stdout
    done
    run ! grep -E -e '--destination(-fd)? ' stdout
}

@test "what has no meaning without a stream is a usage error" {
    make_disk disk 1M
    local option
    for option in "--destination x" "--destination-fd 1"; do
        # shellcheck disable=SC2086 # two words
        qcow_tool 2 measure --source disk $option
        error_says "^qcow-tool: measure: .*destination"
        [ ! -s stdout ]
        [ ! -e x ]
    done
    qcow_tool 2 measure --source disk --nonsense
    error_says "^qcow-tool: measure: .*nonsense"
    qcow_tool 2 measure
    error_says "^qcow-tool: measure: .*source"
    qcow_tool 2 measure --source disk more
    error_says "^qcow-tool: measure: .*more"
}

@test "what fails prints nothing on standard output" {
    qcow_tool 1 measure --source nosuch
    error_says "^qcow-tool: measure: source: .*nosuch.*No such file"
    [ ! -s stdout ]
    make_disk disk 1M
    qcow_tool 1 measure --source-format qcow2 --source disk
    error_says "^qcow-tool: measure: source: .*disk.*qcow2"
    [ ! -s stdout ]
    qcow_tool 2 measure --source disk --cluster-size 4M
    [ ! -s stdout ]
    nothing_left
}

@test "progress is not mixed into it" {
    make_disk disk 4M data@1M+100K
    qcow_tool measure --source disk --progress --machine
    [ "$(jq -c keys stdout)" = \
        '["data","id","length","metadata","stable","virtual-size"]' ]
    digits stderr complete
    nothing_left
}

@test "an answer that cannot be written is an error" {
    make_disk disk 1M
    stdout_to=/dev/full qcow_tool 1 measure --source disk
    error_says "^qcow-tool: measure: .*No space left on device"
    nothing_left
}

@test "the id is that of the image, not of how it is sent" {
    make_disk disk 4M data@1M+100K
    disk_image qcow2 disk image.qcow2
    id_of() { qcow-tool measure "$@" | jq -r .id; }
    local id
    id=$(id_of --source disk)
    [ "$(id_of --source disk --direct)" = "$id" ]
    [ "$(id_of --source-format hybrid --source disk:image.qcow2)" = "$id" ]
    [ "$(id_of --source disk --cluster-size 4K)" != "$id" ]
    make_disk disk 4M data@3M+4K
    [ "$(id_of --source disk)" != "$id" ]
}

@test "an image that is another than expected, in id or length, is an error" {
    make_disk disk 4M data@1M+100K
    qcow_tool measure --source disk
    local id length
    id=$(jq -r .id stdout) length=$(jq .length stdout)
    qcow_tool measure --source disk --expect-id "${id^^}" \
        --expect-length "$length"
    stdout_to=stream.qcow2 qcow_tool stream --source disk --expect-id "$id" \
        --expect-length "$length"
    make_disk disk 4M data@3M+4K
    qcow_tool 1 measure --source disk --expect-id "$id"
    error_says "^qcow-tool: measure: source: .*--expect-id.* its id is"
    [ ! -s stdout ]
    refused 1 --source disk --expect-id "$id"
    error_says "^qcow-tool: stream: source: .*--expect-id.* its id is"
    refused 1 --source disk --expect-length "$length"
    error_says "image has [0-9]+ bytes, not $length as --expect-length says"
    qcow_tool 1 stream --source disk --expect-id "$id" --destination new
    [ ! -e new ]
    nothing_left
}

@test "what is no id is a usage error" {
    make_disk disk 1M
    local id
    for id in "" 0 "$(printf '%063d' 0)" "$(printf '%065d' 0)" \
        "$(printf '%063dg' 0)"; do
        qcow_tool 2 measure --source disk --expect-id "$id"
        error_says "^qcow-tool: measure: --expect-id: .*64 hexadecimal digits"
    done
    qcow_tool 2 measure --source disk --expect-length x
}

@test "stable is what the next stream is sure to be" {
    stable() { [ "$(qcow-tool measure "${@:2}" | jq .stable)" = "$1" ]; }
    make_disk disk 4M data@1M+100K
    stable true --source disk
    disk_image qcow2 disk image.qcow2
    stable true --source-format qcow2 --source image.qcow2 --layout convert
    nbd_server unix nbdkit -r file disk
    stable false --source-format nbd --source "$uri"
    stable true --source-format nbd --source "$uri" --detect-zeroes
    stable true --source-format nbd --source "$uri" --relative-to "$uri"
    stable false --source-format nbd --source "$uri" --detect-zeroes \
        --layout convert
    stable false --source-format nbdhybrid --source "disk:$socket::4194304"
}
