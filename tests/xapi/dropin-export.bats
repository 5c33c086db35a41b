#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# qcow2-to-stdout: a device, or how it differs from another, as qcow2.

load ../lib/helpers

setup() {
    helpers_setup
    mixed_disk disk 12M
    cp --sparse=always disk base
    make_disk base 12M seed:5 pieces:8 empties:8 data@11M+64K
}

# exported DISK [ARG...] [-- STREAM-ARG...]
# out.qcow2 holds DISK, good to read forwards, as `stream` would write it.
exported() {
    local disk=$1 args=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        args+=("$1")
        shift
    done
    stdout_to=out.qcow2 drop_in qcow2-to-stdout "$disk" "${args[@]}"
    [ ! -s stderr ]
    sound_image out.qcow2
    good_order out.qcow2
    nothing_left
    stdout_to=stream.qcow2 qcow_tool stream --source "$disk" "${@:2}"
    same_bytes stream.qcow2 out.qcow2
}

# differs DISK BASE [ARG...]
differs() {
    stdout_to=out.qcow2 drop_in qcow2-to-stdout "$1" --diff "$2" "${@:3}"
    [ ! -s stderr ]
    sound_difference "$1" "$2" out.qcow2
    good_order out.qcow2
    nothing_left
}

@test "a device, as xapi calls it" {
    exported disk
    same_content disk out.qcow2
}

@test "-c and -r are the sizes of clusters and of refcounts" {
    exported disk -c 4096 -- --cluster-size 4K
    exported disk -c 65536
    exported disk -c 2097152 -- --cluster-size 2M
    exported disk -r 1 -- --refcount-bits 1
    exported disk -r 64 -c 16384 -- --refcount-bits 64 --cluster-size 16K
    same_content disk out.qcow2
}

@test "options before the device, and after it" {
    stdout_to=one.qcow2 drop_in qcow2-to-stdout disk --diff base -c 4096 -r 8
    stdout_to=two.qcow2 drop_in qcow2-to-stdout -r 8 -c 4096 --diff base disk
    same_bytes one.qcow2 two.qcow2
}

@test "a disk without data, and one that is full" {
    make_disk empty 5M
    exported empty
    is_empty out.qcow2
    make_disk full 5M full
    exported full
    holds out.qcow2 5242880 5242880
}

@test "sizes that are no number of clusters, and of sectors" {
    make_disk odd 3000832 full
    exported odd
    same_content odd out.qcow2
    exported odd -c 4096 -- --cluster-size 4K
    same_content odd out.qcow2
    make_disk odder 3000003 full
    exported odder
    : >nothing
    sound_difference odder nothing out.qcow2
}

@test "a block device" {
    requires loop
    local device
    device=$(make_loop disk --read-only)
    stdout_to=out.qcow2 drop_in qcow2-to-stdout "$device"
    same_content disk out.qcow2
}

@test "--diff: what differs from another device" {
    differs disk base
    stdout_to=stream.qcow2 qcow_tool stream --source disk --relative-to base
    same_bytes stream.qcow2 out.qcow2
    differs disk base -c 4096
    differs disk base -c 2097152 -r 1
    differs disk disk
    is_empty out.qcow2
}

@test "--diff: block devices" {
    requires loop
    local device base
    device=$(make_loop disk --read-only)
    base=$(make_loop base --read-only)
    stdout_to=out.qcow2 drop_in qcow2-to-stdout "$device" --diff "$base"
    sound_difference disk base out.qcow2
}

@test "--diff: the base is larger, smaller, empty, no number of clusters" {
    make_disk large 13000192 full
    make_disk small 3000832 full
    : >nothing
    differs disk nothing
    local base
    for base in large small; do
        differs disk $base
        differs $base disk
    done
    make_disk odd 3000003 full seed:2 tail+1
    differs odd small
    holds out.qcow2 1 65536
    differs odd large
}

@test "--diff: zeroes over data are sent as clusters of zeroes" {
    make_disk zero 5M
    make_disk full 5M full
    differs zero full
    holds out.qcow2 5242880 5242880
    differs full zero
    differs zero zero
    is_empty out.qcow2
}

@test "into a socket that is non-blocking and narrow, and into a pipe" {
    link_drop_in qcow2-to-stdout
    exported disk
    nonblocking=1 sndbuf=4608 through_socketpair \
        sh -c 'exec bin/qcow2-to-stdout disk >&{}' -- \
        python3 "$tests/drain.py" '{}' got --late --chunk 700
    same_bytes out.qcow2 got
    bin/qcow2-to-stdout disk | cat >got
    same_bytes out.qcow2 got
}

@test "wrong usage is exit status 2, and nothing is sent" {
    usage() {
        stdout_to=out.qcow2 drop_in 2 qcow2-to-stdout "$@"
        error_says "^[a-z0-9-]+: "
        [ ! -s out.qcow2 ]
        nothing_left
    }
    usage
    usage disk base
    usage disk --nosuch
    usage disk --diff
    usage disk -c
    local value
    for value in 0 100 256 65535 4194304 -65536 x ''; do
        usage disk -c "$value"
    done
    for value in 0 3 128 -16 x ''; do
        usage disk -r "$value"
    done
    usage disk --json-header-map
    for value in x -1 99999999999 ''; do
        usage disk --json-header-map "$value" --json-header-info "$value"
    done
}

@test "an info needs its map, and those of a base need --diff" {
    half() {
        stdout_to=out.qcow2 time_limit=10 drop_in 2 qcow2-to-stdout disk \
            "$@" 5</dev/null 6</dev/null
        error_says "json-header"
        [ ! -s out.qcow2 ]
    }
    half --json-header-info 5
    half --diff base --json-header-diff-info 5
    half --json-header-diff-map 5 --json-header-diff-info 6
}

@test "a device that is missing, or none" {
    mkdir directory
    stdout_to=out.qcow2 drop_in 1 qcow2-to-stdout nosuch
    error_says "^[a-z0-9-]+: .*nosuch.*No such file or directory"
    [ ! -s out.qcow2 ]
    stdout_to=out.qcow2 drop_in 1 qcow2-to-stdout disk --diff nosuch
    error_says "^[a-z0-9-]+: .*nosuch.*No such file or directory"
    [ ! -s out.qcow2 ]
    stdout_to=out.qcow2 drop_in 1 qcow2-to-stdout directory
    error_says "^[a-z0-9-]+: .*directory"
    [ ! -s out.qcow2 ]
    nothing_left
}

@test "a terminal is refused" {
    link_drop_in qcow2-to-stdout
    local rc=0
    python3 "$tests/with-terminal.py" screen 1 bin/qcow2-to-stdout disk \
        2>stderr || rc=$?
    [ $rc = 1 ] || [ $rc = 2 ]
    error_says "^[a-z0-9-]+: .*terminal"
    [ ! -s screen ]
    no_spool_left
}

@test "a destination that fails, or that leaves, is an error" {
    stdout_to=/dev/full drop_in 1 qcow2-to-stdout disk
    error_says "^[a-z0-9-]+: .*No space left on device"
    nothing_left
    link_drop_in qcow2-to-stdout
    sndbuf=4608 ignore_sigpipe=1 expect="1 0" through_socketpair \
        sh -c 'exec bin/qcow2-to-stdout disk >&{}' -- \
        python3 "$tests/drain.py" '{}' got --leave-after 1000000
    error_says "Broken pipe|Connection reset" sender.stderr
    nothing_left
}

@test "--help and --version" {
    drop_in qcow2-to-stdout --help
    [[ $stdout = *"DEVICE"*"--diff"* ]]
    drop_in qcow2-to-stdout --version
    [ -n "$stdout" ]
}
