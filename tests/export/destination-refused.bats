#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Destinations and spool directories that fail: a clear line, nothing left.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 12M data@1M+8M
    disk=(--source-format raw --source disk)
}

# on_terminal FDS STREAM-ARG...
# Exit code 1 or 2, and nothing but the message, if that, is on the terminal.
on_terminal() {
    local fds=$1 rc=0
    shift
    python3 "$tests/with-terminal.py" screen "$fds" \
        qcow-tool stream "$@" 2>stderr || rc=$?
    show screen screen
    show stderr stderr
    [ $rc = 1 ] || [ $rc = 2 ]
    run ! grep -a -q QFI screen
    no_spool_left
}

@test "a terminal is refused, on standard output and as another fd" {
    on_terminal 1 "${disk[@]}"
    [ ! -s screen ]
    error_says "terminal"
    on_terminal 1,2 "${disk[@]}" --destination stdout:
    error_says "terminal" screen
    on_terminal 5 "${disk[@]}" --destination-fd 5
    [ ! -s screen ]
    error_says "terminal"
    on_terminal 5 "${disk[@]}" --destination fd:5
    error_says "terminal"
    on_terminal 5 "${disk[@]}" --destination /dev/fd/5
    error_says "terminal"
}

@test "a terminal elsewhere is none of a stream's business" {
    python3 "$tests/with-terminal.py" screen 2 qcow-tool stream "${disk[@]}" \
        >got.qcow2
    same_content disk got.qcow2
}

@test "a full destination is an error with its cause" {
    qcow_tool 1 stream "${disk[@]}" --destination /dev/full
    error_says "destination.*No space left on device"
    nothing_left
    qcow_tool 1 stream "${disk[@]}" --destination-fd 5 5>/dev/full
    error_says "destination.*No space left on device"
    nothing_left
    stdout_to=/dev/full qcow_tool 1 stream "${disk[@]}"
    error_says "destination.*No space left on device"
    nothing_left
}

@test "an fd that is not open, or not open for writing, is an error" {
    qcow_tool "[12]" stream "${disk[@]}" --destination-fd 77
    error_says "77.*Bad file descriptor"
    qcow_tool "[12]" stream "${disk[@]}" --destination fd:77
    error_says "77.*Bad file descriptor"
    qcow_tool "[12]" stream "${disk[@]}" --destination-fd 5 5<disk
    error_says "5"
    nothing_left
}

@test "an fd that is no number is a usage error" {
    local fd
    for fd in x -1 5x 99999999999 ""; do
        qcow_tool 2 stream "${disk[@]}" --destination-fd "$fd"
    done
    qcow_tool 2 stream "${disk[@]}" --destination fd:x
    error_says "x"
    nothing_left
}

@test "a path that cannot be made is an error with its name" {
    qcow_tool 1 stream "${disk[@]}" --destination nosuch/stream.qcow2
    error_says "nosuch/stream.qcow2.*No such file or directory"
    mkdir dir
    qcow_tool 1 stream "${disk[@]}" --destination dir
    error_says "dir.*Is a directory"
    nothing_left
}

@test "a reader that leaves is an error, and all the rest ends" {
    sndbuf=4608 ignore_sigpipe=1 expect="1 0" through_socketpair \
        qcow-tool stream "${disk[@]}" --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got --leave-after 1000000
    error_says "Broken pipe|Connection reset" sender.stderr
    nothing_left
}

@test "when the source fails no destination is made, and none is changed" {
    qcow_tool 1 stream --source-format raw --source nosuch --destination new
    error_says "nosuch.*No such file or directory"
    [ ! -e new ]
    echo precious >old
    qcow_tool 1 stream --source-format raw --source nosuch --destination old
    [ "$(cat old)" = precious ]
    nothing_left
}

@test "the spool directory must be there" {
    refused 1 "${disk[@]}" --spool-dir "$PWD/nosuch"
    error_says "nosuch.*No such file or directory"
    refused 1 "${disk[@]}" --spool-dir "$PWD/disk"
    error_says "disk.*Not a directory"
}

@test "--spool-dir comes before TMPDIR" {
    mkdir other
    spool=$PWD/nosuch stdout_to=got.qcow2 qcow_tool stream "${disk[@]}" \
        --spool-dir other
    same_content disk got.qcow2
    [ -z "$(ls -A other)" ]
    spool=$PWD/nosuch stdout_to=stream.qcow2 qcow_tool 1 stream "${disk[@]}"
    error_says "nosuch"
    nothing_left
}

@test "a file that the source keeps its data in is no destination" {
    qemu-img create -q -f vmdk -o subformat=monolithicFlat parts.vmdk 4M
    qemu-io -f vmdk -c 'write -q -P 5 0 4M' parts.vmdk
    qemu-img create -q -f qcow2 -o data_file=data parts.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 5 0 4M' parts.qcow2
    cp parts-flat.vmdk vmdk.before
    cp data data.before
    qcow_tool 1 stream --source-format vmdk --source parts.vmdk \
        --destination parts-flat.vmdk
    error_says 'destination: it is the source'
    qcow_tool 1 stream --source-format qcow2 --source parts.qcow2 \
        --destination data
    error_says 'destination: it is the source'
    same_bytes vmdk.before parts-flat.vmdk
    same_bytes data.before data
}
