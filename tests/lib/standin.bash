# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of scripts/xapi-standin have in common.
#
#   start_standin NAME DIRECTORY [OPTION...]    sets $NAME to its URL
#   stop_standin NAME               and all that it started is gone
#   says NAME REGEX                 a line of what it printed, soon
#   export_url URL VDI, import_url URL VDI      what curl is to be given
#   download URL VDI FILE [CURL-OPTION...]      sees that all went well
#   upload URL VDI FILE [CURL-OPTION...]
#   status_of EXPECTED URL [CURL-OPTION...]     and ./body is what came
#   connect URL                     the fd $connection, by nobody's library
#   leave                           closes it
#   get VDI[&...], put VDI[&...] [LENGTH]       sends the headers down there

start_standin() {
    local name=$1 directory=$2 watched
    shift 2
    # Of an earlier one.
    rm -f "$name.pid"
    : >"$name.says"
    watched_command --pid-file "$name.pid" -- python3 \
        "$tests/../../scripts/xapi-standin" --directory "$directory" \
        --spool-dir "$spool" "$@"
    "${watched[@]}" >"$name.says" 2>&1 3>&- &
    echo $! >"$name.watch"
    echo $! >>.pids
    says "$name" ' http://127.0.0.1:[0-9]+/ '
    eval "$name=$(grep -o 'http://[^ ]*[0-9]' "$name.says")"
}

stop_standin() {
    show "$1" "$1.says"
    kill -TERM "$(cat "$1.pid")"
    wait "$(cat "$1.watch")"
    nothing_left
}

says() {
    wait_until 10 grep -Eq -- "$2" "$1.says" || {
        show "$1" "$1.says"
        echo "it does not say: $2" >&2
        return 1
    }
}

export_url() {
    echo "$1/export_raw_vdi?session_id=OpaqueRef:1&vdi=$2&format=qcow2"
}

import_url() {
    echo "$1/import_raw_vdi?session_id=OpaqueRef:1&vdi=$2&format=qcow2"
}

download() {
    curl -sSf -m 30 "${@:4}" -o "$3" "$(export_url "$1" "$2")" >&2
}

upload() {
    curl -sSf -m 30 "${@:4}" -T "$3" "$(import_url "$1" "$2")" >&2
}

status_of() {
    local status
    # Behind the answer there may be a reset.
    status=$(curl -s -m 30 -o body -w '%{http_code}' "${@:3}" "$2") || :
    [ "$status" = "$1" ] || {
        echo "$2: status $status, expected $1" >&2
        return 1
    }
}

connect() {
    local address=${1#http://}
    exec {connection}<>"/dev/tcp/${address%:*}/${address#*:}"
}

leave() {
    exec {connection}>&-
}

get() {
    printf '%s\r\n' "GET /export_raw_vdi?vdi=$1&format=qcow2 HTTP/1.1" \
        'Host: localhost' '' >&"$connection"
}

put() {
    printf '%s\r\n' "PUT /import_raw_vdi?vdi=$1&format=qcow2 HTTP/1.1" \
        'Host: localhost' ${2:+"Content-Length: $2"} '' >&"$connection"
}
