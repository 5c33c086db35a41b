#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images that are not what they are said to be, or not whole.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 8M data@1M+1M data@5M+1M
}

@test "an image that is missing is named, in every format" {
    local format
    for format in qcow2 vpc vhdx vmdk vdi; do
        source_fails "nosuch.image.*No such file or directory" \
            $format nosuch.image
        nothing_sent
    done
    ln -s nosuch.image dangling
    source_fails "dangling.*No such file or directory" qcow2 dangling
    nothing_sent
}

@test "an image that is a directory is named" {
    mkdir directory
    source_fails "directory" qcow2 directory
    nothing_sent
}

@test "an image that is a pipe is refused, and not waited for" {
    mkfifo pipe
    time_limit=10 source_fails "pipe" qcow2 pipe
    nothing_sent
}

@test "an image in another format than is said is refused: nothing is probed" {
    local format other
    while read -r format other; do
        disk_image "$other" disk "image.$other"
        source_fails "image.$other" "$format" "image.$other"
        nothing_sent
        source_fails "disk" "$format" disk
        nothing_sent
    done <<END
qcow2 vpc
qcow2 vmdk
vpc qcow2
vhdx vpc
vmdk qcow2
vdi vhdx
END
}

@test "a file of a few bytes, and an empty one, are no images" {
    local format
    echo short >short
    : >empty
    for format in qcow2 vpc vhdx vmdk vdi; do
        source_fails "short" $format short
        nothing_sent
        source_fails "empty" $format empty
        nothing_sent
    done
}

# As a writer leaves one that loses its disk: the log is written, and the table
# that it is about is not.
@test "a VHDX whose log has to be replayed is refused with that cause" {
    local command
    qemu-img create -q -f vhdx image.vhdx 64M
    # The table of the blocks lies at 2 MiB.
    qemu-io -c 'write -P 7 0 1M' --image-opts \
        "driver=vhdx,file.driver=blkdebug,file.image.filename=image.vhdx,\
file.inject-error.0.event=none,file.inject-error.0.iotype=write,\
file.inject-error.0.sector=4096" || :
    qemu-img create -q -f qcow2 -b image.vhdx -F vhdx -u overlay.qcow2 64M
    for command in stream measure; do
        run -1 --separate-stderr qcow-tool $command --source-format vhdx \
            --source image.vhdx
        [ -z "$output" ]
        [ ${#stderr_lines[@]} = 1 ]
        [[ $stderr == *"source: "*"image.vhdx: QEMU: "*\
"contains a log that needs to be replayed" ]]
    done
    source_fails "contains a log that needs to be replayed" \
        qcow2 overlay.qcow2
    nothing_sent
}

@test "a backing file whose format is not recorded is refused" {
    disk_image qcow2 disk base.qcow2
    overlay middle.qcow2 base.qcow2 qcow2
    overlay image.qcow2 middle.qcow2 qcow2
    # For a raw base: what a guest could do with a qcow2 header there.
    python3 "$tests/forget-backing-format.py" middle.qcow2
    source_fails "middle.qcow2.*backing.*format" qcow2 image.qcow2
    nothing_sent
    python3 "$tests/forget-backing-format.py" image.qcow2
    source_fails "image.qcow2.*backing.*format" qcow2 image.qcow2
    nothing_sent
}

@test "a backing file that is missing is named" {
    disk_image qcow2 disk base.qcow2
    overlay image.qcow2 base.qcow2 qcow2
    rm base.qcow2
    source_fails "base.qcow2.*No such file or directory" qcow2 image.qcow2
    nothing_sent
}

@test "an image that is its own backing file is an error" {
    disk_image qcow2 disk image.qcow2
    overlay overlay.qcow2 image.qcow2 qcow2
    qemu-img rebase -u -f qcow2 -b overlay.qcow2 -F qcow2 image.qcow2
    time_limit=20 source_fails "(overlay|image).qcow2" qcow2 overlay.qcow2
    nothing_sent
}

@test "a qcow2 image cut within its data is an error with the offset" {
    disk_image qcow2 disk image.qcow2
    truncate -s $(($(stat -c %s image.qcow2) - 700000)) image.qcow2
    source_fails "image.qcow2.*offset [0-9]+" qcow2 image.qcow2
    truncate -s 400000 image.qcow2
    source_fails "image.qcow2.*offset [0-9]+" qcow2 image.qcow2
}

@test "a qcow2 image cut within its header is an error" {
    disk_image qcow2 disk image.qcow2
    truncate -s 60 image.qcow2
    source_fails "image.qcow2" qcow2 image.qcow2
    nothing_sent
}

@test "a qcow2 image cut within its tables is an error" {
    # Without its L1 or L2 table the disk would be empty.
    disk_image qcow2 disk image.qcow2
    entry image.qcow2 $((5 << 20))
    local size
    for size in $((table - 4096)) 300; do
        truncate -s "$size" image.qcow2
        source_fails "image.qcow2" qcow2 image.qcow2
        nothing_sent
    done
}

@test "images of the other formats that are cut within their data are an error" {
    local format
    for format in vpc vhdx vmdk vdi; do
        disk_image $format disk image.$format
        truncate -s $(($(stat -c %s image.$format) - 700000)) image.$format
        source_fails "image.$format" $format image.$format
    done
}

@test "images of the other formats that are cut within their header are an error" {
    local format
    for format in vpc vhdx vmdk vdi; do
        disk_image $format disk image.$format
        truncate -s 400 image.$format
        source_fails "image.$format" $format image.$format
        nothing_sent
    done
}

@test "an L2 entry that points to no cluster is an error with the offset" {
    disk_image qcow2 disk image.qcow2
    entry image.qcow2 $((5 << 20))
    # Not aligned: 0x200 too far.
    poke image.qcow2 "$entry" "$(hex $((cluster + 512 | 1 << 63)))"
    source_fails "offset [0-9]+" qcow2 image.qcow2
}

@test "an L1 entry that points to no cluster is an error" {
    disk_image qcow2 disk image.qcow2
    entry image.qcow2 $((5 << 20))
    poke image.qcow2 "$l1_entry" "$(hex $((table + 512 | 1 << 63)))"
    source_fails "offset [0-9]+" qcow2 image.qcow2
}

@test "an entry that points beyond the end of the file is an error" {
    disk_image qcow2 disk image.qcow2
    entry image.qcow2 $((5 << 20))
    poke image.qcow2 "$entry" "$(hex $((1 << 40 | 1 << 63)))"
    source_fails "offset [0-9]+" qcow2 image.qcow2
}

@test "a compressed cluster that cannot be unpacked is an error at its offset" {
    # Words, which can be compressed.
    yes 'one and the same' | head -c 1M >words
    rm disk
    make_disk disk 8M
    dd if=words of=disk bs=1M seek=5 conv=notrunc status=none
    qemu-img convert -c -f raw -O qcow2 disk image.qcow2
    entry image.qcow2 $((5 << 20))
    # Its bits are a flag, a length and a place, which is not aligned.
    printf '%04096d' 0 | tr 0 '\377' | dd of=image.qcow2 bs=1 conv=notrunc \
        seek=$((cluster & ((1 << 54) - 1))) status=none
    source_fails "offset 5242880.*Input/output error" qcow2 image.qcow2
}

@test "an encrypted image is refused" {
    # Of its two ways the one that does not have to take its time.
    qemu-img create -q -f qcow2 --object secret,id=key,data=word \
        -o encrypt.format=aes,encrypt.key-secret=key image.qcow2 8M
    source_fails "image.qcow2" qcow2 image.qcow2
    nothing_sent
}

@test "an image marked as corrupt is read as far as it can be, or refused" {
    disk_image qcow2 disk image.qcow2
    # Bit 1 of the incompatible features.
    poke image.qcow2 79 02
    stdout_to=out.qcow2 qcow_tool "[01]" stream --source-format qcow2 \
        --source image.qcow2
    [ ! -s out.qcow2 ] || same_content disk raw out.qcow2
    nothing_left
}

@test "images that lack a few bytes are an error" {
    local cut
    # A table behind the data: QEMU would take its end for empty.
    qemu-img create -q -f qcow2 -o cluster_size=512 below.qcow2 64K
    qemu-io -f qcow2 -c 'write -q -P 7 0 64K' below.qcow2
    qemu-img create -q -f qcow2 -o cluster_size=512 -F qcow2 -b below.qcow2 \
        image.qcow2
    qemu-io -f qcow2 -c 'write -q -z 0 32K' image.qcow2
    for cut in 1 100 511; do
        cp image.qcow2 cut.qcow2
        truncate -s -$cut cut.qcow2
        source_fails "cut.qcow2 is truncated" qcow2 cut.qcow2
        nothing_sent
    done
    for cut in 1 100 511; do
        cp below.qcow2 cut.qcow2
        truncate -s -$cut cut.qcow2
        source_fails "cut.qcow2 is truncated" qcow2 cut.qcow2
        nothing_sent
    done
}

@test "an image that shrinks while it is read is an error" {
    make_disk disk 24M data@0+24M
    qemu-img convert -f raw -O qcow2 disk image.qcow2
    # The reader has seen the beginning, and waits until the image is shorter.
    mkfifo gate
    (
        exec 5<gate
        head -c 1 <&5 >begun
        wait_until 30 test -e shrunk
        cat <&5 >/dev/null
    ) 3>&- &
    start_tool stream stream --source-format qcow2 --source image.qcow2 \
        --destination-fd 6 6>gate
    wait_until 10 test -s begun
    truncate -s 12M image.qcow2
    touch shrunk
    finish_tool stream 1
    error_says 'source: .*image.qcow2 is truncated' stream.stderr
    nothing_left
}

@test "a disk that no qcow2 image can hold is refused before it is mapped" {
    qemu-img create -q -f qcow2 -o cluster_size=2M image.qcow2 3P
    time_limit=20 source_fails "3377699720527872 bytes.*clusters of 65536" \
        qcow2 image.qcow2
    nothing_sent
}
