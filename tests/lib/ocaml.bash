# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What the tests of scripts/xapi/*.ml and *.patch share.
#
#   compile_wrapper             once in a file, in setup_file
#   compile_handlers            the same, with the two handlers patched
#   find_wrapper                for setup, after helpers_setup
#   wrapper                     what the first made: xapi-ocaml/main.ml says
#                               how it is called
#   handlers                    what the second made: see handlers.ml
#   compile VERSION PROGRAM PATCH...        in ./PROGRAM.d
#   ended SIDE complete|failed REGEX        what SIDE.stdout tells of a task

# compile VERSION PROGRAM PATCH...
# Makes ./PROGRAM of the sources with these patches, and with stand-ins for the
# modules of that xapi, 25_27, 26_0 or 26_16: those that are in each of them,
# and those that are not. The warnings are the errors that dune makes of them
# for xapi's own developers.
compile() {
    local version=$1 program=$2 flags sources
    shift 2
    flags=(-strict-sequence -strict-formats -g -I +unix -w
        @1..3@5..28@30..39@43@46..47@49..57@61..62@67@69-40..42-44-45-48)
    mkdir "$program.d"
    cp "$tests"/../../scripts/xapi/*.ml* "$tests"/../xapi/ocaml/*.ml* \
        "$program.d"
    sources=(qcow_tool_wrapper.mli qcow_tool_wrapper.ml)
    if [ "$program" = handlers ]; then
        sources+=(import_raw_vdi.ml export_raw_vdi.ml handlers.ml)
    else
        sources+=(main.ml)
    fi
    (
        cd "$program.d" || exit 1
        for patch in "$@"; do
            patch -s -F 0 -p 1 <"$tests/../../scripts/xapi/$patch" || exit 1
        done
        ocamlopt "${flags[@]}" -c xapi.ml &&
            ocamlopt "${flags[@]}" -open Xapi -c forkhelpers.mli \
                forkhelpers.ml at_25_27.ml at_26_0.ml at_26_16.ml server.ml &&
            ocamlopt "${flags[@]}" -open Xapi -open "At_$version" \
                -open Server -o "../$program" unix.cmxa xapi.cmx \
                forkhelpers.cmx at_25_27.cmx at_26_0.cmx at_26_16.cmx \
                server.cmx "${sources[@]}"
    ) >&2
}

compile_wrapper() {
    # setup_file cannot skip; find_wrapper does.
    command -v ocamlopt >/dev/null || return 0
    cd "$BATS_FILE_TMPDIR" && compile 26_16 wrapper
}

compile_handlers() {
    { command -v ocamlopt && command -v patch; } >/dev/null || return 0
    cd "$BATS_FILE_TMPDIR" &&
        compile 26_16 handlers import_raw_vdi.patch export_raw_vdi.patch
}

find_wrapper() {
    requires ocamlopt
    # The stand-in for xapi's fork helper looks here.
    export LAUNCH=$launcher
    # shellcheck disable=SC2034 # for the test
    wrapper=$BATS_FILE_TMPDIR/wrapper handlers=$BATS_FILE_TMPDIR/handlers
}

# ended SIDE complete|failed REGEX
# Progress only rose, to 100 if and only if it is complete; the last line says
# how it ended.
ended() {
    sed -n 's/^[a-z]* \([01]\)\.\([0-9][0-9]\)$/\1\2/p' "$1.stdout" |
        tr -d '\n' >.digits
    digits .digits "$2"
    tail -n 1 "$1.stdout" >.last
    error_says "$3" .last
}
