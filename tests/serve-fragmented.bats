#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images with as many ranges as tables can describe: each other sector is one.

load helpers
load helpers-serve
load helpers-images

fragmented() {
    python3 "$tests/make-fragmented.py" "$@"
}

@test "tables full of ranges may arrive while QEMU reads them" {
    # 128 KiB of them, in one window: few are here when it begins.
    fragmented disk.qcow2 $((128 << 20)) zeroes
    set -o pipefail
    # shellcheck disable=SC2002 # a pipe is wanted
    cat disk.qcow2 | qcow_tool serve --destination new.raw
    same_content disk.qcow2 new.raw
    nothing_left
}
