#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# scripts/dev/check-licences finds what it is there to find, and nothing else.

load ../lib/helpers

checker=$BATS_TEST_DIRNAME/../../scripts/dev/check-licences
licence='SPDX-License-Identifier: LGPL-2.1-or-later'
copyright='SPDX-FileCopyrightText: the qcow-tool authors'

accepts() {
    run "$checker"
    [ "$output" = "" ]
    [ "$status" = 0 ]
}

# complains LINE...
complains() {
    run "$checker"
    [ "$output" = "$(printf '%s\n' "$@")" ]
    [ "$status" = 1 ]
}

setup() {
    helpers_setup
    requires git
    git init -q tree
    cd tree || return 1
    printf '/* %s */\n/* %s */\n' "$licence" "$copyright" >a.c
}

@test "a file has both lines, whatever its language, at its top" {
    printf '#!/bin/sh\n# %s\n# %s\n' "$licence" "$copyright" >b
    git add a.c
    accepts
    printf '/* %s */\n' "$licence" >a.c
    printf '#!/bin/sh\n\n\n\n# %s\n# %s\n' "$licence" "$copyright" >b
    complains "a.c: no line \"$copyright\"" \
        "b: no line \"$licence\"" "b: no line \"$copyright\""
}

@test "a text may have them at its end, and must have them" {
    { yes | head -n 50 && printf '%s\n' "$licence" "$copyright"; } >a.md
    cp a.md NEWS
    accepts
    echo "$licence" >NEWS
    : >a.md
    complains "NEWS: no line \"$copyright\"" "a.md: no line \"$licence\"" \
        "a.md: no line \"$copyright\""
}

@test "what git ignores, a link, and what has no room need no lines" {
    mkdir debian
    : >COPYING
    : >debian/changelog
    ln -s COPYING link
    printf '# %s\n# %s\na.o\n' "$licence" "$copyright" >.gitignore
    : >a.o
    accepts
    : >changelog
    complains "changelog: no line \"$licence\"" \
        "changelog: no line \"$copyright\""
}
