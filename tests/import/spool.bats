#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What is kept of a stream, how much of it, and where.

load ../lib/helpers

teardown() {
    if [ -e "$BATS_TEST_TMPDIR/.mounted" ]; then
        umount "$BATS_TEST_TMPDIR/tiny"
    fi
    helpers_teardown
}

@test "--verbose ends with figures that add up" {
    make_image disk.qcow2 mixed
    arrives disk.qcow2 -- --verbose
    figures
    data=$(qemu-img map --output=json -f qcow2 disk.qcow2 | jq '
        [.[] | select(.data and (.zero | not))] |
        (map(select(.offset) | .length) | add),
        (map(select(.offset | not) | .length) | add)')
    [ "$data" = "$((routed + moved))"$'\n'"$read_back" ]
    [ "$received" = "$(stat -c %s disk.qcow2)" ]
    [ "$spooled" -ge "$moved" ]
    [ "$peak" -gt 0 ]
    at_most spooled "$received"
    at_most windows "$runs"
}

@test "a streamable stream keeps its tables and less than 1 MiB more" {
    make_disk disk.raw 2G runs:512K/60M
    stdout_to=disk.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw
    arrives_at new.raw disk.qcow2 -- --verbose
    figures
    local tables=$((received - routed - moved))
    at_most spooled $((tables + (1 << 20)))
    at_most peak $((tables + (1 << 20)))
    at_most runs 20
    at_most moved $((1 << 20))
}

@test "a streamable stream in clusters of 4 KiB keeps no more, either" {
    make_disk disk.raw 1G runs:64K/16M
    stdout_to=disk.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw --cluster-size 4096
    arrives_at new.raw disk.qcow2 -- --verbose
    figures
    at_most spooled $((received - routed - moved + (1 << 20)))
    at_most runs 20
}

@test "convert's layout keeps a few MiB, and has three runs for a window" {
    # Six windows of 512 MiB, with a table before the data of each.
    make_disk disk.raw 3G runs:512K/24M
    image disk.raw disk.qcow2
    arrives_at new.raw disk.qcow2 -- --verbose
    figures
    at_most peak $((4 << 20))
    at_most spooled $((8 << 20))
    at_most runs 18
}

@test "what was moved from the spool to the disk is gone from the spool" {
    # Tables of 512 MiB each, every one behind its data: as a snapshot keeps
    # the one before it.  What the snapshot frees another write takes.
    qemu-img create -q -f qcow2 disk.qcow2 8G
    local i
    for i in {0..14}; do
        guest disk.qcow2 "write -q -P $((i + 1)) $((i * 512))M 6M"
        qemu-img snapshot -c "s$i" disk.qcow2
        guest disk.qcow2 "write -q -P 99 $((7700 + i))M 512K" \
            "write -q -P $((i + 100)) $((i * 512 + 12))M 64K"
    done
    arrives_at new.raw disk.qcow2 -- --verbose
    figures
    [ "$moved" -ge $((60 << 20)) ]
    at_most peak $((moved * 3 / 4))
}

@test "tables are dropped where --spool-limit asks for it" {
    # In clusters of 4 KiB a table has 2 MiB of the disk. 12 MiB of tables,
    # and a cluster of data behind each.
    qemu-img create -q -f qcow2 -o cluster_size=4K disk.qcow2 6G
    for at in {0..3071}; do
        echo "write -q -P $((at % 255 + 1)) $((at * 2))M 4K"
    done | qemu-io -t unsafe -f qcow2 disk.qcow2
    arrives_at new.raw disk.qcow2 -- --verbose
    figures
    [ "$peak" -gt $((12 << 20)) ]
    rm new.raw
    arrives_at new.raw disk.qcow2 -- --verbose --spool-limit 6M
    figures
    at_most peak $((6 << 20))
    nothing_left
}

@test "a --spool-limit that is just enough is no error" {
    make_image disk.qcow2 snapshots --size 64M
    arrives disk.qcow2 -- --verbose
    figures
    arrives disk.qcow2 -- --spool-limit $((peak + 65536 * 4))
}

@test "past --spool-limit it fails, with how much was needed and why" {
    tables_last disk.qcow2 8M
    local to
    other_data copy.raw $((8 << 20))
    for to in copy.raw new.raw; do
        expect="* 1" send_image disk.qcow2 -- --destination $to \
            --spool-limit 2000000
        error_says "^qcow-tool: serve: spool: [0-9]+ bytes needed" \
            receiver.stderr
        error_says "limit is 2000000: .*tables" receiver.stderr
        one_line receiver.stderr
    done
    # No table had come.
    untouched copy.raw
    [ ! -e new.raw ]
    nothing_left
    [[ $(cat receiver.stderr) =~ ([0-9]+)\ bytes\ needed ]]
    [ "${BASH_REMATCH[1]}" -gt 2000000 ]
}

@test "a compressed image past --spool-limit fails in the same way" {
    make_image disk.qcow2 zlib
    [ "$(stat -c %s disk.qcow2)" -gt 3000000 ]
    expect="* 1" send_image disk.qcow2 -- --destination new.raw \
        --spool-limit 300000
    error_says "^qcow-tool: serve: spool: [0-9]+ bytes needed.*300000" \
        receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "a compressed image leaves the spool as it is decoded" {
    # It shrinks to three quarters; each cluster of 64 KiB leaves 4 KiB behind,
    # in which there may be a part of another.
    make_disk data 18M full
    base64 -w 0 data | head -c 24M >disk.raw
    qemu-img convert -c -f raw -O qcow2 disk.raw disk.qcow2
    arrives_at new.raw disk.qcow2 -- --verbose --spool-limit 6M
    figures
    [ "$read_back" = $((24 << 20)) ]
    [ "$spooled" -gt $((17 << 20)) ]
    at_most peak $((6 << 20))
    same_bytes disk.raw new.raw
    nothing_left
}

@test "--spool-dir is where it is kept, without a name" {
    make_image disk.qcow2 snapshots --size 40M
    mkdir elsewhere
    arrives disk.qcow2 -- --spool-dir elsewhere --debug
    [ -z "$(ls -A elsewhere)" ]
    expect="* 1" send_image disk.qcow2 -- --destination new.raw \
        --spool-dir not-there
    error_says "^qcow-tool: serve: .*not-there" receiver.stderr
    [ ! -e new.raw ]
}

@test "a --spool-dir that is full is an error that says so" {
    requires root
    mkdir tiny
    mount -t tmpfs -o size=1M tmpfs tiny ||
        skip "cannot mount a tmpfs"
    : >.mounted
    tables_last disk.qcow2 8M
    other_data copy.raw $((8 << 20))
    expect="* 1" send_image disk.qcow2 -- --destination copy.raw \
        --spool-dir tiny
    error_says \
        "^qcow-tool: serve: spool: no space left in tiny: [0-9]+ bytes" \
        receiver.stderr
    one_line receiver.stderr
    untouched copy.raw
    nothing_left
    # A stream that needs no more than its tables fits.
    make_disk disk.raw 64M runs:512K/4M
    stdout_to=disk.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw --spool-dir "$spool"
    arrives_at new.raw disk.qcow2 -- --spool-dir tiny
}

@test "tables that were dropped are not read again with those between them" {
    # First those of each other 512 MiB, more than fit; then the rest, close
    # to each other.
    qemu-img create -q -f qcow2 disk.qcow2 32G
    local commands=() i
    for i in {0..31}; do
        commands+=("write -q -P $((i + 1)) $((i * 1024))M 256K")
    done
    for i in {0..31}; do
        commands+=("write -q -P $((i + 101)) $((i * 1024 + 512))M 4K")
    done
    guest disk.qcow2 "${commands[@]}"
    arrives_at new.raw disk.qcow2 -- --spool-limit 1M --verbose
    figures
    at_most peak $((1 << 20))
}

@test "what a file system preallocates is not counted" {
    requires root loop mkfs.xfs
    truncate -s 400M backing
    mkfs.xfs -q backing
    mkdir tiny
    mount "$(make_loop backing)" tiny || skip "cannot mount XFS"
    : >.mounted
    tables_last disk.qcow2 8M
    # XFS takes twice as much while the file grows.
    arrives disk.qcow2 -- --verbose --spool-dir tiny
    figures
    at_most peak $((spooled + 4096))
    arrives disk.qcow2 -- --spool-dir tiny --spool-limit $((spooled + 65536))
}
