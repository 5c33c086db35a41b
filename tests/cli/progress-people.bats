#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --progress without --machine: a bar on a terminal, lines elsewhere.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 24M full
    image disk.raw disk.qcow2
    size=$(stat -c %s disk.qcow2)
    # Percent, bytes, rate.
    shown='[0-9]+ ?%.*[0-9] ?[KMGTP]?(i?B|bytes).*[KMGTP]?(i?B|bytes)/s'
}

# What was drawn, a line for each time.
drawn() {
    tr '\r' '\n' <"$1"
}

@test "serve draws a bar on a terminal, in place" {
    through_socketpair python3 "$tests/send.py" '{}' disk.qcow2 \
        --crawl 'bar:[1-9]%' -- \
        python3 "$tests/with-terminal.py" bar 2 qcow-tool serve \
        --source-fd '{}' --destination copy.raw --source-size "$size" \
        --progress
    same_bytes disk.raw copy.raw
    grep -q $'\r' bar
    drawn bar | grep -Eq "$shown"
    drawn bar | grep -Eq '100 ?%'
    # In place: one line on the screen at the end, and the cursor below it.
    [ "$(wc -l <bar)" = 1 ]
    [ "$(tail -c 1 bar)" = "" ]
    nothing_left
}

@test "stream draws a bar on a terminal, in place" {
    through_socketpair python3 "$tests/with-terminal.py" bar 2 \
        qcow-tool stream --source-format raw --source disk.raw \
        --destination-fd '{}' --progress -- \
        python3 "$tests/drain.py" '{}' out.qcow2
    same_content disk.raw out.qcow2
    grep -q $'\r' bar
    drawn bar | grep -Eq "$shown"
    drawn bar | grep -Eq '100 ?%'
    [ "$(wc -l <bar)" = 1 ]
}

@test "the bar says how much time is left" {
    through_socketpair python3 "$tests/send.py" '{}' disk.qcow2 \
        --crawl 'bar:[1-9] ?%[^\r]*[0-9]:[0-9]' -- \
        python3 "$tests/with-terminal.py" bar 2 qcow-tool serve \
        --source-fd '{}' --destination copy.raw --source-size "$size" \
        --progress
    same_bytes disk.raw copy.raw
}

@test "no line of the bar is wider than the terminal" {
    through_socketpair python3 "$tests/with-terminal.py" bar 2 \
        qcow-tool stream --source-format raw --source disk.raw \
        --destination-fd '{}' --progress -- \
        python3 "$tests/drain.py" '{}' out.qcow2
    run ! grep -E '.{80}' <(drawn bar | sed 's/\x1b\[[0-9;]*[A-Za-z]//g')
}

@test "an error ends the line of the bar first" {
    expect="0 1" through_socketpair python3 "$tests/send.py" '{}' disk.qcow2 \
        --length $((size / 2)) --pause-at $((size / 2 - 1)) \
        --watch 'bar:%' -- \
        python3 "$tests/with-terminal.py" bar 2 qcow-tool serve \
        --source-fd '{}' --destination copy.raw --source-size "$size" \
        --progress
    grep -Eq '^qcow-tool: serve: source: ' bar
    run ! grep -E '100 ?%' bar
}

@test "there are lines and no carriage return where there is no terminal" {
    send_disk disk.raw --progress -- --destination copy.raw --progress
    same_bytes disk.raw copy.raw
    local side
    for side in sender receiver; do
        run ! grep -q $'\r' $side.stderr
        grep -Eq "$shown" $side.stderr
        # Now and then, not a line for each percent.
        [ "$(wc -l <$side.stderr)" -lt 20 ]
        [ ! -s $side.stdout ]
        grep -Eq '100 ?%' $side.stderr
    done
}

@test "the lines of a transfer that fails never say 100%" {
    expect="* 1" send_image disk.qcow2 --length $((size - 65536)) -- \
        --destination copy.raw --source-size "$size" --progress
    run ! grep -E '100 ?%' receiver.stderr
    stderr_says '^qcow-tool: serve: source: ' receiver.stderr
}

@test "a bar that nobody reads does not stop the transfer" {
    mkfifo closed
    exec 9<>closed 8>closed 9<&-
    # Standard error itself is the closed pipe.
    # shellcheck disable=SC2016 # for the inner shell
    through_socketpair sh -c 'exec qcow-tool stream --source-format raw \
        --source disk.raw --destination-fd "$1" --progress 2>&8' sh '{}' -- \
        sh -c 'exec qcow-tool serve --source-fd "$1" \
        --destination copy.raw --progress 2>&8' sh '{}'
    exec 8>&-
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "without --progress nothing is said" {
    send_disk disk.raw -- --destination copy.raw
    [ ! -s sender.stdout ]
    [ ! -s sender.stderr ]
    [ ! -s receiver.stdout ]
    [ ! -s receiver.stderr ]
}

@test "a terminal that has been stopped does not make us deaf to signals" {
    make_disk stopped.raw 8M data@0+8M
    mkfifo out.fifo
    exec 5<>out.fifo
    timeout 60 python3 - <<'END'
import os, pty, subprocess, termios, time
terminal, theirs = pty.openpty()
tool = subprocess.Popen(["qcow-tool", "stream", "--source", "stopped.raw",
                         "--destination-fd", "5", "--progress"],
                        stderr=theirs, pass_fds=[5])
os.read(terminal, 1)  # it draws
termios.tcflow(theirs, termios.TCOOFF)
try:
    tool.wait(0.5)  # it would draw again
except subprocess.TimeoutExpired:
    tool.terminate()
try:
    status = tool.wait(20)
except subprocess.TimeoutExpired:
    tool.kill()
    raise
assert status == -15, status
END
    exec 5<&-
    nothing_left
}

@test "a line of the log is one write" {
    requires strace
    rc=0
    strace -f -e trace=write -o calls qcow-tool strea || rc=$?
    [ "$rc" = 2 ]
    [ "$(grep -c 'write(2,' calls)" = 1 ]
}
