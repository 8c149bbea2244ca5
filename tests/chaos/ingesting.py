"""A program that ingests a folder and says how far it is: what `test_ingest_kill.py` kills.

Run as `python -m tests.chaos.ingesting HOME FOLDER`. Prints `child PID` when the ingest child runs and `done` at the end.
Does not cover: the daemon around it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil

from tests.process.test_ingest import meant, room


async def main(home: Path, folder: Path) -> None:
    async with room(home) as knowledge:
        job = await knowledge.ingest(folder, "all")
        said = False
        while not job.ended:
            await asyncio.sleep(0.005)  # a child is killed from outside: nothing tells of it
            for child in psutil.Process().children():
                if not said and "ingest_child" in " ".join(child.cmdline()):
                    print("child", child.pid, flush=True)
                    said = True
        if job.state == "done":
            await meant(knowledge, "all")
        print(job.state, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
