#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format qcow2 and the others: chains, snapshots, images in use.

load ../lib/helpers

# guest IMAGE COMMAND...
guest() {
    local image=$1 words=() command
    shift
    for command; do
        words+=(-c "$command")
    done
    qemu-io -f qcow2 "${words[@]}" "$image" >/dev/null
}

# as_guests_see IMAGE [FORMAT]
# Prints the name of a raw disk with what a guest reads from IMAGE.
as_guests_see() {
    qemu-img convert -f "${2:-qcow2}" -O raw "$1" expected.raw
    echo expected.raw
}

@test "a chain of three with different cluster sizes" {
    make_disk disk 16M runs:100K/300K
    mkdir sub
    disk_image qcow2 disk sub/base.qcow2 cluster_size=4k
    # Relative to the image that names it, not to the current directory.
    overlay sub/middle.qcow2 base.qcow2 qcow2 -o cluster_size=2M
    guest sub/middle.qcow2 'write -P 0x31 3M 100K' 'write -z 6M 1M'
    overlay image.qcow2 "$PWD/sub/middle.qcow2" qcow2
    guest image.qcow2 'write -P 0x32 3100K 300K' 'write -z 8M 512K' \
        'write -P 0x33 6200K 4K'
    both_arrive "$(as_guests_see image.qcow2)" qcow2 image.qcow2
    both_arrive expected.raw qcow2 "$PWD/image.qcow2" --cluster-size 4K
}

@test "images longer and shorter than their base" {
    make_disk disk 9M full
    disk_image qcow2 disk base.qcow2
    overlay longer.qcow2 base.qcow2 qcow2 20M
    guest longer.qcow2 'write -P 0x31 12M 100K'
    sends "$(as_guests_see longer.qcow2)" qcow2 longer.qcow2
    overlay shorter.qcow2 base.qcow2 qcow2 5M
    guest shorter.qcow2 'write -P 0x31 4M 100K'
    sends "$(as_guests_see shorter.qcow2)" qcow2 shorter.qcow2
}

@test "zeroes and discards over a base that holds data" {
    make_disk disk 16M full
    disk_image qcow2 disk base.qcow2
    overlay image.qcow2 base.qcow2 qcow2
    guest image.qcow2 'write -z 1M 2M' 'discard 5M 1M' \
        'write -z 8200K 4K' 'write -P 0 10M 1M'
    sends "$(as_guests_see image.qcow2)" qcow2 image.qcow2
    overlay old.qcow2 base.qcow2 qcow2 -o compat=0.10
    guest old.qcow2 'write -z 1M 2M' 'discard 5M 1M'
    sends "$(as_guests_see old.qcow2)" qcow2 old.qcow2
}

@test "an overlay with extended L2, of which single subclusters are in use" {
    make_disk disk 16M runs:100K/100K
    disk_image qcow2 disk base.qcow2
    overlay image.qcow2 base.qcow2 qcow2 -o extended_l2=on
    guest image.qcow2 'write -P 0x31 1M 2K' 'write -P 0x31 1090K 6K' \
        'write -z 2M 4K' 'write -z 3002K 2K'
    sends "$(as_guests_see image.qcow2)" qcow2 image.qcow2
}

@test "bases of other formats, as they are recorded" {
    make_disk base.raw 8M runs:100K/100K
    # What a guest may write onto its disk.
    empty_image inner.qcow2 700M
    dd if=inner.qcow2 of=base.raw conv=notrunc status=none
    overlay image.qcow2 base.raw raw
    guest image.qcow2 'write -P 0x31 1M 100K'
    sends "$(as_guests_see image.qcow2)" qcow2 image.qcow2
    disk_image vmdk base.raw base.vmdk
    overlay over.qcow2 base.vmdk vmdk
    guest over.qcow2 'write -P 0x31 1M 100K'
    sends "$(as_guests_see over.qcow2)" qcow2 over.qcow2
}

@test "a VMDK over another" {
    make_disk disk 8M runs:100K/100K
    disk_image vmdk disk base.vmdk
    qemu-img create -q -f vmdk -b base.vmdk -F vmdk image.vmdk
    qemu-io -f vmdk -c 'write -q -P 0x31 1M 100K' image.vmdk
    sends "$(as_guests_see image.vmdk vmdk)" vmdk image.vmdk
}

@test "of an image with internal snapshots the present state is sent" {
    make_disk disk 8M runs:100K/100K
    disk_image qcow2 disk image.qcow2
    qemu-img snapshot -c one image.qcow2
    guest image.qcow2 'write -P 0x31 1M 300K' 'write -z 4M 1M'
    qemu-img snapshot -c two image.qcow2
    guest image.qcow2 'write -P 0x32 1100K 300K' 'discard 2M 1M'
    both_arrive "$(as_guests_see image.qcow2)" qcow2 image.qcow2
    qemu-img snapshot -a one image.qcow2
    sends disk qcow2 image.qcow2
}

@test "a compressed image, by both of qcow2's methods" {
    make_disk disk 8M runs:300K/200K
    qemu-img convert -c -f raw -O qcow2 disk image.qcow2
    both_arrive disk qcow2 image.qcow2
    # Some clusters are compressed, others not.
    guest image.qcow2 'write -P 0x31 1M 300K' 'write -z 3M 1M'
    sends "$(as_guests_see image.qcow2)" qcow2 image.qcow2
    qemu-img convert -c -f raw -O qcow2 -o compression_type=zstd \
        disk zstd.qcow2 2>/dev/null || skip "this QEMU has no zstd"
    sends disk qcow2 zstd.qcow2
}

@test "an image whose data is in a file of its own" {
    make_disk disk 8M runs:300K/200K
    empty_image image.qcow2 8M -o data_file=data.raw
    qemu-img convert -n -f raw -O qcow2 disk image.qcow2
    sends disk qcow2 image.qcow2
}

@test "an image that another process holds open, and writes to later" {
    make_disk disk 8M runs:300K/200K
    disk_image qcow2 disk base.qcow2
    overlay image.qcow2 base.qcow2 qcow2
    guest image.qcow2 'write -P 0x31 1M 300K'
    as_guests_see image.qcow2 >/dev/null
    hold_open image.qcow2
    both_arrive expected.raw qcow2 image.qcow2
    qemu-io -f raw -c "write -q -P 0x22 4M 64K" "nbd+unix:///?socket=$held"
}

@test "an image that another process holds open for reading" {
    make_disk disk 8M runs:300K/200K
    disk_image vdi disk image.vdi
    held=$BATS_TEST_TMPDIR/held.sock
    in_background qemu-nbd -f vdi --persistent --socket "$held" -r image.vdi
    wait_until 10 test -S "$held"
    sends disk vdi image.vdi
}

@test "an image that was not closed cleanly, its lazy refcounts dirty" {
    make_disk disk 8M runs:300K/200K
    disk_image qcow2 disk image.qcow2 lazy_refcounts=on
    # Dies without a word, as a host does that loses power.
    qemu-io -f qcow2 -c 'write -q -P 0x31 1M 300K' -c 'flush' -c 'sigraise 9' \
        image.qcow2 >/dev/null 2>&1 || :
    [ "$(qemu-img info --output=json -f qcow2 image.qcow2 |
        jq '."dirty-flag"')" = true ] || skip 'this QEMU leaves it clean'
    cp image.qcow2 before.qcow2
    sends "$(as_guests_see image.qcow2)" qcow2 image.qcow2
    same_bytes image.qcow2 before.qcow2
}

@test "a backing file that is recorded with a protocol for its format is raw" {
    local protocol
    make_disk disk 4M data@1M+100K
    for protocol in file host_device; do
        qemu-img create -q -u -f qcow2 -b disk -F $protocol image.qcow2 4M
        if [ $protocol = host_device ]; then
            requires loop
            qemu-img create -q -u -f qcow2 -b "$(make_loop disk)" \
                -F host_device image.qcow2 4M
        fi
        allocate image.qcow2 2M+64K
        sends "$(as_guests_see image.qcow2)" qcow2 image.qcow2
    done
}
