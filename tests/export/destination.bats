#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Where a stream can go: the same bytes everywhere.

load ../lib/helpers

setup() {
    helpers_setup
    mixed_disk disk 12M
    disk=(--source-format raw --source disk)
    stdout_to=expected.qcow2 qcow_tool stream "${disk[@]}"
    sound_image expected.qcow2
}

arrived() {
    same_bytes expected.qcow2 "${1:-got}"
    nothing_left
}

# Of what is open as an fd: the process that opened it shares this.
set_nonblocking() {
    python3 -c "import os; os.set_blocking($1, False)"
}

@test "the destination is stdout: unless one is named" {
    stdout_to=got qcow_tool stream "${disk[@]}" --destination stdout:
    arrived
}

@test "--destination-fd, a socket" {
    through_socketpair qcow-tool stream "${disk[@]}" --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got
    arrived
    [ ! -s sender.stdout ]
    [ ! -s sender.stderr ]
}

@test "--destination fd:N, a socket" {
    through_socketpair qcow-tool stream "${disk[@]}" --destination 'fd:{}' -- \
        python3 "$tests/drain.py" '{}' got
    arrived
}

@test "a socket whose reader takes a little at a time, and late" {
    sndbuf=4608 through_socketpair \
        qcow-tool stream "${disk[@]}" --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got --late --chunk 700
    arrived
}

@test "a non-blocking socket whose reader takes a little at a time, and late" {
    # The sender meets EAGAIN and short writes all the way.
    nonblocking=1 sndbuf=4608 through_socketpair \
        qcow-tool stream "${disk[@]}" --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got --late --chunk 700
    arrived
    nonblocking=1 sndbuf=4608 through_socketpair \
        qcow-tool stream "${disk[@]}" --destination-fd '{}' --direct -- \
        python3 "$tests/drain.py" '{}' got --late --chunk 700
    arrived
}

@test "a non-blocking socket with --layout convert" {
    stdout_to=expected.qcow2 qcow_tool stream "${disk[@]}" --layout convert
    nonblocking=1 sndbuf=4608 through_socketpair qcow-tool stream \
        "${disk[@]}" --layout convert --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got --late --chunk 700
    arrived
}

@test "the stream ends with end of file: the tool holds no end of the socket" {
    # drain.py comes to its end only when nobody can write any more.
    time_limit=20 through_socketpair \
        qcow-tool stream "${disk[@]}" --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got
    [ "$(cat receiver.stdout)" = "$(stat -c %s expected.qcow2)" ]
}

@test "a pipe, on standard output and as another fd" {
    set -o pipefail
    stdout_to=- qcow_tool stream "${disk[@]}" | cat >got
    arrived
    qcow_tool stream "${disk[@]}" --destination-fd 5 5>&1 | cat >got
    arrived
}

@test "a non-blocking pipe with a slow reader" {
    set -o pipefail
    {
        set_nonblocking 5
        qcow_tool stream "${disk[@]}" --destination-fd 5
    } 5>&1 | python3 "$tests/drain.py" 0 got --late --chunk 700
    arrived
}

@test "a regular file as an fd" {
    qcow_tool stream "${disk[@]}" --destination-fd 5 5>got
    arrived
    [ -z "$stdout" ]
    qcow_tool stream "${disk[@]}" --destination fd:12 12>got
    arrived
}

@test "a regular file as an fd: the stream begins where the fd stands" {
    {
        echo before >&5
        qcow_tool stream "${disk[@]}" --destination-fd 5
        echo after >&5
    } 5>got
    [ "$(head -c 6 got)" = before ]
    [ "$(tail -c 6 got)" = after ]
    tail -c +8 got | head -c -6 >stream.qcow2
    arrived stream.qcow2
}

@test "a file opened for appending" {
    # sendfile(2) refuses these.
    echo before >got
    qcow_tool stream "${disk[@]}" --destination-fd 5 5>>got
    tail -c +8 got >stream.qcow2
    arrived stream.qcow2
}

@test "a path, and a path as file://" {
    qcow_tool stream "${disk[@]}" --destination got
    arrived
    qcow_tool stream "${disk[@]}" --destination "$PWD/a path, with that"
    arrived "a path, with that"
    qcow_tool stream "${disk[@]}" --destination "file://$PWD/another"
    arrived another
    [ -z "$stdout" ]
}

@test "a path that exists, longer or shorter, becomes the stream" {
    make_disk got 40M full
    qcow_tool stream "${disk[@]}" --destination got
    arrived
    echo short >got
    qcow_tool stream "${disk[@]}" --destination "file://$PWD/got"
    arrived
}

@test "a character device" {
    qcow_tool stream "${disk[@]}" --destination /dev/null
    nothing_left
}

@test "without the fast mover, the same bytes to all of these" {
    export QCOW_TOOL_MOVER=copy
    stdout_to=got qcow_tool stream "${disk[@]}"
    arrived
    stdout_to=got qcow_tool stream "${disk[@]}" --direct
    arrived
    nonblocking=1 sndbuf=4608 through_socketpair \
        qcow-tool stream "${disk[@]}" --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got --late --chunk 700
    arrived
    set -o pipefail
    stdout_to=- qcow_tool stream "${disk[@]}" | cat >got
    arrived
    empty_image image.qcow2 12M
    allocate image.qcow2 0+12M
    stdout_to=got qcow_tool stream --source-format hybrid \
        --source disk:image.qcow2
    same_content disk raw got qcow2
}
