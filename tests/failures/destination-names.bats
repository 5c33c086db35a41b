#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Destinations by odd names, and whose file it is that a failure removes.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk 4M data@1M+512K
    image disk disk.qcow2
}

@test "a link to nothing is a file to be made where it leads" {
    mkdir sub
    ln -s sub/raw to-raw
    ln -s sub/qcow2 to-qcow2
    qcow_tool serve --destination to-raw <disk.qcow2
    same_bytes disk sub/raw
    qcow_tool stream --source disk --destination to-qcow2
    same_content disk raw sub/qcow2 qcow2
    [ -L to-raw ] && [ -L to-qcow2 ]
    nothing_left
}

@test "on failure the file that was made is removed, and not the link" {
    mkdir sub
    ln -s sub/new link
    head -c 100000 disk.qcow2 >cut.qcow2
    qcow_tool 1 serve --destination link <cut.qcow2
    error_says 'truncated'
    [ -L link ] && [ ! -e sub/new ]
    qcow_tool 1 stream --source disk --spool-dir /none --destination link
    error_says 'spool'
    [ -L link ] && [ ! -e sub/new ]
    rmdir sub
    qcow_tool 1 serve --destination link <disk.qcow2
    error_says 'cannot create link: No such file or directory'
    qcow_tool 1 stream --source disk --destination link
    error_says 'cannot open link: No such file or directory'
    nothing_left
}

@test "a file that took the name of ours is not removed" {
    mkfifo pipe
    exec 5<>pipe
    start_tool serving serve --source-fd 5 --source-size 100000 \
        --destination new.raw
    head -c 65536 disk.qcow2 >pipe
    wait_until 10 test -e new.raw
    mv new.raw moved.raw
    echo theirs >new.raw
    head -c 100000 disk.qcow2 | tail -c +65537 >pipe
    finish_tool serving 1
    [ "$(cat new.raw)" = theirs ]
}

@test "a directory that can be written and not read takes a new file" {
    requires root setpriv
    chmod 755 .
    mkdir -m 1733 drop
    local other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${other[@]}" test -x drop/. || skip "another user cannot get here"
    "${other[@]}" env TMPDIR=/tmp qcow-tool serve --destination drop/raw \
        <disk.qcow2
    same_bytes disk drop/raw
    "${other[@]}" env TMPDIR=/tmp qcow-tool stream --source disk \
        --destination drop/qcow2
    same_content disk raw drop/qcow2 qcow2
}

@test "/dev/null is never the source" {
    local format
    for format in qcow2 vpc vmdk; do
        qemu-img convert -f raw -O $format disk "disk.$format"
        stdout_to=/dev/null qcow_tool stream --source-format $format \
            --source "disk.$format"
    done
    qcow_tool stream --source-format qcow2 --source disk.qcow2 \
        --destination /dev/null
    qcow_tool 1 serve --source-fd 5 --destination disk 5</dev/null
    error_says 'source'
    nothing_left
}

@test "serve does not wait for an image from a terminal" {
    local rc=0
    python3 "$tests/with-terminal.py" screen 0 timeout 20 qcow-tool serve \
        --destination new.raw 2>stderr || rc=$?
    [ $rc = 1 ]
    error_says 'source: refusing to read an image from a terminal'
    rc=0
    python3 "$tests/with-terminal.py" screen 5 timeout 20 qcow-tool serve \
        --source-fd 5 --force --destination new.raw 2>stderr || rc=$?
    [ $rc = 1 ]
    error_says 'terminal'
    [ ! -e new.raw ]
}
