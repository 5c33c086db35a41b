#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# This program with the QEMU of other releases of Debian, taken out of suites
# that scripts/dev/with-suite has installed.  None is installed for it:
#
#     scripts/dev/with-suite bullseye true

load ../lib/helpers

# qemu_of SUITE
# Has $qemu name the options for QEMU's programs of a suite.  They are copied,
# with all that they load: who runs them may not look into a cache.  They are
# run by the loader that is theirs, so the sandbox takes them for scripts.
qemu_of() {
    local root=${XDG_CACHE_HOME:-$HOME/.cache}/qcow-tool/$1 loader libraries
    local program
    [ -x "$root/usr/bin/qemu-nbd" ] || skip "needs with-suite $1"
    loader=$(compgen -G "$root/usr/lib/*-linux*/ld-linux*.so.*")
    libraries=${loader%/*}
    mkdir -p "$1"
    cp -L "$loader" "$1/loader"
    chmod 755 "$BATS_TEST_TMPDIR" "$1"
    qemu=()
    for program in qemu-img qemu-io qemu-nbd; do
        "$loader" --library-path "$libraries" --list \
            "$root/usr/bin/$program" | awk '$2 == "=>" { print $3 }' |
            xargs cp -Lu -t "$1"
        cp "$root/usr/bin/$program" "$1/$program.real"
        printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' \
            "$PWD/$1/loader" "$PWD/$1" "$PWD/$1/$program.real" >"$1/$program"
        chmod 755 "$1/$program"
        qemu+=("--$program" "$PWD/$1/$program")
    done
    "$1/qemu-img" --version
    # It is not the host's that is at work.
    run ! diff -q "$1/qemu-img.real" "$(command -v qemu-img)"
}

# streams_same ARG...: by both QEMUs
streams_same() {
    qcow_tool stream --destination here.qcow2 "$@"
    qcow_tool stream --destination there.qcow2 "${qemu[@]}" "$@"
    same_bytes here.qcow2 there.qcow2
    rm here.qcow2 there.qcow2
}

# comes_in IMAGE
comes_in() {
    qcow_tool serve --destination copy.raw "${qemu[@]}" <"$1"
    same_content "$1" qcow2 copy.raw
    rm copy.raw
}

# works_with SUITE
works_with() {
    qemu_of "$1"
    make_disk disk.raw 20M runs:256K/512K
    streams_same --source disk.raw
    streams_same --source disk.raw --cluster-size 4K --refcount-bits 64
    streams_same --source disk.raw --layout convert
    # So long a range is preallocated, in a way that is for old ones another.
    truncate -s 640M hole
    qemu-img create -q -f qcow2 -o preallocation=metadata all.qcow2 640M
    streams_same --source-format hybrid --source hole:all.qcow2 \
        --refcount-bits 64

    image disk.raw base.qcow2 cluster_size=64K
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 20M
    qemu-io -t unsafe -c 'write -P 3 5M 100k' -c 'write -z 9M 1M' top.qcow2
    streams_same --source-format qcow2 --source top.qcow2
    streams_same --source-format qcow2 --source top.qcow2 \
        --relative-to base.qcow2

    comes_in base.qcow2
    qemu-img convert -c -f raw -O qcow2 disk.raw compressed.qcow2
    comes_in compressed.qcow2
    nothing_left
}

@test "with the QEMU of Debian 11 the streams are the same, and come in" {
    works_with bullseye
}

@test "the QEMU of Debian 11 makes no VHDX, of which it would lose data" {
    qemu_of bullseye
    make_disk disk.raw 4M data@1M+64K
    image disk.raw disk.qcow2
    qcow_tool 1 serve new.vhdx --destination-format vhdx "${qemu[@]}" \
        <disk.qcow2
    error_says 'destination: .*new.vhdx: QEMU: .* loses data of a VHDX image'
    one_line stderr
    [ ! -e new.vhdx ]
    nothing_left
    # It does, with a program of its own, too.
    "$PWD/bullseye/qemu-img" create -q -f vhdx -o block_size=1M lost.vhdx 2M
    "$PWD/bullseye/qemu-io" -f vhdx -c 'write -q -P 7 1M 512' \
        -c 'write -q -P 7 0 512' lost.vhdx
    run -1 "$PWD/bullseye/qemu-io" -f vhdx -c 'read -P 7 1M 512' lost.vhdx
    nothing_left
}

@test "with the QEMU of Debian 13 the streams are the same, and come in" {
    works_with trixie
}

@test "with the QEMU of Debian unstable the streams are the same, and come in" {
    works_with sid
}
