#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Disks out of one xapi-standin and into another, with curl.

load ../lib/helpers

# $out has the VDI disk, $in the VDI copy, as large and full of other data: so
# what an image leaves out has to be zeroed, which takes a xapi with patches.
setup() {
    helpers_setup
    requires curl
    mkdir from to
    make_disk from/disk 16M runs:256K/512K
    other_data to/copy 16M
}

start_both() {
    start_standin out from "$@"
    start_standin in to --patched
}

stop_both() {
    stop_standin out
    stop_standin in
}

# Makes base and base.qcow2 in from/, and from these disk and disk.qcow2, in
# which one MiB is other data, and one is zero.
with_base() {
    mv from/disk from/base
    image from/base from/base.qcow2
    cp from/base from/disk
    make_disk from/disk 16M seed:7 data@5M+1M zeroes@9M+1M
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 from/disk.qcow2
    dd if=from/disk of=piece bs=1M skip=5 count=1 status=none
    qemu-io -f qcow2 -c 'write -q -s piece 5M 1M' \
        -c 'write -q -z 9M 1M' from/disk.qcow2
}

@test "a disk goes out of one and into another" {
    start_both
    download "$out" disk disk.qcow2
    same_content from/disk disk.qcow2
    sound_image disk.qcow2
    upload "$in" copy disk.qcow2
    same_bytes from/disk to/copy
    for name in out in; do
        says $name ': 0%$'
        says $name ': 100%$'
        says $name ': done$'
        run ! grep -i fail $name.says
    done
    stop_both
}

@test "the headers are those of xapi" {
    start_both
    download "$out" disk disk.qcow2 -D headers
    grep '^HTTP/1.1 200 ' headers
    grep -i '^Content-Type: application/x-qemu-disk' headers
    grep -i '^Connection: close' headers
    grep -i '^Task-Id: OpaqueRef:' headers
    grep -i '^Content-Disposition: .*"disk\.qcow2"' headers
    run ! grep -i '^Content-Length' headers
    upload "$in" copy disk.qcow2 -D headers
    grep '^HTTP/1.1 200 ' headers
    grep -i '^Content-Type: application/octet-stream' headers
    grep -i '^Connection: close' headers
    stop_both
}

@test "an export can have its length in the headers" {
    start_both --content-length
    download "$out" disk disk.qcow2 -D headers
    [ "$(tr -d '\r' <headers | sed -n 's/^content-length: //p')" = \
        "$(stat -c %s disk.qcow2)" ]
    same_content from/disk disk.qcow2
    upload "$in" copy disk.qcow2
    same_bytes from/disk to/copy
    stop_both
}

@test "what curl expects is not waited for" {
    start_both
    download "$out" disk disk.qcow2
    upload "$in" copy disk.qcow2 -H 'Expect: 100-continue' -D headers
    run ! grep '^HTTP/1.1 100 ' headers
    same_bytes from/disk to/copy
    other_data to/copy 16M
    upload "$in" copy disk.qcow2 -H 'Expect:' -D headers
    same_bytes from/disk to/copy
    stop_both
}

@test "the image beside a VDI is the map of it, even when a VM has it open" {
    image from/disk from/disk.qcow2
    hold_open from/disk.qcow2
    start_both
    download "$out" disk disk.qcow2
    says out 'source-format hybrid --source .*/disk:/.*/disk\.qcow2 '
    same_content from/disk disk.qcow2
    stop_both
}

@test "a VDI can be a link to a block device" {
    requires root loop
    ln -s "$(make_loop from/disk -r)" from/device
    ln -s "$(make_loop to/copy)" to/device
    start_both
    download "$out" device disk.qcow2
    upload "$in" device disk.qcow2
    same_bytes from/disk "$(readlink to/device)"
    stop_both
}

@test "the difference from a base, onto a copy of that" {
    with_base
    start_standin out from --content-length
    cp from/base to/copy
    start_standin in to --patched --prezeroed
    download "$out" 'disk&base=base' disk.qcow2
    says out 'hybrid .*--relative-to /.*/base\.qcow2'
    [ "$(stat -c %s disk.qcow2)" -lt $((3 << 20)) ]
    upload "$in" copy disk.qcow2
    same_bytes from/disk to/copy
    # The same without maps, of the devices.
    mv from/base.qcow2 away.qcow2
    cp from/base to/copy
    download "$out" 'disk&base=base' disk.qcow2
    says out 'raw .*--relative-to /.*/base$'
    [ "$(stat -c %s disk.qcow2)" -lt $((3 << 20)) ]
    upload "$in" copy disk.qcow2
    same_bytes from/disk to/copy
    stop_both
}

@test "three at once in each direction" {
    local i connections=()
    for i in 1 2 3; do
        make_disk "from/disk$i" 16M seed:$i full
        other_data "to/copy$i" 16M
    done
    start_both
    # The first bytes of all three come before the last ones of any.
    for i in 1 2 3; do
        connect "$out"
        connections[i]=$connection
        get disk$i
        timeout 20 head -c 1000000 <&"$connection" >disk$i.http
    done
    for i in 1 2 3; do
        connection=${connections[i]}
        timeout 20 cat <&"$connection" >>disk$i.http
        leave
        sed '1,/^\r$/d' disk$i.http >disk$i.qcow2
        same_content from/disk$i disk$i.qcow2
    done
    # And all three are seen to move.
    for i in 1 2 3; do
        connect "$in"
        connections[i]=$connection
        put "copy$i&task_id=number$i"
        head -c 9000000 disk$i.qcow2 >&"$connection"
        says in "^number$i: [1-9].%\$"
    done
    for i in 1 2 3; do
        connection=${connections[i]}
        tail -c +9000001 disk$i.qcow2 >&"$connection"
        timeout 20 cat <&"$connection" >/dev/null
        leave
        same_bytes from/disk$i to/copy$i
    done
    stop_both
}

@test "the tool is launched as xapi does it" {
    fake tool <<END
exec >'$PWD/seen'
pwd
env | grep -v ^PWD=
ulimit -n
echo "session \$\$"
cut -d ' ' -f 1,6 /proc/\$\$/stat
grep SigIgn /proc/\$\$/status
grep flags /proc/\$\$/fdinfo/0
for fd in 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    if [ -e /proc/\$\$/fd/\$fd ]; then
        readlink /proc/\$\$/fd/\$fd
    fi
done
END
    start_standin out from --qcow-tool "$fake"
    download "$out" disk disk.qcow2
    local lines
    mapfile -t lines <seen
    [ "${lines[0]}" = / ]
    [ "${lines[1]}" = PATH=/sbin:/usr/sbin:/bin:/usr/bin ]
    [ "${lines[2]}" = 1024 ]
    [ "${lines[4]}" = "${lines[3]#session } ${lines[3]#session }" ]
    # Signals 32 and 33 are the C library's own.
    [ $((0x${lines[5]#*:?} & ~(3 << 31))) = $((0x1000)) ]
    [[ ${lines[6]} == *1 ]]
    # Of all fds the connection only, and what the shell has the script on.
    [ "$(grep -c ^socket: seen)" = 1 ]
    [ "$(grep -Evc '^socket:|fake-tool$' <(tail -n +8 seen))" = 0 ]
    stop_standin out
}
