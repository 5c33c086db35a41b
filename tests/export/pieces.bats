#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --offset N --length M: a piece of the stream, and pieces that make the whole.

load ../lib/helpers

setup() {
    helpers_setup
    mixed_disk disk 6M
    disk=(--source-format raw --source disk)
}

# whole STREAM-ARG...
# The stream that the pieces are of: whole.qcow2, its $length and its $id.
whole() {
    args=("$@")
    stdout_to=whole.qcow2 qcow_tool stream "${args[@]}"
    length=$(stat -c %s whole.qcow2)
    qcow_tool measure "${args[@]}"
    [ "$(jq .length stdout)" = "$length" ]
    id=$(jq -r .id stdout)
}

# is_piece OFFSET LENGTH FILE
is_piece() {
    cmp <(tail -c +$(($1 + 1)) whole.qcow2 | head -c "$2") "$3" >&2 || {
        echo "$2 bytes from $1 on, of $length" >&2
        return 1
    }
}

# piece OFFSET LENGTH [STREAM-ARG...]: in the file `piece'.
piece() {
    rm -f piece
    stream_into piece "${args[@]}" --offset "$1" --length "$2" "${@:3}"
    is_piece "$1" "$2" piece
}

@test "pieces of both layouts, at and across the borders of what is in them" {
    local layout first
    for layout in streamable convert; do
        whole "${disk[@]}" --layout $layout
        first=$(qemu-img map --output=json -f qcow2 whole.qcow2 |
            jq '[.[] | select(.data) | .offset] | min')
        piece 0 1
        piece 0 104
        piece 511 2
        piece 65535 65538
        piece $((first - 1)) 2
        piece "$first" 4096
        piece $((first + 4095)) 300001
        piece $((length - 65537)) 65537
        piece 0 "$length"
        piece 1 $((length - 2))
    done
    no_spool_left
}

@test "of a piece --offset may be left out" {
    whole "${disk[@]}"
    stdout_to=piece qcow_tool stream "${disk[@]}" --length 70000
    is_piece 0 70000 piece
    # measure sees whether there is such a piece, and tells of the whole.
    qcow_tool measure "${disk[@]}" --offset 10 --length 70000
    [ "$(jq -r '.length, .id' stdout)" = "$length"$'\n'"$id" ]
}

@test "a piece into a socket, without the fast mover, and past the page cache" {
    whole "${disk[@]}"
    nonblocking=1 sndbuf=4608 through_socketpair qcow-tool stream \
        "${args[@]}" --offset 300001 --length 400000 \
        --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' part --late --chunk 7000
    is_piece 300001 400000 part
    QCOW_TOOL_MOVER=copy piece 300001 400000
    piece 300001 400000 --direct
    nothing_left
}

@test "a piece that is not all in the image is refused with both numbers" {
    whole "${disk[@]}"
    local offset n end most=9223372036854775807
    while read -r offset n end; do
        refused 1 "${disk[@]}" --offset "$offset" --length "$n"
        error_says "^qcow-tool: stream: source: the image ends at .* $length,"
        error_says ", before $end\$"
    done <<-END
	0 $((length + 1)) $((length + 1))
	$((length - 1)) 2 $((length + 1))
	$length 1 $((length + 1))
	$((length + 1)) 1 $((length + 2))
	$most $most 18446744073709551614
	END
    qcow_tool 1 measure "${disk[@]}" --offset 1 --length "$length"
    error_says "^qcow-tool: measure: source: the image .* $((length + 1))\$"
    [ ! -s stdout ]
    nothing_left
}

@test "a length that is none is a usage error" {
    local n
    for n in 0 -1 x 1x '' 0x10 1.5 99999999999999999999; do
        refused 2 "${disk[@]}" --length "$n"
        error_says "^qcow-tool: stream: --length: "
    done
}

@test "a piece of an image that may be another next time needs its id" {
    nbd_server unix nbdkit -r file disk
    whole --source-format nbd --source "$uri"
    refused 1 "${args[@]}" --length 300001
    error_says '^qcow-tool: stream: source: .*--expect-id.*--detect-zeroes$'
    piece 0 300001 --expect-id "$id"
    piece 300001 $((length - 300001)) --expect-id "$id"
    refused 1 "${args[@]}" --length 5 --expect-id "$(printf '%064d' 0)"
    error_says 'another image than --expect-id says'
}

@test "what is in no piece is not read" {
    printf '%s\n' '1M 1M' '5M 1M' >extents
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r --filter=extentlist eval extentlist=extents \
        get_size='echo 6M' \
        pread='[ $(($4)) -lt 2097152 ] || { echo EIO no >&2; exit 1; }
            dd if=disk bs=64K iflag=skip_bytes,count_bytes \
                skip=$4 count=$3 status=none'
    qcow_tool measure --source-format nbd --source "$uri"
    stdout_to=piece qcow_tool stream --source-format nbd --source "$uri" \
        --offset $(($(jq .length stdout) - 2097152)) --length 1M \
        --expect-id "$(jq -r .id stdout)"
    cmp piece <(tail -c +1048577 disk | head -c 1M) >&2
}

@test "progress, report and checksum are those of the piece" {
    whole "${disk[@]}"
    piece 300001 400000 --checksum sha256 --report report.json
    [ "$(jq -r '[.offset, .bytes, ."image-length", .sha256] | join(" ")' \
        report.json)" = \
        "300001 400000 $length $(sha256sum piece | cut -d' ' -f1)" ]
    # At its end the image is almost done, but the piece has just begun: from
    # 35 % on, which planning takes, the first megabyte is half of it.
    rm piece
    QCOW_TOOL_MOVER=copy qcow_tool stream "${args[@]}" \
        --offset $((length - 2000000)) --length 1999999 \
        --destination piece --progress --machine
    [[ $stdout =~ ^([0-9]{3})*0350[4-7][0-9]([0-9]{3})*100$ ]]
}

@test "a file that has the beginning is made a piece longer" {
    whole "${disk[@]}"
    head -c 300001 whole.qcow2 >part
    qcow_tool stream "${args[@]}" --offset 300001 --length 100000 \
        --destination part
    is_piece 0 400001 part
    qcow_tool stream "${args[@]}" --offset 400001 --destination part
    same_bytes whole.qcow2 part
}

@test "after a crash the pieces that follow make the whole" {
    local from
    whole "${disk[@]}"
    # Nothing can be tidied up, and it is in the data.
    start_tool crashed stream "${args[@]}" --rate-limit 1M --destination part
    wait_until 20 eval '[ -e part ] && [ "$(stat -c %s part)" -gt 700000 ]'
    kill -KILL "$(cat crashed.pid)"
    finish_tool crashed 137
    from=$(stat -c %s part)
    echo "$from of $length" >&2
    [ "$from" -lt $((length - 500000)) ]
    is_piece 0 "$from" part
    qcow_tool stream "${args[@]}" --expect-id "$id" --offset "$from" \
        --length 500000 --destination part
    qcow_tool stream "${args[@]}" --expect-id "$id" \
        --offset $((from + 500000)) --destination part
    same_bytes whole.qcow2 part
    nothing_left
}

@test "pieces with an id are written to their places in any order" {
    whole "${disk[@]}"
    local n size=$((length / 4 + 1)) last
    truncate -s "$length" joined.qcow2
    last=$((length - 3 * size))
    # place OFFSET LENGTH [STREAM-ARG...]
    place() {
        exec 5<>joined.qcow2
        python3 -c "import os; os.lseek(5, $1, 0)"
        qcow_tool "${status-0}" stream "${args[@]}" --offset "$1" \
            --length "$2" --destination-fd 5 "${@:3}"
        exec 5>&-
    }
    status=1 place $((3 * size)) $last
    error_says 'does not hold the beginning of this image: it differs at'
    place $((3 * size)) $last --expect-id "$id"
    for n in 1 0 2; do
        place $((n * size)) $size --expect-id "$id"
    done
    same_bytes whole.qcow2 joined.qcow2
    nothing_left
}

@test "eight pieces at the same time, of two hosts' disks, are the whole" {
    whole "${disk[@]}"
    local n size=$((length / 8 + 1)) pids=()
    cp disk other
    for n in 0 1 2 3 4 5 6 7; do
        args=(--source "$([ $((n % 2)) = 0 ] && echo disk || echo other)")
        args+=(--offset "$((n * size))" --expect-id "$id")
        [ $n = 7 ] || args+=(--length "$size")
        TMPDIR=$spool qcow-tool stream "${args[@]}" 3>&- |
            dd of=joined.qcow2 conv=notrunc bs=1M iflag=fullblock \
                oflag=seek_bytes seek=$((n * size)) status=none 3>&- &
        pids+=($!)
    done
    for n in "${pids[@]}"; do
        wait "$n"
    done
    same_bytes whole.qcow2 joined.qcow2
    qcow_tool serve --destination copy.raw <joined.qcow2
    same_bytes disk copy.raw
    nothing_left
}
