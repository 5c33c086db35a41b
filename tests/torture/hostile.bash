# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# A small image of any layout with some bytes of its tables changed. It is
# refused with one line and the exit code 1, or is the disk that QEMU sees.
# Where QEMU cannot read what it is, it must be refused.

mapfile -t layouts < <(python3 "$tests/make-image.py" --list)
RANDOM=$SEED
layout=${layouts[RANDOM % ${#layouts[@]}]}
python3 "$tests/make-image.py" good.qcow2 "$layout" --size 9M --data 2M \
    --seed "$SEED" ||
    grep -q 'is not' log || exit 1

# Several mutations of it, each with a destination full of other data.
for ((i = 0; i < 12; i++)); do
    cp good.qcow2 bad.qcow2
    python3 - bad.qcow2 $((SEED * 100 + i)) <<\EOF
import os, random, struct, sys
rng = random.Random(int(sys.argv[2]))
f = open(sys.argv[1], "r+b")
header = f.read(112)
bits, = struct.unpack_from(">I", header, 20)
l1_count, l1 = struct.unpack_from(">IQ", header, 36)
size = os.path.getsize(sys.argv[1])
def get(at):
    f.seek(at)
    return struct.unpack(">Q", f.read(8).ljust(8, b"\0"))[0]
def put(at, value):
    f.seek(at)
    f.write(struct.pack(">Q", value))
tables = [t for t in (get(l1 + 8 * i) & 0x00fffffffffffe00
                      for i in range(l1_count)) if t and t < size]
entries = [t + 8 * i for t in tables for i in range((1 << bits) // 8)
           if t + 8 * i + 8 <= size and get(t + 8 * i)]
for _ in range(rng.choice((1, 1, 1, 2, 5))):
    places = entries or [l1]
    if rng.random() < 0.25:
        places = [l1 + 8 * i for i in range(l1_count)]
    at = rng.choice(places)
    value = get(at)
    kind = rng.randrange(9)
    if kind == 0:                       # as another entry has it
        value = get(rng.choice(places))
    elif kind == 1:                     # one bit
        value ^= 1 << rng.randrange(64)
    elif kind == 2:                     # a bit of an offset in the file
        value ^= 1 << rng.randrange(9, max(10, size.bit_length()))
    elif kind == 3:
        value = rng.getrandbits(64)
    elif kind == 4:                     # any cluster of the file
        value = 1 << 63 | rng.randrange(size >> bits) << bits
    elif kind == 5:                     # any place, compressed
        value = 1 << 62 | rng.randrange(size) | rng.randrange(4) << 54
    elif kind == 6:
        value = 0
    elif kind == 7:                     # the next cluster
        value += 1 << bits
    else:                               # noise in the data or anywhere
        at = rng.randrange(112, size - 8)
        value = rng.getrandbits(64)
    put(at, value)
f.truncate(size)
if rng.random() < 0.15:
    f.truncate(rng.randrange(size))
EOF
    virtual=$(qemu-img info --output=json good.qcow2 | jq '."virtual-size"')
    head -c "$virtual" /dev/zero | tr '\0' '\252' >copy.raw
    rm -f qemu.raw
    is_read=1
    timeout 60 qemu-img convert -f qcow2 -O raw bad.qcow2 qemu.raw \
        2>qemu.stderr || is_read=0
    sent=$(stat -c %s bad.qcow2)
    watcher --time-limit 60 --left left --pair . \
        --keep-open -- python3 "$tests/send.py" '{}' bad.qcow2 -- \
        qcow-tool serve --source-fd '{}' --destination copy.raw \
        --source-size "$sent" || {
        echo "mutation $i: it hangs"
        exit 1
    }
    if [ -s left ]; then
        echo "mutation $i: left running: $(cat left)"
        exit 1
    fi
    read -r _ rc <pair.status
    case $rc in
    0)
        if [ $is_read = 0 ]; then
            echo "mutation $i: accepted, and QEMU cannot read it:" \
                "$(cat qemu.stderr)"
            exit 1
        fi
        cmp qemu.raw copy.raw
        ;;
    1)
        if [ "$(wc -l <receiver.stderr)" != 1 ] ||
            ! grep -q '^qcow-tool: serve: ' receiver.stderr; then
            echo "mutation $i: not one line: $(cat receiver.stderr)"
            exit 1
        fi
        # What nobody touched must not be refused.
        if cmp -s good.qcow2 bad.qcow2; then
            echo "mutation $i: refused: $(cat receiver.stderr)"
            exit 1
        fi
        ;;
    *)
        echo "mutation $i: exit code $rc: $(cat receiver.stderr)"
        exit 1
        ;;
    esac
    echo "$i: $rc qemu $is_read $(cut -c 1-150 receiver.stderr)"
done
echo "$layout: $(grep -c ': 0 ' log) of 12 accepted"
