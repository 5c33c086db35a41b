#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What people type: the disk without an option, and - for standard streams.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 1M data@64K+64K
    image disk.raw disk.qcow2
}

@test "a disk goes out and comes back by its name alone" {
    stdout_to=out.qcow2 qcow_tool stream disk.raw
    same_content disk.raw out.qcow2
    qcow_tool measure disk.raw
    [ "$(jq .length stdout)" = "$(stat -c %s out.qcow2)" ]
    qcow_tool serve new.raw <out.qcow2
    same_bytes disk.raw new.raw
    nothing_left
}

@test "options may stand on both sides of the disk" {
    stdout_to=out.qcow2 qcow_tool stream --source-format qcow2 disk.qcow2 \
        --cluster-size 4KiB
    same_content disk.raw out.qcow2
    [ "$(qemu-img info --output=json out.qcow2 |
        jq '."cluster-size"')" = 4096 ]
}

@test "a disk whose name looks like an option comes behind two dashes" {
    cp disk.raw ./--force
    stdout_to=out.qcow2 qcow_tool stream -- --force
    same_content disk.raw out.qcow2
}

@test "- is standard output of stream, and no file of that name" {
    stdout_to=plain.qcow2 qcow_tool stream disk.raw
    stdout_to=out.qcow2 qcow_tool stream disk.raw --destination -
    same_bytes plain.qcow2 out.qcow2
    stdout_to=out.qcow2 qcow_tool stream disk.raw --destination-fd -
    same_bytes plain.qcow2 out.qcow2
    [ ! -e - ]
    qcow_tool stream disk.raw --destination ./-
    same_bytes plain.qcow2 ./-
}

@test "- is standard input of serve" {
    qcow_tool serve new.raw --source-fd - <disk.qcow2
    same_bytes disk.raw new.raw
}

@test "- is a disk, if standard input is one" {
    stdout_to=plain.qcow2 qcow_tool stream disk.raw
    stdout_to=out.qcow2 qcow_tool stream - <disk.raw
    same_bytes plain.qcow2 out.qcow2
    stdout_to=out.qcow2 qcow_tool stream - --source-format qcow2 <disk.qcow2
    same_content disk.raw out.qcow2
    qcow_tool 2 stream - < <(cat disk.raw)
    error_says '^qcow-tool: stream: .*standard input is neither'
}

@test "- is a disk, if standard output is one, and digits go elsewhere" {
    stdout_to=new.raw qcow_tool serve - --progress --machine <disk.qcow2
    same_bytes disk.raw new.raw
    digits stderr complete
    other_data new.raw 1M
    stdout_to=- qcow_tool serve - 1<>new.raw <disk.qcow2
    same_bytes disk.raw new.raw
    set -o pipefail
    stdout_to=- qcow_tool 2 serve - <disk.qcow2 | cat
    error_says '^qcow-tool: serve: .*standard output is neither'
}

@test "a raw source that begins as qcow2 does gets a warning, and goes out" {
    stdout_to=out.qcow2 qcow_tool stream disk.qcow2
    error_says '^qcow-tool: warning: disk.qcow2 begins as a qcow2 image'
    one_line stderr
    same_content disk.qcow2 raw out.qcow2
    qcow_tool measure disk.qcow2 --source-format raw
    error_says '^qcow-tool: warning: disk.qcow2 begins as a qcow2 image'
    # Not for programs, who know what they have, nor with --quiet.
    stdout_to=out.qcow2 qcow_tool stream disk.qcow2 --quiet
    [ ! -s stderr ]
    qcow_tool measure disk.qcow2 --progress --machine
    run ! grep warning stderr
    qcow_tool measure disk.qcow2 --source-format qcow2
    [ ! -s stderr ]
}
