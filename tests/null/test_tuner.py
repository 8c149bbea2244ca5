"""The tuner over HTTP with null engines, what is kept of it, and who may draft for whom.

Promises: one engine of the tuner's at a time, admitted by the keeper, and none left, however it ends; what is kept counts for
this content, build and machine only; a person's word goes before what was measured.
Does not cover: the search itself (`test_tuning.py`), real engines (`tests/process/test_tuning.py`).
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from homefire.engines.engine import Drafting
from homefire.errors import EngineFailed
from homefire.models import quality
from homefire.models.gguf import read_header
from homefire.models.library import PILOT_FILE
from homefire.residency import tuner
from homefire.residency.tuned import Tuned, fingerprint
from homefire.residency.tuner import Tuner
from homefire.residency.tuning import Timing, Tuning
from tests.null.gguf_file import small
from tests.null.rig import AT, MACHINE, House, at_home

MODELS = f"{AT}/models"


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the comparison of two KV caches says; no child is started for it."""
    said: dict[str, Any] = {"same_token_pct": 99.5}

    async def compare(*_: Any, walls: bool) -> dict[str, Any]:
        return said

    monkeypatch.setattr(quality, "compare", compare)
    return said


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real requests, made-up times: a null engine's are noise."""
    plain = tuner.measure

    async def measure(*given: Any) -> Timing:
        assert (await plain(*given)).total > 0
        return Timing(1.0, 1.0)

    monkeypatch.setattr(tuner, "measure", measure)


def tuned(house: House) -> Tuned:
    assert house.rooms.tuning is not None
    return house.rooms.tuning.tuned


async def bring(house: House, folder: Path, name: str, raw: bytes) -> None:
    (folder / f"{name}.gguf").write_bytes(raw)
    done = await house.call("POST", f"{MODELS}/import", {"path": str(folder / f"{name}.gguf"), "name": name})
    assert done.last("done")


def larger(raw: bytes) -> bytes:
    """The same model in a longer file."""
    return raw + bytes(4096)


def test_it_measures_keeps_and_shows(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        reply = await house.call("POST", f"{MODELS}/pilot/tune", {})
        found = reply.last("done")
        progress = [data for name, data in reply.events if name == "progress"]
        # threads 1, 2, 4 beside 3; batches; flash attention; the cache; five n-grams: each three times, the leading way too
        assert progress[-1]["done"] == progress[-1]["total"] == 3 * (4 + 4 + 2 + 2 + 6)
        assert {each["knob"] for each in progress[:-1]} == {"threads", "batch", "flash_attention", "kv_type", "draft"}
        assert [engine.name for engine in house.engines] == ["pilot~tune"] * len(house.engines)
        assert len(house.engines) == 54 and all(engine.ended for engine in house.engines)
        assert found["way"] == asdict(Tuning())
        assert found["measured"]["quick"] is False and len(found["measured"]["tried"]) == 18
        assert (await house.call("GET", f"{MODELS}/pilot/tuning")).json() == found
        assert (await house.call("GET", f"{AT}/residency")).json()["models"] == []
        assert (await house.call("DELETE", f"{MODELS}/pilot/tuning")).status == 204
        again = (await house.call("GET", f"{MODELS}/pilot/tuning")).json()
        assert again["measured"] is None and again["drafts"] == {"mode": "none", "draft": None}

    at_home(tmp_path / "home", work)


@pytest.mark.parametrize(("same", "tried"), [(99.0, True), (98.9, False)])
def test_a_cache_that_changes_the_answers_is_not_tried(
    tmp_path: Path, caches: dict[str, Any], same: float, tried: bool
) -> None:
    caches["same_token_pct"] = same

    async def work(house: House) -> None:
        done = (await house.call("POST", f"{MODELS}/pilot/tune", {})).last("done")
        knobs = {row["knob"] for row in done["measured"]["tried"]}
        assert ("kv_type" in knobs) is tried

    at_home(tmp_path / "home", work)


def test_quick_and_drafts_only(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await bring(house, tmp_path, "large", larger(PILOT_FILE.read_bytes()))
        quick = (await house.call("POST", f"{MODELS}/large/tune", {"quick": True})).last("done")["measured"]
        assert [row["way"] for row in quick["tried"] if row["knob"] == "draft"] == [
            "none", "ngram-simple", "ngram-mod", "draft pilot",
        ]  # fmt: skip
        assert {row["knob"] for row in quick["tried"]} == {"threads", "draft"}
        word = (await house.call("PUT", f"{MODELS}/large/draft", {"mode": "ngram-cache"})).json()
        assert word["draft_plan"] == {"mode": "ngram-cache", "draft": None} and word["drafts"]["mode"] == "ngram-cache"
        only = (await house.call("POST", f"{MODELS}/large/tune", {"only": "draft"})).last("done")
        assert only["draft_plan"] is None, "the word is taken back"
        knobs = [row["knob"] for row in only["measured"]["tried"]]
        assert knobs == ["threads"] * 4 + ["draft"] * 7, "what was known of the rest stays"

    at_home(tmp_path / "home", work)


def test_busy_and_wrong_kinds(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        chat = {"model": "pilot", "messages": [{"role": "user", "content": "a b c d e f g h"}], "stream": True}
        call = house.start("POST", "/v1/chat/completions", chat)
        await call.until(b"data:")
        reply = await house.call("POST", f"{MODELS}/pilot/tune", {})
        assert reply.last("error")["error"]["code"] == "model_busy"
        call.leave()
        await call.task_done()
        await bring(house, tmp_path, "other", larger(PILOT_FILE.read_bytes()))
        first = house.start("POST", f"{MODELS}/pilot/tune", {})
        await first.until(b"progress")
        second = await house.call("POST", f"{MODELS}/other/tune", {})
        assert "'pilot' is being tuned" in second.last("error")["error"]["message"]
        assert (await house.call("DELETE", f"{MODELS}/other")).status == 204
        first.leave()
        await first.task_done()
        assert (await house.call("GET", f"{AT}/residency")).json()["models"] == []
        assert (await house.call("GET", f"{MODELS}/pilot/tuning")).json()["measured"] is None, "nothing of it is kept"
        assert all(engine.ended for engine in house.engines if engine.name.endswith("~tune"))
        for body in ({"only": "threads"}, {"quick": 1}, {"fast": True}):
            assert (await house.call("POST", f"{MODELS}/pilot/tune", body)).code == "invalid_request"
        assert (await house.call("POST", f"{MODELS}/none/tune", {})).code == "unknown_model"
        assert (await house.call("GET", f"{MODELS}/none/tuning")).code == "unknown_model"

    at_home(tmp_path / "home", work, delay=0.01)


def test_a_trial_beside_other_answers_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        await bring(house, tmp_path, "other", larger(PILOT_FILE.read_bytes()))
        chat = {"model": "other", "messages": [{"role": "user", "content": "hi"}]}
        begun: list[str] = []
        plain = Tuner._try

        async def beside(self: Tuner, model: Any, way: Tuning, quick: bool) -> Any:
            begun.append(way.described("threads"))
            if len(begun) in (2, 3):
                assert (await house.call("POST", "/v1/chat/completions", chat)).status == 200
            return await plain(self, model, way, quick)

        monkeypatch.setattr(Tuner, "_try", beside)
        assert (await house.call("POST", f"{MODELS}/pilot/tune", {"quick": True})).last("done")
        assert begun[:5] == ["usual", "1", "1", "1", "2"], "the second trial, twice disturbed, was done three times"
        begun.clear()

        async def always(self: Tuner, model: Any, way: Tuning, quick: bool) -> Any:
            assert (await house.call("POST", "/v1/chat/completions", chat)).status == 200
            return await plain(self, model, way, quick)

        monkeypatch.setattr(Tuner, "_try", always)
        reply = await house.call("POST", f"{MODELS}/pilot/tune", {"quick": True})
        assert reply.last("error")["error"]["code"] == "model_busy"

    at_home(tmp_path / "home", work)


def test_a_way_that_does_not_load_is_shown_and_the_usual_one_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: House) -> None:
        plain, broken = Tuner._try, "2"

        async def fails(self: Tuner, model: Any, way: Tuning, quick: bool) -> Any:
            if way.described("threads") == broken:
                raise EngineFailed("It did not load.")
            return await plain(self, model, way, quick)

        monkeypatch.setattr(Tuner, "_try", fails)
        done = (await house.call("POST", f"{MODELS}/pilot/tune", {"quick": True})).last("done")
        (row,) = [each for each in done["measured"]["tried"] if each["failed"]]
        assert (row["way"], row["failed"], row["trials"], row["won"]) == ("2", "It did not load.", 0, False)
        assert {engine.name for engine in house.engines} == {"pilot~tune", "pilot~tune1"}, "it does not rest for that"
        assert (await house.call("DELETE", f"{MODELS}/pilot/tuning")).status == 204
        broken = "usual"
        reply = await house.call("POST", f"{MODELS}/pilot/tune", {"quick": True})
        assert reply.last("error")["error"]["code"] == "engine_failed"
        assert (await house.call("GET", f"{MODELS}/pilot/tuning")).json()["measured"] is None

    at_home(tmp_path / "home", work)


def test_who_may_draft(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        raw = PILOT_FILE.read_bytes()
        await bring(house, tmp_path, "large", larger(raw))
        await bring(house, tmp_path, "strange", small())
        other = raw.replace(b"the", b"eht", 1)
        assert len(other) == len(raw) and other != raw
        put = f"{MODELS}/large/draft"
        for body, code in (
            ({"draft": "none"}, "unknown_model"),
            ({"draft": "large"}, "invalid_request"),
            ({"draft": "strange"}, "invalid_request"),
            ({"mode": "guess"}, "invalid_request"),
            ({"mode": "draft"}, "invalid_request"),
            ({"mode": "ngram-mod", "draft": "pilot"}, "invalid_request"),
        ):
            assert (await house.call("PUT", put, body)).code == code, body
        back = (await house.call("PUT", f"{MODELS}/pilot/draft", {"draft": "large"})).json()["error"]["message"]
        assert "no smaller" in back
        found = (await house.call("PUT", put, {"draft": "pilot"})).json()
        assert found["drafts"] == {"mode": "draft", "draft": "pilot"}
        way = tuned(house).way("large")
        assert tuned(house).drafting(way) == Drafting("draft", "pilot", PILOT_FILE)
        assert tuned(house).drafting(replace(way, draft_sha256="x")) == Drafting(), "another has its name"
        assert tuned(house).drafting(replace(way, draft="gone")) == Drafting()
        assert (await house.call("PUT", put, {"mode": "none"})).json()["draft_plan"] == {"mode": "none", "draft": None}
        assert (await house.call("PUT", put, {})).json()["draft_plan"] is None

    at_home(tmp_path / "home", work)


def test_tokens_are_compared_one_by_one(tmp_path: Path) -> None:
    raw = PILOT_FILE.read_bytes()
    at = raw.index(b"tokenizer.ggml.tokens")
    changed = raw[:at] + raw[at:].replace(b"the", b"eht", 1)
    (tmp_path / "other.gguf").write_bytes(changed)
    one, other = read_header(PILOT_FILE), read_header(tmp_path / "other.gguf")
    assert one.vocabulary != other.vocabulary and len(one.vocabulary) == 64
    assert one.keys["tokenizer.ggml.tokens"] == other.keys["tokenizer.ggml.tokens"]


def test_what_is_kept_counts_here_only(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        kept = tuned(house)
        await house.call("POST", f"{MODELS}/pilot/tune", {"quick": True})
        found = kept.measured("pilot")
        assert found is not None
        await kept.keep("pilot", replace(found, way=Tuning(threads=2, kv_type="Q8_0", draft_mode="ngram-mod")))
        await kept.set_plan("pilot", "ngram-simple")
        store, library = house.store, house.rooms.models.library

        async def read(engine: str, cores: int) -> Tuned:
            again = Tuned(store, library, lambda: engine, lambda: replace(MACHINE, cores=cores))
            await again.open()
            return again

        same, newer, moved = await asyncio.gather(read("a build", 4), read("a newer build", 4), read("a build", 8))
        assert same.way("pilot") == Tuning(threads=2, kv_type="Q8_0", draft_mode="ngram-simple")
        assert (await house.call("GET", f"{MODELS}/pilot/fit")).json()["kv"] == "Q8_0"
        assert (await house.call("GET", f"{MODELS}/pilot/fit?kv=F16")).json()["kv"] == "F16"
        for each in (newer, moved):
            assert each.measured("pilot") is None
            assert each.way("pilot") == Tuning(draft_mode="ngram-simple"), "a person's word holds anywhere"
        await store.write(lambda c: c.execute("UPDATE tunings SET body = '{}'"))
        assert (await read("a build", 4)).measured("pilot") is None, "a row of another version"
        assert fingerprint(MACHINE) != fingerprint(replace(MACHINE, cores=8))

    at_home(tmp_path / "home", work)
