#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The spool of the drop-ins, which xapi cannot give any option: it takes no
# more than half of what is free, or what the environment says.

load ../lib/helpers

# A spool directory of 12 MiB.
small_spool() {
    requires root
    mkdir small
    mount -t tmpfs -o size=12M tmpfs small || skip "cannot mount a tmpfs"
    : >.mounted
    export QCOW_TOOL_SPOOL_DIR=$PWD/small
}

teardown() {
    [ ! -e .mounted ] || umount small
    helpers_teardown
}

@test "an import keeps half of what is free at most" {
    small_spool
    tables_last disk.qcow2 8M
    other_data copy.raw 8M
    drop_in 1 qcow-stream-tool stream_decode copy.raw <disk.qcow2
    error_says "^qcow-stream-tool: spool: .*the limit is 6291456: .*tables"
    one_line stderr
    untouched copy.raw
    nothing_left
    # What is in use already leaves less.
    head -c 4M /dev/zero >small/other
    drop_in 1 qcow-stream-tool stream_decode copy.raw <disk.qcow2
    error_says "the limit is 4194304: "
}

@test "the environment may allow more, or all of it" {
    small_spool
    tables_last disk.qcow2 8M
    local limit
    for limit in 10M 0; do
        other_data copy.raw 8M
        QCOW_TOOL_SPOOL_LIMIT=$limit drop_in qcow-stream-tool stream_decode \
            copy.raw <disk.qcow2
        same_content disk.qcow2 copy.raw
    done
    # It is there for qcow-tool, too, which has no limit of its own.
    qcow_tool serve --destination new.raw <disk.qcow2
    same_content disk.qcow2 new.raw
    QCOW_TOOL_SPOOL_LIMIT=1M qcow_tool 1 serve --destination copy.raw \
        <disk.qcow2
    error_says "the limit is 1048576: "
    QCOW_TOOL_SPOOL_LIMIT=1M qcow_tool serve --destination copy.raw \
        --spool-limit 0 <disk.qcow2
}

@test "an export keeps its tables there, and fails at the limit" {
    make_disk disk 24M runs:4K/8K
    QCOW_TOOL_SPOOL_LIMIT=64K stdout_to=out.qcow2 drop_in 1 qcow2-to-stdout \
        disk -c 512
    error_says "^qcow2-to-stdout: spool: cannot write at file offset [0-9]+, \
as it has reached the limit of 65536 bytes"
    one_line stderr
    [ ! -s out.qcow2 ]
    nothing_left
    QCOW_TOOL_SPOOL_LIMIT=8M stdout_to=out.qcow2 drop_in qcow2-to-stdout \
        disk -c 512
    same_content disk out.qcow2
    qcow_tool 1 stream --source disk --cluster-size 512 --spool-limit 64K \
        --destination new.qcow2
    error_says "^qcow-tool: stream: spool: .*the limit of 65536 bytes"
    [ ! -e new.qcow2 ]
    qcow_tool 1 measure --source disk --cluster-size 512 --spool-limit 64K
    error_says "^qcow-tool: measure: spool: .*the limit of 65536 bytes"
}

@test "a limit that is no size is told by the variable's name" {
    : >disk
    QCOW_TOOL_SPOOL_LIMIT=much drop_in 2 qcow2-to-stdout disk
    error_says "QCOW_TOOL_SPOOL_LIMIT: 'much' is not a size"
    QCOW_TOOL_SPOOL_LIMIT=much qcow_tool 2 measure --source disk
    error_says "QCOW_TOOL_SPOOL_LIMIT: 'much' is not a size"
}
