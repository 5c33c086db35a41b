# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of tests/export share.

# mixed_disk NAME [SIZE]
# A bit of everything: data that begins and ends in mid-cluster, written
# zeroes, long holes, data at the very start and at the very end.
mixed_disk() {
    make_disk "$1" "${2:-48M}" data@0+4K runs:1M/512K@4M+20M seed:2 \
        pieces:60 empties:20 data@30M+5M zeroes@31M+1M tail+300K
}

# good_order FILE
# Tables before data, data ascending without a gap; says what is in $order.
good_order() {
    qemu-img map --output=json -f qcow2 "$1" >.order.map || return 1
    order=$(python3 "$tests/streamable-order.py" "$1" <.order.map) || {
        echo "$order" >&2
        return 1
    }
    echo "$order" >&2
}

# measured FILE STREAM-ARG...
# `measure` with these arguments says how long the stream FILE is, and how
# large the disk in it.  That it says so in JSON is for measure.bats to see: jq
# takes as long as qcow-tool.
measured() {
    local file=$1 said expected number=': ([0-9]+),'
    shift
    said=$(TMPDIR=$spool timeout 60 qcow-tool measure "$@") || return 1
    [[ $said =~ '"length"'$number.*'"data"'$number.*'"metadata"'$number.*\
'"virtual-size"'$number ]] || {
        echo "qcow-tool measure $(quoted "$@"): $said" >&2
        return 1
    }
    said="${BASH_REMATCH[1]} $((BASH_REMATCH[2] + BASH_REMATCH[3]))"
    said+=" ${BASH_REMATCH[4]}"
    expected=$(stat -c %s "$file")
    expected="$expected $expected $(virtual_size "$file" qcow2)"
    [ "$said" = "$expected" ] || {
        echo "qcow-tool measure $(quoted "$@"): $said, not $expected" >&2
        return 1
    }
}

# no_backing_file FILE
no_backing_file() {
    local info
    info=$(qemu-img info -f qcow2 "$1") &&
        [[ $info != *$'\n'"backing file: "* ]]
}

# map_entries FILE REGEX
# Those of `qemu-img map` that match, as lines OFFSET+LENGTH.  An entry is a
# line: jq would take four times as long as qemu-img.
map_entries() {
    qemu-img map --output=json -f qcow2 "$1" | matching "$2"
}

matching() {
    sed -n "/$1/"'s/.*"start": \([0-9]*\), "length": \([0-9]*\),.*/\1+\2/p'
}

# present_entries FILE [REGEX]
# The same of what is present in FILE, which has no backing file.  Not each
# QEMU says what is: it is what is not left to zeroes that are put below FILE.
present_entries() {
    qemu-img map --output=json 'json:{"driver":"qcow2","backing":{
        "driver":"null-co","size":4611686018427387904,"read-zeroes":true},
        "file":{"driver":"file","filename":"'"$1"'"}}' |
        grep '"depth": 0,' | matching "${2:-.}"
}

# As one line what touches, wherever it is in the file.
joined() {
    awk -F+ '
        NR > 1 && $1 != end { printf "%.0f+%.0f\n", start, end - start }
        $1 != end || NR == 1 { start = $1 }
        { end = $1 + $2 }
        END { if (NR > 0) printf "%.0f+%.0f\n", start, end - start }'
}

# data_ranges FILE
# What is data in a qcow2 file, as lines OFFSET+LENGTH.
data_ranges() {
    map_entries "$1" '"data": true'
}

# allocate IMAGE OFFSET+LENGTH...
# Data in a qcow2 file: bytes 0x11, which make_disk does not write at such
# lengths.
allocate() {
    local file=$1 span
    shift
    for span; do
        qemu-io -f qcow2 -c "write -q -P 0x11 ${span/+/ }" "$file"
    done
}

# empty_image NAME SIZE [CREATE-OPTION...]
# A qcow2 file without data.
empty_image() {
    local name=$1 size=$2
    shift 2
    qemu-img create -q -f qcow2 "$@" "$name" "$size"
}

# overlay NAME BASE BASE-FORMAT [CREATE-OPTION...|SIZE]
# A qcow2 file without data over BASE, of its size.
overlay() {
    local name=$1 base=$2 format=$3
    shift 3
    qemu-img create -q -f qcow2 -b "$base" -F "$format" "$name" "$@"
}

# good_hybrid DEVICE IMAGE EXPECTED [STREAM-ARG...]
# Both layouts, streamable.qcow2 and convert.qcow2, hold the disk EXPECTED,
# name no backing file, and are as long as `measure` says.
good_hybrid() {
    local source=$1:$2 expected=$3 layout
    shift 3
    for layout in streamable convert; do
        stdout_to=$layout.qcow2 qcow_tool stream --source-format hybrid \
            --source "$source" --layout $layout "$@"
        sound_image $layout.qcow2
        same_content "$expected" raw $layout.qcow2
        no_backing_file $layout.qcow2
        measured $layout.qcow2 --source-format hybrid --source "$source" \
            --layout $layout "$@"
    done
    good_order streamable.qcow2
    nothing_left
}

# refused RC STREAM-ARG...
# Fails with exit code RC before a byte is sent, and leaves nothing.
refused() {
    local rc=$1
    shift
    stdout_to=stream.qcow2 qcow_tool "$rc" stream "$@"
    [ ! -s stream.qcow2 ] || {
        echo "$(stat -c %s stream.qcow2) bytes were sent" >&2
        return 1
    }
    nothing_left
}
