#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# qcow2-to-stdout with maps that are not what they should be: an error before
# the first byte is sent.

load ../lib/helpers

# Three ranges at least, so that there are borders to move.
setup() {
    helpers_setup
    make_disk disk 3M data@0+64K data@1M+64K tail+64K
    make_disk base 3M data@0+64K
    local name
    for name in disk base; do
        qemu-img convert -f raw -O qcow2 $name $name.qcow2
        describe $name.qcow2 $name
    done
    cp disk.map good.map
    cp disk.info good.info
    cp base.map good-base.map
    cp base.info good-base.info
    [ "$(jq length good.map)" = 5 ]
}

# refused [REGEX]
refused() {
    expect=1 time_limit=20 with_map disk disk
    error_says "^[a-z0-9-]+: .*${1:-}"
    [ "$(wc -l <stderr)" = 1 ]
    [ ! -s out.qcow2 ]
    nothing_left
    cp good.info disk.info
    cp good.map disk.map
}

# The same of the base's.
base_refused() {
    expect=1 time_limit=20 with_maps disk disk base base
    error_says "^[a-z0-9-]+: .*${1:-}"
    [ ! -s out.qcow2 ]
    nothing_left
    cp good-base.info base.info
    cp good-base.map base.map
}

# map_as JQ-FILTER, info_as JQ-FILTER
map_as() {
    jq -c "$1" good.map >disk.map
    refused "${2:-map}"
}

info_as() {
    jq -c "$1" good.info >disk.info
    refused "${2:-info}"
}

text_as() {
    printf "%b" "$2" >"disk.$1"
    refused "$1"
}

@test "what stands here as good is good" {
    with_map disk disk
    with_maps disk disk base base
    sound_difference disk base out.qcow2
}

@test "an empty text, and one of blanks" {
    text_as map ''
    text_as info ''
    text_as map ' \n \t\n'
    text_as info '\n'
}

@test "an empty list, and what is no list" {
    text_as map '[]'
    text_as map '{}'
    text_as map 'null'
    text_as map '42'
    text_as map '"text"'
    text_as map '[[]]'
    text_as map '[null]'
    text_as map '[42]'
    text_as info '[]'
    text_as info '{}'
    text_as info 'null'
}

@test "a text that is cut short" {
    local name length
    for name in map info; do
        for length in 1 2 20 $(($(stat -c %s "good.$name") / 2)) \
            $(($(stat -c %s "good.$name") - 3)) \
            $(($(stat -c %s "good.$name") - 2)); do
            head -c "$length" "good.$name" >"disk.$name"
            refused "$name"
        done
    done
}

@test "a text with more behind it, or something else" {
    { cat good.map && echo ']'; } >disk.map
    refused map
    cat good.map good.map >disk.map
    refused map
    { cat good.info && echo x; } >disk.info
    refused info
    text_as map "qemu-img: Could not open 'x': Failed to get shared lock\n"
    text_as info 'image: disk\nfile format: qcow2\n'
    { head -c 30 good.map && printf '\0' && tail -c +31 good.map; } >disk.map
    refused map
    head -c 300000 /dev/urandom >disk.map
    refused map
}

@test "a nesting deeper than any map's" {
    head -c 300000 /dev/zero | tr '\0' '[' >disk.map
    refused map
    {
        printf '[{"start": 0, "x": '
        head -c 300000 /dev/zero | tr '\0' '['
        head -c 300000 /dev/zero | tr '\0' ']'
        printf '}]'
    } >disk.map
    refused map
    {
        printf '{"virtual-size": '
        head -c 300000 /dev/zero | tr '\0' '['
    } >disk.info
    refused info
}

@test "fields that are missing" {
    local field
    for field in start length data zero; do
        map_as "del(.[1].$field)"
    done
    info_as 'del(."virtual-size")'
}

@test "fields of another type" {
    local value
    for value in '"0"' null '{}' 1.5; do
        map_as ".[1].start = $value"
        map_as ".[1].length = $value"
    done
    for value in '"true"' null 1; do
        map_as ".[1].data = $value"
        map_as ".[1].zero = $value"
    done
    for value in '"3145728"' null '[]' 1.5; do
        info_as ".\"virtual-size\" = $value"
    done
}

@test "numbers that cannot be" {
    map_as '.[1].start = -65536'
    map_as '.[1].length = -1'
    map_as '.[4].length = 9223372036854775000'
    sed 's/"length": 65536/"length": 18446744073709551615/' good.map >disk.map
    refused map
    sed 's/"length": 65536/"length": 99999999999999999999999/' \
        good.map >disk.map
    refused map
    sed 's/"length": 65536/"length": 1e400/' good.map >disk.map
    refused map
    info_as '."virtual-size" = -1'
    sed -E 's/("virtual-size": )[0-9]+/\199999999999999999999999/' \
        good.info >disk.info
    refused info
}

@test "ranges that overlap, leave a gap or are in disorder" {
    map_as '.[1].start -= 512'
    map_as '.[1].start += 512'
    map_as '.[1].length += 512'
    map_as '.[1].length -= 512'
    map_as 'del(.[0])'
    map_as 'del(.[2])'
    map_as '.[0:2] + .[3:4] + .[2:3] + .[4:5]'
    map_as '. + .'
}

@test "a map that covers less than the disk, and one that covers more" {
    map_as 'del(.[4])'
    map_as '.[4].length -= 512'
    map_as '.[4].length += 512'
    map_as '.[4].length += 1048576'
}

@test "map and info of another disk" {
    qemu-img create -q -f qcow2 other.qcow2 4M
    describe other.qcow2 disk
    refused "[0-9]{7}"
    qemu-img create -q -f qcow2 other.qcow2 2M
    describe other.qcow2 disk
    refused "[0-9]{7}"
    info_as '."virtual-size" += 65536' "[0-9]{7}"
    info_as '."virtual-size" -= 65536' "[0-9]{7}"
}

@test "the same of the base's map and info" {
    : >base.map
    base_refused map
    : >base.info
    base_refused info
    echo '[]' >base.map
    base_refused map
    head -c 100 good-base.map >base.map
    base_refused map
    head -c 100 good-base.info >base.info
    base_refused info
    jq 'del(.[0])' good-base.map >base.map
    base_refused map
    jq 'del(.[1])' good-base.map >base.map
    base_refused map
    jq '.[1].length += 65536' good-base.map >base.map
    base_refused map
    jq '."virtual-size" = "3145728"' good-base.info >base.info
    base_refused info
    qemu-img create -q -f qcow2 other.qcow2 2M
    describe other.qcow2 base
    base_refused "[0-9]{7}"
}

@test "a map of a million ranges that does not end costs little memory" {
    python3 - >disk.map <<\EOF
import sys
sys.stdout.write("[")
for i in range(1000000):
    sys.stdout.write('{"start":%d,"length":65536,"depth":0,"present":true,'
                     '"zero":false,"data":%s,"offset":0},\n' %
                     (i * 65536, "true" if i % 2 == 0 else "false"))
EOF
    link_drop_in qcow2-to-stdout
    run -1 python3 "$tests/peak.py" 256 30 python3 "$tests/feed.py" \
        map=disk.map info=good.info -- bin/qcow2-to-stdout disk \
        --json-header-map '{map}' --json-header-info '{info}'
    [[ $output = *"map"*"peak.py: exit code 1"* ]]
}
