"""`homefire engine build | use | bench | watch | cancel | remove-build`: native builds of the engine.

Promises: a progress bar on a terminal, on standard error; Ctrl-C leaves the job running in the daemon and says how to end it.
Does not cover: what is built and whether it is good (the daemon decides), far engines (`engines.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from homefire.cli.bars import Bar, duration, size
from homefire.cli.main import print_json
from homefire.client import Homefire
from homefire.errors import InternalError

AT = "/homefire/v1/builds"
BACKENDS = ("cpu", "cuda", "rocm", "vulkan", "metal")
NOTHING = "No native builds. Make one for this machine with: homefire engine build --use"


def add_actions(action: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The parsers of the verbs here."""
    sub = action("build", "build the engine for this machine, in the background at low priority")
    sub.add_argument("--backend", choices=BACKENDS, help="the kind (default: the one that suits this machine)")
    sub.add_argument(
        "--use", action="store_true", help="then try it, and use it if it agrees with the wheel and is faster"
    )
    _shared(sub)
    sub = action("use", "try a build and use it if it agrees with the wheel and is faster; or go back to the wheel")
    sub.add_argument("build", metavar="NAME", help="a build's name, or: wheel")
    _shared(sub)
    sub = action("bench", "measure the native build beside the wheel on a model")
    sub.add_argument("model", nargs="?", help="an installed model (default: the main one)")
    action("watch", "show the job under way until it ends")
    action("cancel", "end the job under way; what was compiled is kept")
    action("remove-build", "remove a native build, or what is left of an unfinished one").add_argument(
        "build", metavar="NAME"
    )


def _shared(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--force", action="store_true", help="use it even if it is not faster (it must agree)")
    sub.add_argument("--detach", action="store_true", help="do not wait for the end")


def run(home: Homefire, options: argparse.Namespace) -> int:
    """Runs one of them."""
    body: dict[str, Any]
    match options.action:
        case "build":
            body = {"use": options.use, "force": options.force, "backend": options.backend}
            return _job(home, AT, body, options)
        case "use":
            return _job(home, f"{AT}/use", {"name": options.build, "force": options.force}, options)
        case "bench":
            return _job(home, f"{AT}/bench", {"model": options.model}, options)
        case "watch":
            return _job(home, f"{AT}/watch", {}, options)
        case "cancel":
            found = home.post(f"{AT}/cancel", {})
            said = "The job was ended; what was compiled is kept." if found["cancelled"] else "No job is under way."
            print_json(found) if options.json else print(said)
        case _:
            home.delete(f"{AT}/{quote(options.build, safe='')}")
            print_json({"removed": options.build}) if options.json else print(f"Removed {options.build}.")
    return 0


def follow(home: Homefire, path: str, body: Mapping[str, Any], *, shown: bool) -> dict[str, Any]:
    """Asks for a job and waits with a bar; the job at its end. Raises what it failed with."""
    with Bar(sys.stderr if shown else None) as bar:
        for event in home.stream(path, dict(body)):
            if event.name == "done":
                return event.data
            if shown and event.data["phase"]:
                show(bar, event.data)
    raise InternalError("The job's stream ended without an end.")


def show(bar: Bar, job: Mapping[str, Any]) -> None:
    """One line about a job: bytes while it fetches, steps otherwise."""
    label = f"  {job['phase']} {job['name']}"
    bar.show(label, job["done"], job["total"] or None, unit=size if job["phase"] == "fetching" else _steps)


def _steps(count: float) -> str:
    return f"{count:.0f}"


def _job(home: Homefire, path: str, body: dict[str, Any], options: argparse.Namespace) -> int:
    given = {name: value for name, value in body.items() if value not in (None, False)}
    if getattr(options, "detach", False):
        job = home.post(path, {**given, "watch": False})
        print_json(job) if options.json else print("It began. See: homefire engine watch")
        return 0
    try:
        job = follow(home, path, given, shown=not options.json)
    except KeyboardInterrupt:
        print(
            "It goes on without you. See: homefire engine watch; end it with: homefire engine cancel", file=sys.stderr
        )
        return 130
    print_json(job) if options.json else print(told(job))
    return 0


def told(job: Mapping[str, Any]) -> str:
    """What came of a job, for people."""
    result = job["result"] or {}
    lines = []
    if build := result.get("build") if job["kind"] == "build" else None:
        lines.append(f"Built {build['name']} in {duration(build['seconds'])} with {build['compiler']}.")
    report = result if job["kind"] == "bench" else result.get("trial")
    if report:
        lines += report_lines(report)
    if in_use := result.get("in_use"):
        lines.append(f"In use: {in_use}.")
        if job["kind"] == "build" and not report and build and in_use != build["name"]:
            lines.append(f"Try it and use it with: homefire engine use {build['name']}")
    return "\n".join(lines)


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """A trial's or a measurement's figures."""
    lines = [
        f"  {name}: the same next token as the wheel in {100 * found['same']:.1f} % of {found['places']} places"
        for name, found in report["agreement"].items()
    ]
    if rates := report["rates"]:
        for word, kind in (("writing", "decode"), ("reading", "prefill")):
            row = rates[kind]
            lines.append(
                f"  {rates['model']}, {word}: {row['native']:.1f} tokens/s, the wheel {row['wheel']:.1f} ({row['ratio']:.2f})"
            )
    failed = [f"{check['name']} ({check['said']})" for check in report.get("checks", ()) if not check["ok"]]
    return lines + ([f"  failed: {', '.join(failed)}"] if failed else [])


def lines(found: Mapping[str, Any]) -> list[str]:
    """The builds, for `homefire engine list`."""
    said = [f"wheel  {'in use' if found['in_use'] == 'wheel' else ''}".rstrip()]
    for build in found["builds"]:
        state = (
            "in use" if build["name"] == found["in_use"] else "" if build["runs_here"] else "made for another processor"
        )
        if build["name"] == found["rolled_back"]:
            state = "crashed too often: the wheel took over"
        said.append(f"{build['name']}  {build['backend']}  {build['source']}  {size(build['size'])}  {state}".rstrip())
        if build["trial"]:
            said += [f"  {line}" for line in report_lines(build["trial"])]
    job = found["job"] if found["job"] and found["job"]["state"] == "running" else None
    begun = [name for name in found["unfinished"] if job is None or name != job["name"]]
    said += [f"{name}  unfinished; go on with: homefire engine build" for name in begun]
    if job:
        how_far = f" {100 * job['done'] // job['total']} %" if job["total"] else ""
        said.append(f"{job['kind']} of {job['name']} is under way: {job['phase']}{how_far}. See: homefire engine watch")
    elif not found["builds"] and not found["unfinished"]:
        said.append(NOTHING)
    return said
