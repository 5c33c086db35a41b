#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# `serve` onto an NBD export: servers that are not there, refuse or fail.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 8M data@1M+1M data@5M+1M
    image disk.raw disk.qcow2
    other_data export 8M
}

# What the end of a connection can be called.
gone='[Cc]losed|[Dd]isconnect|not connected|[Rr]eset|[Ee]nd of file|[Bb]roken'

# fails REGEX [SERVE-ARG...]
fails() {
    qcow_tool 1 serve "$uri" "${@:2}" <disk.qcow2
    error_says "^qcow-tool: serve: destination: .*($1)"
    one_line stderr
    nothing_left
}

# takes_none REGEX URI
# Not a byte of the stream is read: who sends it could still send it elsewhere.
takes_none() {
    exec 5<disk.qcow2
    qcow_tool 1 serve --source-fd 5 "$2"
    error_says "^qcow-tool: serve: destination: .*($1)"
    cmp disk.qcow2 - <&5
    exec 5<&-
    nothing_left
}

@test "a server that is not there, before a byte is taken" {
    takes_none "nosuch.sock.*No such file" \
        "nbd+unix:///?socket=$PWD/nosuch.sock"
    listens 127.0.0.1 --deaf -- sleep 60
    takes_none 'Connection refused' "nbd://127.0.0.1:$port"
}

@test "an export that is not there, before a byte is taken" {
    nbd_server unix qemu-nbd --persistent -x right -f raw export
    takes_none wrong "$(exported wrong)"
    untouched export
}

@test "an export that is read-only, before a byte is taken" {
    nbd_server unix nbdkit -r file export
    takes_none 'exports it read-only' "$uri"
    nbd_server unix qemu-nbd --persistent -r -f raw export
    takes_none 'exports it read-only' "$uri"
    untouched export
}

@test "an export that is too small is left as it is" {
    truncate -s 7M export
    nbd_server unix nbdkit file export
    fails 'too small: nbd.* has 7340032 bytes, .* 8388608'
    untouched export
    nbd_server unix nbdkit null size=0
    fails 'too small: nbd.* has 0 bytes'
}

@test "an error of the server is told with the disk offset" {
    nbd_server unix nbdkit --filter=error file export \
        error-pwrite-rate=100% error=ENOSPC
    fails 'cannot write at disk offset [15][0-9]{6}: No space left on device'
    nbd_server unix nbdkit --filter=error file export \
        error-zero-rate=100% error=EIO
    fails 'cannot zero at disk offset [0-9]+: Input/output error'
}

@test "a flush that fails is a failure, whatever was written" {
    nbd_server unix nbdkit eval get_size='echo 8M' can_write='exit 0' \
        pread='head -c $3 /dev/zero' pwrite='cat >/dev/null' \
        can_flush='exit 0' flush='echo EIO broken >&2; exit 1'
    fails 'cannot flush: Input/output error'
}

@test "a block that cannot be read to be changed is told so" {
    requires nbdkit:blocksize-policy
    make_disk disk.raw 8M data@1M+512
    image disk.raw disk.qcow2 cluster_size=512
    nbd_server unix nbdkit --filter=blocksize-policy --filter=error \
        file export blocksize-minimum=4096 error-pread-rate=100% error=EIO
    fails 'cannot read at disk offset [0-9]+: Input/output error'
}

# stuck_server
# A write takes a minute; `has_asked` says whether one has begun.
stuck_server() {
    nbd_server unix nbdkit --filter=log --filter=delay file export \
        logfile=nbd.log wdelay=60 rdelay=60
}

has_asked() {
    grep -q 'Write ' nbd.log
}

@test "a server that dies while it is written to" {
    stuck_server
    start_tool waiting serve "$uri" --source-fd 5 5<disk.qcow2
    wait_until 10 has_asked
    kill -9 "$listener"
    finish_tool waiting 1
    error_says "^qcow-tool: serve: destination: cannot (write|zero) at disk \
offset [0-9]+: .*($gone)" waiting.stderr
    one_line waiting.stderr
    nothing_left
}

@test "a signal ends the wait for a server" {
    stuck_server
    start_tool waiting serve "$uri" --source-fd 5 5<disk.qcow2
    wait_until 10 has_asked
    kill "$(cat waiting.pid)"
    finish_tool waiting 143
    nothing_left
}

@test "--stall-timeout names a server that does not answer" {
    stuck_server
    fails 'nothing' --stall-timeout 1 || :
    error_says 'serve: nothing has moved for 1 s: the NBD server of the dest'
    nothing_left
}

@test "a sender that leaves is named, though the server does not answer" {
    stuck_server
    expect="* 1" time_limit=20 send_image disk.qcow2 --length 1500000 -- \
        --destination "$uri"
    error_says '^qcow-tool: serve: source: truncated' receiver.stderr
    nothing_left
}

@test "a compressed image whose server fails" {
    qemu-img convert -c -f raw -O qcow2 disk.raw disk.qcow2
    nbd_server unix nbdkit --filter=error file export \
        error-pwrite-rate=100% error=EIO
    fails 'cannot write at disk offset [15][0-9]{6}: Input/output error'
}

@test "--report says which end it was, and where" {
    nbd_server unix nbdkit --filter=error file export \
        error-pwrite-rate=100% error=EIO
    fails 'cannot write' --report report.json
    [ "$(jq -r .error.end report.json)" = destination ]
    [ "$(jq '.error."disk-offset"' report.json)" -ge 1048576 ]
}

@test "--direct is for files and devices" {
    qcow_tool 2 serve "nbd://127.0.0.1" --direct
    error_says '^qcow-tool: serve: --direct is for a file or a device'
}
