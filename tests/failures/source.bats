#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# `stream` whose source is not what it should be.

load ../lib/helpers

# fails REGEX ARG...
# Exit status 1, a first line that matches, no byte sent.
fails() {
    local regex=$1
    shift
    qcow_tool 1 stream "$@" --destination-fd 5 5>out.bin
    error_says "^qcow-tool: stream: source: .*($regex)"
    [ ! -s out.bin ]
    [ ! -s stdout ]
    nothing_left
}

@test "a raw source that is missing is named" {
    fails 'missing.raw.*No such file' --source-format raw \
        --source missing.raw
}

@test "a raw source that is a directory is refused" {
    mkdir directory
    fails 'directory.*([Dd]irectory|block device)' --source-format raw \
        --source directory
}

@test "a raw source that is a character device is refused" {
    fails '/dev/zero' --source-format raw --source /dev/zero
}

@test "a raw source that is a pipe is refused, and not waited for" {
    mkfifo pipe
    time_limit=10 fails 'pipe' --source-format raw --source pipe
}

@test "a raw source that may not be read is named" {
    requires setpriv root
    make_disk disk.raw 1M full
    chmod 600 disk.raw
    # Relative names: the directories above may be closed to others.
    chmod 777 . spool
    local rc=0 tool
    tool=$(command -v qcow-tool)
    setpriv --reuid 65534 --regid 65534 --clear-groups "$tool" stream \
        --source-format raw --source disk.raw --spool-dir spool \
        >out.bin 2>stderr || rc=$?
    show stderr stderr
    [ $rc != 126 ] && [ $rc != 127 ] || skip "others cannot run the program"
    [ $rc = 1 ]
    error_says '^qcow-tool: stream: source: .*disk.raw.*Permission denied'
    [ ! -s out.bin ]
}

@test "the device of a hybrid source that is missing is named" {
    make_disk disk.raw 1M full
    image disk.raw map.qcow2
    fails 'missing.raw.*No such file' --source-format hybrid \
        --source "missing.raw:$PWD/map.qcow2"
}

@test "the image of a hybrid source that is missing is named" {
    make_disk disk.raw 1M full
    fails 'missing.qcow2.*No such file' --source-format hybrid \
        --source "$PWD/disk.raw:missing.qcow2"
}

@test "the image of a hybrid source that is no image is an error" {
    make_disk disk.raw 1M full
    fails 'map.qcow2' --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/disk.raw/map.qcow2"
    cp disk.raw map.qcow2
    fails 'map.qcow2.*qcow2' --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2"
}

@test "the image of a hybrid source that lost its backing file is an error" {
    make_disk disk.raw 1M full
    image disk.raw base.qcow2
    qemu-img create -q -f qcow2 -b "$PWD/base.qcow2" -F qcow2 map.qcow2
    rm base.qcow2
    fails 'base.qcow2' --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2"
}

@test "a source that becomes shorter while it is read fails by name" {
    make_disk disk.raw 16M full
    # shellcheck disable=SC2016 # for the inner shell
    expect="1 0" through_socketpair qcow-tool stream --source-format raw \
        --source disk.raw --destination-fd '{}' -- \
        sh -c 'head -c 4 <&"$1" >first.bin && truncate -s 1M disk.raw &&
        exec python3 "$0" "$1" rest.bin' "$tests/drain.py" '{}'
    error_says '^qcow-tool: stream: source: .*offset [0-9]+' sender.stderr
    one_line sender.stderr
    nothing_left
}
