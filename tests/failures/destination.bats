#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Places that cannot be written to: the destination of `serve` and `stream`.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 8M runs:256K/512K
    image disk.raw disk.qcow2
}

teardown() {
    if mountpoint -q "$BATS_TEST_TMPDIR/small"; then
        umount "$BATS_TEST_TMPDIR/small"
    fi
    helpers_teardown
}

# A file system of so many bytes, in ./small.
small_place() {
    requires root
    mkdir small
    mount -t tmpfs -o "size=$1" none small || skip "cannot mount"
}

# fails REGEX ARG... : of serve.
fails() {
    qcow_tool 1 serve "${@:2}" <disk.qcow2
    error_says "^qcow-tool: serve: destination: .*($1)"
    one_line stderr
    nothing_left
}

@test "serve into a directory that is missing is an error that names it" {
    fails 'missing/new.raw.*No such file' --destination missing/new.raw
    fails 'missing/new.raw.*No such file' \
        --destination "file://$PWD/missing/new.raw"
    [ ! -e missing ]
}

@test "serve onto a directory is an error" {
    mkdir directory
    fails 'directory' --destination directory
}

@test "serve onto a character device is an error" {
    fails '/dev/null' --destination /dev/null
    fails '/dev/full' --destination /dev/full
}

@test "serve onto a pipe is an error, and does not wait for its reader" {
    mkfifo pipe
    time_limit=10 fails 'pipe' --destination pipe
}

@test "serve onto a device that is read-only is an error" {
    requires loop
    other_data backing 8M
    device=$(make_loop backing -r)
    local cause='Operation not permitted|Read-only|Permission denied'
    fails "$cause" --destination "$device"
    fails "$cause" --destination "$device" --direct
    untouched backing
}

@test "serve into a file system that is read-only is an error" {
    small_place 2M
    mount -o remount,ro small
    fails 'small/new.raw.*Read-only' --destination small/new.raw
}

@test "serve to a file system that is too small leaves no file there" {
    small_place 1M
    fails 'No space left' --destination small/new.raw
    error_says 'offset [0-9]+'
    [ -z "$(ls -A small)" ]
}

@test "serve that cannot make a file as large as the disk leaves none" {
    qemu-img create -q -f qcow2 disk.qcow2 1T
    # Over the limit of the process, as it would be over the file system's.
    local rc=0
    (ulimit -f 1024 && exec python3 -c '
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
os.execvp("qcow-tool", ["qcow-tool", "serve", "--destination", "new.raw"])
' <disk.qcow2 2>stderr) || rc=$?
    show stderr stderr
    [ $rc = 1 ]
    error_says '^qcow-tool: serve: (destination|spool): .*File too large'
    [ ! -e new.raw ]
}

@test "serve whose data does not reach stable storage fails" {
    requires cc
    cc -shared -fPIC -o no-flush.so -x c - <<\END
#include <errno.h>
static int fail(void) { errno = EIO; return -1; }
int fsync(int fd) { (void)fd; return fail(); }
int fdatasync(int fd) { (void)fd; return fail(); }
END
    expect="0 1" through_socketpair \
        python3 "$tests/send.py" '{}' disk.qcow2 -- \
        env LD_PRELOAD="$PWD/no-flush.so" \
        ASAN_OPTIONS=verify_asan_link_order=0 qcow-tool serve \
        --source-fd '{}' --destination new.raw --progress --machine
    error_says '^qcow-tool: serve: destination: .*Input/output error' \
        receiver.stderr
    # All that had to be written was, and this is not enough for 100.
    digits receiver.stdout failed
    [ ! -e new.raw ]
    nothing_left
}

@test "stream into a directory that is missing is an error that names it" {
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination missing/out.qcow2
    error_says '^qcow-tool: stream: destination: .*missing/out.qcow2.*No such'
    one_line stderr
    nothing_left
}

@test "stream onto a full device is an error with its file offset" {
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination-fd 5 5>/dev/full
    error_says '^qcow-tool: stream: destination: .*offset 0.*No space left'
    one_line stderr
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination /dev/full
    error_says '^qcow-tool: stream: destination: .*No space left'
    nothing_left
}

@test "stream into a file system that is too small is an error" {
    small_place 1M
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination small/out.qcow2
    error_says '^qcow-tool: stream: destination: .*offset [0-9]+.*No space'
    nothing_left
}

@test "stream refuses a terminal" {
    local rc=0
    python3 "$tests/with-terminal.py" screen 1 qcow-tool stream \
        --source-format raw --source disk.raw 2>stderr || rc=$?
    [ $rc = 1 ] || [ $rc = 2 ]
    error_says '^qcow-tool: stream: .*terminal'
    [ ! -s screen ]
}

# spool_fails DIRECTORY REGEX: both directions say that, and nothing else.
spool_fails() {
    qcow_tool 1 serve --destination new.raw --spool-dir "$1" <disk.qcow2
    error_says "^qcow-tool: serve: spool: $2"
    one_line stderr
    [ ! -e new.raw ]
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination-fd 5 --spool-dir "$1" 5>out.bin
    error_says "^qcow-tool: stream: spool: $2"
    one_line stderr
    [ ! -s out.bin ]
    nothing_left
}

@test "a spool directory that is missing is named" {
    spool_fails missing '.*missing.*No such file'
}

@test "a spool directory that is a file is named" {
    spool_fails disk.raw '.*disk.raw.*Not a directory'
}

@test "a spool in a file system that is read-only is named" {
    small_place 1M
    mount -o remount,ro small
    spool_fails small '.*small: Read-only file system'
    [ -z "$(ls -A small)" ]
}

@test "a spool that is full is an error of the spool" {
    small_place 1M
    # The only table that names the data is behind it: it has to wait.
    make_disk disk.raw 8M full
    image disk.raw disk.qcow2
    qemu-img snapshot -c one disk.qcow2
    qemu-io -f qcow2 -c 'write -P 0x11 0 64K' disk.qcow2 >/dev/null
    qcow_tool 1 serve --destination new.raw --spool-dir small <disk.qcow2
    # What has come is counted in blocks of 4 KiB.
    error_says '^qcow-tool: serve: spool: no space left in small: [0-9]+ bytes'
    [[ $stderr =~ ([0-9]+)\ bytes\ were\ needed\ so\ far ]]
    [ "${BASH_REMATCH[1]}" -gt $((1 << 20)) ]
    [ "${BASH_REMATCH[1]}" -le "$(stat -c %s disk.qcow2)" ]
    one_line stderr
    [ ! -e new.raw ]
    [ -z "$(ls -A small)" ]
}

@test "the spool directory of the environment is used" {
    local dir=$PWD/missing-too rc=0
    TMPDIR=$dir qcow-tool serve --destination new.raw \
        <disk.qcow2 2>stderr || rc=$?
    [ $rc = 1 ]
    error_says "^qcow-tool: serve: spool: .*$dir"
}
