#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Command lines that are wrong: exit status 2, and a line that names the word.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 1M data@64K+64K
    image disk.raw disk.qcow2
}

# usage REGEX ARG...
# The error is one line, maybe with a hint at --help below it.
usage() {
    local regex=$1
    shift
    qcow_tool 2 "$@" 5>out.bin
    error_says "^qcow-tool: .*($regex)"
    [ "$(wc -l <stderr)" -le 2 ]
    run ! grep -E '.{300}' stderr
    [ ! -s stdout ]
    [ ! -s out.bin ]
    [ ! -e new.raw ]
    nothing_left
}

# With all that is needed, so that one word more is what is wrong.
bad_stream() {
    usage "$1" stream --source-format raw --source disk.raw \
        --destination-fd 5 "${@:2}"
}

bad_serve() {
    usage "$1" serve --destination new.raw "${@:2}" <disk.qcow2
}

@test "no command is wrong" {
    qcow_tool 2
    error_says '^(qcow-tool: .*command|[Uu]sage: )'
    [ ! -s stdout ]
}

@test "an unknown command is named" {
    usage frobnicate frobnicate
    usage frobnicate frobnicate --help
}

@test "an unknown option is named" {
    usage --frobnicate --frobnicate
    bad_stream --frobnicate --frobnicate
    bad_serve --frobnicate --frobnicate
    bad_serve --frobnicate --frobnicate=3
    bad_serve '-Q' -Q
}

@test "an option of the other command is unknown" {
    bad_stream --prezeroed --prezeroed
    bad_serve --layout --layout convert
}

@test "an option without its value is named" {
    usage --source stream --source-format raw --source
    usage --destination-fd stream --source-format raw --source disk.raw \
        --destination-fd
    usage --destination serve --destination
    bad_serve --source-fd --source-fd
    bad_serve --spool-dir --spool-dir
}

@test "a value for an option that has none is named" {
    bad_serve --prezeroed --prezeroed=yes
    bad_stream --direct --direct=yes
}

@test "what may be meant by an option is said" {
    bad_stream 'is --cluster-size meant' --clustersize 64K
    bad_stream 'one of --expect-id, --expect-length' --expect 5
    bad_serve 'one of --source-fd, --source-size, --source-format' --source-
    bad_serve 'is --prezeroed meant' -prezeroed
    usage 'is measure meant' measrue
}

@test "an option before the command is told its place" {
    usage 'qcow-tool stream --progress' --progress stream disk.raw
}

@test "a value that is given twice is named, both of them" {
    bad_stream "source.*'disk.raw'.*'other.raw'" --source other.raw
    bad_serve "source-size.*'1'.*'2'" --source-size 1 --source-size=2
    bad_stream 'destination.*destination-fd' --destination out.bin
}

@test "--machine without --progress is refused" {
    bad_stream 'machine.*progress' --machine
    bad_serve 'machine.*progress' --machine
}

@test "--quiet is refused beside what wants more to be said" {
    bad_stream 'quiet.*verbose' -q -v
    bad_serve 'quiet.*debug' --quiet --debug
    bad_serve 'quiet.*progress' --quiet --progress
}

@test "an argument that is no option is named" {
    bad_stream surprise surprise
    bad_serve surprise surprise
}

@test "a source or destination that is not given is named" {
    usage --source stream --source-format raw --destination-fd 5
    usage --destination serve
}

@test "an unknown source format is named" {
    usage 'qcow3.*raw' stream --source-format qcow3 --source disk.raw \
        --destination-fd 5
    bad_serve 'vmdk.*qcow2' --source-format vmdk
    bad_serve 'qcow2' --source-format ''
}

@test "an unknown destination format is named" {
    bad_stream 'raw.*qcow2' --destination-format raw
    bad_serve "'qcow'.*qcow2, vpc" --destination-format qcow
}

@test "an unknown layout is named, and the known ones" {
    bad_stream 'sideways.*streamable' --layout sideways
    error_says convert
}

@test "cluster sizes that QEMU does not have are named" {
    local size
    for size in 0 3 256 65537 4194304 -1 many 64X 18446744073709617152; do
        bad_stream "$size" --cluster-size $size
    done
}

@test "refcount widths that QEMU does not have are named" {
    local bits
    for bits in 0 3 128 -1 many; do
        bad_stream "$bits" --refcount-bits $bits
    done
}

@test "a compat level that QEMU does not have is named" {
    bad_stream 2.0 --compat 2.0
}

@test "options of compat 1.1 with compat 0.10 are refused" {
    bad_stream 'compat|extended' --compat 0.10 --extended-l2
    bad_stream 'compat|refcount' --compat 0.10 --refcount-bits 64
}

@test "extended L2 entries with clusters that are too small are refused" {
    bad_stream 'extended|cluster' --extended-l2 --cluster-size 4096
}

@test "numbers that are none are named" {
    local size
    for size in many -1 1x 99999999999999999999999 ''; do
        bad_serve "'?$size'?" --destination-size "$size"
        error_says destination-size
        bad_serve "'?$size'?" --source-size "$size"
        error_says source-size
    done
}

@test "fds that are no numbers are named" {
    local fd
    for fd in many -1 5x 99999999999999999999 ''; do
        bad_serve "'?$fd'?" --source-fd "$fd"
    done
}

@test "a hybrid source without a colon is wrong" {
    usage 'disk.raw' stream --source-format hybrid --source disk.raw \
        --destination-fd 5
    usage '' stream --source-format hybrid --source disk.raw: \
        --destination-fd 5
    usage '' stream --source-format hybrid --source :disk.qcow2 \
        --destination-fd 5
}

@test "a destination of a kind that is not known is named" {
    usage 'ftp://.*supported' serve --destination ftp://host/new.raw
    usage 'ftp://' stream --source-format raw --source disk.raw \
        --destination ftp://host/new.raw
}
