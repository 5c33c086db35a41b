#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The launcher of the tests of xapi's calls keeps its promises, as seen from
# inside what it launched.

load ../lib/helpers

# inside ARG... : the output of a program, with no more than its standard
# output from us.
inside() {
    run -0 --separate-stderr "$launcher" --stdout 1 "$@"
    echo "$output" >&2
}

# A file NAME for each argument, which holds its name.
files() {
    local name
    for name; do
        echo "$name" >"$name"
    done
}

# The fds of a shell, as lines of "'NUMBER' -> 'WHAT'".
# shellcheck disable=SC2016 # for the inner shell
list_fds='cd /proc/$$/fd && stat -c %N * 2>/dev/null; :'

# 1 for each line of "flags: OCTAL" that has O_NONBLOCK, else 0.
nonblocking_of() {
    local _ flags found=()
    while read -r _ flags; do
        found+=($((8#$flags >> 11 & 1)))
    done <"$1"
    echo "${found[*]}"
}

# The files read through fds 3 and 4.
read_fds='cat <&3; cat <&4'

@test "it runs in the root directory" {
    inside /bin/readlink /proc/self/cwd
    [ "$output" = / ]
}

@test "its environment is a short PATH, and what it was told" {
    inside /usr/bin/env
    [ "$output" = PATH=/sbin:/usr/sbin:/bin:/usr/bin ]
    inside --env A=1 --env B=x=y /usr/bin/env
    [ "${#lines[@]}" = 3 ]
    [ "${lines[1]} ${lines[2]}" = "A=1 B=x=y" ]
}

@test "it leads a new session, which has no terminal" {
    local pid parent group session terminal
    # shellcheck disable=SC2016 # for the inner shell
    run -0 sh -c 'echo $$; exec "$0" --stdout 1 /bin/cat /proc/self/stat' \
        "$launcher"
    read -r pid _ _ parent group session terminal _ <<<"${lines[1]}"
    [ "$pid" = "${lines[0]}" ] # it took launch's place
    [ "$parent" != 1 ]
    [ "$group" = "$pid" ]
    [ "$session" = "$pid" ]
    [ "$terminal" = 0 ]
}

@test "SIGPIPE is ignored and no other signal, whatever it was before" {
    local before ignored
    for before in --default-signal "--ignore-signal=HUP,TERM,CHLD" \
        "--block-signal=TERM,USR1,PIPE"; do
        run -0 env "$before" "$launcher" --stdout 1 /bin/cat \
            /proc/self/status
        # Signals 32 and 33 are the C library's own, which cannot change them.
        ignored=0x$(sed -n 's/^SigIgn:\t//p' <<<"$output")
        [ $((ignored & ~(3 << 31))) = $((0x1000)) ]
        grep -x $'SigBlk:\t0000000000000000' <<<"$output"
    done
}

@test "it may have 1024 files open, or fewer if there were fewer" {
    local soft
    for soft in 1500 1024 700; do
        # shellcheck disable=SC2016 # for the inner shell
        run -0 bash -c 'ulimit -Sn "$1" && exec "$0" --stdout 1 /bin/sh \
            -c "ulimit -Sn"' "$launcher" $soft
        [ "$output" = $((soft > 1024 ? 1024 : soft)) ]
    done
}

@test "standard streams that were not given are write-only /dev/null" {
    inside /bin/sh -c 'ls -l /proc/$$/fd/0 /proc/$$/fd/2'
    [[ ${lines[0]} == l-wx------*' -> /dev/null' ]]
    [[ ${lines[1]} == l-wx------*' -> /dev/null' ]]
    # Standard input is what nothing can be read from.
    run -1 "$launcher" --stderr 2 /bin/cat
    [[ $output == *'Bad file descriptor'* ]]
    # shellcheck disable=SC2016 # for the inner shell
    run -0 "$launcher" --fd "$uuid=5" /bin/sh -c \
        'echo lost; ls -l /proc/$$/fd/1 | cat >&3' 5>seen
    [[ $output == '' && $(cat seen) == l-wx------*' -> /dev/null' ]]
}

@test "standard streams are the fds that were given" {
    files one
    run -0 "$launcher" --stdin 5 --stdout 6 --stderr 7 /bin/sh -c \
        'cat; echo two >&2' 5<one 6>out 7>err
    [ "$output" = '' ]
    [ "$(cat out)" = one ]
    [ "$(cat err)" = two ]
}

@test "fds have other numbers, and those that were not given are closed" {
    files one two three
    inside --fd "$uuid"=9 --fd "$other"=5 /bin/sh -c "$list_fds" \
        5<one 7<two 9<three 11<one
    [ "${#lines[@]}" = 5 ]
    [ "${lines[3]}" = "'3' -> '$PWD/three'" ]
    [ "${lines[4]}" = "'4' -> '$PWD/one'" ]
}

@test "fds that are in each other's place change places" {
    files one two
    inside --fd "$uuid"=4 --fd "$other"=3 /bin/sh -c "$read_fds" 3<one 4<two
    [ "$output" = $'two\none' ]
    # One that is a standard stream here need not be one there.
    run -0 "$launcher" --stdout 3 --fd "$uuid"=0 --fd "$other"=1 /bin/sh -c \
        'cat <&3; echo two >&4' 3>out <one
    [ "$output" = two ]
    [ "$(cat out)" = one ]
    # One that is closed here need not be closed there.
    "$launcher" --stdin 5 --stdout 6 /bin/cat 5<one 6>seen <&-
    [ "$(cat seen)" = one ]
    # And one can be given twice.
    inside --stdin 3 --fd "$uuid"=3 --fd "$other"=3 \
        /bin/sh -c "$list_fds" 3<one
    [ "${lines[0]}" = "'0' -> '$PWD/one'" ]
    [ "${lines[3]}" = "'3' -> '$PWD/one'" ]
    [ "${lines[4]}" = "'4' -> '$PWD/one'" ]
}

@test "a UUID at the end of an argument becomes the fd's number" {
    inside --fd "$uuid"=5 --fd "$other"=6 /bin/echo "$uuid" "fd:$other" \
        "--source-fd=$uuid" "$uuid$other" "$other $uuid" 5</dev/null \
        6</dev/null
    [ "$output" = "3 fd:4 --source-fd=3 ${uuid}4 $other 3" ]
}

@test "what is not a known UUID at the end of an argument stays" {
    local stays=("${uuid}0" "$uuid " "${uuid:1}" "${uuid^^}" "${uuid%?}7"
        "$other" "" -)
    inside --fd "$uuid"=5 /usr/bin/printf '%s\n' "${stays[@]}" 5</dev/null
    [ "$output" = "$(printf '%s\n' "${stays[@]}")" ]
}

@test "only sockets are made non-blocking, and only if that is wanted" {
    local flags=(--stdout 1 --stdin 5 --fd "$uuid={}" /bin/grep -h flags:
        /proc/self/fdinfo/0 /proc/self/fdinfo/3)
    files one
    through_socketpair "$launcher" "${flags[@]}" -- \
        "$launcher" --nonblocking "${flags[@]}" 5<one
    [ "$(nonblocking_of sender.stdout)" = '0 0' ]
    [ "$(nonblocking_of receiver.stdout)" = '0 1' ]
}

@test "it exits as the program does" {
    run -7 "$launcher" /bin/sh -c 'exit 7'
    # shellcheck disable=SC2016 # for the inner shell
    run -143 "$launcher" /bin/sh -c 'kill $$'
}

@test "a program that cannot be run is 127 or 126, and told to its log" {
    run -127 "$launcher" --stderr 2 /nowhere/program
    [ "$output" = 'launch: /nowhere/program: No such file or directory' ]
    run -126 "$launcher" --stderr 2 /
    [ "$output" = 'launch: /: Permission denied' ]
    # Names are not looked for in PATH, and relative ones begin at /.
    run -127 "$launcher" true
}

@test "what it cannot do is 125" {
    local args says
    while IFS=: read -r args says; do
        # shellcheck disable=SC2086 # words are wanted
        run -125 "$launcher" $args
        [[ $output == *": $says"* ]] || {
            echo "$args: $output" >&2
            return 1
        }
    done <<END
--stdin 77 /bin/true:fd 77: Bad file descriptor
--stdin x /bin/true:'x' is not an fd
--stdin 0x /bin/true:'0x' is not an fd
--stdin -1 /bin/true:'-1' is not an fd
--fd $uuid /bin/true:'$uuid' is not UUID=FD
--fd ${uuid%?}=0 /bin/true:'${uuid%?}' is not a UUID
--fd $uuid=77 /bin/true:fd 77: Bad file descriptor
--env A /bin/true:'A' is not NAME=VALUE
--nothing /bin/true:unrecognized option
--stdin 0:a program is missing
END
}
