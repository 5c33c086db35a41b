#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --changed-blocks: what xapi says has changed is sent, and no base is needed.

load ../lib/helpers

# A disk that ends in mid-block, and what its base was: changes at both ends,
# in one block and across two, one that emptied a block, one of two bytes at
# the border of blocks; and two blocks that were written as they were, of which
# one is zero.
setup() {
    helpers_setup
    local size=$((6 * 1048576 + 70144))
    make_disk base.raw $size data@0+1M data@2M+1M
    cp --sparse=always base.raw disk.raw
    make_disk disk.raw $size seed:2 data@0+4K zeroes@2M+64K \
        data@2359290+12 data@4M+300K tail+512
    python3 "$tests/changed-blocks.py" base.raw disk.raw 12 20 >changed
    disk=(--source disk.raw --changed-blocks changed)
    expected='0+65536
786432+65536
1310720+65536
2097152+65536
2293760+131072
4194304+327680
6356992+4608'
}

# sends_changed STREAM-ARG...
# A good difference, of just those blocks, and nothing of it is marked.
sends_changed() {
    good_difference disk.raw base.raw "$@"
    [ "$(sent difference.qcow2)" = "$expected" ] || {
        sent difference.qcow2 >&2
        return 1
    }
    [ "$(data_ranges difference.qcow2 | joined)" = "$expected" ]
}

@test "raw: all of the blocks, and nothing else" {
    sends_changed "${disk[@]}"
}

@test "images and hybrids, whatever is in their own map" {
    local format
    for format in qcow2 vmdk; do
        disk_image $format disk.raw image.$format
        sends_changed --source-format $format --source image.$format \
            --changed-blocks changed
    done
    sends_changed --source-format hybrid --source disk.raw:image.qcow2 \
        --changed-blocks changed
}

@test "nbd and nbdhybrid: what the server says of its data does not matter" {
    local filter
    for filter in nofilter noextents; do
        nbd_server unix nbdkit -r --filter=$filter file disk.raw
        sends_changed --source-format nbd --source "$uri" \
            --changed-blocks changed
    done
    sends_changed --source-format nbdhybrid --source \
        "disk.raw:$socket::$(stat -c %s disk.raw)" --changed-blocks changed
}

@test "clusters of any size are sent whole" {
    local size
    for size in 512 4K 256K 2M; do
        good_difference disk.raw base.raw "${disk[@]}" --cluster-size $size
    done
    # Each of 2 MiB is touched.
    [ "$(sent difference.qcow2)" = "0+$(stat -c %s disk.raw)" ]
    sends_changed "${disk[@]}" --extended-l2
    good_difference disk.raw base.raw "${disk[@]}" --cluster-size 2M \
        --extended-l2
    sends_changed "${disk[@]}" --compat 0.10
}

# marks ZERO STREAM-ARG...
# A good difference, of which just these ranges are marked.
marks() {
    flags=yes difference_is disk.raw base.raw --zero-clusters flag "${@:2}"
    [ "$(flagged difference.qcow2)" = "$1" ] || {
        flagged difference.qcow2 >&2
        return 1
    }
    [ "$(sent difference.qcow2)" = "$expected" ]
}

@test "with the zero flag what is zero takes no room" {
    local hole='1310720+65536' both='1310720+65536
2097152+65536'
    marks "$both" "${disk[@]}"
    good_order difference.qcow2
    marks "$both" "${disk[@]}" --detect-zeroes
    marks "$both" "${disk[@]}" --layout convert
    disk_image qcow2 disk.raw image.qcow2
    disk=(--changed-blocks changed)
    marks "$both" "${disk[@]}" --source-format qcow2 --source image.qcow2
    marks "$both" "${disk[@]}" --source-format hybrid \
        --source disk.raw:image.qcow2
    # What the server does not call zero is data, unless it is looked at.
    nbd_server unix nbdkit -r file disk.raw
    disk+=(--source-format nbd --source "$uri")
    marks "$hole" "${disk[@]}"
    marks "$both" "${disk[@]}" --detect-zeroes
}

@test "what has not changed is not read" {
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r eval get_size='stat -c %s disk.raw' \
        pread='dd if=disk.raw bs=64K iflag=skip_bytes,count_bytes \
                skip=$4 count=$3 status=none; echo $4 $3 >>reads'
    sends_changed --source-format nbd --source "$uri" --changed-blocks changed
    awk '{ n += $2; if ($1 >= 65536 && $1 < 786432) { exit 1 } }
        END { print n; exit n > 8 * 800000 }' reads >&2
}

@test "no block, and each of them" {
    cp base.raw disk.raw
    python3 "$tests/changed-blocks.py" base.raw disk.raw >changed
    good_difference disk.raw base.raw "${disk[@]}"
    is_empty difference.qcow2
    truncate -s 0 nothing.raw
    truncate -s "$(stat -c %s disk.raw)" nothing.raw
    make_disk disk.raw "$(stat -c %s disk.raw)" full
    python3 "$tests/changed-blocks.py" nothing.raw disk.raw >changed
    good_difference disk.raw nothing.raw "${disk[@]}"
    [ "$(sent difference.qcow2)" = "0+$(stat -c %s disk.raw)" ]
}

@test "from standard input, an fd and a pipe, with lines of any length" {
    stdout_to=whole.qcow2 qcow_tool stream "${disk[@]}"
    fold -w 5 changed >folded
    tr -d '\n' <changed >bare
    sed 's/$/\r/' folded >crlf
    local file
    for file in folded bare crlf; do
        stdout_to=part.qcow2 qcow_tool stream disk.raw \
            --changed-blocks - <$file
        same_bytes whole.qcow2 part.qcow2
    done
    stdout_to=part.qcow2 qcow_tool stream disk.raw \
        --changed-blocks fd:5 5<folded
    same_bytes whole.qcow2 part.qcow2
    # shellcheck disable=SC2002 # a pipe is what is tried
    cat folded | stdout_to=part.qcow2 qcow_tool stream disk.raw \
        --changed-blocks fd:0
    same_bytes whole.qcow2 part.qcow2
    stdout_to=part.qcow2 qcow_tool stream - --changed-blocks folded <disk.raw
    same_bytes whole.qcow2 part.qcow2
}

@test "the same record gives the same image, which can be gone on with" {
    local length id from
    nbd_server unix nbdkit -r file disk.raw
    for from in "--source disk.raw" "--source-format nbd --source $uri"; do
        # shellcheck disable=SC2206 # words
        args=($from --changed-blocks changed)
        stdout_to=whole.qcow2 qcow_tool stream "${args[@]}"
        length=$(stat -c %s whole.qcow2)
        qcow_tool measure "${args[@]}"
        [ "$(jq .stable stdout)" = true ]
        id=$(jq -r .id stdout)
        head -c 400000 whole.qcow2 >part.qcow2
        rm -f rest
        stream_into rest "${args[@]}" --offset 400000 --length 100000
        cat rest >>part.qcow2
        stream_into part.qcow2 "${args[@]}" --offset 500000 --expect-id "$id"
        same_bytes whole.qcow2 part.qcow2
    done
    # Another record is another image.
    python3 "$tests/changed-blocks.py" base.raw disk.raw >changed
    refused 1 "${args[@]}" --expect-id "$id"
    error_says 'another image than --expect-id says'
    # A map that may change is asked where zeroes are.
    refused 1 "${args[@]}" --zero-clusters flag --offset 400000
    error_says '--expect-id.*--detect-zeroes$'
}

@test "a record of another disk, or none at all, is refused" {
    local begins='^qcow-tool: stream: source: changed blocks in record: '
    zeroes() {
        head -c "$1" /dev/zero | base64 >record
    }
    refused_as() {
        refused 1 disk.raw --changed-blocks record
        error_says "$begins$1\$"
    }
    zeroes 12
    refused_as 'there are 12 bytes of bits, and a disk of 6361600 bytes has 13'
    zeroes 14
    refused_as 'there are more than 13 .*, and a disk of 6361600 bytes has 13'
    : >record
    refused_as 'there are 0 bytes .*'
    { head -c 12 /dev/zero && printf '\1'; } | base64 >record
    refused_as 'block 103 is marked, and a disk of 6361600 bytes has 98'
    echo '{"changed": "AAAA"}' >record
    refused_as 'byte 0 is no base64'
    sed 's/A/-/' changed >record
    refused_as 'byte [0-9]+ is no base64'
    cat changed changed >record
    refused_as 'byte [0-9]+ is no base64'
    printf 'AAA' >record
    refused_as 'the base64 ends in the middle'
    time_limit=20 refused 1 disk.raw --changed-blocks <(yes '')
    error_says 'in .*: white space without an end, at byte 655[0-9]*$'
    head -c 1M /dev/urandom >record
    refused_as 'byte [0-9]+ is no base64'
    rm record
    refused 1 disk.raw --changed-blocks record
    error_says 'source: changed blocks: cannot open record: No such file'
    mkdir record
    refused 1 disk.raw --changed-blocks record
    error_says 'source: cannot read the changed blocks in record: Is a dir'
    refused 1 disk.raw --changed-blocks - </dev/null
    error_says 'source: changed blocks in standard input: there are 0 bytes '
    refused 1 disk.raw --changed-blocks fd:5 5>>changed
    error_says 'source: changed blocks: fd 5 is write-only'
}

@test "what does not go together is wrong usage" {
    refused 2 "${disk[@]}" --relative-to base.raw
    error_says '--relative-to and --changed-blocks contradict each other$'
    refused 2 "${disk[@]}" --detect-zeroes
    error_says '--detect-zeroes: what has changed is sent, .*-clusters flag$'
    refused 2 - --changed-blocks - <disk.raw
    error_says '--changed-blocks: standard input is the disk$'
    refused 2 disk.raw --changed-blocks ''
    error_says '--changed-blocks: the path is empty$'
    refused 2 disk.raw --changed-blocks fd:x
    error_says '--changed-blocks: .x. is neither an fd nor a UUID$'
    qcow_tool 2 validate "${disk[@]}"
    error_says "unknown option '--changed-blocks': stream has it"
}
