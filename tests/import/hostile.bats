#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images whose tables are wrong on purpose, in ways that the header does not
# show. What is found before there was data to write leaves the disk alone.

load ../lib/helpers

# As qemu-img convert lays out a disk full of data, in clusters of 64 KiB:
#
#   0        1               2               3         4         5
#   header   refcount table  refcount block  L1 table  L2 table  data ...
setup() {
    helpers_setup
    make_disk disk.raw 4M full
    image disk.raw bad.qcow2
    other_data copy.raw 4M
    entry bad.qcow2 0
}

# in_use OFFSET
# As an L2 entry: a plain cluster that is in use once.
in_use() {
    hex $(($1 | 1 << 63))
}

# fails REGEX [IMAGE]
# ... with file offset, and makes no file.
fails() {
    local image=${2:-bad.qcow2}
    expect="* 1" keep_open=1 time_limit=20 send_image "$image" -- \
        --destination new.raw --source-size "$(stat -c %s "$image")"
    error_says "^qcow-tool: serve: .*($1)" receiver.stderr
    one_line receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}

# refused REGEX
# As soon as the tables are there: nothing is written, and the end of the
# stream need not be seen.
refused() {
    fails "$1"
    expect="* 1" keep_open=1 time_limit=20 send_image bad.qcow2 -- \
        --destination copy.raw
    error_says "^qcow-tool: serve: .*($1)" receiver.stderr
    untouched copy.raw
    nothing_left
}

# Refused, or the disk that QEMU itself sees.
refused_or_equal() {
    expect="* [01]" send_image bad.qcow2 -- --destination copy.raw
    if [ "$receiver_rc" = 0 ]; then
        same_content bad.qcow2 copy.raw
    else
        error_says "^qcow-tool: serve: " receiver.stderr
    fi
    nothing_left
}

@test "two L2 entries on one cluster" {
    poke bad.qcow2 $((entry + 8)) "$(in_use "$cluster")"
    refused "source: file offset $cluster .*twice"
}

@test "two L2 entries on one cluster, far apart and backwards" {
    local second=$((cluster + 65536))
    entry bad.qcow2 $((63 << 16))
    poke bad.qcow2 "$entry" "$(in_use $second)"
    refused "source: file offset $second .*twice"
}

@test "an L2 entry that is not aligned" {
    poke bad.qcow2 $((entry + 8)) "$(in_use $((cluster + 512)))"
    refused "QEMU: "
}

@test "an L2 entry onto the L2 table" {
    poke bad.qcow2 $((entry + 8)) "$(in_use "$table")"
    refused "source: file offset $table .*metadata"
}

@test "an L2 entry onto the L1 table" {
    poke bad.qcow2 $((entry + 8)) "$(in_use 196608)"
    refused "source: file offset 196608 .*metadata"
}

@test "an L2 entry onto the refcount table" {
    poke bad.qcow2 $((entry + 8)) "$(in_use 65536)"
    refused "source: file offset 65536 .*metadata"
}

@test "an L2 entry onto a refcount block, which nobody reads" {
    poke bad.qcow2 $((entry + 8)) "$(in_use 131072)"
    refused_or_equal
}

@test "an L2 entry onto the header is a hole, as it is for QEMU" {
    poke bad.qcow2 $((entry + 8)) "$(in_use 0)"
    refused_or_equal
}

@test "an L2 entry past the end of the stream" {
    poke bad.qcow2 $((entry + 8)) "$(in_use $((1 << 40)))"
    fails "source: truncated.* file offset $(stat -c %s bad.qcow2)"
    # QEMU would read zeroes there.
    qemu-img convert -f qcow2 -O raw bad.qcow2 qemu.raw
}

@test "an L2 entry on the largest offset there is" {
    poke bad.qcow2 $((entry + 8)) 80ffffffffff0000
    fails "source: truncated|QEMU: |source: file offset"
}

@test "an L2 table past the end of the stream" {
    poke bad.qcow2 "$l1_entry" "$(in_use $((1 << 40)))"
    fails "source: truncated.* file offset $(stat -c %s bad.qcow2)"
}

@test "an L2 table that is the header, the L1 table or data" {
    local at
    for at in 196608 65536 131072 $((cluster + 65536)); do
        poke bad.qcow2 "$l1_entry" "$(in_use "$at")"
        refused_or_equal
    done
}

@test "one L2 table for two windows" {
    # In clusters of 4 KiB a table has 2 MiB of the disk.
    image disk.raw bad.qcow2 cluster_size=4096
    entry bad.qcow2 0
    poke bad.qcow2 $((l1_entry + 8)) "$(in_use "$table")"
    refused "source: file offset $cluster .*twice"
}

@test "one L2 table for two windows that QEMU is asked about in turn" {
    qemu-img create -q -f qcow2 bad.qcow2 4G
    guest bad.qcow2 'write -q -P 1 0 1M' 'write -q -P 2 3G 1M'
    entry bad.qcow2 0
    poke bad.qcow2 $((l1_entry + 48)) "$(in_use "$table")"
    fails "source: file offset $cluster .*twice|both data and metadata"
}

@test "data of an earlier window is a table of a later one" {
    qemu-img create -q -f qcow2 bad.qcow2 4G
    guest bad.qcow2 'write -q -P 0 0 1M' 'write -q -P 2 3G 1M'
    entry bad.qcow2 0
    poke bad.qcow2 $((l1_entry + 48)) "$(in_use $((cluster + 65536)))"
    fails "source: file offset [0-9]+ .*metadata"
}

@test "a table of an earlier window is data of a later one" {
    qemu-img create -q -f qcow2 bad.qcow2 4G
    guest bad.qcow2 'write -q -P 0 0 1M' 'write -q -P 2 3G 1M'
    entry bad.qcow2 0
    local first=$table
    entry bad.qcow2 $((3 << 30))
    poke bad.qcow2 "$entry" "$(in_use "$first")"
    fails "source: file offset $first .*metadata"
}

@test "a later window claims data that went to the disk long ago" {
    qemu-img create -q -f qcow2 bad.qcow2 4G
    guest bad.qcow2 'write -q -P 0 0 1M' 'write -q -P 2 3G 1M'
    entry bad.qcow2 0
    local first=$cluster
    entry bad.qcow2 $((3 << 30))
    poke bad.qcow2 "$entry" "$(in_use "$first")"
    fails "source: file offset $first .*twice"
}

@test "a compressed cluster that is plain data at the same time" {
    # Half a cluster of the plain data, and half of the compressed.
    qemu-img create -q -f qcow2 bad.qcow2 4M
    guest bad.qcow2 'write -q -P 1 0 1M' 'write -q -c -P 2 2M 64K'
    entry bad.qcow2 0
    local first=$cluster
    entry bad.qcow2 2097152
    poke bad.qcow2 "$entry" "$(hex $((first | 1 << 62)))"
    fails "source: file offset $first .*|QEMU: |source: disk offset 2097152"
}

@test "two compressed clusters on the same bytes" {
    qemu-img create -q -f qcow2 bad.qcow2 4M
    guest bad.qcow2 'write -q -c -P 2 2M 64K' 'write -q -c -P 3 3M 64K'
    entry bad.qcow2 2097152
    local first=$entry
    entry bad.qcow2 3145728
    dd if=bad.qcow2 of=bad.qcow2 bs=1 skip="$first" seek="$entry" count=8 \
        conv=notrunc status=none
    fails "source: file offset $cluster belongs to two compressed clusters"
}

@test "a compressed cluster that begins inside another" {
    # Both are small, and share a sector: one more is the second's, too.
    qemu-img create -q -f qcow2 bad.qcow2 4M
    guest bad.qcow2 'write -q -c -P 1 0 64K' 'write -q -c -P 2 64K 64K' \
        'write -q -P 3 1M 64K'
    entry bad.qcow2 0
    poke bad.qcow2 "$entry" "$(hex $((cluster | 1 << 54 | 1 << 62)))"
    fails "source: file offset [0-9]+ belongs to two compressed clusters"
}

@test "a compressed cluster that is a table at the same time" {
    qemu-img create -q -f qcow2 bad.qcow2 4M
    guest bad.qcow2 'write -q -c -P 2 2M 64K'
    entry bad.qcow2 2097152
    # From the middle of a sector of the L2 table on, two sectors.
    poke bad.qcow2 "$entry" "$(hex $((table + 8392 | 1 << 54 | 1 << 62)))"
    fails "source: file offset $((table + 8392)) is metadata, and compressed"
}

@test "tables of noise are refused, or the disk that QEMU sees" {
    local seed
    for seed in 1 2 3 4 5 6; do
        image disk.raw bad.qcow2 cluster_size=4096
        entry bad.qcow2 0
        python3 -c '
import random, sys
r = random.Random(int(sys.argv[1]))
sys.stdout.buffer.write(r.randbytes(4096))' $seed >noise
        dd if=noise of=bad.qcow2 bs=1 seek="$table" count=$((64 * seed)) \
            conv=notrunc status=none
        refused_or_equal
    done
}
