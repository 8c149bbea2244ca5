"""`homefire memory show | search | add | edit | forget | undo | export | import`: what is remembered, and from which words.

Promises: `edit` changes nothing if somebody else changed the block meanwhile; what `forget` took `undo` brings back. Files named
here are read and written by this command, not by the daemon.
Does not cover: what is remembered on its own (docs/agent.md).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homefire.cli.main import parser_for, print_json
from homefire.cli.prompts import in_editor, read_file
from homefire.client import Homefire
from homefire.errors import InvalidRequest

AT = "/homefire/v1/memory"


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    parser = parser_for(verb)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser(
        "show", help="blocks and facts; with a number one fact, with a name a block and its versions"
    )
    show.add_argument("what", nargs="?", help="a fact's number or a block's name")
    show.add_argument("--limit", type=int, default=100, help="facts at most (default: 100)")
    search = actions.add_parser("search", help="what is remembered of something: facts, and what was said")
    search.add_argument("query", help="a question, or words; a time in it counts: last week, before June")
    search.add_argument("-k", type=int, default=5, help="results at most (default: 5)")
    add = actions.add_parser("add", help="remember something")
    add.add_argument("text", help="what")
    add.add_argument("--message", default="", help="the id of the message that says it; --words names the words there")
    add.add_argument("--words", default="", help="the exact words of the message (default: the text itself)")
    add.add_argument("--days", type=float, help="forget it by itself after so many days")
    edit = actions.add_parser("edit", help="change a block: in $EDITOR, or with --text or --file")
    edit.add_argument("block", help="person, self, task, or another name")
    edit.add_argument("--text", help="the new text")
    edit.add_argument("--file", help="a file with the new text; - is standard input")
    edit.add_argument("--back-to", type=int, metavar="N", help="make version N the newest")
    forget = actions.add_parser("forget", help="forget a fact")
    forget.add_argument("what", help="its number, or exactly what it says")
    undo = actions.add_parser("undo", help="bring back what was forgotten last, or one fact")
    undo.add_argument("number", type=int, nargs="?", help="a fact's number")
    export = actions.add_parser("export", help="write blocks and facts into one file")
    export.add_argument("file", type=Path, help="a new file")
    bring = actions.add_parser("import", help="take such a file in; what is there stays")
    bring.add_argument("file", type=Path, help="the file")
    for each in (show, search, add, edit, forget, undo, export, bring):
        each.add_argument("--key", default=argparse.SUPPRESS, help="the memory of this key, not of the person")
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        return ACTIONS[options.action](options, home)


def _show(options: argparse.Namespace, home: Homefire) -> int:
    if options.what is None:
        found = {**home.get(_at(options, "/blocks")), **home.get(_at(options, "/facts", limit=options.limit))}
    elif options.what.isdecimal():
        found = home.get(_at(options, f"/facts/{options.what}"))
    else:
        found = home.get(_at(options, f"{_block(options.what)}/versions"))
    if options.json:
        print_json(found)
        return 0
    for each in found.get("blocks", ()):
        print(f"[{each['name']}] version {each['version']}, {len(each['text'])} of {each['most']} characters")
        print(_plain(each["text"], "\n") or "(empty)", end="\n\n")
    for each in found.get("versions", ()):
        print(f"version {each['version']}, {_when(each['at'])}\n{_plain(each['text'], chr(10))}\n")
    for each in found.get("facts", [found] if "sources" in found else ()):
        print(_line(each))
        if "facts" not in found:
            for source in each["sources"]:
                print(
                    f"      {source['kind']} {_plain(source['place'])}, {_when(source['at'])}: {_plain(source['words'])}"
                )
    return 0


def _line(fact: dict[str, Any]) -> str:
    notes = [f"{fact['confidence']:.0%} sure"] if fact["confidence"] < 1 else []
    notes += [f"replaced by {fact['replaced_by']}"] if fact["replaced_by"] is not None else []
    notes += [f"another says otherwise: {', '.join(map(str, fact['links']))}"] if fact["links"] else []
    notes += [f"until {_when(fact['expires_at'])}"] if fact["expires_at"] is not None else []
    notes += [] if fact["label"] == "person" else [f"made of: {_plain(fact['label'])}"]
    return f"{fact['id']:>5}  {_plain(fact['text'])}{'  (' + '; '.join(notes) + ')' if notes else ''}"


def _search(options: argparse.Namespace, home: Homefire) -> int:
    found = home.post(_at(options, "/search"), {"query": options.query, "k": options.k})
    if options.json:
        print_json(found)
    elif not found["results"]:
        print("Nothing of that is remembered.", file=sys.stderr)
    for each in () if options.json else found["results"]:
        mark = ", replaced since" if each["replaced"] else ""
        print(f"{_when(each['at'])}  {_plain(each['place'])} ({each['role']}{mark})\n    {_plain(each['text'])[:600]}")
    return 0 if found["results"] else 1


def _add(options: argparse.Namespace, home: Homefire) -> int:
    body = {"text": options.text, "words": options.words, "message": options.message}
    if options.days is not None:
        body["expires_at"] = time.time() + 86_400 * options.days
    found = home.post(_at(options, "/facts"), body)
    print_json(found) if options.json else print(f"Remembered:\n{_line(found)}")
    return 0


def _edit(options: argparse.Namespace, home: Homefire) -> int:
    at = _block(options.block)
    if options.back_to is not None:
        found = home.post(_at(options, f"{at}/restore"), {"version": options.back_to})
    else:
        blocks = home.get(_at(options, "/blocks"))["blocks"]
        now: dict[str, Any] = next(
            (each for each in blocks if each["name"] == options.block), {"version": 0, "text": ""}
        )
        found = home.put(_at(options, at), {"version": now["version"], "text": _new_text(options, now["text"])})
    print_json(found) if options.json else print(f"{found['name']}: version {found['version']}.")
    return 0


def _new_text(options: argparse.Namespace, before: str) -> str:
    if options.text is not None:
        return str(options.text)
    if options.file is not None:
        return read_file(options.file).rstrip("\n")
    return in_editor(before, f"homefire memory edit {options.block} --file FILE").rstrip("\n")


def _forget(options: argparse.Namespace, home: Homefire) -> int:
    found = home.post(_at(options, "/forget"), {"text": options.what})
    if options.json:
        print_json(found)
        return 0
    for each in found["forgotten"]:
        print(f"Forgotten: {_plain(each['text'])} Undo: homefire memory undo {each['id']}")
    return 0


def _undo(options: argparse.Namespace, home: Homefire) -> int:
    path = "/undo" if options.number is None else f"/facts/{options.number}/restore"
    found = home.post(_at(options, path), {})
    print_json(found) if options.json else print(f"It is back:\n{_line(found)}")
    return 0


def _export(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(_at(options, "/export"))
    try:
        # What somebody remembers is nobody else's to read.
        with open(os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            json.dump(found, out, ensure_ascii=False, indent=1)
            out.write("\n")
    except OSError as problem:
        raise InvalidRequest(f"{options.file} cannot be written: {problem}.", "Name a new file.") from None
    told = {"file": str(options.file), "facts": len(found["facts"]), "blocks": len(found["blocks"])}
    print_json(told) if options.json else print(f"{options.file}: {told['facts']} facts, {told['blocks']} blocks.")
    return 0


def _import(options: argparse.Namespace, home: Homefire) -> int:
    try:
        body = json.loads(read_file(str(options.file)))
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidRequest(f"{options.file} is no export of memory.", "Export it again: homefire memory export FILE")
    found = home.post(_at(options, "/import"), body)
    print_json(found) if options.json else print(f"Taken in: {found['facts']} facts, {found['blocks']} changed blocks.")
    return 0


ACTIONS = {
    "show": _show, "search": _search, "add": _add, "edit": _edit, "forget": _forget, "undo": _undo, "export": _export,
    "import": _import,
}  # fmt: skip


def _at(options: argparse.Namespace, path: str, **query: Any) -> str:
    given = {**query, **({"key": options.key} if "key" in options else {})}
    return (
        AT
        + path
        + ("?" + "&".join(f"{name}={quote(str(each), safe='')}" for name, each in given.items()) if given else "")
    )


def _block(name: str) -> str:
    return f"/blocks/{quote(name, safe='')}"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _plain(text: str, keep: str = "") -> str:
    return "".join(each if each.isprintable() or each in keep else " " for each in text)
