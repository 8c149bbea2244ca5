"""Advice: made-up machines, the real catalogue, a real store, and models whose headers are built here.

Promises: each answer is the one that `fit`, `speed` and `proposal` give for the machine that was made up; what was measured is
kept and changes the next answer.
Does not cover: whether the estimates are right (`tests/process/test_fit_engine.py`).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from homefire.errors import InvalidRequest, UnknownModel
from homefire.hardware import Gpu, Machine
from homefire.models import advice as advice_module
from homefire.models.advice import Advice, KeptInStore, Measurement, same_quantization
from homefire.models.catalogue import load
from homefire.models.fit import HOST_MARGIN, Load, Room, fit
from homefire.models.installed import ModelFile
from homefire.models.proposal import bandwidths, device_of, room_of
from homefire.models.speed import Bandwidth
from homefire.paths import ModelName
from tests.null.library_home import Home, with_home

GIB = 1 << 30
LAPTOP = Machine("Linux", "some processor", 4, 8 * GIB, 6 * GIB)
GPU = replace(LAPTOP, memory_available_bytes=28 * GIB, gpus=(Gpu("nvidia", "RTX 3090", 24 * GIB, 23 * GIB, 936e9),))
APPLE = replace(LAPTOP, gpus=(Gpu("apple", "M1 Max", 48 * GIB, 48 * GIB, 400e9, shared=True),))


machine = [LAPTOP]


@pytest.fixture(autouse=True)
def on_a_laptop() -> None:
    """Each test begins there and may change the machine."""
    machine[0] = LAPTOP


async def open_advice(home: Home) -> Advice:
    """Advice on this home's library, for the machine of the moment."""
    found = Advice(home.library, load(), KeptInStore(home.store), lambda: machine[0])
    await found.open()
    return found


def test_each_row_says_whether_it_fits_and_which_offer_fits_best(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice = await open_advice(home)
        rows = {row.name: row for row in advice.search()}
        assert list(rows) == [entry.name for entry in load().entries]
        json.dumps([asdict(row) for row in rows.values()])
        assert rows["pilot"].fits == "cpu" and rows["pilot"].installed and rows["pilot"].offers == ()
        assert rows["qwen3-4b"].fits == "cpu" and not rows["qwen3-4b"].installed
        assert rows["llama-3.1-70b"].fits == "no" and "missing" in rows["llama-3.1-70b"].why
        entry, row = load().get("qwen3-4b"), rows["qwen3-4b"]
        expected = fit([entry.header(row.quantization)], Load(8192), Room(6 * GIB))
        assert (row.bytes, row.why) == (expected.total, expected.why)
        assert {offer.quantization for offer in row.offers} == {offer.quantization for offer in entry.offers}
        for row in rows.values():
            ranks = [advice_module.RANKS.index(offer.fits) for offer in row.offers if not offer.refused]
            assert not ranks or min(ranks) == advice_module.RANKS.index(row.fits)
        voices = advice.search("", "speech")
        assert voices and all("size" in row.why and row.bytes > 0 for row in voices)
        machine[0] = GPU
        rows = {row.name: row for row in advice.search()}
        assert (rows["qwen3-4b"].fits, rows["llama-3.1-70b"].fits) == ("gpu", "partly")
        with pytest.raises(InvalidRequest):
            advice.search("", "telepathy")

    with_home(tmp_path, story)


def test_what_cannot_run_is_shown_with_its_reason(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        refused = [offer for row in (await open_advice(home)).search() for offer in row.offers if offer.refused]
        assert refused, "the catalogue has an offer that the engine cannot read (I2_S)"
        assert all(offer.fits == "no" and offer.why == offer.refused for offer in refused)

    with_home(tmp_path, story)


def test_an_installed_row_is_found_by_its_name_or_its_source(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice, source = await open_advice(home), str(load().get("qwen3-0.6b").offers[0].source)
        await home.add("mine", source)
        await home.add("other", "hf:somebody/else")
        assert [row.installed_as for row in advice.search("qwen3-0.6b")] == [("mine",)]
        assert not any(row.installed for row in advice.search() if row.name not in ("qwen3-0.6b", "pilot"))
        file = home.library.get("mine").files[0]
        known = {"catalogue": "qwen3-8b"}
        await home.library.add(ModelName("made"), [file], source="pulled", provenance=known)
        assert [row.installed_as for row in advice.search() if row.name == "qwen3-8b"] == [("made",)]
        assert advice.fit("qwen3-0.6b").model == "mine", "the catalogue's name leads to the file that is here"

    with_home(tmp_path, story)


def test_a_fit_of_the_catalogue(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice, entry = await open_advice(home), load().get("qwen3-4b")
        report = advice.fit("qwen3-4b", 16_384, 2, "q8_0", "Q4_K_M")
        asked = Load(16_384, 2, type_k="Q8_0", type_v="Q8_0")
        expected = fit([entry.header("Q4_K_M")], asked, Room(6 * GIB))
        assert (report.total_bytes, report.parts, report.interval) == (
            expected.total,
            expected.parts,
            expected.interval,
        )
        assert (report.installed, report.fits, report.kv, report.slots) == (False, "cpu", "Q8_0", 2)
        assert report.speed is not None and report.speed.low < report.speed.expected < report.speed.high
        assert "not measured" in report.because and "not measured" in report.speed.why
        json.dumps(asdict(report))
        at = report.largest_context
        room = Room(6 * GIB)
        assert fit([entry.header("Q4_K_M")], replace(asked, context=at), room).verdict == "fits"
        beyond = fit([entry.header("Q4_K_M")], replace(asked, context=at + 256), room).verdict
        assert at == entry.context * 2 or beyond != "fits"
        larger = advice.fit("qwen3-4b", 16_384, quantization="Q8_0")
        assert larger.total_bytes > report.total_bytes and larger.largest_context < at

    with_home(tmp_path, story)


def test_a_fit_of_what_is_here_reads_its_header(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice = await open_advice(home)
        report = advice.fit("pilot")
        assert report.installed and report.fits == "cpu" and report.context == 2048 == report.largest_context
        assert advice.fit("pilot", quantization="q8_0").installed
        with pytest.raises(InvalidRequest, match="2,048"):
            advice.fit("pilot", 4096)
        assert advice.fit("pilot", 4096, slots=2).context == 4096

    with_home(tmp_path, story)


def test_a_quantization_that_is_not_here_is_asked_of_the_catalogue(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice = await open_advice(home)
        await home.add("qwen3-0.6b")  # the pilot's file: by its header a Q8_0
        await home.add("unheard-of")
        assert advice.fit("qwen3-0.6b", 2048, quantization="Q8_0").installed
        other = advice.fit("qwen3-0.6b", 2048, quantization="Q4_K_M")
        assert not other.installed and other.quantization == "Q4_K_M"
        with pytest.raises(InvalidRequest, match="is here as Q8_0"):
            advice.fit("unheard-of", 2048, quantization="Q4_K_M")

    with_home(tmp_path, story)


def test_what_cannot_be_answered_is_refused(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice = await open_advice(home)
        with pytest.raises(UnknownModel, match="no model named"):
            advice.fit("nothing-like-it")
        for wrong in ({"kv": "Q7"}, {"slots": 0}, {"context": -1}, {"context": 1 << 20}, {"quantization": "Q9"}):
            with pytest.raises(InvalidRequest):
                advice.fit("qwen3-4b", **wrong)
        speech = advice.search("", "speech")[0].name
        with pytest.raises(InvalidRequest):
            advice.fit(speech)

    with_home(tmp_path, story)


def test_what_was_measured_is_kept_and_changes_the_answer(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice = await open_advice(home)
        guess = advice.fit("pilot")
        assert guess.speed is not None
        for ratio in (1.10, 1.11, 1.12, 1.10):
            await advice.measured_load("pilot", 2048, 1, 1000, round(1000 * ratio))
            await advice.measured_speed("pilot", 50 * ratio)
        for nonsense in (0, -5, float("nan"), float("inf")):
            await advice.measured_load("pilot", 2048, 1, 1000, nonsense)  # type: ignore[arg-type]
        with pytest.raises(UnknownModel):
            await advice.measured_load("nothing", 1, 1, 1, 1)
        for each in (advice, await open_advice(home)):  # the second one knows it from the store alone
            report = each.fit("pilot")
            assert report.total_bytes == guess.total_bytes and "4 loads" in report.because
            low, high = report.interval
            assert low < 1.105 * report.total_bytes < high and low > guess.total_bytes
            assert report.speed is not None and report.speed.expected == pytest.approx(50 * 1.105, rel=0.01)
        assert len(await KeptInStore(home.store).load()) == 8
        machine[0] = replace(LAPTOP, processor="another")
        assert "not measured" in advice.fit("pilot").because

    with_home(tmp_path, story)


def test_only_the_newest_measurements_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice_module, "KEPT", 5)

    async def story(home: Home) -> None:
        kept = KeptInStore(home.store)
        made = [Measurement("load", "m", "llama", "cpu", 1.0, float(n + 1), time.time()) for n in range(9)]
        for each in made:
            await kept.add(each)
        assert await kept.load() == made[4:]

    with_home(tmp_path, story)


def test_a_proposal_knows_what_is_here_and_in_which_quantization(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        machine[0] = replace(LAPTOP, memory_available_bytes=12 * GIB)
        advice = await open_advice(home)
        best = advice.proposal().choice("main")
        assert best.model != "pilot" and not best.installed and best.download_bytes > 0
        assert [choice.model for choice in advice.proposal(hub=False).choices] == ["pilot"] * 3
        await home.add("mine", str(load().get("qwen3-1.7b").offers[0].source))  # the pilot's file: Q8_0
        offline = advice.proposal(hub=False).choice("main")
        assert (offline.model, offline.quantization, offline.installed) == ("qwen3-1.7b", "Q8_0", True)
        assert (offline.installed_as, offline.download_bytes) == ("mine", 0)
        assert best.installed_as == "" and advice.proposal().embedder.installed_as == ""
        for _ in range(3):
            await advice.measured_speed("pilot", 1e-6)  # hopelessly slow, so everything here is
        slow = advice.proposal(hub=False).choice("main")
        assert (slow.model, slow.installed_as) == ("pilot", "pilot")

    with_home(tmp_path, story)


def test_the_machine_as_the_arithmetic_sees_it() -> None:
    assert (device_of(LAPTOP), device_of(GPU)) == ("some processor", "RTX 3090")
    assert room_of(GPU, (GIB, 2 * GIB)) == Room(27 * GIB, 21 * GIB)
    shared = room_of(APPLE, (GIB, 2 * GIB))
    assert (shared.host_free, shared.gpu_free, shared.driver, shared.shared) == (3 * GIB, 46 * GIB, 0, True)
    assert bandwidths(APPLE) == (Bandwidth(400e9, 400e9),) * 3
    low, usual, high = bandwidths(GPU, 40e9)
    assert low == usual == high == Bandwidth(40e9, 936e9)
    low, usual, high = bandwidths(LAPTOP)
    assert low.host < usual.host < high.host


def test_same_quantization() -> None:
    assert same_quantization("q4_k_m", "Q4_K") and same_quantization("Q8_0", "Q8_0")
    assert not same_quantization("Q4_0", "Q4_K") and not same_quantization("Q8_0", "")


def test_the_projector_counts(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        advice = await open_advice(home)
        await home.add("plain")
        model = home.library.get("plain")
        assert model.digest is not None
        eye = ModelFile("mmproj", "eye.gguf", model.digest, model.path, model.size_bytes)
        await home.library.add(ModelName("seeing"), [*model.files, eye], source="pulled")
        assert "vision" in {part.name for part in advice.fit("seeing", 512).parts}
        assert "vision" not in {part.name for part in advice.fit("plain", 512).parts}
        machine[0] = replace(LAPTOP, memory_available_bytes=advice.fit("plain").host_bytes + HOST_MARGIN)
        assert advice.fit("plain").largest_context == 2048 > advice.fit("seeing", 512).largest_context

    with_home(tmp_path, story)
