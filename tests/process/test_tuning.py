"""Adapters, drafts and tuning through a real daemon: what the command line does, and what the engines are then started with.

Promises: an adapter that came after the load is answered by a side worker, and the answers of both stay their own; what is
measured, or a person's word, reaches the engine; a person's settings go before both; Ctrl-C leaves no engine.
Does not cover: which way is the quickest (that is this machine's affair), the search (`tests/null/test_tuning.py`).
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.daemon import Daemon
from homefire.engines.engine import Drafting
from homefire.models.library import PILOT_FILE
from homefire.paths import Paths
from homefire.residency.tuned import Measured
from homefire.residency.tuning import Tuning
from homefire.server.listen import Listening
from homefire.settings import Settings
from tests.conftest import ROOT, RunningDaemon, wait_until
from tests.contract import tiny_adapter

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon whose models compute with one thread."""
    running = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_THREADS="1").start()
    yield running
    running.stop()


def asked(daemon: RunningDaemon, *arguments: str) -> Any:
    """What a verb says with --json."""
    done = daemon.cli(*arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def say(daemon: RunningDaemon, model: str) -> str:
    """A greedy answer."""
    said = [{"role": "user", "content": "What is Homefire, and what can it do for me?"}]
    with daemon.client() as home:
        found = home.post(CHAT, {"model": model, "messages": said, "max_tokens": 12, "temperature": 0}, seconds=120)
    return str(found["choices"][0]["message"]["content"])


def test_an_adapter_from_import_to_removal(one: RunningDaemon, tmp_path: Path) -> None:
    plain = say(one, "pilot")
    file = tiny_adapter.make(tmp_path / "style.gguf", strength=0.7)
    made = asked(one, "models", "import", str(file))
    assert (made["name"], made["kind"], made["base"]) == ("style", "adapter", "pilot")
    told = one.cli("models", "show", "style").stdout
    assert "base      pilot" in told
    styled = say(one, "pilot+style")
    assert styled != plain, "or the rest proves nothing"
    assert {row["name"] for row in asked(one, "ps")["models"]} == {"pilot", "pilot+style"}, "a side worker"
    assert [say(one, name) for name in ("pilot", "pilot+style", "pilot+style:0", "pilot")] == [
        plain,
        styled,
        plain,
        plain,
    ]
    # Once the base comes back it has the adapter itself.
    for name in ("pilot+style", "pilot"):
        asked(one, "unload", name)
    assert [say(one, name) for name in ("pilot+style", "pilot", "pilot+style")] == [styled, plain, styled]
    assert {row["name"] for row in asked(one, "ps")["models"]} == {"pilot"}
    chat = one.cli("chat", "hello", "--model", "pilot+style", "--no-keep", "--max-tokens", "4")
    assert chat.returncode == 0, chat.stderr
    refused = one.cli("chat", "hello", "--model", "pilot+style:loud", "--no-keep")
    assert refused.returncode == 1 and "no scale" in refused.stderr
    assert asked(one, "models", "remove", "style") == {"removed": "style"}
    assert "no adapter named 'style'" in one.cli("chat", "hello", "--model", "pilot+style", "--no-keep").stderr


def test_who_drafts_and_what_it_is_run_with(one: RunningDaemon) -> None:
    before = say(one, "pilot")
    asked(one, "unload", "pilot")
    found = asked(one, "models", "draft", "pilot", "--ngram", "ngram-cache")
    assert found["drafts"] == {"mode": "ngram-cache", "draft": None}
    assert say(one, "pilot") == before
    (row,) = asked(one, "ps")["models"]
    assert "drafts by ngram-cache" in row["as_loaded"]
    assert "nobody drafts, by your word" in one.cli("models", "draft", "pilot", "--none").stdout
    assert one.cli("models", "draft", "pilot", "--ngram", "guess").returncode == 1
    assert one.cli("models", "draft", "pilot", "--with", "pilot").returncode == 1, "it is no smaller than itself"
    asked(one, "unload", "pilot")


def test_a_smaller_model_drafts(one: RunningDaemon, tmp_path: Path) -> None:
    """The pilot drafts for a longer file of itself: nearly all that it proposes is right, and the answer is the same."""
    (tmp_path / "large.gguf").write_bytes(PILOT_FILE.read_bytes() + bytes(4096))
    asked(one, "models", "import", str(tmp_path / "large.gguf"))
    plain = say(one, "large")
    asked(one, "unload", "large")
    assert asked(one, "models", "draft", "large", "--with", "pilot")["drafts"] == {"mode": "draft", "draft": "pilot"}
    assert say(one, "large") == plain
    with one.client() as home:
        body = {
            "model": "large",
            "messages": [{"role": "user", "content": "Who are you?"}],
            "max_tokens": 30,
            "temperature": 0,
        }
        timings = home.post(CHAT, body, seconds=120)["timings"]
    assert timings["draft_n_accepted"] >= timings["draft_n"] // 2 > 0
    rows = {row["name"]: row for row in asked(one, "ps")["models"]}
    assert "drafts by pilot" in rows["large"]["as_loaded"]
    alone = asked(one, "models", "fit", "large", "--slots", "8", "--context", "16384")["total_bytes"]
    assert rows["large"]["estimated_bytes"]["host"] > 2 * alone, "the draft and its cache are counted"
    for name in ("large", "pilot"):
        asked(one, "unload", name)


def test_tuning_in_the_terminal(one: RunningDaemon) -> None:
    asked(one, "models", "tune", "pilot", "--forget")
    found = asked(one, "models", "tune", "pilot", "--quick")
    rows = found["measured"]["tried"]
    assert {row["knob"] for row in rows} == {"draft"}, "the person has set the threads"
    assert all(row["read"] > 0 < row["write"] and row["trials"] == 3 for row in rows)
    assert sum(row["won"] for row in rows) == 1
    assert one.engine_pids() == []
    shown = one.cli("models", "tune", "pilot", "--show")
    assert "WRITE 128" in shown.stdout and "ngram-mod" in shown.stdout


def test_ctrl_c_ends_a_tuning_and_its_engine(one: RunningDaemon) -> None:
    asked(one, "models", "tune", "pilot", "--forget")
    argv = [sys.executable, "-m", "homefire.cli", "models", "tune", "pilot"]
    running = subprocess.Popen(argv, env=one.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: one.engine_pids() != [], 60)
    running.send_signal(signal.SIGINT)
    out, problem = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, b"") and b"nothing was kept" in problem
    wait_until(lambda: one.engine_pids() == [], 30)
    assert asked(one, "models", "tune", "pilot", "--show")["measured"] is None
    assert say(one, "pilot"), "and the model answers"


def with_rooms(home: Path, settings: Settings, work: Callable[[Daemon], Any]) -> None:
    """The daemon's rooms in this process, opened for `work`."""
    (paths := Paths(home)).prepare()

    async def run() -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{listening.getsockname()[1]}"
            where = Listening(listening, None, None, f"http://{address}", (address,), ())
            rooms = Daemon(paths, settings, where)
            try:
                await rooms.open()
                await work(rooms)
            finally:
                await rooms.close()

    asyncio.run(run())


@pytest.mark.parametrize("threads", [0, 3])
def test_what_was_measured_reaches_the_engine_and_settings_go_before_it(tmp_path: Path, threads: int) -> None:
    async def work(rooms: Daemon) -> None:
        usual = rooms._spec("pilot")
        assert (usual.kv_type, usual.drafting, usual.batch, usual.flash_attention) == ("F16", Drafting(), 0, None)
        way = Tuning(5, 256, 2048, True, "Q8_0", "ngram-mod")
        await rooms.tuned.keep("pilot", Measured(way, (), time.time()))
        spec = rooms._spec("pilot")
        assert spec.threads == (threads or 5), "a person's setting goes first"
        assert (spec.batch, spec.logical_batch, spec.flash_attention, spec.kv_type) == (256, 2048, True, "Q8_0")
        assert spec.drafting == Drafting("ngram-mod")
        rooms.levers.set_batch(0.25)
        rooms.levers.set_threads(0.5)
        assert (rooms._spec("pilot").batch, rooms._spec("pilot").logical_batch) == (128, 0), "the governor's share"
        assert rooms._spec("pilot").threads == int((threads or 5) * 0.5)
        rooms.levers.set_batch(0.75)
        assert rooms._spec("pilot").batch == 256
        rooms.tuner._way = replace(way, threads=2)
        trial = rooms._spec("pilot~tune")
        assert (trial.name, trial.path, trial.threads, trial.batch) == ("pilot~tune", PILOT_FILE, 1, 256)

    with_rooms(tmp_path / "home", Settings(threads=threads), work)
