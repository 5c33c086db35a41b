# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# A random chain of images, and differences of its disks by random ways and
# options. Onto a copy of the base, each must give the disk.

RANDOM=$SEED

pick() {
    local words=("$@")
    picked=${words[RANDOM % $#]}
}

# some N OF: true in N of OF cases
some() {
    [ $((RANDOM % $2)) -lt "$1" ]
}

random_size() {
    size=$(((RANDOM % 12 << 20) + RANDOM % 2048 * 512 + 512))
}

# changes SEED SIZE COUNT
# What a guest does, one after the other; half of it near a few places.
changes() {
    python3 - "$@" <<\END
import random, sys
seed, size, count = map(int, sys.argv[1:])
rng = random.Random(seed)
spots = [rng.randrange(size) for _ in range(6)]
kinds = ["write -q -P %d" % byte for byte in range(1, 9)]
kinds += ["write -q -P 0", "write -q -z", "write -q -z -u", "discard -q"] * 2
for _ in range(count):
    at = rng.randrange(size)
    if rng.random() < 0.5:
        at = (rng.choice(spots) + rng.randrange(1 << 18)) % size
    unit = rng.choice((512, 512, 4096, 65536, 1 << 20))
    at = at // unit * unit
    length = min(rng.randint(1, rng.choice((4, 100))) * unit, size - at)
    print(rng.choice(kinds), at, length)
END
}

# options_of_image: into $options
options_of_image() {
    pick 4k 16k 64k 64k 2M
    options=cluster_size=$picked
    if some 1 6; then
        options=cluster_size=64k,compat=0.10
    elif [ "$picked" != 4k ] && some 1 4; then
        options+=,extended_l2=on
    fi
}

# options_of_stream: into the array $stream, and $flags if it may have some
options_of_stream() {
    stream=() flags=
    pick 4K 16K 64K 64K 64K 2M
    stream+=(--cluster-size "$picked")
    if some 1 6; then
        stream+=(--compat 0.10)
    else
        if [ "$picked" != 4K ] && some 1 3; then stream+=(--extended-l2); fi
        if some 1 2; then stream+=(--zero-clusters flag) flags=yes; fi
        if some 1 8; then stream+=(--refcount-bits 1); fi
    fi
    if some 1 2; then stream+=(--layout convert); fi
    if some 1 4; then stream+=(--detect-zeroes); fi
    if some 1 8; then stream+=(--direct); fi
}

fail() {
    echo "$number: $*" "of: ${stream[*]}"
    exit 1
}

# sound DISK BASE
# out.qcow2 does.
sound() {
    local size
    size=$(stat -c %s "$1")
    qemu-img check -q -f qcow2 out.qcow2 || fail "unsound"
    if [ -z "$flags" ]; then
        qemu-img map --output=json -f qcow2 out.qcow2 |
            jq -e 'all(.present and .zero | not)' >none.flagged ||
            fail "zero flags"
    fi
    cp --sparse=always "$2" copy.raw
    truncate -s "$size" copy.raw
    if some 1 2; then
        qcow-tool serve --prezeroed --destination copy.raw <out.qcow2
    else
        ./qcow-stream-tool stream_decode copy.raw <out.qcow2
    fi
    cmp "$1" copy.raw || fail "another disk"
}

ln -s "$(command -v qcow-tool)" qcow-stream-tool
ln -s "$(command -v qcow-tool)" qcow2-to-stdout
: >nothing

# The chain: 0.qcow2 to LAST.qcow2, and the disk of each as a raw file; with
# a sibling of one of them.
last=$((RANDOM % 5))
random_size
for ((i = 0; i <= last + 1; i++)); do
    options_of_image
    if some 1 3; then random_size; fi
    below=$((i - 1))
    if [ $i -gt $last ] && [ $last -gt 0 ]; then
        below=$((RANDOM % last))
    fi
    if [ $i = 0 ]; then
        qemu-img create -q -f qcow2 -o "$options" 0.qcow2 "$size"
    else
        qemu-img create -q -f qcow2 -o "$options" -b $below.qcow2 -F qcow2 \
            $i.qcow2 "$size"
    fi
    if [ $i = 0 ] && some 1 2; then
        python3 "$tests/make-disk.py" content "$size" "seed:$SEED" \
            runs:256K/256K empties:5
        compress=()
        if some 1 3; then compress=(-c); fi
        qemu-img convert "${compress[@]}" -f raw -O qcow2 content 0.qcow2
    fi
    changes $((SEED * 10 + i)) "$size" $((RANDOM % 20)) |
        qemu-io -t unsafe -f qcow2 $i.qcow2 >/dev/null
    qemu-img convert -f qcow2 -O raw $i.qcow2 $i.raw
    echo "$i: $size $options over $below"
done

for ((number = 0; number < 6; number++)); do
    pick $last $last $((RANDOM % (last + 2)))
    disk=$picked base=$((RANDOM % (last + 2)))
    disk_raw=$disk.raw disk_qcow2=$disk.qcow2
    base_raw=$base.raw base_qcow2=$base.qcow2
    options_of_stream
    pick raw hybrid hybrid qcow2 qcow2 drop-in
    kind=$picked
    case $kind in
    raw) stream+=(--source "$disk_raw" --relative-to "$base_raw") ;;
    hybrid) stream+=(--source-format hybrid
        --source "$disk_raw:$disk_qcow2" --relative-to "$base_qcow2") ;;
    qcow2) stream+=(--source-format qcow2 --source "$disk_qcow2"
        --relative-to "$base_qcow2") ;;
    esac
    if [ "$kind" = drop-in ]; then
        pick 4096 65536 65536 2097152
        stream=("$disk_raw" -c "$picked") flags=
        feed=()
        if some 2 3; then
            qemu-img map --output=json -f qcow2 "$disk_qcow2" >disk.map
            qemu-img info --output=json -f qcow2 "$disk_qcow2" >disk.info
            feed+=(map=disk.map info=disk.info)
            stream+=(--json-header-map '{map}' --json-header-info '{info}')
        fi
        if some 1 4; then
            base_raw=nothing
        else
            stream+=(--diff "$base_raw")
            if some 2 3; then
                qemu-img map --output=json -f qcow2 "$base_qcow2" >base.map
                qemu-img info --output=json -f qcow2 "$base_qcow2" >base.info
                feed+=(diff-map=base.map diff-info=base.info)
                stream+=(--json-header-diff-map '{diff-map}'
                    --json-header-diff-info '{diff-info}')
            fi
        fi
        if [ ${#feed[@]} != 0 ]; then
            feed=(python3 "$tests/feed.py" "${feed[@]}" --)
        fi
        timeout 100 "${feed[@]}" ./qcow2-to-stdout "${stream[@]}" >out.qcow2
    else
        timeout 100 qcow-tool stream "${stream[@]}" >out.qcow2
        timeout 100 qcow-tool measure "${stream[@]}" >measured
        [ "$(jq .length measured)" = "$(stat -c %s out.qcow2)" ] ||
            fail "measured: $(cat measured)"
    fi
    sound "$disk_raw" "$base_raw"
    echo "$number: ${stream[*]}: $(stat -c %s out.qcow2)"
done
echo "a chain of $((last + 1)), $number differences"
