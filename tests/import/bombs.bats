#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Small images that mean much: what they cost is in proportion to the bytes
# that come. All processes together take 256 MiB at the most.

load ../lib/helpers

# costs RC SECONDS IMAGE SERVE-ARG...
# ... of processor time, of all processes.
costs() {
    costs_of "$1" "$2" serve --source-size "$(stat -c %s "$3")" "${@:4}" <"$3"
}

# many_tables IMAGE N
# In clusters of 512 bytes: N entries of L1, all of them on one L2 table, which
# says something else for each cluster. 32 KiB of the disk for each.
many_tables() {
    python3 - "$1" "$2" <<\EOF
import struct, sys
n, cluster = int(sys.argv[2]), 512
l1 = 3
l2 = l1 + -(-n * 8 // cluster)
header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 9,
                     n * 32768, 0, n, l1 * cluster, cluster, 1, 0, 0)
header += struct.pack(">QQQIIQ", 0, 0, 0, 4, 112, 0)
with open(sys.argv[1], "wb") as f:
    f.write(header.ljust(cluster, b"\0"))
    f.write(struct.pack(">Q", 2 * cluster).ljust(cluster, b"\0"))
    f.write(bytes(cluster))
    f.write(struct.pack(">Q", 1 << 63 | l2 * cluster) * n)
    f.seek(l2 * cluster)
    f.write(struct.pack(">QQ", 1, 0) * 32)    # zero, hole, zero, hole
EOF
}

# repeat_entry IMAGE
# Makes all entries of the L2 table of disk offset 0 what that offset's is.
repeat_entry() {
    entry "$1" 0
    python3 - "$1" "$table" <<\EOF
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    entry = f.read(8)
    f.seek(-8, 1)
    f.write(entry * 8192)
EOF
}

@test "clusters of 2 MiB that are 2 KiB in the stream" {
    local commands=() i
    qemu-img create -q -f qcow2 -o cluster_size=2M bomb.qcow2 64M
    for ((i = 0; i < 32; i++)); do
        commands+=("write -q -c -P $((i + 1)) $((i * 2))M 2M")
    done
    guest bomb.qcow2 "${commands[@]}"
    other_data copy.raw 64M
    # The tables of such an image take 10 MiB, most of it holes.
    costs 0 10 bomb.qcow2 copy.raw
    same_content bomb.qcow2 qcow2 copy.raw raw
}

@test "all entries of a table on one compressed cluster" {
    qemu-img create -q -f qcow2 bomb.qcow2 512M
    guest bomb.qcow2 'write -q -c -P 7 0 64K'
    repeat_entry bomb.qcow2
    truncate -s 512M copy.raw
    costs 1 10 bomb.qcow2 copy.raw
    error_says 'source: file offset [0-9]+ belongs to two compressed clusters'
}

@test "all entries of a table on one cluster" {
    qemu-img create -q -f qcow2 bomb.qcow2 512M
    guest bomb.qcow2 'write -q -P 7 0 64K'
    repeat_entry bomb.qcow2
    truncate -s 512M copy.raw
    costs 1 5 bomb.qcow2 copy.raw
    error_says 'source: file offset [0-9]+ is claimed twice'
}

@test "a table that is used for all of the disk says no more than once what it holds" {
    local command
    many_tables bomb.qcow2 16384
    costs 1 20 bomb.qcow2 new.raw
    error_says 'more ranges than its tables have entries'
    [ ! -e new.raw ]
    costs_of 1 20 validate --stream bomb.qcow2
    error_says 'stream: the image has more ranges than there is room for'
    for command in stream measure; do
        costs_of 1 5 $command --source-format qcow2 bomb.qcow2
        error_says 'there are more ranges than entries in its tables'
        [ ! -s stdout ]
    done
}

@test "twice as many tables take no more than twice the processor time" {
    local half try
    many_tables half.qcow2 16384
    many_tables bomb.qcow2 32768
    # The same work takes more on a machine that does other things, too.
    for try in 1 2 3; do
        costs 1 20 half.qcow2 new.raw
        half=$took
        costs 1 40 bomb.qcow2 new.raw
        echo "try $try: $half ms, and $took for twice as much" >&2
        if ((took * 2 <= half * 5)); then
            return
        fi
    done
    return 1
}

@test "a disk of 2^63 bytes is refused by its header" {
    qemu-img create -q -f qcow2 -o cluster_size=2M bomb.qcow2 1M
    poke bomb.qcow2 24 7ffffffffffffe00
    costs 1 2 bomb.qcow2 new.raw
    error_says 'source: refused by its header: '
    [ ! -e new.raw ]
    poke bomb.qcow2 24 fffffffffffffe00
    costs 1 2 bomb.qcow2 new.raw
    error_says 'source: refused by its header: '
    [ ! -e new.raw ]
}

@test "an L1 table of 32 MiB that says nothing is no memory, and one more entry is refused" {
    qemu-img create -q -f qcow2 -o cluster_size=512 bomb.qcow2 1M
    # 2^22 entries: a disk of 128 GiB, at the end of the file.
    poke bomb.qcow2 36 00400000
    poke bomb.qcow2 40 0000000000100000
    poke bomb.qcow2 24 0000002000000000
    truncate -s 33M bomb.qcow2
    costs 0 20 bomb.qcow2 new.raw
    [ "$(stat -c %s new.raw)" = $((128 << 30)) ]
    poke bomb.qcow2 36 00400001
    costs 1 2 bomb.qcow2 other.raw
    error_says 'source: refused by its header: .*L1 table is larger than 32'
    [ ! -e other.raw ]
}
