# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of `serve` with all kinds of images have in common.
#
#   make_image IMAGE LAYOUT [OPTION...]     make-image.py
#   arrives IMAGE [SEND-OPTION...] [-- SERVE-ARG...]
#   arrives_at DESTINATION IMAGE [...]      the same, onto what is there
#   guest IMAGE COMMAND...          qemu-io
#   tables_last IMAGE SIZE          L2 tables behind all of the data
#   entry IMAGE DISK_OFFSET         where its L2 entry is, and its table
#   hex N                           as the 8 bytes of an entry
#   figures [FILE]                  what --verbose said at the end
#   at_most NAME LIMIT              a figure is no larger
#   same_image IMAGE OTHER FORMAT   the same disk
#   find_formats                    sets $formats: what serve makes
#   kinds_of_ranges                 kinds.qcow2 has all, kinds.raw is the same

make_image() {
    python3 "$tests/make-image.py" "$@"
}

# The image goes onto a file full of other data, and the disk is the same. The
# connection stays open, and only --source-size tells its end.
arrives() {
    other_data copy.raw "$(virtual_size "$1" qcow2)"
    arrives_at copy.raw "$@"
    nothing_left
}

arrives_at() {
    local to=$1 image=$2 options=() size
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    size=$(stat -c %s "$image")
    keep_open=1 send_image "$image" "${options[@]}" -- \
        --destination "$to" --source-size "$size" "${@:2}"
    same_content "$image" "$to"
}

guest() {
    local image=$1
    shift
    printf '%s\n' "$@" | qemu-io -t unsafe -f qcow2 "$image" >/dev/null
}

# All of SIZE is data, which a snapshot holds, too; so the tables in use are
# copies behind it.
tables_last() {
    qemu-img create -q -f qcow2 -o "${3:-cluster_size=64K}" "$1" "$2"
    guest "$1" "write -q -P 0x31 0 $2"
    qemu-img snapshot -c one "$1"
    guest "$1" 'write -q -P 0x32 64K 64K'
}

# Sets $entry and $l1_entry to the file offsets of those of a disk offset,
# $table and $cluster to where they point.
entry() {
    # shellcheck disable=SC2034 # for the tests
    read -r l1_entry table entry cluster < <(
        python3 "$tests/l2-entry.py" "$1" "$2"
    )
    [ -n "$cluster" ]
}

hex() {
    printf '%016x' "$1"
}

# Sets $received, $routed, $moved, $read_back, $spooled, $peak, $runs and
# $windows.
# shellcheck disable=SC2034 # for the tests
figures() {
    local line
    line=$(tail -n 1 "${1:-receiver.stderr}")
    [[ $line =~ received\ ([0-9]+)\ bytes.*to\ the\ disk\ ([0-9]+),\ by\ the\
\ spool\ ([0-9]+),\ read\ back\ ([0-9]+)\;\ spooled\ ([0-9]+),\ at\ the\
\ most\ ([0-9]+)\;\ ([0-9]+)\ mapper\ runs\ for\ ([0-9]+)\ windows ]] || {
        echo "no figures: $line" >&2
        return 1
    }
    received=${BASH_REMATCH[1]} routed=${BASH_REMATCH[2]}
    moved=${BASH_REMATCH[3]} read_back=${BASH_REMATCH[4]}
    spooled=${BASH_REMATCH[5]} peak=${BASH_REMATCH[6]}
    runs=${BASH_REMATCH[7]} windows=${BASH_REMATCH[8]}
}

at_most() {
    [ "${!1}" -le "$2" ] || {
        echo "$1 is ${!1}, more than $2" >&2
        return 1
    }
}

# An image with data, allocated zeroes, a range marked zero over what was data,
# one discarded, one marked zero where nothing was, and the rest unallocated.
kinds_of_ranges() {
    qemu-img create -q -f qcow2 kinds.qcow2 16M
    qemu-io -f qcow2 \
        -c 'write -P 0x11 1M 1M' -c 'write -P 0 3M 1M' \
        -c 'write -P 0x22 5M 1M' -c 'write -z 5M 512K' \
        -c 'write -z 7M 64K' -c 'write -z -u 8M 64K' \
        -c 'write -P 0x33 9M 128K' -c 'discard 9M 64K' \
        -c 'write -P 0x44 16776704 512' \
        kinds.qcow2 >/dev/null
    qemu-img convert -f qcow2 -O raw kinds.qcow2 kinds.raw
}

# find_formats
# Sets $formats to those of which `serve` makes images. QEMU 5.2 loses data of
# a VHDX, which has to be said then.
find_formats() {
    # Asked once for each file of tests.
    local known=$BATS_RUN_TMPDIR/formats
    if [ -s "$known" ]; then
        read -ra formats <"$known"
        return
    fi
    formats=(qcow2 vpc vdi vmdk)
    qemu-img create -q -f qcow2 least.qcow2 1M
    if qcow-tool serve least.vhdx --destination-format vhdx --force \
        <least.qcow2 2>least.stderr; then
        formats+=(vhdx)
    else
        error_says 'loses data of a VHDX image' least.stderr
        [ ! -e least.vhdx ]
    fi
    echo "${formats[*]}" >"$known"
}

# same_image IMAGE OTHER FORMAT
# The qcow2 image and the other have the same disk, to the byte.
same_image() {
    [ "$(virtual_size "$1" qcow2)" = "$(virtual_size "$2" "$3")" ] &&
        qemu-img compare -q -f qcow2 -F "$3" "$1" "$2" >&2 || {
        echo "$1 and $2 differ" >&2
        return 1
    }
}
