# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of --source-format share.
#
#   both_arrive EXPECTED FORMAT SOURCE [STREAM-ARG...]
#                                   through a socket into `serve`
#   sends EXPECTED FORMAT SOURCE [STREAM-ARG...]
#                                   into files: a fraction of the time
#   stream_into FILE STREAM-ARG...  one of these
#   source_fails REGEX FORMAT SOURCE [STREAM-ARG...]
#                                   before or while it is sent
#   listens WHERE COMMAND...        a server of any kind; its $port or $socket
#   nbd_server unix|ADDRESS COMMAND...      one of NBD: its $uri
#   exported NAME                   ... with an export name
#   needs_ipv6                      skips where there is none
#   disk_image FORMAT DISK IMAGE [OPTIONS]  an image from a raw disk
#   allocated IMAGE                 where its data is
#   same_as_qemu_img FORMAT IMAGE   byte for byte, with --layout convert

# both_arrive EXPECTED FORMAT SOURCE [STREAM-ARG...]
# Both layouts go through a socket and make the raw disk EXPECTED, which may
# be shorter than what is sent by zeroes. Then they are sent again, as below.
both_arrive() {
    local expected=$1 layout
    local from=(--source-format "$2" --source "$3" "${@:4}")
    for layout in streamable convert; do
        rm -f arrived.raw
        through_socketpair qcow-tool stream "${from[@]}" --layout $layout \
            --destination-fd '{}' -- \
            qcow-tool serve --source-fd '{}' --destination arrived.raw
        [ ! -s sender.stderr ]
        same_disk "$expected" arrived.raw
    done
    sends "$@"
    good_order streamable.qcow2
    nothing_left
}

# sends EXPECTED FORMAT SOURCE [STREAM-ARG...]
# Both layouts, in streamable.qcow2 and convert.qcow2, are sound and hold the
# raw disk EXPECTED, and zeroes after that; `measure` knew how long they are.
sends() {
    local expected=$1 layout
    local from=(--source-format "$2" --source "$3" "${@:4}")
    for layout in streamable convert; do
        stream_into $layout.qcow2 "${from[@]}" --layout $layout
        sound_image $layout.qcow2
        qemu-img compare -q -f raw -F qcow2 "$expected" $layout.qcow2 >&2
        measured $layout.qcow2 "${from[@]}" --layout $layout
    done
    no_spool_left
}

# stream_into FILE STREAM-ARG...
# Without a look at the processes that it may leave: others do that.
stream_into() {
    echo "\$ qcow-tool stream $(quoted "${@:2}")" >&2
    TMPDIR=$spool timeout 60 qcow-tool stream "${@:2}" --destination "$1" 3>&-
}

# same_disk SHORTER LONGER
# The same bytes, and zeroes after them; no more of these than an image format
# may round its size up by.
same_disk() {
    local short long
    short=$(blockdev --getsize64 "$1" 2>/dev/null || stat -c %s "$1")
    long=$(stat -c %s "$2")
    [ "$short" -le "$long" ] && [ $((long - short)) -lt 1048576 ] || {
        echo "size: $1 $short, $2 $long" >&2
        return 1
    }
    cmp -n "$short" "$1" "$2" >&2 &&
        cmp -n $((long - short)) -i 0:"$short" /dev/zero "$2" >&2
}

# source_fails REGEX FORMAT SOURCE [STREAM-ARG...]
# Exit code 1, and a first line about the source that matches.
source_fails() {
    local regex=$1
    stdout_to=out.bin qcow_tool 1 stream --source-format "$2" --source "$3" \
        "${@:4}"
    error_says "^qcow-tool: stream: source: .*($regex)"
    nothing_left
}

# nothing_sent
# After source_fails: it failed before the first byte.
nothing_sent() {
    [ ! -s out.bin ] || {
        echo "$(stat -c %s out.bin) bytes were sent" >&2
        return 1
    }
}

# listens unix|ADDRESS [LISTEN-OPTION...] -- COMMAND...
# COMMAND gets the socket as listen.py says; ends with the test. Sets $socket
# for unix, $port for an IP address, and $listener, the process.
listens() {
    local where=$1 options=() place
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    place=$BATS_TEST_TMPDIR/.place$((++listeners))
    [ "$where" != unix ] || where=unix:$place.sock
    in_background python3 "$tests/listen.py" "${options[@]}" \
        "$where" "$place" -- "$@"
    # shellcheck disable=SC2034 # for the test
    listener=$!
    wait_until 10 test -e "$place"
    case $where in
    unix:*) socket=$(<"$place") ;;
    *) port=$(<"$place") ;;
    esac
}
listeners=0

# nbd_server unix|ADDRESS COMMAND...
# COMMAND is a server that knows socket activation: qemu-nbd or nbdkit.
nbd_server() {
    listens "$1" -- "${@:2}"
    case $1 in
    unix) uri="nbd+unix:///?socket=$socket" ;;
    *:*) uri="nbd://[$1]:$port" ;;
    *) uri="nbd://$1:$port" ;;
    esac
}

# exported NAME
# $uri with the export of that name.
exported() {
    case $uri in
    nbd+unix:*) echo "nbd+unix:///$1?socket=$socket" ;;
    *) echo "$uri/$1" ;;
    esac
}

needs_ipv6() {
    grep -q '^0\{31\}1 ' /proc/net/if_inet6 || skip "needs IPv6 on loopback"
}

# disk_image FORMAT DISK IMAGE [OPTIONS]
disk_image() {
    qemu-img convert -f raw -O "$1" ${4:+-o "$4"} "$2" "$3"
}

# allocated IMAGE
# Like data_ranges, but what touches is one range, wherever it is in the file.
allocated() {
    data_ranges "$1" | joined
}

# same_as_qemu_img FORMAT IMAGE [STREAM-ARG...]
# create=, if set, is the value of -o.
same_as_qemu_img() {
    qemu-img convert -f "$1" -O qcow2 ${create:+-o "$create"} \
        "$2" expected.qcow2
    stream_into stream.qcow2 --source-format "$1" --source "$2" \
        --layout convert --detect-zeroes "${@:3}"
    same_bytes expected.qcow2 stream.qcow2
    no_spool_left
}
