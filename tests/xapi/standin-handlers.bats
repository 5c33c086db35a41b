#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What xapi's handlers answer, by curl: which requests they take, how they
# refuse the others, and how a failure looks behind the 200.

load ../lib/helpers

# $xapi has the VDIs disk and, full of other data, copy; disk.qcow2 is disk.
setup() {
    helpers_setup
    requires curl
    mkdir vdis
    make_disk vdis/disk 4M runs:256K/512K
    image vdis/disk disk.qcow2
    other_data vdis/copy 4M
}

@test "a path may go on, and formats are in any case" {
    local path format
    start_standin xapi vdis --patched
    for path in export_raw_vdi export_raw_vdi/ export_raw_vdi/x/y \
        export_raw_vdis %65xport_raw_vdi; do
        status_of 200 "$xapi/$path?vdi=disk&format=qcow2"
        same_content vdis/disk body qcow2
    done
    status_of 200 "$xapi" --request-target \
        'http://xapi/export_raw_vdi?vdi=disk&format=qcow2#part'
    same_content vdis/disk body qcow2
    for format in QCOW2 Qcow2; do
        status_of 200 "$xapi/export_raw_vdi?vdi=disk&format=$format"
        same_content vdis/disk body qcow2
    done
    status_of 200 "$xapi/import_raw_vdi/?vdi=copy&format=QCOW2" -T disk.qcow2
    same_bytes vdis/disk vdis/copy
    stop_standin xapi
}

@test "the first of a name counts, and cookies do behind the query" {
    start_standin xapi vdis
    status_of 200 "$xapi/export_raw_vdi?vdi=disk&vdi=missing" \
        -b 'format=qcow2; vdi=missing'
    same_content vdis/disk body qcow2
    status_of 500 "$xapi/export_raw_vdi?vdi=missing" -b 'vdi=disk'
    stop_standin xapi
}

@test "without a format VDIs are moved as they are" {
    local query
    start_standin xapi vdis
    for query in vdi=disk 'vdi=disk&format=raw' 'vdi=disk&format=RAW'; do
        status_of 200 "$xapi/export_raw_vdi?$query" -D headers
        same_bytes vdis/disk body
        grep -i '^Content-Type: application/octet-stream' headers
    done
    status_of 200 "$xapi/import_raw_vdi?vdi=copy" -T vdis/disk
    same_bytes vdis/disk vdis/copy
    says xapi ': done$'
    head -c 5M /dev/zero >large
    status_of 200 "$xapi/import_raw_vdi?vdi=copy" -T large
    says xapi ': failed: .*has only 4194304 bytes'
    same_bytes vdis/disk vdis/copy
    stop_standin xapi
}

# refused STATUS REASON URL [CURL-OPTION...]: the task is told why.
refused() {
    status_of "$1" "${@:3}"
    says xapi ": refused: .*$2"
    : >xapi.says
}

@test "an import is answered before anything has come, whatever is expected" {
    local line
    start_standin xapi vdis
    connect "$xapi"
    printf '%s\r\n' 'PUT /import_raw_vdi?vdi=copy&format=qcow2 HTTP/1.1' \
        "Content-Length: $(stat -c %s disk.qcow2)" 'Expect: 100-continue' '' \
        >&"$connection"
    IFS= read -r -t 10 line <&"$connection"
    [ "$line" = $'HTTP/1.1 200 OK\r' ]
    cat disk.qcow2 >&"$connection"
    timeout 20 cat <&"$connection" >/dev/null
    leave
    says xapi ': done$'
    stop_standin xapi
}

@test "what is refused, and with which status" {
    local get put
    image vdis/disk vdis/disk.qcow2
    start_standin xapi vdis
    get=$xapi/export_raw_vdi put=$xapi/import_raw_vdi
    # A handler's own refusals have no body, and are in HTTP/1.0.
    refused 404 "unknown format 'qcow'" "$get?vdi=disk&format=qcow" -D headers
    grep '^HTTP/1.0 404 ' headers
    [ ! -s body ]
    refused 404 "unknown format ''" "$put?vdi=copy&format=" -T disk.qcow2
    refused 404 'chunked' "$put?vdi=copy&format=qcow2" -T - <disk.qcow2
    refused 404 'chunked' "$put?vdi=copy&format=qcow2&chunked" -T disk.qcow2
    [ ! -s body ]
    refused 400 'SR' "$put?format=qcow2" -T disk.qcow2 -D headers
    grep '^HTTP/1.1 400 ' headers
    refused 400 'VDI' "$put?sr_id=OpaqueRef:1&format=qcow2" -T disk.qcow2 \
        -D headers
    grep '^HTTP/1.0 400 ' headers
    # What is not here says so.
    refused 404 'not vhd' "$get?vdi=disk&format=vhd"
    refused 404 'not tar' "$put?vdi=copy&format=TAR" -T disk.qcow2
    grep -x 'qcow2 and raw are all that is here, not tar' body
    refused 404 'nothing' "$xapi/?vdi=disk&format=qcow2"
    refused 404 'nothing' "$put?vdi=disk&format=qcow2"
    refused 403 'nothing' "$get?vdi=copy&format=qcow2" -T disk.qcow2
    # A URI in which that is a host.
    refused 403 'nothing' "$xapi//export_raw_vdi?vdi=disk&format=qcow2"
    refused 403 'nothing' "$xapi" --request-target '//['
    refused 409 'disk.qcow2' "$put?vdi=disk&format=qcow2" -T disk.qcow2
    status_of 501 "$get?vdi=disk&format=qcow2" -X DELETE
    untouched vdis/copy
    stop_standin xapi
}

# raised REASON URL [CURL-OPTION...]: the server answers for a handler.
raised() {
    status_of 500 "${@:2}" -D headers
    grep '^HTTP/1.1 500 ' headers
    grep -i '^Content-Type: text/html' headers
    grep -q "^<html>.*$1" body
}

@test "what is not there is a page with the status 500" {
    local get put
    mkfifo vdis/fifo
    mkdir vdis/dir
    start_standin xapi vdis
    get=$xapi/export_raw_vdi put=$xapi/import_raw_vdi
    raised 'Missing vdi' "$get?format=qcow2"
    raised 'no VDI missing' "$get?vdi=missing&format=qcow2"
    raised 'not a name' "$get?vdi=&format=qcow2"
    raised 'neither' "$get?vdi=fifo&format=qcow2"
    raised 'neither' "$get?vdi=dir&format=qcow2"
    raised 'no VDI missing' "$put?vdi=missing&format=qcow2" -T disk.qcow2
    raised 'Content-Length' "$put?vdi=copy&format=qcow2" -T disk.qcow2 \
        -H 'Content-Length: many'
    [ ! -e vdis/missing ]
    untouched vdis/copy
    stop_standin xapi
}

@test "a failure behind the 200 is one more answer in its body" {
    breaks_off disk.qcow2
    start_standin xapi vdis --qcow-tool "$program"
    status_of 200 "$(export_url "$xapi" disk)"
    says xapi ': failed: .*it broke off'
    head -c 200000 disk.qcow2 | cmp -n 200000 - body
    tail -c +200001 body >page
    [ "$(head -n 1 page)" = $'HTTP/1.1 500 Internal Error\r' ]
    [[ $(tail -n 1 page) == '<html>'*'it broke off'*'</html>' ]]
    status_of 200 "$(export_url "$xapi" 'copy&base=missing')"
    [ "$(head -n 1 body)" = $'HTTP/1.1 500 Internal Error\r' ]
    # Two levels of the server answer for an import.
    head -c 1000 vdis/disk >no-image
    status_of 200 "$(import_url "$xapi" copy)" -T no-image
    says xapi ': failed: qcow-tool: serve: '
    [ "$(grep -ac '^HTTP/1.1 [45]00 ' body)" = 2 ]
    [[ $(tail -n 1 body) == '<html>'*'qcow-tool: serve: '*'</html>' ]]
    untouched vdis/copy
    stop_standin xapi
}

@test "with the patches the connection is reset, and no answer follows" {
    breaks_off disk.qcow2
    image vdis/disk vdis/disk.qcow2
    start_standin xapi vdis --patched --qcow-tool "$program"
    run -56 curl -s -m 30 -o body -D headers "$(export_url "$xapi" disk)"
    [ "$(stat -c %s body)" -le 200000 ]
    grep -x $'content-length: [0-9]*\r' headers
    run ! upload "$xapi" copy vdis/disk
    untouched vdis/copy
    # What can be known before is the one answer.
    status_of 500 "$(export_url "$xapi" 'disk&base=missing')"
    stop_standin xapi
}

@test "what an image leaves out is left alone, or zeroed by the patches" {
    only_allocated disk.qcow2 expected
    start_standin xapi vdis
    upload "$xapi" copy disk.qcow2
    same_bytes expected vdis/copy
    stop_standin xapi
    start_standin xapi vdis --patched
    upload "$xapi" copy disk.qcow2
    same_bytes vdis/disk vdis/copy
    stop_standin xapi
}

@test "an import that is cut short waits, or fails if the length is passed" {
    local size cut
    size=$(stat -c %s disk.qcow2)
    cut=$((size - 70000))
    cp -r vdis others
    start_standin as_it_is vdis
    start_standin patched others --patched
    for xapi in as_it_is patched; do
        connect "${!xapi}"
        eval "of_$xapi=$connection"
        put copy $cut
        head -c $cut disk.qcow2 >&"$connection"
    done
    # Both clients stay. Neither has anything to send.
    says patched ": failed: qcow-tool: serve: source: .*$cut"
    run ! grep -E 'done|failed' as_it_is.says
    # shellcheck disable=SC2154 # by eval
    for connection in "$of_as_it_is" "$of_patched"; do
        leave
    done
    says as_it_is ': failed: '
    stop_standin as_it_is
    stop_standin patched
}
