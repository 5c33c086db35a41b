#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --first-byte-within: a reader is not left without a byte for long.  A disk
# that takes long to read is a server that answers once there is a file `go'.

load ../lib/helpers

# Sets $uri.
slow_server() {
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r --filter=noextents eval \
        thread_model='echo parallel' get_size='stat -c %s disk' \
        pread='touch asked
            until [ -e go ]; do sleep 0.05; done
            if [ -e broken ]; then echo EIO broken >&2; exit 1; fi
            dd if=disk bs=64K iflag=skip_bytes,count_bytes \
                skip=$4 count=$3 status=none'
}

setup() {
    helpers_setup
    make_disk disk 4M data@1M+64K
    slow_server
}

teardown() {
    # The server ends when it has answered.
    touch "$BATS_TEST_TMPDIR/go"
    helpers_teardown
}

# from_server OPTION...
from_server() {
    qcow-tool stream --source-format nbd --source "$uri" "$@"
}

@test "the header begins to go out while the disk is being read" {
    local options n=3 tools=()
    set -- "" "--compat 0.10 --cluster-size 4K" "--layout convert"
    for options; do
        mkfifo $n.fifo
        # shellcheck disable=SC2086 # several words
        from_server --first-byte-within 1 $options >$n.fifo 3>&- &
        tools+=($!)
        eval "exec $((n + 3))<$n.fifo"
        n=$((n + 1))
    done
    # Of each the first bytes, though none of them has been able to read.
    for n in 3 4 5; do
        head -c 2 <&$((n + 3)) >$n.bin
        [ "$(stat -c %s $n.bin)" = 2 ]
    done
    touch go
    n=3
    for options; do
        cat <&$((n + 3)) >>$n.bin
        # shellcheck disable=SC2086 # several words
        qcow-tool stream --source disk $options >expected.bin
        cmp $n.bin expected.bin
        n=$((n + 1))
    done
    wait "${tools[@]}"
}

# begins FD STREAM-ARG...
# A stream into a pipe, which is read as FD. A byte of it is there, and nobody
# has been able to read the server's disk.
begins() {
    local fd=$1
    mkfifo "$fd.fifo"
    exec 5<>"$fd.fifo"
    eval "exec $fd<$fd.fifo"
    start_tool "$fd" stream --first-byte-within 1 --destination-fd 5 "${@:2}"
    exec 5<&-
    wait_until 20 has_sent "$fd.fifo"
    [ ! -e go ]
}

@test "the header begins to go out while a disk is compared with a base" {
    cp disk base
    poke base 1060000 00ff00
    begins 6 --source-format nbd --source "$uri" --relative-to base
    begins 7 --source base --relative-to "$uri"
    touch go
    cat <&6 >6.bin
    cat <&7 >7.bin
    finish_tool 6
    finish_tool 7
    from_server --relative-to base --first-byte-within 0 >expected.bin
    same_bytes expected.bin 6.bin
    qcow-tool stream --source base --relative-to "$uri" \
        --first-byte-within 0 >expected.bin
    same_bytes expected.bin 7.bin
    nothing_left
}

@test "a disk that cannot be read after all leaves a part of the header" {
    local n length
    begins 6 --source-format nbd --source "$uri"
    # An nbdkit may die when a client leaves with requests under way.
    slow_server
    begins 7 --source disk --relative-to "$uri"
    touch broken go
    finish_tool 6 1
    finish_tool 7 1
    error_says '^qcow-tool: stream: source: .*Input/output error' 6.stderr
    error_says '^qcow-tool: stream: base: .*Input/output error' 7.stderr
    qcow-tool stream --source disk >whole.bin
    for n in 6 7; do
        one_line $n.stderr
        eval "cat <&$n >$n.bin"
        length=$(stat -c %s $n.bin)
        # Of the 72 bytes that each header has, half go out early at most.
        [ "$length" -gt 0 ] && [ "$length" -le 36 ]
        cmp -n "$length" whole.bin $n.bin
    done
    nothing_left
}

@test "a reader that has left by then is an error" {
    mkfifo fifo
    from_server --first-byte-within 1 >fifo 2>stderr 3>&- &
    local tool=$! rc=0
    head -c 1 fifo >first
    [ "$(cat first)" = Q ]
    # The next byte finds out; then the disk is read.
    wait_until 20 test -e asked
    touch go
    wait $tool || rc=$? # not by run: its subshell has no such child
    [ $rc = 1 ]
    error_says "^qcow-tool: stream: destination: the reader left" stderr
}

@test "nothing goes out early where the image has to be a certain one" {
    local length id words
    length=$(qcow-tool measure --source disk |
        sed -n 's/.*"length": \([0-9]*\).*/\1/p')
    id=$(qcow-tool measure --source disk | sed -n 's/.*"id": "\(.*\)".*/\1/p')
    touch go
    from_server --debug 2>log | cat >/dev/null
    grep -q "planning: meanwhile a byte goes out each 20000 ms" log
    for words in "--expect-length $length" "--expect-id $id" \
        "--first-byte-within 0" "--destination out.bin"; do
        # shellcheck disable=SC2086 # several words
        from_server --debug $words 2>log | cat >/dev/null
        grep -q "plan: data" log
        run ! grep "planning:" log
    done
}

@test "a number of seconds that is none is a usage error" {
    local value
    for value in x -1 1.5 86401 ""; do
        run -2 --separate-stderr from_server --first-byte-within "$value"
        [[ $stderr == *"--first-byte-within: '$value' is not a number of "* ]]
    done
}
