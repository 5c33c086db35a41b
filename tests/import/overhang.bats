#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images that are larger than their destination by less than a cluster, of
# every kind: zeroes beyond its end are accepted, data is refused.
# shellcheck disable=SC2030,SC2031 # one test has sizes of its own

load ../lib/helpers

# The disk is 4 MiB and 1 KiB, the image 32 KiB more.
setup() {
    helpers_setup
    fits=4195328 larger=4228096
}

# accepted [SERVE-ARG...]
accepted() {
    other_data copy.raw "$fits"
    send_image disk.qcow2 -- --destination copy.raw "$@"
    qemu-img convert -f qcow2 -O raw disk.qcow2 expected.raw
    truncate -s "$fits" expected.raw
    same_bytes expected.raw copy.raw
    nothing_left
}

# refused [SERVE-ARG...]
refused() {
    other_data copy.raw "$fits"
    expect="* 1" keep_open=1 time_limit=20 send_image disk.qcow2 -- \
        --destination copy.raw --source-size "$(stat -c %s disk.qcow2)" "$@"
    error_says "^qcow-tool: serve: destination: too small: .*$fits" \
        receiver.stderr
    error_says "disk offset [0-9]+" receiver.stderr
    [ "$(stat -c %s copy.raw)" = "$fits" ]
    nothing_left
}

# create [OPTIONS] COMMAND...
create() {
    qemu-img create -q -f qcow2 -o "$1" disk.qcow2 "$larger"
    guest disk.qcow2 "${@:2}"
}

plain=cluster_size=64K

@test "nothing beyond" {
    create $plain 'write -q -P 1 1M 1M'
    accepted
    accepted --direct
}

@test "nothing at all" {
    create $plain
    accepted
}

@test "a range marked zero beyond" {
    create $plain 'write -q -P 1 1M 1M' 'write -q -z 4M 33K'
    accepted
}

@test "written zeroes beyond" {
    create $plain 'write -q -P 1 3M 1025K' 'write -q -P 0 4195328 32768'
    accepted
    accepted --direct
    only_allocated disk.qcow2 expected.raw
    other_data copy.raw "$fits"
    send_image disk.qcow2 -- --destination copy.raw --prezeroed
    cmp -n "$fits" expected.raw copy.raw
}

@test "compressed zeroes beyond" {
    # The cluster that the disk ends in is compressed, too.
    make_disk disk.raw "$larger" data@3M+1025K
    qemu-img convert -c -f raw -O qcow2 disk.raw disk.qcow2
    accepted
    accepted --direct
}

@test "zeroes beyond, in clusters of 2 MiB and in small ones" {
    make_disk disk.raw "$larger" data@3M+1025K
    image disk.raw disk.qcow2 cluster_size=2M
    accepted
    qemu-img convert -c -f raw -O qcow2 -o cluster_size=2M disk.raw disk.qcow2
    accepted
    fits=4195840 larger=4196352
    make_disk small.raw "$larger" data@3M+1025K
    image small.raw disk.qcow2 cluster_size=1K
    accepted
}

@test "zeroes beyond, tables behind the data, and snapshots" {
    create $plain 'write -q -P 1 3M 1025K' 'write -q -P 0 4195328 32768'
    qemu-img snapshot -c one disk.qcow2
    guest disk.qcow2 'write -q -P 2 1M 1M' 'write -q -P 0 4195328 512'
    accepted
}

@test "data beyond" {
    create $plain 'write -q -P 1 1M 1M' 'write -q -P 2 4195328 512'
    refused
    untouched copy.raw
    refused --prezeroed --direct
    untouched copy.raw
}

@test "a single byte at the very end" {
    create $plain 'write -q -P 1 1M 1M' 'write -q -P 2 4228095 1'
    refused
    untouched copy.raw
}

@test "data beyond, in a cluster that is there for the rest" {
    create $plain 'write -q -P 1 4M 33K'
    refused
    untouched copy.raw
}

@test "compressed data beyond" {
    # It is seen when it is read, and the rest may be on the disk by then.
    create $plain 'write -q -c -P 2 4M 33K' 'write -q -P 1 1M 1M'
    refused
}

@test "data beyond that a snapshot holds, and the disk does not" {
    create $plain 'write -q -P 1 1M 1M' 'write -q -P 2 4195328 512'
    qemu-img snapshot -c one disk.qcow2
    guest disk.qcow2 'write -q -z 4M 33K'
    accepted
}

@test "a block device, zeroes and data beyond" {
    requires loop
    other_data backing "$fits"
    device=$(make_loop backing)
    make_disk disk.raw "$larger" data@3M+1025K
    qemu-img convert -c -f raw -O qcow2 disk.raw disk.qcow2
    send_image disk.qcow2 -- --destination "$device" --direct
    cmp -n "$fits" disk.raw "$device"
    other_data backing "$fits"
    blockdev --flushbufs "$device"
    guest disk.qcow2 'write -q -P 2 4195328 512'
    expect="* 1" send_image disk.qcow2 -- --destination "$device" --direct
    error_says "^qcow-tool: serve: destination: too small" receiver.stderr
}
