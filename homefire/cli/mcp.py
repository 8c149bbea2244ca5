"""`homefire mcp add | list | show | approve | remove | serve`: MCP servers whose tools agents may use, and being one.

Promises: a secret is never taken from the command line: `--env NAME` hands on a variable of this shell, `--key-file` names a
file; `serve` writes nothing but the protocol on standard output.
Does not cover: the protocol (the daemon speaks it), one call's approval beside its id.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from homefire.cli.bars import table
from homefire.cli.main import parser_for, print_json
from homefire.cli.steps import say_of, short
from homefire.client import Homefire
from homefire.errors import HomefireError, InvalidRequest

AT = "/homefire/v1/mcp"
# A tool may take long, or a model load first.
CALL_SECONDS = 900.0
LINES_AT_ONCE = 8


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    own, command = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    options = _parser(verb).parse_args(own)
    options.command = command
    with Homefire.connect() as home:
        return _ACTIONS[options.action](options, home)


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = parser_for(verb)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        return sub

    add = action("add", "add a server: homefire mcp add NAME --url URL, or NAME -- PROGRAM ARGUMENT ...")
    add.add_argument("name")
    add.add_argument("--url", default="", help="its address (streamable HTTP)")
    add.add_argument("--key-file", type=Path, help="a file with the key for its address")
    add.add_argument("--env", action="append", default=[], metavar="VARIABLE", help="hand this variable on; repeat it")
    action("list", "list the servers and whether they run").add_argument(
        "--key", metavar="NAME", help="grants of this key"
    )
    show = action("show", "everything about one: its tools, which are granted, changed, refused")
    show.add_argument("name")
    show.add_argument("--key", metavar="NAME", help="grants of this key")
    approve = action("approve", "grant its tools as they are now, or let one call through")
    approve.add_argument("name", nargs="?", default="")
    approve.add_argument("--tool", action="append", default=[], metavar="NAME", help="this one only; repeat it")
    approve.add_argument("--key", metavar="NAME", help="to this key, not to the person")
    approve.add_argument("--ask", action="store_true", help="a person is asked every time")
    approve.add_argument("--call", metavar="ID", help="yes to this one call of a client of ours")
    action("remove", "end a server and forget it").add_argument("name")
    action("serve", "be an MCP server on standard input and output, for another program to start")
    return parser


def _add(options: argparse.Namespace, home: Homefire) -> int:
    missing = [name for name in options.env if name not in os.environ]
    if missing:
        raise InvalidRequest(
            f"There is no variable '{missing[0][:80]}' in this shell.", f"Set it first: export {missing[0]}=..."
        )
    body: dict[str, Any] = {"name": options.name}
    body |= {"url": options.url} if options.url else {}
    body |= {"command": options.command} if options.command else {}
    body |= {"environment": {name: os.environ[name] for name in options.env}} if options.env else {}
    if options.key_file is not None:
        try:
            body["key"] = options.key_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise InvalidRequest(
                f"{options.key_file} cannot be read: {problem}.", "Name a file with the key."
            ) from None
    found = home.post(f"{AT}/servers", body)
    if options.json:
        print_json(found)
        return 0
    _print(found)
    if any(each["state"] == "new" for each in found["tools"]):
        print(f"Nothing of it is granted yet. Look at it, then: homefire mcp approve {say_of(found['name'])}")
    return 0


def _list(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{AT}/servers", **({"key": options.key} if options.key else {}))
    if options.json:
        print_json(found)
        return 0
    rows = [
        (say_of(row["name"]), row["state"], str(len(row["tools"])), str(sum(e["state"] == "granted" for e in row["tools"])),
         short(say_of(row["url"] or " ".join(row["command"])), 60))
        for row in found["servers"]
    ]  # fmt: skip
    print(table(("SERVER", "STATE", "TOOLS", "GRANTED", "WHAT"), rows) if rows else "There are no MCP servers.")
    return 0


def _show(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(_one(options.name), **({"key": options.key} if options.key else {}))
    print_json(found) if options.json else _print(found)
    return 0


def _print(found: dict[str, Any]) -> None:
    spoken = f", protocol {say_of(found['protocol'])}" if found["protocol"] else ""
    print(f"{say_of(found['name'])}: {found['state']}{spoken}")
    print(f"  {say_of(found['url'] or ' '.join(found['command']))}")
    if found["why"]:
        print(f"  {say_of(found['why'])}")
    rows = [
        (say_of(each["name"]), each["state"], each["risk"], short(say_of(each["why"] or each["description"]), 70))
        for each in found["tools"]
    ]
    if rows:
        print(table(("TOOL", "STATE", "RISK", "WHAT"), rows))


def _approve(options: argparse.Namespace, home: Homefire) -> int:
    if bool(options.call) == bool(options.name):
        raise InvalidRequest("Name a server, or one call with --call.", "See both with: homefire mcp approve --help")
    if options.call:
        found = home.post(f"{AT}/calls/{quote(options.call, safe='')}", {"yes": True})
        print_json(found) if options.json else print("That call may be made once, exactly as it was asked for.")
        return 0
    body: dict[str, Any] = {"tools": options.tool, "ask": options.ask}
    found = home.post(f"{_one(options.name)}/approve", body | ({"key": options.key} if options.key else {}))
    print_json(found) if options.json else _print(found)
    return 0


def _remove(options: argparse.Namespace, home: Homefire) -> int:
    home.delete(_one(options.name))
    print_json({"removed": options.name}) if options.json else print(f"{options.name} is gone, its secrets too.")
    return 0


def _serve(options: argparse.Namespace, home: Homefire) -> int:
    """Each line of standard input goes to `/mcp` of the daemon, each answer to standard output."""
    lock = Lock()

    def relay(line: str) -> None:
        answer = _answered(home, line)
        if answer is not None:
            with lock:
                sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
                sys.stdout.flush()

    with ThreadPoolExecutor(LINES_AT_ONCE) as pool:
        for line in sys.stdin:
            if line.strip():
                pool.submit(relay, line)
    return 0


def _answered(home: Homefire, line: str) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return _failed(None, -32700, "That is no JSON.")
    id_ = message.get("id") if isinstance(message, dict) else None
    try:
        return home.relay_mcp(message, CALL_SECONDS)
    except HomefireError as problem:
        return None if id_ is None else _failed(id_, -32603, f"{problem.message} {problem.next_step} [{problem.code}]")


def _failed(id_: Any, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": text}}


def _one(name: str) -> str:
    if not name.strip():
        raise InvalidRequest("A server's name is missing.", "See the names with: homefire mcp list")
    return f"{AT}/servers/{quote(name, safe='')}"


_ACTIONS = {"add": _add, "list": _list, "show": _show, "approve": _approve, "remove": _remove, "serve": _serve}
