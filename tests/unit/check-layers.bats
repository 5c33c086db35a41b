#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# scripts/dev/check-layers finds what it is there to find: each rule is broken
# once, in a tree of one or two files.

load ../lib/helpers

checker=$BATS_TEST_DIRNAME/../../scripts/dev/check-layers

# file PATH LINE...
# A source file in ./src: config.h first, if it is a .c, then the lines.
file() {
    mkdir -p "$(dirname "src/$1")"
    case $1 in *.c) echo '#include "config.h"' ;; esac >"src/$1"
    printf '%s\n' "${@:2}" >>"src/$1"
}

accepts() {
    run python3 "$checker" src
    [ "$output" = "" ]
    [ "$status" = 0 ]
    rm -r src
}

# complains TEXT
complains() {
    run python3 "$checker" src
    echo "$output"
    [ "$status" = 1 ]
    [[ $output == *"$1"* ]]
    rm -r src
}

@test "a file may include headers of its own folder and of those below" {
    file cli/a.c '#include "cli/b.h"' '#include "export/c.h"' \
        '#include "base/d.h"'
    file nbd/a.c '#include "qemu/b.h"' '#include <stdio.h>'
    accepts
}

@test "a file must not include a header of a folder above" {
    file base/a.c '#include "lists/b.h"'
    complains 'base is below lists'
    file nbd/a.h '#include "import/b.h"'
    complains 'nbd is below import'
    file export/a.c '#include "cli/b.h"'
    complains 'export is below cli'
}

@test "export and import must not know each other" {
    file export/a.c '#include "import/b.h"'
    complains 'export and import must not know each other'
    file import/a.c '#include "export/b.h"'
    complains 'import and export must not know each other'
}

@test "a folder, or a header, that is not in the plan is found" {
    file tools/a.c ''
    complains 'not in a folder'
    file a.c ''
    complains 'not in a folder'
    file base/deep/a.c ''
    complains 'not in a folder'
    file base/a.c '#include "b.h"'
    complains 'names no folder'
}

@test "config.h comes first in every .c file and in no header" {
    mkdir -p src/base
    echo '#include "base/a.h"' >src/base/a.c
    complains 'config.h before all else'
    file base/a.h '#include "config.h"'
    complains 'config.h is for .c files'
}

# Each line of code, the file that may have it, and one that must not.
knowledge() {
    cat <<'END'
#include <json-c/json.h>@qemu/infojson@export/image
run(QEMU_IMG_PATH);@qemu/qemu@export/export
argv[n++] = "--output=json";@qemu/qemu-img@export/image
argv[n++] = "-U";@qemu/qemu-img@export/chain
s = "json:{\"driver\":\"qcow2\"}";@qemu/qemu@export/chain
uint32_t magic = NBD_REQUEST_MAGIC;@nbd/server@import/inbox
#include <libnbd.h>@nbd/client@export/source-nbd
char m[] = {'Q', 'F', 'I', 0xfb};@qemu/header@import/gate
memcmp(header, "QFI\xfb", 4);@qemu/header@export/chain
if (magic == 0x514649fb)@qemu/header@import/serve
n = sendfile(out, in, &offset, length);@export/mover@export/sink
fd = open(path, O_RDONLY | O_DIRECT);@import/target@nbd/store
n = copy_file_range(a, NULL, b, NULL, n, 0);@export/mover@export/stream
pid = fork();@base/child@qemu/qemu-nbd
execvp(argv[0], argv);@base/child@cli/main
_exit(127);@base/child@cli/main
exit(1);@cli/main@export/stream
fputs(text, stderr);@base/log@base/progress
END
}

@test "what is outside of us is known in one place" {
    local line allowed forbidden n=0
    while IFS='@' read -r line allowed forbidden; do
        file "$allowed.c" "$line"
        accepts
        file "$forbidden.c" "$line"
        complains 'only'
        n=$((n + 1))
    done < <(knowledge)
    [ "$n" = 18 ]
}

@test "comments and the text of messages may speak of anything" {
    file import/serve.c '/* sendfile(2) would not fork() here */' \
        'log("exit(1) on stderr");'
    accepts
}

@test "the sources keep to their plan" {
    run python3 "$checker"
    echo "$output"
    [ "$status" = 0 ]
}
