"""A supervised child that misbehaves on request: `python fakes/child.py [flags]`, spoken to as any child of `supervision/`.

Promises: without flags it becomes ready at once, says its pid, its session and the names in its environment, and lives until
its lifeline breaks or it gets SIGTERM; each flag adds one fault.
Does not cover: serving anything. A real engine is `homefire.engines.llamacpp_child`.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time

from homefire.supervision import lifeline


def main() -> None:
    """Does what the flags say, in the order in which they stand here."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--say", default="", help="a line for the log, at once")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--raw", help="text for standard output instead of the protocol; \\n is understood")
    parser.add_argument("--flood", type=int, default=0, help="bytes to write to standard error before it is ready")
    parser.add_argument("--chatter", default="", help="a line that is printed to standard output after attaching")
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--exit", type=int, help="end with this status before it is ready")
    parser.add_argument("--failed", help="say that it cannot start, for this reason, and linger")
    parser.add_argument(
        "--stuck", action="store_true", help="after it was ready, sit in native code that holds the GIL"
    )
    parser.add_argument("--die", help="end by this signal after it was ready")
    parser.add_argument("--quit", type=int, help="end with this status after it was ready")
    parser.add_argument("--tree", type=int, default=0, help="programs of its own that it starts; they ignore SIGTERM")
    parser.add_argument("--bare", action="store_true", help="attach without the rope for a tree, whatever it starts")
    parser.add_argument("--after", type=float, default=0.0, help="seconds before --die or --quit")
    options = parser.parse_args()
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.say:
        print(options.say, file=sys.stderr, flush=True)
    if options.raw is not None:
        os.write(1, options.raw.encode().decode("unicode_escape").encode("latin-1"))
        _linger()
    rope = lifeline.attach(tree=bool(options.tree) and not options.bare)
    tree = [_grandchild() for _ in range(options.tree)]
    _flood(options.flood)
    if options.chatter:
        print(options.chatter, flush=True)
    if options.never_ready:
        _linger()
    if options.exit is not None:
        sys.exit(options.exit)
    if options.failed is not None:
        rope.failed(options.failed)
        _linger()
    rope.ready(pid=os.getpid(), session=os.getsid(0), environment=sorted(os.environ), tree=tree)
    if options.stuck:
        ctypes.PyDLL(None).sleep(600)
    time.sleep(options.after)
    if options.die:
        os.kill(os.getpid(), signal.Signals[options.die])
    if options.quit is not None:
        os._exit(options.quit)
    _linger()


def _grandchild() -> int:
    """A program that ignores SIGTERM and holds none of the pipes; returns when it does."""
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    argv = [sys.executable, "-c", program]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process.pid


def _flood(size: int) -> None:
    line = b"x" * 1023 + b"\n"
    for _ in range(size // len(line)):
        os.write(2, line)


def _linger() -> None:
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
