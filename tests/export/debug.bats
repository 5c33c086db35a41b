#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What `stream` says with --verbose and --debug, and that data never mixes.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 20M data@5M+64K data@9M+192K
    disk=(--source-format raw --source disk)
    stdout_to=expected.qcow2 qcow_tool stream "${disk[@]}"
}

# typed PROGRAM ARG
# Some line of ./stderr ends with a command line that a shell reads as PROGRAM
# with ARG among its arguments; it is in the array $words.
typed() {
    local line
    while read -r line; do
        # From the program's name on, whatever stands before it.
        line=${line#"${line%%[\'\"/]*}"}
        [[ $line =~ ^[\'\"/] ]] && bash -n <<<"$line" 2>/dev/null &&
            eval "words=($line)" || continue
        [ "${words[0]}" = "$1" ] && [[ " ${words[*]:1} " = *" $2 "* ]] &&
            return 0
    done <stderr
    echo "no command line of $1 with $2" >&2
    return 1
}

# says_number N: in decimal or in hexadecimal.
says_number() {
    stderr_says "(^|[^0-9a-fx])($1|0x0*$(printf %x "$1"))([^0-9a-f]|\$)"
}

@test "a stream that works says nothing" {
    stdout_to=got qcow_tool stream "${disk[@]}"
    [ -z "$stderr" ]
    same_bytes expected.qcow2 got
}

@test "--verbose ends with a summary, beside the data" {
    local option
    for option in -v --verbose; do
        stdout_to=got qcow_tool stream "${disk[@]}" $option
        same_bytes expected.qcow2 got
        [ -n "$stderr" ]
        # No more than a summary.
        [ "$(wc -l <stderr)" -le 12 ]
        run ! grep -q "qemu-img create" stderr
        stderr_says "[0-9]"
    done
}

@test "--verbose tells how long the stream was" {
    stdout_to=got qcow_tool stream "${disk[@]}" --verbose
    local length
    length=$(stat -c %s got)
    stderr_says "$length|$(numfmt --to=iec-i --format=%.1f "$length")"
}

@test "--debug prints each command as it could be typed" {
    mkdir "it's QEMU"
    local program
    for program in qemu-img qemu-io; do
        printf '#!/bin/sh\nexec %s "$@"\n' "$program" >"it's QEMU/$program"
        chmod 755 "it's QEMU/$program"
    done
    local img="$PWD/it's QEMU/qemu-img" io="$PWD/it's QEMU/qemu-io"
    stdout_to=got qcow_tool stream "${disk[@]}" --debug \
        --qemu-img "$img" --qemu-io "$io"
    same_bytes expected.qcow2 got
    typed "$img" create
    [[ " ${words[*]} " = *cluster_size=65536* ]] ||
        [[ " ${words[*]} " = *cluster_size=64?* ]]
    typed "$img" map
    typed "$io" unsafe
    nothing_left
}

@test "--debug prints the plan and the map" {
    stdout_to=got qcow_tool stream "${disk[@]}" --debug
    same_bytes expected.qcow2 got
    # The plan: disk offsets and lengths.
    says_number 5242880
    says_number 65536
    says_number 9437184
    says_number 196608
    # The map: the file offset of each.
    local offset
    for offset in $(qemu-img map --output=json -f qcow2 got |
        jq '.[] | select(.data) | .offset'); do
        says_number "$offset"
    done
}

@test "--debug tells how long the one map of the plan took" {
    stdout_to=got qcow_tool stream "${disk[@]}" --debug
    [ "$(grep -c 'qemu-img.* map ' stderr)" = 1 ]
    [ "$(grep -Ec 'plan: its map took [0-9]+\.[0-9]{3} s$' stderr)" = 1 ]
}

@test "--debug prints the map of a hybrid source" {
    empty_image image.qcow2 20M
    allocate image.qcow2 5M+64K 9M+192K
    stdout_to=got qcow_tool stream --source-format hybrid \
        --source disk:image.qcow2 --debug
    same_bytes expected.qcow2 got
    stderr_says "source: image .*image.qcow2, format qcow2, disk of 20971520"
    stderr_says "qemu-img map .*json:"
    says_number 5242880
    says_number 9437184
    says_number 196608
}

@test "--debug with data on a socket keeps its standard output empty" {
    through_socketpair qcow-tool stream "${disk[@]}" --debug \
        --destination-fd '{}' -- python3 "$tests/drain.py" '{}' got
    same_bytes expected.qcow2 got
    [ ! -s sender.stdout ]
    stderr_says "qemu-img create" sender.stderr
}
