#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --bitmap: what a dirty bitmap of QEMU's marks is sent.

load ../lib/helpers

# The disk of an image, before and after: base.raw, and now.raw, which is what
# NOW has. In between, with granules of 64 KiB, were written: the first sector,
# one in the middle of clusters, two bytes across a border, zeroes over data,
# zeroes over nothing, and the end.
setup() {
    helpers_setup
    make_disk base.raw 8M data@0+3M data@5M+1M
    lay_image
    changed='0+65536
1048576+65536
2031616+131072
2621440+131072
4194304+65536
8323072+65536'
}

lay_image() {
    qemu-img convert -f raw -O qcow2 base.raw now.qcow2
    qemu-img bitmap --add -g 64K now.qcow2 since
    qemu-img bitmap --add -g 1M now.qcow2 coarse
    qemu-io -f qcow2 -c 'write -q -P 2 0 512' -c 'write -q -P 3 1080000 1' \
        -c 'write -q -P 4 2097151 2' -c 'write -q -z 2560K 128K' \
        -c 'write -q -z 4M 64K' -c 'write -q -P 5 8388000 608' now.qcow2
    raw_of now.qcow2 now.raw
}

# shows BITMAP [QEMU-NBD-OPTION...]: sets $uri and $from.
shows() {
    nbd_server unix qemu-nbd --persistent --shared 8 -r -f qcow2 \
        -B "$1" "${@:2}" now.qcow2
    from=(--source-format nbd --source "$uri" --bitmap "$1")
}

# sends_marked EXPECTED STREAM-ARG...
# A good difference, which holds just that, and nothing of it is marked.
sends_marked() {
    local expected=$1
    good_difference now.raw base.raw "${@:2}"
    [ "$(sent difference.qcow2)" = "$expected" ] || {
        sent difference.qcow2 >&2
        return 1
    }
    [ "$(data_ranges difference.qcow2 | joined)" = "$expected" ]
}

# daemon: qemu-storage-daemon with the node `disk', now.qcow2. It is told
# commands by `qmp', and listens at $uri.
daemon() {
    requires qemu-storage-daemon
    in_background qemu-storage-daemon \
        --chardev socket,path="$PWD/qmp.sock",server=on,wait=off,id=q \
        --monitor chardev=q \
        --blockdev driver=file,node-name=file,filename=now.qcow2 \
        --blockdev driver=qcow2,node-name=disk,file=file \
        --nbd-server addr.type=unix,addr.path="$PWD/nbd.sock",max-connections=8
    wait_until 10 test -S nbd.sock -a -S qmp.sock
}

qmp() {
    python3 "$tests/qmp.py" qmp.sock "$@"
}

# bitmap COMMAND NAME [ARGUMENTS]
bitmap() {
    qmp '{"execute":"block-dirty-bitmap-'"$1"'","arguments":{"node":"disk",
        "name":"'"$2"'"'"${3:+,$3}"'}}'
}

# export_as ID BITMAPS [ARGUMENTS]: sets $uri_ID.
export_as() {
    qmp '{"execute":"block-export-add","arguments":{"type":"nbd",
        "id":"'"$1"'","node-name":"disk","name":"'"$1"'",
        "bitmaps":'"$2"''"${3:+,$3}"'}}'
    printf -v "uri_$1" '%s' "nbd+unix:///$1?socket=$PWD/nbd.sock"
}

@test "all that is marked goes out as it is, zeroes too" {
    shows since
    sends_marked "$changed" "${from[@]}"
}

@test "over the data of a device that has the disk" {
    shows since -x 'disk 7'
    sends_marked "$changed" --source-format nbdhybrid --bitmap since \
        --source "now.raw:$socket:disk 7:8388608"
}

@test "clusters that are smaller or larger than what a bit stands for" {
    local size
    shows since
    for size in 512 4K; do
        sends_marked "$changed" "${from[@]}" --cluster-size $size
    done
    sends_marked "$changed" "${from[@]}" --cluster-size 2M --extended-l2
    sends_marked $'0+3145728\n4194304+1048576\n7340032+1048576' "${from[@]}" \
        --cluster-size 1M
    shows coarse
    sends_marked $'0+3145728\n4194304+1048576\n7340032+1048576' "${from[@]}"
}

@test "with the zero flag what reads as zeroes takes no room" {
    shows since
    flags=yes good_difference now.raw base.raw "${from[@]}" \
        --zero-clusters flag
    [ "$(flagged difference.qcow2)" = $'2621440+131072\n4194304+65536' ]
    [ "$(sent difference.qcow2)" = "$changed" ]
    flags=yes good_difference now.raw base.raw "${from[@]}" \
        --zero-clusters flag --detect-zeroes
    [ "$(flagged difference.qcow2)" = $'2621440+131072\n4194304+65536' ]
}

@test "nothing, and all of it" {
    cp base.raw now.raw
    qemu-img convert -f raw -O qcow2 base.raw now.qcow2
    qemu-img bitmap --add now.qcow2 none
    qemu-img bitmap --add now.qcow2 all
    qemu-io -f qcow2 -c 'discard -q 0 8M' now.qcow2
    # What has been discarded reads as zeroes, and was data.
    qemu-img bitmap --clear now.qcow2 none
    raw_of now.qcow2 now.raw
    shows all
    good_difference now.raw base.raw "${from[@]}"
    [ "$(sent difference.qcow2)" = 0+8388608 ]
    flags=yes good_difference now.raw base.raw "${from[@]}" \
        --zero-clusters flag
    holds difference.qcow2 8388608 8388608
    [ -z "$(data_ranges difference.qcow2)" ]
    shows none
    stdout_to=difference.qcow2 qcow_tool stream "${from[@]}"
    is_empty difference.qcow2
}

@test "of a qemu-storage-daemon, one bitmap of several, and none of another" {
    daemon
    bitmap add live '"granularity":65536'
    export_as write '[]' '"writable":true'
    qemu-io -f raw -c 'write -q -P 9 6M 1' "$uri_write"
    # An export that is read-only takes none that goes on.
    bitmap disable live
    bitmap disable since
    export_as disk '["since","live"]'
    qemu-img convert -f raw -O raw "$uri_disk" now.raw
    sends_marked "${changed/8323072/6291456+65536$'\n'8323072}" \
        --source-format nbd --source "$uri_disk" --bitmap since
    stdout_to=live.qcow2 qcow_tool stream --source-format nbd \
        --source "$uri_disk" --bitmap live
    [ "$(sent live.qcow2)" = 6291456+65536 ]
    source_fails "the NBD server has no bitmap 'sinc'; it has (since, live|\
live, since)$" nbd "$uri_disk" --bitmap sinc
    nothing_sent
    source_fails "has no bitmap 'since', and tells of no other$" \
        nbd "$uri_write" --bitmap since
    nothing_sent
}

# What libvirt asks of QEMU (qemuBackupBegin in its src/qemu/qemu_backup.c,
# seen at 0150f7a8): an image to keep things aside, backed by the disk, into
# which the bitmaps are merged; a backup job with sync none; and that image is
# exported.  libvirt merges and begins in one transaction.
@test "a backup in pull mode, as libvirt begins it, while the guest writes" {
    daemon
    export_as guest '[]' '"writable":true'
    # What the guest overwrites is kept aside first, and is shown with the
    # bitmap of what had changed by then.
    qemu-img create -q -f qcow2 -F qcow2 -b now.qcow2 aside.qcow2
    qmp '{"execute":"blockdev-add","arguments":{"driver":"qcow2",
        "node-name":"aside","backing":"disk",
        "file":{"driver":"file","filename":"aside.qcow2"}}}'
    qmp '{"execute":"block-dirty-bitmap-add","arguments":{"node":"aside",
        "name":"backup-vda","granularity":65536,"disabled":true}}'
    qmp '{"execute":"block-dirty-bitmap-merge","arguments":{"node":"aside",
        "target":"backup-vda","bitmaps":[{"node":"disk","name":"since"}]}}'
    qmp '{"execute":"blockdev-backup","arguments":{"device":"disk",
        "job-id":"backup","target":"aside","sync":"none"}}'
    qmp '{"execute":"block-export-add","arguments":{"type":"nbd","id":"vda",
        "node-name":"aside","name":"vda","bitmaps":["backup-vda"]}}'
    qemu-io -f raw -c 'write -q -P 9 0 64K' -c 'write -q -P 9 6M 1' \
        -c 'write -q -z 1M 64K' "$uri_guest"
    # now.raw is what the disk was when the backup began.
    sends_marked "$changed" --source-format nbd \
        --source "nbd+unix:///vda?socket=$PWD/nbd.sock" --bitmap backup-vda
}

@test "a bitmap may go on: no pieces but of one id" {
    daemon
    export_as disk '["since"]' '"writable":true'
    local id length from=(--source-format nbd --source "$uri_disk")
    from+=(--bitmap since)
    qcow_tool measure "${from[@]}"
    [ "$(jq .stable stdout)" = false ]
    id=$(jq -r .id stdout)
    length=$(jq .length stdout)
    stdout_to=whole.qcow2 qcow_tool stream "${from[@]}"
    [ "$length" = "$(stat -c %s whole.qcow2)" ]
    for piece in "--offset 70000" "--length 70000"; do
        # shellcheck disable=SC2086 # words
        refused 1 "${from[@]}" $piece
        error_says '^qcow-tool: stream: source: the bitmap can be another one '
        error_says 'add --expect-id, with the id that measure prints'
    done
    stdout_to=a qcow_tool stream "${from[@]}" --length 70000 --expect-id "$id"
    stdout_to=b qcow_tool stream "${from[@]}" --offset 70000 --expect-id "$id"
    cat a b >joined.qcow2
    same_bytes whole.qcow2 joined.qcow2
    qemu-io -f raw -c 'write -q -P 9 7M 1' "$uri_disk"
    refused 1 "${from[@]}" --offset 70000 --expect-id "$id"
    error_says 'another image than --expect-id says'
}

@test "servers that have no bitmaps, or no block status, are refused" {
    local server
    for server in "" "--no-sr" "-o"; do
        # shellcheck disable=SC2086 # words
        nbd_server unix nbdkit -r $server file now.raw
        source_fails "the NBD server has no bitmap 'b'(, and tells of no other\
|: it tells no block status)$" nbd "$uri" --bitmap b
        nothing_sent
    done
    nbd_server unix qemu-nbd --persistent -r -f qcow2 now.qcow2
    source_fails "has no bitmap 'since', and tells of no other$" nbd "$uri" \
        --bitmap since
    source_fails "cannot connect to .*(exists|[Nn]o such|not )" nbd \
        "$(exported nowhere)" --bitmap since
}

@test "a name of any kind, and the longest" {
    local name names=('a b:é"%s' "$(printf '%01023d' 1)")
    for name in "${names[@]}"; do
        qemu-img bitmap --add now.qcow2 "$name"
    done
    for name in "${names[@]}"; do
        shows "$name"
        stdout_to=difference.qcow2 qcow_tool stream "${from[@]}"
        is_empty difference.qcow2
        source_fails "has no bitmap 'x'; it has (a b|[.]{3}$)" nbd "$uri" \
            --bitmap x
    done
    refused 2 --source-format nbd --source "$uri" --bitmap "${name}0"
    error_says '^qcow-tool: stream: --bitmap: .* 1024 bytes, .* 1023$'
}

@test "a disk of 8 TiB with little in it" {
    rm now.qcow2
    empty_image now.qcow2 8T
    qemu-img bitmap --add -g 64K now.qcow2 since
    qemu-io -f qcow2 -c 'write -q 1M 70000' -c 'write -q 3T 5K' \
        -c 'write -q 8589934591k 1k' now.qcow2
    shows since
    stdout_to=difference.qcow2 qcow_tool stream "${from[@]}"
    [ "$(sent difference.qcow2)" = "1048576+131072
3298534883328+65536
8796092956672+65536" ] || {
        sent difference.qcow2 >&2
        return 1
    }
    good_order difference.qcow2
    measured difference.qcow2 "${from[@]}"
}

@test "what does not go together is wrong usage" {
    shows since
    refused 2 "${from[@]}" --relative-to base.raw
    error_says '--relative-to and --bitmap contradict each other$'
    refused 2 "${from[@]}" --changed-blocks base.raw
    error_says '--bitmap and --changed-blocks contradict each other$'
    refused 2 "${from[@]}" --detect-zeroes
    error_says '--detect-zeroes: what has changed is sent, .*-clusters flag$'
    refused 2 --source-format nbd --source "$uri" --bitmap ''
    error_says '--bitmap: the name is empty$'
    refused 2 --source-format qcow2 --source now.qcow2 --bitmap since
    error_says '--bitmap: only an NBD server has one, .*qemu-nbd -B shows it$'
}
