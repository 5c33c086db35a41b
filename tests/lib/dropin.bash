# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The drop-in programs: qcow-tool by another name.
#
#   drop_in [RC] NAME ARG...        as qcow_tool; bin/NAME in the test
#   link_drop_in NAME               makes that
#   describe IMAGE NAME             NAME.map and NAME.info, from qemu-img
#   from_pipes NAME=FILE... -- ARG...       out.qcow2, through feed.py
#   with_map DISK NAME [ARG...]             ... with these as DISK's
#   with_maps DISK NAME BASE NAME [ARG...]  ... and those of a base
#   readable IMAGE                  by those who read streams today
# Before the last three, for one call: expect=RC, and feeding="..." for options
# of feed.py.

# $feed is what it is to be run by: words before the program.
drop_in() {
    local rc=0 expected=0 to=${stdout_to:-stdout} name
    case $1 in
    [0-9]* | \[*) expected=$1 && shift ;;
    esac
    name=$1
    shift
    link_drop_in "$name"
    stdout='' stderr=''
    echo "\$ $(quoted "${feed[@]}" "$name" "$@")" >&2
    watch -- "${feed[@]}" "bin/$name" "$@" >"$to" 2>stderr || rc=$?
    read_text stderr stderr
    show stderr stderr
    if [ "$to" = stdout ]; then
        read_text stdout stdout
    fi
    # shellcheck disable=SC2053 # a pattern
    if [[ $rc != $expected ]]; then
        echo "exit code $rc, expected $expected" >&2
        return 1
    fi
}

link_drop_in() {
    mkdir -p bin
    ln -sf "$(command -v qcow-tool)" "bin/$1"
}

describe() {
    qemu-img map --output=json -f qcow2 "$1" >"$2.map"
    qemu-img info --output=json -f qcow2 "$1" >"$2.info"
}

# from_pipes NAME=FILE... -- ARG...
from_pipes() {
    local feed
    # shellcheck disable=SC2206 # words
    feed=(python3 "$tests/feed.py" ${feeding:-})
    while [ "$1" != -- ]; do
        feed+=("$1")
        shift
    done
    feed+=(--)
    stdout_to=out.qcow2 drop_in "${expect:-0}" qcow2-to-stdout "${@:2}"
}

with_map() {
    from_pipes "map=$2.map" "info=$2.info" -- "$1" \
        --json-header-map '{map}' --json-header-info '{info}' "${@:3}"
}

with_maps() {
    from_pipes "map=$2.map" "info=$2.info" \
        "diff-map=$4.map" "diff-info=$4.info" -- "$1" --diff "$3" \
        --json-header-map '{map}' --json-header-info '{info}' \
        --json-header-diff-map '{diff-map}' \
        --json-header-diff-info '{diff-info}' "${@:5}"
}

readable() {
    local reader
    for reader in xapi xo; do
        python3 "$tests/readers.py" $reader <"$1" >&2 || return 1
    done
}
