"""`homefire models`: list, import, remove.

Promises: importing shows a progress bar on a terminal; the file given is copied, never changed.
Does not cover: finding and fetching models (not in this version).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.paths import ModelName

BAR = 30


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire models [list | import FILE | remove NAME]`."""
    parser = parser_for("models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="list the installed models (default)")
    adding = actions.add_parser("import", help="add a GGUF file that you have")
    adding.add_argument("file", type=Path)
    adding.add_argument("--name", help="how to call it (default: from the file's name)")
    removing = actions.add_parser("remove", help="remove an imported model")
    removing.add_argument("name")
    for sub in (listing, adding, removing):
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        if options.action == "import":
            return _import(home, options.file, options.name, options.json)
        if options.action == "remove":
            home.delete(f"/homefire/v1/models/{ModelName(options.name)}")  # nothing but a name may become part of a URL
            print_json({"removed": options.name}) if options.json else print(f"Removed {options.name}.")
            return 0
        return _list(home, options.json)


def _list(home: Homefire, as_json: bool) -> int:
    found = home.models()
    if as_json:
        print_json(found)
        return 0
    rows = [
        (
            ("* " if model["name"] == found["default"] else "  ") + model["name"],
            _parameters(model["parameters"]),
            model["quantization"],
            f"{model['size_bytes'] / 1e6:,.0f} MB",
            f"{model['context_length']:,}",
            model["source"] + (", in memory" if model["resident"] else ""),
        )
        for model in found["models"]
    ]
    head = ("  NAME", "SIZE", "TYPE", "FILE", "CONTEXT", "FROM")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _import(home: Homefire, file: Path, name: str | None, as_json: bool) -> int:
    body = {"path": str(file.expanduser().absolute())}
    if name:
        body["name"] = name
    began = time.monotonic()
    for event in home.stream("/homefire/v1/models/import", body):
        if event.name == "progress" and not as_json and sys.stderr.isatty():
            _bar(event.data["done_bytes"], event.data["total_bytes"], time.monotonic() - began)
        elif event.name == "done":
            if sys.stderr.isatty() and not as_json:
                print(file=sys.stderr)
            if as_json:
                print_json(event.data)
            else:
                made = event.data["name"]
                print(f"Imported {made}. Talk to it with: homefire chat --model {made}")
    return 0


def _bar(done: int, total: int, seconds: float) -> None:
    share = done / total if total else 0.0
    filled = int(share * BAR)
    rate = done / seconds if seconds > 0 else 0.0
    left = f"{(total - done) / rate:.0f} s left" if rate > 0 and total else ""
    print(
        f"\r  [{'#' * filled}{'.' * (BAR - filled)}] {share:4.0%}  {done / 1e6:,.0f} of {total / 1e6:,.0f} MB  "
        f"{rate / 1e6:,.0f} MB/s  {left}   ",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _parameters(count: int) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)
