#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# scripts/xapi/*_raw_vdi.patch, applied to handlers that have the shape of
# xapi's, which are compiled with the wrapper and asked by curl.

load ../lib/helpers

setup_file() {
    compile_handlers
}

# A VDI with an image below it, and one that is full of other data.
setup() {
    helpers_setup
    find_wrapper
    requires curl patch
    size=$((4 << 20))
    make_disk disk 4M runs:256K/512K
    image disk disk.qcow2
    other_data copy 4M
    program=$tool
}

# serves ARG... : `handlers' with $program waits for one request, at $url.
serves() {
    local word=$1
    shift
    rm -f port
    python3 "$tests/listen.py" --accept 127.0.0.1 port -- \
        "$handlers" "$program" "$word" '{}' "$@" \
        >handler.stdout 2>handler.stderr </dev/null 3>&- &
    handler=$!
    echo $handler >>.pids
    wait_until 10 test -e port
    url=http://127.0.0.1:$(cat port)/
}

# answered RC complete|failed REGEX: how the handler ended.
answered() {
    local rc=0
    wait "$handler" || rc=$?
    show handler handler.stdout
    show handler handler.stderr
    [ $rc = "$1" ]
    ended handler "$2" "$3"
    nothing_left
}

# asked [CURL-OPTION...]: $status is the one of HTTP, the body is ./body.
asked() {
    status=$(curl -s -m 30 -D headers -o body -w '%{http_code}' "$@" "$url")
}

promised() {
    tr -d '\r' <headers | sed -n 's/^content-length://p'
}

@test "an export has the length of what comes in its headers" {
    serves export "$PWD/disk" $size
    asked
    answered 0 complete '^done$'
    [ "$status" = 200 ]
    [ "$(promised)" = "$(stat -c %s body)" ]
    same_content disk body qcow2
}

@test "so has a differential one" {
    mv disk base
    mv disk.qcow2 base.qcow2
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 disk.qcow2
    qemu-io -f qcow2 -c 'write -q -P 7 1M 300K' disk.qcow2
    qemu-img convert -f qcow2 -O raw disk.qcow2 disk
    serves export "$PWD/disk" $size "$PWD/base"
    asked
    answered 0 complete '^done$'
    [ "$(promised)" = "$(stat -c %s body)" ]
    sound_difference disk base body
}

@test "a VDI without a map is not read for its length" {
    rm disk.qcow2
    serves export "$PWD/disk" $size
    asked
    answered 0 complete '^done$'
    [ "$status" = 200 ]
    [ -z "$(promised)" ]
    same_content disk body qcow2
}

@test "an export that cannot be is answered with 500" {
    head -c 1000 /dev/zero >disk.qcow2
    serves export "$PWD/disk" $size
    asked
    answered 1 failed '^VDI_IO_ERROR: .*qcow-tool: measure: .*/disk.qcow2'
    [ "$status" = 500 ]
    serves export "$PWD/missing" $size
    asked
    answered 1 failed 'SR_BACKEND_FAILURE'
    [ "$status" = 500 ]
}

@test "an export that fails behind the 200 is reset, and no page follows" {
    breaks_off disk.qcow2
    serves export "$PWD/disk" $size
    run -56 asked
    answered 1 failed 'VDI_IO_ERROR: .*it broke off'
    [ "$(stat -c %s body)" -le 200000 ]
    [ "$(promised)" -gt 200000 ]
}

# An image that is another one when it is sent is not sent.
@test "an export keeps the promise, or sends nothing" {
    # shellcheck disable=SC2016 # for the program
    printf '%s\n' '#!/bin/sh' \
        'if [ "$1" = measure ]; then' \
        '    echo "{ \"length\": 65536, \"stable\": true }"' \
        'else' \
        "    exec $tool \"\$@\"" \
        'fi' >program
    chmod 755 program
    program=$PWD/program
    serves export "$PWD/disk" $size
    run ! asked
    answered 1 failed '^VDI_IO_ERROR: .*qcow-tool: stream: .*65536'
    [ ! -s body ]
}

@test "an import zeroes what the image leaves out where old data may be" {
    only_allocated disk.qcow2 expected
    serves import "$PWD/copy"
    asked -T disk.qcow2
    answered 0 complete '^done$'
    same_bytes expected copy
    touch copy.thick
    serves import "$PWD/copy"
    asked -T disk.qcow2
    answered 0 complete '^done$'
    same_bytes disk copy
}

@test "an import has the length of its request, if there is one" {
    printf '#!/bin/sh\nprintf "%%s\\n" "$@" >"%s"\n' "$PWD/args" >program
    chmod 755 program
    program=$PWD/program
    serves import "$PWD/copy"
    run asked -T disk.qcow2
    answered 0 complete '^done$'
    grep -A 1 -x -e --destination-size args |
        grep -qx "$(stat -c %s disk.qcow2)"
    grep -qx -e --prezeroed args
    serves import "$PWD/copy"
    run asked -T - <disk.qcow2
    answered 0 complete '^done$'
    run ! grep -x -e --destination-size args
}

@test "curl sees that an import has failed" {
    serves import "$PWD/copy"
    run ! asked -T disk
    answered 1 failed '^VDI_IO_ERROR: .*qcow-tool: serve: source: '
    untouched copy
}
