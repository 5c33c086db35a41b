#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Destinations that somebody uses are refused, and stay as they are.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 4M data@1M+512K
    image disk disk.qcow2
}

teardown() {
    if [ -e "$BATS_TEST_TMPDIR/.swap" ]; then
        swapoff "$(cat "$BATS_TEST_TMPDIR/.swap")" || :
    fi
    ! mountpoint -q "$BATS_TEST_TMPDIR/mnt" || umount "$BATS_TEST_TMPDIR/mnt"
    helpers_teardown
}

# in_use DESTINATION WORDS [FILE]
# Both commands refuse DESTINATION with WORDS; FILE, with its bytes, is as it
# was.
in_use() {
    local before file=${3:-$1}
    before=$(sha1sum <"$file")
    qcow_tool 1 serve --destination "$1" <disk.qcow2
    error_says "destination: $1.*$2.*--force"
    qcow_tool 1 stream --source disk --destination "$1"
    error_says "destination: $1.*$2.*--force"
    [ "$before" = "$(sha1sum <"$file")" ]
    nothing_left
}

# Both commands write to the device DESTINATION.
not_in_use() {
    qcow_tool stream --source disk --destination "$1"
    qcow_tool serve --destination "$1" <disk.qcow2
    cmp -n $((4 << 20)) disk "$1"
}

# with_exclusively DEVICE COMMAND...
# While another process has opened it with O_EXCL.
with_exclusively() {
    python3 -c 'if True:
        import os, subprocess, sys
        os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
        sys.exit(subprocess.call(sys.argv[2:]))' "$@"
}

@test "what QEMU has open for writing is refused, whatever its format" {
    qemu-img create -q -f qcow2 vm.qcow2 4M
    hold_open vm.qcow2
    in_use vm.qcow2 "QEMU's locks"
}

@test "what QEMU only reads is refused, unless it lets others write" {
    other_data base 4M
    in_background qemu-nbd -f raw -r --persistent -k "$PWD/sock" base
    wait_until 10 test -S sock
    in_use base "QEMU's locks"
    cp disk shared
    local shared=driver=raw,read-only=on,force-share=on
    in_background qemu-nbd -r --persistent -k "$PWD/sock2" \
        --image-opts "$shared,file.driver=file,file.filename=shared"
    wait_until 10 test -S sock2
    qcow_tool serve --destination shared <disk.qcow2
    qcow_tool stream --source disk --destination shared
}

@test "an fd is looked at as a path is" {
    qemu-img create -q -f qcow2 vm.qcow2 4M
    hold_open vm.qcow2
    cp vm.qcow2 before.qcow2
    qcow_tool 1 stream --source disk --destination-fd 5 5<>vm.qcow2
    error_says "destination: fd 5 is in use.*QEMU's locks"
    same_bytes before.qcow2 vm.qcow2
}

@test "--force writes to what QEMU has open" {
    other_data held 4M
    in_background qemu-nbd -f raw --persistent -k "$PWD/sock" held
    wait_until 10 test -S sock
    qcow_tool serve --force --destination held <disk.qcow2
    same_bytes disk held
    qcow_tool stream --force --source disk --destination held
    cp held got.qcow2
    same_content disk got.qcow2
}

opened_by_qemu() {
    qemu-io -f raw -c 'read 0 512' "$1" >/dev/null 2>qemu.stderr
}

@test "while a disk is written QEMU cannot open it, and then can" {
    other_data copy.raw 4M
    mkfifo pipe
    exec 5<>pipe
    start_tool serving serve --source-fd 5 --destination copy.raw
    wait_until 10 eval '! opened_by_qemu copy.raw'
    stderr_says 'Is another process using the image' qemu.stderr
    cat disk.qcow2 >pipe
    finish_tool serving
    opened_by_qemu copy.raw
    same_bytes disk copy.raw
}

@test "a mounted device is refused, and where it is mounted is told" {
    requires loop mkfs.ext4
    truncate -s 8M fs
    mkfs.ext4 -q -F fs
    device=$(make_loop fs)
    mkdir mnt
    mount "$device" mnt || skip "needs mount"
    in_use "$device" "is mounted on .*/mnt"
    qcow_tool 1 stream --source disk --destination-fd 5 5<>"$device"
    error_says 'fd 5 is mounted on'
    # xapi's program has no option for it.
    ln -s "$(command -v qcow-tool)" qcow-stream-tool
    run -1 ./qcow-stream-tool stream_decode "$device" <disk.qcow2
    [[ $output =~ "is mounted on" ]]
    umount mnt
    not_in_use "$device"
}

@test "swap is refused, as a device, as a partition and as a file" {
    requires loop mkswap addpart
    truncate -s 8M swap
    device=$(make_loop swap)
    mkswap -q "$device"
    swapon "$device" || skip "needs swapon"
    echo "$device" >.swap
    in_use "$device" "is used as swap"
    swapoff "$device"
    rm .swap
    addpart "$device" 1 2048 8192 && [ -b "${device}p1" ] ||
        skip "needs partitions of loop devices"
    mkswap -q "${device}p1"
    swapon "${device}p1"
    echo "${device}p1" >.swap
    in_use "$device" "its partition ${device#/dev/}p1 is used as swap"
    in_use "${device}p1" "is used as swap"
    swapoff "${device}p1"
    rm .swap
    qcow_tool 1 stream --source "${device}p1" --destination "$device"
    error_says 'destination: it is the source'
    delpart "$device" 1
}

@test "the file below a loop device is refused, and is the source with it" {
    requires loop
    other_data below 4M
    device=$(make_loop below)
    in_use below "has the loop device $device on it"
    qcow_tool 1 stream --force --source "$device" --destination below
    error_says 'destination: it is the source'
    qcow_tool 1 stream --source below --destination "$device"
    error_says 'destination: it is the source'
    qcow_tool 1 serve --destination "$device" <below
    error_says 'destination: it is the source'
    untouched below
}

@test "a device that is held exclusively is refused; xapi's program warns" {
    requires loop
    other_data below 4M
    device=$(make_loop below)
    ln -s "$(command -v qcow-tool)" qcow-stream-tool
    with_exclusively "$device" sh -c "qcow-tool serve --destination $device \
        <disk.qcow2 2>first; echo \$? >rc; ./qcow-stream-tool stream_decode \
        $device <disk.qcow2 2>second"
    [ "$(cat rc)" = 1 ]
    error_says "destination: $device is held exclusively.*--force" first
    error_says "warning: $device is held exclusively" second
    cmp -n $((512 << 10)) -i $((1 << 20)) disk "$device"
    other_data "$device" 4M
    with_exclusively "$device" qcow-tool serve --force \
        --destination "$device" \
        <disk.qcow2
    same_bytes disk "$device"
}

@test "while a device is written it cannot be opened exclusively" {
    requires loop
    other_data below 4M
    device=$(make_loop below)
    mkfifo pipe
    exec 5<>pipe
    start_tool serving serve --source-fd 5 --destination "$device"
    wait_until 10 eval '! with_exclusively "$device" true 2>busy'
    stderr_says 'Device or resource busy' busy
    cat disk.qcow2 >pipe
    finish_tool serving
    with_exclusively "$device" true
    same_bytes disk "$device"
}
