#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The words on xapi's command lines that are vhd-tool's, launched as xapi does.
# What the calls are for is in the xapi-*.bats.

load ../lib/helpers

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
    exports --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid" \
        --tar-filename-prefix \
        --progress --machine --direct --path /dev/mapper:.
    same_content disk.raw out.qcow2
    sound_image out.qcow2
    nothing_left
}

@test "the import of the contract, the prefix an option without a value" {
    imports map.qcow2 --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size 180405760
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the prefix can have a value, in either spelling, and be the last" {
    local args
    for args in "--tar-filename-prefix some" "--tar-filename-prefix=some" \
        "--tar-filename-prefix=" "--tar-filename-prefix"; do
        # shellcheck disable=SC2086 # words are wanted
        imports map.qcow2 --source-fd "$uuid" --destination "$PWD/new.raw" \
            --progress --machine $args
        same_bytes disk.raw new.raw
        # shellcheck disable=SC2086 # words are wanted
        exports --source-format raw --source "$PWD/disk.raw" \
            --destination-fd "$uuid" --progress --machine $args
        same_content disk.raw out.qcow2
        rm new.raw
    done
}

@test "the prefix swallows no option after it, short ones neither" {
    imports 1 map.qcow2 --source-fd "$uuid" --tar-filename-prefix \
        --destination "$PWD/missing/new.raw"
    error_says 'missing/new.raw: No such file' log
    qcow_tool serve --source-fd 5 --destination new.raw \
        --tar-filename-prefix -v 5<map.qcow2
    [ -s stderr ]
    same_bytes disk.raw new.raw
}

@test "vhd-tool's words for serve are answered with what is supported" {
    imports 2 map.qcow2 --source-format qcow2 --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix \
        --destination "file://$PWD/copy.raw" --destination-format vhd \
        --progress --machine --direct --destination-size 180405760 \
        --prezeroed
    error_says '^qcow-tool: serve: .*vhd.*raw' log
    imports 2 map.qcow2 --source-format raw --source-protocol none \
        --source-fd "$uuid" --tar-filename-prefix \
        --destination "file://$PWD/copy.raw" --destination-format raw \
        --progress --machine --direct --destination-size 180405760 \
        --prezeroed
    error_says '^qcow-tool: serve: .*raw.*qcow2' log
    imports 2 map.qcow2 --source-protocol nbd --source-fd "$uuid" \
        --destination "$PWD/copy.raw"
    error_says '^qcow-tool: serve: .*nbd.*none' log
    [ ! -s progress ]
    untouched copy.raw
}

@test "vhd-tool's words for stream are answered with what is supported" {
    exports 2 --source-protocol none --source-format hybrid \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format vhd --destination-fd "$uuid" \
        --tar-filename-prefix \
        --progress --machine --direct --path /dev/mapper:.
    error_says '^qcow-tool: stream: .*vhd.*qcow2' log
    [ ! -s out.qcow2 ]
    exports 2 --source-protocol none --source-format vhd \
        --source "$PWD/disk.raw:$PWD/map.qcow2" --destination-protocol none \
        --destination-format qcow2 --destination-fd "$uuid"
    error_says '^qcow-tool: stream: .*vhd.*raw.*hybrid.*vpc' log
    [ ! -s out.qcow2 ]
    exports 2 --source-protocol chunked --source-format raw \
        --source "$PWD/disk.raw" --destination-fd "$uuid"
    error_says '^qcow-tool: stream: .*chunked.*none' log
    exports 2 --destination-protocol tar --source-format raw \
        --source "$PWD/disk.raw" --destination-fd "$uuid"
    error_says '^qcow-tool: stream: .*tar.*none' log
    [ ! -s out.qcow2 ]
    [ ! -s progress ]
}

@test "options that have no effect here are accepted by both" {
    local none=(--tar-filename-prefix "" --path /dev/mapper:.
        --ignore-checksums --verify-dest --good-ciphersuites a:b --sni host
        --cert-bundle-path /nowhere)
    exports --source-format raw --source "$PWD/disk.raw" \
        --destination-fd "$uuid" --progress --machine "${none[@]}"
    same_content disk.raw out.qcow2
    imports map.qcow2 --source-fd "$uuid" --destination "$PWD/copy.raw" \
        --progress --machine "${none[@]}"
    same_bytes disk.raw copy.raw
}
