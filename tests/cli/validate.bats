#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# validate: the proof that a stream is QEMU's own, and what is said of one that
# is not.

load ../lib/helpers

# finding NAME REGEX: the line of the table about that check or reader.
finding() {
    grep -E "^  $1 +$2" stdout >&2 || {
        echo "not in the table: $1 $2" >&2
        return 1
    }
}

# proven ARG...: both layouts of a source are good.
proven() {
    qcow_tool validate "$@" --layout convert --detect-zeroes
    finding 'qemu-img convert' 'good .*byte for byte the same'
    qcow_tool validate "$@"
    finding 'qemu-img compare' good
    finding 'qemu-img check' good
    finding complete good
    finding order good
    [ "$(tail -n 1 stdout)" = valid ]
    nothing_left
}

# not_proven MESSAGE ARG...
not_proven() {
    qcow_tool 1 validate "${@:2}"
    error_says "^qcow-tool: validate: $1"
    [ "$(tail -n 1 stdout)" = 'NOT VALID' ]
    nothing_left
}

# checked [RC] FILE: as it is, and as it comes through a pipe.
checked() {
    local rc=0
    case $1 in [01]) rc=$1 && shift ;; esac
    qcow_tool "$rc" validate --stream - < <(cat "$1")
    cp stdout piped
    qcow_tool "$rc" validate --stream "$1"
    cmp piped stdout
    nothing_left
}

# forger COMMAND SHELL-CODE
# A --qemu-img that does that to $image, the last file that it inherits by its
# name, after convert and before all others.
forger() {
    fake qemu-img <<END
for last; do :; done
image=\${last##*/fd/}
image=/proc/self/fd/\${image%%[!0-9]*}
case \$1 in
convert) $(command -v qemu-img) "\$@" || exit ;;
esac
if [ "\$1" = $1 ]; then
    $2
fi
case \$1 in convert) ;; *) exec $(command -v qemu-img) "\$@" ;; esac
END
}

# put BYTE OFFSET: shell code for forger.
put() {
    # shellcheck disable=SC2016,SC2028 # for the forger's shell
    echo "printf '\\$1' |" \
        'dd of=$image bs=1 seek='"$2"' conv=notrunc status=none'
}

@test "a raw disk's stream is proven in every kind of image" {
    make_disk disk.raw 9M data@64K+300K zeroes@1M+1M data@5M+4K tail+3000
    proven disk.raw
    proven disk.raw --cluster-size 4K --refcount-bits 1
    proven disk.raw --compat 0.10
    qcow_tool validate disk.raw --extended-l2 --layout convert
    qcow_tool validate disk.raw --refcount-bits auto --layout convert
    qcow_tool validate disk.raw --layout any --extended-l2
    run ! grep order stdout
    finding "xapi's importer" 'refuses .*incompatible features'
    make_disk odd.raw 1000001 data@4K+8K
    proven odd.raw
}

@test "the stream of each format is proven" {
    local format
    make_disk disk.raw 6M data@64K+300K data@5M+4K
    for format in qcow2 vpc vhdx vmdk vdi; do
        qemu-img convert -f raw -O $format disk.raw "disk,.$format"
        proven "disk,.$format" --source-format $format
    done
    overlay top.qcow2 disk,.qcow2 qcow2
    allocate top.qcow2 1M+64K
    proven top.qcow2 --source-format qcow2
    qemu-img convert -f qcow2 -O raw top.qcow2 flat.raw
    proven flat.raw:top.qcow2 --source-format hybrid
    nbd_server unix qemu-nbd --persistent --shared 0 -r -f raw disk.raw
    proven "$uri" --source-format nbd
    proven "disk.raw:$socket::6291456" --source-format nbdhybrid
}

@test "a difference from qemu-img convert is named by what lies there" {
    make_disk disk.raw 3M data@64K+64K data@2M+64K
    # Header, refcount table, refcount block, L1, L2, data at 64K, at 2M.
    local at
    while read -r at byte what; do
        forger convert "$(put "$byte" "$at")"
        not_proven "qemu-img convert: the stream differs at file offset \
$at \($what\)\$" disk.raw --layout convert --qemu-img "$fake"
        finding 'qemu-img convert' BAD
    done <<END
1000 001 the header
65600 001 the refcount table
131200 001 a refcount block
196608 000 the L1 table
262152 000 an L2 table
327780 377 data of disk offset 65636
393226 377 data of disk offset 2097162
END
    qcow_tool 1 validate disk.raw --layout convert --qemu-img "$fake" --json
    [ "$(jq -r '[.valid, .subject, .layout, .checks[0].good,
        .checks[0]."file-offset", .checks[0].place] | map(tostring) |
        join(" ")' stdout)" = \
        "false source convert false 393226 data of disk offset 2097162" ]
}

@test "a reference that is longer, or shorter, is a difference" {
    make_disk disk.raw 3M data@64K+64K
    # shellcheck disable=SC2016 # for the forger's shell
    forger convert 'truncate -s +1 "$image"'
    not_proven 'qemu-img convert: .* at file offset 393216' \
        disk.raw --layout convert --qemu-img "$fake"
    # shellcheck disable=SC2016
    forger convert 'truncate -s 393215 "$image"'
    not_proven 'qemu-img convert: .* at file offset 393215 ' \
        disk.raw --layout convert --qemu-img "$fake"
}

@test "zeroes that are allocated differ, and what leaves them out is said" {
    empty_image disk.qcow2 4M
    allocate disk.qcow2 0+64K
    qemu-io -f qcow2 -c 'write -q -P 0 1M 64K' disk.qcow2
    not_proven 'qemu-img convert: .*so does --detect-zeroes' \
        disk.qcow2 --source-format qcow2 --layout convert
    proven disk.qcow2 --source-format qcow2
}

@test "each check of a streamable image fails if it has reason to" {
    make_disk disk.raw 40M data@64K+64K data@20M+64K
    # In the sandbox compare and check cannot write.
    local forged=(disk.raw --cluster-size 8K --sandbox off --qemu-img)
    qcow_tool stream disk.raw --cluster-size 8K --destination good.qcow2
    forger compare "$(put 377 $(($(stat -c %s good.qcow2) - 10)))"
    not_proven 'qemu-img compare: with the source: other contents at disk' \
        "${forged[@]}" "$fake"
    # The bytes are those of the second range.
    qcow_tool 1 validate --json "${forged[@]}" "$fake"
    [ "$(jq -r '.checks[0].place' stdout)" = "data of disk offset 21036544" ]
    forger check "$(put 000 $((8192 * 2 + 1)))"
    not_proven 'qemu-img check: ' "${forged[@]}" "$fake"
    # Another image of the same disk takes its place.
    qemu-img convert -f raw -O qcow2 -o cluster_size=8K disk.raw other.qcow2
    forger compare "cat $PWD/other.qcow2 >\$image"
    not_proven 'order: .*\(data of disk offset 65536\).*tables behind it' \
        "${forged[@]}" "$fake"
}

@test "a stream that was received is sound, and which readers take it is said" {
    make_disk disk.raw 40M data@64K+64K data@20M+64K
    qcow_tool stream disk.raw --destination s.qcow2 --cluster-size 8K
    checked s.qcow2
    finding 'qcow-tool serve' 'takes it'
    finding "xapi's importer" 'takes it'
    finding 'Xen Orchestra' 'takes it'
    qemu-img convert -f raw -O qcow2 -o cluster_size=8K disk.raw c.qcow2
    checked c.qcow2
    finding 'qcow-tool serve' 'takes it'
    finding "xapi's importer" 'refuses .*tables behind it'
    yes | head -c 200000 >text.raw
    qemu-img convert -c -f raw -O qcow2 text.raw z.qcow2
    checked z.qcow2
    finding 'Xen Orchestra' 'refuses .*compressed'
    make_disk full.raw 1049088 full
    qcow_tool stream full.raw --destination full.qcow2
    checked full.qcow2
    finding "xapi's importer" 'refuses .*cluster 21 is above its bound, 20'
    finding 'Xen Orchestra' 'takes it'
}

@test "what is out of order is named" {
    empty_image w.qcow2 80M -o cluster_size=16K
    allocate w.qcow2 0+16K 32K+16K 16K+16K
    checked w.qcow2
    finding 'Xen Orchestra' 'refuses .*later part of the disk'
    empty_image t.qcow2 80M -o cluster_size=16K
    allocate t.qcow2 40M+16K 0+16K
    checked t.qcow2
    finding 'Xen Orchestra' 'refuses .*\(an L2 table\).*earlier part'
    qcow_tool stream w.qcow2 --source-format qcow2 --destination g.qcow2
    truncate -s +64K g.qcow2
    checked g.qcow2
    finding 'Xen Orchestra' 'refuses .*\(a refcount block\).*or the end'
}

# What QEMU says of the first tables has come before it has read the last.
# That both are noted by two threads is for the sanitizer of threads to judge.
@test "an image of many tables is looked at while QEMU maps it" {
    local at commands=()
    for at in {0..199}; do
        commands+=("write -q -P 7 $((at * 2))M 4K")
    done
    qemu-img create -q -f qcow2 -o cluster_size=4K tables.qcow2 400M
    guest tables.qcow2 "${commands[@]}"
    checked tables.qcow2
    finding 'qcow-tool serve' 'takes it'
}

@test "a stream that is broken or cut short is not valid" {
    make_disk disk.raw 3M data@64K+64K data@2M+64K
    qcow_tool stream disk.raw --destination s.qcow2
    head -c 400000 s.qcow2 >cut.qcow2
    checked 1 cut.qcow2
    finding complete 'BAD .*ends at file offset 400000.*go on to 458752'
    run ! grep readers stdout
    head -c 262144 s.qcow2 >cut.qcow2
    checked 1 cut.qcow2
    finding complete BAD
    cp s.qcow2 leaks.qcow2
    printf '\2' | dd of=leaks.qcow2 bs=1 seek=131085 conv=notrunc status=none
    checked 1 leaks.qcow2
    finding 'qemu-img check' BAD
    error_says 'validate: qemu-img check: .*(leak|Leak|ERROR)'
    # No table tells where compressed data ends.
    seq 400000 >text.raw
    qemu-img convert -c -f raw -O qcow2 -o cluster_size=2M text.raw z.qcow2
    checked z.qcow2
    cp z.qcow2 bad.qcow2
    truncate -s -1000 z.qcow2
    checked 1 z.qcow2
    finding complete "BAD .*ends at file offset $(stat -c %s z.qcow2)"
    # In the middle of what has been compressed last.
    dd if=/dev/zero of=bad.qcow2 bs=1000 count=40 conv=notrunc status=none \
        seek=$(($(stat -c %s bad.qcow2) / 1000 - 50))
    checked 1 bad.qcow2
    finding 'compressed data' 'BAD .*disk offset 2097152 '
}

@test "what is no image, or names other files, is refused before QEMU has it" {
    # Only its version may be asked.
    fake qemu-img <<'END'
touch "$0.was-run"
END
    local options=(--qemu-img "$fake")
    refuses() {
        qcow_tool 1 validate --stream "$1" "${options[@]}"
        error_says "^qcow-tool: validate: stream: .*$2"
        [ ! -s stdout ] && [ ! -e "$fake.was-run" ]
    }
    make_disk disk.raw 1M
    refuses disk.raw 'not a qcow2 image'
    refuses /dev/null 'not a qcow2 image'
    refuses nowhere 'cannot open nowhere: No such file'
    qemu-img create -q -f qcow2 -b disk.raw -F raw b.qcow2
    refuses b.qcow2 'backing file'
    qemu-img create -q -f qcow2 -o data_file=data.raw d.qcow2 1M
    refuses d.qcow2 'another file'
    qemu-img create -q -f qcow2 --object secret,id=s,data=x \
        -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 \
        e.qcow2 1M
    refuses e.qcow2 encrypted
    nothing_left
}

@test "the source and a stream exclude each other" {
    qcow_tool 2 validate
    error_says 'missing'
    qcow_tool 2 validate disk.raw --stream s.qcow2
    error_says '--stream and --source contradict'
    qcow_tool 2 validate --stream s.qcow2 --layout convert
    error_says '--stream and --layout contradict'
    qcow_tool 2 validate disk.raw --relative-to base.raw
    error_says 'unknown option'
}

@test "a report tells the phases, and a failure" {
    make_disk disk.raw 3M data@64K+64K
    qcow_tool validate disk.raw --report r.json --progress
    [ "$(jq -r '.command, (.phases | has("examining"))' r.json)" = \
        $'validate\ntrue' ]
    qcow_tool stream disk.raw --destination s.qcow2
    head -c 300000 s.qcow2 >cut.qcow2
    qcow_tool 1 validate --stream cut.qcow2 --report r.json
    [ "$(jq -r '.status' r.json)" = failed ]
}
