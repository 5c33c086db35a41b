#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --refcount-bits auto: what xapi's own importer takes, by its rules
# (tests/lib/readers.py).

load ../lib/helpers

# full NAME SIZE [FREE]
# A disk that takes no room, and NAME.qcow2: all of it is allocated there, but
# for FREE bytes at its end.
full() {
    local free=${3:-0} size
    truncate -s "$2" "$1"
    size=$(stat -c %s "$1")
    qemu-img create -q -f qcow2 -o preallocation=metadata "$1.qcow2" \
        $((size - free))
    [ "$free" = 0 ] || qemu-img resize -q -f qcow2 "$1.qcow2" "$size"
}

# judged taken|refused BITS NAME [ARG...]
# That is what the importer does with the tables of the stream, of which
# refcounts have BITS. They were asked for as $refcounts, auto if not given.
judged() {
    local verdict=$1 order bits=$2 name=$3
    shift 3
    qcow-tool stream --spool-dir "$spool" --source-format hybrid \
        --source "$name:$name.qcow2" --refcount-bits "${refcounts:-auto}" \
        "$@" 2>stderr | head -c 16M >tables || :
    order=$(od -An -t u4 --endian=big -j 96 -N 4 tables)
    run python3 "$tests/readers.py" xapi --no-data <tables
    echo "refcounts of $((1 << order)) bits: $output" >&2
    [ "${output%%[,:]*}" = "$verdict" ]
    [ $((1 << order)) = "$bits" ]
}

# claimed taken|refused NAME [ARG...]
# That is what --verbose says of it.
claimed() {
    local says=taken
    qcow_tool measure -v --source-format hybrid --source "$2:$2.qcow2" \
        --refcount-bits "${refcounts:-auto}" "${@:3}"
    ! grep -q "importer does not take this image" stderr || says=refused
    [ "$says" = "$1" ]
}

@test "a full disk of 2.2 GiB is taken with narrower refcounts" {
    full disk 2362179584
    judged taken 8 disk
    refcounts=16 judged refused 16 disk
    claimed taken disk
    refcounts=16 claimed refused disk
    judged taken 16 disk --cluster-size 128K
}

@test "a disk of 40 GiB has to have some clusters that are not in use" {
    full disk 40G
    judged refused 16 disk
    claimed refused disk
    judged taken 2 disk --cluster-size 128K
    full disk 40G $((20 << 16))
    judged taken 4 disk
}

@test "a disk of 70 GiB with a hundred clusters to spare needs no more" {
    full disk 70G $((128 << 16))
    judged taken 16 disk
}

@test "clusters of 4 KiB" {
    full disk 30M
    judged taken 4 disk --cluster-size 4K
    refcounts=16 claimed refused disk --cluster-size 4K
    full disk 150M
    judged refused 16 disk --cluster-size 4K
    claimed refused disk --cluster-size 4K
}

@test "a full disk with a last cluster in part is never taken" {
    full disk 3000832
    judged refused 16 disk
    claimed refused disk
}

@test "a difference as large as its disk, as xapi calls for it" {
    make_disk disk 30M full
    : >nothing
    stdout_to=out.qcow2 drop_in qcow2-to-stdout disk --diff nothing -c 4096
    readable out.qcow2
    same_content disk out.qcow2
    good_order out.qcow2
    stdout_to=out.qcow2 drop_in qcow2-to-stdout disk --diff nothing -c 4096 \
        -r 16
    run -1 readable out.qcow2
    # Marked zeroes are tables only.
    truncate -s 30M zeroes
    qcow_tool stream --source zeroes --relative-to disk --cluster-size 4K \
        --zero-clusters flag --refcount-bits auto --destination out.qcow2
    readable out.qcow2
}

@test "it is the same each time, and measured" {
    make_disk disk 30M full
    qcow_tool stream --source disk --cluster-size 4K --refcount-bits auto \
        --destination one.qcow2
    measured one.qcow2 --source disk --cluster-size 4K --refcount-bits auto
    qcow_tool stream --source disk --cluster-size 4K --refcount-bits 4 \
        --destination two.qcow2
    same_bytes one.qcow2 two.qcow2
    sound_image one.qcow2
}

@test "other layouts and version 2 have the usual refcounts" {
    make_disk disk 20M full
    qcow_tool stream --source disk --cluster-size 4K --layout convert \
        --refcount-bits auto --destination out.qcow2
    qemu-img convert -f raw -O qcow2 -o cluster_size=4K disk convert.qcow2
    same_bytes convert.qcow2 out.qcow2
    qcow_tool stream -v --source disk --cluster-size 4K --layout convert \
        --destination out.qcow2
    stderr_says "importer does not take this layout"
    qcow_tool stream --source disk --compat 0.10 --refcount-bits auto \
        --destination out.qcow2
    sound_image out.qcow2
}
