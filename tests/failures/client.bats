#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The client goes while `stream` sends.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 16M full
}

# leaves_after N [STREAM-ARG...]
# With stays=1 it only says that it reads no more.
leaves_after() {
    expect="1 0" time_limit=20 through_socketpair \
        qcow-tool stream --source-format raw --source disk.raw \
        --destination-fd '{}' "${@:2}" -- \
        python3 "$tests/drain.py" '{}' part.bin --leave-after "$1" \
        ${stays:+--half-close read}
    error_says "^qcow-tool: stream: destination: .*offset [0-9]+.*$gone" \
        sender.stderr
    one_line sender.stderr
    nothing_left
}
gone='(Broken pipe|Connection reset)'

@test "a client that is gone before the first byte is an error of its own" {
    leaves_after 0
    ignore_sigpipe=1 leaves_after 0
}

@test "a client that goes in the tables is an error with its offset" {
    leaves_after 65536
    ignore_sigpipe=1 leaves_after 65536
}

@test "a client that goes in the data is an error with its offset" {
    leaves_after 5000000
    ignore_sigpipe=1 leaves_after 5000000
}

@test "a client that goes is seen by the slow mover too" {
    export QCOW_TOOL_MOVER=copy
    leaves_after 65536
    ignore_sigpipe=1 leaves_after 5000000 --layout convert
}

@test "a client that goes is seen with a non-blocking socket" {
    nonblocking=1 leaves_after 5000000
    ignore_sigpipe=1 nonblocking=1 leaves_after 65536
}

@test "a client that goes is seen with --direct" {
    leaves_after 5000000 --direct
}

@test "a client that says it reads no more, but stays, is as one that goes" {
    stays=1 leaves_after 65536
    # No poll tells of it then.
    stays=1 nonblocking=1 leaves_after 5000000
    export QCOW_TOOL_MOVER=copy
    stays=1 ignore_sigpipe=1 nonblocking=1 leaves_after 65536
}

@test "a client that says it sends nothing gets all of it" {
    qcow_tool stream --source disk.raw --destination expected.bin
    through_socketpair qcow-tool stream --source disk.raw \
        --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' got.bin --half-close write
    same_bytes expected.bin got.bin
    nothing_left
}

@test "the offset named is where the client left, give or take buffers" {
    leaves_after 5000000
    local at
    at=$(grep -oE 'offset [0-9]+' sender.stderr | grep -oE '[0-9]+')
    [ "$at" -ge 5000000 ]
    [ "$at" -lt 8000000 ]
}

@test "a pipe whose reader goes is the same" {
    local ignored
    set -o pipefail
    for ignored in "" 1; do
        ignore_sigpipe=$ignored stdout_to=- qcow_tool 1 stream \
            --source-format raw --source disk.raw | head -c 100000 >part.bin
        error_says "^qcow-tool: stream: destination: .*offset [0-9]+.*$gone"
        one_line stderr
    done
    nothing_left
}

@test "a client that goes is seen with a progress bar, on a line of its own" {
    expect="1 0" through_socketpair \
        qcow-tool stream --source-format raw --source disk.raw \
        --destination-fd '{}' --progress -- \
        python3 "$tests/drain.py" '{}' part.bin --leave-after 5000000
    stderr_says "^qcow-tool: stream: destination: .*$gone" sender.stderr
    run ! grep -E '100 ?%' sender.stderr
}

@test "serve whose sender goes closes its end and leaves no new file" {
    image disk.raw disk.qcow2
    expect="0 1" send_image disk.qcow2 --length 5000000 -- \
        --destination new.raw
    error_says '^qcow-tool: serve: source: .*offset [0-9]+' receiver.stderr
    one_line receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "a sender that says no more comes, but stays, has its image taken" {
    image disk.raw disk.qcow2
    send_image disk.qcow2 --half-close -- --destination new.raw
    same_bytes disk.raw new.raw
    nothing_left
    rm new.raw
    time_limit=20 expect="0 1" send_image disk.qcow2 --length 5000000 \
        --half-close -- --destination new.raw
    error_says '^qcow-tool: serve: source: .*offset 5000000' receiver.stderr
    one_line receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}
