#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# A QEMU that says over NBD what none would: tests/lib/rude-client.c in its
# place. It is refused or cut off, and what it then ends with is told.

load ../lib/helpers

kinds='no-greeting bad-option half-option bad-magic half-request half-payload
    refused unaligned skipped flood after-the-end silence'

setup() {
    helpers_setup
    make_disk disk.raw 2M data@256K+512K zeroes@1M+64K
    image disk.raw disk.qcow2
    other_data copy.raw 2M
    qemu-img convert -c -f raw -O qcow2 copy.raw compressed.qcow2
    # Where the user that QEMU becomes can find it.
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
    cp "$(command -v rude-client)" rude-client
}

# rude_as NAME KIND: the program of QEMU of that name. Its path is $fake.
rude_as() {
    fake "$1" <<END
case "\$*" in *'"type":"fd"'* | *server.type=fd*)
    exec "$PWD/rude-client" $2 "\$@" ;;
esac
exec $(command -v "$1") "\$@"
END
}

# fails ARG...: exit code 1, $expected in the only line, and nothing left.
fails() {
    time_limit=30 qcow_tool 1 "$@"
    error_says "^qcow-tool: (serve|stream): $expected"
    one_line stderr
    [ ! -e new.raw ] && [ ! -s out.qcow2 ]
    untouched copy.raw
    nothing_left
}

# Where QEMU has an end of a bridge. Each takes a KIND.
map_of_import() {
    rude_as qemu-img "$1"
    fails serve --destination copy.raw --qemu-img "$fake" <disk.qcow2
}

decoder_of_import() {
    rude_as qemu-nbd "$1"
    fails serve --destination new.raw --qemu-nbd "$fake" <compressed.qcow2
}

layout_of_export() {
    rude_as qemu-io "$1"
    fails stream disk.raw --destination out.qcow2 --qemu-io "$fake"
}

map_of_layout() {
    rude_as qemu-img "$1"
    fails stream disk.raw --destination out.qcow2 --qemu-img "$fake"
}

map_of_image() {
    rude_as qemu-img "$1"
    fails stream --source-format qcow2 disk.qcow2 --destination out.qcow2 \
        --qemu-img "$fake"
}

# each_kind PLACE...
# Each kind at one of them, or at all with FAULT_PICKS=0.
each_kind() {
    local kind i=${FAULT_SEED:-0} place
    for kind in $kinds; do
        i=$((i + 1))
        for place; do
            [ "${FAULT_PICKS:-1}" = 0 ] ||
                [ "$place" = "${*:1 + i % $#:1}" ] || continue
            echo "$place: $kind" >&2
            $place "$prefix$kind"
        done
    done
}

places='map_of_import decoder_of_import layout_of_export map_of_layout
    map_of_image'

@test "what QEMU asks for that it must not is its end, and told" {
    # shellcheck disable=SC2086 # they are words
    prefix='' expected='.*rude-client: as expected' each_kind $places
}

@test "a QEMU that says all went well after that is not believed" {
    [ "${FAULT_PICKS:-1}" = 0 ] || kinds='half-request refused flood silence'
    # shellcheck disable=SC2086
    prefix=+ expected='(QEMU|source): ' each_kind $places
}

@test "a QEMU that asks, never listens and never ends is named" {
    rude_as qemu-img flood-and-sleep
    expected='nothing has moved for 1 s: .*qemu-img is waited for in vain' \
        fails serve --destination copy.raw --qemu-img "$fake" \
        --stall-timeout 1 <disk.qcow2
}
