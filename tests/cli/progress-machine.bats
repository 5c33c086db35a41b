#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --progress --machine: xapi reads three bytes at a time and parses them. The
# rules are in digits() of tests/lib/serve.bash.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 24M runs:512K/256K
}

# Needs disk.raw; makes disk.qcow2 and $size.
with_image() {
    image disk.raw disk.qcow2
    size=$(stat -c %s disk.qcow2)
}

# closed_pipe FD: makes it a pipe that nobody reads.
closed_pipe() {
    mkfifo closed
    eval "exec 9<>closed $1>closed 9<&-"
}

@test "both sides of a transfer end with 100" {
    send_disk disk.raw --progress --machine -- --destination copy.raw \
        --progress --machine
    digits sender.stdout complete
    digits receiver.stdout complete
    [ ! -s sender.stderr ]
    [ ! -s receiver.stderr ]
}

@test "the digits of stream go to standard output, the data elsewhere" {
    qcow_tool stream --source-format raw --source disk.raw \
        --destination-fd 7 --progress --machine 7>out.qcow2
    digits stdout complete
    qcow_tool stream --source-format raw --source disk.raw \
        --destination path.qcow2 --progress --machine
    digits stdout complete
    same_bytes out.qcow2 path.qcow2
}

@test "the digits go to standard error when standard output has the data" {
    stdout_to=plain.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw
    stdout_to=out.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw --progress --machine
    digits stderr complete
    same_bytes plain.qcow2 out.qcow2
    stdout_to=out.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw --destination stdout: --progress --machine
    digits stderr complete
    same_bytes plain.qcow2 out.qcow2
    stdout_to=out.qcow2 qcow_tool stream --source-format raw \
        --source disk.raw --destination-fd 1 --progress --machine
    digits stderr complete
    same_bytes plain.qcow2 out.qcow2
}

@test "an empty disk ends with 100 on both sides" {
    make_disk empty.raw 10M
    send_disk empty.raw --progress --machine -- --destination copy.raw \
        --progress --machine
    digits sender.stdout complete
    digits receiver.stdout complete
}

@test "--machine makes its digits with every kind of layout and mover" {
    export QCOW_TOOL_MOVER=copy
    send_disk disk.raw --layout convert --cluster-size 4096 \
        --progress --machine -- --destination copy.raw \
        --direct --progress --machine
    digits sender.stdout complete
    digits receiver.stdout complete
}

@test "the digits are at least some steps, not only the end" {
    make_disk long.raw 64M full
    send_disk long.raw --progress --machine -- --destination copy.raw \
        --progress --machine
    [ "$(wc -c <sender.stdout)" -ge 30 ]
    [ "$(wc -c <receiver.stdout)" -ge 30 ]
}

@test "serve says how far it is while the sender pauses" {
    with_image
    # A tenth is done, at least, before the last quarter is sent.
    keep_open=1 send_image disk.qcow2 --pause-at $((size * 3 / 4)) \
        --watch 'receiver.stdout:^([0-9]{3})*0[1-9]' -- \
        --destination copy.raw --source-size "$size" --progress --machine
    digits receiver.stdout complete
}

@test "serve that does not know the length still ends with 100" {
    with_image
    local args
    for args in "" "--destination-size 0" \
        "--destination-size 1125899906842624"; do
        # shellcheck disable=SC2086 # words are wanted
        keep_open=1 send_image disk.qcow2 -- --destination copy.raw $args \
            --progress --machine
        digits receiver.stdout complete
    done
}

@test "serve with a wrong idea of the length still keeps the rules" {
    with_image
    # Noise behind the image, and none of it in the length.
    expect="* 0" send_image disk.qcow2 --trailing 8388608 -- \
        --destination copy.raw --source-size "$size" --progress --machine
    digits receiver.stdout complete
}

@test "stream whose client goes never says 100" {
    local n
    for n in 0 65536 4000000; do
        ignore_sigpipe=1 expect="1 0" through_socketpair \
            qcow-tool stream --source-format raw --source disk.raw \
            --destination-fd '{}' --progress --machine -- \
            python3 "$tests/drain.py" '{}' part --leave-after $n
        digits sender.stdout failed
    done
}

@test "serve whose sender goes never says 100" {
    with_image
    local n
    for n in 0 100 65536 $((size / 2)) $((size - 65536)); do
        expect="* 1" send_image disk.qcow2 --length $n -- \
            --destination copy.raw --progress --machine
        digits receiver.stdout failed
    done
}

@test "serve that refuses an image never says 100" {
    qemu-img create -q -f qcow2 -b disk.raw -F raw back.qcow2
    expect="* 1" send_image back.qcow2 -- --destination copy.raw \
        --progress --machine
    digits receiver.stdout failed
}

@test "serve whose destination is full never says 100" {
    requires root
    with_image
    mkdir small
    mount -t tmpfs -o size=2M none small || skip "cannot mount"
    expect="* 1" send_image disk.qcow2 -- --destination small/copy.raw \
        --progress --machine || { umount small && false; }
    umount small
    digits receiver.stdout failed
    error_says "destination: .*No space left" receiver.stderr
}

@test "digits that nobody reads do not stop stream" {
    closed_pipe 8
    stdout_to=- qcow_tool stream --source-format raw --source disk.raw \
        --destination out.qcow2 --progress --machine >&8
    same_content disk.raw out.qcow2
    ignore_sigpipe=1 stdout_to=- qcow_tool stream --source-format raw \
        --source disk.raw --destination out.qcow2 --progress --machine >&8
    exec 8>&-
    same_content disk.raw out.qcow2
    nothing_left
}

@test "digits that nobody reads do not stop serve" {
    with_image
    closed_pipe 8
    stdout_to=- qcow_tool serve --destination copy.raw --progress \
        --machine <disk.qcow2 >&8
    same_bytes disk.raw copy.raw
    rm copy.raw
    ignore_sigpipe=1 stdout_to=- qcow_tool serve --destination copy.raw \
        --progress --machine <disk.qcow2 >&8
    exec 8>&-
    same_bytes disk.raw copy.raw
    nothing_left
}
