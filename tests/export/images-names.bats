#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images of names that mean something to QEMU, or to a shell: all are files.

load ../lib/helpers

# reads NAME [FORMAT]
# The disk `disk`, in an image of this name in the current directory.
reads() {
    local format=${2:-qcow2}
    disk_image "$format" disk ".made.$format"
    mv ".made.$format" "./$1"
    sends disk "$format" "$1"
    stream_into stream.qcow2 --source-format "$format" --source "$PWD/$1"
    same_bytes streamable.qcow2 stream.qcow2
}

setup() {
    helpers_setup
    make_disk disk 4M data@1M+300K tail+10K
}

@test "blanks, quotes and backslashes" {
    reads 'an image, with that'
    reads "it's \"one\""
    reads 'back\slash\\es\n'
    # shellcheck disable=SC1003 # a backslash at the end
    reads 'end\'
}

@test "commas and equals signs, which separate QEMU's options" {
    reads 'a,b'
    reads 'file=x,driver=raw'
    reads ',,'
    reads 'x,' vdi
}

@test "colons, which end the names of QEMU's protocols" {
    reads 'a:b'
    reads 'nbd:localhost:10809'
    reads 'nbd+unix:x'
    reads 'fat:rw:x' vmdk
    reads 'file:x'
    reads 'blkdebug::x'
}

@test "names like QEMU's JSON" {
    reads 'json:{"driver":"null-co"}'
    reads '{"driver":"null-co"}'
    reads '[1]'
}

@test "names like options, and like fds" {
    reads '--help'
    reads '-n'
    reads '0'
    reads 'fd:3'
}

@test "characters that are no ASCII, and some that are no text" {
    reads $'na\u00efve \u2603'
    reads $'a\ttab and\na line'
    reads $'latin1 \xe9'
}

@test "percent signs and what a shell would expand" {
    # shellcheck disable=SC2016 # these are the names
    reads '$(touch oops) `touch oops` $HOME'
    reads '%s%n%20'
    reads '* ? [a]'
    [ ! -e oops ]
}

@test "a chain in a directory of such a name" {
    local dir='a, b="c:d"'\''e\f' name='it'\''s "1,2".qcow2'
    mkdir "$dir"
    disk_image qcow2 disk "./$dir/base,file=x.qcow2"
    overlay "./$dir/$name" "base,file=x.qcow2" qcow2
    allocate "./$dir/$name" 3M+4K
    qemu-img convert -f qcow2 -O raw "./$dir/$name" expected.raw
    sends expected.raw qcow2 "$PWD/$dir/$name"
    both_arrive expected.raw qcow2 "$dir/$name"
}

@test "a symbolic link, whose image has a base beside it" {
    mkdir real
    disk_image qcow2 disk real/base.qcow2
    overlay real/image.qcow2 "$PWD/real/base.qcow2" qcow2
    ln -s real/image.qcow2 link
    sends disk qcow2 link
}

@test "a backing file whose name is no text" {
    disk_image qcow2 disk base.qcow2
    mv base.qcow2 $'b\xe4se.qcow2'
    qemu-img create -q -f qcow2 -b $'b\xe4se.qcow2' -F qcow2 image.qcow2
    sends disk qcow2 image.qcow2
}

@test "an open file, by the name of its fd" {
    local fd
    disk_image qcow2 disk image.qcow2
    for fd in /dev/fd/7 /proc/self/fd/7; do
        sends disk qcow2 $fd 7<image.qcow2
    done
    # As it is held open, it need not have a name any more.
    exec 7<image.qcow2
    rm image.qcow2
    sends disk qcow2 /dev/fd/7
    exec 7<&-
    disk_image vdi disk image.vdi
    stream_into out.qcow2 --source-format vdi --source /dev/stdin <image.vdi
    qemu-img compare -q -f raw -F qcow2 disk out.qcow2
}

@test "a VMDK in two files, in a directory whose name is no UTF-8" {
    local dir=$'l\xe4tin'
    mkdir "$dir"
    make_disk disk.raw 2M data@1M+64K
    qemu-img create -q -f vmdk -o subformat=monolithicFlat "$dir/x.vmdk" 2M
    qemu-img convert -n -f raw -O vmdk disk.raw "$dir/x.vmdk"
    stdout_to=out.qcow2 qcow_tool stream --source-format vmdk \
        --source "$dir/x.vmdk"
    same_content disk.raw raw out.qcow2 qcow2
}
