#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# `serve` onto an NBD export: servers that work, each in its way.

load ../lib/helpers

setup() {
    helpers_setup
    kinds_of_ranges
}

# serves_file [FILTER...] -- [PARAMETER...]
# nbdkit has the file `export`, which is full of other data.
serves_file() {
    local filters=()
    while [ "$1" != -- ]; do
        filters+=("--filter=$1")
        shift
    done
    other_data export "${size:-16M}"
    nbd_server unix nbdkit "${filters[@]}" file export "${@:2}"
}

# lands [SERVE-ARG...]
# The image arrives in the export, of which nothing is left.
lands() {
    send_image "${image:-kinds.qcow2}" -- --destination "$uri" "$@"
    [ ! -s receiver.stderr ]
    same_bytes "${expected:-kinds.raw}" export
    nothing_left
}

@test "nbdkit, over as many connections as the client wants" {
    serves_file --
    lands
}

@test "qemu-nbd on a Unix socket, and over TCP" {
    other_data export 16M
    nbd_server unix qemu-nbd --persistent --shared 8 -f raw export
    lands
    other_data export 16M
    nbd_server 127.0.0.1 qemu-nbd --persistent -f raw export
    qcow_tool serve "$uri" <kinds.qcow2
    same_bytes kinds.raw export
}

@test "qemu-nbd ends when its only client has done" {
    other_data export 16M
    nbd_server unix qemu-nbd -f raw export
    lands
    wait "$listener"
}

@test "a qcow2 image behind qemu-nbd, by the name of its export" {
    qemu-img create -q -f qcow2 -o cluster_size=2M export 16M
    guest export 'write -q -P 0xaa 0 16M'
    nbd_server unix qemu-nbd --persistent -x 'a disk' --discard=unmap \
        -f qcow2 export
    send_image kinds.qcow2 -- --destination "$(exported a%20disk)"
    same_content kinds.qcow2 "$(exported a%20disk)"
}

@test "qemu-storage-daemon" {
    requires qemu-storage-daemon
    other_data export 16M
    in_background qemu-storage-daemon \
        --blockdev driver=file,node-name=disk,filename=export \
        --nbd-server addr.type=unix,addr.path="$PWD/qsd.sock" \
        --export type=nbd,id=disk,node-name=disk,writable=on
    wait_until 10 test -S qsd.sock
    uri="nbd+unix:///disk?socket=$PWD/qsd.sock"
    lands
}

@test "a compressed image, and one whose tables come last" {
    make_disk disk.raw 16M runs:256K/512K pieces:20 tail+512
    qemu-img convert -c -f raw -O qcow2 disk.raw packed.qcow2
    image=packed.qcow2 expected=disk.raw
    serves_file --
    lands
    tables_last last.qcow2 16M
    qemu-img convert -f qcow2 -O raw last.qcow2 last.raw
    image=last.qcow2 expected=last.raw
    serves_file --
    lands
}

@test "--prezeroed leaves alone what is unallocated, and only that" {
    serves_file --
    only_allocated kinds.qcow2 expected.raw
    expected=expected.raw
    lands --prezeroed
}

@test "an export that is larger is written at its start" {
    size=17M serves_file --
    send_image kinds.qcow2 -- --destination "$uri"
    cmp -n $((16 << 20)) kinds.raw export
    cmp -i $((16 << 20)) -n $((1 << 20)) export \
        <(head -c 17M /dev/zero | tr '\0' '\252')
}

@test "a server that says it takes one connection only" {
    requires nbdkit:multi-conn
    serves_file multi-conn log -- multi-conn-mode=disable logfile=log
    lands
    [ "$(grep -c 'Connect ' log)" = 1 ]
}

@test "a server that allows several connections is written to over four" {
    requires nbdkit:multi-conn
    local mode
    make_disk disk.raw 16M full
    image disk.raw disk.qcow2
    image=disk.qcow2 expected=disk.raw
    for mode in plugin emulate; do
        # What is in flight for long goes over all of them.
        serves_file log multi-conn delay -- multi-conn-mode=$mode \
            wdelay=100ms logfile=log.$mode
        lands
        [ "$(grep -oE 'connection=[0-9]+ Write ' log.$mode | sort -u |
            wc -l)" = 4 ]
        # Flushed over one, it is flushed over all.
        [ "$(grep -c ' Flush ' log.$mode)" = 1 ]
    done
}

@test "a server that takes only requests that are aligned" {
    requires nbdkit:blocksize-policy
    local block
    # Of the image's data some ends inside a block, of sectors of 512 bytes.
    make_disk disk.raw 16M data@64K+512 data@1M+100K pieces:20 tail+512
    image disk.raw small.qcow2 cluster_size=512
    image=small.qcow2 expected=disk.raw
    for block in 4096 65536; do
        serves_file blocksize-policy -- blocksize-minimum=$block \
            blocksize-preferred=65536 blocksize-error-policy=error
        lands
    done
}

@test "a server that takes only small requests, or likes large ones" {
    requires nbdkit:blocksize-policy
    serves_file blocksize-policy -- blocksize-maximum=65536 \
        blocksize-error-policy=error
    lands
    make_disk disk.raw 16M full
    image disk.raw disk.qcow2
    image=disk.qcow2 expected=disk.raw
    serves_file blocksize-policy log -- blocksize-preferred=1M logfile=log
    lands
    grep -q ' Write id=[0-9]* offset=0x[1-9a-f]00000 count=0x100000 ' log
}

@test "an image larger than the export by less than a cluster, in blocks" {
    requires nbdkit:blocksize-policy
    size=$((4 << 20)) serves_file blocksize-policy -- \
        blocksize-minimum=4096 blocksize-error-policy=error
    qemu-img create -q -f qcow2 disk.qcow2 $(((4 << 20) + 512))
    guest disk.qcow2 "write -q -P 5 4190000 4304" "write -q -P 7 0 700"
    qemu-img convert -f qcow2 -O raw disk.qcow2 expected.raw
    truncate -s 4M expected.raw
    image=disk.qcow2 expected=expected.raw
    lands
}

@test "a disk that ends inside a block of the server's" {
    requires nbdkit:blocksize-policy
    local end=$(((3 << 20) + 1024))
    size=4M serves_file blocksize-policy -- blocksize-minimum=4096 \
        blocksize-error-policy=error
    qemu-img create -q -f qcow2 disk.qcow2 $end
    guest disk.qcow2 "write -q -P 5 $((end - 700)) 700"
    qemu-img convert -f qcow2 -O raw disk.qcow2 expected.raw
    send_image disk.qcow2 -- --destination "$uri"
    cmp -n $end expected.raw export
    cmp -i $end -n 1024 export <(head -c 4M /dev/zero | tr '\0' '\252')
}

# scripted_server [--filter=FILTER] METHOD=SCRIPT...
# A server that has its methods from scripts, on the same file.
# shellcheck disable=SC2016 # for the server's shell
scripted_server() {
    local filter=--filter=nofilter
    if [[ ${1:-} = --filter=* ]]; then
        filter=$1
        shift
    fi
    other_data export 16M
    nbd_server unix nbdkit $filter --filter=log eval logfile=log \
        get_size='stat -c %s export' can_write='exit 0' \
        pread='dd if=export bs=64K iflag=skip_bytes,count_bytes \
            skip=$4 count=$3 status=none' \
        pwrite='dd of=export bs=64K oflag=seek_bytes conv=notrunc \
            seek=$4 status=none' "$@"
}

@test "zeroes are asked for fast first, and as the server can if it cannot" {
    # shellcheck disable=SC2016 # for the server's shell
    scripted_server can_zero='exit 0' can_fast_zero='exit 0' \
        can_flush='exit 0' flush='exit 0' \
        zero='case $5 in *fast*) echo ENOTSUP no >&2; exit 1 ;; esac
            head -c $3 /dev/zero | dd of=export bs=64K oflag=seek_bytes \
                conv=notrunc seek=$4 status=none'
    lands
    grep -q ' Zero .* trim=1 fua=0 fast=1' log
    grep -q ' Zero .* trim=1 fua=0 fast=0' log
}

@test "--discard ignore keeps the space that zeroes take" {
    serves_file log -- logfile=log
    lands --discard ignore
    grep -q ' Zero ' log
    run ! grep -q ' Zero .* trim=1' log
    # Of a file it is seen.
    other_data copy.raw 16M
    sync copy.raw
    send_image kinds.qcow2 -- --destination copy.raw --discard ignore
    same_bytes kinds.raw copy.raw
    [ "$(stat -c %b copy.raw)" -ge 32768 ]
}

@test "a server that cannot zero is trimmed, if that makes zeroes" {
    serves_file nozero log -- logfile=log
    lands
    grep -q ' Trim ' log
    run ! grep -q ' Zero ' log
    # The data, and not one of the zeroes.
    [ "$(grep -c ' Write ' log)" -lt 20 ]
}

@test "a server that cannot zero, nor trim so that it is seen, is sent zeroes" {
    serves_file nozero noextents log -- logfile=log
    lands
    # Once it is tried.
    [ "$(grep -c ' Trim ' log)" = 1 ]
    serves_file nozero log -- logfile=log2
    lands --discard ignore
    run ! grep -q ' Trim ' log2
}

@test "trimming that leaves what was there is made good by writing" {
    scripted_server --filter=nozero can_trim='exit 0' trim='exit 0' \
        can_extents='exit 0' extents='echo 0 16M 0' \
        can_flush='exit 0' flush='exit 0'
    lands
    grep -q ' Trim ' log
}

@test "a trim that fails, and its check, are made good by writing" {
    serves_file log error nozero -- logfile=log error-trim-rate=100% \
        error=EPERM
    lands
    # Once it is tried.
    [ "$(grep -c ' Trim ' log)" = 1 ]
    scripted_server --filter=nozero can_trim='exit 0' trim='exit 0' \
        can_extents='exit 0' extents='echo EIO broken >&2; exit 1' \
        can_flush='exit 0' flush='exit 0'
    lands
    grep -q ' Trim ' log
}

@test "a server is flushed at the end, and not before" {
    serves_file log -- logfile=log
    lands
    [ "$(grep -c ' Flush ' log)" = 1 ]
    tail -n 20 log | grep -q ' Flush '
}

@test "a server that cannot flush writes through, or that is said" {
    scripted_server can_fua='echo native'
    lands
    grep -q ' Write .*fua=1' log
    run ! grep -q ' Write .*fua=0' log
    scripted_server
    send_image kinds.qcow2 -- --destination "$uri"
    error_says 'warning: destination: the NBD server cannot flush' \
        receiver.stderr
    same_bytes kinds.raw export
}

@test "a server that is slow has many requests at a time" {
    # 60 writes that take 0.2 s each, one after the other, are 12 s.
    make_disk disk.raw 16M full
    image disk.raw disk.qcow2
    image=disk.qcow2 expected=disk.raw
    serves_file delay log -- wdelay=200ms logfile=log
    time_limit=8 lands
    [ "$(grep -c ' Write ' log)" -ge 60 ]
}

@test "nbds with a key of both sides" {
    requires nbdkit
    qcow-tool --version | grep -qE '^libnbd 1\.[0-9]\.' &&
        skip 'libnbd here has no TLS in URIs'
    printf 'alice:%064d\n' 1 >keys
    printf 'alice:%064d\n' 2 >other
    other_data export 16M
    nbd_server 127.0.0.1 nbdkit --tls=require --tls-psk="$PWD/keys" \
        file export
    uri="nbds://alice@127.0.0.1:$port/?tls-psk-file=$PWD/keys"
    lands
    other_data export 16M
    qcow_tool 1 serve "nbds://alice@127.0.0.1:$port/?tls-psk-file=$PWD/other" \
        <kinds.qcow2
    error_says 'destination: .*(TLS|tls|gnutls)'
    untouched export
}

@test "a server that need not prove who it is gets nothing" {
    qcow_tool 1 serve "nbds+unix:///?socket=$PWD/none.sock" <kinds.qcow2
    error_says '^qcow-tool: serve: destination: cannot verify who nbds\+unix'
}
