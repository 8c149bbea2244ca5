"""`homefire models tune` and `homefire models draft`: how a model runs best here, and who drafts for it.

Promises: Ctrl-C ends a measurement and its engine, and nothing of it is kept.
Does not cover: measuring (the daemon does).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from homefire.cli.bars import has_colours, table
from homefire.cli.main import print_json
from homefire.client import Homefire
from homefire.errors import InternalError
from homefire.paths import ModelName

AT = "/homefire/v1"
# Trials of one way that differ by more say that something else used the processor.
NOISY = 1.3
KNOBS = {
    "threads": "threads", "batch": "batch (read at once, of handed over)", "flash_attention": "flash attention",
    "kv_type": "KV cache", "draft": "drafts",
}  # fmt: skip


def add_verbs(action: Any) -> None:
    """Adds both verbs; `action(name, text)` makes a verb's parser."""
    sub = action("tune", "measure how a model runs best here, and keep that")
    sub.add_argument("name")
    sub.add_argument("--quick", action="store_true", help="threads and drafts only, with shorter texts")
    sub.add_argument("--forget", action="store_true", help="forget what was measured")
    sub.add_argument("--show", action="store_true", help="show what was measured, measure nothing")
    sub = action("draft", "who drafts for a model (speculative decoding); without an option: show it")
    sub.add_argument("name")
    how = sub.add_mutually_exclusive_group()
    how.add_argument("--with", dest="draft", metavar="MODEL", help="a smaller model of the same vocabulary")
    how.add_argument("--ngram", metavar="MODE", help="ngram-simple, ngram-map-k, ngram-map-k4v, ngram-mod, ngram-cache")
    how.add_argument("--none", action="store_true", help="nobody, whatever was measured")
    how.add_argument("--auto", action="store_true", help="whoever makes it quickest, by measurement")


def tune(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models tune NAME`."""
    name = ModelName(options.name)
    if options.forget:
        home.delete(f"{AT}/models/{name}/tuning")
        print_json({"forgotten": str(name)}) if options.json else print(f"What was measured of {name} is forgotten.")
        return 0
    if options.show:
        return _show(home.get(f"{AT}/models/{name}/tuning"), options.json)
    return _measure(home, name, {"quick": options.quick}, options.json)


def draft(options: argparse.Namespace, home: Homefire) -> int:
    """`homefire models draft NAME`."""
    name = ModelName(options.name)
    if options.auto:
        return _measure(home, name, {"only": "draft"}, options.json)
    at = f"{AT}/models/{name}"
    if options.draft or options.ngram or options.none:
        body = {"draft": str(ModelName(options.draft))} if options.draft else {"mode": options.ngram or "none"}
        found = home.put(f"{at}/draft", body)
    else:
        found = home.get(f"{at}/tuning")
    if options.json:
        print_json(found)
        return 0
    drafts = found["drafts"]
    who = {"none": "nobody", "draft": f"the model {drafts['draft']}"}.get(drafts["mode"], drafts["mode"])
    by = "by your word" if found["draft_plan"] else "as measured" if found["measured"] else "as it is without a word"
    print(f"{name}: {who} drafts, {by}. It counts from the model's next load on: homefire unload {name}")
    return 0


def _measure(home: Homefire, name: str, body: dict[str, Any], as_json: bool) -> int:
    line = _Line(not as_json)
    try:
        for event in home.stream(f"{AT}/models/{name}/tune", body):
            if event.name == "done":
                line.end()
                return _show(event.data, as_json)
            line.show(event.data)
    except KeyboardInterrupt:
        line.end()
        print("Ended; nothing was kept.", file=sys.stderr)
        return 130
    raise InternalError("The stream ended without an end.")


class _Line:
    """One line on the terminal that is drawn again and again; on something else, nothing."""

    def __init__(self, on: bool) -> None:
        self._on = on and sys.stderr.isatty()
        self._width = 0

    def show(self, data: dict[str, Any]) -> None:
        if self._on and data["knob"]:
            knob = KNOBS.get(data["knob"], data["knob"])
            text = f"  trial {min(data['done'] + 1, data['total'])} of about {data['total']}  {knob}: {data['trying']}"
            sys.stderr.write("\r" + text.ljust(self._width))
            sys.stderr.flush()
            self._width = len(text)

    def end(self) -> None:
        if self._width:
            sys.stderr.write("\n")
            self._width = 0


def _show(found: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(found)
        return 0
    if (measured := found["measured"]) is None:
        print(f"Nothing was measured of {found['model']}. Measure it with: homefire models tune {found['model']}")
        return 0
    rows, colours = [], []
    for row in measured["tried"]:
        drafted = f"{row['accepted']} of {row['drafted']}" if row["drafted"] else ""
        seconds = ("", "", "failed") if row["failed"] else _seconds(row)
        rows.append((KNOBS.get(row["knob"], row["knob"]), row["way"], *seconds, drafted, "taken" if row["won"] else ""))
        colours.append("green" if row["won"] else "")
    head = ("WHAT", "HOW", "READ 512", "WRITE 128", "TOGETHER", "DRAFTS TAKEN", "")
    print(table(head, rows, colours, has_colours(sys.stdout)))
    for row in measured["tried"]:
        if row["failed"]:
            print(f"{row['way']}: {row['failed']}")
    if (spread := max((row["spread"] for row in measured["tried"]), default=1.0)) > NOISY:
        print(
            f"\nThe machine was not quiet: trials of one way differ by up to {spread:.1f} times. Better tune again when it is."
        )
    print(f"\nMedians in seconds. It counts from the model's next load on: homefire unload {found['model']}")
    if found["draft_plan"]:
        print(f"Who drafts is by your word, not as measured; see: homefire models draft {found['model']}")
    return 0


def _seconds(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{row['read']:.3f}", f"{row['write']:.3f}", f"{row['read'] + row['write']:.3f}"
