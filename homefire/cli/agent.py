"""`homefire agent`: have an agent do something, and look after its runs.

Promises: each step is shown as it happens; what a person is asked about is shown exactly, character by character, and nothing
counts as yes but a yes; the first Ctrl-C stops the run, the second leaves it; without a terminal nothing is asked: the command
that decides is printed and the exit status says so. What models and tools wrote cannot move the cursor or change colours.
Does not cover: deciding anything (the daemon does), granting tools (`tools.py`).

Exit status: 0 it answered; 1 an error; 3 it waits for a person; 4 it ended without an answer; 130 it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homefire.cli.bars import table
from homefire.cli.main import parser_for, print_json
from homefire.cli.steps import Shown, moment, say_of
from homefire.client import Homefire
from homefire.errors import DaemonNotRunning, InvalidRequest, NotAsked, RunEnded, ShuttingDown

AT, TIMERS = "/homefire/v1/agent/runs", "/homefire/v1/agent/timers"
WAITS, UNANSWERED, STOPPED = 3, 4, 130
ACTIONS = ("run", "list", "show", "watch", "resume", "stop", "approve", "deny", "answer", "say", "remove", "timers")
BROKEN_SECONDS = 2.0


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire agent TASK`, or `homefire agent ACTION ...`."""
    first = next((each for each in argv if each != "--json"), "")
    if first in ACTIONS:
        options = _actions().parse_args(argv)
        with Homefire.connect() as home:
            return DO[options.action](options, home)
    options = _task_options(parser_for(verb)).parse_args(argv)
    with Homefire.connect() as home:
        return _begin(options, home)


def _task_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.epilog = f"Or: homefire agent {' | '.join(ACTIONS[1:])}. A task of one such word: homefire agent run WORD."
    parser.add_argument("task", nargs="+", help="what it has to do; '-' reads standard input")
    modes = ("full", "hybrid", "rules")
    parser.add_argument("--mode", choices=modes, help="who decides: the model (full), rules with its help, rules alone")
    parser.add_argument("--model", help="who thinks (default: the model of the role main)")
    parser.add_argument("--steps", type=int, help="most rounds of model and tool")
    parser.add_argument("--tokens", type=int, help="most tokens, read and written")
    parser.add_argument("--seconds", type=float, help="longest time")
    parser.add_argument("--folder", type=Path, help="the folder it works in (default: one of its own)")
    parser.add_argument("--tools", help="only these of the tools that are granted, with commas between")
    parser.add_argument("--no-guard", action="append", default=[], metavar="NAME", help="turn a guard of the loop off")
    parser.add_argument("--detach", action="store_true", help="return at once; it goes on in the background")
    return parser


def _actions() -> argparse.ArgumentParser:
    parser = parser_for("agent")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, run: bool = True) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        if run:
            sub.add_argument("run", metavar="RUN", help="the run's id")
        if name != "run":
            sub.add_argument("--key", metavar="NAME", help="of this key, not of the person")
        return sub

    _task_options(action("run", "have an agent do something", run=False))
    action("list", "list the runs, newest first", run=False).add_argument("--limit", type=int, default=20, help="(20)")
    action("show", "every step of a run, and what it waits for")
    action("watch", "follow a run, and decide about what it asks")
    action("resume", "go on with a run, and follow it").add_argument(
        "--detach", action="store_true", help="do not follow"
    )
    action("stop", "stop a run; what it did stays done")
    action("approve", "yes to one call, exactly as it is shown").add_argument("call", metavar="CALL")
    action("deny", "no to one call").add_argument("call", metavar="CALL")
    answering = action("answer", "answer a question of the agent")
    answering.add_argument("call", metavar="CALL")
    answering.add_argument("text", nargs="+", metavar="TEXT")
    action("say", "tell it something more").add_argument("text", nargs="+", metavar="TEXT")
    action("remove", "forget a run, its steps and its results")
    action("timers", "timers that agents have set", run=False).add_argument("--away", metavar="ID", help="put one away")
    return parser


# -- beginning and following


def _begin(options: argparse.Namespace, home: Homefire) -> int:
    task = sys.stdin.read() if options.task == ["-"] else " ".join(options.task)
    if not task.strip():
        raise InvalidRequest("The task is empty.", 'Say: homefire agent "a task"', param="task")
    given: dict[str, Any] = {name: getattr(options, name) for name in ("mode", "model", "steps", "tokens", "seconds")}
    if options.folder is not None:
        given["folder"] = str(options.folder.expanduser().absolute())
    if options.tools is not None:
        given["tools"] = [each for each in options.tools.split(",") if each]
    if options.no_guard:
        given["without_guards"] = options.no_guard
    made = home.post(AT, {"task": task, **{name: value for name, value in given.items() if value is not None}})
    if options.detach:
        print_json(made) if options.json else print(
            f"{made['id']}: {made['state']}. See: homefire agent watch {made['id']}"
        )
        return 0
    return Follower(home, made["id"], options.json).to_its_end()


class Follower:
    """Shows one run until it ends or waits for somebody who is not here."""

    def __init__(self, home: Homefire, run: str, as_json: bool, key: str | None = None) -> None:
        self._home = home
        self._run = run
        self._json = as_json
        self._key = key
        self._shown = Shown(sys.stderr)
        self._next = 0
        self._stopping = False

    def to_its_end(self) -> int:
        """Follows it. The exit status."""
        while True:
            try:
                if (done := self._follow()) is not None:
                    return self._end(done)
                if (status := self._decide()) is not None:
                    return status
            except KeyboardInterrupt:
                if self._stopping:
                    self._shown.line()
                    print(f"Left; look with: homefire agent watch {self._run}", file=sys.stderr)
                    return STOPPED
                self._stop()
            except (ShuttingDown, DaemonNotRunning):
                self._wait_for_the_daemon()

    def _stop(self) -> None:
        self._stopping = True
        self._shown.line()
        print("Stopping it; Ctrl-C again leaves it as it is.", file=sys.stderr)
        with contextlib.suppress(RunEnded):  # it was quicker
            self._home.post(self._path("/stop"))

    def _follow(self) -> dict[str, Any] | None:
        """Until the run has ended (then the run), or waits for a person (None)."""
        path = self._path("/steps", f"from={self._next}")
        for event in self._home.stream(path, method="GET"):
            if event.name == "done":
                return event.data
            if event.name == "piece":
                if not self._json:
                    self._shown.piece(event.data["text"])
                continue
            self._next = event.data["n"] + 1
            print_json({"event": "step", **event.data}) if self._json else self._shown.step(event.data)
            if event.data["kind"] == "asked" and self._waiting():
                return None
        raise ShuttingDown("The stream ended before the run did.")

    def _waiting(self) -> list[dict[str, Any]]:
        found = self._home.get(self._path(""))["questions"]
        return [each for each in found if isinstance(each, dict)]

    def _decide(self) -> int | None:
        """Asks whoever sits here about what waits; the exit status where nobody does."""
        for question in self._waiting():
            if self._json or not (sys.stdin.isatty() and sys.stderr.isatty()):
                return self._nobody(question)
            said = ask(question)
            try:
                self._home.post(self._path("/decide"), {"call": question["call"], **said})
            except NotAsked:
                print("It was decided elsewhere meanwhile.", file=sys.stderr)
        return None

    def _nobody(self, question: dict[str, Any]) -> int:
        commands = decisions(self._run, question, self._key)
        if self._json:
            print_json({"event": "waits", "run": self._run, **question, "commands": commands})
        else:
            self._shown.question(question)
            print("It waits for a person:\n  " + "\n  ".join(commands), file=sys.stderr)
        return WAITS

    def _wait_for_the_daemon(self) -> None:
        """It may come back, and the run with it; a person who has enough presses Ctrl-C."""
        print("The daemon is gone; the run goes on when it is back (homefire up).", file=sys.stderr)
        while True:
            time.sleep(BROKEN_SECONDS)
            try:
                self._home.get(self._path(""))
                return
            except (ShuttingDown, DaemonNotRunning):
                continue

    def _end(self, done: dict[str, Any]) -> int:
        if self._json:
            print_json({"event": "done", **done})
        else:
            self._shown.end(done)
            if done["ending"] == "answered":
                print(plain_lines(done["answer"]))
        if done["state"] == "interrupted":
            return WAITS
        return {"answered": 0, "stopped": STOPPED}.get(done["ending"], UNANSWERED)

    def _path(self, rest: str, query: str = "") -> str:
        return _one(self._run, self._key, rest, query)


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """Asks on the terminal. Only a y is a yes."""
    Shown(sys.stderr).question(question)
    print("Allow exactly this? [y/N] " if question["approval"] else "> ", end="", file=sys.stderr, flush=True)
    try:
        line = input().strip()
    except EOFError:
        line = ""
    if not question["approval"]:
        return {"yes": True, "text": line}
    return {"yes": line.lower() in ("y", "yes")}


def decisions(run: str, question: dict[str, Any], key: str | None = None) -> list[str]:
    """The commands that decide about it elsewhere."""
    of = f" --key {key}" if key else ""
    if question["approval"]:
        return [f"homefire agent {word} {run} {question['call']}{of}" for word in ("approve", "deny")]
    return [f"homefire agent answer {run} {question['call']}{of} TEXT"]


def plain_lines(text: str) -> str:
    """An answer on a terminal: its lines, without what would steer it."""
    return "\n".join(say_of(line) for line in text.split("\n"))


# -- looking after runs


def _list(options: argparse.Namespace, home: Homefire) -> int:
    query = {"limit": options.limit, **({"key": options.key} if options.key else {})}
    found = home.get(AT, **query)
    if options.json:
        print_json(found)
        return 0
    rows = [
        (row["id"], row["ending"] or row["state"], moment(row["created_at"]), str(row["steps"]), f"{row['tokens']:,}",
         row["model"], say_of(row["task"])[:60])
        for row in found["runs"]
    ]  # fmt: skip
    head = ("RUN", "STATE", "BEGUN", "STEPS", "TOKENS", "MODEL", "TASK")
    print(table(head, rows) if rows else 'No agent has run yet. Begin with: homefire agent "a task"')
    return 0


def _show(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(_one(options.run, options.key))
    steps: list[dict[str, Any]] = []
    more = True
    while more:
        page = home.get(_one(options.run, options.key, "/steps", f"from={len(steps)}"))
        steps, more = steps + page["steps"], page["more"]
    if options.json:
        print_json({**found, "steps": steps})
        return 0
    shown = Shown(sys.stdout)
    for step in steps:
        shown.step(step)
    shown.end(found)
    for question in found["questions"]:
        print("It waits for a person:\n  " + "\n  ".join(decisions(options.run, question, options.key)))
    return 0


def _watch(options: argparse.Namespace, home: Homefire) -> int:
    return Follower(home, options.run, options.json, options.key).to_its_end()


def _resume(options: argparse.Namespace, home: Homefire) -> int:
    found = home.post(_one(options.run, options.key, "/resume"))
    return _told(options, found) if options.detach else _watch(options, home)


def _stop(options: argparse.Namespace, home: Homefire) -> int:
    return _told(options, home.post(_one(options.run, options.key, "/stop")))


def _approve(options: argparse.Namespace, home: Homefire) -> int:
    return _decided(options, home, {"yes": True}, effect=True)


def _deny(options: argparse.Namespace, home: Homefire) -> int:
    return _decided(options, home, {"yes": False}, effect=None)


def _answer(options: argparse.Namespace, home: Homefire) -> int:
    return _decided(options, home, {"yes": True, "text": " ".join(options.text)}, effect=False)


def _decided(options: argparse.Namespace, home: Homefire, said: dict[str, Any], effect: bool | None) -> int:
    """Shows what is decided before it is; `effect`: whether it must be a call (True) or a question (False)."""
    waiting = home.get(_one(options.run, options.key))["questions"]
    question = next((each for each in waiting if each["call"] == options.call), None)
    if question is not None:
        if effect is not None and bool(question["approval"]) != effect:
            commands = " or ".join(decisions(options.run, question, options.key))
            raise InvalidRequest("That is decided in another way.", f"Say: {commands}", param="call")
        if not options.json:
            Shown(sys.stderr).question(question)
    return _told(options, home.post(_one(options.run, options.key, "/decide"), {"call": options.call, **said}))


def _say(options: argparse.Namespace, home: Homefire) -> int:
    return _told(options, home.post(_one(options.run, options.key, "/say"), {"text": " ".join(options.text)}))


def _remove(options: argparse.Namespace, home: Homefire) -> int:
    home.delete(_one(options.run, options.key))
    print_json({"removed": options.run}) if options.json else print(f"Removed {options.run}.")
    return 0


def _timers(options: argparse.Namespace, home: Homefire) -> int:
    of = f"key={quote(options.key, safe='')}" if options.key else ""
    if options.away:
        home.delete(f"{TIMERS}/{quote(options.away, safe='')}?{of}")
    found = home.get(f"{TIMERS}?{of}")
    if options.json:
        print_json(found)
        return 0
    rows = [(row["id"], moment(row["at"]), row["state"], say_of(row["text"]), row["run"]) for row in found["timers"]]
    print(table(("TIMER", "WHEN", "STATE", "WHAT", "RUN"), rows) if rows else "No timer is set.")
    return 0


def _told(options: argparse.Namespace, found: dict[str, Any]) -> int:
    print_json(found) if options.json else print(f"{found['id']}: {found['ending'] or found['state']}.")
    return 0


def _one(run: str, key: str | None = None, rest: str = "", query: str = "") -> str:
    if not run.strip():
        raise InvalidRequest("A run's id is missing.", "See: homefire agent list", param="run")
    words = "&".join(each for each in (query, f"key={quote(key, safe='')}" if key else "") if each)
    return f"{AT}/{quote(run, safe='')}{rest}{f'?{words}' if words else ''}"


DO = {
    "run": _begin,
    "list": _list,
    "show": _show,
    "watch": _watch,
    "resume": _resume,
    "stop": _stop,
    "approve": _approve,
    "deny": _deny,
    "answer": _answer,
    "say": _say,
    "remove": _remove,
    "timers": _timers,
}
