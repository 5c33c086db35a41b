#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Each option is in --help, in the man page and in the completion of both
# shells, and nothing else is.

load ../lib/helpers

commands='stream measure validate serve'
completion=$abs_top_srcdir/scripts/completion

# The options in --help, which prints the table of them.
of_help() {
    qcow-tool "$1" --help | grep -oE '^ {2}(-., | {4})--[a-z0-9-]+' |
        grep -oE -- '--.*' | sort
}

# The options that the man page has an item for.
of_page() {
    grep -E '^=item .*B<--' "$abs_top_builddir/doc/qcow-tool-$1.1.pod" |
        grep -oE -- 'B<--[a-z0-9-]+>' | sed 's/^B<\(.*\)>$/\1/' | sort
}

# bash_words WORD...
# What bash completes the last of the words with, a line each.
bash_words() {
    bash --norc --noprofile -c '
        . "$0"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _qcow_tool
        printf "%s\n" "${COMPREPLY[@]}"' "$completion/qcow-tool" "$@" |
        grep . | sort
}

# zsh_specs COMMAND
# What zsh's _arguments is told about a command's options.
zsh_specs() {
    # shellcheck disable=SC2016 # for the inner shell
    zsh -f -c '
        _arguments() {
            [[ $1 = -C ]] || { print -rl -- "$@"; return }
            state=arguments words=($command); return 1
        }
        command=$1
        . $0' "$completion/_qcow-tool" "$1"
}

of_zsh() {
    zsh_specs "$1" | sed -E 's/^\([^)]*\)//' | grep -oE -- '^--[a-z0-9-]+' |
        sort -u
}

# same WHAT: the lists `expected' and `found' are.
same() {
    diff -u expected found >&2 || {
        echo "$1: the above differs from --help" >&2
        return 1
    }
}

@test "every option is in the man page, and the man page has no other" {
    requires pod2man
    local command
    for command in $commands; do
        of_help $command >expected
        [ "$(wc -l <expected)" -gt 20 ]
        of_page $command >found
        same "$command"
    done
}

@test "bash completes every option, and no other" {
    local command
    for command in $commands; do
        of_help $command >expected
        bash_words qcow-tool $command -- >found
        same "$command"
    done
}

@test "zsh completes every option, and no other" {
    requires zsh
    local command
    for command in $commands; do
        of_help $command >expected
        of_zsh $command >found
        same "$command"
    done
}

@test "both shells complete the values that an option has" {
    requires zsh
    local command option n=0
    for command in $commands; do
        zsh_specs $command >specs
        while read -r option; do
            # Of what is refused the supported words are named.
            qcow-tool $command disk "$option" no-such-word \
                </dev/null >/dev/null 2>stderr || :
            grep -oE 'supported: .*' stderr |
                sed 's/supported: //; s/, /\n/g' | sort >expected
            if [ ! -s expected ] || grep -qE 'PATH' expected; then
                continue
            fi
            bash_words qcow-tool $command "$option" '' >found
            same "$command $option"
            grep -F -- "${option}[" specs |
                sed -nE 's/.*:\((.*)\)$/\1/p' | tr ' ' '\n' | sort >found
            same "$command $option"
            n=$((n + 1))
        done < <(qcow-tool $command --help |
            grep -oE '^ +--[a-z0-9-]+ (FORMAT|LAYOUT|KIND|VERSION|NAME)' |
            grep -oE -- '--[a-z0-9-]+')
    done
    echo "$n options" >&2
    [ $n -ge 15 ]
}

@test "bash completes commands, and the help of commands" {
    bash_words qcow-tool '' >found
    printf '%s\n' --help --version help measure serve stream validate >expected
    diff -u expected found >&2
    [ "$(bash_words qcow-tool ser)" = serve ]
    [ "$(bash_words qcow-tool help str)" = stream ]
    [ -z "$(bash_words qcow-tool help stream '')" ]
}

@test "bash completes values behind an equals sign, too" {
    [ "$(bash_words qcow-tool stream --layout = c)" = convert ]
    [ "$(bash_words qcow-tool stream --layout =)" = \
        $'any\nconvert\nstreamable' ]
    [ "$(bash_words qcow-tool stream --destination-format '')" = qcow2 ]
    [ "$(bash_words qcow-tool serve --destination-format 'vh')" = vhdx ]
    [ "$(bash_words qcow-tool serve --source-format '')" = qcow2 ]
}

@test "bash completes disks and directories by their names" {
    mkdir 'a dir'
    : >'a disk.raw'
    [ "$(bash_words qcow-tool stream 'a d')" = $'a dir\na disk.raw' ]
    [ "$(bash_words qcow-tool serve --destination 'a di')" = \
        $'a dir\na disk.raw' ]
    [ "$(bash_words qcow-tool serve --spool-dir 'a d')" = 'a dir' ]
}

@test "a bash that one types into completes what is typed" {
    # Two tabs list what may follow, and one fills in what is certain.
    python3 "$tests/type.py" "$completion/qcow-tool" \
        $'qcow-tool stre\tdisk.raw --lay\tconv\t' >typed
    show typed typed
    grep -F 'qcow-tool stream disk.raw --layout convert' typed
}

@test "man pages and their source have nothing that checkers complain about" {
    requires pod2man podchecker mandoc
    local page
    for page in "$abs_top_builddir"/doc/*.[17]; do
        mandoc -Tlint -W warning "$page"
        run -0 podchecker "$page.pod"
        [[ $output != *WARNING* ]]
    done
    # All seven.
    [ "$(printf '%s\n' "$abs_top_builddir"/doc/*.[17] | wc -l)" = 7 ]
}

# The other host of the examples, which is the directory `other`, and a xapi in
# which nothing has changed: one of its commands, whose name and parameters are
# in ocaml/xapi-cli-server/cli_frontend.ml of xen-api, and which prints base64.
other_hosts() {
    mkdir bin
    cat >bin/ssh <<\END
#!/bin/sh
shift
cd other && exec sh -c "$*"
END
    cat >bin/xe <<\END
#!/bin/sh
case "$*" in
"vdi-list-changed-blocks vdi-from-uuid="*" vdi-to-uuid="*) echo AAAAAA== ;;
*) echo "unknown: $*" >&2; exit 1 ;;
esac
END
    chmod 755 bin/*
}

# An NBD server for each URI in them; sets $servers to what sed has to do.
example_servers() {
    other_data export 2M
    nbd_server unix qemu-nbd --persistent -x disk7 -f raw export
    servers="s|/run/nbd.sock|$socket|g"
    nbd_server unix qemu-nbd --persistent -x vda -r -B backup-vda -f qcow2 \
        running.qcow2
    servers+="; s|/run/backup.sock|$socket|g"
    other_data export2 2M
    nbd_server 127.0.0.1 nbdkit file export2
    servers+="; s|nbd://[a-z.]*/|nbd://127.0.0.1:$port/|g"
}

# Those that need no libvirt and no volume group.
@test "the examples of the man pages work" {
    requires jq gzip nbdkit
    local page block n=0 servers
    make_disk disk 2M data@64K+64K data@1M+128K
    cp disk disk.raw
    image disk vm.qcow2
    qemu-img bitmap --add vm.qcow2 since-monday
    cp vm.qcow2 before.qcow2
    cp vm.qcow2 running.qcow2
    qemu-img bitmap --add running.qcow2 backup-vda
    guest running.qcow2 'write -q -P 8 128K 64K'
    qemu-img create -q -f qcow2 -b before.qcow2 -F qcow2 now.qcow2
    guest now.qcow2 'write -q -P 7 0 64K'
    cp disk copy-of-before.raw
    qcow-tool stream disk >disk.qcow2
    id=$(qcow-tool measure disk | jq -r .id)
    gzip -k disk.qcow2
    qemu-img convert -c -f raw -O qcow2 disk packed.qcow2
    qcow-tool stream now.qcow2 --source-format qcow2 \
        --relative-to before.qcow2 >difference.qcow2
    other_hosts
    example_servers
    mkdir room
    for page in "$abs_top_srcdir"/doc/*.pod; do
        rm -f block.*
        sed -n '/^=head1 EXAMPLES/,/^=head1 DESC/p' "$page" |
            awk '/^ / { print > ("block." n); next } { n++ }'
        for block in block.*; do
            # A page without examples has none.
            [ -e "$block" ] || continue
            ! grep -qE 'virsh|socat|tcp:|curl|lvc|fd 7|xe-toolstack' \
                "$block" || continue
            rm -rf room/*
            cp ./*.raw ./*.qcow2* disk room
            mkdir room/other
            head -c 70000 disk.qcow2 >room/other/disk.qcow2
            cp disk room/other/copy-of-before
            cp disk room/other/copy-of-last.raw
            sed "s|/dev/vg/||g; s|/dev/nbd0|disk|g; s|/dev/xvdb|disk|g
                $servers; s|/run/|$PWD/room/|g" "$block" >room/example
            cat "$block" >&2
            (cd room && PATH=$OLDPWD/bin:$PATH id=$id \
                bash -e -o pipefail example >out)
            came_over "$block"
            n=$((n + 1))
        done
    done
    echo "$n examples" >&2
    [ $n -ge 30 ]
}

# came_over BLOCK
# What that example has brought to the other host is what it should be.
came_over() {
    if grep -q 'other.* disk.qcow2\|of=disk.qcow2' "$1"; then
        same_bytes disk.qcow2 room/other/disk.qcow2
    elif grep -q 'of-before$' "$1"; then
        same_content now.qcow2 room/other/copy-of-before
    elif grep -q 'backup-vda' "$1"; then
        same_content running.qcow2 room/other/copy-of-last.raw
    elif grep -q 'nbd:.*disk7' "$1"; then
        same_bytes disk export
        same_bytes disk export2
    fi
}

@test "every page that a page speaks of is there, if it is one of ours" {
    requires pod2man
    local page
    grep -ohE 'L<qcow-tool[^>]*>' "$abs_top_builddir"/doc/*.pod |
        sed 's/L<\(.*\)(\([0-9]\))>/\1.\2/' | sort -u >pages
    [ "$(wc -l <pages)" = 7 ]
    while read -r page; do
        [ -s "$abs_top_builddir/doc/$page" ]
    done <pages
}
