#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Somebody has gone to sleep: --stall-timeout ends that, and says who it was.
# Each test takes as many seconds as it tells the tool to wait: some ten for
# several tools in turn.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 4M data@64K+3M
    image disk.raw disk.qcow2
}

@test "a sender that says no more is named, and no file is left" {
    expect="0 1" keep_open=1 send_image disk.qcow2 --length 700000 -- \
        --destination new.raw --stall-timeout 1
    error_says 'serve: nothing has moved for 1 s: the sender .* in vain$' \
        receiver.stderr
    [ ! -e new.raw ]
    nothing_left
}

@test "what a sender that says no more leaves on a disk is told" {
    other_data copy.raw 4M
    expect="0 1" keep_open=1 send_image disk.qcow2 --length 700000 -- \
        --destination copy.raw --stall-timeout 1
    error_says 'for 1 s: .* in vain; the destination is partly written$' \
        receiver.stderr
    run ! untouched copy.raw
    one_line receiver.stderr
    nothing_left
}

@test "a reader that reads no more is named" {
    mkfifo out.fifo
    exec 5<>out.fifo
    qcow_tool 1 stream --source disk.raw --destination-fd 5 --stall-timeout 1
    error_says 'nothing has moved for 1 s: the destination is waited for'
    exec 5<&-
    nothing_left
}

# silent_peer
# fd 5 is one end of a TCP connection; at the other nobody does anything.
silent_peer() {
    listens 127.0.0.1 --accept -- sleep 31416
    exec 5<>"/dev/tcp/127.0.0.1/$port"
    [ "$(kept_alive)" = 0 ]
}

# Whether the kernel looks if the other end of fd 5 is still there: 0 or 1.
kept_alive() {
    python3 -c 'from socket import *
print(socket(fileno=5).getsockopt(SOL_SOCKET, SO_KEEPALIVE))'
}

@test "a sender over TCP that says nothing is named, and looked after" {
    silent_peer
    qcow_tool 1 serve --source-fd 5 --destination new.raw --stall-timeout 1
    error_says 'serve: nothing has moved for 1 s: the sender .* in vain$'
    [ "$(kept_alive)" = 1 ]
    exec 5<&-
    [ ! -e new.raw ]
    nothing_left
}

@test "a reader over TCP that reads nothing is named, and looked after" {
    # More than the kernel keeps for it.
    make_disk large.raw 64M full
    silent_peer
    qcow_tool 1 stream --source large.raw --destination-fd 5 --stall-timeout 1
    error_says 'nothing has moved for 1 s: the destination is waited for'
    [ "$(kept_alive)" = 1 ]
    exec 5<&-
    nothing_left
}

@test "a QEMU that does nothing is named" {
    fake qemu-img <<\END
exec sleep 31416
END
    qcow_tool 1 serve --stall-timeout 1 --qemu-img "$fake" \
        --destination new.raw --source-fd 5 5<disk.qcow2
    error_says "nothing has moved for 1 s: .*$fake"
    [ ! -e new.raw ]
    nothing_left
    # What only keeps the reader waiting is no progress.
    stdout_to=out.bin qcow_tool 1 stream --stall-timeout 2 \
        --first-byte-within 1 --qemu-img "$fake" disk.raw
    error_says "nothing has moved for 2 s: .*$fake is waited for"
    qcow_tool 1 measure --stall-timeout 1 --qemu-img "$fake" disk.raw
    error_says "nothing has moved for 1 s: .*$fake is waited for"
    nothing_left
}

@test "an NBD server that says nothing is named" {
    in_background python3 "$tests/listen.py" "unix:$PWD/silent.sock" place \
        -- sleep 31416
    wait_until 20 test -s place
    qcow_tool 1 stream --source-format nbd --stall-timeout 1 \
        --source "nbd+unix:///?socket=$PWD/silent.sock" --destination out.qcow2
    error_says 'nothing has moved for 1 s: the NBD server of the source is'
    [ ! -e out.qcow2 ]
    nothing_left
}

@test "who is slow but moves is waited for" {
    send_image disk.qcow2 --crawl disk.qcow2:never -- \
        --destination new.raw --stall-timeout 1
    same_bytes disk.raw new.raw
}
