# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of xapi's calls have in common.
#
#   launcher                        the path of tests/lib/launch, or of $LAUNCH
#   tool, qcow_stream_tool, qcow2_to_stdout     paths of the programs
#   uuid, other                     UUIDs, for --fd
#   launched [RC] OPTION... PROGRAM ARG...      `launch` to its end
#   exports [RC] ARG...             `stream`, as xapi runs it
#   imports [RC] IMAGE ARG...       `serve`, as xapi runs it
#   drop_ins                        makes the two programs
#   breaks_off IMAGE                $program is a tool whose export breaks off
# Before those two: client=ARGS for their client, nonblocking=1 for the tool's
# end of the connection.
#
# What a tool is given is a pipe for progress, on fd 6, from which three bytes
# are read at a time, and the file ./log, on fd 7.

launcher=${LAUNCH:-$(command -v launch || echo launch)}
tool=$(command -v qcow-tool || echo qcow-tool)
uuid=0e8b7d52-6c1f-4f3a-9b84-2d5a7c90e1f6
other=b3f0a6c1-95d2-4e7b-8c3e-71f4d2a8065b

# launched [RC] OPTION... PROGRAM ARG...
# Fails unless the exit code is RC, 0 if not given. The environment has TMPDIR
# besides PATH. Standard output and error of launch itself, for --stdout 1 and
# --stderr 2, are in the files ./stdout and ./stderr.
launched() {
    local rc=0 expected=0
    case $1 in
    [0-9]*) expected=$1 && shift ;;
    esac
    echo "\$ launch $(quoted "$@")" >&2
    watch -- "$launcher" --env "TMPDIR=$spool" "$@" >stdout 2>stderr || rc=$?
    show stdout stdout
    show stderr stderr
    [ $rc = "$expected" ] || {
        echo "exit code $rc, expected $expected" >&2
        return 1
    }
}

# Three bytes for a line, as long as there are any.
take_digits() {
    local digits
    while IFS= read -r -N 3 digits; do
        echo "$digits"
    done
    [ -z "$digits" ] || echo "left over: $digits"
}

# Opens fds 6 and 7. What comes is in the file ./progress at once.
open_progress() {
    rm -f .progress
    mkfifo .progress
    : >progress
    take_digits <.progress >progress 3>&- &
    progress_reader=$!
    exec 6>.progress 7>log
}

# end_progress complete|failed
# The tool was the last that had the pipe: its digits were as they should be.
end_progress() {
    exec 6>&- 7>&-
    wait "$progress_reader"
    tr -d '\n' <progress >.digits
    show log log
    digits .digits "$1"
}

# The log of what went well is empty; else its first line is the error.
end_of_call() {
    if [ "$1" = 0 ]; then
        end_progress complete && [ ! -s log ]
    else
        end_progress failed && one_line log
    fi
}

# What xapi's wrapper gives to each tool, into the array $like_xapi.
launch_like_xapi() {
    like_xapi=("$launcher" --env "TMPDIR=$spool" --stdout 6 --stderr 7
        --fd "$uuid={}")
    [ -z "${nonblocking:-}" ] || like_xapi+=(--nonblocking)
}

# exports [RC] ARG...
# `qcow-tool stream ARG...`; $uuid is the connection of a client, which gets
# ./out.qcow2.
exports() {
    local expected=0 failed='' like_xapi
    case $1 in
    [0-9]*) expected=$1 && shift ;;
    esac
    launch_like_xapi
    open_progress
    # shellcheck disable=SC2086 # words are wanted
    expect="$expected *" nonblocking='' through_socketpair "${like_xapi[@]}" \
        "$tool" stream "$@" -- \
        python3 "$tests/drain.py" '{}' out.qcow2 ${client:-} || failed=1
    end_of_call "$expected" && [ -z "$failed" ]
}

# imports [RC] IMAGE ARG...
# `qcow-tool serve ARG...`; $uuid is the connection of a client, which sends
# IMAGE.
imports() {
    local expected=0 failed='' image like_xapi
    case $1 in
    [0-9]*) expected=$1 && shift ;;
    esac
    image=$1
    shift
    launch_like_xapi
    open_progress
    # shellcheck disable=SC2086 # words are wanted
    expect="* $expected" nonblocking='' through_socketpair \
        python3 "$tests/send.py" '{}' "$image" ${client:-} -- \
        "${like_xapi[@]}" "$tool" serve "$@" || failed=1
    end_of_call "$expected" && [ -z "$failed" ]
}

# Sets $qcow_stream_tool and $qcow2_to_stdout to links to the tool.
drop_ins() {
    qcow_stream_tool=$PWD/qcow-stream-tool
    qcow2_to_stdout=$PWD/qcow2-to-stdout
    ln -s "$tool" "$qcow_stream_tool"
    ln -s "$tool" "$qcow2_to_stdout"
}

# breaks_off IMAGE
# Sets $program to one that is qcow-tool, but its `stream' sends the first
# 200000 bytes of IMAGE and fails.
breaks_off() {
    program=$PWD/breaks-off
    cat >"$program" <<EOF
#!/usr/bin/env bash
[ "\$1" = stream ] || exec '$tool' "\$@"
while [ "\$1" != --destination-fd ]; do shift; done
head -c 200000 '$PWD/$1' >&"\$2"
echo 'qcow-tool: stream: source: it broke off' >&2
exit 1
EOF
    chmod 755 "$program"
}
