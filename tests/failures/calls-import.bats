#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# An import during which a call to the C library or the kernel fails. It ends
# with exit code 1 and the cause, and nothing is left; or its bytes are right.

# The lists are cases of every_call, whose variables they set.
# shellcheck disable=SC2034

load ../lib/helpers

setup() {
    helpers_setup
    faults_setup
    make_disk disk.raw 2M data@256K+512K zeroes@1M+64K
    made=run/new.raw expected=disk.raw
}

# Most memory is libseccomp's, which is spared.
new_file() {
    [ -e disk.qcow2 ] || image disk.raw disk.qcow2
    input=disk.qcow2
    command=(qcow-tool serve --destination "$made" --sandbox off)
}

# In a cage, as far as this host has it; and in all of one.
in_the_cage() {
    caged auto new_file
}

in_all_of_it() {
    caged require new_file
}

# The file gets its name in the end.
without_landlock() {
    requires root sandbox:seccomp
    unshare --mount true 2>/dev/null || skip 'needs mount namespaces'
    caged auto new_image
    around=(python3 "$tests/caller.py" without:landlock --)
}

compressed_image() {
    [ -e compressed.qcow2 ] || {
        other_data plain.raw 512K
        qemu-img convert -c -f raw -O qcow2 plain.raw compressed.qcow2
    }
    input=compressed.qcow2 expected=plain.raw
    command=(qcow-tool serve --destination "$made" --sandbox off)
}

directly_and_told() {
    new_file
    command+=(--direct --checksum sha256 --report run/report)
}

# A disk that was there before.
other_disk() {
    new_file
    made=run/disk.raw prepare='other_data run/disk.raw 2M'
    command=(qcow-tool serve --destination "$made" --sandbox off)
}

nbd_export() {
    requires nbdkit
    other_disk
    # nbdkit looks for the file before it listens.
    mkdir -p run
    [ -e "$made" ] || eval "$prepare"
    if [ -z "${uri:-}" ]; then
        nbd_server unix nbdkit file "$made"
        qemu-img info -f raw "$uri" >info # it listens, and has looked
    fi
    command=(qcow-tool serve "$uri" --sandbox off)
}

new_image() {
    new_file
    made=run/new.qcow2 compare='qemu-img compare -q -f qcow2 -F raw'
    command=(qcow-tool serve --destination "$made" --sandbox off
        --destination-format qcow2)
}

@test "whatever opens, looks or seeks fails" {
    every_call new_file open stat seek
}

@test "whatever reads or writes fails, or does half of it" {
    every_call new_file read write
}

@test "whatever truncates, flushes or closes fails" {
    every_call new_file size sync close
}

@test "whatever makes pipes, sockets, threads and processes fails" {
    every_call new_file channel start wait control
}

@test "there is no memory" {
    picks=24 every_call new_file memory
}

@test "there is no memory, and never again" {
    times=0 every_call new_file memory
}

@test "there are no more fds, and never again" {
    times=0 errnos=EMFILE every_call new_file open channel
}

@test "O_DIRECT, a checksum and a report fail as cleanly" {
    picks=4 every_call directly_and_told open stat seek read write \
        size sync close
}

@test "whatever is done to decode compressed clusters fails" {
    picks=5 every_call compressed_image open stat seek read write \
        size sync close channel start wait control memory
}

@test "whatever is done before QEMU becomes itself fails" {
    in=children errnos='EMFILE EPERM' every_call in_the_cage open stat \
        channel control cage
}

@test "whatever our own cage is made of fails, and it is told" {
    picks=8 every_call in_the_cage cage
}

@test "whatever a cage is made of fails, and all of it is required" {
    picks=6 every_call in_all_of_it cage
    in=children errnos=EPERM picks=6 every_call in_all_of_it cage
}

@test "whatever a root directory of our own is made of fails" {
    picks=8 every_call without_landlock cage
}

@test "whatever is done for a disk that was there fails, and it is told" {
    each_of other_disk
}

@test "whatever is done for an NBD destination fails, and it is told" {
    each_of nbd_export
}

@test "whatever is done for a new image fails" {
    each_of new_image
}
