#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# A signal at any moment, to the program or to a QEMU that works for it. A
# moment is a call that the program makes (failing-call.c).

# The lists are cases of every_moment, whose variables they set.
# shellcheck disable=SC2034

load ../lib/helpers

setup() {
    helpers_setup
    faults_setup
    make_disk disk.raw 2M data@256K+512K zeroes@1M+64K
    image disk.raw disk.qcow2
    qcow-tool stream --source-format raw --source disk.raw \
        --destination good.qcow2
}

export_of_file() {
    input=/dev/null made=run/out.qcow2 expected=good.qcow2
    command=(qcow-tool stream --source-format raw --source disk.raw
        --destination "$made")
}

import_of_file() {
    input=disk.qcow2 made=run/new.raw expected=disk.raw
    command=(qcow-tool serve --destination "$made")
}

# Its compressed clusters are read by a qemu-nbd.
import_of_compressed() {
    other_data plain.raw 512K
    qemu-img convert -c -f raw -O qcow2 plain.raw compressed.qcow2
    import_of_file
    input=compressed.qcow2 expected=plain.raw
}

export_of_image() {
    export_of_file
    qemu-img convert -c -f raw -O qcow2 disk.raw compressed.qcow2
    command=(qcow-tool stream --source-format qcow2 --source compressed.qcow2
        --destination "$made")
}

@test "a signal ends an export at any moment, and is told by its status" {
    every_moment export_of_file TERM INT HUP KILL
}

@test "a signal ends an import at any moment, and is told by its status" {
    every_moment import_of_file TERM INT HUP KILL
}

@test "a signal ends what qemu-nbd reads for at any moment" {
    picks=8 every_moment import_of_compressed TERM KILL
    picks=8 every_moment export_of_image TERM KILL
}

@test "QEMU may be killed at any moment" {
    to=children picks=20 every_moment export_of_file KILL
    to=children picks=20 every_moment import_of_file KILL
    to=children every_moment import_of_compressed KILL
    to=children every_moment export_of_image KILL
}

@test "QEMU may be stopped at any moment" {
    export_with_limit() {
        export_of_file
        command+=(--stall-timeout 1)
    }
    import_with_limit() {
        import_of_compressed
        command+=(--stall-timeout 1)
    }
    # A second each.
    to=children picks=3 most=60 every_moment export_with_limit STOP
    to=children picks=3 most=60 every_moment import_with_limit STOP
}

@test "before the header is good a signal changes nothing on the disk" {
    import_of_header() {
        other_data copy.raw 2M
        head -c 60 disk.qcow2 >header.qcow2
        input=header.qcow2 made=run/none expected=/dev/null
        command=(qcow-tool serve --destination copy.raw)
    }
    # Without a fault it fails, too: the header is not complete.
    count_calls() {
        run_with_fault none 0 EIO
        [ "$rc" = 1 ] && [[ $fault_log =~ any\ ([0-9]+) ]] &&
            counts[any]=${BASH_REMATCH[1]}
    }
    judge_moment() {
        [ "$rc" = $((128 + $1)) ] || echo "exit code $rc"
        untouched copy.raw || echo 'other bytes'
        [ ! -s "$left" ] || cat "$left"
        [ -z "$(ls -A "$spool")" ] || echo 'left in the spool'
    }
    picks=20 every_moment import_of_header TERM KILL
}
