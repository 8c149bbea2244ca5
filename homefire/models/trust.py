"""Trust on first use: the sha256 that an address had when it was first fetched, where nobody else says what it should be.

Promises: a digest that was recorded stays, also when the model is removed, until the person names another one.
Does not cover: comparing (`delivery.py`), digests that a catalogue or a source gives (they count more).
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import apsw

from homefire.store import Store
from homefire.store.database import Row


class Trust:
    """The table `trusted`: address without its query -> sha256."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def known(self, addresses: Iterable[str]) -> dict[str, str]:
        """The digests of those addresses that were fetched before."""
        wanted = list(addresses)

        def query(c: apsw.Connection) -> list[Row]:
            marks = ", ".join("?" * len(wanted))
            return c.execute(f"SELECT address, sha256 FROM trusted WHERE address IN ({marks})", wanted).fetchall()  # nosec B608 # question marks only

        return dict(await self._store.read(query))

    async def remember(self, digests: dict[str, str]) -> None:
        """Records what each address had; what was recorded before is replaced."""
        rows = [(address, sha256, time.time()) for address, sha256 in digests.items() if address]
        await self._store.write(lambda c: c.executemany("INSERT OR REPLACE INTO trusted VALUES (?, ?, ?)", rows))
