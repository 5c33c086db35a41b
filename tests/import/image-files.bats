#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# `serve --destination-format`: a stream becomes a new image file. That of
# images of all kinds is in images.bats.

load ../lib/helpers

# becomes FORMAT IMAGE [SERVE-ARG...]
# IMAGE arrives as image.FORMAT, of which the disk is the same.
becomes() {
    send_image "$2" -- --destination "image.$1" --destination-format "$1" \
        "${@:3}"
    [ ! -s receiver.stderr ]
    same_image "$2" "image.$1" "$1"
    only_new "image.$1"
}

# is_made FORMAT
is_made() {
    [[ " ${formats[*]} " == *" $1 "* ]]
}

# only_new [NAME]
# Nothing else was made here, and nothing is left.
only_new() {
    local found
    found=$(find . -newer .before -name '.qcow-tool*' -o -newer .before \
        -name 'image*' | sort)
    [ "$found" = "${1:+./$1}" ] || {
        echo "made: $found" >&2
        return 1
    }
    nothing_left
}

setup() {
    helpers_setup
    find_formats
    make_disk disk.raw 12M runs:256K/512K pieces:20 tail+512
    image disk.raw disk.qcow2
    touch .before
    # File times are those of the kernel's ticks.
    wait_until 5 eval 'touch .after && [ .after -nt .before ]'
}

# fails REGEX [SERVE-ARG...]
fails() {
    qcow_tool 1 serve image --destination-format "${format:-qcow2}" \
        "${@:2}" <"${image:-disk.qcow2}"
    error_says "^qcow-tool: serve: $1"
    one_line stderr
    only_new
}

@test "each format holds the disk, as qemu-img compare sees it" {
    local format
    for format in "${formats[@]}"; do
        becomes "$format" disk.qcow2
        rm "image.$format"
    done
}

@test "a compressed stream becomes a plain image, in the clusters asked for" {
    qemu-img convert -c -f raw -O qcow2 disk.raw packed.qcow2
    becomes qcow2 packed.qcow2 \
        --destination-options cluster_size=4k,compat=0.10
    sound_image image.qcow2
    qemu-img info --output=json image.qcow2 >info
    [ "$(jq '."cluster-size"' info)" = 4096 ]
    [ "$(jq -r '."format-specific".data.compat' info)" = 0.10 ]
    [ "$(stat -c %s image.qcow2)" -gt "$(stat -c %s packed.qcow2)" ]
}

@test "a scattered stream becomes an image, and what is not data takes none" {
    # Its tables come last, and its clusters in any order.
    qemu-img create -q -f qcow2 -o cluster_size=4k grown.qcow2 256M
    local at commands=()
    for at in {30..1}; do
        commands+=("write -q -P $at ${at}M 20K")
    done
    guest grown.qcow2 "${commands[@]}" 'write -q -z 200M 10M'
    becomes qcow2 grown.qcow2
    [ "$(stat -c %s image.qcow2)" -lt $((4 << 20)) ]
}

@test "the size is that of the disk, where the format would have another" {
    local size format
    for size in 512 1025536 10486272; do
        qemu-img create -q -f qcow2 odd.qcow2 $size
        guest odd.qcow2 "write -q -P 5 $((size - 512)) 512"
        for format in "${formats[@]}"; do
            becomes "$format" odd.qcow2
            [ "$(virtual_size "image.$format" "$format")" = $size ]
            rm "image.$format"
        done
    done
}

@test "a disk that is too large for a format is refused" {
    qemu-img create -q -f qcow2 large.qcow2 3T
    image=large.qcow2 format=vpc
    fails 'destination: cannot create image: QEMU: .*too large'
    is_made vhdx || return 0
    qemu-img create -q -f qcow2 large.qcow2 65T
    format=vhdx
    fails 'destination: cannot create image: QEMU: .*too large'
}

@test "an image whose disk has come out smaller is refused" {
    fake qemu-img <<\END
[ "$1" = create ] || exec qemu-img "$@"
for word; do
    case $word in 12582912) word=12582400 ;; esac
    set -- "$@" "$word"
    shift
done
exec qemu-img "$@"
END
    # What would be lost are zeroes, which nobody writes.
    qemu-img create -q -f qcow2 empty.qcow2 12M
    image=empty.qcow2
    fails 'destination: qcow2 of 12582912 bytes would have a .* of 12582400$' \
        --qemu-img "$fake"
}

@test "a VMDK has its own name in it" {
    mkdir 'a b'
    qcow_tool serve 'a b/c, d.vmdk' --destination-format vmdk <disk.qcow2
    head -c 2048 'a b/c, d.vmdk' | grep -aq 'SPARSE "c, d.vmdk"'
    [ "$(ls -A 'a b')" = 'c, d.vmdk' ]
}

@test "a fixed VHD, a fixed VHDX and a static VDI" {
    local option
    for option in vpc:subformat=fixed vhdx:subformat=fixed vdi:static=on; do
        is_made "${option%%:*}" || continue
        becomes "${option%%:*}" disk.qcow2 --destination-options "${option#*:}"
        [ "$(stat -c %s image.*)" -ge $((12 << 20)) ]
        rm image.*
    done
}

@test "--prezeroed makes an image of a difference over zeroes" {
    kinds_of_ranges
    becomes qcow2 kinds.qcow2 --prezeroed
}

@test "its name is there when all of the disk is, and not before" {
    # It waits for the rest of the stream, with what has come in the image.
    start_tool slow serve image.qcow2 --destination-format qcow2 --verbose \
        --source-fd 5 5< <(head -c 3000000 disk.qcow2
            wait_until 20 test -e go
            tail -c +3000001 disk.qcow2)
    wait_until 10 eval 'ls .qcow-tool.* 2>/dev/null'
    [ ! -e image.qcow2 ]
    touch go
    finish_tool slow
    same_image disk.qcow2 image.qcow2 qcow2
    only_new image.qcow2
}

@test "a file that is there is left alone, and --force replaces it" {
    echo mine >image
    chmod 640 image
    touch -d yesterday image
    fails 'destination: cannot create image \(--force replaces it\): File'
    [ "$(<image)" = mine ]
    ln image other
    qcow_tool serve image --destination-format qcow2 --force <disk.qcow2
    same_image disk.qcow2 image qcow2
    [ "$(stat -c %a image)" = 640 ]
    # It is another file, not that one written over.
    [ "$(<other)" = mine ]
}

@test "with --force a failure leaves what was there" {
    echo mine >image
    touch -d yesterday image
    head -c 2000000 disk.qcow2 >short.qcow2
    image=short.qcow2
    fails 'source: truncated' --force
    [ "$(<image)" = mine ]
}

@test "a new file has the rights that the umask gives" {
    (umask 027 && qcow_tool serve image --destination-format vdi <disk.qcow2)
    [ "$(stat -c %a image)" = 640 ]
}

@test "what is no file is refused, and where there can be none" {
    mkdir dir
    qcow_tool 1 serve dir --destination-format qcow2 <disk.qcow2
    error_says 'destination: dir is not a file'
    qcow_tool 1 serve none/image --destination-format qcow2 <disk.qcow2
    error_says 'destination: cannot create none/image: No such file'
    ln -s nowhere link
    qcow_tool 1 serve link --destination-format qcow2 <disk.qcow2
    error_says 'destination: link is not a file'
    only_new
}

@test "options that QEMU does not know are told in its words" {
    fails 'destination: cannot create image: QEMU: .*foo' \
        --destination-options foo=1
    fails 'destination: cannot create image: QEMU: .*[Cc]luster size' \
        --destination-options cluster_size=5
}

@test "a file system that is full is an error with the disk offset" {
    (ulimit -f 3000 && qcow_tool 1 serve image --destination-format qcow2 \
        <disk.qcow2)
    error_says 'destination: cannot write at disk offset [0-9]+: No space left'
    only_new
}

@test "a stream that breaks off leaves nothing" {
    head -c 2000000 disk.qcow2 >short.qcow2
    image=short.qcow2
    fails 'source: truncated'
    format=vmdk
    fails 'source: truncated'
}

# waits_for_more NAME
# Some of the disk is in the image, of which the rest does not come.
waits_for_more() {
    mkfifo fifo
    exec 6<>fifo
    in_background cat disk.qcow2 >fifo
    start_tool "$1" serve image --destination-format qcow2 \
        --source-fd 5 --source-size 100M 5<fifo 6>&-
    wait_until 10 eval 'ls .qcow-tool.* 2>/dev/null'
    wait_until 10 eval '[ "$(du -k .qcow-tool.* | cut -f 1)" -gt 1000 ]'
}

@test "a signal leaves nothing" {
    waits_for_more ended
    kill "$(cat ended.pid)"
    finish_tool ended 143
    only_new
}

@test "a qemu-nbd that is killed is named" {
    fake qemu-nbd <<\END
case "$*" in *--read-only*) exec qemu-nbd "$@" ;; esac
echo "the disk is on fire" >&2
kill -9 $$
END
    qcow_tool 1 serve image --destination-format qcow2 --qemu-nbd "$fake" \
        <disk.qcow2
    error_says 'serve: destination: .*the disk is on fire'
    only_new
}

@test "a qemu-nbd that fails as it closes the image is a failure" {
    fake qemu-nbd <<\END
case "$*" in *--read-only*) exec qemu-nbd "$@" ;; esac
sh -c 'LISTEN_PID=$$ exec qemu-nbd "$@"' sh "$@"
echo "no space for the last table" >&2
exit 1
END
    fails 'destination: QEMU: no space for the last table' --qemu-nbd "$fake"
}

@test "an image that does not reach stable storage is a failure" {
    requires cc
    # QEMU itself calls fdatasync.
    cc -shared -fPIC -o no-sync.so -x c - <<\END
#include <errno.h>
int fsync(int fd) { (void)fd; errno = EIO; return -1; }
END
    LD_PRELOAD="$PWD/no-sync.so" \
        ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 fails \
        'destination: cannot flush image: Input/output error'
}

@test "a qemu-nbd that does nothing is named by --stall-timeout" {
    fake qemu-nbd <<\END
case "$*" in *--read-only*) exec qemu-nbd "$@" ;; esac
exec sleep 31416
END
    fails 'nothing has moved for 1 s: qemu-nbd is waited for in vain' \
        --qemu-nbd "$fake" --stall-timeout 1
}

@test "options that go together with none are refused" {
    qcow_tool 2 serve image --destination-options cluster_size=4k
    error_says '--destination-options are those of an image'
    qcow_tool 2 serve nbd://host --destination-format qcow2
    error_says 'an image is made in a new file'
    qcow_tool 2 serve image --destination-format qcow2 --direct
    error_says '--direct is for a raw disk'
    local option
    for option in backing_file=a compat=1.1,data_file=b encrypt.format=luks \
        subformat=streamOptimized help '?' size=1G ''; do
        qcow_tool 2 serve image --destination-format vmdk \
            --destination-options "$option"
        error_says "--destination-options: '.*' is not supported"
    done
}
