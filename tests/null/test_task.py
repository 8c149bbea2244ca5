"""What a task's parent hears of a child that says what it likes: it reads files that nobody has read.

Promises: nonsense is passed over, and what comes after it is heard.
Does not cover: real children (`tests/process/test_quantize.py`).
"""

from __future__ import annotations

import asyncio

import pytest

from homefire.models.task import LINE_LIMIT, _listen

NONSENSE = {
    "half a line": b'{"result": {',
    "no text": b"\xff\xfe",
    "a number": b"7",
    "a list": b'["progress"]',
    "progress that is none": b'{"progress": 5}',
    "progress of three": b'{"progress": [1, 2, 3]}',
    "progress in words": b'{"progress": ["1", "2"]}',
    "another word": b'{"hello": 1}',
    "deep": b"[" * 100_000,
    "without end": b"x" * (LINE_LIMIT + 1),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_passed_over(name: str) -> None:
    told: list[tuple[int, int]] = []

    async def heard() -> dict[str, object]:
        stream = asyncio.StreamReader(limit=LINE_LIMIT)
        stream.feed_data(
            b'{"progress": [1, 2]}\n' + NONSENSE[name] + b'\n{"progress": [2, 2]}\n{"result": {"size": 1}}\n'
        )
        stream.feed_eof()
        return await _listen(stream, lambda *step: told.append(step))

    assert asyncio.run(heard()) == {"result": {"size": 1}}
    assert told == [(1, 2), (2, 2)]
