# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the bats tests are written with: `load ../lib/helpers` in each of them
# brings the other files of this folder, too.
#
# Every test runs in a directory of its own, $BATS_TEST_TMPDIR, which is empty
# at its start, is removed at its end and is the only place it writes to.
# The qcow-tool under test is the first in PATH.
#
#   setup, teardown      are here; a file with its own calls helpers_setup and
#                        helpers_teardown in them
#
# Running the tool (details at each function)
#   qcow_tool [RC] ARG...           run it to its end, expect exit code RC (0)
#   start_tool NAME ARG...          run it in the background
#   finish_tool NAME [RC]           ... until here; what is in the array
#                                   $around runs it, and is the process then
#   through_socketpair CMD... -- CMD...     two commands joined by a socketpair
# Before a function's name, for one call: stdout_to=FILE time_limit=SECONDS
#   ignore_sigpipe=1 keep_fd3=1; for pairs, expect="RC RC" nonblocking=1
#   keep_open=1 sndbuf=BYTES
#
# What came out
#   error_says REGEX                first line of stderr
#   stderr_says REGEX               any line of stderr
#   nothing_left                    no_children_left and no_spool_left
#   same_content A [FMT] B [FMT]    the same disk, by qemu-img
#   same_bytes A B                  the same file
#   sound_image FILE                `qemu-img check` finds nothing
#
# What goes in
#   make_disk NAME SIZE [SHAPE...]  a raw disk: shapes in make-disk.py
#   make_loop FILE                  prints a block device with FILE's bytes
#   hold_open IMAGE                 another process has IMAGE open and locked
#   in_background CMD...            until the end of the test
#
# Else
#   requires WHAT...                skips where WHAT is missing
#   wait_until SECONDS CMD...       polls
#
# fds from 5 on are free for tests; bats itself uses 3 and 4.

bats_require_minimum_version 1.5.0

tests=$(cd "$BATS_TEST_DIRNAME/../lib" && pwd)

for family in "$tests"/*.bash; do
    # shellcheck disable=SC1090 # each is checked by itself
    [ "$family" = "$tests/helpers.bash" ] || . "$family"
done

setup() { helpers_setup; }
teardown() { helpers_teardown; }

# bats notes before each command which functions are running, and does so with
# twenty commands of its own: half of what some tests took. So it notes that
# for the lines of a test only, and for what fails.
trace_failures_only() {
    set +T
    # DEBUG once more would replace what is noted.
    trap 'note_failure; trap - DEBUG' ERR
}

note_failure() {
    bats_error_trap
    bats_capture_stack_trace
}

helpers_setup() {
    trace_failures_only
    cd "$BATS_TEST_TMPDIR" || return 1
    # Where the tool keeps its temporary files, and only these.
    spool=$BATS_TEST_TMPDIR/spool
    # Processes that outlived the tool, as watcher found them.
    left=$BATS_TEST_TMPDIR/.left
    mkdir "$spool"
    : >"$left"
    # A test says what it is about itself: nothing comes from outside.
    unset LISTEN_FDS LISTEN_FDNAMES LISTEN_PID
    export LC_ALL=C
}

helpers_teardown() {
    local pid device
    cd / || return 1
    if [ -e "$BATS_TEST_TMPDIR/.pids" ]; then
        while read -r pid; do
            kill "$pid" 2>/dev/null || :
            wait "$pid" 2>/dev/null || :
        done <"$BATS_TEST_TMPDIR/.pids"
    fi
    if [ -e "$BATS_TEST_TMPDIR/.loops" ]; then
        while read -r device; do
            losetup -d "$device" || :
        done <"$BATS_TEST_TMPDIR/.loops"
    fi
    # bats itself would keep gigabytes until the last test of all.
    rm -rf "${BATS_TEST_TMPDIR:?}"/* "${BATS_TEST_TMPDIR:?}"/.[!.]*
}

# The words as they could be typed.
quoted() {
    local word line=
    for word; do
        case $word in
        '' | *[!A-Za-z0-9_@%+=:,./-]*) word="'${word//\'/\'\\\'\'}'" ;;
        esac
        line+=" $word"
    done
    printf '%s\n' "${line# }"
}

# read_text NAME FILE
# Sets the variable NAME to the text of a file: no more than 64 KiB, no NUL,
# no newlines at its end.
read_text() {
    local LC_ALL=C read_text=
    # -N takes bytes then, and leaves out NUL.
    [ ! -s "$2" ] || IFS= read -r -N 65536 read_text <"$2" || :
    while [[ $read_text = *$'\n' ]]; do
        read_text=${read_text%$'\n'}
    done
    printf -v "$1" %s "$read_text"
}

# The text of a file into the log.
show() {
    local text
    [ -s "$2" ] || return 0
    read_text text "$2"
    if [[ $text = *[![:print:][:space:]]* ]]; then
        text=$(cat -v <<<"$text")
    fi
    printf '  %s: %s\n' "$1" "${text//$'\n'/$'\n'"  $1: "}" >&2
}

# The command line of watcher, with what the variables of a call ask for, into
# the array $watched.
watched_command() {
    watched=(env TMPDIR="$spool" watcher
        --left "$left" --time-limit "${time_limit:-60}")
    [ -z "${ignore_sigpipe:-}" ] || watched+=(--ignore-sigpipe)
    [ -z "${nonblocking:-}" ] || watched+=(--nonblocking)
    [ -z "${keep_open:-}" ] || watched+=(--keep-open)
    [ -z "${sndbuf:-}" ] || watched+=(--sndbuf "$sndbuf")
    watched+=("$@")
}

# Runs it without the fd 3 of bats, which a process left over would hold.
watch() {
    local watched
    watched_command "$@"
    if [ -n "${keep_fd3:-}" ]; then
        "${watched[@]}"
    else
        "${watched[@]}" 3>&-
    fi
}

# qcow_tool [RC] ARG...
# Runs it, logs the command and what it printed, and fails unless the exit code
# is RC: 0 if not given, "[12]" for any of these, 128 + N for signal N, 124 for
# the time limit of 60 s. Standard output goes to the file ./stdout and the
# variable $stdout, standard error to ./stderr and $stderr. With stdout_to=FILE
# standard output is data and goes to FILE only; stdout_to=- leaves it where it
# is, for `stdout_to=- qcow_tool ... | cmp - FILE` (set -o pipefail).
# Standard input and fds from 5 on are the caller's.
qcow_tool() {
    local rc=0 expected=0 to=${stdout_to:-stdout}
    case $1 in
    [0-9]* | \[*) expected=$1 && shift ;;
    esac
    stdout='' stderr=''
    echo "\$ qcow-tool $(quoted "$@")" >&2
    if [ "$to" = - ]; then
        watch -- qcow-tool "$@" 2>stderr || rc=$?
    else
        watch -- qcow-tool "$@" >"$to" 2>stderr || rc=$?
    fi
    read_text stderr stderr
    show stderr stderr
    if [ "$to" = stdout ]; then
        read_text stdout stdout
        show stdout stdout
    fi
    # shellcheck disable=SC2053 # a pattern
    if [[ $rc != $expected ]]; then
        echo "exit code $rc, expected $expected" >&2
        return 1
    fi
}

# start_tool NAME ARG...
# The same in the background, with NAME.stdout and NAME.stderr. The process of
# the tool itself (for signals and /proc) is $(cat NAME.pid).
start_tool() {
    local name=$1 watched
    shift
    echo "\$ qcow-tool $(quoted "$@") & # $name" >&2
    watched_command --pid-file "$name.pid" -- "${around[@]}" qcow-tool "$@"
    "${watched[@]}" >"${stdout_to:-$name.stdout}" 2>"$name.stderr" 3>&- &
    echo $! >"$name.watch"
    echo $! >>.pids
    wait_until 10 test -e "$name.pid"
}

# finish_tool NAME [RC]
# Waits for its end; sets $stdout and $stderr, checks the exit code.
finish_tool() {
    local name=$1 expected=${2:-0} rc=0
    wait "$(cat "$name.watch")" || rc=$?
    read_text stderr "$name.stderr"
    show "$name.stderr" "$name.stderr"
    [ ! -e "$name.stdout" ] || read_text stdout "$name.stdout"
    if [ "$rc" != "$expected" ]; then
        echo "$name: exit code $rc, expected $expected" >&2
        return 1
    fi
}

# through_socketpair COMMAND... -- COMMAND...
# Runs both at once, each with its end of a socketpair: {} in its words is the
# number of its fd, as in
#     through_socketpair qcow-tool stream ... --destination-fd {} -- \
#         qcow-tool serve --source-fd {} ...
# Each command sees its own end only, and the other's end of file when that is
# gone (keep_open=1: not before the second has ended). Output is in the files
# sender.stdout, sender.stderr, receiver.stdout, receiver.stderr; exit codes
# are in $sender_rc and $receiver_rc and must be those of expect= ("0 0"; *
# for any). SO_SNDBUF of the sender's end is sndbuf=, both ends are
# non-blocking with nonblocking=1.
through_socketpair() {
    local rc=0
    echo "\$ $(quoted "$@")" >&2
    rm -f pair.status
    watch --pair "$PWD" -- "$@" || rc=$?
    sender_rc='' receiver_rc=''
    read -r sender_rc receiver_rc <pair.status || :
    local side
    for side in sender receiver; do
        show $side $side.stderr
    done
    # shellcheck disable=SC2053 # a pattern
    if [ "$rc" != 0 ] ||
        [[ "$sender_rc $receiver_rc" != ${expect:-0 0} ]]; then
        echo "exit codes $sender_rc $receiver_rc," \
            "expected ${expect:-0 0}" >&2
        return 1
    fi
}

# error_says REGEX [FILE]
# The first line that the tool wrote to stderr (or FILE) matches.
error_says() {
    local first=''
    IFS= read -r first <"${2:-stderr}" || :
    [[ $first =~ $1 ]] || {
        echo "first line of ${2:-stderr}: '$first' does not match: $1" >&2
        return 1
    }
}

# stderr_says REGEX [FILE]
stderr_says() {
    grep -Eq -- "$1" "${2:-stderr}" || {
        echo "no line of ${2:-stderr} matches: $1" >&2
        return 1
    }
}

# No process was alive 3 s after the tool's (or the pair's) own end.
no_children_left() {
    [ ! -s "$left" ] || {
        sed 's/^/left running: /' "$left" >&2
        return 1
    }
}

# Nothing is in the directory for temporary files.
no_spool_left() {
    local found
    found=$(ls -A "$spool")
    [ -z "$found" ] || {
        echo "left in the spool directory: $found" >&2
        return 1
    }
}

nothing_left() {
    no_children_left && no_spool_left
}

# virtual_size FILE FORMAT
# As `qemu-img info` says: a start of that for each would take longer.
virtual_size() {
    local size
    if [ "$2" = raw ] && [ -f "$1" ]; then
        size=$(stat -L -c %s "$1")
        echo $(((size + 511) / 512 * 512))
    elif [ "$2" = qcow2 ] && [ -f "$1" ]; then
        # Bytes 24 to 31 of the header, in sectors that are whole.
        size=$(od -An -t u8 --endian=big -j 24 -N 8 "$1")
        echo $((size / 512 * 512))
    else
        qemu-img info --output=json -f "$2" "$1" | jq '."virtual-size"'
    fi
}

# same_content A [FORMAT] B [FORMAT]
# The same size and the same bytes for a guest. The format is qcow2 for names
# that end so, else raw.
same_content() {
    local names=() formats=()
    while [ $# -gt 0 ]; do
        names+=("$1")
        case $1 in *.qcow2) formats+=(qcow2) ;; *) formats+=(raw) ;; esac
        shift
        case ${1:-} in raw | qcow2) formats[-1]=$1 && shift ;; esac
    done
    local a b
    a=$(virtual_size "${names[0]}" "${formats[0]}")
    b=$(virtual_size "${names[1]}" "${formats[1]}")
    [ "$a" = "$b" ] || {
        echo "size: ${names[0]} $a, ${names[1]} $b" >&2
        return 1
    }
    qemu-img compare -f "${formats[0]}" -F "${formats[1]}" "${names[@]}" >&2
}

same_bytes() {
    cmp "$1" "$2" >&2
}

# No errors and no leaks.
sound_image() {
    qemu-img check -q -f qcow2 "$1" >&2
}

make_disk() {
    python3 "$tests/make-disk.py" "$@"
}

# make_loop FILE [LOSETUP-OPTION...]
# Prints the device, which is detached at the end of the test. Other tests take
# devices at the same time: the one that `losetup -f` found free may be gone.
make_loop() {
    local file=$1 device deadline=$((SECONDS + 30))
    shift
    until device=$(losetup -f --show "$@" "$file" 2>.losetup); do
        if [ $SECONDS -ge $deadline ]; then
            cat .losetup >&2
            return 1
        fi
        sleep 0.05
    done
    echo "$device" >>"$BATS_TEST_TMPDIR/.loops"
    echo "$device"
}

# in_background COMMAND...
# Killed at the end of the test; $! is its process.
in_background() {
    "$@" </dev/null 3>&- &
    echo $! >>"$BATS_TEST_TMPDIR/.pids"
}

# hold_open IMAGE
# A qemu-nbd has the qcow2 IMAGE open read-write, with QEMU's locks, until the
# end of the test. Where it listens is $held.
hold_open() {
    held=$BATS_TEST_TMPDIR/held.sock
    in_background qemu-nbd -f qcow2 --persistent --socket "$held" "$1"
    wait_until 10 test -S "$held"
    # The lock is real: QEMU itself would not open it without -U.
    ! qemu-img info -f qcow2 "$1" >/dev/null 2>&1
}

# wait_until SECONDS COMMAND...
# Polls COMMAND until it succeeds; fails after SECONDS.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if [ $SECONDS -ge $deadline ]; then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        sleep 0.02
    done
}

# has_sent FIFO
# Something to read is in the named pipe, and stays there.
has_sent() {
    read -r -t 0 <>"$1"
}

# requires WHAT...
# Skips the test, and says why, where one of these is missing: root, loop
# (block devices from files), name:HOST (an address of it), space:GIB (of disk
# for temporary files), or else the program of that name.
requires() {
    local what
    for what; do
        case $what in
        root) [ "$(id -u)" = 0 ] || skip "needs root" ;;
        loop) loop_works || skip "needs loop devices" ;;
        sandbox:*)
            intruder has "${what#*:}" || skip "needs ${what#*:}"
            ;;
        name:*)
            getent hosts "${what#*:}" >/dev/null ||
                skip "needs a host named ${what#*:}"
            ;;
        space:*)
            [ "$(df --output=avail "$BATS_TEST_TMPDIR" | tail -n 1)" -ge \
                $((${what#*:} << 20)) ] ||
                skip "needs ${what#*:} GiB of disk space"
            ;;
        nbdkit:*)
            nbdkit "--filter=${what#*:}" --dump-plugin null >/dev/null 2>&1 ||
                skip "needs nbdkit's filter ${what#*:}"
            ;;
        zstd)
            qemu-img create -q -f qcow2 -o compression_type=zstd \
                "$BATS_TEST_TMPDIR/.zstd" 1M 2>/dev/null ||
                skip 'needs a QEMU with zstd'
            rm "$BATS_TEST_TMPDIR/.zstd"
            ;;
        *)
            command -v "$what" >/dev/null || skip "needs $what"
            ;;
        esac
    done
}

loop_works() {
    command -v losetup >/dev/null && [ "$(id -u)" = 0 ] &&
        losetup -f >/dev/null 2>&1
}
