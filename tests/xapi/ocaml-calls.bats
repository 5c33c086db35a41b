#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# How scripts/xapi/qcow_tool_wrapper.ml calls the program, and what it makes of
# every way in which that can end: programs stand in for qcow-tool.

load ../lib/helpers

setup_file() {
    compile_wrapper
}

setup() {
    helpers_setup
    find_wrapper
    touch disk base
}

# program <<\EOF
# What is called in the place of qcow-tool. Its arguments are in ./args; $here
# is the directory of the test.
program() {
    {
        printf '#!/bin/sh\nhere=%s\n' "$PWD"
        # shellcheck disable=SC2016 # for the program
        printf '%s\n' 'printf "%s\n" "$@" >$here/args'
        cat
    } >program
    chmod 755 program
}

# wrapped [RC] [--task NAME] ARG...
# The wrapper, with that program.
wrapped() {
    local expected=0 rc=0 task=()
    case $1 in
    [0-9]*) expected=$1 && shift ;;
    esac
    case $1 in
    --task) task=("$1" "$2") && shift 2 ;;
    esac
    watch -- "$wrapper" "${task[@]}" "$PWD/program" "$@" 5>/dev/null \
        >wrapper.stdout 2>wrapper.stderr || rc=$?
    show wrapper.stdout wrapper.stdout
    show wrapper.stderr wrapper.stderr
    [ $rc = "$expected" ] || {
        echo "exit code $rc, expected $expected" >&2
        return 1
    }
}

# called_with WORDS
# What the program was given; the number of its fd is N.
called_with() {
    local args called
    mapfile -t args <args
    called=$(quoted "${args[@]}" | sed 's/-fd [0-9][0-9]* /-fd N /')
    [ "$called" = "$1" ] || {
        printf 'called:   %s\nexpected: %s\n' "$called" "$1" >&2
        return 1
    }
}

# exported FORMAT SOURCE [BASE]
exported() {
    called_with "stream --source-protocol none --source-format $1 \
--source $2 --destination-protocol none --destination-format qcow2 \
--destination-fd N --tar-filename-prefix '' --progress --machine --direct \
--path /dev/mapper:.${3:+ --relative-to $3}"
}

# imported DEVICE [WORDS]
imported() {
    called_with "serve --source-format qcow2 --source-protocol none \
--source-fd N --tar-filename-prefix '' --destination file://$1 \
--destination-format raw --progress --machine --direct${2:+ $2}"
}

@test "an export is hybrid with an image below the device, else raw" {
    program </dev/null
    wrapped send 5 "$PWD/disk" 1048576
    exported raw "$PWD/disk"
    touch disk.qcow2
    wrapped send 5 "$PWD/disk" 1048576
    exported hybrid "$PWD/disk:$PWD/disk.qcow2"
}

@test "a VHD below the device is not asked for its map" {
    program </dev/null
    touch disk.vhd base.vhd
    wrapped send 5 "$PWD/disk" 1048576
    exported raw "$PWD/disk"
    wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
    exported raw "$PWD/disk" "$PWD/base"
}

@test "an export from an NBD device is nbdhybrid, with or without an image" {
    program </dev/null
    printf '%s\n' /run/nbd.sock export-1 >disk.nbd
    wrapped send 5 "$PWD/disk" 1048576
    exported nbdhybrid "$PWD/disk:/run/nbd.sock:export-1:1048576"
    touch disk.qcow2
    wrapped send 5 "$PWD/disk" 4398046511104
    exported nbdhybrid "$PWD/disk:/run/nbd.sock:export-1:4398046511104"
}

@test "a differential export compares images with images" {
    program </dev/null
    touch disk.qcow2 base.qcow2
    wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
    exported hybrid "$PWD/disk:$PWD/disk.qcow2" "$PWD/base.qcow2"
    printf '%s\n' /run/nbd.sock export-1 >disk.nbd
    wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
    exported hybrid "$PWD/disk:$PWD/disk.qcow2" "$PWD/base.qcow2"
}

@test "a differential export compares devices with devices" {
    program </dev/null
    touch disk.qcow2
    wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
    exported raw "$PWD/disk" "$PWD/base"
    mv disk.qcow2 base.qcow2
    wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
    exported raw "$PWD/disk" "$PWD/base"
    printf '%s\n' /run/nbd.sock export-1 >disk.nbd
    wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
    exported nbdhybrid "$PWD/disk:/run/nbd.sock:export-1:1048576" \
        "$PWD/base"
}

@test "an import is prezeroed if not told otherwise, and has a length if known" {
    program </dev/null
    wrapped receive 5 "$PWD/disk"
    imported "$PWD/disk" --prezeroed
    wrapped receive 5 "$PWD/disk" prezeroed=true length=1125899906842624
    imported "$PWD/disk" "--destination-size 1125899906842624 --prezeroed"
    wrapped receive 5 "$PWD/disk" prezeroed=false length=0
    imported "$PWD/disk" "--destination-size 0"
    wrapped receive 5 "$PWD/disk" prezeroed=false
    imported "$PWD/disk"
}

@test "digits come as they are printed; the exit code makes them 100" {
    program <<<'printf 000; printf 0; printf 07; printf 009042; printf 100'
    wrapped receive 5 "$PWD/disk"
    printf 'task %s\n' 0.00 0.07 0.09 0.42 1.00 | cmp - \
        <(grep '^task' wrapper.stdout)
    ended wrapper complete '^done$'
}

@test "progress is told while the program runs" {
    program <<\EOF
printf 012
until [ -e $here/seen ]; do sleep 0.02; done
printf 100
EOF
    in_background wrapped receive 5 "$PWD/disk"
    wait_until 10 grep -qs '^task 0.12$' wrapper.stdout
    run ! grep -q '^task 1.00$' wrapper.stdout
    touch seen
    wait $!
    ended wrapper complete '^done$'
}

@test "a program that says 100 and fails has failed" {
    program <<\EOF
printf 000055100
echo 'qcow-tool: serve: destination /dev/x: Input/output error' >&2
echo 'and more, which is for the log' >&2
exit 1
EOF
    wrapped 1 receive 5 "$PWD/disk"
    ended wrapper failed '^VDI_IO_ERROR: qcow-tool: serve: destination /dev/x:'
    error_says 'Input/output error$' .last
    stderr_says 'and more, which is for the log' wrapper.stderr
    nothing_left
}

@test "a program that fails without a word is told by its exit code" {
    program <<<'exit 2'
    wrapped 1 send 5 "$PWD/disk" 1048576
    ended wrapper failed '^VDI_IO_ERROR: program: exit code 2$'
}

@test "a program that is killed has failed, whatever it printed" {
    # shellcheck disable=SC2016 # for the program
    program <<<'printf 000100; kill -TERM $$'
    wrapped 1 send 5 "$PWD/disk" 1048576
    ended wrapper failed '^VDI_IO_ERROR: program: killed by SIGTERM$'
    nothing_left
}

@test "a program that is not there has failed" {
    wrapped 1 send 5 "$PWD/disk" 1048576
    ended wrapper failed '^VDI_IO_ERROR: '
    nothing_left
}

@test "an error of the fork helper is raised as it is" {
    program </dev/null
    LAUNCH=$PWD/missing wrapped 2 send 5 "$PWD/disk" 1048576
    ended wrapper failed 'ENOENT.*/missing'
    nothing_left
}

@test "what is no progress is passed over, and does not block the program" {
    program <<\EOF
printf 007
head -c 300000 /dev/zero
printf -- '-01999x1 08'
EOF
    wrapped send 5 "$PWD/disk" 1048576
    printf 'task %s\n' 0.07 1.00 | cmp - <(grep '^task' wrapper.stdout)
    ended wrapper complete '^done$'
}

@test "a task that takes no progress does not end the transfer" {
    program <<<'printf 003050100'
    wrapped --task broken send 5 "$PWD/disk" 1048576
    stderr_says 'warn.*progress 3: .*no such task' wrapper.stderr
    ended wrapper complete '^done$'
}

# Makes $wrapper that of an older xapi.
older() {
    (cd "$BATS_TEST_TMPDIR" && compile "$1" "older_$1" "$2")
    wrapper=$PWD/older_$1
}

@test "patches make it one for older versions of xapi, with the same calls" {
    requires patch
    local version
    program </dev/null
    for version in 25_27:25.27 26_0:26.0; do
        older "${version%:*}" "qcow_tool_wrapper-${version#*:}.patch"
        rm -f disk.* base.*
        touch disk.vhd
        wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
        exported raw "$PWD/disk" "$PWD/base"
        touch disk.qcow2 base.qcow2
        wrapped send 5 "$PWD/disk" 1048576 "$PWD/base"
        exported hybrid "$PWD/disk:$PWD/disk.qcow2" "$PWD/base.qcow2"
        printf '%s\n' /run/nbd.sock export-1 >disk.nbd
        wrapped send 5 "$PWD/disk" 1048576
        exported nbdhybrid "$PWD/disk:/run/nbd.sock:export-1:1048576"
        wrapped receive 5 "$PWD/disk" prezeroed=true length=7
        imported "$PWD/disk" "--destination-size 7 --prezeroed"
    done
}

@test "only a VDI with an image is measured, and only what stays as it is" {
    program <<<'echo "{\"length\": 327680, \"id\": \"ab\", \"stable\": true}"'
    wrapped measure "$PWD/disk" 1048576
    grep -x none wrapper.stdout
    [ ! -e args ]
    touch disk.qcow2 base.qcow2
    wrapped measure "$PWD/disk" 1048576
    grep -x 327680 wrapper.stdout
    called_with "measure --source-format hybrid \
--source $PWD/disk:$PWD/disk.qcow2"
    wrapped measure "$PWD/disk" 1048576 "$PWD/base"
    called_with "measure --source-format hybrid \
--source $PWD/disk:$PWD/disk.qcow2 --relative-to $PWD/base.qcow2"
    printf '%s\n' /run/nbd.sock export-1 >disk.nbd
    wrapped measure "$PWD/disk" 1048576
    grep -x none wrapper.stdout
    rm disk.nbd
    program <<<'echo "{\"length\": 327680, \"stable\": false}"'
    wrapped measure "$PWD/disk" 1048576
    grep -x none wrapper.stdout
    program <<<'echo "qcow-tool: measure: no" >&2; exit 1'
    wrapped 1 measure "$PWD/disk" 1048576
    ended wrapper failed '^VDI_IO_ERROR: qcow-tool: measure: no$'
}

@test "exports to XVA are told the clusters of the whole chain" {
    export QEMU_IMG
    QEMU_IMG=$(command -v qemu-img)
    program </dev/null
    # The base has 4K clusters, and some of them are in one of the image's.
    qemu-img create -q -f qcow2 -o cluster_size=4K base.qcow2 1M
    qemu-io -f qcow2 -c 'write -q 0 1K' -c 'write -q 8K 4K' \
        -c 'write -q 196K 4K' base.qcow2
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 disk.qcow2
    qemu-io -f qcow2 -c 'write -q 64K 128K' -c 'write -q 448K 64K' \
        -c 'write -q -z 512K 64K' -c 'write -q 1023K 1K' disk.qcow2
    wrapped clusters "$PWD/disk.qcow2"
    printf '%s\n' '65536: 0 1 2 3 7 15' '65536: 0-0 1-2 3-3 7-7 15-15' done |
        cmp - wrapper.stdout
}
