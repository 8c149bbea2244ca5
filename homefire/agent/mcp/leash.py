"""Runs a program so that it ends with the process that started it, even one that was killed: `leash.py PROGRAM ARGUMENT ...`.

Promises: standard library only; on Linux the kernel sends SIGKILL to the program when the thread that started it ends; elsewhere
the program is run as it is, and the end of its standard input has to do.
Does not cover: programs that it starts itself; one with setuid, which the kernel lets go.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Becomes the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == 1:  # it ended before that
            sys.exit(1)
    try:
        os.execv(sys.argv[1], sys.argv[1:])
    except OSError as problem:
        print(f"{sys.argv[1]} cannot be run: {problem.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
