#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What messages look like, whatever names and QEMU's words are made of.

load ../lib/helpers

# A path of over 1,000 characters to $1.
long_path() {
    local dir name
    name=$(printf '%0200d' 0)
    dir=$PWD/$name/$name/$name/$name/$name
    mkdir -p "$dir"
    echo "$dir/$1"
}

@test "the cause is not cut off by a path of 1,000 characters" {
    local path
    path=$(long_path image)
    qcow_tool 1 stream --source-format raw --source "$path"
    stderr_says "^qcow-tool: stream: source: .*\.\.\..*No such file"
    qcow_tool 1 stream --source-format qcow2 --source "$path"
    stderr_says "^qcow-tool: stream: source: .*\.\.\..*No such file"
    qcow_tool 1 measure --source-format raw --source "$path"
    stderr_says "^qcow-tool: measure: source: .*\.\.\..*No such file"
    : >"$path"
    qcow_tool 1 serve --destination "$path/disk" </dev/null
    stderr_says "^qcow-tool: serve: destination: .*\.\.\..*Not a directory"
    [ "$(wc -l <stderr)" -eq 1 ]
    nothing_left
}

@test "what a terminal would take for a command is shown escaped" {
    local name=$'a\nb\e[31m\302\233\377 \303\244'
    qcow_tool 1 stream --source-format raw --source "$name"
    [ "$(wc -l <stderr)" -eq 1 ]
    grep -F 'a\nb\x1b[31m\xc2\x9b\xff ä' stderr
    # QEMU says the name, too.
    : >"$name"
    qcow_tool 1 stream --source-format vpc --source "./$name"
    [ "$(wc -l <stderr)" -eq 1 ]
    run ! grep -P '[\x00-\x08\x0b-\x1f\x7f]' stderr
    nothing_left
}

@test "--debug shows commands with such names as bash reads them" {
    local name=$'a\nb\e\377 ä\'\\'
    empty_image "$name" 1M
    qemu-io -c 'write -P 5 0 64k' "./$name" >/dev/null
    # Past the page cache it is opened by its name.
    stdout_to=got qcow_tool stream --source-format qcow2 --source "./$name" \
        --direct \
        --debug
    run ! grep -P '[\x00-\x08\x0b-\x1f\x7f]' stderr
    grep -aF "/a\\012b\\033\\377 ä\\'\\\\" stderr
}
