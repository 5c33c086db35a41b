#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --offset N: the stream from its file offset N on, as if it had been cut.

load ../lib/helpers

setup() {
    helpers_setup
    mixed_disk disk 6M
    disk=(--source-format raw --source disk)
}

# whole STREAM-ARG...
# The stream that the next ones are a part of: whole.qcow2, of $length bytes.
whole() {
    args=("$@")
    stdout_to=whole.qcow2 qcow_tool stream "${args[@]}"
    length=$(stat -c %s whole.qcow2)
    [ "$length" -gt 500000 ]
}

# tail_from N FILE
tail_from() {
    cmp <(tail -c +$(($1 + 1)) whole.qcow2) "$2" >&2 || {
        echo "from $1 of $length on" >&2
        return 1
    }
}

# resumes N...
# From each of these offsets on.
resumes() {
    local n
    for n; do
        rm -f part
        stream_into part "${args[@]}" --offset "$n"
        tail_from "$n" part
    done
    no_spool_left
}

# random_offsets SEED COUNT
random_offsets() {
    awk -v seed="$1" -v count="$2" -v length_="$length" 'BEGIN {
        srand(seed)
        while (count-- > 0) { print int(rand() * length_) }
    }'
}

@test "20 offsets of the streamable layout" {
    whole "${disk[@]}"
    # shellcheck disable=SC2046 # words
    resumes $(random_offsets 1 20)
}

@test "20 offsets of the layout of qemu-img convert" {
    whole "${disk[@]}" --layout convert
    # shellcheck disable=SC2046 # words
    resumes $(random_offsets 2 20)
}

@test "offsets at the borders of tables, data and clusters" {
    local layout first
    for layout in streamable convert; do
        whole "${disk[@]}" --layout $layout
        first=$(qemu-img map --output=json -f qcow2 whole.qcow2 |
            jq '[.[] | select(.data) | .offset] | min')
        resumes 0 1 511 65535 65536 65537 $((first - 1)) "$first" \
            $((first + 1)) $((first + 4095)) $((length - 65536)) \
            $((length - 1))
    done
}

@test "from 0 on it is the whole" {
    whole "${disk[@]}"
    stdout_to=part qcow_tool stream "${disk[@]}" --offset 0
    same_bytes whole.qcow2 part
}

@test "from its end on it is nothing, and that is a success" {
    local layout
    for layout in streamable convert; do
        whole "${disk[@]}" --layout $layout
        stdout_to=part qcow_tool stream "${args[@]}" --offset "$length"
        [ ! -s part ]
        [ ! -s stderr ]
        nothing_left
        rm part
        qcow_tool stream "${args[@]}" --offset "$length" --destination part
        [ -e part ]
        [ ! -s part ]
    done
}

@test "an offset beyond the end is an error with both numbers" {
    whole "${disk[@]}"
    local n
    for n in $((length + 1)) $((length * 2)) 9223372036854775807; do
        refused "[12]" "${disk[@]}" --offset "$n"
        error_says "$n"
        error_says "$length"
    done
}

@test "an offset that is none is a usage error" {
    local n
    for n in -1 x 1x '' ' ' 0x10 1.5 99999999999999999999; do
        refused 2 "${disk[@]}" --offset "$n"
        error_says "offset"
    done
}

@test "K and M are understood" {
    whole "${disk[@]}"
    stdout_to=part qcow_tool stream "${disk[@]}" --offset 100K
    tail_from 102400 part
    stdout_to=part qcow_tool stream "${disk[@]}" --offset 1M
    tail_from 1048576 part
}

@test "into a socket, also one that is slow" {
    local layout
    for layout in streamable convert; do
        whole "${disk[@]}" --layout $layout
        through_socketpair qcow-tool stream "${args[@]}" --offset 300001 \
            --destination-fd '{}' -- python3 "$tests/drain.py" '{}' part
        tail_from 300001 part
        nonblocking=1 sndbuf=4608 through_socketpair qcow-tool stream \
            "${args[@]}" --offset 1234567 --destination-fd '{}' -- \
            python3 "$tests/drain.py" '{}' part --late --chunk 7000
        tail_from 1234567 part
    done
    nothing_left
}

@test "into a file by its path, and without the fast mover" {
    whole "${disk[@]}"
    qcow_tool stream "${disk[@]}" --offset 777777 --destination part
    tail_from 777777 part
    rm part
    QCOW_TOOL_MOVER=copy qcow_tool stream "${disk[@]}" --offset 777777 \
        --destination part
    tail_from 777777 part
    rm part
    qcow_tool stream "${disk[@]}" --offset 777777 --direct --destination part
    tail_from 777777 part
}

@test "a transfer that broke is resumed where it broke, and the disk is whole" {
    whole "${disk[@]}"
    sndbuf=4608 expect="1 0" through_socketpair \
        qcow-tool stream "${disk[@]}" --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' begun.qcow2 --leave-after 1000001
    {
        cat begun.qcow2
        qcow_tool stream "${disk[@]}" --destination-fd 5 --offset 1000001 5>&1
    } >resumed.qcow2 2>/dev/null
    same_bytes whole.qcow2 resumed.qcow2
    qcow_tool serve --destination copy.raw <resumed.qcow2
    same_bytes disk copy.raw
}

@test "every source and every kind of stream" {
    disk_image qcow2 disk image.qcow2
    nbd_server unix nbdkit -r file disk
    whole --source-format hybrid --source disk:image.qcow2
    resumes 5 400001
    whole --source-format qcow2 --source image.qcow2
    resumes 5 400001
    whole --source-format nbd --source "$uri" --detect-zeroes
    resumes 5 400001
    whole "${disk[@]}" --cluster-size 4K
    resumes 5 400001
    whole "${disk[@]}" --extended-l2 --compat 1.1
    resumes 5 400001
}

@test "progress of a part ends with 100 as well" {
    whole "${disk[@]}"
    local n
    for n in 1000000 "$length"; do
        rm -f part
        qcow_tool stream "${disk[@]}" --offset "$n" --destination part \
            --progress --machine
        [[ $stdout =~ ^([0-9]{3})*100$ ]]
    done
}

@test "the device of an offset in the data is not read from its start" {
    printf '%s\n' '1M 1M' '5M 1M' >extents
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r --filter=extentlist eval extentlist=extents \
        get_size='echo 6M' \
        pread='[ $(($4)) -ge 5242880 ] || { echo EIO no >&2; exit 1; }
            dd if=disk bs=64K iflag=skip_bytes,count_bytes \
                skip=$4 count=$3 status=none'
    source_fails "offset 1048576" nbd "$uri"
    qcow_tool measure --source-format nbd --source "$uri"
    [ "$(jq .data stdout)" = 2097152 ]
    stdout_to=part qcow_tool stream --source-format nbd --source "$uri" \
        --offset $(($(jq .length stdout) - 1048576)) \
        --expect-id "$(jq -r .id stdout)"
    cmp part <(tail -c 1M disk) >&2
}

@test "a file that has the beginning is made whole" {
    whole "${disk[@]}"
    head -c 300001 whole.qcow2 >part
    qcow_tool stream "${disk[@]}" --offset 300001 --destination part
    same_bytes whole.qcow2 part
}

@test "a file that has something else stays as it is" {
    whole "${disk[@]}"
    head -c 300002 whole.qcow2 >part
    cp part before
    qcow_tool 1 stream "${disk[@]}" --offset 300001 --destination part
    error_says '^qcow-tool: stream: destination: part has 300002 .* 300001'
    same_bytes before part
}

@test "a file that has another image's beginning stays as it is" {
    whole "${disk[@]}" --cluster-size 4K
    local first
    head -c 300001 whole.qcow2 >part
    cp part before
    qcow_tool 1 stream "${disk[@]}" --offset 300001 --destination part
    error_says '^qcow-tool: stream: destination: part does not hold the '
    error_says 'beginning of this image: it differs at file offset 23$'
    same_bytes before part
    # By one byte of its last table.
    first=$(qemu-img map --output=json -f qcow2 whole.qcow2 |
        jq '[.[] | select(.data) | .offset] | min')
    printf x | dd of=part bs=1 seek=$((first - 1)) conv=notrunc status=none
    cp part before
    qcow_tool 1 stream "${args[@]}" --offset 300001 --destination part
    error_says "differs at file offset $((first - 1))\$"
    same_bytes before part
    nothing_left
}

@test "in the layout of qemu-img convert each table before the offset counts" {
    rm disk
    make_disk disk 80M data@1M+40M
    whole "${disk[@]}" --layout convert --cluster-size 4K
    local table
    # The first that has data on both of its sides.
    table=$(qemu-img map --output=json -f qcow2 whole.qcow2 |
        jq '[.[] | select(.data)] | .[0].offset + .[0].length')
    head -c 30M whole.qcow2 >part
    [ "$table" -lt 31457280 ]
    printf x | dd of=part bs=1 seek="$table" conv=notrunc status=none
    qcow_tool 1 stream "${args[@]}" --offset 30M --destination part
    error_says "differs at file offset $table\$"
    head -c 30M whole.qcow2 >part
    qcow_tool stream "${args[@]}" --offset 30M --destination part
    same_bytes whole.qcow2 part
}

@test "a block device is gone on with where the stream is" {
    requires loop
    whole "${disk[@]}"
    local device
    truncate -s $((length + 4096)) file
    head -c 300001 whole.qcow2 | dd of=file conv=notrunc status=none
    device=$(make_loop file)
    qcow_tool stream "${args[@]}" --offset 300001 --destination "$device"
    cmp -n "$length" whole.qcow2 "$device" >&2
    # By its fd, wherever that stands of the two.
    dd if=/dev/zero of="$device" bs=64K seek=5 count=1 status=none
    cp "$device" before
    qcow_tool stream "${args[@]}" --offset 300001 --destination-fd 5 \
        5>"$device"
    cmp -n "$length" whole.qcow2 "$device" >&2
    qcow_tool 1 stream "${args[@]}" --cluster-size 4K --offset 300001 \
        --destination "$device"
    error_says "$device does not hold the beginning of this image"
    qcow_tool 1 stream "${args[@]}" --offset 300001 --destination-fd 5 \
        5>>"$device"
    error_says "nothing can be appended to fd 5"
    cmp -n "$length" whole.qcow2 "$device" >&2
    nothing_left
}

@test "a block device that is too small for the image is refused untouched" {
    requires loop
    whole "${disk[@]}"
    local device
    truncate -s 1M file
    device=$(make_loop file)
    qcow_tool 1 stream "${args[@]}" --destination "$device"
    error_says "destination: $device has 1048576 bytes, too few for .* $length"
    cmp -n 1M /dev/zero "$device" >&2
}

@test "a file by its fd: appended to, at its start, at the offset" {
    whole "${disk[@]}"
    head -c 300001 whole.qcow2 >part
    qcow_tool stream "${args[@]}" --offset 300001 --destination-fd 5 5>>part
    same_bytes whole.qcow2 part
    head -c 300001 whole.qcow2 >part
    qcow_tool stream "${args[@]}" --offset 300001 --destination-fd 5 5<>part
    same_bytes whole.qcow2 part
    head -c 300001 whole.qcow2 >part
    {
        head -c 300001 <&5 >/dev/null
        qcow_tool stream "${args[@]}" --offset 300001 --destination-fd 5
    } 5<>part
    same_bytes whole.qcow2 part
}

@test "a file by its fd that holds something else stays as it is" {
    whole "${disk[@]}"
    head -c 300002 whole.qcow2 >part
    cp part before
    qcow_tool 1 stream "${args[@]}" --offset 300001 --destination-fd 5 5>>part
    error_says 'destination: fd 5 has 300002 bytes, .* 300001'
    { head -c 7 <&5 >/dev/null && qcow_tool 1 stream "${args[@]}" \
        --offset 300002 --destination-fd 5; } 5<>part
    error_says 'fd 5 has 300002 bytes, stands at 7, .* 300002'
    qcow_tool 1 stream "${args[@]}" --cluster-size 4K --offset 300002 \
        --destination-fd 5 5>>part
    error_says 'fd 5 does not hold the beginning of this image'
    same_bytes before part
    nothing_left
}

@test "a source with a map that may change is gone on with by id only" {
    nbd_server unix nbdkit -r file disk
    whole --source-format nbd --source "$uri"
    refused 1 "${args[@]}" --offset 300001
    error_says '^qcow-tool: stream: source: .*--expect-id.*--detect-zeroes$'
    refused 1 "${args[@]}" --offset 300001 --layout convert --detect-zeroes
    error_says '--expect-id.*--layout streamable$'
    refused 1 "${args[@]}" --offset 300001 --expect-id "$(printf '%064d' 0)"
    error_says 'another image than --expect-id says'
    qcow_tool measure "${args[@]}"
    stdout_to=part qcow_tool stream "${args[@]}" --offset 300001 \
        --expect-id "$(jq -r .id stdout)"
    tail_from 300001 part
}
