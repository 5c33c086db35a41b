#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
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

@test "the version is one line with a number" {
    qcow_tool --version
    one_line stdout
    [[ $(<stdout) =~ ^qcow-tool\ (.*\ )?[0-9]+\.[0-9]+ ]]
    [ ! -s stderr ]
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
