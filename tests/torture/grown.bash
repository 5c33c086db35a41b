# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# A disk of several GiB, as a guest leaves it that has written and discarded
# for long: some GiB of data, tables anywhere, snapshots in between.

RANDOM=$SEED
size=$((RANDOM % 5 + 3))G
sizes=(4k 16k 64k 64k 2M)
cluster=${sizes[RANDOM % 5]}

# writes SEED COUNT
writes() {
    python3 - "$1" "$2" "${size%G}" <<\EOF
import random, sys
rng = random.Random(int(sys.argv[1]))
size = int(sys.argv[3]) << 30
busy = set()
spots = [rng.randrange(size) for _ in range(40)]
for i in range(int(sys.argv[2])):
    at = (rng.choice(spots) + rng.randrange(64 << 20)
          if rng.random() < 0.8 else rng.randrange(size))
    at = at % size // 512 * 512
    n = min(rng.choice((512, 4096, 8192, 65536, 1 << 18, 2 << 20)), size - at)
    kind = rng.random()
    # QEMU itself breaks the image when a discard meets a write in flight.
    places = set(range(at >> 21, (at + n - 1 >> 21) + 1))
    if busy & places:
        print("aio_flush")
        busy.clear()
    busy |= places
    print("aio_write -q -P %d %d %d" % (rng.randint(1, 255), at, n)
          if kind < 0.8 else "aio_write -q -z %d %d" % (at, n)
          if kind < 0.87 else "aio_write -q -z -u %d %d" % (at, n)
          if kind < 0.93 else "discard -q %d %d" % (at, n))
print("aio_flush")
EOF
}

qemu-img create -q -f qcow2 -o cluster_size="$cluster" disk.qcow2 "$size"
for round in 1 2 3; do
    writes $((SEED * 10 + round)) 3000 |
        qemu-io -t unsafe -f qcow2 disk.qcow2
    if ((RANDOM % 2)); then
        qemu-img snapshot -c $round disk.qcow2
    fi
done
truncate -s "$size" copy.raw
for at in $(seq 0 97 $((${size%G} * 1024 - 8))); do
    head -c 8M /dev/zero | tr '\0' '\252' |
        dd of=copy.raw bs=1M seek="$at" conv=notrunc status=none
done
if ! watcher --time-limit 500 --pair . --keep-open -- \
    python3 "$tests/send.py" '{}' disk.qcow2 -- \
    qcow-tool serve --source-fd '{}' --destination copy.raw --verbose \
    --source-size "$(stat -c %s disk.qcow2)" ||
    [ "$(cat pair.status)" != "0 0" ]; then
    cat receiver.stderr
    exit 1
fi
qemu-img compare -f qcow2 -F raw disk.qcow2 copy.raw
echo "$size $cluster: $(tail -n 1 receiver.stderr)"
