#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --destination unix:// and tcp://: sockets that the tool connects to.

load ../lib/helpers

setup() {
    helpers_setup
    mixed_disk disk 12M
    disk=(--source-format raw --source disk)
}

# receiver WHERE [DRAIN-ARG...]
# Waits for one connection and writes what comes into `got`.
receiver() {
    rm -f got
    listens "$1" --accept -- python3 "$tests/drain.py" '{}' got "${@:2}"
}

# arrived_at DESTINATION [STREAM-ARG...]
# The receiver sees the end of the stream, and has the whole of it.
arrived_at() {
    stdout_to=expected.qcow2 qcow_tool stream "${disk[@]}" "${@:2}"
    qcow_tool stream "${disk[@]}" --destination "$1" "${@:2}"
    [ ! -s stdout ]
    [ ! -s stderr ]
    wait "$listener"
    same_bytes expected.qcow2 got
    nothing_left
}

# fails_at DESTINATION REGEX [RC]
fails_at() {
    time_limit=20 qcow_tool "${3:-1}" stream "${disk[@]}" --destination "$1"
    error_says "^qcow-tool: stream: .*($2)"
    [ ! -s stdout ]
    nothing_left
}

@test "a Unix socket" {
    receiver unix
    arrived_at "unix://$socket"
    receiver unix
    arrived_at "unix://$socket" --layout convert
}

@test "a Unix socket by a relative path, and by one with blanks and colons" {
    receiver unix
    arrived_at "unix://${socket##*/}"
    receiver "unix:$PWD/a b:c,d%20"
    arrived_at "unix://$PWD/a b:c,d%20"
}

@test "TCP over IPv4" {
    receiver 127.0.0.1
    arrived_at "tcp://127.0.0.1:$port"
    receiver 127.0.0.1
    arrived_at "tcp://127.0.0.1:$port" --layout convert --direct
}

@test "TCP over IPv6" {
    needs_ipv6
    receiver ::1
    arrived_at "tcp://[::1]:$port"
}

@test "TCP to a host by its name: every address of it is tried" {
    requires name:localhost
    receiver 127.0.0.1
    arrived_at "tcp://localhost:$port"
    # The name may have no other address here.
    if getent ahostsv6 localhost | grep -q '^::1 '; then
        receiver ::1
        arrived_at "tcp://localhost:$port"
    fi
}

@test "a receiver that is slow" {
    receiver 127.0.0.1 --late --chunk 7000
    arrived_at "tcp://127.0.0.1:$port"
    receiver unix --late --chunk 700
    arrived_at "unix://$socket"
}

@test "without the fast mover" {
    export QCOW_TOOL_MOVER=copy
    receiver 127.0.0.1
    arrived_at "tcp://127.0.0.1:$port"
}

@test "from an offset on" {
    receiver 127.0.0.1
    arrived_at "tcp://127.0.0.1:$port" --offset 1000001
}

@test "serve at the other end" {
    listens 127.0.0.1 --accept -- qcow-tool serve --source-fd '{}' \
        --destination copy.raw
    qcow_tool stream "${disk[@]}" --destination "tcp://127.0.0.1:$port"
    wait "$listener"
    same_bytes disk copy.raw
    nothing_left
}

@test "progress goes to standard output, and not into the socket" {
    receiver 127.0.0.1
    stdout_to=expected.qcow2 qcow_tool stream "${disk[@]}"
    qcow_tool stream "${disk[@]}" --destination "tcp://127.0.0.1:$port" \
        --progress --machine
    [[ $stdout =~ ^([0-9]{3})*100$ ]]
    wait "$listener"
    same_bytes expected.qcow2 got
}

@test "a socket that is not there is named" {
    fails_at "unix://$PWD/nosuch.sock" \
        "destination: .*nosuch.sock.*No such file or directory"
    [ ! -e nosuch.sock ]
}

@test "a path that is no socket is an error, and left alone" {
    echo precious >file
    fails_at "unix://$PWD/file" "destination: .*file"
    [ "$(cat file)" = precious ]
}

@test "a path that is too long for a socket is an error" {
    local long
    long=$(printf 'x%.0s' {1..120})
    fails_at "unix://$PWD/$long" "too long" "[12]"
}

@test "nobody listens" {
    listens unix --deaf -- sleep 60
    fails_at "unix://$socket" "destination: .*Connection refused"
    listens 127.0.0.1 --deaf -- sleep 60
    fails_at "tcp://127.0.0.1:$port" \
        "destination: .*127.0.0.1.*$port.*Connection refused"
    needs_ipv6
    listens ::1 --deaf -- sleep 60
    fails_at "tcp://[::1]:$port" "destination: .*$port.*Connection refused"
    requires name:localhost
    fails_at "tcp://localhost:$port" \
        "destination: .*localhost.*$port.*Connection refused"
}

@test "ports that are none are usage errors" {
    local bad
    for bad in 127.0.0.1:99999 127.0.0.1:65536 127.0.0.1:-1 127.0.0.1:0 \
        127.0.0.1:x 127.0.0.1:80x '127.0.0.1: 80' '127.0.0.1:'; do
        fails_at "tcp://$bad" "destination.*tcp://" 2
    done
}

@test "destinations that are none are usage errors" {
    local bad
    for bad in tcp:// tcp://127.0.0.1 tcp://:80 'tcp://[::1]' \
        'tcp://[::1:80' 'tcp://::1]:80' 'tcp://[]:80' \
        tcp://127.0.0.1:80/path unix:// udp://127.0.0.1:80 \
        http://127.0.0.1:80/; do
        fails_at "$bad" "destination.*${bad%%:*}:" 2
    done
    # None of these became a file's name.
    run -0 find . -name '*:*'
    [ -z "$output" ]
}

@test "a receiver that leaves in the middle is an error with the offset" {
    local gone="Broken pipe|Connection reset"
    receiver 127.0.0.1 --leave-after 1000000
    fails_at "tcp://127.0.0.1:$port" "destination: .*offset [0-9]+.*($gone)"
    receiver unix --leave-after 1000000
    ignore_sigpipe=1 fails_at "unix://$socket" \
        "destination: .*offset [0-9]+.*($gone)"
}

@test "a receiver that leaves at once is an error" {
    listens unix --accept -- true
    fails_at "unix://$socket" "destination: .*(Broken pipe|Connection reset)"
}

@test "a signal ends the wait for a receiver that takes nothing" {
    listens unix --accept -- sh -c 'touch connected; exec sleep 60'
    start_tool blocked stream "${disk[@]}" --destination "unix://$socket"
    wait_until 20 test -e connected
    kill -s TERM "$(cat blocked.pid)"
    finish_tool blocked 143
    nothing_left
}

@test "a source that fails leaves the receiver with less than a stream" {
    receiver unix
    qcow_tool 1 stream --source-format raw --source nosuch \
        --destination "unix://$socket"
    error_says "nosuch.*No such file or directory"
    [ ! -s got ]
    nothing_left
}
