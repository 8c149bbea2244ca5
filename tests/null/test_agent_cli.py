"""`homefire agent` and `homefire tools` against the real application, with runs whose steps are scripted.

Promises: what is shown of each step and of each question, exit statuses, a word said at a terminal and elsewhere, Ctrl-C, JSON.
Does not cover: a model and real tools (`tests/process`).
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homefire.cli.main import main
from homefire.cli.steps import Shown, arguments_of
from homefire.client import Homefire
from tests.null.scripted_runs import SHOWN, ScriptedRuns, scripted
from tests.null.test_client import At, running

Cli = tuple[Callable[..., tuple[int, str, str]], ScriptedRuns, At]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    made: list[ScriptedRuns] = []

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    with running(tmp_path / "home", agents=scripted(made)) as found:
        at: At = found
        monkeypatch.setattr(Homefire, "connect", classmethod(lambda cls: at.client()))
        yield run, made[0], at
        asyncio.run_coroutine_threadsafe(made[0].die(), at.loop).result(10)


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Somebody sits here and types these lines."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    typed = iter(lines)
    monkeypatch.setattr("builtins.input", lambda *rest: next(typed))


def test_each_step_is_shown_and_the_answer_alone_goes_out(cli: Cli) -> None:
    run, runs, _ = cli
    status, out, err = run("agent", "add 17 and 23", "--steps", "5", "--no-guard", "repeats", "--mode", "hybrid")
    assert (status, out) == (0, "It is 391.\n")
    for words in ('> calculate(expression="17*23")  [c1]', "I will add.", "ok, 0.01 s", "    391", "answered; 7 steps"):
        assert words in err, err
    order = runs.orders[0]
    assert (order.mode, order.budget, order.guards) == ("hybrid", {"steps": 5.0}, {"repeats": False})


def test_json_is_one_object_a_line(cli: Cli) -> None:
    run, _, _ = cli
    status, out, err = run("agent", "add 17 and 23", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [row["event"] for row in rows] == ["step"] * 7 + ["done"] and rows[-1]["answer"] == "It is 391."


@pytest.mark.parametrize(
    ("typed", "answer"), [("y", "Done."), ("", "Not done."), ("yeah", "Not done."), ("YES", "Done.")]
)
def test_at_a_terminal_only_a_yes_is_one(cli: Cli, monkeypatch: pytest.MonkeyPatch, typed: str, answer: str) -> None:
    run, _, _ = cli
    at_a_terminal(monkeypatch, typed)
    status, out, err = run("agent", "write it")
    assert (status, out) == (0, f"{answer}\n")
    assert all(f"    {line}" in err for line in SHOWN.split("\n")), "exactly what is to be done"
    assert "Allow exactly this? [y/N]" in err and "The grant asks every time." in err


def test_ctrl_c_at_a_question_stops_the_run(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run, runs, _ = cli
    at_a_terminal(monkeypatch)

    def interrupted(*rest: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    status, out, err = run("agent", "write it")
    assert (status, out) == (130, "") and "Stopping it" in err
    (only,) = runs.runs.values()
    assert (only.row.ending, only.decisions) == ("stopped", {})


def test_a_question_of_the_agent_is_answered_at_the_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, _ = cli
    at_a_terminal(monkeypatch, "blue")
    status, out, err = run("agent", "ask me")
    assert (status, out) == (0, "Done: blue.\n") and "Which colour?" in err


def test_without_a_terminal_the_command_that_decides_is_printed(cli: Cli) -> None:
    run, _, _ = cli
    status, out, err = run("agent", "write it")
    assert (status, out) == (3, "")
    name = next(line.split()[3] for line in err.splitlines() if "agent approve" in line)
    assert f"homefire agent approve {name} c1" in err and f"homefire agent deny {name} c1" in err
    status, out, _ = run("agent", "watch", name, "--json")
    waits = json.loads(out.splitlines()[-1])
    assert (status, waits["event"], waits["shown"]) == (3, "waits", SHOWN)
    assert waits["commands"][0] == f"homefire agent approve {name} c1"
    assert "decided in another way" in run("agent", "answer", name, "c1", "x")[2]
    status, out, err = run("agent", "approve", name, "c1")
    assert status == 0 and "/somewhere/a.txt" in err
    assert run("agent", "watch", name)[:2] == (0, "Done.\n")
    assert run("agent", "deny", name, "c1")[0] == 1


def test_runs_are_listed_shown_told_stopped_resumed_and_removed(cli: Cli) -> None:
    run, _, _ = cli
    name = json.loads(run("agent", "hold on", "--detach", "--json")[1])["id"]
    assert name in run("agent", "list")[1]
    assert json.loads(run("agent", "say", name, "and", "quickly", "--json")[1])["id"] == name
    assert "* and quickly" in run("agent", "show", name)[1]
    assert run("agent", "stop", name)[1] == f"{name}: stopped.\n"
    assert [step["kind"] for step in json.loads(run("agent", "show", name, "--json")[1])["steps"]][-1] == "ended"
    assert run("agent", "watch", name)[0] == 130
    assert "run_ended" in run("agent", "resume", name, "--detach")[2]
    assert run("agent", "remove", name)[1] == f"Removed {name}.\n"
    assert "No agent has run yet" in run("agent", "list")[1]
    assert "unknown_run" in run("agent", "show", name)[2]
    assert "tea" in run("agent", "timers")[1]
    assert "No timer is set" in run("agent", "timers", "--away", "t1")[1]
    assert run("agent", "list", "--key", "nobody")[0] == 1
    assert run("agent", "loop", "--json")[0] == 4
    assert run("agent", "run", "list", "--detach")[0] == 0, "a task that is the name of an action"
    assert run("agent", " ")[0] == 1


def test_ctrl_c_stops_the_run_and_a_second_one_leaves_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run, runs, _ = cli
    shown, times = Shown.step, [1]

    def interrupted(self: Shown, step: dict[str, Any]) -> None:
        shown(self, step)
        if step["kind"] == "thought" and times:
            times.pop()
            raise KeyboardInterrupt

    monkeypatch.setattr(Shown, "step", interrupted)
    status, out, err = run("agent", "hold on")
    assert (status, out) == (130, "") and "Ctrl-C again leaves it" in err and "stopped by a person" in err
    (stopped,) = runs.runs.values()
    assert (stopped.row.state, stopped.row.ending) == ("ended", "stopped")

    async def deaf(key: str, name: str) -> None:
        """A run whose tool does not end at once."""

    monkeypatch.setattr(runs, "stop", deaf)
    times[:] = [1, 1]
    monkeypatch.setattr("homefire.cli.agent.Follower._waiting", lambda self: [])
    held = json.loads(run("agent", "hold on", "--detach", "--json")[1])["id"]

    def always(self: Shown, step: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Shown, "step", always)
    status, _, err = run("agent", "watch", held)
    assert status == 130 and f"Left; look with: homefire agent watch {held}" in err
    assert runs.runs[held].row.state == "running"


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    out = io.StringIO()
    shown = Shown(out)
    shown.step({"kind": "thought", "text": "\x1b[2Jevil"})
    shown.step({"kind": "called", "tool": "x\x1b", "arguments": '{"a": "\\u001b[2J\\u202e"}', "call": "c1"})
    shown.step(
        {
            "kind": "returned",
            "status": "error",
            "code": "x",
            "text": "\x1b]0;t\x07\nb",
            "seconds": 0,
            "size": 1,
            "handle": "",
        }
    )
    shown.question({"approval": "a", "tool": "x", "call": "c1", "reason": "\x1b", "shown": "\x1b[2J"})
    assert "\x1b" not in out.getvalue() and "\u202e" not in out.getvalue() and "\x07" not in out.getvalue()
    assert arguments_of("no json \x1b") == "no json ." and arguments_of("[1]") == "[1]"


def test_an_outcome_that_nobody_knows_is_said_loudly() -> None:
    out = io.StringIO()
    step = {
        "kind": "returned",
        "status": "unknown",
        "code": "effect_unknown",
        "text": "",
        "seconds": 1,
        "size": 0,
        "handle": "",
    }
    Shown(out).step(step)
    assert "NOT KNOWN, effect_unknown" in out.getvalue() and "not done again" in out.getvalue()


def test_tools_are_listed_shown_allowed_and_denied(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, _ = cli
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    listed = run("tools", "list")[1]
    assert "calculate" in listed and "write_file" in listed
    assert "homefire tools allow write_file" in run("tools", "show", "write_file")[1]
    status, out, _ = run("tools", "allow", "write_file", "--folder", "notes", "--ask")
    assert (status, out) == (0, f"Granted write_file, with folders {tmp_path / 'notes'}; asks always.\n")
    assert json.loads(run("tools", "show", "write_file", "--json")[1])["granted"]
    assert "cannot be used all the same: No sandbox" in run("tools", "allow", "run_code")[1]
    assert run("tools", "deny", "write_file")[1] == "write_file may not be used any more.\n"
    assert not json.loads(run("tools", "show", "write_file", "--json")[1])["granted"]
    assert json.loads(run("tools", "allow", "fly", "--json")[1])["error"]["code"] == "unknown_tool"
    assert run("tools", "show", "fly")[0] == 1
    assert run("tools", "allow", "write_file", "--host", "example.org")[0] == 1
    assert json.loads(run("tools", "list", "--json")[1])["tools"][0]["name"] == "calculate"
