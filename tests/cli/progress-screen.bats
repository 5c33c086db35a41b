#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The bar as people see it: what is on the screen of a terminal, which tmux
# plays.

load ../lib/helpers

setup() {
    helpers_setup
    requires tmux
    tmux=(tmux -S "$BATS_TEST_TMPDIR/tmux" -f /dev/null)
    make_disk disk.raw 8M full
}

teardown() {
    "${tmux[@]}" kill-server 2>/dev/null || :
    helpers_teardown
}

# on_screen COLUMNS COMMAND
# The shell command runs on a terminal of so many columns, which stays when it
# has ended.  Above it is a line: tmux makes room for one that it breaks in two
# by scrolling.
on_screen() {
    "${tmux[@]}" new-session -d -x "$1" -y 10 \
        "echo begun; $2; echo ended >>$PWD/ended; sleep 60" 3>&- 5>&-
}

# What is on the screen, and what scrolled out of it, without empty lines.
screen() {
    "${tmux[@]}" capture-pane -p -S - "$@" | sed '/^$/d; /^begun/d'
}

# shows REGEX...
# The screen has just so many lines, and each matches. It is in $screen.
shows() {
    local lines i=0
    screen=$(screen)
    mapfile -t lines <<<"$screen"
    [ ${#lines[@]} = $# ] || return 1
    for regex; do
        [[ ${lines[i++]} =~ $regex ]] || return 1
    done
}

# will_show REGEX...
will_show() {
    wait_until 30 shows "$@" || {
        echo "on the screen: $screen" >&2
        return 1
    }
}

# The pane's terminal gets so many columns, as by dragging its corner.
resize() {
    "${tmux[@]}" resize-window -x "$1" -y 10
}

@test "a sender that stalls is named, on one line that is as wide as can be" {
    image disk.raw disk.qcow2
    local size stalled
    size=$(stat -c %s disk.qcow2)
    mkfifo stream
    exec 5<>stream
    on_screen 100 "qcow-tool serve copy.raw --progress --source-size $size \
        <stream & echo \$! >pid; wait"
    head -c 3000000 disk.qcow2 >&5
    stalled='stalled [0-9]+ s, waiting for the sender$'
    will_show "^\[#+\.+\]  [0-9]+%  receiving 2.9 of 8.3 MiB, $stalled"

    # Right after a resize, there is nothing else, nor has it scrolled away.
    resize 50
    will_show "^ [0-9]+%  $stalled"
    resize 130
    will_show "^\[#+\.+\]  [0-9]+%  receiving 2.9 of 8.3 MiB, $stalled"
    # The last column stays free.
    will_show "^\[[#.]{57,}\] "
    # Who asks is answered above the bar.
    kill -USR1 "$(cat pid)"
    will_show "^qcow-tool:  [0-9]+%  receiving 2.9 of" "^\[#+\.+\]  .*$stalled"

    tail -c +3000001 disk.qcow2 >&5
    exec 5>&-
    wait_until 30 test -e ended
    will_show '^qcow-tool: ' '^\[#+\] 100%  8.3 MiB in 0:00:[0-9]+, .*/s *$'
    same_bytes disk.raw copy.raw
}

@test "a receiver that stalls is named; colours are for who wants them" {
    local colour stalled='stalled [0-9]+ s, waiting for the receiver$' begin
    mkfifo stream
    for colour in '' 1; do
        rm -f ended
        exec 5<>stream
        on_screen 100 "NO_COLOR=$colour qcow-tool stream disk.raw --progress \
            >stream"
        will_show "^\[[#.]+\]  [0-9]+%  sending [0-9.]+ of 8.3 MiB, $stalled"
        # Yellow, or no more than what a shell leaves there.
        screen -e >coloured
        begin=$'^\\[\033\\[33m'
        if [ -z "$colour" ]; then
            grep -q "$begin" coloured
        else
            run ! grep -q $'\033' coloured
        fi
        exec 6<stream 5>&-
        timeout 60 cat <&6 >out.qcow2
        exec 6<&-
        wait_until 30 test -e ended
        will_show '^\[#+\] 100%  8.3 MiB in 0:00:[0-9]+, .*/s *$'
        same_content disk.raw out.qcow2
        "${tmux[@]}" kill-server
    done
}

@test "a scan says how much of the disk it has seen; an error leaves that" {
    requires nbdkit
    in_background nbdkit -f -U "$PWD/socket" --filter=delay file disk.raw \
        delay-read=500ms
    wait_until 10 test -S socket
    on_screen 90 "qcow-tool measure --source-format nbd \
        --source nbd+unix:///?socket=$PWD/socket \
        --detect-zeroes --progress & echo \$! >pid; wait"
    will_show '^\[#*\.+\]  [ 0-9]+%  scanning [0-9.]+ of 8.0 MiB, .*B/s'
    kill -TERM "$(cat pid)"
    wait_until 30 test -e ended
    shows '^\[#*\.+\]  [ 0-9]+%  scanning [0-9.]+ of 8.0 MiB, ' \
        '^qcow-tool: measure: ended by signal 15'
}

@test "measure shows its bar where its answer comes, and takes it away" {
    on_screen 90 "qcow-tool measure disk.raw --progress"
    wait_until 30 test -e ended
    screen=$(screen)
    [[ ${screen%%$'\n'*} = "{" ]]
    [[ ${screen##*$'\n'} =~ ^\[#+\]\ 100%\ \ done\ in\ 0:00:[0-9]+\ *$ ]]
    [ "$(grep -c % <<<"$screen")" = 1 ]
}

@test "a terminal without escape sequences gets none" {
    local term
    for term in dumb ''; do
        TERM=$term python3 "$tests/with-terminal.py" bar 2 \
            qcow-tool stream disk.raw --destination out.qcow2 --progress
        run ! grep -q $'\033' bar
        grep -q '100%  8.3 MiB' bar
    done
    TERM=xterm NO_COLOR='' python3 "$tests/with-terminal.py" bar 2 \
        qcow-tool stream disk.raw --destination out.qcow2 --progress
    grep -q $'\033\\[32m#' bar
}
