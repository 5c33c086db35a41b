#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the program says about itself.

load ../lib/helpers

# helps ARG... -- WORD...
# Prints help on standard output that names each WORD, in 79 columns.
helps() {
    local args=() word
    while [ "$1" != -- ]; do
        args+=("$1")
        shift
    done
    shift
    qcow_tool "${args[@]}"
    [ ! -s stderr ]
    run ! grep -E '.{80}' stdout
    for word; do
        grep -Eq -- "(^|[^a-z-])$word([^a-z-]|\$)" stdout || {
            echo "not in the help: $word" >&2
            return 1
        }
    done
}

@test "the program's help names the commands and how to get more help" {
    helps --help -- stream serve --help --version
}

@test "the help of stream names every option of it" {
    helps stream --help -- --source-format raw hybrid --source \
        --source-protocol --destination-fd --destination \
        --destination-format --destination-protocol --layout streamable \
        convert --cluster-size --refcount-bits --compat --extended-l2 \
        --direct --progress --machine --spool-dir --qemu-img --qemu-io \
        --verbose --debug --help
}

@test "the help of serve names every option of it" {
    helps serve --help -- --source-fd --source-format qcow2 \
        --source-protocol --destination --destination-format raw \
        --prezeroed --destination-size --source-size --direct --unbuffered \
        --spool-dir --progress --machine --qemu-img --verbose --debug \
        --help
}

@test "the help comes whatever stands beside it" {
    qcow_tool serve --destination /nowhere --help
    [ -s stdout ]
    [ ! -s stderr ]
}

@test "the version is its first line; those of libnbd and QEMU follow" {
    qcow_tool --version
    [[ $(head -n 1 stdout) =~ ^qcow-tool\ [0-9.]+$ ]]
    grep -Eq '^libnbd [0-9]+\.[0-9]+' stdout
    local tool
    for tool in qemu-img qemu-io qemu-nbd; do
        grep -qxF "$tool $($tool --version | head -n 1 |
            grep -oE '[0-9]+\.[0-9.]+' | head -n 1)" stdout
    done
    [ "$(wc -l <stdout)" = 5 ]
    [ ! -s stderr ]
    cp stdout expected
    qcow_tool -V
    cmp expected stdout
    qcow_tool serve --version
    cmp expected stdout
}

@test "the version comes without QEMU, too, and says which one is missing" {
    qcow_tool stream --version --qemu-io /nonexistent/qemu-io
    grep -Eq '^qemu-img [0-9]' stdout
    grep -Eq '^qemu-io: .*/nonexistent/qemu-io: No such file' stdout
}

@test "help is a command" {
    qcow_tool --help
    cp stdout expected
    qcow_tool help
    cmp expected stdout
    qcow_tool -h
    cmp expected stdout
    qcow_tool stream --help
    cp stdout expected
    qcow_tool help stream
    cmp expected stdout
    qcow_tool stream -h
    cmp expected stdout
}

@test "the help is in groups, none longer than a screen" {
    local command
    for command in stream measure serve; do
        qcow_tool help $command
        grep -oE '^[A-Z][a-zA-Z -]+:$' stdout >groups
        [ "$(head -n 1 groups)" = Source: ]
        [ "$(tail -n 1 groups)" = "For callers of vhd-tool:" ]
        [ "$(wc -l <groups)" -ge 6 ]
        awk '/^$/ { n = 0 } { if (++n > 23) exit 1 }' stdout
    done
}

@test "the examples of --help work" {
    make_disk disk 1M data@64K+64K
    qcow_tool --help
    grep -E '^  qcow-tool (stream|measure|validate|serve) ' stdout |
        sed 's|/dev/vg/||g' >examples
    [ "$(wc -l <examples)" = 4 ]
    PATH=$PATH TMPDIR=$spool bash -e examples
    cmp disk copy
}

@test "help that cannot be written is an error" {
    stdout_to=/dev/full qcow_tool 1 --help
    one_line stderr
    stdout_to=/dev/full qcow_tool 1 --version
    one_line stderr
}

@test "--debug of stream shows QEMU's command lines, the plan and the map" {
    make_disk disk.raw 4M data@1M+128K
    stdout_to=plain.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw
    [ ! -s stderr ]
    stdout_to=out.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw --debug
    same_bytes plain.qcow2 out.qcow2
    stderr_says 'qemu-img.* create '
    stderr_says 'qemu-io '
    stderr_says 'qemu-img.* map '
    stderr_says 1048576
    stderr_says 131072
}

@test "--debug of serve shows QEMU's command lines and the map" {
    make_disk disk.raw 4M data@1M+128K
    image disk.raw disk.qcow2
    qcow_tool serve --destination copy.raw --debug <disk.qcow2
    same_bytes disk.raw copy.raw
    stderr_says 'qemu-img.* map '
    stderr_says 1048576
    stderr_says 131072
}

@test "--verbose ends with a summary on standard error" {
    make_disk disk.raw 4M data@1M+128K
    stdout_to=out.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw --verbose
    same_content disk.raw out.qcow2
    grep -q '[0-9]' stderr
    qcow_tool serve --destination copy.raw -v <out.qcow2
    same_bytes disk.raw copy.raw
    grep -q '[0-9]' stderr
    [ ! -s stdout ]
}
