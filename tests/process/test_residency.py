"""Residency with real children: memory capped so that one of two models fits, and the verbs that show and change what is there.

Promises: where one fits there is never more than one child; every request is answered; what the command line says is what is
there.
Does not cover: decisions (`tests/null/test_scheduler.py`), figures (`homefire bench swap`).
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import DoesNotFit
from homefire.models.library import PILOT_FILE
from tests.conftest import RunningDaemon, wait_until

AT = "/homefire/v1"
# The pilot is promised about 160 MiB.
ONE_FITS_MIB = 240


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon with memory for one of its two models."""
    running = RunningDaemon(tmp_path_factory.mktemp("home"), HOMEFIRE_MEMORY_CAP_MIB=str(ONE_FITS_MIB)).start()
    file = tmp_path_factory.mktemp("copy") / "other.gguf"
    shutil.copyfile(PILOT_FILE, file)
    assert running.cli("models", "import", str(file)).returncode == 0
    yield running
    running.stop()


def asked(daemon: RunningDaemon, *arguments: str) -> Any:
    """What a verb says with --json."""
    done = daemon.cli(*arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def say(daemon: RunningDaemon, model: str) -> str:
    with daemon.client() as home:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
        return str(home.post("/v1/chat/completions", body, seconds=120)["model"])


def test_one_child_at_a_time_and_every_request_is_answered(narrow: RunningDaemon) -> None:
    most, over = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, len(narrow.engine_pids()))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        wanted = ["pilot", "other"] * 4
        with ThreadPoolExecutor(len(wanted)) as pool:
            assert list(pool.map(lambda model: say(narrow, model), wanted)) == wanted
    finally:
        over.set()
        watching.join()
    assert most == 1
    kinds = [entry["kind"] for entry in asked(narrow, "why")["decisions"]]
    assert 1 <= kinds.count("evicted") <= 3 and kinds.count("loaded") == kinds.count("evicted") + 1, kinds


def test_load_shows_in_ps_and_unload_takes_it_away(narrow: RunningDaemon) -> None:
    row = asked(narrow, "load", "other", "--pin", "--keep-alive", "3600")["model"]
    assert (row["name"], row["state"], row["pinned"]) == ("other", "ready", True)
    (found,) = asked(narrow, "ps")["models"]
    assert found["pid"] in narrow.engine_pids()
    assert found["measured_bytes"] <= found["reserved_bytes"]["host"] <= ONE_FITS_MIB * 2**20
    refused = narrow.cli("load", "pilot")
    assert refused.returncode == 1 and "beside the pinned ones" in refused.stderr
    text = narrow.cli("ps").stdout
    assert "other" in text and "never (pinned)" in text and "memory_cap_mib" in text
    assert "pinned" in narrow.cli("why", "other").stdout
    assert asked(narrow, "unload", "other") == {"name": "other", "unloaded": True}
    wait_until(lambda: narrow.engine_pids() == [])
    assert asked(narrow, "ps")["models"] == []
    assert say(narrow, "main") == "pilot", "a role in a model's place"


def test_a_model_leaves_when_its_keep_alive_is_over(narrow: RunningDaemon) -> None:
    asked(narrow, "load", "pilot", "--keep-alive", "1")
    wait_until(lambda: narrow.engine_pids() == [], 30)
    assert asked(narrow, "why", "pilot", "--limit", "1")["decisions"][0]["kind"] == "evicted"


def test_what_a_person_wished_survives_kill_9(narrow: RunningDaemon) -> None:
    asked(narrow, "load", "other", "--pin", "--keep-alive", "3600")
    before = asked(narrow, "why")["decisions"]
    narrow.kill()
    narrow.start()
    wait_until(lambda: [row["state"] for row in asked(narrow, "ps")["models"]] == ["ready"], 60)
    (row,) = asked(narrow, "ps")["models"]
    assert (row["name"], row["pinned"], row["keep_alive_s"]) == ("other", True, 3600)
    assert row["reserved_bytes"]["host"] >= row["measured_bytes"] > 0
    after = asked(narrow, "why")["decisions"]
    old = {entry["number"]: entry for entry in after}
    # What was decided within the last half second may be missing.
    kept = [entry for entry in before if entry["number"] in old]
    assert len(kept) >= len(before) - 2 and all(old[each["number"]]["at"] == each["at"] for each in kept)
    asked(narrow, "unload", "other")


def test_a_cap_that_is_smaller_than_the_model(tmp_path: Path) -> None:
    running = RunningDaemon(tmp_path / "home", HOMEFIRE_MEMORY_CAP_MIB="20").start()
    try:
        with pytest.raises(DoesNotFit, match=r"models may take 20 MiB of it here.*memory_cap_mib"):
            say(running, "pilot")
        assert running.engine_pids() == []
    finally:
        running.stop()
