#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --first-byte-within: a reader is not left without a byte for long.  A disk
# that takes long to read is a server that answers once there is a file `go'.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 4M data@1M+64K
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r --filter=noextents eval \
        thread_model='echo parallel' get_size='stat -c %s disk' \
        pread='touch asked
            until [ -e go ]; do sleep 0.05; done
            dd if=disk bs=64K iflag=skip_bytes,count_bytes \
                skip=$4 count=$3 status=none'
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
