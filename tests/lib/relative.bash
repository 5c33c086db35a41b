# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of differences share.
#
#   good_difference DISK BASE STREAM-ARG...     both layouts, all promises
#   difference_is DISK BASE STREAM-ARG...       one stream, difference.qcow2
#   sound_difference DISK BASE FILE             a stream that is there
#   served, dropped DISK BASE FILE  BASE becomes DISK by serve, the drop-in
#   by_depth TOP BASE STREAM-ARG... qcow2 images: hybrid, and qcow2 itself
#   guest IMAGE COMMAND...          qemu-io
#   lay DISK IMAGE                  data of a raw disk into an image
#   raw_of IMAGE RAW                what a guest reads there
#   sent FILE                       what a difference holds
#   flagged FILE                    what it marks zero
#   holds FILE MIN MAX              bytes that it holds
#   is_empty FILE                   it holds nothing at all

# difference_is DISK BASE STREAM-ARG...
# What `stream` makes of the arguments is a sound image of DISK's size that
# stands by itself, and BASE becomes DISK by it. measure knew its length. Both
# are raw files. flags=yes: it may use the zero flag. force=yes: BASE begins as
# an image does.
difference_is() {
    local disk=$1 base=$2
    shift 2
    stdout_to=difference.qcow2 qcow_tool stream "$@"
    measured difference.qcow2 "$@"
    sound_difference "$disk" "$base" difference.qcow2
    nothing_left
}

# The same of a file that is there.
sound_difference() {
    stands_alone "$1" "$3"
    served "$1" "$2" "$3"
    dropped "$1" "$2" "$3"
}

stands_alone() {
    sound_image "$2" &&
        [ "$(virtual_size "$2" qcow2)" = "$(virtual_size "$1" raw)" ] &&
        no_backing_file "$2" || return 1
    [ -n "${flags:-}" ] || [ -z "$(flagged "$2")" ]
}

# The other layout is convert.qcow2.
good_difference() {
    local disk=$1 base=$2
    shift 2
    difference_is "$disk" "$base" "$@"
    good_order difference.qcow2
    quickly qcow-tool stream "$@" --layout convert >convert.qcow2
    measured convert.qcow2 "$@" --layout convert
    stands_alone "$disk" convert.qcow2
    served "$disk" "$base" convert.qcow2
}

# What these leave running is for other tests to see: that costs time.
quickly() {
    TMPDIR=$spool timeout 60 "$@"
}

# Onto a copy of BASE, cut to the size of DISK or with zeroes at its end.
copy_of() {
    cp --sparse=always "$2" "$3"
    truncate -s "$(stat -L -c %s "$1")" "$3"
}

served() {
    copy_of "$1" "$2" served.raw
    quickly qcow-tool serve ${force:+--force} --prezeroed \
        --destination served.raw <"$3"
    same_bytes "$1" served.raw
}

dropped() {
    copy_of "$1" "$2" dropped.raw
    link_drop_in qcow-stream-tool
    quickly bin/qcow-stream-tool stream_decode dropped.raw <"$3"
    same_bytes "$1" dropped.raw
}

# by_depth TOP BASE [STREAM-ARG...]
# The device of the hybrid is made here, and only here is it read what TOP
# and BASE hold: top.raw and base.raw.
by_depth() {
    local top=$1 base=$2 options
    shift 2
    raw_of "$top" top.raw
    raw_of "$base" base.raw
    good_difference top.raw base.raw --source-format hybrid \
        --source "top.raw:$top" --relative-to "$base" "$@"
    options=(--source-format qcow2 --source "$top" --relative-to "$base" "$@")
    quickly qcow-tool stream "${options[@]}" >image.qcow2
    same_bytes difference.qcow2 image.qcow2
    quickly qcow-tool stream "${options[@]}" --layout convert >image.qcow2
    same_bytes convert.qcow2 image.qcow2
}

lay() {
    qemu-img convert -n --target-is-zero -t unsafe -f raw -O qcow2 "$1" "$2"
}

raw_of() {
    qemu-img convert -f "${3:-qcow2}" -O raw "$1" "$2"
}

sent() {
    present_entries "$1" | joined
}

flagged() {
    present_entries "$1" '"zero": true' | joined
}

holds() {
    local bytes
    bytes=$(sent "$1" | awk -F+ '{ n += $2 } END { printf "%d", n }')
    [ "$bytes" -ge "$2" ] && [ "$bytes" -le "$3" ] || {
        echo "$1 holds $bytes bytes, expected $2 to $3" >&2
        return 1
    }
}

is_empty() {
    holds "$1" 0 0
}
