"""The verdicts on chat templates: what is tried, how often, and what a trial's end means.

Promises: one trial for each template, however many ask and whichever file holds it; a changed file is tried anew; a trial that
failed is no verdict; a refused model is not entered and does not count as an engine that crashes.
Does not cover: the trial itself (`tests/process/test_hostile_templates.py`).
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from homefire.daemon import templates as module
from homefire.daemon.template_child import KEYS, templates, verdict
from homefire.daemon.templates import Templates
from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import BadTemplate, EngineFailed, InvalidRequest, TaskDied
from homefire.models.library import PILOT_FILE, Library
from homefire.supervision.backoff import CRASHES_TO_BREAK
from tests.null.gguf_file import DATA, TENSORS, gguf, string_key
from tests.null.gguf_file import KEYS as SOUND
from tests.null.keeper_bench import Bench, problem_of, run, waiting
from tests.null.library_home import Home, with_home


class Trials:
    """In the place of the child: notes what it is asked, and answers by the file's name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.fails = False
        monkeypatch.setattr(module, "run", self._run)

    async def _run(self, name: str, arguments: dict[str, Any], target: None, *, readable: Any) -> dict[str, Any]:
        assert (name, arguments["pilot"], target) == ("homefire.daemon.template_child", str(PILOT_FILE), None)
        self.asked.append((Path(arguments["model"]).name, readable))
        await asyncio.sleep(0)
        if self.fails:
            raise TaskDied("It died.")
        bad = b"bad" in Path(arguments["model"]).read_bytes()
        return {"refused": "tokenizer.chat_template is bad" if bad else "", "peak_bytes": 1}


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Trials:
    return Trials(monkeypatch)


def model(text: str = "", key: str = KEYS[0]) -> bytes:
    return gguf([*SOUND, *([string_key(key, text)] if text else [])], TENSORS, DATA)


def file(folder: Path, name: str, text: str, key: str = KEYS[0]) -> Path:
    target = folder / name
    target.write_bytes(model(text, key))
    return target


def test_what_is_rendered() -> None:
    assert templates({KEYS[0]: "a", KEYS[1]: "b", "tokenizer.chat_template.rag": "c"}) == {KEYS[0]: "a", KEYS[1]: "b"}
    assert templates({KEYS[0]: 7, KEYS[1]: " \n"}) == {}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (0, ""),
        (1, "breaks"),
        (-signal.SIGPROF, "processor time"),
        (-signal.SIGKILL, "did not end"),
        (-signal.SIGABRT, "memory"),
        (-signal.SIGSEGV, "SIGSEGV"),
    ],
)
def test_what_an_end_means(status: int, word: str) -> None:
    assert word in verdict(status, True) and bool(verdict(status, True)) == bool(word)
    with pytest.raises(EngineFailed):
        verdict(status, False)


def test_each_template_is_tried_once(trials: Trials, tmp_path: Path) -> None:
    one, same = file(tmp_path, "one.gguf", "x"), file(tmp_path, "same.gguf", "x")
    other = file(tmp_path, "other.gguf", "x", KEYS[1])

    async def story() -> None:
        tried = Templates(lambda: False)
        await asyncio.gather(*(tried.require(path) for path in (one, one, same, one, other)))
        await tried.require(file(tmp_path, "none.gguf", ""))
        await tried.require(PILOT_FILE)

    asyncio.run(story())
    assert trials.asked == [("one.gguf", None), ("other.gguf", None)]


def test_a_refusal_stays_and_a_changed_file_is_tried_anew(trials: Trials, tmp_path: Path) -> None:
    path = file(tmp_path, "one.gguf", "bad one")

    async def story() -> None:
        tried = Templates(lambda: True)
        for _ in range(3):
            with pytest.raises(BadTemplate, match=r"template of one\.gguf is refused: tokenizer\.chat_template is bad"):
                await tried.require(path)
        assert trials.asked == [("one.gguf", [path])]
        file(tmp_path, "one.gguf", "good")
        await tried.require(path)

    asyncio.run(story())
    assert len(trials.asked) == 2


def test_a_trial_that_failed_is_no_verdict(trials: Trials, tmp_path: Path) -> None:
    path = file(tmp_path, "one.gguf", "x")

    async def story() -> None:
        tried, trials.fails = Templates(lambda: False), True
        with pytest.raises(TaskDied):
            await tried.require(path)
        trials.fails = False
        await tried.require(path)
        with pytest.raises(InvalidRequest):
            await tried.require(tmp_path / "nothing.gguf")

    asyncio.run(story())
    assert len(trials.asked) == 2


def test_a_refused_model_is_not_entered(trials: Trials, tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.library = Library(home.store, home.paths, home.blobs, approve=Templates(lambda: False).require)
        await home.library.open()
        await home.add("good", raw=model("good"))
        with pytest.raises(BadTemplate):
            await home.add("worse", raw=model("bad"))
        assert [each.name for each in home.library.all()] == ["pilot", "good"]

    with_home(tmp_path, story)
    assert len(trials.asked) == 2


def test_a_refusal_is_no_crash() -> None:
    async def work(bench: Bench) -> None:
        bench.failures["a"] = BadTemplate("no")
        for _ in range(CRASHES_TO_BREAK + 2):
            assert isinstance(await problem_of(waiting(bench, "a")[0]), BadTemplate)

    run(work)


def test_an_engine_that_is_stopped_while_its_template_is_tried_does_not_start(pilot_spec: EngineSpec) -> None:
    async def story() -> None:
        trying, tried = asyncio.Event(), asyncio.Event()

        async def approve(path: Path) -> None:
            assert path == pilot_spec.path
            trying.set()
            await tried.wait()

        engine = LlamaCpp(pilot_spec, approve=approve)
        starting = asyncio.ensure_future(engine.start())
        await trying.wait()
        await engine.stop()
        tried.set()
        with pytest.raises(EngineFailed, match="stopped before"):
            await starting
        assert engine.pid is None

    asyncio.run(story())
