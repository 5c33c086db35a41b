#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The export calls of xapi, launched as xapi does. The lines are spelled out
# in each test: they are to be typed, not built.

load ../lib/helpers

# A device, and an image whose allocation is the map of it.
setup() {
    helpers_setup
    make_disk disk.raw 20M runs:256K/512K
    image disk.raw map.qcow2
}

# Makes base.raw and base.qcow2, and from these disk.raw and map.qcow2, in
# which one MiB is other data, and one is zero.
with_base() {
    mv disk.raw base.raw
    mv map.qcow2 base.qcow2
    cp base.raw disk.raw
    make_disk disk.raw 20M seed:7 data@5M+1M zeroes@9M+1M
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 map.qcow2
    copy_into_image 5M 1M
    qemu-io -f qcow2 -c 'write -q -z 9M 1M' map.qcow2
    same_content disk.raw map.qcow2
}

# copy_into_image OFFSET LENGTH: of disk.raw, into map.qcow2.
copy_into_image() {
    dd if=disk.raw of=piece bs=1M iflag=skip_bytes,count_bytes \
        skip="$1" count="$2" status=none
    qemu-io -f qcow2 -c "write -q -s piece $1 $2" map.qcow2
}

# out.qcow2 onto a copy of base.raw makes it disk.raw.
applies_to_base() {
    sound_image out.qcow2
    cp base.raw copy.raw
    qcow_tool serve --destination copy.raw --prezeroed <out.qcow2
    same_bytes disk.raw copy.raw
    [ "$(qemu-img info --output=json -f qcow2 out.qcow2 |
        jq 'has("backing-filename")')" = false ]
}

# No more data than what is different, and tables.
is_small() {
    [ "$(stat -c %s out.qcow2)" -lt $((3 << 20)) ]
}

@test "the export of the contract" {
    exports --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:.
    same_content disk.raw out.qcow2
    sound_image out.qcow2
    nothing_left
}

@test "the same into a non-blocking socket with a slow reader" {
    nonblocking=1 client="--chunk 5000 --late" exports \
        --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:.
    same_content disk.raw out.qcow2
    nothing_left
}

@test "a UUID behind a word, as in fd:UUID, is replaced, too" {
    exports --source-format raw --source "$PWD/disk.raw" \
        --destination "fd:$uuid" --progress --machine
    same_content disk.raw out.qcow2
}

@test "the connection can be a pipe or a file" {
    open_progress
    launched --stdout 6 --stderr 7 --fd "$uuid=8" "$tool" stream \
        --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" --progress --machine --direct \
        --path /dev/mapper:. 8>file.qcow2
    end_of_call 0
    open_progress
    mkfifo pipe
    in_background cp pipe piped.qcow2
    launched --stdout 6 --stderr 7 --fd "$uuid=8" "$tool" stream \
        --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" --progress --machine --direct \
        --path /dev/mapper:. 8>pipe
    end_of_call 0
    wait $!
    same_content disk.raw file.qcow2
    same_bytes file.qcow2 piped.qcow2
    nothing_left
}

@test "the image of a running VM, and one of another cluster size" {
    rm map.qcow2
    image disk.raw map.qcow2 cluster_size=2M
    hold_open map.qcow2
    exports --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:.
    same_content disk.raw out.qcow2
    nothing_left
}

@test "an image that is read by a program of its own" {
    nonblocking=1 exports --source-protocol none --source-format qcow2 \
        --source "$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:.
    same_content disk.raw out.qcow2
    nothing_left
}

@test "the difference to an image in the chain" {
    with_base
    exports --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:. \
        --relative-to "$PWD/base.qcow2"
    applies_to_base
    is_small
    nothing_left
}

@test "the difference to an image outside the chain" {
    with_base
    mv base.qcow2 away.qcow2
    qemu-img convert -f qcow2 -O qcow2 away.qcow2 base.qcow2
    rm map.qcow2
    image disk.raw map.qcow2
    exports --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:. \
        --relative-to "$PWD/base.qcow2"
    applies_to_base
    is_small
    nothing_left
}

@test "the difference between two devices" {
    with_base
    exports --source-protocol none --source-format raw \
        --source "$PWD/disk.raw" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:. \
        --relative-to "$PWD/base.raw"
    applies_to_base
    is_small
    nothing_left
}

@test "measure says what the export will be long" {
    local relative
    with_base
    for relative in "" "--relative-to $PWD/base.qcow2"; do
        # shellcheck disable=SC2086 # words are wanted
        exports --source-protocol none --source-format hybrid \
            --source "$PWD/disk.raw:$PWD/map.qcow2" \
            --destination-protocol none --destination-format qcow2 \
            --destination-fd "$uuid" --tar-filename-prefix "" \
            --progress --machine --direct --path /dev/mapper:. $relative
        # shellcheck disable=SC2086 # words are wanted
        launched --stdout 1 --stderr 2 "$tool" measure \
            --source-format hybrid \
            --source "$PWD/disk.raw:$PWD/map.qcow2" $relative
        [ ! -s stderr ]
        [ "$(jq .length stdout)" = "$(stat -c %s out.qcow2)" ]
        [ "$(jq '."virtual-size"' stdout)" = $((20 << 20)) ]
    done
    nothing_left
}

@test "a client that leaves is an error, in one line of the log" {
    make_disk disk.raw 20M full
    rm map.qcow2
    image disk.raw map.qcow2
    client='--leave-after 3000000' exports 1 --source-protocol none \
        --source-format hybrid --source "$PWD/disk.raw:$PWD/map.qcow2" \
        --destination-protocol none --destination-format qcow2 \
        --destination-fd "$uuid" --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:.
    error_says '^qcow-tool: stream: .*destination.*(Broken pipe|reset)' log
    nothing_left
}

@test "a device that is not there is an error before the first byte" {
    exports 1 --source-protocol none --source-format hybrid \
        --source "$PWD/missing.raw:$PWD/map.qcow2" \
        --destination-protocol none --destination-format qcow2 \
        --destination-fd "$uuid" --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:.
    error_says '^qcow-tool: stream: .*missing.raw: No such file' log
    [ ! -s out.qcow2 ]
    nothing_left
}

@test "a UUID that the helper did not know is a usage error" {
    exports 2 --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$other" \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:.
    error_says "^qcow-tool: stream: .*$other" log
    [ ! -s out.qcow2 ]
    nothing_left
}
