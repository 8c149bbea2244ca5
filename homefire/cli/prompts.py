"""`homefire prompts list | show | edit | diff | rollback | remove | render | pack | unpack | compress`: what models are told.

Promises: `edit` writes nothing if nothing was changed, or if somebody else changed the prompt meanwhile; `rollback` takes back
what it wrote. Files named here are read and written by this command, not by the daemon.
Does not cover: the language of prompts (docs/agent.md).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homefire.cli.bars import table
from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import InvalidRequest, UnknownPrompt

AT = "/homefire/v1/prompts"
LARGEST = 16 * 2**20


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    parser = parser_for(verb)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    every = [actions.add_parser("list", help="all prompts, Homefire's own too")]
    for name, text in (
        ("show", "one with its text, variables and versions"),
        ("edit", "change one, or begin one: in $EDITOR, or with --file"),
        ("diff", "what the last change changed, or the lines between two versions"),
        ("rollback", "put an earlier version in force; without a number the one before"),
        ("remove", "forget one of your own with all its versions"),
        ("render", "its text with values"),
    ):
        each = actions.add_parser(name, help=text)
        each.add_argument("name", help="the prompt")
        every.append(each)
    _, show, edit, diff, rollback, _, render = every
    show.add_argument("--version", type=int, help="another version than the one in force")
    edit.add_argument("--file", help="the new text; - is standard input")
    edit.add_argument("--why", default="", help="what the change is for")
    diff.add_argument("--from", dest="first", type=int, help="a version")
    diff.add_argument("--to", dest="second", type=int, help="a version")
    rollback.add_argument("version", type=int, nargs="?", help="a version; 0 is Homefire's own")
    render.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable's value")
    render.add_argument("--version", type=int, help="another version than the one in force")
    pack = actions.add_parser("pack", help="write prompts into one file, signed, to hand on")
    pack.add_argument("file", type=Path, help="where to")
    pack.add_argument("names", nargs="+", help="the prompts")
    pack.add_argument("--name", help="the pack's name (default: the file's)")
    pack.add_argument("--unsigned", action="store_true", help="without a signature")
    unpack = actions.add_parser("unpack", help="take a pack in")
    unpack.add_argument("file", type=Path, help="the pack")
    unpack.add_argument("--trust", action="store_true", help="trust the key that signed it, from now on")
    unpack.add_argument("--unsigned", action="store_true", help="take it though nobody signed it")
    unpack.add_argument("--replace", action="store_true", help="put its texts in the place of those that are there")
    short = actions.add_parser("compress", help="make a text shorter without a model, and say what went")
    short.add_argument("file", help="the text; - is standard input")
    short.add_argument("--level", choices=("light", "usual", "hard"), default="usual", help="how much may go")
    short.add_argument("--model", default="", help="whose tokens are counted (default: the role main)")
    for each in (*every, pack, unpack, short):
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        return ACTIONS[options.action](options, home)


def _list(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(AT)
    if options.json:
        print_json(found)
        return 0
    rows = [(each["name"], _state(each), _plain(each["about"])) for each in found["prompts"]]
    print(table(("PROMPT", "VERSION", "ABOUT"), rows))
    return 0


def _state(row: dict[str, Any]) -> str:
    own = "Homefire's own" if row["own"] else row["pack"] and f"of the pack {row['pack']}"
    if row["bound"]:
        return f"bound to {row['bound']}"
    if row["own"] and not row["version"]:
        return own
    changed = " (Homefire's text is another by now)" if row["own_changed"] else ""
    return f"{row['version']}{', changed by you' if row['own'] else ', ' + own if own else ''}{changed}"


def _show(options: argparse.Namespace, home: Homefire) -> int:
    query = {} if options.version is None else {"version": options.version}
    found = home.get(_one(options.name), **query)
    if options.json:
        print_json(found)
        return 0
    print(found["text"])
    print(f"\n{found['name']}: version {found['version']} of {len(found['versions'])}", file=sys.stderr)
    for each in found["variables"]:
        default = "needed" if each["default"] is None else f"default {json.dumps(each['default'], ensure_ascii=False)}"
        print(f"  {each['name']}: {each['type']}, {default}. {_plain(each['about'])}", file=sys.stderr)
    for each in found["versions"]:
        mark = "*" if each["version"] == found["current"] else " "
        print(f" {mark} {each['version']:>4}  {_plain(each['by'])}  {_plain(each['why'])}", file=sys.stderr)
    return 0


def _edit(options: argparse.Namespace, home: Homefire) -> int:
    try:
        shown = home.get(_one(options.name))
        before, on = str(shown["text"]), int(shown["current"])
    except UnknownPrompt:
        before, on = "", 0
    text = (
        in_editor(before, f"homefire prompts edit {options.name} --file FILE")
        if options.file is None
        else read_file(options.file)
    )
    text = text.rstrip("\n")
    if text == before or not text.strip():
        print("Nothing was changed.", file=sys.stderr)
        found = {"name": options.name, "version": on, "changed": False}
    else:
        found = {**home.put(_one(options.name), {"text": text, "why": options.why, "on": on}), "changed": True}
    if options.json:
        print_json(found)
    elif found["changed"]:
        print(
            f"{found['name']}: version {found['version']} is in force. Undo: homefire prompts rollback {found['name']}"
        )
    return 0


def in_editor(before: str, instead: str) -> str:
    """What a person makes of it; `instead`: the command that needs no editor. Raises InvalidRequest without an editor or a
    terminal."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    if not editor or not sys.stdin.isatty():
        raise InvalidRequest("There is no editor (EDITOR), or no terminal.", f"Give a file: {instead}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompt.txt"
        file.write_text(before + "\n", "utf-8")
        try:
            status = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode
        except (OSError, ValueError) as problem:
            raise InvalidRequest(f"The editor did not start: {problem}.", "Set EDITOR, or give --file FILE.") from None
        if status:
            raise InvalidRequest(f"The editor ended with {status}; nothing was changed.", "Try again.")
        return read_file(str(file))


def _diff(options: argparse.Namespace, home: Homefire) -> int:
    query = {"from": options.first, "to": options.second}
    found = home.get(f"{_one(options.name)}/diff", **{name: each for name, each in query.items() if each is not None})
    if options.json:
        print_json(found)
    else:
        print("\n".join(found["lines"]) if found["lines"] else "The versions are the same.")
    return 0


def _rollback(options: argparse.Namespace, home: Homefire) -> int:
    body = {} if options.version is None else {"version": options.version}
    found = home.post(f"{_one(options.name)}/rollback", body)
    print_json(found) if options.json else print(f"{found['name']}: version {found['version']} is in force.")
    return 0


def _remove(options: argparse.Namespace, home: Homefire) -> int:
    home.delete(_one(options.name))
    print_json({"removed": options.name}) if options.json else print(f"{options.name} is forgotten.")
    return 0


def _render(options: argparse.Namespace, home: Homefire) -> int:
    values = {}
    for each in options.set:
        name, found, value = each.partition("=")
        if not found:
            raise InvalidRequest(f"Not NAME=VALUE: {each[:80]!r}", "Write: --set name=value", param="set")
        values[name] = value
    version = {} if options.version is None else {"version": options.version}
    made = home.post(f"{_one(options.name)}/render", {"values": values, "words": True, **version})
    print_json(made) if options.json else print(made["text"])
    return 0


def _pack(options: argparse.Namespace, home: Homefire) -> int:
    body = {"pack": options.name or options.file.stem, "names": options.names, "sign": not options.unsigned}
    made = home.post(f"{AT}/pack", body)
    try:
        with options.file.open("x", encoding="utf-8") as out:
            json.dump(made["pack"], out, ensure_ascii=False, indent=1)
            out.write("\n")
    except OSError as problem:
        raise InvalidRequest(f"{options.file} cannot be written: {problem}.", "Name a new file.") from None
    found = {"file": str(options.file), "pack": body["pack"], "prompts": len(options.names)}
    if options.json:
        print_json({**found, "fingerprint": made["fingerprint"]})
    else:
        signed = f"signed by {made['fingerprint']}" if made["fingerprint"] else "not signed"
        print(f"{options.file}: {len(options.names)} prompts, {signed}.")
    return 0


def _unpack(options: argparse.Namespace, home: Homefire) -> int:
    body = {"trust": options.trust, "unsigned": options.unsigned, "replace": options.replace}
    found = home.post(f"{AT}/unpack", {"data": read_file(str(options.file)), **body})
    if options.json:
        print_json(found)
        return 0
    for what in ("added", "replaced"):
        for name, version in found[what].items():
            print(f"{what}: {name}, version {version}")
    for name in found["kept"]:
        print(f"left as it is: {name}; another text is there. See --replace")
    if not any(found[what] for what in ("added", "replaced", "kept")):
        print("All of it is here already.")
    return 0


def _compress(options: argparse.Namespace, home: Homefire) -> int:
    body = {"text": read_file(options.file), "level": options.level, "model": options.model}
    found = home.post(f"{AT}/compress", body, seconds=300)
    if options.json:
        print_json(found)
        return 0
    print(found["text"])
    print(f"\n{found['tokens_before']:,} tokens, now {found['tokens_after']:,}.", file=sys.stderr)
    for each in found["dropped"]:
        print(
            f"  line {each['line']}: {each['what']}, {each['tokens']} tokens: {_plain(each['text'])}", file=sys.stderr
        )
    return 0


ACTIONS = {
    "list": _list, "show": _show, "edit": _edit, "diff": _diff, "rollback": _rollback, "remove": _remove, "render": _render,
    "pack": _pack, "unpack": _unpack, "compress": _compress,
}  # fmt: skip


def _one(name: str) -> str:
    if not name.strip():
        raise InvalidRequest("A prompt's name is missing.", "See: homefire prompts list", param="name")
    return f"{AT}/{quote(name, safe='')}"


def read_file(name: str) -> str:
    """A file's text, "-" for standard input. Raises InvalidRequest."""
    try:
        if name == "-":
            return sys.stdin.read()
        file = Path(name)
        if file.stat().st_size > LARGEST:
            raise InvalidRequest(f"{name} has more than {LARGEST >> 20} MiB.", "Give a smaller file.")
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRequest(f"{name} cannot be read: {problem}.", "Give a file of UTF-8 text.") from None


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
