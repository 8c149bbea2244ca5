"""What a model takes and what there is: the room of made-up machines, and the plan of the pilot on them.

Promises: headroom, cap, GPU and what our own models hold each change the room as docs/residency.md says.
Does not cover: the estimate itself (`test_fit.py`), real processes (`tests/process/test_residency.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.engines.engine import AdapterFile, Drafting, EngineSpec
from homefire.engines.llamacpp import AHEAD
from homefire.errors import EngineFailed, HomefireError, InvalidRequest, UnknownModel
from homefire.hardware import Gpu, Machine
from homefire.models.library import PILOT_FILE
from homefire.residency import sizing
from homefire.residency.plan import GIB, HOST, MIB, Held
from homefire.residency.sizing import CHILD_BYTES, GPU, MemoryLimits, Sizing
from tests.contract import tiny_adapter
from tests.null.rig import House, at_home

MACHINE = Machine("Linux 6", "a processor", 4, 32 * GIB, 20 * GIB)
CARD = Gpu("nvidia", "a card", 24 * GIB, 20 * GIB)


def spec(name: str = "pilot", smaller: bool = False, **given: Any) -> EngineSpec:
    return replace(
        EngineSpec(name, PILOT_FILE, 1024 if smaller else 2048, 8, 1, -1, 60.0, Path("none.log"), None), **given
    )


def sized(
    tmp_path: Path,
    work: Callable[[Sizing], Any],
    *,
    machine: Machine = MACHINE,
    limits: MemoryLimits = MemoryLimits(GIB),  # noqa: B008
    how: Callable[[str, bool], EngineSpec] = spec,
) -> Any:
    """What `work` finds of a sizing on this machine, with the pilot in the library."""

    async def inside(house: House) -> Any:
        models = house.rooms.models
        return await work(Sizing(models.advice, models.library, how, limits, lambda: machine))

    return at_home(tmp_path, inside)


def room(tmp_path: Path, *held: Held, **given: Any) -> Any:
    return sized(tmp_path, lambda found: found.room(held), **given)


def test_the_room_is_what_is_free_and_ours_less_the_headroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "private_memory", {7: 3 * GIB, 8: 50 * GIB}.__getitem__)
    found = room(tmp_path)
    assert found.bytes == {HOST: 19 * GIB} and found.slack == GIB // 2
    assert found.why == {HOST: "32.0 GiB in all, 12.0 GiB used by other programs, 1.0 GiB stay free"}
    assert (found.total, found.headroom) == ({HOST: 32 * GIB}, {HOST: GIB})
    assert room(tmp_path, Held(7, {HOST: 9 * GIB}, True), Held(None, {}, True)).bytes == {HOST: 22 * GIB}
    assert room(tmp_path, Held(8, {}, True)).bytes == {HOST: 31 * GIB}, "never more than there is"
    assert room(tmp_path, limits=MemoryLimits(100 * GIB)).bytes == {HOST: 16 * GIB}, "an eighth at most stays free"
    assert room(tmp_path, limits=MemoryLimits(0)).bytes == {HOST: 20 * GIB}
    assert room(tmp_path, machine=replace(MACHINE, memory_available_bytes=GIB // 2)).bytes == {HOST: 0}


def test_a_cap(tmp_path: Path) -> None:
    found = room(tmp_path, limits=MemoryLimits(GIB, 5 * GIB), machine=replace(MACHINE, gpus=(CARD,)))
    assert found.bytes == {HOST: 5 * GIB, GPU: 5 * GIB}
    assert set(found.why.values()) == {"the setting memory_cap_mib"}
    assert room(tmp_path, limits=MemoryLimits(GIB, 500 * GIB)).bytes == {HOST: 19 * GIB}


def test_the_gpu_has_a_room_of_its_own(tmp_path: Path) -> None:
    with_card = replace(MACHINE, gpus=(CARD, replace(CARD, free_bytes=GIB)))
    assert room(tmp_path, machine=with_card).bytes == {HOST: 19 * GIB, GPU: 19 * GIB}
    assert room(tmp_path, machine=with_card).headroom == {HOST: GIB, GPU: GIB}
    held = Held(None, {HOST: GIB, GPU: 2 * GIB}, True)
    assert room(tmp_path, held, machine=with_card).bytes[GPU] == 21 * GIB, "what we hold ourselves is not gone"
    shared = replace(MACHINE, gpus=(replace(CARD, shared=True),))
    assert room(tmp_path, machine=shared).bytes == {HOST: 19 * GIB}, "one memory, one room"


def test_a_load_under_way_is_not_counted_twice(tmp_path: Path) -> None:
    """The GPU's free memory falls while a model loads; what is promised to it must not be added to what is still free."""

    async def work(found: Sizing) -> list[int]:
        before = (await found.room([])).bytes[GPU]
        loading = Held(None, {GPU: 9 * GIB}, False)
        during = (await found.room([loading])).bytes[GPU]
        after = (await found.room([replace(loading, settled=True)])).bytes[GPU]
        return [before, during, after]

    assert sized(tmp_path, work, machine=replace(MACHINE, gpus=(CARD,))) == [19 * GIB, 19 * GIB, 23 * GIB]


def test_the_plan_of_a_model(tmp_path: Path) -> None:
    async def work(found: Sizing) -> None:
        plan, smaller = await found.plan("pilot", False), await found.plan("pilot", True)
        assert (
            plan.slots == 8 + AHEAD
            and plan.files == (PILOT_FILE,)
            and plan.what == "a context of 2,048 tokens and 8 slots"
        )
        assert PILOT_FILE.stat().st_size + CHILD_BYTES < smaller.bytes[HOST] < plan.bytes[HOST] < 500 * MIB
        assert smaller.what == "a context of 1,024 tokens and 8 slots"
        with pytest.raises(UnknownModel):
            await found.plan("none", False)

    sized(tmp_path, work)


def test_the_plan_is_the_same_whatever_is_in_memory(tmp_path: Path) -> None:
    """Else a model that waits for another's memory would be planned small, and stay so."""
    full = replace(MACHINE, memory_available_bytes=0)
    plans = [
        sized(tmp_path / name, lambda found: found.plan("pilot", False), machine=m)
        for name, m in (("a", MACHINE), ("b", full))
    ]
    assert plans[0].bytes == plans[1].bytes


def test_where_no_estimate_can_be_made_the_file_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(found: Sizing) -> Any:
        def refuse(*given: Any, **named: Any) -> Any:
            raise InvalidRequest("No dimensions are known.")

        monkeypatch.setattr(found._advice, "fit", refuse)
        return await found.plan("pilot", False)

    size = PILOT_FILE.stat().st_size
    assert sized(tmp_path, work).bytes == {HOST: int(size * 1.1) + 256 * MIB + CHILD_BYTES}


@pytest.mark.parametrize(
    ("said", "logged", "ran_out"),
    [
        ("It was killed by SIGKILL before it was ready.", "", True),
        ("It ended with status 1. It last said: cudaMalloc failed: out of memory", "", True),
        ("It ended with status 1.", "unable to allocate CUDA0 buffer", True),
        ("It ended with status 1. It last said: unknown model architecture", "", False),
        ("It was not ready within 300 s.", "loading", False),
    ],
)
def test_what_counts_as_out_of_memory(tmp_path: Path, said: str, logged: str, ran_out: bool) -> None:
    log = tmp_path / "engine.log"
    log.write_text(logged)
    problem: HomefireError = EngineFailed(said)

    async def work(found: Sizing) -> bool:
        return found.ran_out("pilot", problem)

    assert sized(tmp_path / "home", work, how=lambda name, smaller: spec(name, smaller, log=log)) is ran_out


def test_what_was_tuned_drafts_and_adapters_count(tmp_path: Path) -> None:
    """A cache of fewer bits takes less, a larger batch, a draft and adapters more; a side worker as its model."""
    adapter = tiny_adapter.make(tmp_path / "a.gguf")

    async def work(house: House) -> None:
        models = house.rooms.models

        async def taken(name: str = "pilot", **given: Any) -> int:
            how = Sizing(models.advice, models.library, lambda *_: spec(**given), MemoryLimits(GIB), lambda: MACHINE)
            return (await how.plan(name, False)).bytes[HOST]

        plain = await taken()
        cache = 8 * 2 * 8 * 2048 * 256 * 2  # layers, keys and values, slots, tokens, width, bytes
        assert plain - await taken(kv_type="Q8_0") == cache - cache * 34 // 64
        assert await taken(batch=1024) > plain
        assert await taken(flash_attention=False) > plain
        assert await taken(drafting=Drafting("ngram-mod")) == plain
        assert await taken(drafting=Drafting("draft", "pilot", PILOT_FILE)) == 2 * plain - CHILD_BYTES
        files = (AdapterFile("a" * 64, adapter),) * 2
        assert await taken(adapters=files) == plain + 2 * adapter.stat().st_size
        assert await taken("pilot+style") == await taken("pilot~tune") == plain

    at_home(tmp_path / "home", work)
