"""Writes into a store and its blobs without end, and says what was acknowledged.

Run as `python -m tests.chaos.power_writer HOME LEVEL SYNC`. Lines `c ID` and `b DIGEST` go to standard output after `write` or
`copy_in` has returned. LEVEL is SQLite's `synchronous`; SYNC is `yes`, or `no`: then nothing is synced (the control).
Promises: the store and the blobs are the real ones.
Does not cover: the cut itself (`test_power.py`).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import apsw

from homefire.paths import Paths
from homefire.store import Blobs, Conversations, Store, database


def main(home: Path, level: str, sync: str) -> None:
    """Until it is killed."""
    paths = Paths(home)
    paths.prepare()
    real = database.connect

    def connect(path: Path) -> apsw.Connection:
        c = real(path)
        c.execute(f"PRAGMA synchronous={level}").fetchall()
        return c

    database.connect = connect
    if sync == "no":
        os.fsync = lambda descriptor: None  # type: ignore[assignment]
    asyncio.run(_write(paths))


async def _write(paths: Paths) -> None:
    store, blobs, dice = Store(paths.database), Blobs(paths), random.Random(os.getpid())
    store.open()
    conversations = Conversations(store)
    source = paths.run / "source"
    while True:
        for _ in range(3):
            made = await conversations.create("x" * dice.randrange(2000))
            print("c", made.id, flush=True)
        for _ in range(3):
            source.write_bytes(dice.randbytes(dice.randrange(1, 20_000)))
            digest, _ = blobs.copy_in(source, lambda done, total: None)
            print("b", digest, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
