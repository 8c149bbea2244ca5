"""`homefire key`: show, add, revoke.

Promises: a key is printed once, when it is made; `show` gives names only.
Does not cover: scopes and expiry (not in this version).
"""

from __future__ import annotations

import argparse
import time
from urllib.parse import quote

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire key show | add NAME | revoke NAME`."""
    parser = parser_for("key")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    showing = actions.add_parser("show", help="list the names of the keys")
    adding = actions.add_parser("add", help="make a key and print it, once")
    adding.add_argument("name")
    revoking = actions.add_parser("revoke", help="end a key")
    revoking.add_argument("name")
    for sub in (showing, adding, revoking):
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        if options.action == "add":
            _add(home, options.name, options.json)
        elif options.action == "revoke":
            home.delete(f"/homefire/v1/keys/{quote(options.name, safe='')}")
            print_json({"revoked": options.name}) if options.json else print(f"Revoked {options.name}.")
        else:
            _show(home, options.json)
    return 0


def _show(home: Homefire, as_json: bool) -> None:
    found = home.get("/homefire/v1/keys")
    if as_json:
        print_json(found)
        return
    for key in found["keys"]:
        used = _day(key["last_used_at"]) if key["last_used_at"] else "never"
        print(f"{key['name']}  (made {_day(key['created_at'])}, last used {used})")


def _add(home: Homefire, name: str, as_json: bool) -> None:
    made = home.post("/homefire/v1/keys", {"name": name})
    if as_json:
        print_json(made)
        return
    url = home.status()["url"]
    print(f"{made['key']}\n\nKeep it: it is not shown again. Any OpenAI client works with")
    print(f"  base URL  {url}/v1\n  API key   the line above")


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
