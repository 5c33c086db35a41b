#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format nbd: servers that are not there, fail, or are none.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 8M data@1M+1M data@5M+1M
}

# What the end of a connection can be called.
gone='[Cc]losed|[Dd]isconnect|not connected|[Rr]eset|[Ee]nd of file|[Bb]roken'

# failing_at SCRIPT
# A server that does SCRIPT when it is asked for data from 5M on.
failing_at() {
    # shellcheck disable=SC2016 # for the server's shell
    nbd_server unix nbdkit -r --filter=extentlist eval \
        extentlist=extents get_size='stat -c %s disk' \
        pread='if [ $(($4 + $3)) -gt 5242880 ]; then '"$1"'; fi
            dd if=disk bs=64K iflag=skip_bytes,count_bytes \
                skip=$4 count=$3 status=none'
}

@test "a socket that is not there is named" {
    source_fails "nosuch.sock.*No such file or directory" nbd \
        "nbd+unix:///?socket=$PWD/nosuch.sock"
    nothing_sent
}

@test "nobody listens" {
    listens unix --deaf -- sleep 60
    source_fails "Connection refused" nbd "nbd+unix:///?socket=$socket"
    nothing_sent
    listens 127.0.0.1 --deaf -- sleep 60
    source_fails "Connection refused" nbd "nbd://127.0.0.1:$port"
    nothing_sent
}

@test "an export that the server does not have is named" {
    nbd_server unix qemu-nbd --persistent --shared 8 -r -x right -f raw disk
    source_fails "wrong" nbd "$(exported wrong)"
    nothing_sent
    stderr_says "(export|available|Unknown|No such)"
}

@test "URIs that are none are errors, and named" {
    local bad
    for bad in disk nbd: nbd:// nbd+unix:/// nbd+unix://x \
        http://127.0.0.1/ nbd://127.0.0.1:99999999 nbd://127.0.0.1:x \
        'nbd+unix:///?socket=' ''; do
        stdout_to=out.bin qcow_tool "[12]" stream --source-format nbd \
            --source "$bad"
        error_says "^qcow-tool: stream: "
        [ ! -s out.bin ]
        nothing_left
    done
    refused "[12]" --source-format nbd --source http://127.0.0.1/
    error_says "http://127.0.0.1/"
}

@test "a server that is none, but speaks first" {
    local greeting
    for greeting in $'HTTP/1.1 400 Bad Request\r\n\r\n' \
        $'SSH-2.0-OpenSSH_9.2\r\n' $'220 mail.example.org ESMTP and so on\r\n'
    do
        listens 127.0.0.1 --accept -- python3 -c 'import os, sys
os.write(int(sys.argv[1]), sys.argv[2].encode())
while os.read(int(sys.argv[1]), 100): pass' '{}' "$greeting"
        source_fails "(magic|protocol|NBD)" nbd "nbd://127.0.0.1:$port"
        nothing_sent
    done
}

@test "a server that closes the connection at once" {
    listens unix --accept -- true
    source_fails "$gone" nbd \
        "nbd+unix:///?socket=$socket"
    nothing_sent
}

@test "a server that goes in the middle of its greeting" {
    # shellcheck disable=SC2016 # for the inner shell
    listens unix --accept -- sh -c 'printf NBDMAGICIH >&"$0"' '{}'
    source_fails "$gone" nbd \
        "nbd+unix:///?socket=$socket"
    nothing_sent
}

# ends_by NAME CODE URI [CONDITION...]
# The tool waits for the server, without end, until a signal comes.
ends_by() {
    rm -f waiting.pid
    start_tool waiting stream --source-format nbd --source "$3" \
        --destination out.bin
    set -- "$1" "$2" "${@:4}"
    [ $# -gt 2 ] || set -- "$@" test -e connected
    wait_until 10 "${@:3}"
    kill -s "$1" "$(cat waiting.pid)"
    finish_tool waiting "$2"
    nothing_left
}

@test "a signal ends the wait for a server that says nothing" {
    listens unix --accept -- sh -c 'touch connected; exec sleep 60'
    ends_by TERM 143 "nbd+unix:///?socket=$socket"
    rm connected
    listens 127.0.0.1 --accept -- sh -c 'touch connected; exec sleep 60'
    ends_by INT 130 "nbd://127.0.0.1:$port"
}

@test "a signal ends the wait for a server that stops in its greeting" {
    # shellcheck disable=SC2016 # for the inner shell
    listens unix --accept -- sh -c 'printf "NBDMAGICIHAVEOPT\0\3" >&"$0"
        touch connected
        exec sleep 60' '{}'
    ends_by TERM 143 "nbd+unix:///?socket=$socket"
}

# stuck_server
# A read takes a minute; `has_asked` says whether one has begun.
stuck_server() {
    nbd_server unix nbdkit -r --filter=log --filter=delay file disk \
        logfile=nbd.log rdelay=60
}

has_asked() {
    grep -q 'Read ' nbd.log
}

@test "a signal ends the wait for data that does not come" {
    stuck_server
    ends_by TERM 143 "$uri" has_asked
}

@test "a server that dies while it is waited for" {
    stuck_server
    start_tool waiting stream --source-format nbd --source "$uri" \
        --destination out.bin
    wait_until 10 has_asked
    kill -9 "$listener"
    finish_tool waiting 1
    error_says "^qcow-tool: stream: source: .*($gone)" waiting.stderr
    nothing_left
}

@test "a read error names the disk offset" {
    printf '%s\n' '1M 1M' '5M 1M' >extents
    failing_at 'echo EIO broken >&2; exit 1'
    local layout
    for layout in streamable convert; do
        source_fails "offset 5242880.*Input/output error" nbd "$uri" \
            --layout $layout
        # The tables and the first data may have gone out.
        [ "$(stat -c %s out.bin)" -lt 2097152 ]
    done
    source_fails "offset 5242880.*Input/output error" nbd "$uri" \
        --detect-zeroes
    nothing_sent
}

@test "a read error while zeroes are looked for names the disk offset" {
    nbd_server unix nbdkit -r --filter=noextents --filter=error file disk \
        error-pread-rate=100% error=EIO
    source_fails "offset 0.*Input/output error" nbd "$uri"
    nothing_sent
}

@test "a read error that comes when all is known already" {
    nbd_server unix nbdkit -r --filter=error file disk \
        error-pread-rate=100% error=EIO
    source_fails "offset 1048576.*Input/output error" nbd "$uri"
    # Which function of libnbd it was says nothing to anybody.
    run ! grep nbd_ stderr
}

@test "no client is left waiting when the source fails" {
    printf '%s\n' '1M 1M' '5M 1M' >extents
    failing_at 'echo EIO broken >&2; exit 1'
    expect="1 1" through_socketpair qcow-tool stream --source-format nbd \
        --source "$uri" --destination-fd '{}' -- \
        qcow-tool serve --source-fd '{}' --destination arrived.raw
    error_says '^qcow-tool: stream: source: .*offset 5242880' sender.stderr
    error_says '^qcow-tool: serve: source: .*offset [0-9]+' receiver.stderr
    [ ! -e arrived.raw ]
    nothing_left
}

@test "a disk of no bytes is sent or refused, but not waited for" {
    nbd_server unix nbdkit -r null size=0
    time_limit=10 stdout_to=out.qcow2 qcow_tool "[01]" stream \
        --source-format nbd --source "$uri"
    nothing_left
}
