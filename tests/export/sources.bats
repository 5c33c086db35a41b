#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What all source formats have in common, and the qemu-nbd behind images of
# which QEMU has no map, such as a VHDX.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 8M full
    disk_image qcow2 disk image.qcow2
    disk_image vhdx disk image.vhdx
}

@test "the help names every format" {
    qcow_tool stream --help
    local word
    for word in raw hybrid qcow2 vpc vhdx vmdk vdi nbd nbdhybrid; do
        grep -Eq "(^|[^a-z])$word([^a-z]|\$)" stdout
    done
}

@test "a format that is none is a usage error that names all there are" {
    local bad word
    for bad in qcow vhd RAW nbds '' qcow2,raw; do
        refused 2 --source-format "$bad" --source image.qcow2
        error_says "format.*'?$bad"
        for word in raw hybrid qcow2 vpc vhdx vmdk vdi nbd nbdhybrid; do
            error_says "(^|[^a-z])$word([^a-z]|\$)"
        done
    done
}

@test "--image-format belongs to a hybrid's image: formats as for a source" {
    make_disk disk 8M
    disk_image vmdk disk map.vmdk
    good_hybrid disk map.vmdk disk --image-format vmdk
    disk_image vpc disk map.vhd force_size=on
    good_hybrid disk map.vhd disk --image-format vpc
    refused "[12]" --source-format hybrid --source disk:map.vmdk \
        --image-format nonsense
    error_says "nonsense"
}

@test "the tool's standard input is not touched" {
    {
        qcow_tool stream --source-format qcow2 --source image.qcow2 \
            --destination out.qcow2
        [ "$(cat)" = untouched ]
    } <<<untouched
    same_content disk raw out.qcow2
}

@test "progress ends with 100, and the digits are in order" {
    qcow_tool stream --source-format qcow2 --source image.qcow2 \
        --destination out.qcow2 --progress --machine
    digits stdout complete
    nbd_server unix nbdkit -r file disk
    qcow_tool stream --source-format nbd --source "$uri" \
        --destination out.qcow2 --progress --machine
    digits stdout complete
}

@test "a qemu-nbd that is missing is named" {
    refused 1 --source-format vhdx --source image.vhdx \
        --qemu-nbd /nowhere/qemu-nbd
    error_says "/nowhere/qemu-nbd.*No such file or directory"
}

@test "a qemu-nbd that fails is an error with its own words" {
    fake qemu-nbd <<\END
echo "qemu-nbd: no such luck" >&2
exit 1
END
    refused 1 --source-format vhdx --source image.vhdx --qemu-nbd "$fake"
    error_says "qemu-nbd.*no such luck"
}

@test "a qemu-nbd that ends without a word is an error" {
    fake qemu-nbd <<\END
exit 0
END
    refused 1 --source-format vhdx --source image.vhdx --qemu-nbd "$fake"
    error_says "qemu-nbd"
}

@test "a qemu-nbd is run whatever version it says, and named if it just ends" {
    cat >old <<\END
#!/bin/sh
echo "qemu-nbd 5.2.0"
END
    chmod 755 old
    refused 1 --source-format vhdx --source image.vhdx --qemu-nbd "$PWD/old"
    error_says "qemu-nbd of ./image.vhdx: .*; $PWD/old ended without a word"
}

# Prints the process of the child of $tool that runs a command like $1.
child_like() {
    local pid
    # shellcheck disable=SC2013 # words
    for pid in $(cat "/proc/$tool/task/"*/children); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "$1"; then
            echo "$pid"
            return
        fi
    done
    return 1
}

# blocked_stream STREAM-ARG...
# Nobody reads what it sends; $tool is its process.
blocked_stream() {
    [ -p out.fifo ] || mkfifo out.fifo
    rm -f blocked.pid
    exec 5<>out.fifo
    start_tool blocked stream --destination-fd 5 "$@"
    exec 5<&-
    tool=$(cat blocked.pid)
}

@test "a signal that comes while qemu-nbd starts, and hangs, ends both" {
    fake qemu-nbd <<\END
exec sleep 31416
END
    local name number
    while read -r name number; do
        blocked_stream --source-format vhdx --source image.vhdx \
            --qemu-nbd "$fake"
        wait_until 20 child_like 'sleep 31416'
        kill -s "$name" "$tool"
        finish_tool blocked "$number"
        nothing_left
    done <<<$'TERM 143\nINT 130\nKILL 137'
}

@test "signals end stream in mid-work, and its qemu-nbd" {
    local name number
    while read -r name number; do
        blocked_stream --source-format vhdx --source image.vhdx
        wait_until 20 has_sent out.fifo
        child_like qemu-nbd >&2
        kill -s "$name" "$tool"
        finish_tool blocked "$number"
        nothing_left
    done <<<$'TERM 143\nINT 130\nKILL 137'
}

@test "a qemu-nbd that dies in mid-work is an error, not a short stream" {
    blocked_stream --source-format vhdx --source image.vhdx
    wait_until 20 has_sent out.fifo
    kill -s KILL "$(child_like qemu-nbd)"
    timeout 20 cat out.fifo >rest
    finish_tool blocked 1
    error_says '^qcow-tool: stream: source: ' blocked.stderr
    nothing_left
}

@test "a reader that leaves ends stream and its qemu-nbd" {
    expect="1 0" through_socketpair qcow-tool stream --source-format vhdx \
        --source image.vhdx --destination-fd '{}' -- \
        python3 "$tests/drain.py" '{}' part.bin --leave-after 1000000
    # It may be noticed while the qemu-nbd is waited for.
    error_says '^qcow-tool: stream: destination: .*(offset|left while)' \
        sender.stderr
    nothing_left
}

@test "a file that another program has leased is waited for" {
    make_disk disk.raw 2M data@1M+64K
    image disk.raw disk.qcow2
    mkfifo leased
    # As file servers do (fcntl(2), Leases): whoever opens it waits until the
    # lease is given back, which is asked for by a signal.
    python3 - disk.raw disk.qcow2 >leased <<\EOF &
import fcntl, os, signal, sys, time
fds = [os.open(name, os.O_RDWR) for name in sys.argv[1:]]
def give_back(*_):
    for fd in fds:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
signal.signal(signal.SIGIO, give_back)
for fd in fds:
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
os.write(1, b"yes\n")
signal.pause()
EOF
    read -r <leased
    stdout_to=out.qcow2 qcow_tool stream --source-format hybrid \
        --source disk.raw:disk.qcow2
    same_content disk.raw raw out.qcow2 qcow2
    wait
}
