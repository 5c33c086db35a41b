#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The command lines of xapi, as its wrapper for vhd-tool makes them.

load helpers
load helpers-serve

# A device, and an image whose allocation is the map of it.
setup() {
    helpers_setup
    make_disk disk.raw 20M runs:256K/512K
    image disk.raw map.qcow2
    other_data copy.raw 20M
}

# What the options of both command lines have in common is spelled out in each
# test: these are lines to be typed, not built.

@test "the export of the contract, the prefix an option without a value" {
    qcow_tool stream --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd 5 --tar-filename-prefix \
        --progress --machine --direct --path /dev/mapper:. 5>out.qcow2
    digits stdout complete
    [ ! -s stderr ]
    same_content disk.raw out.qcow2
    sound_image out.qcow2
    nothing_left
}

@test "the export of the contract, the prefix an empty argument" {
    qcow_tool stream --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd 5 \
        --tar-filename-prefix "" \
        --progress --machine --direct --path /dev/mapper:. 5>out.qcow2
    digits stdout complete
    same_content disk.raw out.qcow2
}

@test "the import of the contract, the prefix an option without a value" {
    qcow_tool serve --source-format qcow2 --source-protocol none \
        --source-fd 5 --tar-filename-prefix \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size 180405760 \
        5<map.qcow2
    digits stdout complete
    [ ! -s stderr ]
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the import of the contract, the prefix an empty argument, prezeroed" {
    only_allocated map.qcow2 expected.raw
    qcow_tool serve --source-format qcow2 --source-protocol none \
        --source-fd 5 --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size 180405760 \
        --prezeroed 5<map.qcow2
    digits stdout complete
    same_bytes expected.raw copy.raw
}

@test "the prefix can have a value, in either spelling, and be the last" {
    local args
    for args in "--tar-filename-prefix some" "--tar-filename-prefix=some" \
        "--tar-filename-prefix=" "--tar-filename-prefix"; do
        # shellcheck disable=SC2086 # words are wanted
        qcow_tool serve --source-fd 5 --destination new.raw $args 5<map.qcow2
        same_bytes disk.raw new.raw
        # shellcheck disable=SC2086 # words are wanted
        qcow_tool stream --source-format raw --source disk.raw \
            --destination-fd 5 $args 5>out.qcow2
        same_content disk.raw out.qcow2
        rm new.raw
    done
}

@test "the prefix swallows no option after it, short ones neither" {
    qcow_tool 1 serve --source-fd 5 --tar-filename-prefix --destination \
        missing/new.raw 5<map.qcow2
    error_says 'missing/new.raw|No such file'
    qcow_tool serve --source-fd 5 --destination new.raw \
        --tar-filename-prefix -v 5<map.qcow2
    [ -s stderr ]
}

@test "both work as xapi's helper starts them, standard input write-only" {
    export like_xapi=1
    through_socketpair qcow-tool stream --source-protocol none \
        --source-format hybrid --source "$PWD/disk.raw:$PWD/map.qcow2" \
        --destination-protocol none --destination-format qcow2 \
        --destination-fd '{}' --tar-filename-prefix "" --progress --machine \
        --direct --path /dev/mapper:. -- \
        qcow-tool serve --source-format qcow2 --source-protocol none \
        --source-fd '{}' --tar-filename-prefix "" \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size 180405760
    digits sender.stdout complete
    digits receiver.stdout complete
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "vhd-tool's words for formats are answered with what is supported" {
    qcow_tool 2 serve --source-format qcow2 --source-protocol none \
        --source-fd 5 --tar-filename-prefix \
        --destination "file://$PWD/copy.raw" --destination-format vhd \
        --progress --machine --direct --destination-size 180405760 \
        --prezeroed 5<map.qcow2
    error_says '^qcow-tool: serve: .*vhd.*raw'
    one_line stderr
    qcow_tool 2 serve --source-format raw --source-protocol none \
        --source-fd 5 --tar-filename-prefix \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size 180405760 \
        --prezeroed 5<map.qcow2
    error_says '^qcow-tool: serve: .*raw.*qcow2'
    one_line stderr
    untouched copy.raw
    [ ! -s stdout ]
}

@test "vhd-tool's words for stream are answered with what is supported" {
    local out=out.qcow2
    qcow_tool 2 stream --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format vhd --destination-fd 5 --tar-filename-prefix \
        --progress --machine --direct --path /dev/mapper:. 5>$out
    error_says '^qcow-tool: stream: .*vhd.*qcow2'
    one_line stderr
    qcow_tool 2 stream --source-protocol none --source-format vhd \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd 5 5>$out
    error_says '^qcow-tool: stream: .*vhd.*raw.*hybrid|vhd.*hybrid.*raw'
    qcow_tool 2 stream --source-protocol chunked --source-format raw \
        --source disk.raw --destination-fd 5 5>$out
    error_says '^qcow-tool: stream: .*chunked.*none'
    qcow_tool 2 stream --destination-protocol tar --source-format raw \
        --source disk.raw --destination-fd 5 5>$out
    error_says '^qcow-tool: stream: .*tar.*none'
    qcow_tool 2 serve --source-protocol nbd --source-fd 5 \
        --destination copy.raw 5<map.qcow2
    error_says '^qcow-tool: serve: .*nbd.*none'
    [ ! -s $out ]
    untouched copy.raw
}

@test "options that have no effect here are accepted by both" {
    local none=(--tar-filename-prefix "" --path /dev/mapper:.
        --ignore-checksums --verify-dest --good-ciphersuites a:b --sni host
        --cert-bundle-path /nowhere)
    qcow_tool stream --source-format raw --source disk.raw \
        --destination-fd 5 "${none[@]}" 5>out.qcow2
    [ ! -s stderr ]
    same_content disk.raw out.qcow2
    qcow_tool serve --source-fd 5 --destination copy.raw "${none[@]}" \
        5<map.qcow2
    [ ! -s stderr ]
    same_bytes disk.raw copy.raw
}
