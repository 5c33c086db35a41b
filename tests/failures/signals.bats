#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Signals: their work is undone, and the exit status says which it was.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 8M full
    image disk.raw disk.qcow2
    chmod 755 "$BATS_TEST_TMPDIR"
}

# A stream that nobody reads is in mid-work: $tool is its process.
blocked_stream() {
    [ -p out.fifo ] || mkfifo out.fifo
    rm -f blocked.pid
    exec 5<>out.fifo
    start_tool blocked stream --source-format raw --source disk.raw \
        --destination-fd 5 "$@"
    exec 5<&-
    tool=$(cat blocked.pid)
}

# Whether a child of process $1 runs a command like $2.
has_child_like() {
    local pid
    for pid in $(cat "/proc/$1/task/"*/children); do
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "$2" && return
    done
    return 1
}

# A QEMU that never ends: children like "sleep 31416".
fake_that_blocks() {
    fake "$1" <<\END
exec sleep 31416
END
}

@test "SIGTERM and SIGINT end stream in mid-work" {
    local name number
    while read -r name number; do
        blocked_stream
        wait_until 20 has_sent out.fifo
        kill -s "$name" "$tool"
        finish_tool blocked $((128 + number))
        nothing_left
    done <<<$'TERM 15\nINT 2'
}

@test "SIGTERM and SIGINT end serve in mid-work, and no new file is left" {
    local name number
    while read -r name number; do
        expect="0 $((128 + number))" send_image disk.qcow2 --length 4000000 \
            --signal "$name" -- --destination new.raw
        error_says "serve: ended by signal $number [(][^)]*[)]$" \
            receiver.stderr
        [ ! -e new.raw ]
        nothing_left
    done <<<$'TERM 15\nINT 2'
}

@test "what a signal leaves on a disk that was there is told, and reported" {
    other_data copy.raw 8M
    expect="0 143" send_image disk.qcow2 --length 4000000 \
        --signal TERM -- --destination copy.raw --report report.json
    run ! untouched copy.raw
    error_says 'serve: ended by signal 15 .*; the destination is partly w' \
        receiver.stderr
    one_line receiver.stderr
    [[ $(jq -r .error.message report.json) = *'is partly written' ]]
    nothing_left
}

@test "SIGTERM ends serve before the first byte" {
    other_data copy.raw 8M
    expect="0 143" send_image disk.qcow2 --length 0 --signal TERM -- \
        --destination copy.raw
    run ! grep -q 'partly written' receiver.stderr
    untouched copy.raw
    nothing_left
}

@test "death by a signal is real, not an exit status that looks like it" {
    # And seen though some of a write was done when it came.
    run -0 timeout 20 python3 - disk.raw <<\END
import socket, subprocess, sys
ours, theirs = socket.socketpair()
p = subprocess.Popen(["qcow-tool", "stream", "--source-format", "raw",
                      "--source", sys.argv[1]], stdout=theirs)
ours.recv(4)
p.terminate()
sys.exit(p.wait() != -15)
END
}

@test "a signal that was ignored at the start stays ignored" {
    # shellcheck disable=SC2016 # for the inner shell
    through_socketpair python3 "$tests/send.py" '{}' disk.qcow2 \
        --pause-at 4000000 --tease INT -- \
        sh -c 'trap "" INT
        exec qcow-tool serve --source-fd "$1" --destination new.raw' sh '{}'
    same_bytes disk.raw new.raw
    nothing_left
}

@test "SIGTERM ends stream while QEMU works, and QEMU with it" {
    local program
    for program in qemu-img qemu-io; do
        fake_that_blocks $program
        blocked_stream --$program "$fake"
        wait_until 20 has_child_like "$tool" 'sleep 31416'
        kill -s TERM "$tool"
        finish_tool blocked 143
        nothing_left
    done
}

@test "SIGTERM ends serve while QEMU works, and QEMU with it" {
    fake_that_blocks qemu-img
    start_tool blocked serve --destination new.raw --qemu-img "$fake" \
        --source-fd 5 5<disk.qcow2
    tool=$(cat blocked.pid)
    wait_until 20 has_child_like "$tool" 'sleep 31416'
    kill -s TERM "$tool"
    finish_tool blocked 143
    [ ! -e new.raw ]
    nothing_left
}

@test "SIGKILL of stream ends QEMU too, and leaves no file" {
    local program
    for program in qemu-img qemu-io; do
        fake_that_blocks $program
        blocked_stream --$program "$fake"
        wait_until 20 has_child_like "$tool" 'sleep 31416'
        kill -s KILL "$tool"
        finish_tool blocked 137
        nothing_left
    done
}

@test "SIGKILL of serve ends QEMU too, and leaves no file in the spool" {
    fake_that_blocks qemu-img
    start_tool blocked serve --destination new.raw --qemu-img "$fake" \
        --source-fd 5 5<disk.qcow2
    tool=$(cat blocked.pid)
    wait_until 20 has_child_like "$tool" 'sleep 31416'
    kill -s KILL "$tool"
    finish_tool blocked 137
    nothing_left
}

@test "a client that goes while QEMU hangs ends serve's wait for bytes" {
    # QEMU has not been asked yet: the header is not complete.
    expect="0 1" time_limit=20 send_image disk.qcow2 --length 50 \
        --pause-at 49 -- --destination new.raw
    error_says '^qcow-tool: serve: source: ' receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}
