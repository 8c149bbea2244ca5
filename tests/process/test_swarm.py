"""Three agents on three models in a real daemon: side by side, in order, and over a kill -9.

Promises: the answers are what the tools gave; a swarm whose daemon is killed goes on and begins nothing twice.
Does not cover: how well small models act, the gain of running at once (`bench swarm`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from homefire.client import Homefire
from homefire.errors import UnknownSwarm
from homefire.models.library import PILOT_FILE
from tests.conftest import RunningDaemon

ADDER = '+++\nmodel = "pilot"\ntask = "What is 17 times 23?"\n+++\nYou work it out.\n'
TIMES = '+++\nmodel = "second"\ntask = "What is 12 times 12?"\n+++\nYou work it out.\n'
LAST = '+++\nmodel = "third"\nafter = ["adder", "times"]\n+++\nYou add.\n'


def test_three_models_and_a_daemon_that_is_killed(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    running = new_daemon(HOMEFIRE_THREADS="1").start()
    for name in ("second", "third"):
        shutil.copyfile(PILOT_FILE, tmp_path / f"{name}.gguf")
        assert running.cli("models", "import", str(tmp_path / f"{name}.gguf")).returncode == 0
    spec = tmp_path / "spec"
    spec.mkdir()
    for file, text in (("AGENTS.md", "Be brief."), ("adder.md", ADDER), ("times.md", TIMES), ("last.md", LAST)):
        (spec / file).write_text(text, "utf-8")

    done = running.cli("agents", "run", str(spec), "Use your tools.")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "adder> " in done.stderr and "times> " in done.stderr and "From 'times': " in done.stderr
    assert done.stdout.strip()

    made = json.loads(running.cli("agents", "run", str(spec), "Again.", "--detach", "--json").stdout)
    running.kill()
    running.start()
    watched = running.cli("agents", "watch", made["id"], "--json")
    assert watched.returncode == 0, watched.stdout + watched.stderr
    rows = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [row["agent"] for row in rows if row.get("kind") == "ended"][-1] == "last"
    assert rows[-1]["ending"] == "answered" and {each["run"]["model"] for each in rows[-1]["agents"]} == {
        "pilot", "second", "third"
    }  # fmt: skip
    shown = json.loads(running.cli("agents", "show", made["id"], "--json").stdout)
    assert shown["spent"]["tokens"] == sum(each["run"]["tokens"] for each in shown["agents"]) > 0
    runs = json.loads(running.cli("agent", "list", "--json").stdout)["runs"]
    assert len(runs) == 6

    added = json.loads(running.cli("key", "add", "bot", "--scope", "agent", "--json").stdout)
    with Homefire.connect(url=running.url, key=added["key"]) as bot:
        assert bot.get("/homefire/v1/agent/swarms") == {"swarms": []}
        with pytest.raises(UnknownSwarm):
            bot.post(f"/homefire/v1/agent/swarms/{made['id']}/stop")

    (spec / "last.md").write_text('+++\nafter = ["last"]\n+++\n', "utf-8")
    wrong = running.cli("agents", "run", str(spec), "--json")
    assert wrong.returncode == 1 and "bad_swarm" in wrong.stdout + wrong.stderr
    assert "SWARM" in running.cli("agents", "list").stdout
    assert running.cli("agents", "remove", made["id"]).returncode == 0
    assert "unknown_swarm" in running.cli("agents", "show", made["id"], "--json").stdout
