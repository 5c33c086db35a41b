#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# qcow2-to-stdout reads up to four pipes, which are filled by whoever in any
# order, and waits for none of them alone.

load ../lib/helpers

# Four files of more than a pipe holds, of which the maps have thousands of
# ranges: every other 4 KiB are data.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    python3 - <<\END
for name, first in ("disk", 1), ("base", 2):
    with open(name, "wb") as f:
        f.truncate(16 << 20)
        for at in range(0, 16 << 20, 8192):
            f.seek(at)
            f.write(b"%04096d" % (at * first + 1))
END
    local name
    for name in disk base; do
        qemu-img convert -f raw -O qcow2 -o cluster_size=4K $name \
            $name.qcow2
        qemu-img map --output=json -f qcow2 $name.qcow2 >$name.map
        qemu-img info --output=json -f qcow2 $name.qcow2 >$name.info
        head -c 1500000 /dev/zero | tr '\0' ' ' >>$name.map
        head -c 300000 /dev/zero | tr '\0' '\n' >>$name.info
    done
    [ "$(jq length disk.map)" = 4096 ]
}

setup() {
    helpers_setup
    ln -s "$BATS_FILE_TMPDIR"/{disk,base}{,.map,.info} .
}

# feeds FEED-OPTION...
feeds() {
    feeding="$*" time_limit=30 with_maps disk disk base base
    if [ -e first.qcow2 ]; then
        same_bytes first.qcow2 out.qcow2
    else
        sound_difference disk base out.qcow2
        mv out.qcow2 first.qcow2
    fi
    nothing_left
}

@test "one pipe whole before the next, in any order" {
    feeds --order map,info,diff-map,diff-info
    feeds --order diff-info,diff-map,info,map
    feeds --order info,map,diff-info,diff-map
    feeds --order diff-map,map,diff-info,info
    feeds --order diff-map,diff-info,map,info
    feeds --order info,diff-info,diff-map,map
}

@test "pieces in turn" {
    feeds --together
    feeds --together --chunk 1000
    feeds --together --order diff-info,map,diff-map,info --chunk 65537
}

@test "no pipe is closed before all are full" {
    feeds --late-end
    feeds --late-end --order diff-info,diff-map,info,map
}

@test "pipes that are non-blocking" {
    feeds --nonblocking
    feeds --nonblocking --order diff-info,info,diff-map,map
    feeds --nonblocking --together --chunk 4096 --late-end
}

@test "fds by UUID, which LISTEN_FDNAMES names" {
    feeds --uuid
    feeds --uuid --order diff-info,info,diff-map,map
}

@test "byte by byte" {
    make_disk small 200K runs:4K/4K
    qemu-img convert -f raw -O qcow2 -o cluster_size=4K small small.qcow2
    describe small.qcow2 small
    feeding="--chunk 1 --together" with_map small small
    : >nothing
    sound_difference small nothing out.qcow2
    feeding="--chunk 1 --order info,map --nonblocking" with_map small small
    sound_difference small nothing out.qcow2
    nothing_left
}

@test "files instead of pipes, from where they stand" {
    { echo skipped && cat disk.map; } >behind
    {
        python3 -c 'import os; os.lseek(5, 8, os.SEEK_SET)'
        stdout_to=out.qcow2 drop_in qcow2-to-stdout disk \
            --json-header-map 5 --json-header-info 6
    } 5<behind 6<disk.info
    : >nothing
    sound_difference disk nothing out.qcow2
    nothing_left
}

@test "one writer for each pipe" {
    mkfifo map info diff-map diff-info
    local name
    for name in map info; do
        in_background dd if=disk.$name of=$name bs=4K conv=notrunc
        in_background dd if=base.$name of=diff-$name bs=4K conv=notrunc
    done
    stdout_to=out.qcow2 drop_in qcow2-to-stdout disk --diff base \
        --json-header-map 5 --json-header-info 6 \
        --json-header-diff-map 7 --json-header-diff-info 8 \
        5<map 6<info 7<diff-map 8<diff-info
    sound_difference disk base out.qcow2
    nothing_left
}

@test "the same fd twice, an fd that is not open, standard output" {
    bad_fds() {
        stdout_to=out.qcow2 time_limit=10 drop_in "[12]" qcow2-to-stdout \
            disk "$@" 5<disk.map 6<disk.info 7>/dev/null \
            8> >(exec cat >/dev/null 3>&-)
        error_says "^[a-z0-9-]+: .*$bad"
        [ ! -s out.qcow2 ]
        nothing_left
    }
    bad=5 bad_fds --json-header-map 5 --json-header-info 5
    # Either is wrong, and either may be noticed first.
    bad="fd [56]" bad_fds --diff base \
        --json-header-map 5 --json-header-info 6 \
        --json-header-diff-map 6 --json-header-diff-info 5
    bad=77 bad_fds --json-header-map 77 --json-header-info 6
    bad=77 bad_fds --json-header-map 5 --json-header-info 77
    bad="fd 7 is write-only" bad_fds --json-header-map 7 --json-header-info 6
    # The end of a pipe with which there would be nothing to wait for.
    bad="fd 8 is write-only" bad_fds --json-header-map 5 --json-header-info 8
    bad=1 bad_fds --json-header-map 1 --json-header-info 6
    bad="[0-9a-f-]{36}" bad_fds --output 27c1e0e4-8d0f-4d5c-9d3a-6a6f5d6b7c01
}

@test "a signal ends the wait for a map" {
    mkfifo map
    link_drop_in qcow2-to-stdout
    local watched pid rc=0
    # Opened for both: no end of file will come.
    exec 5<>map 6<disk.info
    watched_command --pid-file pid -- bin/qcow2-to-stdout disk \
        --json-header-map 5 --json-header-info 6
    "${watched[@]}" >out.qcow2 2>stderr 3>&- &
    echo $! >>.pids
    wait_until 10 test -e pid
    pid=$(cat pid)
    wait_until 10 grep -q 'State:.S' "/proc/$pid/status"
    kill "$pid"
    wait $! || rc=$?
    exec 5<&- 6<&-
    [ $rc = 143 ]
    [ ! -s out.qcow2 ]
    nothing_left
}
