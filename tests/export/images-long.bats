#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Chains of many links, and images that QEMU has much to say about.

load ../lib/helpers

# A header is all that tells one empty image from the next.
# chain FROM TO [CREATE-OPTION...]: N.qcow2 over N-1.qcow2
chain() {
    local from=$1 to=$2
    shift 2
    qemu-img create -q -u -f qcow2 -b 0000.qcow2 -F qcow2 "$@" "0001.qcow2" 8M
    python3 - "$from" "$to" <<'END'
import sys
template = open("0001.qcow2", "rb").read()
for i in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
    with open("%04d.qcow2" % i, "wb") as f:
        f.write(template.replace(b"0000.qcow2", b"%04d.qcow2" % (i - 1)))
END
}

@test "a chain of 100 links: data, zeroes and ends anywhere in it" {
    make_disk disk 8M runs:100K/100K
    disk_image qcow2 disk 0000.qcow2
    chain 1 100
    guest 0007.qcow2 'write -q -P 7 1M 100K' 'write -q -z 5M 1M'
    # One that is shorter than those above and below it.
    qemu-img resize -q --shrink -f qcow2 0021.qcow2 6M
    guest 0021.qcow2 'write -q -P 21 2M 70K'
    guest 0050.qcow2 'write -q -P 50 1100K 100K' 'write -q -P 50 7M 5K'
    guest 0083.qcow2 'write -q -z 2100K 300K' 'write -q -P 83 4M 64K'
    guest 0100.qcow2 'write -q -P 100 6500K 64K'
    raw_of 0100.qcow2 expected.raw
    sends expected.raw qcow2 0100.qcow2
}

@test "a difference within a chain of 60 links" {
    make_disk content 5M seed:2 runs:96K/96K
    qemu-img convert -f raw -O qcow2 content 0000.qcow2
    chain 1 60
    guest 0005.qcow2 'write -q -P 5 1M 64K'
    guest 0020.qcow2 'write -q -P 20 2M 128K'
    guest 0045.qcow2 'write -q -z 2M 64K' 'write -q -P 45 3M 64K'
    by_depth 0060.qcow2 0010.qcow2
    by_depth 0060.qcow2 0040.qcow2
}

@test "a chain of 260 links needs less than two fds for each" {
    make_disk disk 8M data@1M+100K
    disk_image qcow2 disk 0000.qcow2
    chain 1 259
    (
        ulimit -n 320
        stream_into out.qcow2 --source-format qcow2 --source 0259.qcow2
    )
    qemu-img compare -q -f raw -F qcow2 disk out.qcow2
    # With more, each file is read as it was mapped.
    ulimit -n 1024
    unset QCOW_TOOL_IMAGES # the suite may be run with it
    QCOW_TOOL_QEMU_NBD=/bin/false qcow_tool measure --source-format qcow2 \
        --source 0259.qcow2
    chain 260 1000
    source_fails "more than 999 backing files" qcow2 1000.qcow2
}

# alone IMAGE COMMAND...
# QEMU opens none of those below it: whole clusters only.
alone() {
    printf '%s\n' "${@:2}" | qemu-io -t unsafe "json:{\"driver\":\"qcow2\",
        \"backing\":null,\"file\":{\"driver\":\"file\",
        \"filename\":\"$1\"}}" >/dev/null
}

# qemu-img convert would take half a minute: so the disk is made by the same
# writes, one after the other.
@test "a chain of 1000 links: what each of them says arrives" {
    make_disk disk 8M runs:100K/100K
    disk_image qcow2 disk 0000.qcow2
    cp 0000.qcow2 flat.qcow2
    chain 1 999
    local link i=0 commands
    for link in 0001 0002 0037 0256 0500 0501 0777 0998 0999; do
        i=$((i + 1))
        # Each hides half of what the one below it wrote.
        commands=("write -q -P $((i + 100)) $((i * 512))K 1M"
            "write -q -z $((i * 64))K 64K")
        alone $link.qcow2 "${commands[@]}"
        guest flat.qcow2 "${commands[@]}"
    done
    # With 1024 fds it works, too, but opens all of them time and again.
    ulimit -n 4096 || [ "$(ulimit -n)" -ge 1024 ]
    stream_into out.qcow2 --source-format qcow2 --source 0999.qcow2
    sound_image out.qcow2
    same_content flat.qcow2 out.qcow2
    nothing_left
}

@test "a long chain with compressed clusters: one that is cut off is noticed" {
    make_disk disk 8M data@1M+100K
    qemu-img convert -c -f raw -O qcow2 disk 0000.qcow2
    chain 1 128
    source_fails "compressed clusters in a chain of 129 images" \
        qcow2 0128.qcow2
    nothing_sent
    # The last cluster, which is compressed, lacks most of its bytes.
    truncate -s -1000 0000.qcow2
    source_fails "0000.qcow2 is truncated" qcow2 0090.qcow2
}

@test "a thousand bitmaps and snapshots do not matter" {
    make_disk disk 4M data@1M+100K
    disk_image qcow2 disk image.qcow2
    python3 - image.qcow2 <<'END'
import struct, sys

f = open(sys.argv[1], "r+b")
size = f.seek(0, 2)
at = (size + 65535) // 65536 * 65536
f.seek(36)
l1_entries, l1_offset = struct.unpack(">IQ", f.read(12))
f.seek(at)
name = b"daily-" + b"x" * 300
for i in range(1500):
    ident = b"%d" % i
    entry = struct.pack(">QIHHIIQII", l1_offset, l1_entries, len(ident),
                        len(name), 0, 0, 0, 0, 24)
    entry += struct.pack(">QQQ", 0, 4 << 20, 0) + ident + name
    f.write(entry.ljust((len(entry) + 7) // 8 * 8, b"\0"))
f.seek(60)
f.write(struct.pack(">IQ", 1500, at))
END
    [ "$(qemu-img info -U -f qcow2 --output=json image.qcow2 | wc -c)" -gt \
        262144 ]
    sends disk qcow2 image.qcow2
}

# QEMU's time goes with the square of the parts: so the names are long instead.
@test "a VMDK in 95 parts, whose names are very long" {
    local dir='' i
    for i in {1..14}; do
        dir+=$(printf 'disks of the file server %0200d' $i)/
    done
    mkdir -p "$dir"
    qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse \
        "$dir/disk.vmdk" 190G
    qemu-io -f vmdk -c 'write -q -P 5 150G 64K' "$dir/disk.vmdk"
    [ "$(qemu-img info -f vmdk --output=json "$dir/disk.vmdk" | wc -c)" -gt \
        262144 ] || skip "QEMU says too little"
    stdout_to=out.qcow2 qcow_tool stream --source-format vmdk \
        --source "$dir/disk.vmdk"
    qemu-img compare -q -f vmdk -F qcow2 "$dir/disk.vmdk" out.qcow2
}
