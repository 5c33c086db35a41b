#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Ways to say which fd: a number, fd:N, or a UUID that systemd's convention
# has a name for (sd_listen_fds_with_names(3)).

load ../lib/helpers

uuid=5f4be2a0-1c3d-4e8b-9a57-0d2f6c9e7b11
other=00000000-1111-2222-3333-444444444444

setup() {
    helpers_setup
    make_disk disk.raw 2M data@64K+1M
    image disk.raw disk.qcow2
}

# no_such_fd ARG... is a usage error.
no_such_fd() {
    keep_fd3=1 qcow_tool 2 serve --destination new.raw "$@" 3<disk.qcow2
    error_says '^qcow-tool: serve: '
    one_line stderr
    [ ! -e new.raw ]
}

@test "fd:N is the fd N" {
    qcow_tool stream --source-format raw --source disk.raw \
        --destination fd:6 6>out.qcow2
    same_content disk.raw out.qcow2
    qcow_tool serve --source-fd 6 --destination new.raw 6<out.qcow2
    same_bytes disk.raw new.raw
}

@test "a UUID is the fd of that name" {
    export LISTEN_FDS=1 LISTEN_FDNAMES=$uuid
    keep_fd3=1 qcow_tool serve --source-fd $uuid --destination new.raw \
        3<disk.qcow2
    same_bytes disk.raw new.raw
    keep_fd3=1 qcow_tool stream --source-format raw --source disk.raw \
        --destination-fd $uuid 3>out.qcow2
    same_content disk.raw out.qcow2
    keep_fd3=1 qcow_tool stream --source-format raw --source disk.raw \
        --destination fd:$uuid 3>out.qcow2
    same_content disk.raw out.qcow2
}

@test "a UUID in capitals is the same UUID" {
    export LISTEN_FDS=1 LISTEN_FDNAMES=${uuid^^}
    keep_fd3=1 qcow_tool serve --source-fd $uuid --destination new.raw \
        3<disk.qcow2
    same_bytes disk.raw new.raw
}

@test "names count from fd 3 on, whatever the others are" {
    export LISTEN_FDS=4 LISTEN_FDNAMES=progress::$uuid:$other
    keep_fd3=1 qcow_tool serve --source-fd $uuid --destination new.raw \
        3</dev/null 4</dev/null 5<disk.qcow2 6</dev/null
    same_bytes disk.raw new.raw
}

@test "a UUID that is not named is a usage error" {
    export LISTEN_FDS=1 LISTEN_FDNAMES=$other
    no_such_fd --source-fd $uuid
    error_says $uuid
}

@test "a name past the number of fds is a usage error" {
    export LISTEN_FDS=1 LISTEN_FDNAMES=$other:$uuid
    no_such_fd --source-fd $uuid
}

@test "a UUID without any fds is a usage error" {
    no_such_fd --source-fd $uuid
    LISTEN_FDNAMES=$uuid no_such_fd --source-fd $uuid
    LISTEN_FDS=1 no_such_fd --source-fd $uuid
    LISTEN_FDS=0 LISTEN_FDNAMES=$uuid no_such_fd --source-fd $uuid
    LISTEN_FDS=x LISTEN_FDNAMES=$uuid no_such_fd --source-fd $uuid
    LISTEN_FDS=-1 LISTEN_FDNAMES=$uuid no_such_fd --source-fd $uuid
}

@test "a UUID that is malformed is a usage error, and named" {
    local bad
    for bad in ${uuid%1} ${uuid}1 ${uuid/5f/zz} ${uuid//-/} ${uuid/-/:}; do
        LISTEN_FDS=1 LISTEN_FDNAMES=$bad no_such_fd --source-fd "$bad"
        error_says "$bad"
    done
}

@test "fds meant for another process are not ours" {
    export LISTEN_FDS=1 LISTEN_FDNAMES=$uuid
    LISTEN_PID=1 no_such_fd --source-fd $uuid
    # shellcheck disable=SC2016 # for the inner shell
    run -0 sh -c 'LISTEN_PID=$$ exec qcow-tool serve --destination new.raw \
        --source-fd "$1"' sh $uuid 3<disk.qcow2
    same_bytes disk.raw new.raw
}

@test "an fd that is not open is a usage error that names it" {
    qcow_tool 2 serve --source-fd 77 --destination new.raw
    error_says '^qcow-tool: serve: .*source.*77.*Bad file descriptor'
    [ ! -e new.raw ]
    qcow_tool 2 stream --source-format raw --source disk.raw \
        --destination-fd 77
    error_says '^qcow-tool: stream: .*destination.*77.*Bad file descriptor'
    nothing_left
}

@test "an fd open for the other direction is an error" {
    qcow_tool 1 serve --source-fd 6 --destination new.raw 6>out.bin
    error_says '^qcow-tool: serve: source: '
    [ ! -e new.raw ]
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination-fd 6 6<disk.qcow2
    error_says '^qcow-tool: stream: destination: '
    nothing_left
}

@test "a closed standard output is no place for a stream" {
    stdout_to=- qcow_tool 1 stream --source-format raw --source disk.raw >&-
    error_says '^qcow-tool: stream: destination: standard output is closed$'
    nothing_left
    stdout_to=- qcow_tool 1 measure disk.raw >&-
    error_says '^qcow-tool: measure: standard output is closed$'
    stdout_to=- qcow_tool 1 --help >&-
    error_says '^qcow-tool: standard output is closed$'
    stdout_to=- qcow_tool 1 --version >&-
    error_says '^qcow-tool: standard output is closed$'
}

@test "the wrong end of a pipe is no stream" {
    exec 5> >(exec cat >/dev/null 3>&-)
    time_limit=10 qcow_tool 1 serve --source-fd 5 new.raw
    error_says '^qcow-tool: serve: source: fd 5 is write-only$'
    [ ! -e new.raw ]
    exec 5>&-
}

@test "a closed standard input is no stream" {
    qcow_tool 1 serve new.raw <&-
    error_says '^qcow-tool: serve: source: standard input is closed$'
    [ ! -e new.raw ]
}

@test "closed standard streams do not mix words into the data" {
    # The fds that are opened first would be 0, 1 and 2.
    timeout 20 qcow-tool serve --source-fd 5 --destination new.raw \
        --progress --machine --debug 5<disk.qcow2 <&- >&- 2>&-
    same_bytes disk.raw new.raw
    timeout 20 qcow-tool stream --source-format raw --source disk.raw \
        --destination out.qcow2 --progress --debug <&- >&- 2>&-
    same_content disk.raw out.qcow2
    local rc=0
    timeout 20 qcow-tool serve --destination none.raw <&- >&- 2>&- || rc=$?
    [ $rc = 1 ]
    [ ! -e none.raw ]
}
