#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images that a guest has grown, whose tables lie anywhere; and huge ones.

load ../lib/helpers

# other_places FILE SIZE
# A sparse file with 0xAA all over the places that the images below have data.
other_places() {
    truncate -s "$2" "$1"
    python3 - "$1" "$2" <<\EOF
import os, sys
fd, size = os.open(sys.argv[1], os.O_RDWR), int(sys.argv[2])
for at in range(0, size, size // 64):
    os.pwrite(fd, b"\xaa" * min(1 << 20, size - at), at)
os.pwrite(fd, b"\xaa" * 70000, size - 70000)
EOF
}

@test "a guest's writes, discards and zeroes over 4 GiB" {
    make_image disk.qcow2 guest --size 4G
    other_places copy.raw 4294967296
    arrives_at copy.raw disk.qcow2 -- --verbose
    figures
    # Hardly anything had to wait for its table.
    at_most peak $((8 << 20))
    nothing_left
}

@test "a guest's writes over 3 GiB in clusters of 4 KiB" {
    make_image disk.qcow2 guest-4k --size 3G
    other_places copy.raw 3221225472
    arrives_at copy.raw disk.qcow2
    nothing_left
}

# grow IMAGE CLUSTER_SIZE SIZE DATA
# In MiB: writes that begin in a new place time and again, and come back to old
# ones. So there are new tables all along the file.
grow() {
    qemu-img create -q -f qcow2 -o cluster_size="$2" "$1" "$3M"
    python3 - "$3" "$4" <<\EOF | qemu-io -t unsafe -f qcow2 "$1" >/dev/null
import random, sys
rng = random.Random(1)
size, data = (int(arg) << 20 for arg in sys.argv[1:])
places = list(range(0, size, size // 64))
rng.shuffle(places)
for i, new in enumerate(places):
    left = data // 64
    while left > 0:
        place = new if rng.random() < 0.75 else rng.choice(places[:i + 1])
        n = rng.choice((4, 16, 64, 256, 1024)) << 10
        at = (place + rng.randrange(size // 64 - n)) >> 12 << 12
        print("write -q -P %d %d %d" % (rng.randint(1, 255), at, n))
        left -= n
EOF
}

# keeps_a_fifth IMAGE
# ... of what comes, at the most. What comes while QEMU runs is kept, too; so
# on a machine that is busy it may come more slowly.
keeps_a_fifth() {
    local rate
    for rate in 100MB 50MB 20MB; do
        rm -f new.raw
        arrives_at new.raw "$1" -- --verbose --rate-limit $rate
        figures
        [ "$received" = "$(stat -c %s "$1")" ]
        if [ "$peak" -le $((received / 5)) ]; then
            return
        fi
    done
    at_most peak $((received / 5))
}

# 8 MiB may be kept of any image, so these are not small.
@test "of an image in clusters of 4 KiB a fifth is kept, at the most" {
    grow disk.qcow2 4K 512 128
    keeps_a_fifth disk.qcow2
    nothing_left
}

@test "of an image in clusters of 16 KiB a fifth is kept, at the most" {
    grow disk.qcow2 16K 1024 64
    keeps_a_fifth disk.qcow2
    nothing_left
}

@test "a guest's writes over 3 GiB, some of them compressed" {
    make_image disk.qcow2 guest-coded --size 3G
    other_places copy.raw 3221225472
    arrives_at copy.raw disk.qcow2
    nothing_left
}

@test "a disk written from its end to its start over 3 GiB" {
    qemu-img create -q -f qcow2 disk.qcow2 3G
    local commands=() at
    for at in {95..0}; do
        commands+=("write -q -P $((at + 1)) $((at * 32))M 200K")
    done
    guest disk.qcow2 "${commands[@]}"
    other_places copy.raw 3221225472
    arrives_at copy.raw disk.qcow2
}

@test "tables behind all of the data" {
    tables_last disk.qcow2 20M
    arrives disk.qcow2 -- --verbose
    figures
    # All but the cluster that was written last had to wait.
    [ "$moved" -ge $((19 << 20)) ]
    tables_last disk.qcow2 20M cluster_size=4K
    arrives disk.qcow2
}

@test "every other table before its data, every other behind all" {
    # Windows of 512 MiB; a snapshot between the writes.
    qemu-img create -q -f qcow2 disk.qcow2 4G
    guest disk.qcow2 'write -q -P 1 0 1M' 'write -q -P 2 1G 1M' \
        'write -q -P 3 2G 1M' 'write -q -P 4 3G 1M'
    qemu-img snapshot -c one disk.qcow2
    guest disk.qcow2 'write -q -P 5 512M 1M' 'write -q -P 6 1G 64K' \
        'write -q -P 7 1536M 1M' 'write -q -P 8 3200K 64K' \
        'write -q -P 9 3G 64K' 'write -q -P 10 3584M 1M'
    other_places copy.raw 4294967296
    arrives_at copy.raw disk.qcow2
    nothing_left
}

@test "9 TiB with little data" {
    qemu-img create -q -f qcow2 disk.qcow2 9T
    guest disk.qcow2 'write -q -P 0x11 0 64K' 'write -q -P 0x22 7000G 1M' \
        'write -q -P 0x33 3T 300K' 'write -q -z 5T 1M' \
        'write -q -P 0x44 9895604649472 512'
    other_places copy.raw 9895604649984
    arrives_at copy.raw disk.qcow2
    [ "$(stat -c %b copy.raw)" -lt 65536 ]
    nothing_left
}

@test "9 TiB with little data, as a new file, compressed" {
    qemu-img create -q -f qcow2 disk.qcow2 9T
    guest disk.qcow2 'write -q -c -P 0x11 0 64K' \
        'write -q -c -P 0x22 7000G 1M' 'write -q -P 0x33 3T 300K'
    arrives_at new.raw disk.qcow2
    [ "$(stat -c %b new.raw)" -lt 65536 ]
}

@test "zeroing a sparse file of 15 TiB does not delay the reading" {
    qemu-img create -q -f qcow2 disk.qcow2 15T
    guest disk.qcow2 'write -q -P 0x11 8T 20M' 'write -q -P 0x22 14T 20M'
    other_places copy.raw 16492674416640
    time_limit=30 arrives_at copy.raw disk.qcow2
    nothing_left
}
