"""Chroma and LanceDB for `bench retrieval --peers`: a program of its own, in an environment of its own.

`python retrieval_peers.py FOLDER ROWS WIDTH` maps FOLDER/rows.f32 and FOLDER/questions.f32 and answers orders, a line of JSON
each: {"engine", "do": "build"} and {"engine", "do": "search", "filtered": bool, "count": int}. An answer is a line of JSON:
`{"cpu_s", "wall_s"}`, or `{"ms": [...], "ids": [[...], ...]}` with ten row numbers for each question.

Promises: the settings are the ones their documents recommend for this size (see each class); every tenth row is allowed where a
search is filtered; times are of the search alone, without this program's JSON.
Does not cover: what is compared (`retrieval.py`).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 5000
TENTH = 10


class Chroma:
    """HNSW by cosine, M 16, ef 100 for building and searching (its defaults), a collection on the disk."""

    def __init__(self, folder: Path) -> None:
        import chromadb  # type: ignore[import-not-found, unused-ignore]

        settings = chromadb.Settings(anonymized_telemetry=False)
        self._client = chromadb.PersistentClient(str(folder / "chroma"), settings)
        self._made: Any = None

    def build(self, rows: Any) -> None:
        self._made = self._client.create_collection("rows", configuration={"hnsw": {"space": "cosine"}})
        for first in range(0, len(rows), BATCH):
            some = range(first, min(first + BATCH, len(rows)))
            marks = [{"part": number % TENTH} for number in some]
            self._made.add(
                ids=[str(number) for number in some], embeddings=rows[some.start : some.stop], metadatas=marks
            )

    def search(self, question: Any, filtered: bool) -> list[int]:
        allowed = {"part": 0} if filtered else None
        found = self._made.query(query_embeddings=question[None], n_results=10, where=allowed, include=[])
        return [int(number) for number in found["ids"][0]]


class LanceDB:
    """A flat table: every row is compared, exactly."""

    def __init__(self, folder: Path) -> None:
        import lancedb  # type: ignore[import-not-found, unused-ignore]

        self._base = lancedb.connect(str(folder / type(self).__name__))
        self._table: Any = None

    def build(self, rows: Any) -> None:
        import pyarrow as pa  # type: ignore[import-not-found, unused-ignore]

        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.asarray(rows).reshape(-1)), rows.shape[1])
        numbers = np.arange(len(rows))
        data = pa.table({"id": numbers, "part": numbers % TENTH, "vector": vectors})
        self._table = self._base.create_table("rows", data)

    def search(self, question: Any, filtered: bool) -> list[int]:
        asked = self._table.search(question).metric("cosine").limit(10).select(["id"])
        if filtered:
            asked = asked.where("part = 0", prefilter=True)
        return [int(row["id"]) for row in asked.to_list()]


class LanceHnsw(LanceDB):
    """IVF_HNSW_SQ, one partition."""

    def build(self, rows: Any) -> None:
        from lancedb.index import HnswSq  # type: ignore[import-not-found, unused-ignore]

        super().build(rows)
        self._table.create_index("vector", config=HnswSq(distance_type="cosine", num_partitions=1))


ENGINES = {"chroma": Chroma, "lancedb": LanceDB, "lancedb_hnsw": LanceHnsw}


def main(folder: Path, count: int, width: int) -> None:
    """Answers orders until its input ends."""
    rows: Any = np.memmap(folder / "rows.f32", np.float32, "r", shape=(count, width))
    questions = np.fromfile(folder / "questions.f32", np.float32).reshape(-1, width)
    made: dict[str, Any] = {}
    for line in sys.stdin:
        order = json.loads(line)
        name = order["engine"]
        answer: dict[str, Any]
        if order["do"] == "build":
            began, cpu = time.perf_counter(), time.process_time()
            made[name] = ENGINES[name](folder)
            made[name].build(rows)
            answer = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - began}
        else:
            times, found = [], []
            for question in questions[: order["count"]]:
                began = time.perf_counter()
                found.append(made[name].search(question, order["filtered"]))
                times.append(1000 * (time.perf_counter() - began))
            answer = {"ms": times, "ids": found}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    os.environ["LANCE_LOG"] = "error"
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
