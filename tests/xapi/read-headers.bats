#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# qcow-stream-tool read_headers, and its JSON as qcow2-to-stdout takes it.

load ../lib/helpers

# clusters_of IMAGE
# They are what read_headers says, as jq prints them.
clusters_of() {
    drop_in qcow-stream-tool read_headers "$1"
    [ ! -s stderr ]
    nothing_left
    jq -e 'keys == ["cluster_bits", "data_clusters", "virtual_size"]' stdout
    jq -c '[.virtual_size, .cluster_bits, .data_clusters]' stdout >clusters
    show clusters clusters
    [ "$(cat clusters)" = "$2" ]
}

@test "numbers of the clusters that are data" {
    empty_image disk.qcow2 10M
    clusters_of disk.qcow2 '[10485760,16,[]]'
    guest disk.qcow2 'write -q -P 1 64K 128K' 'write -q -P 2 1M 512' \
        'write -q -z 5M 64K' 'write -q -z -u 1M 64K' 'write -q -P 0 9M 64K' \
        'write -q -c -P 4 3M 64K'
    clusters_of disk.qcow2 '[10485760,16,[1,2,48,144]]'
}

@test "images of other cluster sizes, and of disks that end inside of one" {
    qemu-img create -q -f qcow2 -o cluster_size=512 disk.qcow2 3000832
    guest disk.qcow2 'write -q -P 1 3000320 512' 'write -q -P 1 512 1K'
    clusters_of disk.qcow2 '[3000832,9,[1,2,5860]]'
    qemu-img create -q -f qcow2 -o cluster_size=2M disk.qcow2 3000832
    guest disk.qcow2 'write -q -P 1 3000320 512'
    clusters_of disk.qcow2 '[3000832,21,[1]]'
    qemu-img create -q -f qcow2 -o extended_l2=on disk.qcow2 1M
    guest disk.qcow2 'write -q -P 1 66K 2K' 'write -q -P 1 100K 2K'
    clusters_of disk.qcow2 '[1048576,16,[1]]'
}

@test "backing files count: xapi takes for zeroes what is not in the list" {
    empty_image base.qcow2 4M
    guest base.qcow2 'write -q -P 1 0 64K' 'write -q -P 1 1M 64K'
    overlay top.qcow2 base.qcow2 qcow2
    guest top.qcow2 'write -q -P 2 2M 64K' 'write -q -z 1M 64K'
    clusters_of top.qcow2 '[4194304,16,[0,32]]'
    overlay top2.qcow2 top.qcow2 qcow2 -o cluster_size=4K
    clusters_of top2.qcow2 \
        "[4194304,12,$(jq -nc '[range(0; 16), range(512; 528)]')]"
}

@test "an image that is open in QEMU, and a device" {
    empty_image disk.qcow2 4M
    guest disk.qcow2 'write -q -P 1 1M 64K'
    hold_open disk.qcow2
    clusters_of disk.qcow2 '[4194304,16,[16]]'
    requires loop
    clusters_of "$(make_loop disk.qcow2 --read-only)" '[4194304,16,[16]]'
}

@test "a disk of 16 TiB, in little memory" {
    empty_image disk.qcow2 16T
    guest disk.qcow2 'write -q -P 1 0 64K' 'write -q -P 1 9T 64K' \
        'write -q -P 1 17592186043904 512'
    clusters_of disk.qcow2 '[17592186044416,16,[0,150994944,268435455]]'
    # All of 128 GiB, which is two million clusters.
    qemu-img create -q -f qcow2 -o preallocation=metadata,cluster_size=64K \
        full.qcow2 128G
    link_drop_in qcow-stream-tool
    python3 - <<'END' >memory
import resource, subprocess
with subprocess.Popen(["bin/qcow-stream-tool", "read_headers", "full.qcow2"],
                      stdout=subprocess.PIPE) as tool:
    length = 0
    while True:
        piece = tool.stdout.read(1 << 20)
        if not piece:
            break
        length += len(piece)
print(tool.returncode, length > 14000000,
      resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 48 << 10)
END
    [ "$(cat memory)" = "0 True True" ]
}

@test "a pipe that is read only when all is written" {
    # 110 kB, where a pipe holds 64 KiB: xapi before 26.5 reads no sooner.
    qemu-img create -q -f qcow2 -o preallocation=metadata,cluster_size=4K \
        full.qcow2 80M
    mkfifo pipe
    exec 8<>pipe
    time_limit=20 stdout_to=pipe drop_in qcow-stream-tool read_headers \
        full.qcow2 8<&-
    exec 9<pipe 8>&-
    jq -e '.data_clusters == [range(0; 20480)]' <&9
    exec 9<&-
}

@test "what is no qcow2, is cut short, or is not there" {
    fails() {
        time_limit=20 drop_in 1 qcow-stream-tool read_headers "$1"
        error_says "^qcow-stream-tool: source: .*$2"
        one_line stderr
        nothing_left
    }
    make_disk disk.raw 1M full
    fails disk.raw "not a qcow2 image"
    fails nosuch "nosuch.*No such file"
    fails . "neither a file"
    image disk.raw disk.qcow2
    head -c 262144 disk.qcow2 >short.qcow2
    fails short.qcow2 "(short|ends|truncated)"
    overlay top.qcow2 disk.qcow2 qcow2
    rm disk.qcow2
    fails top.qcow2 "disk.qcow2.*No such file"
}

@test "standard output that cannot be written is an error" {
    empty_image disk.qcow2 1M
    stdout_to=/dev/full drop_in 1 qcow-stream-tool read_headers disk.qcow2
    error_says "cannot write to standard output: No space left"
    local feed=(sh -c 'exec "$@" >&-' sh)
    drop_in 1 qcow-stream-tool read_headers disk.qcow2
    error_says "^qcow-stream-tool: standard output is closed$"
}

# taken JSON [OPTION...]
# qcow2-to-stdout takes it as what of disk is data, on standard input.
taken() {
    stdout_to=out.qcow2 drop_in qcow2-to-stdout disk --json-header \
        "${@:2}" <"$1"
    sound_image out.qcow2
    good_order out.qcow2
}

@test "JSON of numbers, of pairs, in any order" {
    make_disk disk 3000832 full
    make_disk expected 3000832 full
    python3 - <<'END'
with open("expected", "r+b") as f:
    for a, b in ((64 << 10, 128 << 10), (256 << 10, 2949120)):
        f.seek(a)
        f.write(bytes(b - a))
END
    echo '{"virtual_size":3000832,"cluster_bits":16,"data_clusters":
        [0,2,3,45]}' >numbers
    taken numbers
    same_content expected out.qcow2
    echo '{"virtual_size":3000832,"cluster_bits":16,"data_clusters":
        [[0,0],[2,3],[45,45]]}' >pairs
    taken pairs
    same_content expected out.qcow2
    echo '{"data_clusters":[3,45,2,0],"virtual_size":3000832,
        "cluster_bits":16}' >mixed
    taken mixed -c 4096
    same_content expected out.qcow2
}

@test "JSON that does not fit" {
    make_disk disk 1M full
    refused_json() {
        echo "$1" >json
        stdout_to=out.qcow2 drop_in 1 qcow2-to-stdout disk --json-header <json
        error_says "^qcow2-to-stdout: source: .*$2"
        one_line stderr
        [ ! -s out.qcow2 ]
        nothing_left
    }
    refused_json '{"virtual_size":2097152,"cluster_bits":16,
        "data_clusters":[]}' "2097152"
    refused_json '{"virtual_size":1048576,"cluster_bits":16,
        "data_clusters":[16]}' "cluster 16"
    refused_json '{"virtual_size":1048576,"cluster_bits":16' "ends early"
    refused_json '' "ends early"
    stdout_to=out.qcow2 drop_in 1 qcow2-to-stdout disk --json-header \
        0>/dev/null
    error_says "^qcow2-to-stdout: source: fd 0 is write-only$"
}

@test "the JSON of the base, where the disk has none, and both" {
    make_disk base 2M data@0+64K data@1M+64K
    make_disk disk 2M data@0+64K data@1M+64K seed:3 data@512K+64K \
        zeroes@1M+64K
    qemu-img convert -f raw -O qcow2 base base.qcow2
    qemu-img convert -f raw -O qcow2 disk disk.qcow2
    local name
    for name in base disk; do
        drop_in qcow-stream-tool read_headers $name.qcow2
        mv stdout $name.json
    done
    local with
    for with in '' --json-header; do
        # shellcheck disable=SC2086 # none or one
        stdout_to=out.qcow2 drop_in qcow2-to-stdout disk --diff base \
            --json-header-diff 5 $with 5<base.json <disk.json
        sound_difference disk base out.qcow2
    done
    stdout_to=out.qcow2 drop_in qcow2-to-stdout disk --diff base \
        --json-header <disk.json
    sound_difference disk base out.qcow2
}
