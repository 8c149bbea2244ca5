"""What a load really took goes into the next estimate: the daemon's rooms in this process, the pilot in a real child.

Promises: one record a load, of the child's memory against the estimate; loads too small to tell anything leave none.
Does not cover: what is made of records (`tests/null/test_speed.py`, `tests/null/test_advice.py`), GPUs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homefire.daemon import Daemon
from homefire.daemon import rooms as module
from homefire.paths import Paths
from homefire.server.listen import listen
from homefire.settings import Settings


async def load_the_pilot(home: Path) -> list[tuple[object, ...]]:
    """The records after one load."""
    (paths := Paths(home)).prepare()
    settings = Settings(port=0)
    with listen(settings, paths) as listening:
        one = Daemon(paths, settings, listening)
        try:
            await one.open()
            one._serving = True
            async with await one.keeper.ensure("pilot") as lease:
                assert lease.engine.pid
            await asyncio.gather(*one._measuring)
            query = "SELECT kind, model, estimate, measured FROM measurements"
            return await one.store.read(lambda c: list(c.execute(query)))
        finally:
            await one.close()


def test_a_load_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(load_the_pilot(tmp_path / "small")) == []
    monkeypatch.setattr(module, "SMALLEST_MEASURED", 0)
    ((kind, model, estimate, measured),) = asyncio.run(load_the_pilot(tmp_path / "large"))
    assert (kind, model) == ("load", "pilot")
    assert isinstance(estimate, float) and isinstance(measured, float)
    assert 1e6 < estimate < measured < 2e9
