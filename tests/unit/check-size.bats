#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# scripts/dev/check-size finds what it is there to find, and nothing else.

load ../lib/helpers

checker=$BATS_TEST_DIRNAME/../../scripts/dev/check-size

# lines COUNT LINE
lines() {
    yes "$2" | head -n "$1"
}

# function_of LENGTH [HEAD]
# Of so many lines, from its name to its brace.
function_of() {
    printf '%s\n{\n' "${2:-static int long_one(int a)}"
    lines $(($1 - 3)) '    a++;'
    printf '}\n'
}

# accepts, complains TEXT: of what is in src/base/a.c or a.h
accepts() {
    run python3 "$checker" src
    [ "$output" = "" ]
    [ "$status" = 0 ]
}

complains() {
    run python3 "$checker" src
    [ "$output" = "$1" ]
    [ "$status" = 1 ]
}

setup() {
    helpers_setup
    mkdir -p src/base
}

@test "a file may have 500 lines, and no more" {
    lines 500 '/* */' >src/base/a.c
    accepts
    lines 501 '/* */' >src/base/a.c
    complains 'src/base/a.c: 501 lines, 500 are the most for a file'
    mv src/base/a.c src/base/a.h
    complains 'src/base/a.h: 501 lines, 500 are the most for a file'
}

@test "a function may have 60 lines, and no more" {
    { echo '#include "config.h"' && function_of 60; } >src/base/a.c
    accepts
    { echo '#include "config.h"' && function_of 61; } >src/base/a.c
    complains "src/base/a.c:2: long_one has 61 lines, 60 are the most for a\
 function"
}

@test "the lines of a head count, and each function is measured by itself" {
    {
        function_of 60 'int first(int a)'
        function_of 60 $'int second(int a,\n           int b)'
    } >src/base/a.c
    complains "src/base/a.c:61: second has 61 lines, 60 are the most for a\
 function"
    { function_of 40 'int first(int a)' && function_of 40; } >src/base/a.c
    accepts
}

@test "what is long and no function is no function" {
    {
        echo 'int declared(int a);'
        echo 'static const int table[] = {' && lines 70 '    1,' && echo '};'
        echo 'struct thing {' && lines 70 '    int a;' && echo '};'
    } >src/base/a.c
    accepts
}
