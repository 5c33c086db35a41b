#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# An export during which a call to the C library or the kernel fails. It ends
# with exit code 1 and the cause, and nothing is left; or its bytes are right.

# The lists are cases of every_call, whose variables they set.
# shellcheck disable=SC2034

load ../lib/helpers

setup() {
    helpers_setup
    faults_setup
    make_disk disk.raw 2M data@256K+512K zeroes@1M+64K
    input=/dev/null made=run/out.qcow2
}

# Most memory is libseccomp's, which is spared.
raw_file() {
    command=(qcow-tool stream --source-format raw --source disk.raw
        --destination "$made" --sandbox off)
    expected=good.qcow2
    [ -e $expected ] || qcow-tool stream --source-format raw \
        --source disk.raw --destination $expected
}

# In a cage, as far as this host has it; and in all of one.
in_the_cage() {
    caged auto raw_file
}

in_all_of_it() {
    caged require raw_file
}

copied_and_told() {
    raw_file
    command+=(--direct --checksum sha256 --report run/report)
}

image_chain() {
    [ -e top.qcow2 ] || {
        image disk.raw base.qcow2
        overlay top.qcow2 base.qcow2 qcow2
        allocate top.qcow2 0+64K
        qcow-tool stream --source-format qcow2 --source top.qcow2 \
            --destination good-chain.qcow2
    }
    command=(qcow-tool stream --source-format qcow2 --source top.qcow2
        --destination "$made" --sandbox off)
    expected=good-chain.qcow2
}

# The bytes are the same each time, though answers may come in another order.
nbd_export() {
    requires nbdkit
    [ -n "${uri:-}" ] || nbd_server unix nbdkit file disk.raw
    command=(qcow-tool stream --source-format nbd --source "$uri"
        --destination "$made" --sandbox off)
    expected=good-nbd.qcow2
    [ -e $expected ] || qcow-tool stream --source-format nbd --source "$uri" \
        --destination $expected
}

difference() {
    image_chain
    command+=(--relative-to base.qcow2)
    expected=good-difference.qcow2
    [ -e $expected ] || qcow-tool stream --source-format qcow2 \
        --source top.qcow2 --relative-to base.qcow2 --destination $expected
}

# No chain tells what differs: all of both is read.
compared_difference() {
    [ -e old.raw ] || {
        cp disk.raw old.raw
        poke old.raw 300000 ffff
        qcow-tool stream --source disk.raw --relative-to old.raw \
            --destination good-difference.qcow2
    }
    command=(qcow-tool stream --source disk.raw --relative-to old.raw
        --destination "$made" --sandbox off)
    expected=good-difference.qcow2
}

# Most memory is libcrypto's, for an identity and for checksums.
measurement() {
    command=(qcow-tool measure disk.raw --sandbox off)
    prints=yes expected=good-length made=run/length
    qcow-tool measure disk.raw >$expected
}

validation() {
    command=(qcow-tool validate disk.raw --layout convert --sandbox off)
    prints=yes expected=good-findings made=run/findings
    qcow-tool validate disk.raw --layout convert >$expected
}

@test "whatever opens, looks or seeks fails" {
    every_call raw_file open stat seek
}

@test "whatever reads or writes fails, or does half of it" {
    every_call raw_file read write
}

@test "whatever truncates, flushes or closes fails" {
    every_call raw_file size sync close
}

@test "whatever makes pipes, sockets, threads and processes fails" {
    every_call raw_file channel start wait control
}

@test "there is no memory" {
    picks=24 every_call raw_file memory
}

@test "there is no memory, and never again" {
    times=0 every_call raw_file memory
}

@test "there are no more fds, and never again" {
    times=0 errnos=EMFILE every_call raw_file open channel
}

@test "the slow mover, O_DIRECT, a checksum and a report fail as cleanly" {
    export QCOW_TOOL_MOVER=copy
    picks=4 every_call copied_and_told open stat seek read write \
        size sync close
}

@test "whatever is done for an image and what is below it fails" {
    picks=5 every_call image_chain open stat seek read write \
        size sync close channel start wait control memory
}

@test "whatever is done before QEMU becomes itself fails" {
    in=children errnos='EMFILE EPERM' picks=3 every_call in_the_cage \
        open stat channel control cage
}

@test "whatever our own cage is made of fails, and it is told" {
    picks=6 every_call in_the_cage cage
}

@test "whatever a cage is made of fails, and all of it is required" {
    picks=5 every_call in_all_of_it cage
    in=children errnos=EPERM picks=5 every_call in_all_of_it cage
}

@test "the addresses of a host cannot be looked up" {
    local n=0 rc fault_log=
    raw_file
    command=(qcow-tool stream disk.raw --destination tcp://localhost:1)
    until [[ $fault_log = getaddrinfo* ]]; do
        n=$((n + 1)) && [ $n -lt 60 ]
        run_with_fault control $n EIO
    done
    [ "$rc" = 1 ]
    error_says 'destination: cannot find localhost:1: .*Input/output error$'
    nothing_left
}

@test "whatever is done for an NBD source fails" {
    each_of nbd_export
}

@test "whatever is done for a difference fails" {
    each_of difference compared_difference
}

@test "whatever is done to measure or to validate fails" {
    most=400 each_of measurement validation
}
