#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format nbd over TLS: nbds:// and what is refused; and so for an
# export that `serve` writes.

load ../lib/helpers

setup_file() {
    command -v openssl >/dev/null || return 0
    cd "$BATS_FILE_TMPDIR" || return 1
    authority right
    authority wrong
    certificate right server "DNS:localhost,IP:127.0.0.1"
    certificate right client "DNS:client"
    certificate wrong client "DNS:client"
    mkdir elsewhere
    cp right/ca-cert.pem elsewhere
    certificate elsewhere server "DNS:elsewhere.example.org" right
}

# authority DIRECTORY
authority() {
    mkdir "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
        -nodes -days 2 -subj "/CN=authority $1" -keyout "$1/ca-key.pem" \
        -out "$1/ca-cert.pem" 2>/dev/null
}

# certificate DIRECTORY NAME ALTERNATIVES [AUTHORITY]
# NAME-cert.pem and NAME-key.pem, as libnbd, nbdkit and QEMU look for them.
certificate() {
    local authority=${4:-$1}
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj "/CN=$2" -keyout "$1/$2-key.pem" -out "$1/$2.csr" 2>/dev/null
    printf '%s\n' "subjectAltName=$3" "basicConstraints=critical,CA:FALSE" \
        "keyUsage=critical,digitalSignature,keyEncipherment" >"$1/$2.ext"
    openssl x509 -req -in "$1/$2.csr" -CA "$authority/ca-cert.pem" \
        -CAkey "$authority/ca-key.pem" -CAcreateserial -days 2 \
        -extfile "$1/$2.ext" -out "$1/$2-cert.pem" 2>/dev/null
}

setup() {
    helpers_setup
    requires openssl nbdkit
    # 1.10 is the first that knows what a URI says of TLS.
    qcow-tool --version | grep -qE '^libnbd 1\.[0-9]\.' &&
        skip 'libnbd here has no TLS in URIs'
    make_disk disk 8M data@1M+1M data@5M+100K
    certs=$BATS_FILE_TMPDIR
}

# tls_server unix|ADDRESS [NBDKIT-OPTION...]
# Its certificate is that of $identity.
tls_server() {
    nbd_server "$1" nbdkit -r --tls=require \
        --tls-certificates="$certs/${identity:-right}" "${@:2}" file disk
    uri=${uri/nbd/nbds}
}

# plain_server COMMAND...
# $uri asks for TLS, whatever the server does.
plain_server() {
    nbd_server 127.0.0.1 "$@"
    uri=${uri/nbd/nbds}
}

# Skips where QEMU was built without TLS.
requires_qemu_tls() {
    qemu-img info --object "tls-creds-x509,id=tls0,endpoint=server,\
verify-peer=off,dir=$certs/right" --image-opts driver=null-co >/dev/null ||
        skip 'needs a QEMU with TLS'
}

# psk_server
# Takes the key of alice, which is in the file `keys`.
psk_server() {
    printf 'alice:%064d\n' 1 >keys
    plain_server nbdkit -r --tls=require --tls-psk="$PWD/keys" file disk
    uri=${uri/127/alice@127}
}

# with TLS-PARAMETER=VALUE
# Prints $uri with that.
with() {
    case $uri in
    *\?*) echo "$uri&$1" ;;
    *) echo "$uri/?$1" ;;
    esac
}

# with_certificates DIRECTORY
# Prints $uri with the client's certificates.
with_certificates() {
    with "tls-certificates=$certs/$1"
}

@test "nbds over TCP" {
    tls_server 127.0.0.1
    both_arrive disk nbd "$(with_certificates right)"
}

@test "nbds over TCP, the host by its name" {
    requires name:localhost
    tls_server 127.0.0.1
    both_arrive disk nbd \
        "nbds://localhost:$port/?tls-certificates=$certs/right"
}

@test "qemu-nbd with TLS" {
    requires_qemu_tls
    plain_server qemu-nbd --persistent --shared 8 -r -f raw \
        --object "tls-creds-x509,id=tls0,endpoint=server,verify-peer=off,\
dir=$certs/right" --tls-creds tls0 disk
    both_arrive disk nbd "$(with_certificates right)"
}

@test "a bitmap of qemu-nbd with TLS" {
    requires_qemu_tls
    disk_image qcow2 disk image.qcow2
    qemu-img bitmap --add image.qcow2 since
    guest image.qcow2 'write -q -P 7 2M 64K'
    plain_server qemu-nbd --persistent --shared 8 -r -f qcow2 -B since \
        --object "tls-creds-x509,id=tls0,endpoint=server,verify-peer=off,\
dir=$certs/right" --tls-creds tls0 image.qcow2
    stdout_to=difference.qcow2 qcow_tool stream --source-format nbd \
        --source "$(with_certificates right)" --bitmap since
    [ "$(sent difference.qcow2)" = 2097152+65536 ]
    source_fails "[Cc]ertificate" nbd "$(with_certificates wrong)" \
        --bitmap since
    nothing_sent
}

@test "a server that wants the client's certificate, too" {
    tls_server 127.0.0.1 --tls-verify-peer
    both_arrive disk nbd "$(with_certificates right)"
}

@test "a server that another authority vouches for is refused" {
    tls_server 127.0.0.1
    source_fails "[Cc]ertificate" nbd "$(with_certificates wrong)"
    nothing_sent
}

@test "a server that no known authority vouches for is refused" {
    tls_server 127.0.0.1
    source_fails "[Cc]ertificate" nbd "nbds://127.0.0.1:$port"
    nothing_sent
}

@test "a server whose certificate is for another name is refused" {
    identity=elsewhere tls_server 127.0.0.1
    source_fails "([Cc]ertificate|[Hh]ostname|name)" nbd \
        "$(with_certificates right)"
    nothing_sent
}

@test "a client whose certificate the server does not take is told so" {
    mkdir mixed
    cp "$certs/wrong/client-"* mixed
    cp "$certs/right/ca-cert.pem" mixed
    tls_server 127.0.0.1 --tls-verify-peer
    source_fails "([Cc]ertificate|TLS|tls|gnutls)" nbd \
        "$(with "tls-certificates=$PWD/mixed")"
    nothing_sent
}

@test "nbds wants TLS: a server without it is refused" {
    plain_server nbdkit -r file disk
    source_fails "TLS" nbd "$(with_certificates right)"
    nothing_sent
}

@test "a server that wants TLS refuses nbd, and the error says so" {
    tls_server 127.0.0.1
    source_fails "TLS" nbd "nbd://127.0.0.1:$port"
    nothing_sent
}

@test "a directory of certificates that is missing is an error" {
    tls_server 127.0.0.1
    source_fails "([Cc]ertificate|nosuch)" nbd "$(with_certificates nosuch)"
    nothing_sent
}

@test "a key of both sides instead of certificates" {
    psk_server
    both_arrive disk nbd "$(with "tls-psk-file=$PWD/keys")"
    printf 'alice:%064d\n' 2 >other
    source_fails "TLS|tls|gnutls" nbd "$(with "tls-psk-file=$PWD/other")"
    nothing_sent
}

@test "over a socket without a host's name only a key says who the server is" {
    tls_server unix
    qcow_tool 1 stream --source-format nbd \
        --source "$(with_certificates right)" --destination got
    stderr_says "source: cannot verify who nbds\+unix:.* needs tls-psk-file"
    qcow_tool 1 measure --source-format nbd \
        --source "nbds+vsock://1/?tls-certificates=$certs/right"
    stderr_says "source: cannot verify who nbds\+vsock:"
    [ ! -e got ]
}

@test "a destination has to prove who it is by the same rules" {
    local name
    image disk disk.qcow2
    other_data export 8M
    # onto REGEX URI
    onto() {
        qcow_tool 1 serve "$2" <disk.qcow2
        error_says "^qcow-tool: serve: destination: .*($1)"
        untouched export
        nothing_left
    }
    for name in elsewhere right; do
        plain_server nbdkit --tls=require \
            --tls-certificates="$certs/$name" file export
        onto '[Cc]ertificate' "$(with_certificates wrong)"
        onto 'nosuch/ca-cert.pem' "$(with_certificates nosuch)"
        onto '[Cc]ertificate' "nbds://127.0.0.1:$port"
        onto TLS "nbd://127.0.0.1:$port"
        [ $name = right ] ||
            onto '[Cc]ertificate|[Hh]ostname|name' "$(with_certificates right)"
    done
    qcow_tool serve "$(with_certificates right)" <disk.qcow2
    same_bytes disk export
    plain_server nbdkit file export
    other_data export 8M
    onto TLS "$(with_certificates right)"
}
