#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images with as many ranges as tables can describe: each other sector is one.

load ../lib/helpers

fragmented() {
    python3 "$tests/make-fragmented.py" "$@"
}

@test "tables full of ranges may arrive while QEMU reads them" {
    # 128 KiB of them, in one window: few are here when it begins.
    fragmented disk.qcow2 $((128 << 20)) zeroes
    set -o pipefail
    # shellcheck disable=SC2002 # a pipe is wanted
    cat disk.qcow2 | qcow_tool serve --destination new.raw
    same_content disk.qcow2 new.raw
    nothing_left
}

@test "each other sector is data, and the tables come first" {
    fragmented disk.qcow2 $((24 << 20)) data
    # Every seventh cluster has something in it.
    python3 - disk.qcow2 <<\EOF
import sys
with open(sys.argv[1], "r+b") as f:
    for at in range(6 << 14, 24 << 20, 7 << 14):
        f.seek(at)
        f.write(bytes([at >> 14 & 255 | 1]) * 16384)
EOF
    arrives disk.qcow2 --chunk 100000
    send_image disk.qcow2 -- --destination new.raw --direct
    same_content disk.qcow2 new.raw
}

# Nothing of QEMU has run for a while.
is_quiet() {
    local children child
    for _ in {1..25}; do
        for children in "/proc/$1/task/"*/children; do
            child=
            read -r child <"$children" || : # there is no newline
            [ -z "$child" ] || return 1
        done
        sleep 0.01
    done
}

# Sets $child.
has_child() {
    child=
    read -r child <"/proc/$1/task/$1/children" || : # there is no newline
    [ -n "$child" ]
}

# It takes ten seconds, as QEMU prints each of the ranges.  With fewer of them
# nobody would see in the memory whether they are kept.
@test "tables that describe more than has come do not fill the memory" {
    # 640 KiB of tables, with 1.3 million ranges, and no data yet.
    if grep -q __asan_init "$(command -v qcow-tool)"; then
        skip "sanitizers take memory, too"
    fi
    fragmented disk.qcow2 $((640 << 20)) data
    mkfifo slow
    exec 5<>slow
    # Of all processes, 80 MiB; it was 49.
    around=(python3 "$tests/peak.py" 80 60)
    time_limit=180 start_tool paused serve --source-fd 5 --destination new.raw
    head -c 720896 disk.qcow2 >&5
    wait_until 10 has_child "$(cat paused.pid)"
    wait_until 150 is_quiet "$child"
    # shellcheck disable=SC2034 # by its name
    used=$(awk '/VmHWM/ { print $2 }' "/proc/$child/status")
    # Of it alone, in KiB; some 20 MiB are for buffers and libraries.
    at_most used 49152
    kill "$child"
    finish_tool paused 143
    exec 5>&-
    nothing_left
}
