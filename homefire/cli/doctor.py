"""`homefire doctor`: what is wrong here, and what to do.

Promises: works without a daemon: the checks run in a child of their own; exit status 1 if anything is wrong.
Does not cover: mending. It names the command that does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import DaemonNotRunning, HomefireError, InternalError

MARKS = {"ok": "ok   ", "warning": "look ", "wrong": "WRONG"}
CHECK_SECONDS = 120


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire doctor`."""
    options = parser_for("doctor").parse_args(argv)
    checks = [*_offline(), _daemon()]
    wrong = sum(check["state"] == "wrong" for check in checks)
    if options.json:
        print_json({"checks": checks, "wrong": wrong})
    else:
        for check in checks:
            print(f"{MARKS[check['state']]}  {check['name']}: {check['found']}")
            if check["next_step"] and check["state"] != "ok":
                print(f"       {check['next_step']}")
        print(f"\n{wrong} wrong." if wrong else "\nAll is well.")
    return 1 if wrong else 0


def _offline() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "homefire.daemon", "--doctor"],
        capture_output=True,
        text=True,
        timeout=CHECK_SECONDS,
        check=False,
    )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        raise InternalError(f"The checks fell over: {done.stderr.strip()[-500:]}", "Install again: make run") from None
    return found


def _daemon() -> dict[str, Any]:
    try:
        with Homefire.connect() as home:
            status = home.status()
    except DaemonNotRunning:
        return _check("daemon", "ok", "does not run", "")
    except HomefireError as problem:
        return _check("daemon", "wrong", problem.message, problem.next_step)
    if status["auth"] == "off":
        return _check("daemon", "warning", "runs with KEYS OFF: every program here may use it", "Set auth to on.")
    broken = [model["name"] for model in status["models"] if model["state"] == "broken"]
    if broken:
        return _check(
            "daemon",
            "warning",
            f"runs; crashed too often: {', '.join(broken)}",
            f"See the logs in {status['home']}/logs",
        )
    return _check("daemon", "ok", f"runs at {status['url']}", "")


def _check(name: str, state: str, found: str, next_step: str) -> dict[str, Any]:
    return {"name": name, "state": state, "found": found, "next_step": next_step}
