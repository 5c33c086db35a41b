#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# QEMU without what came in 5.1, 5.2 and 6.0. Programs made here stand in for
# it: they are the host's, but know less.

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

@test "what a qemu-img lacks is named, and the destination left as it was" {
    local real
    make_disk disk 4M data@0+4M
    qemu-img convert -f raw -O qcow2 disk image.qcow2
    make_disk copy 4M seed:7 full
    cp copy before
    real=$(command -v qemu-img)
    fake qemu-img <<END
case " \$* " in
*' map '*) echo 'qemu-img: qcow2: unknown compression type: 1' >&2; exit 1 ;;
*' create '*)
    echo "qemu-img: x: Invalid parameter 'extended_l2'" >&2; exit 1 ;;
esac
exec $real "\$@"
END
    chmod 755 "$BATS_TEST_TMPDIR"
    qcow_tool 1 serve copy --qemu-img "$fake" <image.qcow2
    error_says '^qcow-tool: serve: QEMU: this fake-qemu-img cannot .* zstd'
    same_bytes copy before
    stdout_to=out qcow_tool 1 stream disk --extended-l2 --qemu-img "$fake"
    error_says '^qcow-tool: stream: QEMU: .* knows no extended L2 entries'
    [ ! -s out ]
    qcow_tool 1 stream image.qcow2 --source-format qcow2 --qemu-img "$fake"
    error_says 'source: ./image.qcow2: QEMU: .* cannot read .* with zstd'
    nothing_left
}
