"""A parent for `fakes/child.py`: starts it under supervision, prints its pid and lives until it is killed.

Promises: `python fakes/parent.py LOG [flags of the child]` prints one line, the child's pid and those of its tree, once it is
ready.
Does not cover: ending well. It is there to be killed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from homefire.supervision.child import Child, ChildSpec


async def main() -> None:
    """Starts the child and waits for ever."""
    program = str(Path(__file__).with_name("child.py"))
    child = Child(ChildSpec("The child", (sys.executable, program, *sys.argv[2:]), Path(sys.argv[1])))
    await child.start()
    print(child.pid, *child.facts["tree"], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
