#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What a QEMU that has been taken over can do: tests/lib/intruder.c in its
# place tries. Each is also tried without a sandbox, so that it is seen that
# there would have been something to deny.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 2M data@64K+1M
    image disk.raw disk.qcow2
    # Where the user that QEMU becomes can find it.
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
}

# tries NAME POLICY: what an intruder in the place of qemu-img comes to, in an
# import; stderr is what is said of it.
tries() {
    cp "$(command -v intruder)" "$1"
    rm -f new.raw
    HOME=/ qcow_tool 1 serve --sandbox "$2" --qemu-img "$PWD/$1" \
        --destination new.raw <disk.qcow2
    nothing_left
}

# each_is_denied POLICY
each_is_denied() {
    local name
    for name in passwd create disk connect-out connect-local listen fork \
        shell copy memory fds space end-parent owner abort type; do
        tries $name "$1"
        error_says "denied $name: "
    done
    [ ! -e intruded ] && [ ! -e /tmp/intruded ] && [ ! -e /var/tmp/intruded ]
    # What no tool has any business with is the end of it.
    for name in trace mount leave; do
        tries $name "$1"
        error_says 'killed by signal 31'
    done
}

# Has $tool a child of that name, which is not root's?
is_nobodys() {
    local pid
    for pid in $(cat "/proc/$tool/task/"*/children); do
        [ "$(cat "/proc/$pid/comm")" != "$1" ] ||
            [ "$(stat -c %u "/proc/$pid")" = 0 ] || return 0
    done
    return 1
}

@test "an intruder can do none of what it tries" {
    requires sandbox:landlock sandbox:seccomp
    each_is_denied auto
}

@test "without a sandbox it can" {
    local name
    for name in passwd create connect-out connect-local fork shell copy \
        space owner abort type; do
        tries $name off
        error_says "did $name"
    done
    rm -f intruded
}

@test "root's QEMU is nobody, and has nothing but what it is given" {
    requires root sandbox:landlock sandbox:seccomp
    tries state require
    error_says 'root no, groups 0, capabilities 0, fds 1, core 0'
    error_says 'size 0, HOME none, no_new_privs 1, filters 2'
    tries state off
    error_says 'root yes.*HOME there'
}

# in_its_place PROGRAM POLICY NAME: what an intruder comes to in the place of
# qemu-io or qemu-nbd of an export, or of an import's that decodes. It is in a
# folder of that name.
in_its_place() {
    local intruder=$PWD/$1/$3
    mkdir -p "$1"
    cp "$(command -v intruder)" "$intruder"
    case $1 in
    qemu-io)
        qcow_tool 1 stream --sandbox "$2" --qemu-io "$intruder" \
            --source disk.raw --destination none.qcow2
        ;;
    qemu-nbd)
        qcow_tool 1 stream --sandbox "$2" --qemu-nbd "$intruder" \
            --source-format qcow2 --source compressed.qcow2 \
            --destination none.qcow2
        ;;
    decoding-qemu-nbd)
        qcow_tool 1 serve --sandbox "$2" --qemu-nbd "$intruder" \
            --destination new.raw <compressed.qcow2
        ;;
    esac
    [ ! -e none.qcow2 ] && [ ! -e new.raw ]
    nothing_left
}

@test "an intruder in the place of the other programs can do nothing either" {
    local program name
    requires sandbox:landlock sandbox:seccomp
    other_data plain.raw 512K
    qemu-img convert -c -f raw -O qcow2 plain.raw compressed.qcow2
    for program in qemu-io qemu-nbd decoding-qemu-nbd; do
        for name in passwd create connect-local fork shell; do
            in_its_place $program auto $name
            error_says "denied $name: "
        done
        in_its_place $program require state
        error_says 'capabilities 0, .* no_new_privs 1, filters 2, '
        in_its_place $program off shell
        error_says 'did shell'
    done
    [ ! -e intruded ] && [ ! -e /tmp/intruded ] && [ ! -e /var/tmp/intruded ]
}

# with_limit SECONDS NAME: qemu-img, whose caller has limited its CPU time
with_limit() {
    local rc=0
    cp "$(command -v intruder)" "$2"
    watch -- python3 "$tests/caller.py" "soft:CPU=$1" -- qcow-tool serve \
        --qemu-img "$PWD/$2" --destination new.raw <disk.qcow2 2>stderr ||
        rc=$?
    [ $rc = 1 ] && [ ! -e new.raw ] && nothing_left
}

@test "the CPU time of a QEMU that reads metadata is limited" {
    tries state auto
    error_says 'cpu 600 to 605'
    tries state off
    [[ $stderr != *'cpu 600 to 605'* ]]
    # Of two limits the lower counts.
    with_limit 300 state
    error_says 'cpu 300 to 605'
    with_limit 1 spin
    error_says 'QEMU: .*/spin was killed by signal 24 \(CPU time limit exc'
}

@test "QEMU of an ordinary user is caged as well" {
    local name
    requires root sandbox:landlock sandbox:seccomp
    chmod 777 . spool
    chmod 644 disk.qcow2
    python3 "$tests/caller.py" user:65534 -- qcow-tool --version ||
        skip "others cannot run the program"
    for name in passwd create connect-out listen fork shell memory space \
        end-parent; do
        cp "$(command -v intruder)" $name
        run -1 python3 "$tests/caller.py" user:65534 set:TMPDIR=spool -- \
            qcow-tool serve --qemu-img "$PWD/$name" --destination other.raw \
            <disk.qcow2
        [[ $output == *"denied $name: "* ]]
    done
}

# old_kernel ARG...: qcow-tool where the kernel has no Landlock
old_kernel() {
    python3 "$tests/caller.py" without:landlock -- qcow-tool "$@"
}

@test "without Landlock root's QEMU has a root directory of its own" {
    local name
    requires root sandbox:seccomp
    unshare --mount true 2>/dev/null || skip 'needs mount namespaces'
    for name in passwd create disk memory fds end-parent; do
        cp "$(command -v intruder)" $name
        run -1 old_kernel serve --qemu-img "$PWD/$name" \
            --destination new.raw <disk.qcow2
        [[ $output == *"denied $name: "* ]]
        # It is not there, and what is there is not nobody's.
        [[ $name != passwd || $output == *'No such file'* ]]
        [ ! -e new.raw ]
    done
    # It stays root to read the files of an image.
    qemu-img convert -O vpc disk.raw disk.vhd
    cp "$(command -v intruder)" overwrite
    run -1 old_kernel stream --qemu-img "$PWD/overwrite" --source-format vpc \
        --source disk.vhd --destination none.qcow2
    [[ $output == *"denied overwrite: Permission denied"* ]]
    # Names mean what they meant, and what was made is written.
    mkdir in
    HOME=/ old_kernel serve in/../new.raw <disk.qcow2
    same_bytes disk.raw new.raw
    old_kernel serve new.vdi --destination-format vdi <disk.qcow2
    [ "$(qemu-img compare -f raw -F vdi disk.raw new.vdi)" = \
        'Images are identical.' ]
    nothing_left
}

@test "a QEMU that makes an image writes to that file alone" {
    local name
    requires sandbox:landlock sandbox:seccomp
    for name in passwd create connect-out fork shell memory; do
        cp "$(command -v intruder)" $name
        qcow_tool 1 serve --qemu-img "$PWD/$name" --destination new.qcow2 \
            --destination-format qcow2 <disk.qcow2
        error_says "denied $name: "
        qcow_tool 1 serve --qemu-nbd "$PWD/$name" --destination new.qcow2 \
            --destination-format qcow2 <disk.qcow2
        error_says "denied $name: "
    done
    [ ! -e new.qcow2 ] && [ ! -e intruded ]
    nothing_left
}

@test "a QEMU that reads files reads those alone, whoever they belong to" {
    local policy
    requires root sandbox:landlock sandbox:seccomp
    chown 65534 disk.qcow2
    chmod 600 disk.qcow2
    qcow_tool stream --sandbox require --source-format qcow2 \
        --source disk.qcow2 --destination out.qcow2
    same_content disk.raw out.qcow2
    for policy in passwd create connect-out shell memory; do
        cp "$(command -v intruder)" $policy
        # That of a VHD is mapped from the file itself.
        qemu-img convert -O vpc disk.raw disk.vhd
        qcow_tool 1 stream --qemu-img "$PWD/$policy" --source-format vpc \
            --source disk.vhd --destination none.qcow2
        error_says "denied $policy: "
    done
    cp "$(command -v intruder)" overwrite
    qcow_tool 1 stream --qemu-img "$PWD/overwrite" --source-format vpc \
        --source disk.vhd --destination none.qcow2
    error_says "denied overwrite: Permission denied"
    cp "$(command -v intruder)" state
    qcow_tool 1 stream --qemu-img "$PWD/state" --source-format vpc \
        --source disk.vhd --destination none.qcow2
    # CAP_DAC_READ_SEARCH
    error_says 'root yes, groups 0, capabilities 4, fds 1, core 0, size 0'
}

@test "what the host lacks is told by --debug, and fails what is required" {
    requires root
    # The user cannot come where the program is.
    mkdir -m 700 closed
    cp "$(command -v intruder)" closed/state
    qcow_tool 1 serve --debug --qemu-img "$PWD/closed/state" \
        --destination new.raw <disk.qcow2
    stderr_says 'sandbox without own user \(.*\): Permission denied'
    stderr_says 'root yes, groups 0, capabilities 0'
    chmod 710 closed # of root's group
    qcow_tool 1 serve --debug --qemu-img "$PWD/closed/state" \
        --destination new.raw <disk.qcow2
    stderr_says 'sandbox without own user \(.*\): Permission denied'
    stderr_says 'root yes, groups 0, capabilities 0'
    qcow_tool 1 serve --sandbox require --qemu-img "$PWD/closed/state" \
        --destination new.raw <disk.qcow2
    error_says 'no own user .* sandbox of .*closed/state: Permission denied'
    [ ! -e new.raw ]
    nothing_left
}

@test "a script in QEMU's place can run the real one, and write nothing" {
    requires sandbox:landlock sandbox:seccomp
    fake qemu-img <<END
echo here >$PWD/written 2>/dev/null
exec $(command -v qemu-img) "\$@"
END
    qcow_tool serve --qemu-img "$fake" --destination new.raw <disk.qcow2
    same_bytes disk.raw new.raw
    [ ! -e written ]
    qcow_tool serve --sandbox off --qemu-img "$fake" --destination new.raw \
        <disk.qcow2
    [ -e written ]
}

# The powers that each thread of $tool has, as /proc says it.
powers() {
    sed -n 's/^CapPrm:\t*//p' "/proc/$tool/task/"*/status | sort -u
}

# Has $tool no other powers than these, of capabilities(7)?
has_powers() {
    [ "$(powers)" = "$(printf '%016x\n' "$@" | sort)" ]
}

@test "once its ends are open, root can start QEMU and end it, and no more" {
    local may_read=$((1 << 2)) may_start=$((1 << 5 | 1 << 6 | 1 << 7 | 1 << 8))
    requires root sandbox:landlock sandbox:seccomp
    fake qemu-img <<END
[ "\$1" != create ] || exec $(command -v qemu-img) "\$@"
exec sleep 31416
END
    start_tool in serve --destination new.raw --qemu-img "$fake" \
        --stall-timeout 600 --source-fd 5 5<disk.qcow2
    tool=$(cat in.pid)
    # Main and its like; those that do nothing but watch.
    wait_until 20 has_powers 0 $((may_read | may_start))
    kill "$tool"
    finish_tool in 143
    start_tool image serve --destination new.qcow2 --destination-format qcow2 \
        --qemu-img "$fake" --source-fd 5 5<disk.qcow2
    tool=$(cat image.pid)
    wait_until 20 has_powers 0 $((may_read | may_start))
    kill "$tool"
    finish_tool image 143
    start_tool out stream --destination out.qcow2 --qemu-img "$fake" \
        --stall-timeout 600 --source disk.raw
    tool=$(cat out.pid)
    wait_until 20 has_powers 0 $((may_read | may_start))
    kill "$tool"
    finish_tool out 143
    nothing_left
}

# blocked_as_nobody: serve, whose QEMU has become nobody and does nothing; its
# $tool is "blocked" for finish_tool.
blocked_as_nobody() {
    fake qemu-img <<\END
exec sleep 31416
END
    start_tool blocked serve --destination new.raw --qemu-img "$fake" \
        --source-fd 5 5<disk.qcow2
    tool=$(cat blocked.pid)
    wait_until 20 is_nobodys sleep
}

# Is that process in a network and an IPC namespace that are not ours?
has_own_spaces() {
    local kind its
    for kind in net ipc; do
        its=$(readlink "/proc/$1/ns/$kind") || return 1
        [ "$its" != "$(readlink /proc/self/ns/$kind)" ] || return 1
    done
}

@test "what root receives with, and its QEMU, have no network and no IPC" {
    local children
    requires root
    unshare --net --ipc true 2>/dev/null || skip 'needs namespaces'
    blocked_as_nobody
    has_own_spaces "$tool"
    children=$(cat "/proc/$tool/task/"*/children)
    [ -n "$children" ]
    has_own_spaces "${children%% *}"
    kill "$tool"
    finish_tool blocked 143
    nothing_left
}

@test "killed, we take with us a QEMU that is somebody else" {
    requires root
    blocked_as_nobody
    kill -s KILL "$tool"
    finish_tool blocked 137
    nothing_left
}
