#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# QEMU without what came in 5.1 and 6.0. Programs made here stand in for it:
# they are the host's, but know less.

load ../lib/helpers

setup() {
    helpers_setup
}

# old NAME WHAT: the fake of a program that does not know WHAT.
old() {
    local real
    real=$(command -v "$1")
    fake "$1" <<END
case " \$* " in
*'help truncate'*) echo 'truncate off -- truncates the current file'; exit ;;
*--help*) $real "\$@" | grep -v -e '$2'; exit ;;
*'$2'*) echo "$1: unrecognized option '$2'" >&2; exit 1 ;;
esac
${3-} exec $real "\$@"
END
    chmod 755 "$BATS_TEST_TMPDIR"
}

@test "without qemu-io's truncate -m all is laid out in the same way" {
    local args new
    # One range that is worth preallocating, and more than a refcount block.
    truncate -s 640M hole
    qemu-img create -q -f qcow2 -o preallocation=metadata all.qcow2 640M
    old qemu-io ' -m ' "sed 's/^truncate -m.*/quit/' |"
    for args in '' '--refcount-bits 64' '--extended-l2 --refcount-bits 64'; do
        # shellcheck disable=SC2086 # several words
        qcow_tool measure --source-format hybrid --source hole:all.qcow2 $args
        new=$output
        # shellcheck disable=SC2086
        qcow_tool measure --source-format hybrid --source hole:all.qcow2 \
            --qemu-io "$fake" --debug $args
        [ "$output" = "$new" ]
        stderr_says 'qemu-img resize'
        run ! grep 'by growing' stderr
    done
}

@test "without qemu-img map --start-offset read_headers says the same" {
    local new
    # Two windows, and something on both sides of where they meet.
    qemu-img create -q -f qcow2 -o cluster_size=512 disk.qcow2 1025M
    qemu-io -t unsafe disk.qcow2 >/dev/null <<\END
write 0 512
write 1023M 2M
END
    drop_in qcow-stream-tool read_headers disk.qcow2
    new=$output
    old qemu-img max-length
    export QCOW_TOOL_QEMU_IMG=$fake
    drop_in qcow-stream-tool read_headers disk.qcow2
    [ "$output" = "$new" ]
}
