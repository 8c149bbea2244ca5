"""`python -m tests.chaos.index_writer FOLDER SEED`: writes words and vectors batch after batch until somebody kills it.

After each commit it says on a line of its own what is committed, as the owner of an index would put it into its database.
Promises: batch N holds texts N*5 to N*5+4; text T has the word of T (`word_of`) and the vector of T (`vector_of`).
Does not cover: what is left afterwards (`test_index_kill.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from homefire.index.vectors import VectorsWriter
from homefire.index.words import WordRow, WordsWriter

WIDTH, BATCH = 64, 5


def word_of(text: int) -> str:
    """A word that no other text has."""
    return "w" + "".join(chr(97 + int(digit)) for digit in str(text))


def vector_of(text: int) -> Any:
    """A direction of its own."""
    made = np.random.default_rng(text).standard_normal(WIDTH).astype(np.float32)
    return made / np.linalg.norm(made)


def main(folder: Path, mark: int, rows: int) -> None:
    """Goes on from what is committed."""
    words = WordsWriter(folder / "words", heap_bytes=15 << 20)
    words.remove_from(mark * BATCH)
    vectors = VectorsWriter(folder / "vectors", WIDTH, rows)
    print("opened", words.mark, flush=True)
    while True:
        texts = range(mark * BATCH, (mark + 1) * BATCH)
        words.add([WordRow(text << 20, text, f"some {word_of(text)} in it".encode() * 20) for text in texts])
        made = np.stack([vector_of(text) for text in texts])
        vectors.append([text << 20 for text in texts], [(0, 9)] * BATCH, list(texts), made)
        mark += 1
        rows = vectors.sync()
        words.commit(mark)
        print("committed", mark, rows, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
