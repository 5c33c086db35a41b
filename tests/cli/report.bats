#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --report: one JSON object at the end; --checksum: of what went through.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 2M data@64K+64K data@1M+128K
    image disk.raw disk.qcow2
}

# in_report FILTER VALUE: what jq finds in report.json.
in_report() {
    local found
    found=$(jq -c "$1" report.json)
    [ "$found" = "$2" ] || {
        echo "$1 is $found, expected $2" >&2
        return 1
    }
}

# The members that qcow-tool(1) lists are there, and no others.
members() {
    local page=$abs_top_srcdir/doc/qcow-tool.pod
    sed -n '/^=head1 REPORT/,/^=back/p' "$page" | grep '^=item' |
        grep -oE 'C<[a-z0-9-]+>' | sed 's/C<\(.*\)>/\1/' | sort >expected
    jq -r 'keys_unsorted[]' report.json | sort >found
    diff -u expected found >&2
    in_report .report 1
}

@test "stream reports what measure says, and what it did" {
    qcow_tool measure disk.raw
    cp stdout measured
    stdout_to=out.qcow2 qcow_tool stream disk.raw --report report.json \
        --checksum sha256 --verbose
    members
    in_report '[.command, .status, .error]' '["stream","done",null]'
    [ "$(jq -c '[."image-length", .data, .metadata, ."disk-size", .id,
        .stable]' report.json)" = "$(jq -c '[.length, .data, .metadata,
        ."virtual-size", .id, .stable]' measured)" ]
    in_report '.ranges' 2
    in_report '.offset' 0
    in_report '.bytes' "$(stat -c %s out.qcow2)"
    in_report '.phases | keys_unsorted' \
        '["mapping","scanning","planning","sending","flushing"]'
    in_report '(.phases | add) <= .seconds + 0.01' true
    in_report '.version' "\"$(qcow-tool -V | sed -n '1s/.* //p')\""
    in_report '."qemu-version"' "\"$(qcow-tool -V | sed -n '3s/.* //p')\""
    in_report '."libnbd-version"' "\"$(qcow-tool -V | sed -n '2s/.* //p')\""
    local sum
    sum=$(sha256sum <out.qcow2)
    in_report .sha256 "\"${sum%% *}\""
    stderr_says "^qcow-tool: sha256 ${sum%% *}$"
}

@test "serve reports how it came, with the same checksum" {
    local sum
    sum=$(sha256sum <disk.qcow2)
    qcow_tool serve new.raw --report report.json --checksum sha256 \
        <disk.qcow2
    members
    in_report '[.command, .status]' '["serve","done"]'
    in_report '."disk-size"' 2097152
    in_report .bytes "$(stat -c %s disk.qcow2)"
    in_report '.direct + ."by-spool"' 196608
    in_report .sha256 "\"${sum%% *}\""
    in_report '.phases | keys_unsorted' \
        '["receiving","draining","flushing"]'
    yes | head -c 131072 >packed.raw
    qemu-img convert -c -f raw -O qcow2 packed.raw packed.qcow2
    qcow_tool serve unpacked.raw --report report.json <packed.qcow2
    in_report .decoded 131072
    in_report .sha256 null
}

@test "measure reports, too" {
    qcow_tool measure disk.qcow2 --source-format qcow2 --report report.json
    members
    in_report '[.command, .bytes, .rate]' '["measure",null,null]'
    in_report '."image-length"' "$(jq .length stdout)"
}

@test "the checksum is the same on all ways that data takes" {
    local sum how
    stdout_to=plain.qcow2 qcow_tool stream disk.qcow2 --source-format qcow2
    sum=$(sha256sum <plain.qcow2)
    for how in "" --direct; do
        # shellcheck disable=SC2086 # words are wanted
        stdout_to=out.qcow2 qcow_tool stream disk.qcow2 $how \
            --source-format qcow2 --checksum sha256 --report report.json
        same_bytes plain.qcow2 out.qcow2
        in_report .sha256 "\"${sum%% *}\""
    done
    # What comes behind an offset is what is sent.
    sum=$(tail -c +100001 plain.qcow2 | sha256sum)
    stdout_to=out.qcow2 qcow_tool stream disk.qcow2 --offset 100000 \
        --source-format qcow2 --checksum sha256 --report report.json
    in_report .sha256 "\"${sum%% *}\""
    in_report .offset 100000
    set -o pipefail
    stdout_to=- qcow_tool stream disk.raw --checksum sha256 \
        --report report.json | cat >out.qcow2
    sum=$(sha256sum <out.qcow2)
    in_report .sha256 "\"${sum%% *}\""
}

@test "a failure is reported with its end and offset" {
    qcow_tool 1 serve new.raw --report report.json \
        < <(head -c 300000 disk.qcow2)
    members
    in_report '[.command, .status]' '["serve","failed"]'
    in_report '.error | keys_unsorted' \
        '["message","end","file-offset","disk-offset"]'
    in_report '.error | [.end, ."file-offset", ."disk-offset"]' \
        '["source",300000,null]'
    [ "qcow-tool: serve: $(jq -r .error.message report.json)" = "$stderr" ]
    in_report .bytes 300000
    in_report .sha256 null
    qcow_tool 1 stream disk.raw --destination /dev/full --report report.json
    in_report '.error | [.end, ."file-offset"]' '["destination",0]'
    qcow_tool 1 stream nosuch --report report.json
    in_report '[.error.end, .bytes, ."disk-size"]' '["source",0,null]'
    qcow_tool 1 stream disk.raw --qemu-img /nonexistent/x --report report.json
    in_report '[.error.end, ."qemu-version"]' '["QEMU",null]'
}

@test "a transfer that a signal ends is reported" {
    mkfifo stream
    exec 5<>stream
    start_tool serve serve new.raw --report "$PWD/report.json" --source-fd 5
    head -c 70000 disk.qcow2 >&5
    wait_until 20 test -e new.raw
    kill "$(cat serve.pid)"
    finish_tool serve 143
    exec 5>&-
    members
    in_report .status '"failed"'
    in_report '.error.message' '"ended by signal 15 (Terminated)"'
    [ ! -e new.raw ]
}

@test "a report may go to an fd, and to standard output" {
    qcow_tool serve new.raw --report - <disk.qcow2
    cp stdout report.json
    members
    qcow_tool measure disk.raw --report fd:6 6>report.json
    members
}

@test "a report is not mixed with what else goes there" {
    qcow_tool 2 stream disk.raw --report -
    error_says 'report.*something else'
    [ ! -s stdout ]
    qcow_tool 2 measure disk.raw --report fd:1
    error_says 'report.*something else'
    qcow_tool stream disk.raw --destination out.qcow2 --report -
    cp stdout report.json
    members
}

@test "only reports are overwritten" {
    cp disk.raw other.raw
    qcow_tool 1 stream disk.raw --destination out.qcow2 --report other.raw
    error_says 'report: other.raw is there, and is no report'
    same_bytes disk.raw other.raw
    [ ! -e out.qcow2 ]
    qcow_tool 1 stream disk.raw --destination out.qcow2 --report no/where
    error_says 'report: cannot open no/where: No such file'
    # Not even if the image itself went there.
    qcow_tool stream disk.raw --destination new.qcow2 --report new.qcow2
    error_says 'report: new.qcow2 is there, and is no report'
    same_content disk.raw new.qcow2
    printf '{\n    "report": 1,\n%s\n' "$(seq 1000)" >report.json
    qcow_tool measure disk.raw --report report.json
    members
}

@test "names that are no text are text in a report" {
    qcow_tool 1 stream $'a"\\\n\377\303\244' --report report.json
    in_report '.error.message' \
        '"source: cannot open a\"\\\n\ufffdä: No such file or directory"' ||
        in_report '.error.message' \
            '"source: cannot open a\"\\\n�ä: No such file or directory"'
}
