#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The stream ends too early. QEMU would read zeroes there; `serve` fails, and
# says where in the stream.
# shellcheck disable=SC2030,SC2031 # one test has a size of its own

load ../lib/helpers

# As qemu-img convert lays out a disk full of data, each a cluster of 64 KiB:
#
#   0        1               2               3         4         5
#   header   refcount table  refcount block  L1 table  L2 table  data ...
setup() {
    helpers_setup
    make_disk disk.raw 2M full
    image disk.raw disk.qcow2
    other_data copy.raw 2M
    size=$(stat -c %s disk.qcow2)
    [ "$size" = $(((5 + 32) * 65536)) ]
}

# fails_at LENGTH [IMAGE]
fails_at() {
    local to
    for to in copy.raw new.raw; do
        expect="* 1" send_image "${2:-disk.qcow2}" --length "$1" -- \
            --destination "$to"
        error_says "^qcow-tool: serve: source: .*(truncated|end)" \
            receiver.stderr
        error_says "offset [0-9]+" receiver.stderr
    done
    [ ! -e new.raw ]
    nothing_left
}

@test "no byte at all fails at once, with one line, and nothing touched" {
    # Xen Orchestra sends an empty request first, and drops it.
    local to
    for to in copy.raw new.raw; do
        expect="0 1" time_limit=10 send_image disk.qcow2 --length 0 -- \
            --destination "$to" --progress --machine
        error_says "^qcow-tool: serve: source: " receiver.stderr
        one_line receiver.stderr
        digits receiver.stdout failed
    done
    untouched copy.raw
    [ ! -e new.raw ]
    nothing_left
}

@test "an empty file as standard input fails at once, with one line" {
    qcow_tool 1 serve --destination copy.raw </dev/null
    one_line stderr
    untouched copy.raw
    nothing_left
}

@test "a stream that ends in the header fails and nothing is touched" {
    local length
    for length in 1 3 71 103 111; do
        fails_at "$length"
    done
    untouched copy.raw
}

@test "a stream that ends in the header of compat 0.10 fails" {
    image disk.raw old.qcow2 compat=0.10
    fails_at 71 old.qcow2
    fails_at 72 old.qcow2
    untouched copy.raw
}

@test "a stream that ends after the header fails and nothing is touched" {
    fails_at 112
    fails_at 113
    fails_at 65535
    fails_at 65536
    untouched copy.raw
}

@test "a stream that ends in the refcounts fails and nothing is touched" {
    fails_at 65544
    fails_at 131079
    untouched copy.raw
}

@test "a stream that ends in the L1 table fails and nothing is touched" {
    fails_at 196608
    fails_at 196612
    untouched copy.raw
}

@test "a stream that ends in the L2 table fails and nothing is touched" {
    fails_at 262144
    fails_at 262400
    untouched copy.raw
}

@test "a stream that ends in the data fails" {
    fails_at 327680
    fails_at 327681
    fails_at 1000000
}

@test "a stream without its last cluster fails" {
    fails_at $((size - 65536))
}

@test "a stream one byte short of its last but one cluster fails" {
    fails_at $((size - 65536 - 1))
}

@test "the message names the place where the stream ended" {
    expect="* 1" send_image disk.qcow2 --length 1000000 -- \
        --destination copy.raw
    error_says "offset 1000000" receiver.stderr
    expect="* 1" send_image disk.qcow2 --length 71 -- --destination copy.raw
    error_says "offset 71" receiver.stderr
}

@test "a streamable stream that ends in the tables or in the data fails" {
    make_disk mixed.raw 2M runs:256K/512K
    stdout_to=mixed.qcow2 qcow_tool stream --source-format raw \
        --source mixed.raw
    size=$(stat -c %s mixed.qcow2)
    fails_at 262144 mixed.qcow2
    fails_at $((size / 2)) mixed.qcow2
    fails_at $((size - 65536)) mixed.qcow2
}

@test "a sender that pauses and then goes is seen to be gone" {
    expect="0 1" send_image disk.qcow2 --length 500000 --pause-at 300000 \
        --pause-at 499999 -- --destination new.raw
    error_says "offset [0-9]+" receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "a sender whose connection breaks is told so, and what is missing" {
    python3 - disk.qcow2 new.raw 2>stderr <<\EOF
import fcntl, socket, struct, subprocess, sys, termios
with socket.create_server(("127.0.0.1", 0)) as listening:
    near = socket.create_connection(listening.getsockname())
    far = listening.accept()[0]
child = subprocess.Popen(
    ["qcow-tool", "serve", "--source-fd", str(far.fileno()), "--destination",
     sys.argv[2]], pass_fds=[far.fileno()])
far.close()
with open(sys.argv[1], "rb") as f:
    near.sendall(f.read(100000))
while fcntl.ioctl(near, termios.TIOCOUTQ, bytes(4)) != bytes(4):
    pass    # until it is there
# So that closing it breaks the connection.
near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
near.close()
sys.exit(child.wait() != 1)
EOF
    error_says 'source: the sender left at file offset [0-9]+: Connection r'
    one_line stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "a client that has sent too little, or nothing, and waits is told so" {
    # As HTTP clients do, of which xapi passes on the Content-Length.  Either
    # takes some seconds.
    mkfifo silence
    exec 5<>silence
    start_tool empty serve --source-fd 5 --destination new.raw \
        --destination-size 0
    expect="0 1" keep_open=1 send_image disk.qcow2 --length 1000000 -- \
        --destination copy.raw --destination-size 1000000
    error_says 'source: nothing came behind the 1000000 .*truncated' \
        receiver.stderr
    finish_tool empty 1
    error_says 'source: empty: .*--destination-size is 0' empty.stderr
    one_line empty.stderr
    exec 5>&-
    [ ! -e new.raw ]
    nothing_left
}

@test "fewer bytes than --source-size says fail, though nobody needs the rest" {
    local args announced=$((size + 1000))
    for args in "--length $size" "--trailing 999"; do
        # shellcheck disable=SC2086 # words
        expect="0 1" send_image disk.qcow2 $args -- \
            --destination new.raw --source-size "$announced"
        error_says "source: truncated: .*--source-size is $announced" \
            receiver.stderr
        [ ! -e new.raw ]
    done
    send_image disk.qcow2 --trailing 1000 -- --destination new.raw \
        --source-size "$announced"
    same_bytes disk.raw new.raw
    nothing_left
}

@test "more bytes than --source-size says are left to who reads next" {
    cat disk.qcow2 - >both <<<"next"
    exec 5<both
    qcow_tool serve --source-fd 5 --destination new.raw --source-size "$size"
    [ "$(cat <&5)" = next ]
    exec 5<&-
    same_bytes disk.raw new.raw
}

@test "a size that is no length of the stream, but the disk's, decides nothing" {
    expect="0 0" send_image disk.qcow2 --pause-at 1000000 -- \
        --destination new.raw --destination-size 1000000
    same_bytes disk.raw new.raw
}

@test "a failure says whether the disk that was there is partly written" {
    # The header is all that comes, then half of the data.
    expect="* 1" send_image disk.qcow2 --length 65536 -- \
        --destination copy.raw
    untouched copy.raw
    run ! grep -q 'partly written' receiver.stderr
    expect="* 1" send_image disk.qcow2 --length $((size / 2)) -- \
        --destination copy.raw
    run ! untouched copy.raw
    error_says '; the destination is partly written$' receiver.stderr
    one_line receiver.stderr
    # What was made for it is removed, and nothing is said.
    expect="* 1" send_image disk.qcow2 --length $((size / 2)) -- \
        --destination new.raw
    [ ! -e new.raw ]
    run ! grep -q 'partly written' receiver.stderr
    nothing_left
}
