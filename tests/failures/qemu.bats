#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# QEMU is missing, ends too early, or does something else than it was asked
# to. Programs made here stand in for it.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 8M runs:256K/512K
    image disk.raw disk.qcow2
    other_data copy.raw 8M
}

# What stands in for QEMU may be run by somebody else.
readable_by_all() {
    chmod 755 "$BATS_TEST_TMPDIR"
}

# stream_fails REGEX ARG... : exit status 1, and no byte sent.
stream_fails() {
    qcow_tool 1 stream --source-format raw --source disk.raw \
        --destination-fd 5 "${@:2}" 5>out.bin
    error_says "^qcow-tool: stream: .*($1)"
    [ ! -s out.bin ]
    nothing_left
}

# serve_fails REGEX ARG... : exit status 1, and nothing written.
serve_fails() {
    local to
    for to in copy.raw new.raw; do
        qcow_tool 1 serve --destination $to "${@:2}" <disk.qcow2
        error_says "^qcow-tool: serve: .*($1)"
    done
    untouched copy.raw
    [ ! -e new.raw ]
    nothing_left
}

# image_fails FORMAT REGEX : of stream and measure of such an image, with what
# stands in for qemu-img; exit status 1, nothing said but that, and not much
# taken for it.
image_fails() {
    local command
    [ -e "disk.$1" ] ||
        qemu-img convert -f raw -O "$1" disk.raw "disk.$1"
    for command in stream measure; do
        costs_of 1 5 $command --source-format "$1" --source "disk.$1" \
            --qemu-img "$fake"
        error_says "^qcow-tool: $command: source: ./disk.$1: QEMU: .*($2)"
        [ ! -s stdout ]
    done
}

# says COMMAND SCRIPT : a qemu-img that does SCRIPT at this command.
says() {
    fake qemu-img <<END
case " \$* " in *' $1 '*) $2; exit ;; esac
exec $(command -v qemu-img) "\$@"
END
    readable_by_all
}

# shows FILE : a qemu-nbd that shows this raw disk, and not what it is told to.
shows() {
    fake qemu-nbd <<END
exec $(command -v qemu-nbd) --read-only -f raw "$PWD/$1"
END
    chmod 644 "$1"
    readable_by_all
}

# endless_map MEMBERS : a qemu-img whose map goes on and on, with these in each
# entry: %d is a file offset.
endless_map() {
    fake qemu-img <<END
case " \$* " in *' map '*)
    exec awk 'BEGIN { printf "["; for (i = 0;; i++)
        printf "{ \"start\": %d, \"length\": 4096, \"depth\": 0, " \
            "\"present\": true, $1},\n", 4096 * i, 65536 + 8192 * i }' ;;
esac
exec $(command -v qemu-img) "\$@"
END
    readable_by_all
}

# reports VERSION: a qemu-img that says so and is the real one else.
reports() {
    fake qemu-img <<END
exec $(command -v qemu-img) "\$@"
END
    sed -i "s|exec qemu-img \"\$1\"|echo '$1'; exit|" "$fake"
    readable_by_all
}

@test "a qemu-img that is missing is named" {
    stream_fails '/nonexistent/qemu-img.*No such file' \
        --qemu-img /nonexistent/qemu-img
    serve_fails '/nonexistent/qemu-img.*No such file' \
        --qemu-img /nonexistent/qemu-img
    export QCOW_TOOL_QEMU_IMG=/nonexistent/qemu-img-2
    stream_fails '/nonexistent/qemu-img-2.*No such file'
    serve_fails '/nonexistent/qemu-img-2.*No such file'
}

@test "a qemu-io that is missing is named" {
    stream_fails '/nonexistent/qemu-io.*No such file' \
        --qemu-io /nonexistent/qemu-io
    export QCOW_TOOL_QEMU_IO=/nonexistent/qemu-io-2
    stream_fails '/nonexistent/qemu-io-2.*No such file'
}

@test "of a program of QEMU that is missing the package is named" {
    local tool package='qemu-utils \(Debian\) or qemu-img \(Fedora\)'
    serve_fails "No such file.*$package" --qemu-img /nonexistent/qemu-img
    stream_fails "No such file.*$package" --qemu-io /nonexistent/qemu-io
    qcow_tool 1 stream disk.qcow2 --source-format qcow2 --direct \
        --destination out.bin --qemu-nbd /nonexistent/qemu-nbd
    error_says "qemu-nbd: No such file.*$package"
    one_line stderr
}

@test "QEMU that is nowhere in PATH is named" {
    local tool
    tool=$(command -v qcow-tool)
    # Unless this build was told where it is.
    env PATH=/nonexistent "$tool" serve --destination new.raw \
        <disk.qcow2 2>stderr && skip "knows QEMU by its whole name"
    show stderr stderr
    error_says '^qcow-tool: serve: .*qemu-img.*No such file'
    [ ! -e new.raw ]
    run -1 --separate-stderr env PATH=/nonexistent "$tool" stream \
        --source-format raw --source disk.raw
    [ -z "$output" ]
    nothing_left
}

@test "a qemu-img that is no program is named" {
    echo >noprogram
    stream_fails 'noprogram.*Permission denied' --qemu-img "$PWD/noprogram"
    serve_fails 'noprogram.*Permission denied' --qemu-img "$PWD/noprogram"
    chmod 755 noprogram
    serve_fails 'noprogram' --qemu-img "$PWD/noprogram"
}

@test "the option says more than the environment which QEMU it is" {
    QCOW_TOOL_QEMU_IMG=/nonexistent/qemu-img qcow_tool serve \
        --destination copy.raw --qemu-img "$(command -v qemu-img)" \
        <disk.qcow2
    same_bytes disk.raw copy.raw
}

@test "QEMU of any version is taken, however it tells its name" {
    local said
    for said in 'qemu-img version 4.2.1' 'qemu-img version 11.0 (some)' \
        '/usr/lib64/xen/bin/qemu-img version 4.2.1'; do
        reports "$said"
        rm -f new.raw
        qcow_tool serve --destination new.raw --qemu-img "$fake" <disk.qcow2
        same_bytes disk.raw new.raw
    done
}

@test "a program that does not say that it is QEMU is refused" {
    stream_fails '/bin/true' --qemu-img /bin/true
    serve_fails '/bin/true' --qemu-img /bin/true
    serve_fails 'false' --qemu-img "$(command -v false)"
}

@test "qemu-io that dies in mid-work fails the export by its signal" {
    fake qemu-io <<\END
read line
kill -KILL $$
END
    readable_by_all
    stream_fails 'qemu-io.*(signal 9|[Kk]illed)' --qemu-io "$fake"
}

@test "qemu-io that reports an error fails the export with its words" {
    fake qemu-io <<\END
cat >/dev/null
echo "qemu-io: can't do it: No such luck" >&2
exit 1
END
    readable_by_all
    stream_fails 'No such luck' --qemu-io "$fake"
}

@test "qemu-io that does nothing and says nothing fails the export" {
    fake qemu-io <<\END
cat >/dev/null
END
    readable_by_all
    stream_fails '' --qemu-io "$fake"
}

@test "qemu-io that leaves out its last write fails the export" {
    fake qemu-io <<END
tac | sed '0,/write/{/write/d}' | tac | $(command -v qemu-io) "\$@"
END
    readable_by_all
    stream_fails '' --qemu-io "$fake"
}

@test "qemu-io that breaks the header fails the export" {
    fake qemu-io <<END
for node; do :; done
exec $(command -v qemu-io) -t unsafe --image-opts \
    -c 'write -q -P 255 20 4' "driver=raw,file.driver\${node#*file.driver}"
END
    readable_by_all
    stream_fails 'QEMU: the image has other clusters' --qemu-io "$fake"
}

@test "data that is said to lie where none can fails the export" {
    local layout add
    for add in 9000000000 1 -327680; do
        fake qemu-img <<END
case " \$* " in *' map '*)
    $(command -v qemu-img) "\$@" | python3 -c 'import re, sys
for line in sys.stdin:
    print(re.sub(r"(?<=\"offset\": )\d+",
                 lambda m: str(int(m[0]) + $add), line))'
    exit ;;
esac
exec $(command -v qemu-img) "\$@"
END
        readable_by_all
        for layout in streamable convert any; do
            stream_fails 'QEMU: no data can be at file offset' \
                --layout $layout --qemu-img "$fake"
        done
    done
}

@test "qemu-img that cannot map fails with its words" {
    fake qemu-img <<END
case " \$* " in *' map '*) echo 'qemu-img: no such luck' >&2; exit 1 ;; esac
exec $(command -v qemu-img) "\$@"
END
    readable_by_all
    stream_fails 'no such luck' --qemu-img "$fake"
    serve_fails 'no such luck' --qemu-img "$fake"
}

@test "qemu-img that dies while it maps fails by its signal" {
    fake qemu-img <<END
case " \$* " in *' map '*) echo '[{'; kill -SEGV \$\$ ;; esac
exec $(command -v qemu-img) "\$@"
END
    readable_by_all
    stream_fails 'qemu-img.*(signal 11|[Ss]egmentation)' --qemu-img "$fake"
    serve_fails 'qemu-img.*(signal 11|[Ss]egmentation)' --qemu-img "$fake"
}

@test "a map that is cut off, empty, or no map at all, is an error" {
    local map entry='"start": 0, "length": 4096, "depth": 0, "zero": true,
        "present": false, "data": false'
    for map in '' '[]' '[{ "start": 0, "length": 65536, "dep' nonsense \
        '{}' '[1, 2]' "[{$entry}]" "[{${entry/0/-1}}]" \
        "[{${entry/4096/99999999999}}]"; do
        says map "echo '$map'"
        stream_fails QEMU --qemu-img "$fake"
        serve_fails QEMU --qemu-img "$fake"
    done
}

@test "the same map of an image that is sent is an error of QEMU" {
    local map entry='"start": 0, "length": 4096, "depth": 0, "zero": true,
        "present": false, "data": false'
    for map in '' '[]' nonsense "[{$entry}]" \
        "[{${entry/4096/99999999999}}]"; do
        says map "echo '$map'"
        image_fails qcow2 map
    done
}

@test "a map that goes nowhere is ended" {
    fake qemu-img <<END
case " \$* " in *' map '*)
    exec awk 'BEGIN { printf "["; for (;;)
        printf "{ \"start\": 0, \"length\": 0, \"depth\": 0, " \
            "\"zero\": false, \"data\": false},\n" }' ;;
esac
exec $(command -v qemu-img) "\$@"
END
    readable_by_all
    serve_fails 'has the impossible length 0' --qemu-img "$fake"
    image_fails qcow2 'has the impossible length 0'
    qcow_tool 1 validate --stream disk.qcow2 --qemu-img "$fake"
    error_says 'stream: QEMU: .* has the impossible length 0'
}

@test "validate --stream does not believe a map of a part, or of more" {
    local map
    for map in '[]' '[{"start": 0, "length": 8388096, "depth": 0,
        "zero": true, "data": false}]' '[{"start": 512, "length": 8388096,
        "depth": 0, "zero": true, "data": false}]' '[{"start": 0,
        "length": 8389120, "depth": 0, "zero": true, "data": false}]'; do
        says map "echo '$map'"
        qcow_tool 1 validate --stream disk.qcow2 --qemu-img "$fake"
        error_says '^qcow-tool: validate: stream: QEMU: the map '
    done
}

@test "a map with data in a backing file that is not there is QEMU's error" {
    local depth
    for depth in 1 2 9223372036854775806; do
        says map "echo '[{\"start\": 0, \"length\": 65536,
            \"depth\": $depth, \"zero\": false, \"data\": true,
            \"offset\": 65536}]'"
        image_fails qcow2 'the map has more backing files than it'
    done
}

@test "what is said of an image and makes no sense is an error of QEMU" {
    local info
    for info in '' nonsense '{}' '{}{}'; do
        says info "echo '$info'"
        image_fails vdi 'qemu-img info: .*image information'
    done
    # The map knows better.
    says info "echo '{\"virtual-size\": 1048576}'"
    image_fails vdi 'the map goes on behind its end'
}

@test "what no image of its format can say of itself is an error of QEMU" {
    local format info size='"virtual-size": 8388608' name="$PWD/disk.raw"
    local backing="\"backing-filename\": \"$name\",
        \"backing-filename-format\": \"raw\""
    for format in vpc vhdx vdi; do
        says info "echo '{$size, $backing}'"
        image_fails $format 'qemu-img info: a backing file of an image'
    done
    for info in "\"data-file\": \"$name\"" \
        "\"extents\": [{\"filename\": \"$name\", \"format\": \"FLAT\"}]"; do
        says info "echo '{$size, \"format-specific\": {\"data\": {$info}}}'"
        for format in vpc vhdx vdi vmdk; do
            image_fails $format 'qemu-img info: a data file of an image'
        done
    done
    # The pieces in which such a disk is looked at would have no end.
    for format in vdi vmdk; do
        says info "echo '{$size, \"cluster-size\": 1}'"
        image_fails $format 'there are no clusters of 1 bytes'
    done
}

@test "what is said of an image and never ends is an error of QEMU" {
    local info
    for info in 'printf "{\"backing-filename\": \""; exec yes' \
        'exec yes "{\"a\":"' 'exec cat /dev/zero'; do
        says info "$info"
        image_fails vdi 'qemu-img info: .*image information'
    done
}

@test "qemu-img that cannot create fails the export with its words" {
    fake qemu-img <<END
case " \$* " in *' create '*) echo 'qemu-img: no such luck' >&2; exit 1 ;; esac
exec $(command -v qemu-img) "\$@"
END
    readable_by_all
    stream_fails 'no such luck' --qemu-img "$fake"
}

@test "a map without an end is ended where the disk does" {
    local end='the map goes on behind its end'
    endless_map '\"zero\": false, \"data\": true, \"offset\": %d'
    serve_fails "$end" --qemu-img "$fake"
    stream_fails "QEMU: $end" --qemu-img "$fake"
    # Of an image, what lies nowhere in its file may be compressed.
    endless_map '\"zero\": false, \"data\": true'
    image_fails qcow2 "$end"
}

@test "a qemu-nbd that shows a smaller disk is an error of QEMU" {
    local size to
    qemu-img convert -c -f raw -O qcow2 disk.raw compressed.qcow2
    # The end of the export, and one inside of a request.
    while read -r size to; do
        truncate -s 0 small.raw
        truncate -s "$size" small.raw
        shows small.raw
        qcow_tool 1 serve --destination "$to" --qemu-nbd "$fake" \
            <compressed.qcow2
        error_says "^qcow-tool: serve: QEMU: cannot read at disk offset"
        error_says ": the export has only [0-9]* bytes"
        nothing_left
    done <<<$'512 copy.raw\n4196864 new.raw'
    [ ! -e new.raw ]
}

@test "a qemu-nbd whose disk is not as large as the image's is an error" {
    local size command
    qemu-img convert -c -f raw -O qcow2 disk.raw compressed.qcow2
    for size in 0 4M 8388096 8388609 64M; do
        truncate -s 0 other.raw
        truncate -s $size other.raw
        shows other.raw
        for command in stream measure; do
            qcow_tool 1 $command --source-format qcow2 \
                --source compressed.qcow2 --qemu-nbd "$fake"
            error_says "^qcow-tool: $command: source: ./compressed.qcow2: \
QEMU: qemu-nbd shows a disk of [0-9]* bytes, not of 8388608$"
        done
    done
}

@test "what QEMU leaves behind when it ends is not waited for, but killed" {
    fake qemu-img <<END
case " \$* " in *' map '*) sleep 31416 & ;; esac
exec $(command -v qemu-img) "\$@"
END
    readable_by_all
    qcow_tool serve --destination new.raw --qemu-img "$fake" <disk.qcow2
    same_bytes disk.raw new.raw
    nothing_left
}
