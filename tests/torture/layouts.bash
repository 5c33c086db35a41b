# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# One image of any layout, its size and the way its bytes come by the seed.

mapfile -t layouts < <(python3 "$tests/make-image.py" --list)
RANDOM=$SEED
layout=${layouts[RANDOM % ${#layouts[@]}]}
size=$(((RANDOM % 900 + 20) * 1048576 + RANDOM % 200 * 512))
chunk=$((RANDOM % 9 + 1 << RANDOM % 17))
flags=()
if ((RANDOM % 2)); then flags+=(--direct); fi
if ((RANDOM % 4 == 0)); then flags+=(--spool-limit 2G); fi

python3 "$tests/make-image.py" disk.qcow2 "$layout" --size $size \
    --seed "$SEED" ||
    grep -q 'is not' log || exit 1
head -c $((200 << 20)) /dev/zero | tr '\0' '\252' >copy.raw
size=$(qemu-img info --output=json disk.qcow2 | jq '."virtual-size"')
truncate -s "$size" copy.raw
if [ "$(stat -c %s disk.qcow2)" -gt 60000000 ] && [ $chunk -lt 4096 ]; then
    chunk=4099
fi
if ! watcher --time-limit 300 --pair . --keep-open -- \
    python3 "$tests/send.py" '{}' disk.qcow2 --chunk $chunk -- \
    qcow-tool serve --source-fd '{}' --destination copy.raw --verbose \
    --source-size "$(stat -c %s disk.qcow2)" "${flags[@]}" ||
    [ "$(cat pair.status)" != "0 0" ]; then
    cat receiver.stderr
    exit 1
fi
qemu-img compare -f qcow2 -F raw disk.qcow2 copy.raw
echo "$layout $size by $chunk ${flags[*]}: $(tail -n 1 receiver.stderr)"
