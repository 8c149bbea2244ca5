"""What compilers are started through: puts the process into the build's group, then becomes the compiler.

ninja gives each command a group of its own, so what ends the build's group (`lifeline`, `Child`) would not reach the compilers.
Run as a file, without the package, some 200 times a build: `python -I -S join_group.py PROGRAM ARGUMENTS`; the group is in the
environment, not on the command line, because ninja builds anew what has another command line.
Promises: standard library only; if the group cannot be joined the compiler runs all the same.
Does not cover: Windows.
"""

import contextlib
import os
import sys

VARIABLE = "HOMEFIRE_BUILD_GROUP"


def main() -> None:
    """Becomes the program."""
    with contextlib.suppress(OSError, KeyError, ValueError):
        os.setpgid(0, int(os.environ[VARIABLE]))
    os.execvp(sys.argv[1], sys.argv[1:])  # nosec B606 # no shell on purpose


if __name__ == "__main__":
    main()
