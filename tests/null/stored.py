"""A home with something in its store, for tests of checks, backups and salvage.

Promises: every covered table that matters has rows; contents are random, so that a damaged one is no other's; seeds are fixed.
Does not cover: models; a blob here is any file.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from homefire.paths import Digest, Paths, make_private_folder
from homefire.store import Audit, Conversations, Store
from homefire.store.conversations import StoredMessage


def home_with(folder: Path, talks: int = 12, asked: int = 8, blobs: int = 3) -> Paths:
    """A home with conversations of `asked` questions and answers each, an audit log, and blobs; nobody has it open."""
    paths = Paths(folder)
    paths.prepare()
    dice = random.Random(talks * 1000 + asked)

    async def fill() -> None:
        store = Store(paths.database)
        store.open()
        try:
            await _fill(store, dice, talks, asked)
        finally:
            store.close()

    asyncio.run(fill())
    for _ in range(blobs):
        add_blob(paths, dice.randbytes(dice.randrange(1, 200_000)))
    return paths


async def _fill(store: Store, dice: random.Random, talks: int, asked: int) -> None:
    conversations, audit = Conversations(store), Audit(store)
    for number in range(talks):
        made = await conversations.create(f"talk {number}")
        parent = None
        for _ in range(asked):
            question, answer, _ = await conversations.ask(made.id, words(dice, 40), parent, "pilot", None)
            done = StoredMessage(
                answer.id, question.id, "assistant", words(dice, 120), "pilot", "complete", None, answer.created_at,
                {"completion_tokens": dice.randrange(9999)}, None,
            )  # fmt: skip
            await conversations.finish(made.id, done)
            parent = answer.id
        await audit.note("conversation made", "key:local", made.id)


def words(dice: random.Random, count: int) -> str:
    """Text that is nowhere else."""
    return " ".join(f"{dice.getrandbits(40):x}" for _ in range(count))


def add_blob(paths: Paths, content: bytes) -> Digest:
    """Puts a blob in its place."""
    digest = Digest(hashlib.sha256(content).hexdigest())
    make_private_folder(paths.blob(digest).parent)
    paths.blob(digest).write_bytes(content)
    return digest


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every ordinary table but the sums, by table, as a plain reader sees it."""
    c = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT wr ORDER BY name"
        names = [str(row[0]) for row in c.execute(query) if not str(row[0]).startswith("sqlite_")]
        return {name: sorted(c.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in names}  # nosec B608
    finally:
        c.close(True)


def on(path: Path, work: Callable[[apsw.Connection], object]) -> None:
    """Something done to a database by a plain connection, past the store."""
    c = apsw.Connection(str(path))
    try:
        work(c)
    finally:
        c.close(True)
