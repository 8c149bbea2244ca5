"""Verbs of `homefire models` that take long: pull, verify, import, export, convert, quantize, and the list of downloads.

Promises: a progress bar with bytes, rate and time left on a terminal, on standard error; Ctrl-C in a pull leaves the download
running, in other work ends it.
Does not cover: doing any of it (the daemon does).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homefire.cli.bars import Bar, duration, size, table
from homefire.cli.main import print_json
from homefire.client import Homefire
from homefire.errors import InternalError
from homefire.paths import ModelName

AT = "/homefire/v1"
PHASES = {
    "resolving": "looking up",
    "fetching": "fetching",
    "checking": "checking",
    "converting": "converting",
    "quantizing": "quantizing",
    "done": "done",
}


def pull(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models pull SOURCE`."""
    fields = {"quantization": options.quantization, "priority": options.priority}
    if options.name:
        fields["name"] = str(ModelName(options.name))
    given = {name: value for name, value in fields.items() if value}
    source = whole_source(options.source)
    if options.detach:
        found = home.post(f"{AT}/models/pull", {"source": source, **given, "watch": False})
        print_json(found) if options.json else print(f"Download {found['id']} began. See: homefire models downloads")
        return 0
    try:
        done = fetch(home, source, shown=not options.json, **given)
    except KeyboardInterrupt:
        print("The download goes on without you. See: homefire models downloads", file=sys.stderr)
        return 130
    if options.json:
        print_json(done)
        return 0
    model = done["model"]
    talk = f" Talk to it with: homefire chat --model {model['name']}" if model["kind"] == "chat" else ""
    print(f"{model['name']} is here.{talk}")
    return 0


def fetch(home: Homefire, source: str, *, shown: bool, **fields: Any) -> dict[str, Any]:
    """Pulls a model and waits; the data of `done`: `download` and `model`. Raises what the download failed with."""
    with Bar(sys.stderr if shown else None) as bar:
        for event in home.pull(source, **fields):
            if event.name == "done":
                return event.data
            if shown and event.name == "progress":
                _progress(bar, event.data)
    raise InternalError("The download's stream ended without an end.")


def _progress(bar: Bar, data: dict[str, Any]) -> None:
    state, phase = data["state"], data["phase"]
    word = PHASES.get(phase, phase) if state == "running" else state
    bar.show(
        f"  {word} {data['target'] or data['source']}",
        data["done_bytes"],
        data["total_bytes"],
        data["rate"],
        data["eta_s"],
    )


def downloads(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models downloads [pause | resume | cancel ID]`."""
    if options.how:
        found = home.post(f"{AT}/downloads/{options.id}/{options.how}")
        print_json(found) if options.json else print(f"Download {found['id']}: {found['state']}.")
        return 0
    found = home.get(f"{AT}/downloads")
    if options.json:
        print_json(found)
        return 0
    rows = [_row(each) for each in found["downloads"]]
    print(table(("ID", "STATE", "WHAT", "HOW FAR", "RATE", "LEFT"), rows) if rows else "No downloads.")
    for each in found["downloads"]:
        if each["error"]:
            print(
                f"{each['id']}: {each['error']['message']}\n  {each['error']['next_step']}  [{each['error']['code']}]"
            )
    return 0


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    total = f" of {size(each['total_bytes'])}" if each["total_bytes"] else ""
    state = PHASES.get(each["phase"], each["phase"]) if each["state"] == "running" else each["state"]
    rate = f"{size(each['rate'])}/s" if each["rate"] else ""
    left = duration(each["eta_s"]) if each["eta_s"] is not None and each["state"] == "running" else ""
    return str(each["id"]), state, each["source"], size(each["done_bytes"]) + total, rate, left


def verify(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models verify NAME`; exit status 1 if a file is not what it was."""
    name = ModelName(options.name)
    found = _work(home, f"{AT}/models/{name}/verify", {"repair": options.repair}, f"  verifying {name}", options.json)
    if options.json:
        print_json({"name": name, **found})
    elif found["ok"]:
        print(f"{name}: {size(found['bytes'])} read, every file is what it was.")
    else:
        print(f"{name}: changed or missing: {', '.join(found['bad'])}", file=sys.stderr)
        print(f"  If it was pulled, fetch again what changed: homefire models verify {name} --repair", file=sys.stderr)
    return 0 if found["ok"] else 1


def bring(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models import PATH`."""
    body = _named(options, {"path": _whole(options.file), "base": options.base})
    made = _work(home, f"{AT}/models/import", body, "  importing", options.json)
    return _made(made, "Imported", options.json)


def convert(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models convert FOLDER`."""
    body = _named(options, {"path": _whole(options.folder), "type": options.type})
    return _made(_work(home, f"{AT}/models/convert", body, "  converting", options.json), "Converted", options.json)


def quantize(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models quantize NAME TYPE`."""
    path = f"{AT}/models/{ModelName(options.name)}/quantize"
    body: dict[str, Any] = {"type": options.type, "quality": not options.no_quality}
    if options.new_name:
        body["name"] = str(ModelName(options.new_name))
    made = _work(home, path, body, f"  quantizing {options.name}", options.json)
    _made(made, "Made", options.json)
    if not options.json and (found := quality_line(made.get("quality") or {})):
        print(found)
    return 0


def quality_line(found: Mapping[str, Any]) -> str:
    """What a quantization lost, for people; "" if nothing is known."""
    if "skipped" in found:
        return f"What was lost was not measured: {found['skipped']}."
    if "cosine" in found:
        return (
            f"Vectors before and after: cosine {found['cosine']['mean']:.4f} on average, "
            f"{found['cosine']['worst']:.4f} at worst."
        )
    if "perplexity" not in found:
        return ""
    before, after = found["perplexity"]["before"], found["perplexity"]["after"]
    return (
        f"Perplexity {before:.4g} before, {after:.4g} after ({100 * (after / before - 1):+.2f} %); "
        f"the same next token in {found['same_token_pct']:.1f} % of {found['tokens']} places."
    )


def export(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models export NAME TARGET`."""
    name = ModelName(options.name)
    target = _whole(options.target)
    made = _work(home, f"{AT}/models/{name}/export", {"path": target}, f"  exporting {name}", options.json)
    if options.json:
        print_json(made)
    else:
        print(f"Exported to {target}. On the other machine: homefire models import {Path(target).name}")
    return 0


def _work(home: Homefire, path: str, body: dict[str, Any], label: str, silent: bool) -> dict[str, Any]:
    """Streams the work with a bar; the data of `done`."""
    with Bar(sys.stderr) as bar:
        for event in home.stream(path, body):
            if event.name == "done":
                return event.data
            if not silent:
                bar.show(label, event.data["done_bytes"], event.data["total_bytes"])
    raise InternalError("The stream ended without an end.")


def _made(made: dict[str, Any], word: str, as_json: bool) -> int:
    if as_json:
        print_json(made)
        return 0
    whole = f"{made['base']}+{made['name']}" if made["kind"] == "adapter" else made["name"]
    talk = f" Talk to it with: homefire chat --model {whole}" if made["kind"] in ("chat", "adapter") else ""
    print(f"{word} {made['name']} ({size(made['size_bytes'])}).{talk}")
    return 0


def _named(options: argparse.Namespace, body: dict[str, Any]) -> dict[str, Any]:
    given = {**body, "name": options.name}
    return {name: value for name, value in given.items() if value}


def _whole(path: Path) -> str:
    return str(path.expanduser().absolute())


def whole_source(text: str) -> str:
    """The source, a file's path made absolute: the daemon stands in another folder."""
    scheme, colon, path = text.partition(":")
    if colon and scheme.lower() == "file" and not path.startswith("//"):
        return f"file:{_whole(Path(path))}"
    return text
