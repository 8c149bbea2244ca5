"""Entries near a question by meaning: sign bits say which to look at, 8-bit integers score them; kept in memory, read once.

Promises: what was added to the store is seen at the next question (`grow`); rows of entries that are gone are never shown, for
who asks reads the entries themselves. Without numpy the newest some thousand are compared one by one.
Does not cover: making vectors; other floats than those of length one.
"""

from __future__ import annotations

import importlib.util
import threading
from array import array
from typing import Any

import apsw

BITS, PLAIN = 400, 2_000


def packed(vector: bytes) -> bytes:
    """A vector of length one, 32-bit floats, as 8-bit integers times 127."""
    return array("b", [max(-127, min(127, round(value * 127))) for value in array("f", vector)]).tobytes()


class Near:
    """The vectors of one key, of one embedder. Two readers may ask at once: `held` is theirs in turn."""

    def __init__(self, key: str, tag: str) -> None:
        self.held = threading.Lock()
        self._key, self._tag, self._last = key, tag, 0
        self._ids: list[int] = []
        self._vectors: list[bytes] = []
        self._matrix: Any = None
        self._bits: Any = None

    def grow(self, c: apsw.Connection) -> None:
        """Reads what came since."""
        query = (
            "SELECT v.entry, v.vector FROM memory_vectors v JOIN memory_entries e ON e.id = v.entry "
            "WHERE e.key = ? AND v.tag = ? AND v.entry > ? ORDER BY v.entry"
        )
        rows: Any = c.execute(query, (self._key, self._tag, self._last)).fetchall()
        if not rows:
            return
        self._last = rows[-1][0]
        self._ids += [row[0] for row in rows]
        self._vectors += [row[1] for row in rows]
        if importlib.util.find_spec("numpy") is not None:
            self._build([row[1] for row in rows])

    def _build(self, new: list[bytes]) -> None:
        import numpy as np

        rows = np.frombuffer(b"".join(new), np.int8).reshape(len(new), -1)
        bits = np.packbits(rows > 0, axis=1)
        self._matrix = rows if self._matrix is None else np.concatenate([self._matrix, rows])
        self._bits = bits if self._bits is None else np.concatenate([self._bits, bits])
        self._vectors.clear()

    def nearest(self, question: bytes, most: int) -> dict[int, float]:
        """Entries and their cosines."""
        if self._matrix is None:
            asked = array("f", question)
            rows = list(zip(self._ids, self._vectors, strict=True))[-PLAIN:]
            plain = [(sum(a * b for a, b in zip(asked, array("b", each), strict=True)) / 127, n) for n, each in rows]
            return {number: score for score, number in sorted(plain, reverse=True)[:most]}
        import numpy as np

        from homefire.index import nearest

        wanted = np.frombuffer(question, np.float32)
        chosen = nearest.rows(np.packbits(wanted > 0), self._bits, BITS)
        scores = self._matrix[chosen].astype(np.float32) @ wanted / 127
        order = np.argsort(-scores, kind="stable")[:most]
        return {self._ids[int(chosen[place])]: float(scores[place]) for place in order}
