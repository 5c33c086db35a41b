# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The tests in which one call after another fails (failing-call.c).
#
#   faults_setup                    before the others
#   every_call CASE FAMILY...       calls of these families fail, one in each
#                                   run of CASE; in the variables of the call:
#                                   errnos="NAME..." in=children times=N
#                                   picks=N share=N most=N
#   each_of CASE...                 calls of all families, a few of each
#   every_moment CASE SIGNAL...     instead, a signal comes: before one call
#                                   after another; to=children: to QEMU
#
# A CASE is a function that sets command, input, made (the file that appears)
# and expected (which it is then equal to), and TMPDIR is ./spool. It may set
#   prepare   a command that makes $made before each run, a disk full of 0xAA:
#             then a failure leaves it, and says so if it is partly written
#   compare   what is called with $made and $expected, instead of cmp
#   policy    of its sandbox, which --debug tells of: "auto" or "require". A
#             part of it (the family "cage") is never missing without a word
#   around    the words of a command that becomes it
#   prints    not empty: $made is what is printed, nothing after a failure
#
# Which calls of a family fail is spread evenly over all that there are, $picks
# of them (8), or $FAULT_PICKS; 0 is each of them, as in `make check-faults`.
# FAULT_SEED shifts them.

# Seen to crash, go wrong or not end when an allocation of theirs fails: json-c
# 0.16 (in json_tokener_parse_ex) and libseccomp 2.5.4 (seccomp_export_bpf).
# Other versions were not tried. libxml2, which libnbd has parse URIs, says
# itself that there is no memory, and libnbd then takes the URI for a bad one.
# libcrypto 3.0.19 crashes below EVP_DigestInit_ex.
#
# libnbd's sockets do not block, and so give no EINTR.
faults_spare='libjson-c libseccomp libxml2 libcrypto'

# Counts those of all cases, so that they do not all have the same.
turn=${FAULT_SEED:-0}

around=()

# caged POLICY CASE: the case, with that sandbox in the place of none.
caged() {
    [ "$1" != require ] || requires sandbox:landlock sandbox:seccomp
    $2
    command=("${command[@]/#off/$1}" --debug)
    policy=$1
}

faults_setup() {
    requires cc
    ! ldd "$(command -v qcow-tool)" | grep -q 'lib[at]san' ||
        skip 'sanitizers have their own malloc'
    cc -shared -fPIC -o fault.so "$tests/failing-call.c" -ldl 2>cc.stderr ||
        skip "needs glibc: $(head -n 1 cc.stderr)"
    mkdir run
}

errno_number() {
    case $1 in
    none) echo 0 ;;
    EPERM) echo 1 ;;
    EINTR) echo 4 ;;
    EIO) echo 5 ;;
    EAGAIN) echo 11 ;;
    ENOMEM) echo 12 ;;
    EMFILE) echo 24 ;;
    ENOSPC) echo 28 ;;
    *) return 1 ;;
    esac
}

# What a message says of it. A thread for which there is no memory is EAGAIN;
# a URI, to libnbd, one that it cannot parse.
errno_words() {
    case $1 in
    EPERM) echo 'Operation not permitted|Permission denied' ;;
    EINTR) echo 'Interrupted system call' ;;
    EIO) echo 'Input/output error' ;;
    EAGAIN) echo 'Resource temporarily unavailable' ;;
    ENOMEM)
        echo 'Cannot allocate memory|Resource temporarily unavailable'\
'|unable to parse URI queries'
        ;;
    EMFILE) echo 'Too many open files' ;;
    ENOSPC) echo '[Nn]o space left' ;;
    esac
}

# The errno values that a family is tried with.
family_errnos() {
    case $1 in
    memory) echo ENOMEM ;;
    open) echo EMFILE EIO ;;
    stat | seek) echo EIO ;;
    read) echo EIO EINTR none ;;
    write) echo EIO ENOSPC EINTR none ;;
    size) echo ENOSPC EIO ;;
    sync | close) echo EIO ;;
    channel) echo EMFILE ;;
    start) echo EAGAIN ;;
    wait) echo ENOMEM EINTR ;;
    control) echo EPERM ;;
    cage) echo EPERM ENOMEM ;;
    esac
}

# run_with_fault FAMILY NTH ERRNO
# Sets $rc, and $fault_log: what failed, or how many calls there were.
run_with_fault() {
    local spare out=stdout
    rc=0
    rm -f "$made" run/report fault.log
    : >"$left"
    ${prepare:-}
    [ -z "${prints:-}" ] || out=$made
    spare=$faults_spare
    [ "$3" != EINTR ] || spare+=' libnbd'
    watch -- "${around[@]}" env \
        LD_PRELOAD="$PWD/fault.so" FAULT_LOG="$PWD/fault.log" \
        FAULT_FAMILY="$1" FAULT_NTH="$2" FAULT_ERRNO="$(errno_number "$3")" \
        FAULT_TIMES="${times:-1}" FAULT_IN="${in:-program}" \
        FAULT_SPARE="$spare" FAULT_SIGNAL="${signal:-0}" \
        FAULT_TO="${to:-program}" "${command[@]}" \
        <"$input" >"$out" 2>stderr || rc=$?
    if [ -n "${policy:-}" ]; then
        mv stderr debug
        if [ "$rc" = 0 ]; then :; else tail -n 1 debug; fi >stderr
    fi
    fault_log=
    IFS= read -r -d '' fault_log <fault.log || :
}

# Calls that say whether all that was written is there. FILE is what they are
# about.
must_not_be_ignored() {
    case $fault_log in
    fsync\ * | "fdatasync $1"* | "close $1"* | "sync_file_range $1"*) ;;
    "write $1"* | "pwrite $1"* | "sendfile $1"* | "ftruncate $1"*) ;;
    *) return 1 ;;
    esac
}

# Another call does what this one was for, or another part of the cage does:
# the kernel's own rules for who is no longer root or has no_new_privs. Nor is
# it the sandbox that takes QEMU with us.
is_made_up_for() {
    case $fault_log in
    'prctl(CAPBSET_'* | 'prctl(CAP_AMBIENT)'* | 'prctl(PDEATHSIG)'*) ;;
    'syscall(seccomp)'* | 'syscall(landlock_version)'*) ;;
    *) return 1 ;;
    esac
}

# A part of the cage is not there, and all went well. Says what is wrong.
judge_cage() {
    if is_made_up_for; then
        return
    elif [ "$policy" = require ]; then
        echo 'it is missing, and was required'
    elif ! grep -Eq 'sandbox (is )?without ' debug; then
        echo 'it is missing, and that is not told'
    fi
}

is_good() {
    [ -s "$made" ] && ${compare:-cmp} "$made" "$expected" >&2
}

# What a failure leaves of $made. Says what is wrong with it.
judge_rest() {
    if [ -n "${prints:-}" ]; then
        [ ! -s "$made" ] || echo 'it has printed something'
    elif [ -z "${prepare:-}" ]; then
        [ ! -e "$made" ] || echo "$made is left"
    elif ! untouched "$made" && ! grep -q 'is partly written$' stderr; then
        echo 'it is partly written, and that is not told'
    fi 2>/dev/null
    [ "$rc" = 137 ] || [ -z "$(ls -A run/.qcow-tool.* 2>/dev/null)" ] ||
        echo 'a new file is left'
}

# What a call that failed, with ERRNO, came to. Says what is wrong with it.
judge_fault() {
    local errno=$1 first=''
    IFS= read -r first <stderr || :
    case $rc in
    0)
        if ! is_good; then
            echo 'success with other bytes'
        elif [ "$errno" != none ] && [ "$errno" != EINTR ] &&
            must_not_be_ignored "$(realpath "$made")"; then
            echo 'it was ignored'
        elif [ -n "${policy:-}" ] && [ "$family" = cage ]; then
            judge_cage
        fi
        ;;
    1)
        if [ "$errno" = none ] || [ "$errno" = EINTR ]; then
            echo 'it is no failure'
        elif ! [[ $first =~ ^qcow-tool:\ [a-z]+:\  ]] ||
            [ "$(wc -l <stderr)" != 1 ]; then
            echo 'not one line of ours'
        elif ! [[ $first =~ $(errno_words "$errno") ]] &&
            [[ $fault_log != waitpid* ]]; then
            echo 'the cause is not told'
        fi
        judge_rest
        ;;
    *) echo "exit code $rc" ;;
    esac
    # A report is whole, or says nothing.
    [ ! -s run/report ] || jq . run/report >/dev/null || echo 'half a report'
    [ ! -s "$left" ] || cat "$left"
    [ -z "$(ls -A "$spool")" ] || echo "left in the spool: $(ls -A "$spool")"
}

# Where in the program it was, if that can be told.
show_fault() {
    echo "$fault_log" | head -n 1
    sed 's/^/stderr: /' stderr
    { sed -n 's/^ *[^ ]*qcow-tool+\(0x[0-9a-f]*\) .*/\1/p' <<<"$fault_log" |
        addr2line -s -f -p -e "$(command -v qcow-tool)"; } 2>/dev/null ||
        echo "$fault_log"
}

# How often each family is called: in counts[FAMILY].
count_calls() {
    local family count
    run_with_fault none 0 EIO
    if [ "$rc" != 0 ] || ! is_good; then
        echo "without a fault: exit code $rc" && cat stderr
        return 1
    fi >&2
    while read -r family count; do
        counts[$family]=$count
    done <<<"${fault_log%$'\n'}"
}

# What the signal came to. What was made may be there after SIGKILL.
judge_moment() {
    local signal=$1 first=''
    IFS= read -r first <stderr || :
    case $rc,${to:-program} in
    0,*)
        cmp "$made" "$expected" || echo 'success with other bytes'
        ;;
    $((128 + signal)),program)
        # Before it is ready for signals it dies without a word.
        [[ $signal = 9 || -z $first || $first = *"by signal $signal "* ]] ||
            echo 'the signal is not told'
        ;;
    1,children)
        [[ $first =~ signal\ $signal\ |has\ moved ]] ||
            echo 'the cause is not told'
        ;;
    *) echo "exit code $rc" ;;
    esac
    [ "$rc" = 0 ] || [ "$rc" = 137 ] || [ ! -e "$made" ] ||
        echo "$made is left"
    [ ! -s "$left" ] || cat "$left"
    [ -z "$(ls -A "$spool")" ] || echo "left in the spool: $(ls -A "$spool")"
}

every_moment() {
    local case=$1 name n step said bad=0 came
    local rc fault_log signal picked=${FAULT_PICKS:-${picks:-8}}
    local -A counts
    shift
    $case
    signal=0 count_calls
    step=$((picked == 0 ? ${most:-99999} : picked))
    step=$(((counts[any] + step - 1) / step))
    for name; do
        came=0
        signal=$(kill -l "$name")
        n=$((1 + ${FAULT_SEED:-0} % step))
        for (( ; n <= counts[any]; n += step)); do
            run_with_fault any "$n" EIO
            case $fault_log in 'memory '[0-9]*) continue ;; esac
            came=$((came + 1))
            said=$(judge_moment "$signal")
            [ -n "$said" ] || continue
            bad=$((bad + 1))
            echo "$case: $name before call $n of ${counts[any]}: $said"
            show_fault
        done
        echo "$case: $name came $came times"
    done >&2
    [ $bad = 0 ]
}

every_call() {
    local case=$1 family errno n said bad=0 limit=${most:-99999}
    local rc fault_log fired picked=${FAULT_PICKS:-${picks:-7}} step
    local -A counts
    shift
    $case
    count_calls
    for family; do
        step=$((picked == 0 ? limit : picked))
        step=$(((counts[$family] + step - 1) / step))
        for errno in ${errnos:-$(family_errnos "$family")}; do
            turn=$((turn + 1))
            [ "$picked" = 0 ] || [ $((turn % ${share:-1})) = 0 ] || continue
            fired=0
            for ((n = 1 + ${FAULT_SEED:-0} % (step > 0 ? step : 1); \
            n <= counts[$family]; n += step)); do
                run_with_fault "$family" "$n" "$errno"
                case $fault_log in
                'memory '[0-9]* | spared\ *) continue ;;
                esac
                fired=$((fired + 1))
                said=$(judge_fault "$errno")
                [ -n "$said" ] || continue
                bad=$((bad + 1))
                echo "$case: $family $n of ${counts[$family]} $errno: $said"
                show_fault
            done
            echo "$case: $family $errno: $fired of ${counts[$family]} failed"
        done
    done >&2
    [ $bad = 0 ]
}

each_of() {
    local case families='open stat seek read write size sync close channel
        start wait control memory'
    for case; do
        # shellcheck disable=SC2086 # they are words
        picks=1 share=11 every_call "$case" $families
    done
}
