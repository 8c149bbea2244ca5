"""`homefire key` and `homefire audit`.

Promises: a key is printed once, when it is made or rotated; nothing else prints one.
Does not cover: what a scope opens (the daemon decides).
"""

from __future__ import annotations

import argparse
import json
import re
import time
from typing import Any
from urllib.parse import quote

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import InvalidRequest, UnknownKey

AT = "/homefire/v1/keys"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire key list | show | add | rotate | revoke` and `homefire audit`."""
    if verb == "audit":
        return _audit(argv)
    options = _parser().parse_args(argv)
    with Homefire.connect() as home:
        match options.action:
            case "add":
                _made(home, home.post(AT, _body(options)), options.json)
            case "rotate":
                grace = {"grace_seconds": _seconds(options.grace)} if options.grace else {}
                _made(home, home.post(f"{_one(options.name)}/rotate", grace), options.json)
            case "revoke":
                home.delete(_one(options.name))
                print_json({"revoked": options.name}) if options.json else print(f"Revoked {options.name}.")
            case _:
                _show(home, getattr(options, "name", None), options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = parser_for("key")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        return sub

    action("list", "list the keys and what they may do")
    action("show", "show one key, or all; never its secret").add_argument("name", nargs="?")
    adding = action("add", "make a key and print it, once")
    adding.add_argument("name")
    adding.add_argument("--scope", default="chat", help="chat, models, ..., admin, with commas between (default: chat)")
    adding.add_argument(
        "--expires", metavar="TIME", help="how long it is valid, such as 12h or 30d (default: for ever)"
    )
    adding.add_argument("--rpm", type=int, default=0, metavar="N", help="requests in any sixty seconds")
    adding.add_argument("--tpm", type=int, default=0, metavar="N", help="tokens in any sixty seconds")
    adding.add_argument("--concurrent", type=int, default=0, metavar="N", help="requests at one time")
    rotating = action("rotate", "make a new secret for a key and print it, once; the old one is valid for a while")
    rotating.add_argument("name")
    rotating.add_argument("--grace", metavar="TIME", help="how long the old one is valid still (default: 24h; 0s: not)")
    action("revoke", "end a key, and what it has under way").add_argument("name")
    return parser


def _one(name: str) -> str:
    return f"{AT}/{quote(name, safe='')}"


def _body(options: argparse.Namespace) -> dict[str, Any]:
    body: dict[str, Any] = {"name": options.name, "scopes": [each for each in options.scope.split(",") if each]}
    if options.expires:
        body["expires_in"] = _seconds(options.expires)
    for name, value in (
        ("requests_per_minute", options.rpm),
        ("tokens_per_minute", options.tpm),
        ("concurrent", options.concurrent),
    ):
        if value:
            body[name] = value
    return body


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([smhdwy])", text)
    if found is None:
        raise InvalidRequest(f"'{text[:40]}' is no length of time.", "Write a number and s, m, h, d, w or y: 30d.")
    return float(int(found[1]) * UNITS[found[2]])


def _show(home: Homefire, name: str | None, as_json: bool) -> None:
    found = home.get(AT)["keys"]
    if name is not None:
        found = [key for key in found if key["name"] == name]
        if not found:
            raise UnknownKey(f"There is no key named '{name}'.", param="name")
    if as_json:
        print_json({"keys": found} if name is None else found[0])
        return
    for key in found:
        used = _day(key["last_used_at"]) if key["last_used_at"] else "never"
        ends = f", valid until {_day(key['expires_at'])}" if key["expires_at"] else ""
        print(f"{key['name']}  {','.join(key['scopes'])}  (made {_day(key['created_at'])}, last used {used}{ends})")
        if limits := [f"{value} {kind.replace('_', ' ')}" for kind, value in key["limits"].items() if value]:
            print(f"    at most {', '.join(limits)}")
        if key["old_until"] and key["old_until"] > time.time():
            print(f"    its secret from before opens until {_day(key['old_until'])}")


def _made(home: Homefire, made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    url = home.status()["url"]
    print(f"{made['key']}\n\nKeep it: it is not shown again. It may do: {', '.join(made['scopes'])}.")
    if made["old_until"]:
        print(f"The one from before is valid until {_day(made['old_until'])}.")
    print(f"Any OpenAI client works with\n  base URL  {url}/v1\n  API key   the line above")


def _audit(argv: list[str]) -> int:
    parser = parser_for("audit")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many entries (default: 50)")
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        found = home.get("/homefire/v1/audit", limit=options.limit)
    if options.json:
        print_json(found)
        return 0
    for entry in reversed(found["entries"]):
        about = f" {entry['about']}" if entry["about"] else ""
        detail = f"  {json.dumps(entry['detail'], ensure_ascii=False)}" if entry["detail"] else ""
        print(f"{_day(entry['at'])}  {entry['who']}: {entry['what']}{about}{detail}")
    return 0


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
