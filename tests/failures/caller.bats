#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The caller's world: whoever starts us may have ignored or blocked any signal,
# limited any resource, closed any fd, set any variable. Each ends well, or
# with one clear line and nothing left. caller.py knows the situations.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 2M data@64K+1M
    image disk.raw disk.qcow2
    here=$PWD
}

# run_under SITUATION... -- stream|image|serve|measure
# $rc is how it ended; what it made is new.raw or new.qcow2.
run_under() {
    local situation=()
    while [ "$1" != -- ]; do
        situation+=("$1")
        shift
    done
    local what=() to=(--destination "$here/new.qcow2")
    case $2 in
    stream) what=(stream --source "$here/disk.raw" "${to[@]}") ;;
    image) what=(stream --source-format qcow2 --source "$here/disk.qcow2"
        "${to[@]}") ;;
    serve) what=(serve --destination "$here/new.raw" --source-fd 5) ;;
    measure) what=(measure --source "$here/disk.raw") ;;
    esac
    rm -f new.raw new.qcow2
    echo "\$ caller.py ${situation[*]} -- qcow-tool $(quoted "${what[@]}")" >&2
    rc=0
    watch -- python3 "$tests/caller.py" "${situation[@]}" -- \
        qcow-tool "${what[@]}" >stdout 2>stderr 5<disk.qcow2 || rc=$?
    show stderr stderr
    nothing_left
}

# What run_under ran has done all, and said nothing.
all_went_well() {
    [ $rc = 0 ]
    [ ! -s stderr ]
    case $1 in
    stream | image) same_content disk.raw new.qcow2 ;;
    serve) same_bytes disk.raw new.raw ;;
    measure) jq -e .length stdout ;;
    esac
}

# It has failed, with one line that matches $1, and left no file.
all_is_undone() {
    [ $rc = 1 ]
    one_line stderr
    error_says "^qcow-tool: [a-z]*: .*$1"
    [ ! -e new.raw ] && [ ! -e new.qcow2 ]
}

# Another user can come here, with relative names: the directories above may
# be closed to others.
as_another_user() {
    requires root
    chmod 777 . spool
    chmod 644 disk.*
    here=.
    other=(user:65534 set:TMPDIR=spool)
    run_under "${other[@]}" -- measure
    [ $rc = 0 ] || skip "others cannot run the program"
}

@test "situations that do not matter do not matter" {
    local situation command
    while read -r situation; do
        for command in image serve measure; do
            # shellcheck disable=SC2086 # words
            run_under $situation -- $command
            all_went_well $command
        done
    done <<\END
ignore:CHLD
ignore:all umask:077
block:all
cwd:gone set:POSIXLY_CORRECT=1 set:LC_ALL=none set:MALLOC_PERTURB_=165
END
}

@test "a umask that forbids all is for others" {
    local command
    as_another_user
    for command in image serve; do
        run_under "${other[@]}" umask:0777 -- $command
        chmod -f 644 new.* || :
        all_went_well $command
    done
}

@test "standard streams that are closed are not missed, in any combination" {
    local closed command
    for closed in 0 1 2 0,1 0,2 1,2 0,1,2; do
        run_under close:$closed -- serve
        all_went_well serve
    done
    for closed in 0,1,2 1,2; do
        run_under close:$closed -- stream
        all_went_well stream
    done
    run_under close:0,2 -- measure
    all_went_well measure
    run_under close:1 -- measure
    all_is_undone 'standard output'
}

@test "a limit of file sizes is File too large, whoever meets it" {
    local command
    for command in image measure; do
        run_under limit:FSIZE=100000 -- $command # QEMU
        all_is_undone 'spool: .*File too large'
        run_under limit:FSIZE=200000 -- $command # the bridge
        all_is_undone 'spool: .*File too large'
    done
    run_under limit:FSIZE=1000000 -- image
    all_is_undone 'destination: .*File too large'
    run_under limit:FSIZE=1000000 -- serve
    all_is_undone 'destination: .*File too large'
}

@test "of too few fds it is said that there are too few, at any number" {
    local n command
    for command in image serve; do
        # With fewer the loader cannot open our libraries; fd 5 is in use.
        for n in 7 9 12 14 15 16 18 20 24 28 40; do
            run_under limit:NOFILE=$n -- $command
            [ $rc != 0 ] || break
            all_is_undone 'Too many open files'
            run ! grep 'source: disk offset' stderr
        done
        all_went_well $command
    done
}

@test "with little memory all is done, or undone with a word" {
    local mib command
    for command in image serve; do
        for mib in 64 100 120 200; do
            run_under limit:AS=$((mib << 20)) -- $command
            case $rc in
            0) all_went_well $command ;;
            127) error_says 'loading shared libraries' ;; # before we are there
            *) all_is_undone 'memory|unavailable|killed by' ;;
            esac
        done
    done
}

@test "where no process may be made that is said" {
    local command
    as_another_user
    for command in image serve measure; do
        run_under "${other[@]}" limit:NPROC=0 -- $command
        all_is_undone 'Resource temporarily unavailable'
    done
}

@test "without /proc serve works, and the others say that it is missing" {
    requires root unshare
    unshare -m sh -c 'mount --make-rprivate / && umount -l /proc' ||
        skip "needs mount namespaces"
    local command
    # shellcheck disable=SC2016 # for the inner shell
    without_proc() {
        rc=0
        unshare -m sh -c 'mount --make-rprivate / && umount -l /proc &&
            exec "$@"' sh qcow-tool "$@" >stdout 2>stderr <disk.qcow2 || rc=$?
        show stderr stderr
    }
    without_proc stream --source disk.raw --destination new.qcow2
    all_is_undone '/proc is not mounted'
    without_proc measure --source disk.raw
    all_is_undone '/proc is not mounted'
    without_proc serve --destination new.raw
    # Kernels before 5.11 cannot even tidy our fds without it.
    [ $rc = 0 ] || all_is_undone '/proc is not mounted'
    [ $rc != 0 ] || same_bytes disk.raw new.raw
}

# A stream that nobody reads is in mid-work: $tool is its process.
blocked_stream() {
    [ -p out.fifo ] || mkfifo out.fifo
    rm -f blocked.pid
    exec 5<>out.fifo
    start_tool blocked stream --source disk.raw --destination-fd 5
    exec 5<&-
    tool=$(cat blocked.pid)
    wait_until 60 has_sent out.fifo
}

# A measure whose qemu-img never ends. It tells that it has begun by a file,
# which no sandbox would let it write.
blocked_measure() {
    rm -f blocked.pid begun
    fake qemu-img <<END
touch $PWD/begun
exec sleep 31416
END
    start_tool blocked measure --source disk.raw --sandbox off \
        --qemu-img "$fake"
    tool=$(cat blocked.pid)
    wait_until 60 test -e begun
}

@test "--version has QEMU's, whatever the caller ignored" {
    watch -- python3 "$tests/caller.py" ignore:all -- qcow-tool --version \
        >stdout
    [ "$(grep -cE '^qemu-(img|io|nbd) .*[0-9]+\.[0-9]' stdout)" = 3 ]
}

@test "a caller that blocks all signals does not turn --stall-timeout off" {
    mkfifo out.fifo
    exec 5<>out.fifo
    rc=0
    watch -- timeout 30 python3 "$tests/caller.py" block:all -- qcow-tool \
        stream --source disk.raw --destination-fd 5 --stall-timeout 1 \
        2>stderr || rc=$?
    exec 5<&-
    [ $rc = 1 ]
    error_says 'nothing has moved for 1 s: the destination '
}

@test "each signal that ends a program ends us, and nothing is left" {
    local name number
    # The real-time ones are from 34 on.
    while read -r name number; do
        expect="0 $((128 + number))" send_image disk.qcow2 --length 700000 \
            --signal "$name" -- --destination new.raw
        [ ! -e new.raw ]
        nothing_left
    done <<<$'ALRM 14\nXCPU 24\nRTMAX 64'
    while read -r name number; do
        blocked_stream
        kill -s "$number" "$tool"
        finish_tool blocked $((128 + number))
        error_says "ended by signal $number " blocked.stderr
        nothing_left
    done <<<$'USR2 12\nIO 29'
    blocked_measure
    kill -s HUP "$tool"
    finish_tool blocked 129
    nothing_left
}

@test "SIGUSR1 and stopping are no end; who asks by SIGUSR1 is told" {
    blocked_stream
    kill -s USR1 "$tool"
    wait_until 60 stderr_says '^qcow-tool: +[0-9]+%  sending [0-9]' \
        blocked.stderr
    # Not SIGTSTP, which the kernel drops where there is no terminal.
    kill -s STOP "$tool"
    wait_until 60 grep -q '^State:.T' "/proc/$tool/status"
    kill -s CONT "$tool"
    timeout 60 cat out.fifo >out.qcow2
    finish_tool blocked
    same_content disk.raw out.qcow2
    [ "$(wc -l <blocked.stderr)" = 1 ]

    # With --quiet, too.
    through_socketpair python3 "$tests/send.py" '{}' disk.qcow2 \
        --pause-at 700000 --tease USR1 -- \
        qcow-tool serve --quiet --source-fd '{}' --destination new.raw
    same_bytes disk.raw new.raw
    error_says '^qcow-tool: +[0-9]+%  receiving [0-9]' receiver.stderr

    # While QEMU works, too.
    blocked_measure
    kill -s USR1 "$tool"
    wait_until 60 stderr_says '^qcow-tool: +[0-9]+%  planning' blocked.stderr
    kill -s TERM "$tool"
    finish_tool blocked 143
    nothing_left
}

@test "a SIGUSR1 that the caller ignored is not answered" {
    # shellcheck disable=SC2016 # for the inner shell
    through_socketpair python3 "$tests/send.py" '{}' disk.qcow2 \
        --pause-at 700000 --tease USR1 -- \
        sh -c 'trap "" USR1
        exec qcow-tool serve --source-fd "$1" --destination new.raw' sh '{}'
    same_bytes disk.raw new.raw
    [ ! -s receiver.stderr ]
}

@test "a reader that leaves is an error, with SIGPIPE ignored or not" {
    local ignored
    for ignored in '' 1; do
        ignore_sigpipe=$ignored expect="1 0" through_socketpair \
            qcow-tool stream --source disk.raw --destination-fd '{}' -- \
            python3 "$tests/drain.py" '{}' part.bin --leave-after 200000
        error_says '^qcow-tool: stream: destination: ' sender.stderr
        nothing_left
    done
}

@test "a qemu-nbd that has much to say is listened to" {
    fake qemu-nbd <<\END
head -c 300000 /dev/zero | tr '\0' 'x' >&2
echo hello
exec qemu-nbd "$@"
END
    time_limit=60 qcow_tool stream --source-format qcow2 \
        --source disk.qcow2 --destination new.qcow2 --qemu-nbd "$fake"
    same_content disk.raw new.qcow2
    nothing_left
}
