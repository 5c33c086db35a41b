#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one command, or two joined by a socketpair, and tells what it left.

watch.py [OPTION...] -- COMMAND...
    exits as COMMAND does (128 + N when it died of signal N)
watch.py --pair DIR [OPTION...] -- COMMAND... -- COMMAND...
    "{}" in each command becomes the number of its end of the socketpair;
    output goes to DIR/{sender,receiver}.{stdout,stderr}, the two exit codes
    to DIR/pair.status

As the subreaper of what it runs, it is told of every process that outlives
its parent, wherever that moved in the process tree: those are written to the
file of --left and killed. Exit code 124 is the time limit's.
"""
import argparse
import ctypes
import os
import shutil
import signal
import socket
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
GRACE = 3.0             # seconds for an orphan that is about to end


def children():
    """Live and dead children of this process: [(pid, state, command)]."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as f:
                stat = f.read()
            rest = stat[stat.rindex(b")") + 2:].split()
            if int(rest[1]) != os.getpid():
                continue
            with open("/proc/%s/cmdline" % name, "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(
                    errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append((int(name), rest[0].decode(),
                      command or stat.split(b"(")[1].split(b")")[0].decode()))
    return found


def become(opts, fd, redirect):
    """In the child: everything between fork and exec."""
    for target, path in redirect.items():
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(out, target)
    if fd is not None:
        os.set_inheritable(fd, True)
    # Python ignores SIGPIPE and SIGXFSZ; what it runs must not inherit that.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN
                  if opts.ignore_sigpipe else signal.SIG_DFL)


def start(opts, command, fd=None, redirect=None):
    if fd is not None:
        command = [word.replace("{}", str(fd)) for word in command]
    program = shutil.which(command[0])
    if program is None:
        sys.exit("watch.py: %s: not found" % command[0])
    pid = os.fork()
    if pid == 0:
        try:
            become(opts, fd, redirect or {})
            os.execv(os.path.abspath(program), command)
        except OSError as e:
            os.write(2, ("watch.py: %s: %s\n" % (program, e)).encode())
        finally:
            os._exit(127)
    return pid


def exit_code(status):
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


def wait_for(pids, deadline):
    """Exit codes of all of pids; whatever else dies is only reaped."""
    codes = {}
    pause = 0.0005
    while len(codes) < len(pids):
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in pids:
            codes.setdefault(pid, exit_code(status))
        if pid:
            continue
        if time.monotonic() > deadline:
            sys.stderr.write("watch.py: time limit, still running:\n")
            for left in pids - set(codes):
                os.system("ps -o pid,ppid,stat,wchan:20,args --ppid %d "
                          "-p %d >&2" % (left, left))
                os.kill(left, signal.SIGTERM)
            codes.update({left: 124 for left in pids - set(codes)})
            return codes
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    return codes


def reap_the_rest():
    """What is still alive after the commands have ended."""
    deadline = time.monotonic() + GRACE
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return []
        left = [c for c in children() if c[1] != "Z"]
        if left and time.monotonic() > deadline:
            for pid, _, _ in left:
                os.kill(pid, signal.SIGKILL)
            return left
        time.sleep(0.01)


def end_all(signum, _frame):
    try:
        while True:
            for pid, _, _ in children():
                os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)
    except ChildProcessError:
        os._exit(128 + signum)


def split(words):
    """The command lines between the lone "--"s."""
    lines = [[]]
    for word in words:
        if word == "--":
            lines.append([])
        else:
            lines[-1].append(word)
    return [line for line in lines if line]


def run_pair(opts, lines, deadline):
    a, b = socket.socketpair()
    if opts.sndbuf:
        a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, opts.sndbuf)
    if opts.nonblocking:
        a.setblocking(False)
        b.setblocking(False)
    names = ("sender", "receiver")
    pids = [start(opts, line, end.fileno(),
                  {1: "%s/%s.stdout" % (opts.pair, name),
                   2: "%s/%s.stderr" % (opts.pair, name)})
            for line, end, name in zip(lines, (a, b), names)]
    b.close()
    if not opts.keep_open:
        a.close()
    codes = wait_for(set(pids), deadline)
    with open(opts.pair + "/pair.status", "w") as f:
        print(codes[pids[0]], codes[pids[1]], file=f)
    return 124 if 124 in codes.values() else 0


def main():
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument("--left", default="/dev/null")
    p.add_argument("--time-limit", type=float, default=60)
    p.add_argument("--pid-file")
    p.add_argument("--pair")
    p.add_argument("--nonblocking", action="store_true")
    p.add_argument("--keep-open", action="store_true")
    p.add_argument("--sndbuf", type=int)
    p.add_argument("--ignore-sigpipe", action="store_true")
    at = sys.argv.index("--")
    opts = p.parse_args(sys.argv[1:at])

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("watch.py: prctl: " + os.strerror(ctypes.get_errno()))
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, end_all)

    deadline = time.monotonic() + opts.time_limit
    if opts.pair:
        code = run_pair(opts, split(sys.argv[at + 1:]), deadline)
    else:
        pid = start(opts, sys.argv[at + 1:])
        if opts.pid_file:
            with open(opts.pid_file + ".new", "w") as f:
                print(pid, file=f)
            os.rename(opts.pid_file + ".new", opts.pid_file)
        code = wait_for({pid}, deadline)[pid]
    left = reap_the_rest()
    with open(opts.left, "a") as f:
        for pid, state, command in left:
            print(pid, state, command, file=f)
    sys.exit(code)


main()
