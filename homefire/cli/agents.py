"""`homefire agents`: several agents that work together, described in a folder of Markdown files.

Promises: the lines of all agents as they happen, each with its agent's name before it; the answer alone on standard output; what
models and tools wrote cannot move the cursor. With --json one object a line.
Does not cover: reading the spec (the daemon does), deciding about what an agent asks (`homefire agent approve RUN CALL`).

Exit status: as of `homefire agent`: 0 answered; 1 an error; 3 an agent waits for a person, or the swarm rests; 4 it ended without
an answer; 130 it was stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homefire.cli.agent import STOPPED, UNANSWERED, WAITS, decisions, plain_lines
from homefire.cli.bars import table
from homefire.cli.main import parser_for, print_json
from homefire.cli.steps import Shown, moment, say_of
from homefire.client import Homefire
from homefire.errors import BadSwarm, DaemonNotRunning, ShuttingDown

AT, RUNS = "/homefire/v1/agent/swarms", "/homefire/v1/agent/runs"
MOST_BYTES = 256 * 1024
BROKEN_SECONDS = 2.0


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire agents ACTION ...`."""
    options = _parser(verb).parse_args(argv)
    with Homefire.connect() as home:
        return DO[options.action](options, home)


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = parser_for(verb)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        return sub

    running = action("run", "have the agents of a folder do something together")
    running.add_argument("spec", type=Path, metavar="SPEC", help="a folder: one Markdown file an agent, and AGENTS.md")
    running.add_argument("task", nargs="*", metavar="TASK", help="what they have to do")
    running.add_argument("--detach", action="store_true", help="return at once; it goes on in the background")
    action("list", "list the swarms, newest first").add_argument("--limit", type=int, default=20, help="(20)")
    for name, text in (
        ("show", "a swarm, its agents and its board"),
        ("watch", "follow a swarm"),
        ("stop", "stop all agents of a swarm; what they did stays done"),
        ("resume", "go on with a swarm that rests, and follow it"),
        ("remove", "forget a swarm, its board and its runs"),
    ):
        action(name, text).add_argument("swarm", metavar="SWARM", help="the swarm's id")
    return parser


def read_folder(folder: Path) -> dict[str, str]:
    """The Markdown files of a folder, name to text. Raises BadSwarm."""
    if not folder.is_dir():
        raise BadSwarm(f"{str(folder)[:200]} is no folder.", "Give a folder with one Markdown file an agent.")
    files: dict[str, str] = {}
    size = 0
    for path in sorted(folder.iterdir()):
        if path.suffix != ".md" or not path.is_file():
            continue
        try:
            size += path.stat().st_size
            if size > MOST_BYTES:
                raise BadSwarm(f"The files of a swarm have at most {MOST_BYTES // 1024} KiB together.")
            files[path.name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise BadSwarm(f"{path.name} cannot be read as text: {problem}.") from None
    return files


def _run(options: argparse.Namespace, home: Homefire) -> int:
    body = {"files": read_folder(options.spec.expanduser()), "task": " ".join(options.task)}
    made = home.post(AT, body)
    if options.detach:
        return _told(options, made)
    return Follower(home, made["id"], options.json).to_its_end()


class Follower:
    """Shows all agents of one swarm until it ends, rests, or only waits for a person."""

    def __init__(self, home: Homefire, swarm: str, as_json: bool) -> None:
        self._home, self._swarm, self._json = home, swarm, as_json
        self._shown: dict[str, Shown] = {}
        self._seen: dict[str, int] = {}

    def to_its_end(self) -> int:
        """Follows it. The exit status."""
        while True:
            try:
                for event in self._home.stream(_one(self._swarm, "/steps"), method="GET"):
                    if event.name == "done":
                        return self._end(event.data)
                    if event.name == "step" and (status := self._step(event.data)) is not None:
                        return status
                raise ShuttingDown("The stream ended before the swarm did.")
            except KeyboardInterrupt:
                print("Stopping all agents.", file=sys.stderr)
                return self._end(self._home.post(_one(self._swarm, "/stop")))
            except (ShuttingDown, DaemonNotRunning):
                self._wait_for_the_daemon()

    def _step(self, step: dict[str, Any]) -> int | None:
        name = step["agent"]
        if step["n"] <= self._seen.get(name, -1):
            return None
        self._seen[name] = step["n"]
        if self._json:
            print_json({"event": "step", **step})
        else:
            self._shown.setdefault(name, Shown(Prefixed(name, sys.stderr))).step(step)  # type: ignore[arg-type] # write, flush, isatty is all it uses
        return self._waits() if step["kind"] == "asked" else None

    def _waits(self) -> int | None:
        """The exit status if all that has not ended waits for a person."""
        found = self._home.get(_one(self._swarm))
        runs = [each["run"] for each in found["agents"] if each["run"] and each["run"]["state"] != "ended"]
        if not runs or any(run["state"] != "waiting" for run in runs):
            return None
        commands = [
            command
            for run in runs
            for question in self._home.get(f"{RUNS}/{quote(run['id'], safe='')}")["questions"]
            for command in decisions(run["id"], question)
        ]
        if self._json:
            print_json({"event": "waits", "swarm": self._swarm, "commands": commands})
        else:
            print("It waits for a person:\n  " + "\n  ".join(commands), file=sys.stderr)
            print(f"Then follow it: homefire agents watch {self._swarm}", file=sys.stderr)
        return WAITS

    def _wait_for_the_daemon(self) -> None:
        print("The daemon is gone; the swarm goes on when it is back (homefire up).", file=sys.stderr)
        while True:
            time.sleep(BROKEN_SECONDS)
            try:
                self._home.get(_one(self._swarm))
                return
            except (ShuttingDown, DaemonNotRunning):
                continue

    def _end(self, done: dict[str, Any]) -> int:
        if self._json:
            print_json({"event": "done", **done})
        else:
            print(_summary(done), file=sys.stderr)
            print(plain_lines(done["answer"]), file=sys.stdout if done["ending"] == "answered" else sys.stderr)
        if done["state"] != "ended":
            return WAITS
        return {"answered": 0, "stopped": STOPPED}.get(done["ending"], UNANSWERED)


class Prefixed:
    """A stream whose lines begin with an agent's name."""

    def __init__(self, name: str, out: Any) -> None:
        self._head, self._out, self._fresh = f"{name}> ", out, True

    def write(self, text: str) -> int:
        """As of a file."""
        for line in text.splitlines(keepends=True):
            self._out.write(self._head + line if self._fresh else line)
            self._fresh = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        """As of a file."""
        self._out.flush()

    def isatty(self) -> bool:
        """As of a file."""
        return bool(self._out.isatty())


def _list(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(AT, limit=options.limit)
    if options.json:
        print_json(found)
        return 0
    rows = [
        (row["id"], row["ending"] or row["state"], moment(row["created_at"]), str(len(row["agents"])),
         f"{row['spent']['tokens']:,}", say_of(row["task"])[:60])
        for row in found["swarms"]
    ]  # fmt: skip
    head = ("SWARM", "STATE", "BEGUN", "AGENTS", "TOKENS", "TASK")
    print(table(head, rows) if rows else 'No swarm has run yet. Begin with: homefire agents run FOLDER "a task"')
    return 0


def _show(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(_one(options.swarm))
    if options.json:
        print_json(found)
        return 0
    rows = []
    for each in found["agents"]:
        run = each["run"] or {"id": "", "state": "not begun", "ending": "", "steps": 0, "tokens": 0, "model": ""}
        state = run["ending"] or run["state"]
        model = run["model"] or each["model"]
        rows.append((each["name"], state, run["id"], model, str(run["steps"]), f"{run['tokens']:,}"))
    print(table(("AGENT", "STATE", "RUN", "MODEL", "STEPS", "TOKENS"), rows))
    for post in found["board"]:
        print(f"\n{say_of(post['name'])} (version {post['version']}, by {say_of(post['by'])}):")
        print(plain_lines(post["text"]))
    print(f"\n{_summary(found)}\n{plain_lines(found['answer'])}".rstrip())
    return 0


def _watch(options: argparse.Namespace, home: Homefire) -> int:
    return Follower(home, options.swarm, options.json).to_its_end()


def _stop(options: argparse.Namespace, home: Homefire) -> int:
    return _told(options, home.post(_one(options.swarm, "/stop")))


def _resume(options: argparse.Namespace, home: Homefire) -> int:
    home.post(_one(options.swarm, "/resume"))
    return _watch(options, home)


def _remove(options: argparse.Namespace, home: Homefire) -> int:
    home.delete(_one(options.swarm))
    print_json({"removed": options.swarm}) if options.json else print(f"Removed {options.swarm}.")
    return 0


def _told(options: argparse.Namespace, found: dict[str, Any]) -> int:
    print_json(found) if options.json else print(f"{found['id']}: {found['ending'] or found['state']}.")
    return 0


def _summary(found: dict[str, Any]) -> str:
    spent, budget = found["spent"], found["budget"]
    return (
        f"{found['id']}: {found['ending'] or found['state']}; {spent['tokens']:,} of {budget['tokens']:,.0f} tokens, "
        f"{spent['seconds']:.1f} of {budget['seconds']:g} seconds of all agents together."
    )


def _one(swarm: str, rest: str = "") -> str:
    return f"{AT}/{quote(swarm, safe='')}{rest}"


DO = {
    "run": _run, "list": _list, "show": _show, "watch": _watch, "stop": _stop, "resume": _resume, "remove": _remove,
}  # fmt: skip
