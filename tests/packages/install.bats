#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What `make install' and `make dist' promise to who packages.

load ../lib/helpers

source=$BATS_TEST_DIRNAME/../..

# makes TARGET: as by hand, not as part of the make that runs this test
makes() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
        make -s -C "$abs_top_builddir" "DESTDIR=$PWD/root" "$@"
}

# version_is VERSION: of the tree ./tree
version_is() {
    run tree/scripts/dev/version
    [ "$output" = "$1" ]
    [ "$status" = 0 ]
}

@test "all that is installed works there, and make uninstall leaves nothing" {
    makes prefix=/usr libexecdir=/usr/libexec install
    root/usr/bin/qcow-tool --version
    # A root that is moved is still whole.
    mv root moved
    for name in qcow-stream-tool qcow2-to-stdout qcow2-to-stdout.py; do
        [ "$(readlink "moved/usr/libexec/qcow-tool/$name")" = \
            ../../bin/qcow-tool ]
        moved/usr/libexec/qcow-tool/"$name" --help
    done
    mv moved root

    makes prefix=/usr libexecdir=/usr/libexec uninstall
    run find root ! -type d
    [ "$output" = "" ]
    [ ! -e root/usr/libexec/qcow-tool ]
}

@test "every man page, and completion for both shells, is installed" {
    requires pod2man
    makes prefix=/usr install
    for pod in "$source"/doc/*.pod; do
        page=$(basename "$pod" .pod)
        [ -s root/usr/share/man/man1/"$page".1 ] ||
            [ -s root/usr/share/man/man7/"$page".7 ]
    done
    [ -s root/usr/share/bash-completion/completions/qcow-tool ]
    [ -s root/usr/share/zsh/site-functions/_qcow-tool ]
}

@test "the version is the tarball's, or the last tag and the way from there" {
    requires git
    mkdir -p tree/scripts/dev
    cp "$source"/scripts/dev/version tree/scripts/dev
    version_is "$(sed -n 's/.*:-\(.*\)}.*/\1/p' "$source"/scripts/dev/version)"

    git init -q tree
    author=(-c user.name=a -c user.email=a -c commit.gpgsign=false)
    git -C tree "${author[@]}" commit -q --allow-empty -m first
    git -C tree tag v0.4.2
    # One without a message counts, too.
    version_is 0.4.2
    git -C tree "${author[@]}" commit -q --allow-empty -m second
    version_is "0.4.2.1.g$(git -C tree rev-parse --short HEAD)"

    echo 0.4.1 >tree/.tarball-version
    version_is 0.4.1
}

@test "without bats each bats file is skipped, and says so" {
    sh "$source"/build-aux/tap-driver.sh --test-name a.bats --log-file log \
        --trs-file trs --color-tests no --enable-hard-errors yes \
        --expect-failure no --ignore-exit -- \
        sh "$source"/tests/lib/no-bats --tap a.bats >out
    cat out
    grep -q '^SKIP: a.bats.*there is no bats' out
    grep -q '^:test-result: SKIP' trs
    grep -q '^:global-test-result: SKIP' trs
}
