"""`homefire agent` as its own process, over a socket, at a terminal and without one, on real runs.

Promises: the answer alone on standard output, a yes typed at a pseudo-terminal, the command that is printed where nobody sits and
what it does, Ctrl-C as a signal; journals, boundary and effects are the real ones.
Does not cover: a model: the calls are those of the task (`tests/null/test_agent_doors.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from homefire.paths import Paths
from tests.browser.scripted_house import served
from tests.conftest import ROOT
from tests.null.test_agent_doors import Whole, write
from tests.process.test_terminal import CTRL_C, Terminal


@dataclass
class Home:
    """What a command line needs to find the house."""

    environment: dict[str, str]
    folder: Path

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "homefire.cli", *words]
        return subprocess.run(
            command, env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A house with real runs, announced as a daemon announces itself."""
    path, folder = tmp_path / "home", tmp_path / "notes"
    folder.mkdir()
    with served(path, Whole(path)) as house:
        Paths(path).address.write_text(json.dumps({"url": house.url}), "utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEFIRE_")}
        found = Home({**kept, "HOMEFIRE_HOME": str(path)}, folder)
        done = found.cli("tools", "allow", "write_file", "--folder", str(folder), "--ask")
        assert done.returncode == 0, done.stderr
        yield found


def test_a_chain_of_calls_and_its_answer(home: Home) -> None:
    task = "\n".join(f"calculate {json.dumps({'expression': each})}" for each in ("17*23", "391-1", "390/2"))
    done = home.cli("agent", task)
    assert done.returncode == 0, done.stderr
    assert "195" in done.stdout and "calculate(" in done.stderr and "391" in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_nobody_sits_here(home: Home) -> None:
    done = home.cli("agent", write(home.folder / "a.txt"))
    assert done.returncode == 3 and done.stdout == ""
    command = next(line.split() for line in done.stderr.splitlines() if "agent approve" in line)
    assert not (home.folder / "a.txt").exists()
    approved = home.cli(*command[1:])
    assert approved.returncode == 0, approved.stderr
    assert home.cli("agent", "watch", command[3]).returncode == 0
    assert (home.folder / "a.txt").read_text("utf-8") == "hello"


def test_a_yes_typed_at_a_terminal(home: Home) -> None:
    with Terminal(home, "agent", write(home.folder / "a.txt")) as terminal:
        assert str(home.folder / "a.txt") in terminal.read_until("Allow exactly this? [y/N] ")
        assert not (home.folder / "a.txt").exists()
        terminal.type("y\n")
        terminal.read_until("answered; ")
        assert terminal.ended() == 0
    assert (home.folder / "a.txt").read_text("utf-8") == "hello"


def test_ctrl_c_stops_the_run(home: Home) -> None:
    with Terminal(home, "agent", 'ask_person {"question": "Which colour?"}') as terminal:
        terminal.read_until("    Which colour?")
        terminal.read_until("> ")
        terminal.type(CTRL_C)
        terminal.read_until("stopped by a person")
        assert terminal.ended() == 130
    listed = json.loads(home.cli("agent", "list", "--json").stdout)["runs"]
    assert [(run["state"], run["ending"]) for run in listed] == [("ended", "stopped")]
