#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# VDIs go through scripts/xapi/qcow_tool_wrapper.ml, which is compiled with
# stand-ins for the modules of xapi that it uses, and launched as xapi does.

load ../lib/helpers

setup_file() {
    compile_wrapper
}

# A device, and the image below it; a device with old data.
setup() {
    helpers_setup
    find_wrapper
    size=$((20 << 20))
    make_disk disk 20M runs:256K/512K data@1M+64K
    image disk disk.qcow2
    other_data copy 20M
}

# export_to FILE ARG... : the wrapper's send; a client takes the image.
export_to() {
    local file=$1
    shift
    through_socketpair "$wrapper" "$tool" send '{}' "$@" -- \
        python3 "$tests/drain.py" '{}' "$file"
}

# import_from FILE ARG... : the wrapper's receive; a client has the image.
import_from() {
    local file=$1
    shift
    through_socketpair python3 "$tests/send.py" '{}' "$file" -- \
        "$wrapper" "$tool" receive '{}' "$@"
}

@test "a VDI goes out and comes in, the wrapper at both ends" {
    through_socketpair "$wrapper" "$tool" send '{}' "$PWD/disk" "$size" -- \
        "$wrapper" "$tool" receive '{}' "$PWD/copy" prezeroed=false
    ended sender complete '^done$'
    ended receiver complete '^done$'
    [ "$(wc -l <sender.stdout)" -gt 5 ]
    [ "$(wc -l <receiver.stdout)" -gt 5 ]
    same_bytes disk copy
    nothing_left
}

# only_64k_at_1m IMAGE
# No more than that of the disk is in it.
only_64k_at_1m() {
    qemu-img map --output=json -f qcow2 "$1" |
        jq -c 'map(select(.data)) | map([.start, .length])' >.map
    [ "$(cat .map)" = "[[1048576,65536]]" ]
    qemu-img convert -f qcow2 -O raw "$1" guest
    cmp -n 65536 disk guest 1048576 1048576
}

@test "the map of the image below the device is used" {
    qemu-img create -q -f qcow2 disk.qcow2 20M
    qemu-io -f qcow2 -c 'write -q 1M 64K' disk.qcow2
    export_to out.qcow2 "$PWD/disk" "$size"
    ended sender complete '^done$'
    only_64k_at_1m out.qcow2
}

@test "a device without an image is exported as a raw one" {
    rm disk.qcow2
    export_to out.qcow2 "$PWD/disk" "$size"
    ended sender complete '^done$'
    same_content disk raw out.qcow2
}

@test "what the image does not allocate is left alone, or zeroed if asked" {
    only_allocated disk.qcow2 expected
    import_from disk.qcow2 "$PWD/copy"
    ended receiver complete '^done$'
    same_bytes expected copy
    import_from disk.qcow2 "$PWD/copy" prezeroed=false
    same_bytes disk copy
}

@test "a length is that of the request, whether it was known or not" {
    local length
    for length in $(stat -c %s disk.qcow2) 0 $((1 << 50)); do
        import_from disk.qcow2 "$PWD/copy" length="$length" prezeroed=false
        ended receiver complete '^done$'
        same_bytes disk copy
        other_data copy 20M
    done
}

@test "an export that fails raises what the tool said first" {
    expect="1 0" export_to out.qcow2 "$PWD/missing" "$size"
    ended sender failed \
        '^VDI_IO_ERROR: qcow-tool: .*/missing.*No such file or directory$'
    [ ! -s out.qcow2 ]
    nothing_left
}

@test "an export whose client leaves raises that" {
    expect="1 0" through_socketpair \
        "$wrapper" "$tool" send '{}' "$PWD/disk" "$size" -- \
        python3 "$tests/drain.py" '{}' part --leave-after 100000
    ended sender failed '^VDI_IO_ERROR: qcow-tool: .*destination.*'
    nothing_left
}

@test "an import of half an image raises what the tool said first" {
    head -c 3000000 disk.qcow2 >half.qcow2
    expect="0 1" import_from half.qcow2 "$PWD/copy"
    ended receiver failed '^VDI_IO_ERROR: qcow-tool: .*offset 3000000'
    nothing_left
}

@test "an import of nothing raises that, and touches nothing" {
    : >empty
    expect="0 1" import_from empty "$PWD/copy"
    ended receiver failed '^VDI_IO_ERROR: qcow-tool: .*'
    untouched copy
    nothing_left
}

@test "an import onto a device that is too small raises that" {
    other_data copy 19M
    expect="* 1" import_from disk.qcow2 "$PWD/copy"
    ended receiver failed '^VDI_IO_ERROR: qcow-tool: .*/copy.*'
    untouched copy
}

# A disk over a base: images, and the devices that show them.
make_difference() {
    mv disk base
    mv disk.qcow2 base.qcow2
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 disk.qcow2
    qemu-io -f qcow2 -c 'write -q -P 7 1M 300K' -c 'write -q -z 5M 1M' \
        disk.qcow2
    qemu-img convert -f qcow2 -O raw disk.qcow2 disk
}

# The difference of the two goes out, is small, and comes in onto a clone.
moves_difference() {
    export_to out.qcow2 "$PWD/disk" "$size" "$PWD/base"
    ended sender complete '^done$'
    sound_image out.qcow2
    [ "$(stat -c %s out.qcow2)" -lt $((2 << 20)) ]
    cp base copy
    import_from out.qcow2 "$PWD/copy"
    ended receiver complete '^done$'
    same_bytes disk copy
    nothing_left
}

@test "a differential export of images makes the VDI of a clone of its base" {
    make_difference
    moves_difference
}

@test "a differential export of devices makes the VDI of a clone of its base" {
    make_difference
    rm disk.qcow2 base.qcow2
    moves_difference
}

@test "a differential export from a base that cannot be read raises that" {
    make_difference
    qemu-img rebase -q -u -f qcow2 -b '' disk.qcow2
    head -c 1000 /dev/zero >base.qcow2
    expect="1 0" export_to out.qcow2 "$PWD/disk" "$size" "$PWD/base"
    ended sender failed '^VDI_IO_ERROR: qcow-tool: .*/base.qcow2'
    [ ! -s out.qcow2 ]
    nothing_left
}

# An image in which only 64K at 1M are allocated, behind an NBD server.
serve_disk() {
    qemu-img create -q -f qcow2 served.qcow2 20M
    qemu-io -f qcow2 -c 'write -q 1M 64K' served.qcow2
    in_background qemu-nbd -f qcow2 --read-only --persistent \
        --socket "$PWD/nbd.sock" --export-name export-1 served.qcow2
    wait_until 10 test -S nbd.sock
    printf '%s\n' "$PWD/nbd.sock" export-1 >disk.nbd
}

@test "an NBD device is exported by the map of its server" {
    rm disk.qcow2
    serve_disk
    export_to out.qcow2 "$PWD/disk" "$size"
    ended sender complete '^done$'
    only_64k_at_1m out.qcow2
    nothing_left
}

@test "an NBD device whose server is gone raises that" {
    printf '%s\n' "$PWD/nbd.sock" export-1 >disk.nbd
    expect="1 0" export_to out.qcow2 "$PWD/disk" "$size"
    ended sender failed \
        '^VDI_IO_ERROR: qcow-tool: .*source: .*connect.*No such file'
    [ ! -s out.qcow2 ]
    nothing_left
}

@test "the example of a configuration has xapi's settings, and our programs" {
    local example=$tests/../../scripts/xapi/qcow-tool.conf program
    sed -n 's/^#\? \?\(qcow_[a-z_]*\) = .*/\1/p' "$example" | cmp - \
        <(printf '%s\n' qcow_stream_tool qcow_to_stdout qcow_stream_tool)
    # Of each path the last component says what the program does.
    while read -r program; do
        [[ $program = /usr/*/"${program##*/}" ]]
        ln -sf "$tool" "${program##*/}"
        run -0 "./${program##*/}" --help
        [[ $output = "Usage: ${program##*/} "* ]]
    done < <(sed -n 's/^#\? \?qcow_[a-z_]* = //p' "$example")
}
