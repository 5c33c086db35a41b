#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The four ways in which versions of xapi call the two programs (HACKING.md:
# what xapi calls), launched as it does.

load ../lib/helpers

# Of the map and the info of the disk's image, and of the base's.
uuids=(7c1de0a4-52b3-4d0e-8f6a-9b41c2e7d305
    1a9f63b8-0c47-4e21-b5d8-6e30f7a294c1
    e4428d17-b96c-4a05-9d3f-c85b1760fa2e
    53d70c9e-f1a8-4b64-a27d-08e9b35c4f16)

size=5244416 # no multiple of a cluster

# Two disks, of which one came from the other, and their images.
setup_file() {
    load ../lib/helpers
    cd "$BATS_FILE_TMPDIR" || return 1
    empty_image base.qcow2 $size
    make_disk content $size runs:128K/200K tail+512
    lay content base.qcow2
    overlay disk.qcow2 base.qcow2 qcow2
    guest disk.qcow2 "write -q -P 1 1M 3K" "write -q -z 2M 128K" \
        "discard -q 3M 64K" "write -q -P 0 4M 64K" "write -q -P 2 5243904 512"
    raw_of base.qcow2 base.raw
    raw_of disk.qcow2 disk.raw
}

setup() {
    helpers_setup
    drop_ins
    ln -s "$BATS_FILE_TMPDIR"/{base,disk}.{raw,qcow2} .
}

# headers IMAGE JSON
# What read_headers says of it, into a pipe that is read when it has ended.
headers() {
    rm -f pipe
    mkfifo pipe
    exec 8<>pipe
    launched --stdout 8 --stderr 2 "$qcow_stream_tool" read_headers "$PWD/$1"
    exec 9<pipe 8>&-
    cat <&9 >"$2"
    exec 9<&-
    [ ! -s stderr ]
}

# The wrapper's arguments and fds for maps, into args and launch. $image and
# $base_image are "qcow2" or "raw", the latter "" without a base.
maps_of_p1() { :; }

maps_of_p2() {
    if [ "$base_image" = qcow2 ]; then
        headers base.qcow2 base.json
        args+=(--json-header-diff "${uuids[2]}")
        launch+=(--fd "${uuids[2]}=5")
        exec 5< <(cat base.json)
    fi
    if [ "$image" = qcow2 ]; then
        headers disk.qcow2 disk.json
        args+=(--json-header)
        launch+=(--stdin 4)
        exec 4< <(cat disk.json)
    fi
}

# It passes no fds of the base's if there are none of the disk's.
maps_of_p3() {
    if [ "$base_image" = qcow2 ]; then
        args+=(--json-header-diff-map "${uuids[2]}"
            --json-header-diff-info "${uuids[3]}")
    fi
    [ "$image" = qcow2 ] || return 0
    args+=(--json-header-map "${uuids[0]}" --json-header-info "${uuids[1]}")
    launch+=(--fd "${uuids[0]}=4" --fd "${uuids[1]}=5")
    exec 4< <(qemu-img map disk.qcow2 --output=json) \
        5< <(qemu-img info disk.qcow2 --output=json)
    [ "$base_image" = qcow2 ] || return 0
    launch+=(--fd "${uuids[2]}=8" --fd "${uuids[3]}=9")
    exec 8< <(qemu-img map base.qcow2 --output=json) \
        9< <(qemu-img info base.qcow2 --output=json)
}

maps_of_p4() { maps_of_p3; }

# exports_as GENERATION IMAGE [BASE-IMAGE]
# A client gets out.qcow2; nothing is in the log.
exports_as() {
    local generation=$1 image=$2 base_image=${3:-} fd
    local args=("$PWD/disk.raw") launch=(--env "TMPDIR=$spool" --stderr 7)
    [ -z "$base_image" ] || args+=(--diff "$PWD/base.raw")
    "maps_of_$generation"
    open_progress
    if [ "$generation" = p4 ]; then
        args+=(--output "$uuid")
        launch+=(--fd "$uuid={}" --stdout 6 --nonblocking)
    else
        launch+=(--stdout '{}')
    fi
    through_socketpair "$launcher" "${launch[@]}" "$qcow2_to_stdout" \
        "${args[@]}" -- python3 "$tests/drain.py" '{}' out.qcow2
    for fd in 4 5 8 9; do
        exec {fd}<&-
    done
    if [ "$generation" = p4 ]; then
        end_progress complete
    else
        exec 6>&- 7>&-
    fi
    [ ! -s log ]
    nothing_left
}

# imports_as GENERATION IMAGE DISK
imports_as() {
    local generation=$1 args=(stream_decode "$PWD/$3")
    local launch=(--env "TMPDIR=$spool" --stdin '{}' --stderr 7)
    open_progress
    [ "$generation" != p1 ] || args=("$PWD/$3")
    [ "$generation" != p4 ] || launch+=(--stdout 6 --nonblocking)
    through_socketpair python3 "$tests/send.py" '{}' "$2" -- "$launcher" \
        "${launch[@]}" "$qcow_stream_tool" "${args[@]}"
    if [ "$generation" = p4 ]; then
        end_progress complete
    else
        exec 6>&- 7>&-
    fi
    [ ! -s log ]
    nothing_left
}

# full GENERATION IMAGE, difference GENERATION IMAGE BASE-IMAGE
full() {
    exports_as "$@"
    sound_image out.qcow2
    readable out.qcow2
    same_content disk.raw out.qcow2
}

difference() {
    exports_as "$@"
    sound_difference disk.raw base.raw out.qcow2
    readable out.qcow2
    [ "$(sent out.qcow2)" = "1048576+65536
2097152+65536
4194304+65536
5242880+1536" ]
}

# onto_base GENERATION
# out.qcow2 goes onto a clone of the base.
onto_base() {
    cp base.raw copy.raw
    imports_as "$1" out.qcow2 copy.raw
    same_bytes disk.raw copy.raw
}

# all_kinds GENERATION
all_kinds() {
    local image base_image
    for image in qcow2 raw; do
        full "$1" $image
        for base_image in qcow2 raw; do
            difference "$1" $image $base_image
        done
    done
    onto_base "$1"
}

@test "P1: xapi 25.27 to 25.39, no maps and no command" {
    full p1 raw
    other_data copy.raw $size
    only_allocated out.qcow2 expected.raw
    imports_as p1 out.qcow2 copy.raw
    same_bytes expected.raw copy.raw
    difference p1 raw raw
    onto_base p1
}

@test "P2: xapi 26.0 to 26.15, clusters from read_headers" {
    all_kinds p2
}

@test "P3: xapi 26.16 and later, qemu-img's map and info" {
    all_kinds p3
}

@test "P4: the image to an fd of its own, progress from standard output" {
    all_kinds p4
}

@test "P2: an image of clusters of another size than the stream's" {
    rm disk.qcow2
    qemu-img convert -f raw -O qcow2 -o cluster_size=512 disk.raw disk.qcow2
    full p2 qcow2
    difference p2 qcow2 qcow2
    # So large that all of the disk is data. (xapi's importer never takes a
    # full disk with a last cluster in part.)
    qemu-img convert -f raw -O qcow2 -o cluster_size=2M disk.raw disk.qcow2
    exports_as p2 qcow2
    sound_image out.qcow2
    same_content disk.raw out.qcow2
    difference p2 qcow2 qcow2
}

# called NAME
# The program at NAME is the one that its name says.
called() {
    launched --env "PATH=$PATH" --stdout 1 --stderr 2 "$PWD/$1" --version
    [ "$(head -n 1 stdout)" = \
        "$2 $("$tool" --version | head -n 1 | cut -d ' ' -f 2)" ]
}

@test "the programs are known by their names, as links and as copies" {
    mkdir folder.py
    ln -s "$tool" folder.py/qcow2-to-stdout.py
    called folder.py/qcow2-to-stdout.py qcow2-to-stdout
    cp -L "$tool" folder.py/qcow2-to-stdout
    called folder.py/qcow2-to-stdout qcow2-to-stdout
    ln "folder.py/qcow2-to-stdout" folder.py/qcow-stream-tool
    called folder.py/qcow-stream-tool qcow-stream-tool
    # A link to a link: what it is called by is what counts.
    ln -sf folder.py/qcow2-to-stdout.py qcow-stream-tool
    called qcow-stream-tool qcow-stream-tool
}
