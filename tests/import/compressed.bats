#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Compressed clusters, which only QEMU can read.

load ../lib/helpers

layout() {
    make_image disk.qcow2 "$@"
    arrives disk.qcow2
}

@test "zlib, at several sizes of clusters" {
    layout zlib
    layout zlib-4k
}

@test "zlib in clusters of 2 MiB" {
    layout zlib-2m
}

@test "zlib written out of order" {
    layout zlib-out-of-order
}

@test "zstd, at several sizes of clusters and with extended L2 entries" {
    requires zstd
    layout zstd
    layout zstd-2m
    layout zstd-extended-l2
}

@test "plain clusters in a compressed image" {
    layout mixed
}

@test "plain and compressed clusters, snapshots, discards and zeroes" {
    layout mixed-snapshots
    layout guest-coded
}

@test "plain and compressed clusters in turn" {
    qemu-img create -q -f qcow2 disk.qcow2 64M
    local commands=() at
    for at in {0..63}; do
        commands+=("write -q -c -P $((at + 1)) ${at}M 64K"
            "write -q -P $((at + 100)) $((at * 1024 + 64))K 64K")
    done
    guest disk.qcow2 "${commands[@]}"
    arrives disk.qcow2 -- --verbose
    figures
    [ "$read_back" = $((64 << 16)) ]
    [ $((routed + moved)) = $((64 << 16)) ]
}

@test "the connection stays open, and only silence tells its end" {
    make_image disk.qcow2 mixed --size 40M
    other_data copy.raw $((40 << 20))
    keep_open=1 time_limit=20 send_image disk.qcow2 -- --destination copy.raw
    same_content disk.qcow2 copy.raw
    nothing_left
}

@test "bytes after a compressed image are taken and ignored" {
    make_image disk.qcow2 zlib --size 40M
    other_data copy.raw $((40 << 20))
    send_image disk.qcow2 --trailing 3000001 -- --destination copy.raw
    same_content disk.qcow2 copy.raw
    other_data copy.raw $((40 << 20))
    keep_open=1 time_limit=20 send_image disk.qcow2 --trailing 3000001 -- \
        --destination copy.raw \
        --source-size $(($(stat -c %s disk.qcow2) + 3000001))
    same_content disk.qcow2 copy.raw
    nothing_left
}

@test "a compressed image comes byte by byte, non-blocking" {
    qemu-img create -q -f qcow2 -o cluster_size=4K disk.qcow2 256K
    guest disk.qcow2 'write -q -c -P 1 0 40K' 'write -q -P 2 60K 9K' \
        'write -q -c -P 3 200K 56K'
    nonblocking=1 arrives disk.qcow2 --chunk 1
    arrives disk.qcow2 --chunk 7 -- --direct
}

@test "the sender of a compressed image pauses" {
    make_image disk.qcow2 mixed-snapshots --size 64M
    local size pauses=() at
    size=$(stat -c %s disk.qcow2)
    for at in 112 65535 70001 300000 $((size / 3)) $((size / 2)) \
        $((size - 65537)) $((size - 1)); do
        pauses+=(--pause-at "$at")
    done
    arrives disk.qcow2 "${pauses[@]}"
}

@test "a compressed cluster whose last sector is cut short by QEMU itself" {
    # It writes no more than the bytes it has, and reads whole sectors.
    qemu-img create -q -f qcow2 disk.qcow2 5M
    guest disk.qcow2 'write -q -P 1 1M 1M' 'write -q -c -P 2 4M 64K'
    [ $(($(stat -c %s disk.qcow2) % 512)) != 0 ]
    arrives disk.qcow2
    # Without it, this could be a part of a longer one.
    expect="* 1" send_image disk.qcow2 -- --destination new.raw
    error_says "source: truncated: .*$(stat -c %s disk.qcow2), inside the last\
 sector .*--source-size" receiver.stderr
    [ ! -e new.raw ]
}

@test "a stream that ends in a compressed cluster is truncated" {
    make_image disk.qcow2 zlib --size 40M
    local size length
    size=$(stat -c %s disk.qcow2)
    for length in 327700 $((size / 2)) $((size * 3 / 4 + 1)); do
        expect="* 1" send_image disk.qcow2 --length "$length" -- \
            --destination new.raw
        error_says "^qcow-tool: serve: source: truncated" receiver.stderr
        error_says "offset $length" receiver.stderr
        [ ! -e new.raw ]
    done
    nothing_left
}

@test "a compressed cluster past the end of the stream is truncated" {
    qemu-img create -q -f qcow2 disk.qcow2 1M
    guest disk.qcow2 'write -q -c -P 1 0 64K' 'write -q -c -P 2 128K 64K'
    entry disk.qcow2 131072
    # One sector, a GiB from here.
    poke disk.qcow2 "$entry" 4000000040000000
    expect="* 1" send_image disk.qcow2 -- --destination new.raw
    error_says "^qcow-tool: serve: source: truncated" receiver.stderr
    error_says "offset [0-9]+" receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "a compressed cluster that is noise fails, and its place is named" {
    make_image disk.qcow2 zlib --size 4M
    size=$(stat -c %s disk.qcow2)
    make_disk noise 600K full
    dd if=noise of=disk.qcow2 bs=1 seek=$((size - 3000)) count=2900 \
        conv=notrunc status=none
    qemu-img convert -f qcow2 -O raw disk.qcow2 qemu.raw &&
        skip 'this QEMU takes noise for data'
    expect="* 1" keep_open=1 time_limit=20 send_image disk.qcow2 -- \
        --destination new.raw --source-size "$size"
    error_says "^qcow-tool: serve: source: compressed data at disk offset \
[0-9]+ cannot be decoded" receiver.stderr
    one_line receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "a compressed image cut inside its last sector is truncated" {
    # The bytes that are missing belong to a cluster, and QEMU would decode
    # it without them.
    make_disk disk.raw 1M full
    dd if=/dev/zero of=disk.raw bs=32K seek=31 count=1 conv=notrunc 2>.dd
    qemu-img convert -c -f raw -O qcow2 disk.raw disk.qcow2
    size=$(stat -c %s disk.qcow2)
    for args in "" "--source-size $size"; do
        # shellcheck disable=SC2086 # words
        expect="* 1" send_image disk.qcow2 --length $((size - 509)) -- \
            --destination new.raw $args
        error_says "^qcow-tool: serve: source: truncated" receiver.stderr
        [ ! -e new.raw ]
    done
    nothing_left
}
