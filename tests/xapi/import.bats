#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The import call of xapi, launched as xapi does. The lines are spelled out in
# each test: they are to be typed, not built.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 20M runs:256K/512K
    image disk.raw disk.qcow2
    other_data copy.raw 20M
    size=$(stat -c %s disk.qcow2)
}

@test "the import of the contract" {
    imports disk.qcow2 --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the same from a non-blocking socket" {
    nonblocking=1 client="--chunk 70000" imports disk.qcow2 \
        --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the same onto a block device" {
    requires root loop
    local device
    device=$(make_loop copy.raw)
    imports disk.qcow2 --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$device" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    same_bytes disk.raw "$device"
    nothing_left
}

@test "the connection can be a pipe or a file" {
    open_progress
    launched --stdout 6 --stderr 7 --fd "$uuid=8" "$tool" serve \
        --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size" 8<disk.qcow2
    end_of_call 0
    same_bytes disk.raw copy.raw
    other_data copy.raw 20M
    open_progress
    mkfifo pipe
    in_background cp disk.qcow2 pipe
    launched --stdout 6 --stderr 7 --fd "$uuid=8" "$tool" serve \
        --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size" 8<pipe
    end_of_call 0
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "a compressed image, for which more programs and fds are needed" {
    qemu-img convert -c -f raw -O qcow2 disk.raw small.qcow2
    nonblocking=1 imports small.qcow2 --source-format qcow2 \
        --source-protocol none --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "--prezeroed leaves alone what is not allocated" {
    only_allocated disk.qcow2 expected.raw
    imports disk.qcow2 --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size" --prezeroed
    same_bytes expected.raw copy.raw
    nothing_left
}

@test "a length that the client does not know does not matter" {
    local length
    for length in 0 $((1 << 50)) $((20 << 20)); do
        other_data copy.raw 20M
        imports disk.qcow2 --source-format qcow2 --source-protocol none \
            --source-fd "$uuid" --tar-filename-prefix "" \
            --destination "file://$PWD/copy.raw" --destination-format raw \
            --progress --machine --direct --destination-size "$length"
        same_bytes disk.raw copy.raw
    done
    nothing_left
}

@test "a client that keeps the connection open does not hold it up" {
    keep_open=1 imports disk.qcow2 --source-format qcow2 \
        --source-protocol none --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "progress comes while the client sends, three bytes at a time" {
    # The second half is sent when the reader of progress has seen some.
    client="--pause-at $((size / 2)) --watch progress:(?m)^0[1-9]." imports \
        disk.qcow2 --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    same_bytes disk.raw copy.raw
}

@test "the empty request that comes first touches nothing" {
    imports 1 /dev/null --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size 0
    error_says '^qcow-tool: serve: source: ' log
    untouched copy.raw
    nothing_left
}

@test "a client that leaves is an error, in one line of the log" {
    client="--length $((size / 2))" imports 1 disk.qcow2 \
        --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    error_says '^qcow-tool: serve: source: ' log
    nothing_left
}

@test "an image that is not qcow2 is an error, and touches nothing" {
    imports 1 disk.raw --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size "$size"
    error_says '^qcow-tool: serve: source: ' log
    untouched copy.raw
    nothing_left
}

@test "out of one tool and into the other, each launched by xapi" {
    local like_xapi
    make_disk disk.raw 20M full
    rm disk.qcow2
    image disk.raw disk.qcow2
    launch_like_xapi
    open_progress
    through_socketpair "$launcher" --nonblocking --fd "$uuid={}" --stderr 7 \
        "$tool" stream --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/disk.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix "" --progress --machine --direct \
        --path /dev/mapper:. -- "${like_xapi[@]}" --nonblocking \
        "$tool" serve --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct
    end_of_call 0
    same_bytes disk.raw copy.raw
    nothing_left
}
