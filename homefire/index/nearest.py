"""The nearest rows by Hamming distance: faiss's scan, or numpy's population count where faiss is not installed.

Promises: one thread a call; both ways give the same distances (rows at the same distance may be others).
Does not cover: scores; the distance of sign bits only says which rows are worth scoring (`vectors.py`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from homefire.index.packages import needed

np = needed("numpy")

BLOCK_ROWS = 65_536


@cache
def _faiss() -> Any:
    """The module, or None."""
    try:
        import faiss  # 41 MB of libraries: loaded by the first search
    except ImportError:
        return None
    return faiss


def rows(query: Any, bits: Any, count: int) -> Any:
    """Numbers of the `count` rows of `bits` (u8, n x bytes) nearest to `query` (u8), nearest first; all if there are fewer."""
    count = min(count, len(bits))
    if count == len(bits):
        return np.argsort(distances(query, bits), kind="stable")
    faiss = _faiss()
    if faiss is None:
        found = distances(query, bits)
        chosen = np.argpartition(found, count - 1)[:count]
        return chosen[np.argsort(found[chosen], kind="stable")]
    # OpenMP keeps the number for each thread of the caller by itself. A second thread doubles the processor time of one
    # question and does not shorten it.
    faiss.omp_set_num_threads(1)
    return faiss.knn_hamming(query[None], bits, count)[1][0]


def distances(query: Any, bits: Any) -> Any:
    """Bits that differ, for each row."""
    whole = np.uint64 if bits.shape[1] % 8 == 0 else np.uint8
    found = np.empty(len(bits), np.uint16)
    for first in range(0, len(bits), BLOCK_ROWS):
        block = np.ascontiguousarray(bits[first : first + BLOCK_ROWS]).view(whole) ^ query.view(whole)
        found[first : first + BLOCK_ROWS] = np.bitwise_count(block).sum(axis=1, dtype=np.uint16)
    return found
