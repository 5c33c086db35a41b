#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# xapi-standin --content-length: downloads that go on where they broke off or
# come in pieces, and clients that take their time. And --cluster-size, for a
# client that reads differences in larger blocks.

load ../lib/helpers

setup() {
    helpers_setup
    requires curl
    mkdir vdis
    make_disk vdis/disk 16M runs:256K/512K
    url='export_raw_vdi?vdi=disk&format=qcow2'
}

# header NAME: of the answer that curl -D wrote into ./headers.
header() {
    tr -d '\r' <headers | sed -n "s/^$1: //Ip"
}

# A whole one, and a part of it.
download_twice() {
    download "$xapi" disk whole.qcow2 -D headers
    same_content vdis/disk whole.qcow2
    etag=$(header etag)
    size=$(stat -c %s whole.qcow2)
    [ "$(header content-length)" = "$size" ]
    [ "$(header accept-ranges)" = bytes ]
    head -c "$1" whole.qcow2 >part.qcow2
}

@test "curl -C - goes on with a download that broke off" {
    local cut
    start_standin xapi vdis --content-length
    # In the data, in the metadata, behind the last byte but one.
    for cut in 3000000 70000 -1; do
        download_twice "$cut"
        curl -sSf -m 30 -C - -D headers -o part.qcow2 "$xapi/$url" >&2
        grep '^HTTP/1.1 206 Partial Content' headers
        [ "$(header content-range)" = \
            "bytes $(head -c "$cut" whole.qcow2 | wc -c)-$((size - 1))/$size" ]
        [ "$(header etag)" = "$etag" ]
        same_bytes whole.qcow2 part.qcow2
    done
    stop_standin xapi
}

@test "a download that a client cut off itself can go on, too" {
    start_standin xapi vdis --content-length
    run curl -s -m 30 --max-filesize 100 -o part.qcow2 "$xapi/$url"
    connect "$xapi"
    get disk
    head -c 3000000 <&"$connection" >part.http
    leave
    sed '1,/^\r$/d' part.http >part.qcow2
    curl -sSf -m 30 -C - -o part.qcow2 "$xapi/$url" >&2
    same_content vdis/disk part.qcow2
    stop_standin xapi
}

@test "with If-Range the rest comes of the same image only" {
    start_standin xapi vdis --content-length
    download_twice 3000000
    status_of 206 "$xapi/$url" -r 3000000- -H "If-Range: $etag"
    cat part.qcow2 body | cmp - whole.qcow2
    make_disk vdis/disk 16M runs:256K/512K data@1M+1M
    status_of 200 "$xapi/$url" -r 3000000- -H "If-Range: $etag" -D headers
    same_content vdis/disk body qcow2
    [ "$(header etag)" != "$etag" ]
    stop_standin xapi
}

@test "a piece is all that is sent of a range with an end, or of the last" {
    local range from length
    start_standin xapi vdis --content-length
    download_twice 100
    while read -r range from length; do
        status_of 206 "$xapi/$url" -r "$range" -D headers
        tail -c +$((from + 1)) whole.qcow2 | head -c "$length" |
            cmp - body >&2
        [ "$(header content-length)" = "$length" ]
        [ "$(header content-range)" = \
            "bytes $from-$((from + length - 1))/$size" ]
        [ "$(header etag)" = "$etag" ]
    done <<-END
	0-99 0 100
	3000000-3000000 3000000 1
	70000-1069999 70000 1000000
	$((size - 1))-$((size + 10)) $((size - 1)) 1
	0-$((size - 1)) 0 $size
	-100 $((size - 100)) 100
	-$((size + 1)) 0 $size
	END
    # It is qcow-tool that is told to send no more, and that it must be the
    # image whose length has been promised.
    says xapi "--expect-id ${etag//\"/} --offset 70000 --length 1000000\$"
    stop_standin xapi
}

@test "eight pieces by curl --range at the same time make the whole" {
    local n step pids=()
    start_standin xapi vdis --content-length
    download_twice 0
    step=$((size / 8 + 1))
    for n in 0 1 2 3 4 5 6 7; do
        curl -sSf -m 60 -r $((n * step))-$((n * step + step - 1)) \
            -H "If-Range: $etag" -o piece.$n "$xapi/$url" 3>&- >&2 &
        pids+=($!)
    done
    for n in "${pids[@]}"; do
        wait "$n"
    done
    cat piece.[0-7] >joined.qcow2
    same_bytes whole.qcow2 joined.qcow2
    qcow_tool serve --destination copy.raw <joined.qcow2
    same_bytes vdis/disk copy.raw
    stop_standin xapi
}

@test "pieces of two hosts make the whole, if these have the same disk" {
    local n step=700000 from=() pids=()
    mkdir others
    cp vdis/disk vdis/base
    cp vdis/disk vdis/base others
    make_disk vdis/disk 16M seed:7 data@5M+3M zeroes@9M+1M
    cp vdis/disk others
    start_standin xapi vdis --content-length
    start_standin other others --content-length
    from=("$xapi" "$other")
    # A difference, too: each of them knows what it is one of.
    for url in "$url" "$url&base=base"; do
        rm -f piece.*
        pids=()
        curl -sSf -m 30 -D headers -o whole.qcow2 "$xapi/$url" >&2
        etag=$(header etag)
        for ((n = 0; n * step < $(header content-length); n++)); do
            curl -sSf -m 60 -r $((n * step))-$((n * step + step - 1)) \
                -H "If-Range: $etag" -o piece."$(printf '%02d' $n)" \
                "${from[n % 2]}/$url" 3>&- >&2 &
            pids+=($!)
        done
        for n in "${pids[@]}"; do
            wait "$n"
        done
        [ ${#pids[@]} -ge 4 ]
        cat piece.?? >joined.qcow2
        same_bytes whole.qcow2 joined.qcow2
    done
    # One that has another disk by now sends all of that, and says so.
    make_disk others/disk 16M data@12M+1M
    status_of 200 "$other/$url" -r 0-99 -H "If-Range: $etag"
    stop_standin xapi
    stop_standin other
}

@test "there is nothing behind the end, and other ranges are not for us" {
    local range
    start_standin xapi vdis --content-length
    download_twice 100
    for range in "$size-" "$size-$((size + 5))" -0; do
        status_of 416 "$xapi/$url" -r "$range" -D headers
        [ "$(header content-range)" = "bytes */$size" ]
    done
    for range in 5-4 0-0,5-6 -; do
        status_of 200 "$xapi/$url" -r "$range"
        same_bytes whole.qcow2 body
    done
    # xapi itself knows no ranges.
    stop_standin xapi
    start_standin xapi vdis --patched
    status_of 200 "$xapi/$url" -r 100-
    same_bytes whole.qcow2 body
    stop_standin xapi
}

@test "the client closes the connection when there is a length" {
    start_standin xapi vdis --content-length
    download_twice 100
    connect "$xapi"
    get 'disk&task_id=slow'
    until [ "${line:-}" = $'\r' ]; do
        IFS= read -r line <&"$connection"
    done
    timeout 20 head -c "$size" <&"$connection" | cmp - whole.qcow2
    says xapi '^slow: 100%$'
    run -124 timeout 0.2 cat <&"$connection"
    run ! grep '^slow: done$' xapi.says
    leave
    says xapi '^slow: done$'
    stop_standin xapi
}

# in_blocks IMAGE BASE FILE
# FILE is BASE with each 2 MiB over it of which a piece is in IMAGE. So it is
# done by a reader who has blocks of that size only, and takes what is missing
# in one for zeroes. Xen Orchestra is (disk-transform's DiskLargerBlock over
# XapiQcow2StreamSource, to which an image that names no backing file is no
# difference).
in_blocks() {
    local block
    qemu-img convert -f qcow2 -O raw "$1" guest
    cp "$2" "$3"
    while read -r block; do
        dd if=guest of="$3" bs=2M skip="$block" seek="$block" count=1 \
            conv=notrunc status=none
    done < <(qemu-img map --output=json -f qcow2 "$1" |
        jq '.[] | select(.data) | range(.start / 2097152 | floor;
            (.start + .length) / 2097152 | ceil)' | uniq)
}

@test "a difference can be read in blocks of 2 MiB if its clusters are as large" {
    cp vdis/disk vdis/base
    make_disk vdis/disk 16M seed:7 data@5M+300K zeroes@9M+1M
    start_standin xapi vdis --cluster-size 2M --content-length
    download "$xapi" 'disk&base=base' large.qcow2
    sound_difference vdis/disk vdis/base large.qcow2
    in_blocks large.qcow2 vdis/base copy
    same_bytes vdis/disk copy
    stop_standin xapi
    # This is what it is for.
    start_standin xapi vdis
    download "$xapi" 'disk&base=base' small.qcow2
    sound_difference vdis/disk vdis/base small.qcow2
    in_blocks small.qcow2 vdis/base copy
    run ! same_bytes vdis/disk copy
    stop_standin xapi
}
