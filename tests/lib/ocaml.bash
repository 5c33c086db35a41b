# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of scripts/xapi/qcow_tool_wrapper.ml share.
#
#   compile_wrapper             once in a file, in setup_file
#   wrapper                     what it made: xapi-ocaml/main.ml says how it
#                               is called
#   ended SIDE complete|failed REGEX        what SIDE.stdout tells of a task

# With stand-ins for the modules of xapi that the wrapper uses, and with the
# warnings as errors that dune has for xapi's own developers.
compile_wrapper() {
    local flags=(-strict-sequence -strict-formats -g -I +unix -w
        @1..3@5..28@30..39@43@46..47@49..57@61..62@67@69-40..42-44-45-48)
    # setup_file cannot skip; find_wrapper does.
    command -v ocamlopt >/dev/null || return 0
    cp "$tests"/../../scripts/xapi/*.ml* \
        "$tests"/../xapi/ocaml/*.ml* "$BATS_FILE_TMPDIR"
    (
        cd "$BATS_FILE_TMPDIR" &&
            ocamlopt "${flags[@]}" -c xapi.ml >&2 &&
            ocamlopt "${flags[@]}" -open Xapi -o wrapper unix.cmxa xapi.cmx \
                forkhelpers.mli forkhelpers.ml qcow_tool_wrapper.mli \
                qcow_tool_wrapper.ml main.ml >&2
    )
}

# For setup, after helpers_setup.
find_wrapper() {
    requires ocamlopt
    # The stand-in for xapi's fork helper looks here.
    export LAUNCH=$launcher
    # shellcheck disable=SC2034 # for the test
    wrapper=$BATS_FILE_TMPDIR/wrapper
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
