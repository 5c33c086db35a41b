#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The two programs that xapi calls without knowing of qcow-tool, launched as
# xapi does: the connection is standard input or output, the rest is the log.

load ../lib/helpers

# Of the map and the info of the device's image, and of the base's.
uuids=(7c1de0a4-52b3-4d0e-8f6a-9b41c2e7d305
    1a9f63b8-0c47-4e21-b5d8-6e30f7a294c1
    e4428d17-b96c-4a05-9d3f-c85b1760fa2e
    53d70c9e-f1a8-4b64-a27d-08e9b35c4f16)

setup() {
    helpers_setup
    drop_ins
    make_disk disk.raw 20M runs:256K/512K
    image disk.raw disk.qcow2
    other_data copy.raw 20M
}

# base.raw and base.qcow2 are what disk.raw and disk.qcow2 were before one MiB
# became other data, and one zero.
with_base() {
    mv disk.raw base.raw
    mv disk.qcow2 base.qcow2
    cp base.raw disk.raw
    make_disk disk.raw 20M seed:7 data@5M+1M zeroes@9M+1M
    image disk.raw disk.qcow2
}

# decodes RC IMAGE ARG...
# `qcow-stream-tool ARG...`; a client sends IMAGE.
decodes() {
    local expected=$1 image=$2
    shift 2
    expect="* $expected" through_socketpair \
        python3 "$tests/send.py" '{}' "$image" -- \
        "$launcher" --env "TMPDIR=$spool" ${nonblocking:+--nonblocking} \
        --stdin '{}' --stdout 7 --stderr 7 "$qcow_stream_tool" "$@" 7>log || {
        show log log
        return 1
    }
}

# to_stdout RC ARG...
# `qcow2-to-stdout ARG...`; a client gets ./out.qcow2. The uuids are fds 5, 6,
# 8 and 9, as far as these are open.
to_stdout() {
    local expected=$1 i fds=(5 6 8 9) pipes=()
    shift
    for i in "${!fds[@]}"; do
        [ ! -e "/dev/fd/${fds[i]}" ] ||
            pipes+=(--fd "${uuids[i]}=${fds[i]}")
    done
    expect="$expected *" through_socketpair \
        "$launcher" --env "TMPDIR=$spool" ${nonblocking:+--nonblocking} \
        --stdout '{}' --stderr 7 "${pipes[@]}" "$qcow2_to_stdout" "$@" -- \
        python3 "$tests/drain.py" '{}' out.qcow2 7>log || {
        show log log
        return 1
    }
}

# Applied as xapi does, onto a clone of the base.
applies_to_base() {
    sound_image out.qcow2
    cp base.raw copy.raw
    decodes 0 out.qcow2 stream_decode "$PWD/copy.raw"
    same_bytes disk.raw copy.raw
    [ "$(stat -c %s out.qcow2)" -lt $((3 << 20)) ]
}

@test "stream_decode brings standard input onto the device" {
    only_allocated disk.qcow2 expected.raw
    decodes 0 disk.qcow2 stream_decode "$PWD/copy.raw"
    same_bytes expected.raw copy.raw
    [ ! -s log ]
    nothing_left
}

@test "the same from a non-blocking socket that stays open" {
    only_allocated disk.qcow2 expected.raw
    nonblocking=1 keep_open=1 decodes 0 disk.qcow2 stream_decode \
        "$PWD/copy.raw"
    same_bytes expected.raw copy.raw
    nothing_left
}

@test "stream_decode fails when the stream ends early, and says so" {
    head -c 2000000 disk.qcow2 >short.qcow2
    decodes 1 short.qcow2 stream_decode "$PWD/copy.raw"
    error_says '^qcow-stream-tool: source: ' log
    one_line log
    nothing_left
}

@test "the empty request that comes first touches nothing" {
    decodes 1 /dev/null stream_decode "$PWD/copy.raw"
    error_says '^qcow-stream-tool: source: ' log
    one_line log
    untouched copy.raw
    nothing_left
}

@test "qcow2-to-stdout sends a device of which there is no map" {
    to_stdout 0 "$PWD/disk.raw"
    same_content disk.raw out.qcow2
    sound_image out.qcow2
    [ ! -s log ]
    nothing_left
}

@test "the same with the map and the info of its image, by UUID" {
    to_stdout 0 "$PWD/disk.raw" --json-header-map "${uuids[0]}" \
        --json-header-info "${uuids[1]}" \
        5< <(qemu-img map disk.qcow2 --output=json) \
        6< <(qemu-img info disk.qcow2 --output=json)
    same_content disk.raw out.qcow2
    sound_image out.qcow2
    [ ! -s log ]
    nothing_left
}

@test "the map is what counts, not what the device holds besides" {
    local start length
    make_disk more.raw 20M full
    truncate -s 20M expected.raw
    while read -r start length; do
        dd if=more.raw of=expected.raw bs=64K iflag=skip_bytes,count_bytes \
            oflag=seek_bytes skip="$start" seek="$start" count="$length" \
            conv=notrunc status=none
    done < <(qemu-img map --output=json disk.qcow2 |
        jq -r '.[] | select(.data) | "\(.start) \(.length)"')
    to_stdout 0 "$PWD/more.raw" --json-header-map "${uuids[0]}" \
        --json-header-info "${uuids[1]}" \
        5< <(qemu-img map disk.qcow2 --output=json) \
        6< <(qemu-img info disk.qcow2 --output=json)
    same_content expected.raw out.qcow2
    sound_image out.qcow2
}

@test "into a non-blocking socket, with -c and -r" {
    nonblocking=1 to_stdout 0 "$PWD/disk.raw" -c 4096 -r 8
    same_content disk.raw out.qcow2
    [ "$(qemu-img info --output=json out.qcow2 |
        jq '."cluster-size", ."format-specific".data."refcount-bits"' |
        tr '\n' ' ')" = '4096 8 ' ]
    nothing_left
}

@test "--diff sends what is different from another device" {
    with_base
    to_stdout 0 "$PWD/disk.raw" --diff "$PWD/base.raw"
    applies_to_base
    nothing_left
}

@test "--diff with the maps of both, by UUID" {
    with_base
    to_stdout 0 "$PWD/disk.raw" --diff "$PWD/base.raw" \
        --json-header-diff-map "${uuids[2]}" \
        --json-header-diff-info "${uuids[3]}" \
        --json-header-map "${uuids[0]}" --json-header-info "${uuids[1]}" \
        5< <(qemu-img map disk.qcow2 --output=json) \
        6< <(qemu-img info disk.qcow2 --output=json) \
        8< <(qemu-img map base.qcow2 --output=json) \
        9< <(qemu-img info base.qcow2 --output=json)
    applies_to_base
    nothing_left
}

@test "--diff with the map of the device only, whose image is an overlay" {
    with_base
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 over.qcow2
    qemu-img convert -n -f raw -O qcow2 disk.raw over.qcow2
    to_stdout 0 "$PWD/disk.raw" --diff "$PWD/base.raw" \
        --json-header-map "${uuids[0]}" --json-header-info "${uuids[1]}" \
        5< <(qemu-img map over.qcow2 --output=json) \
        6< <(qemu-img info over.qcow2 --output=json)
    applies_to_base
    nothing_left
}

@test "a client that leaves is an error, in one line of the log" {
    make_disk disk.raw 20M full
    expect='1 *' through_socketpair "$launcher" --env "TMPDIR=$spool" \
        --stdout '{}' --stderr 7 "$qcow2_to_stdout" "$PWD/disk.raw" -- \
        python3 "$tests/drain.py" '{}' out.qcow2 --leave-after 3000000 7>log
    error_says '^qcow2-to-stdout: destination.*(Broken pipe|reset)' log
    one_line log
    nothing_left
}

@test "a UUID that nobody passed an fd with is no map" {
    to_stdout 0 "$PWD/disk.raw" --json-header-map "${uuids[0]}" \
        --json-header-info "${uuids[1]}"
    same_content disk.raw out.qcow2
    [ ! -s log ]
    nothing_left
}
