#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# File systems that know no O_TMPFILE, SEEK_DATA or O_DIRECT.

load ../lib/helpers

setup() {
    helpers_setup
    requires cc
    make_disk disk 4M data@1M+512K
    image disk disk.qcow2
    cc -shared -fPIC \
        -o poor.so "$tests/poor-file-system.c" -ldl
}

# poorly VAR=VALUE... -- COMMAND...
# It sees the file system so, and QEMU's programs with it.
poorly() {
    local variables=()
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    # A build with sanitizers would want its own library to be the first.
    env TMPDIR="$spool" LD_PRELOAD="$PWD/poor.so" \
        ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS:-}" \
        "${variables[@]}" "$@"
}

errno_of() {
    python3 -c 'import errno, sys; print(getattr(errno, sys.argv[1]))' "$1"
}

@test "without O_TMPFILE whatever the errno, the spool gets a name" {
    local name errno
    for name in EOPNOTSUPP ENOENT ENOSYS EPERM; do
        errno=$(errno_of $name)
        poorly POOR_TMPFILE="$errno" -- qcow-tool stream --source disk \
            --destination out.qcow2
        same_content disk out.qcow2
    done
    poorly POOR_TMPFILE="$errno" -- qcow-tool serve --destination copy \
        <disk.qcow2
    same_bytes disk copy
    nothing_left
}

@test "a signal in that moment leaves no name" {
    local rc=0
    poorly POOR_TMPFILE="$(errno_of EISDIR)" POOR_SIGNAL="$(kill -l TERM)" \
        -- qcow-tool serve --destination copy <disk.qcow2 || rc=$?
    [ $rc = $((128 + $(kill -l TERM))) ]
    nothing_left
}

@test "without SEEK_DATA all may be data, whatever the errno" {
    local name
    for name in EOPNOTSUPP ENOSYS; do
        poorly POOR_SEEK="$(errno_of $name)" -- qcow-tool stream \
            --source disk --destination out.qcow2
        same_content disk out.qcow2
        sound_image out.qcow2
    done
}

@test "--direct: a link without O_DIRECT is read through the page cache" {
    local poor
    mv disk.qcow2 base.qcow2
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 middle.qcow2
    guest middle.qcow2 'write -q -P 7 2M 64K'
    qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 top.qcow2
    guest top.qcow2 'write -q -P 8 3M 64K'
    raw_of top.qcow2 expected.raw
    for poor in top middle base; do
        poorly POOR_DIRECT=$poor.qcow2 -- qcow-tool stream --verbose --direct \
            --source-format qcow2 --source top.qcow2 \
            --destination $poor.out 2>stderr
        same_content expected.raw raw "$poor.out" qcow2
        grep -q "$poor.qcow2 is read through the page cache" stderr
        [ "$(grep -c "page cache" stderr)" -eq 1 ]
    done
    nothing_left
}

# What is read back then is zeroes, and no read says so.
@test "a spool that has lost what was written to it is no success" {
    local eio lost="spool: cannot keep what was written to it: Input/output"
    eio=$(errno_of EIO)
    run -1 poorly POOR_KEEPING="$eio" -- bash -c \
        'set -o pipefail; qcow-tool stream --source disk | cat >cut.qcow2'
    [[ "$output" == *"$lost"* ]]
    qcow-tool stream --source disk >whole.qcow2
    [ "$(stat -c %s cut.qcow2)" -lt "$(stat -c %s whole.qcow2)" ]
    run -1 poorly POOR_KEEPING="$eio" -- qcow-tool stream --source disk \
        --layout convert --destination out.qcow2
    [[ "$output" == *"$lost"* ]]
    [ ! -e out.qcow2 ]
    run -1 poorly POOR_KEEPING="$eio" -- qcow-tool serve --destination out \
        <whole.qcow2
    [[ "$output" == *"$lost"* ]]
    [ ! -e out ]
    run -1 poorly POOR_KEEPING="$eio" -- qcow-tool measure --source disk
    [[ "$output" == *"$lost"* ]]
    run -1 poorly POOR_KEEPING="$eio" -- bash -c \
        'cat whole.qcow2 | qcow-tool validate --stream -'
    [[ "$output" == *"$lost"* ]]
}
