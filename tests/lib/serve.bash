# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of `serve`, of progress and of failures have in common.
#
#   send_disk DISK [STREAM-ARG...] -- SERVE-ARG...
#   send_image IMAGE [SEND-OPTION...] -- SERVE-ARG...
#   image DISK IMAGE [OPTIONS]      qemu-img convert, with -o OPTIONS
#   poke FILE OFFSET HEX            changes bytes of a file
#   other_data FILE SIZE            makes a file full of 0xAA
#   untouched FILE                  it still is
#   only_allocated IMAGE FILE       what --prezeroed makes of such a file
#   fake NAME                       a program from stdin; its path is $fake
#   costs_of RC SECONDS ARG...      runs the tool, which takes no more
#   one_line FILE                   FILE is one line, and not a long one
#   digits FILE complete|failed       the rules of --progress --machine

# send_disk DISK [STREAM-ARG...] -- SERVE-ARG...
# DISK goes through `stream`, a socketpair and `serve`.
send_disk() {
    local disk=$1 args=()
    shift
    while [ "$1" != -- ]; do
        args+=("$1")
        shift
    done
    shift
    through_socketpair qcow-tool stream --source-format raw \
        --source "$disk" --destination-fd '{}' "${args[@]}" -- \
        qcow-tool serve --source-fd '{}' "$@"
}

# send_image IMAGE [SEND-OPTION...] -- SERVE-ARG...
# The file IMAGE goes through a socketpair into `serve`. The options are those
# of send.py; the exit codes expected are its own and that of `serve`. With
# EVERY_FORMAT in the environment an image that is taken becomes one of each
# format, too.
send_image() {
    local image=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    through_socketpair python3 "$tests/send.py" '{}' "$image" \
        "${options[@]}" -- qcow-tool serve --source-fd '{}' "$@"
    if [[ -n ${EVERY_FORMAT-} && ${expect:-0 0} == *0 &&
        "${options[*]}" != *--length* ]]; then
        becomes_every_format "$image"
    fi
}

becomes_every_format() {
    local formats format size
    size=$(virtual_size "$1" qcow2)
    find_formats
    for format in "${formats[@]}"; do
        # 2040 GiB are all that a VHD can have; and QEMU makes a VMDK of
        # nothing, but does not open it.
        case $format in
        vpc) ((size <= 2040 << 30)) || continue ;;
        vmdk) ((size > 0)) || continue ;;
        esac
        rm -f every.image
        qcow-tool serve every.image --destination-format "$format" \
            --source-size "$(stat -L -c %s "$1")" <"$1" >&2
        same_image "$1" every.image "$format"
        echo "$1 became one of $format" >&2
    done
    rm -f every.image
}

image() {
    qemu-img convert -f raw -O qcow2 ${3:+-o "$3"} "$1" "$2"
}

poke() {
    # shellcheck disable=SC2001,SC2059 # the format is made here
    printf "$(sed 's/../\\x&/g' <<<"$3")" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

other_data() {
    head -c "$2" /dev/zero | tr '\0' '\252' >"$1"
}

untouched() {
    local size
    size=$(blockdev --getsize64 "$1" 2>/dev/null || stat -c %s "$1")
    cmp "$1" <(head -c "$size" /dev/zero | tr '\0' '\252') >&2
}

# only_allocated IMAGE FILE
# Makes FILE: 0xAA where nothing is allocated in IMAGE, else what a guest reads
# there.
only_allocated() {
    local start length
    other_data "$2" "$(virtual_size "$1" qcow2)"
    qemu-img convert -f qcow2 -O raw "$1" "$2.guest"
    while IFS=+ read -r start length; do
        dd if="$2.guest" of="$2" bs=64K iflag=skip_bytes,count_bytes \
            oflag=seek_bytes skip="$start" seek="$start" count="$length" \
            conv=notrunc status=none
    done < <(present_entries "$1")
}

# fake NAME <<\EOF
# A program for --qemu-img and the like. What it says of its version is true.
fake() {
    fake=$BATS_TEST_TMPDIR/fake-$1
    {
        echo '#!/bin/sh'
        echo "case \$1 in --version | -V) exec $1 \"\$1\" ;; esac"
        cat
    } >"$fake"
    chmod 755 "$fake"
}

# costs_of RC SECONDS COMMAND ARG...
# qcow-tool, with the seconds of processor time and 256 MiB of memory that all
# processes may take together. Sets $took to how much it was, in milliseconds.
costs_of() {
    local rc=$1 seconds=$2 got=0
    shift 2
    time_limit=300 watch -- python3 "$tests/peak.py" 256 "$seconds" \
        qcow-tool "$@" >stdout 2>stderr || got=$?
    show stderr stderr
    [ "$got" = "$rc" ] || {
        echo "exit code $got, expected $rc" >&2
        return 1
    }
    [[ $(tail -n 1 stderr) =~ ([0-9]+)\.([0-9]{3})\ s$ ]]
    took=$((10#${BASH_REMATCH[1]}${BASH_REMATCH[2]}))
    nothing_left
}

one_line() {
    [ "$(wc -l <"$1")" = 1 ] && [ "$(wc -c <"$1")" -lt 400 ] || {
        echo "$1 is not one short line" >&2
        return 1
    }
}

# digits FILE complete|failed
# FILE is three digits, and three digits, and nothing between: each larger than
# the one before; 100 at the end of what was done, and nowhere else.
digits() {
    local all last=-1 value
    all=$(cat "$1")
    echo "digits: $all" >&2
    [[ $all =~ ^([0-9]{3})*$ ]] && [ $((${#all})) = "$(wc -c <"$1")" ] || {
        echo "$1 is more than groups of three digits" >&2
        return 1
    }
    for value in $(fold -w 3 <<<"$all"); do
        value=$((10#$value))
        [ $value -gt $last ] && [ $value -le 100 ] || {
            echo "$value after $last" >&2
            return 1
        }
        last=$value
    done
    case $2 in
    complete) [ $last = 100 ] ;;
    failed) [ $last != 100 ] ;;
    esac || {
        echo "$2, and the last value is $last" >&2
        return 1
    }
}
