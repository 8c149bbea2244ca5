"""Documents of a collection that are nearly the same: by MinHash, with SimHash's distance beside it.

Promises: texts meet in bands first, so the work grows with the collection and not with its square; of a very common text each
is compared with the first alone.
Does not cover: the same text in several documents (they share one text already), likeness of parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from homefire.store import TextRow

ALIKE = 0.6
# Texts that share a band with more than so many others are boilerplate: each is compared with the first of them alone.
CROWD = 50
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by number; `similarity` is the share of their pieces in common, `bits` the distance of their SimHashes."""

    one: int
    other: int
    similarity: float
    bits: int


def near_duplicates(texts: Iterable[TextRow], least: float = ALIKE) -> list[Pair]:
    """All pairs at least `least` alike, the most alike first. Blocks; call it in a thread."""
    from homefire.index.signatures import bands, distance, similarity

    rows = {row.id: row for row in texts if row.minhash}
    meeting: dict[int, list[int]] = defaultdict(list)
    for row in rows.values():
        for key in bands(row.minhash):
            meeting[key].append(row.id)
    candidates: set[tuple[int, int]] = set()
    for members in meeting.values():
        firsts = members[:1] if len(members) > CROWD else members
        candidates.update((one, other) for place, one in enumerate(firsts) for other in members[place + 1 :])
    found = []
    for one, other in candidates:
        alike = similarity(rows[one].minhash, rows[other].minhash)
        if alike >= least:
            bits = distance(rows[one].simhash & _MASK, rows[other].simhash & _MASK)
            found.append(Pair(one, other, round(alike, 3), bits))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.one, pair.other))
