#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Clients of xapi-standin that leave, that stay, and that ask for what there
# is not; and its end.

load ../lib/helpers

# $xapi has the VDIs disk and, full of other data, copy.
setup() {
    helpers_setup
    requires curl
    mkdir vdis
    make_disk vdis/disk 16M full
    image vdis/disk disk.qcow2
    other_data vdis/copy 16M
    size=$(stat -c %s disk.qcow2)
}

# Fails unless a transfer still works.
still_works() {
    upload "$xapi" copy disk.qcow2
    same_bytes vdis/disk vdis/copy
    stop_standin xapi
}

# failures_are COUNT: so far.
failures_are() {
    [ "$(grep -c ': failed: qcow-tool: serve: source: ' xapi.says)" = "$1" ]
}

@test "a client that keeps the connection open sees it closed" {
    start_standin xapi vdis
    connect "$xapi"
    put copy "$size"
    cat disk.qcow2 >&"$connection"
    # Our end stays open for as long as there is something to read.
    timeout 20 cat <&"$connection" >answer
    grep '^HTTP/1.1 200 ' answer
    says xapi ': done$'
    same_bytes vdis/disk vdis/copy
    stop_standin xapi
}

@test "what comes in one piece with the headers is not lost" {
    start_standin xapi vdis
    connection=5 put copy 5>request
    cat disk.qcow2 >>request
    connect "$xapi"
    cat request >&"$connection"
    timeout 20 cat <&"$connection" >answer
    grep '^HTTP/1.1 200 ' answer
    same_bytes vdis/disk vdis/copy
    stop_standin xapi
}

@test "a client that leaves in the middle of an export" {
    start_standin xapi vdis
    connect "$xapi"
    get disk
    head -c 3000000 <&"$connection" >/dev/null
    leave
    says xapi ': failed: qcow-tool: stream: .*(Broken pipe|reset)'
    still_works
}

@test "a client that leaves in the middle of an import" {
    start_standin xapi vdis
    connect "$xapi"
    put copy "$size"
    head -c 3000000 disk.qcow2 >&"$connection"
    leave
    says xapi ': failed: qcow-tool: serve: source: '
    still_works
}

@test "an empty request touches nothing, whether the client leaves or not" {
    start_standin xapi vdis --patched
    connect "$xapi"
    put copy 0
    wait_until 10 failures_are 1
    run timeout 20 cat <&"$connection"
    [[ $output == 'HTTP/1.1 200 '* ]]
    leave
    connect "$xapi"
    put copy
    leave
    wait_until 10 failures_are 2
    connect "$xapi"
    put copy "$size"
    leave
    wait_until 10 failures_are 3
    untouched vdis/copy
    still_works
}

@test "with a length an export that cannot be is an error at once" {
    start_standin xapi vdis --content-length
    echo nonsense >vdis/disk.qcow2
    status_of 500 "$(export_url "$xapi" disk)"
    grep -q 'qcow-tool: measure: ' body
    says xapi ': failed: qcow-tool: measure: '
    stop_standin xapi
}

@test "what is refused has an answer for who sends all the same" {
    start_standin xapi vdis
    connect "$xapi"
    put missing "$size"
    cat disk.qcow2 >&"$connection"
    run -0 timeout 20 cat <&"$connection"
    [[ ${lines[0]} == 'HTTP/1.1 500 '* ]]
    [[ ${lines[-1]} == *'there is no VDI missing'* ]]
    stop_standin xapi
}

@test "nobody can connect from elsewhere" {
    local port
    start_standin xapi vdis
    printf -v port %04X "${xapi##*:}"
    # IPv4, 127.0.0.1, listening; and nothing else.
    run -0 grep -h ":$port 0*:0000 0A" /proc/net/tcp /proc/net/tcp6
    [ "${#lines[@]}" = 1 ]
    [[ ${lines[0]} == *" 0100007F:$port "* ]]
    stop_standin xapi
}

@test "no name leads out of the directory" {
    local name
    mkdir vdis/in
    cp vdis/disk secret
    cp vdis/disk vdis/in/disk
    cp vdis/disk vdis/.hidden
    cp disk.qcow2 vdis/disk.qcow2
    # With --content-length the base is looked for before the 200.
    start_standin xapi vdis --content-length
    for name in ../secret ..%2fsecret "$PWD/secret" in/disk . .. .hidden \
        disk%00 disk%0a disk:disk disk%20 disk.qcow2 -disk; do
        status_of 500 "$xapi/export_raw_vdi?vdi=$name&format=qcow2"
        status_of 500 "$xapi/export_raw_vdi?vdi=disk&base=$name&format=qcow2"
        status_of 500 "$xapi/import_raw_vdi?vdi=$name&format=qcow2" \
            -T disk.qcow2
    done
    stop_standin xapi
}

@test "the task has the client's name for it, if that is no trick" {
    start_standin xapi vdis
    download "$xapi" 'disk&task_id=OpaqueRef:7' out.qcow2 -D headers
    grep '^task-id: OpaqueRef:7' headers
    says xapi '^OpaqueRef:7: done$'
    download "$xapi" 'disk&task_id=a%0d%0aTrick:%201' out.qcow2 -D headers
    grep '^task-id: OpaqueRef:' headers
    run ! grep -i trick headers xapi.says
    # A session is a secret.
    run ! grep -w OpaqueRef:1 xapi.says
    stop_standin xapi
}

@test "when it ends, so do the transfers, and all that they started" {
    start_standin xapi vdis
    connect "$xapi"
    put copy "$size"
    head -c 3000000 disk.qcow2 >&"$connection"
    says xapi ': [1-9].%$'
    stop_standin xapi
}
