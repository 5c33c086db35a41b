#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Every layout that QEMU makes, over several windows of the mapper, comes
# through a connection that stays open, onto a file full of other data.

load ../lib/helpers

# layout NAME [OPTION...]
layout() {
    make_image disk.qcow2 "$@"
    arrives disk.qcow2
}

@test "convert's own layout, at all sizes of clusters" {
    layout plain
    layout clusters-512
    layout clusters-4k
    layout clusters-2m
}

@test "compat=0.10" {
    layout compat-0.10
}

@test "extended L2 entries" {
    layout extended-l2
    layout extended-l2-16k
}

@test "refcounts of 1 and of 64 bits" {
    layout refcount-1
    layout refcount-64
}

@test "lazy refcounts, and the dirty bit" {
    layout lazy-refcounts
    layout dirty
}

@test "preallocated metadata, and preallocated data" {
    layout prealloc-metadata
    layout prealloc-full
}

@test "written out of order" {
    layout out-of-order
}

@test "internal snapshots with writes after them" {
    layout snapshots
    layout snapshots-4k
}

@test "a snapshot that was removed again" {
    layout snapshot-removed
}

@test "a persistent bitmap" {
    layout bitmap
}

@test "grown, and shrunk" {
    layout grown
    layout shrunk
}

@test "the zero flag over clusters that stay allocated" {
    layout zero-over-data
}

@test "empty" {
    layout empty
    qemu-img create -q -f qcow2 nothing.qcow2 0
    arrives nothing.qcow2
}

@test "sizes that are no number of clusters" {
    layout plain --size 40000256
    layout prealloc-metadata --size 1536
    layout zlib --size 30000128
    layout extended-l2 --size 66048
    layout clusters-2m --size 2097664
}

@test "other data, other places" {
    layout snapshots --seed 2
    layout mixed-snapshots --seed 3
    layout guest-coded --seed 4
}

@test "the kinds of images that qemu-img convert cannot make by other movers" {
    export QCOW_TOOL_MOVER=copy
    layout mixed-snapshots
    layout guest-4k
}

@test "images of every kind, --prezeroed, leave alone what is unallocated" {
    local name
    for name in guest mixed-snapshots zero-over-data extended-l2-16k; do
        make_image disk.qcow2 $name --size 40M
        only_allocated disk.qcow2 expected.raw
        other_data copy.raw $((40 << 20))
        send_image disk.qcow2 -- --destination copy.raw --prezeroed
        same_bytes expected.raw copy.raw
    done
}
