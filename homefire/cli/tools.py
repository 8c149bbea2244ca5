"""`homefire tools list | show | allow | deny`: what agents can do here, and what they may.

Promises: what a tool may reach is said with the grant, never guessed: without `--folder` a tool for files stays in the run's own
folder, without `--host` nothing goes out; `deny` takes everything back at once.
Does not cover: a single effect (`homefire agent approve`), what the daemon checks.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homefire.cli.bars import table
from homefire.cli.main import parser_for, print_json
from homefire.cli.steps import say_of, short
from homefire.client import Homefire
from homefire.errors import UnknownTool

AT = "/homefire/v1/tools"


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    options = _parser(verb).parse_args(argv)
    with Homefire.connect() as home:
        return {"list": _list, "show": _show, "allow": _allow, "deny": _deny}[options.action](options, home)


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = parser_for(verb)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        sub.add_argument("--key", metavar="NAME", help="of this key, not of the person")
        if name != "list":
            sub.add_argument("name", help="a tool")
        return sub

    action("list", "list the tools, what they can do and whether they may")
    action("show", "everything about one")
    allow = action("allow", "grant a tool, in the place of an earlier grant of it")
    allow.add_argument("--folder", type=Path, action="append", default=[], help="it may reach this folder; repeat it")
    allow.add_argument("--host", action="append", default=[], help="it may reach this host, such as '*.example.org'")
    allow.add_argument("--recipient", action="append", default=[], help="it may send to this one; repeat it")
    allow.add_argument("--ask", action="store_true", help="a person is asked every time")
    allow.add_argument("--largest", type=int, metavar="BYTES", help="most bytes of arguments (65536)")
    action("deny", "take a grant back")
    return parser


def _list(options: argparse.Namespace, home: Homefire) -> int:
    found = _all(options, home)
    if options.json:
        print_json({"tools": found})
        return 0
    rows = [
        (say_of(row["name"]), row["risk"], "no" if row["why_not"] else "yes", row["asks"], bounds(row),
         short(row["description"], 60))
        for row in found
    ]  # fmt: skip
    print(table(("TOOL", "RISK", "MAY", "ASKS", "REACHES", "WHAT"), rows) if rows else "There are no tools here.")
    return 0


def _show(options: argparse.Namespace, home: Homefire) -> int:
    found = next((row for row in _all(options, home) if row["name"] == options.name), None)
    if found is None:
        raise UnknownTool(f"There is no tool '{options.name[:80]}'.", param="name")
    if options.json:
        print_json(found)
        return 0
    rows = [
        ("what", say_of(found["description"])),
        ("risk", found["risk"] + (", what it gives is private" if found["private"] else "")
         + (", what it is given can leave this machine" if found["leads_out"] else "")),
        ("may", found["why_not"] or "yes"),
        ("asks", found["asks"] + (f": {found['asks_why']}" if found["asks_why"] else "")),
        ("reaches", bounds(found) or "nothing beyond its own folder"),
        ("takes", say_of(json.dumps(found["parameters"].get("properties", {}), ensure_ascii=False))),
    ]  # fmt: skip
    print(say_of(found["name"]))
    print("\n".join(f"  {name:8} {value}" for name, value in rows))
    return 0


def _allow(options: argparse.Namespace, home: Homefire) -> int:
    body: dict[str, Any] = {
        "folders": [str(each.expanduser().absolute()) for each in options.folder],
        "hosts": options.host,
        "recipients": options.recipient,
        "ask": options.ask,
    }
    body |= {"key": options.key} if options.key else {}
    body |= {"largest": options.largest} if options.largest is not None else {}
    found = home.put(f"{_one(options.name)}/grant", body)
    if options.json:
        print_json(found)
        return 0
    reach = bounds(found)
    print(f"Granted {found['name']}{f', with {reach}' if reach else ''}; asks {found['asks']}.")
    if found["why_not"]:
        print(f"  It cannot be used all the same: {found['why_not']}")
    return 0


def _deny(options: argparse.Namespace, home: Homefire) -> int:
    home.delete(f"{_one(options.name)}/grant" + (f"?key={quote(options.key, safe='')}" if options.key else ""))
    print_json({"denied": options.name}) if options.json else print(f"{options.name} may not be used any more.")
    return 0


def bounds(row: dict[str, Any]) -> str:
    """What a grant reaches."""
    grant = row["grant"] or {}
    found = [f"{name} {', '.join(grant[name])}" for name in ("folders", "hosts", "recipients") if grant.get(name)]
    return say_of("; ".join(found))


def _all(options: argparse.Namespace, home: Homefire) -> list[dict[str, Any]]:
    found = home.get(AT, **({"key": options.key} if options.key else {}))["tools"]
    return [each for each in found if isinstance(each, dict)]


def _one(name: str) -> str:
    if not name.strip():
        raise UnknownTool("A tool's name is missing.", param="name")
    return f"{AT}/{quote(name, safe='')}"
