"""The engine's part of `homefire setup`: the build that suits this machine.

Promises: a build for a GPU is begun on a person's yes or on --yes, and only if its tools are here; else what is missing is named
with the way to get it; never with --offline; for the processor alone it is one line at the end.
Does not cover: which build suits and what it needs (the daemon says), building (`builds.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from homefire.cli.builds import AT
from homefire.cli.main import show_error
from homefire.client import Homefire
from homefire.errors import HomefireError


def offer(home: Homefire, options: argparse.Namespace, stream: Any) -> dict[str, Any]:
    """Proposes the build for a GPU and begins it on consent. What came of it: `proposal` as the daemon makes it (null: the wheel
    suits), `begun`, `error` (an envelope's, or null)."""
    found = home.get(AT)
    proposal = found["proposal"]
    result: dict[str, Any] = {"proposal": proposal, "in_use": found["in_use"], "begun": False, "error": None}
    if proposal is None or proposal["backend"] == "cpu" or _is_there(found) or options.offline:
        return result
    print(f"\n{proposal['why']}", file=stream)
    if not proposal["ready"]:
        print(f"  It needs {' and '.join(proposal['missing'])}:", file=stream)
        for step in proposal["steps"]:
            print(f"    {step}", file=stream)
        print("  Then: homefire engine build --use", file=stream)
        return result
    if not options.yes and not _agreed(proposal, stream):
        return result
    body = {"backend": proposal["backend"], "use": True, "watch": False}
    try:
        home.post(AT, body)
    except HomefireError as problem:
        result["error"] = problem.envelope()["error"]
        if not options.json:
            show_error(problem, as_json=False)
        return result
    result["begun"] = True
    print("  It is built in the background, tried, and used if it is good. See: homefire engine watch", file=stream)
    return result


def hint(result: Mapping[str, Any]) -> None:
    """One line about a build for the processor, if there is none in use."""
    proposal = result["proposal"]
    if proposal is not None and proposal["backend"] == "cpu" and result["in_use"] == "wheel":
        print(f"{proposal['why']} A faster engine: homefire engine build --use")


def _is_there(found: Mapping[str, Any]) -> bool:
    """A build of that kind is here, or just being made."""
    kind = found["proposal"]["backend"]
    job = found["job"]
    at_work = job is not None and job["state"] == "running"
    return at_work or any(build["backend"] == kind and build["runs_here"] for build in found["builds"])


def _agreed(proposal: Mapping[str, Any], stream: Any) -> bool:
    question = f"Build the {proposal['backend']} engine now? It goes on in the background for a quarter of an hour or more. [y] "
    print(question, end="", file=stream, flush=True)
    line = sys.stdin.readline()
    if not line:  # Ctrl-D
        raise KeyboardInterrupt
    return line.strip().lower() in ("", "y", "yes")
