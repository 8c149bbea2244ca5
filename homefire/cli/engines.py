"""`homefire engine`: engines that are not Homefire's own child processes, the order in which they stand in for each other, and
native builds of the own one (`builds.py`).

Promises: a key comes from a file or from standard input, never from the command line, and is never printed.
Does not cover: what an engine may be asked (the daemon decides).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homefire.cli import builds
from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import InvalidRequest

AT = "/homefire/v1/engines"
# The daemon waits for an engine for this long at most, and then says so.
CHECK_SECONDS = 60.0


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire engine list | add | check | grant | revoke | remove | chain`, and the verbs of `builds.py`."""
    options = _parser().parse_args(argv)
    with Homefire.connect() as home:
        match options.action:
            case "add":
                return _add(home, options)
            case "check":
                return _check(home, options)
            case "grant" | "revoke":
                found = home.post(f"{_one(options.name)}/{options.action}")
                said = "may be asked now" if options.action == "grant" else "is not asked any more"
                print_json(found) if options.json else print(f"{options.name} {said}.")
            case "remove":
                home.delete(_one(options.name))
                print_json({"removed": options.name}) if options.json else print(f"Removed {options.name}.")
            case "chain":
                _chain(home, options)
            case "list":
                _list(home, options.json)
            case _:
                return builds.run(home, options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = parser_for("engine")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        return sub

    action("list", "list the builds of the own engine, other engines and the orders of fallback; asks none of them")
    builds.add_actions(action)
    sub = action("add", "add an engine; one that is not on this machine stays off until it is granted")
    sub.add_argument("name")
    sub.add_argument("--url", required=True, help="where it is, such as http://127.0.0.1:8000")
    sub.add_argument("--kind", default="openai", help="openai, vllm, llama-server or ollama (default: openai)")
    sub.add_argument("--model", action="append", default=[], help="the only models that may be asked for; repeat it")
    sub.add_argument("--key-file", type=Path, help="a file that holds the key and nothing else; - reads standard input")
    for name, text in (
        ("check", "ask an engine whether it is there and which models it has"),
        ("grant", "let requests go to an engine, and accept the models that stand there now"),
        ("revoke", "turn off an engine that is not on this machine"),
        ("remove", "forget an engine and its key"),
    ):
        action(name, text).add_argument("name")
    sub = action("chain", "set who answers for a model's name, in turn; no names: nobody but itself")
    sub.add_argument("model")
    sub.add_argument("order", nargs="*", metavar="NAME", help="a model here, or ENGINE/MODEL")
    return parser


def _one(name: str) -> str:
    return f"{AT}/{quote(name, safe='')}"


def _add(home: Homefire, options: argparse.Namespace) -> int:
    body = {"name": options.name, "url": options.url, "kind": options.kind, "models": options.model}
    if options.key_file is not None:
        body["key"] = _key(options.key_file)
    made = home.post(AT, body)
    if options.json:
        print_json(made)
    elif made["usable"]:
        print(f"Added {made['name']}. See what it has with: homefire engine check {made['name']}")
    else:
        print(f"Added {made['name']}. {made['url']} is not this machine, so nothing is sent there")
        print(f"until you allow it: homefire engine grant {made['name']}")
    return 0


def _key(file: Path) -> str:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise InvalidRequest(f"{file} cannot be read: {why}.", param="key-file") from None
    if not (found := text.strip()):
        raise InvalidRequest(f"{file} is empty.", "Put the key into it, and nothing else.", param="key-file")
    return found


def _check(home: Homefire, options: argparse.Namespace) -> int:
    found = home.post(f"{_one(options.name)}/check", seconds=CHECK_SECONDS)
    if options.json:
        print_json(found)
    elif found["ok"]:
        print(f"{options.name} answered after {found['seconds']:.2f} s.")
        for model in found["models"]:
            window = f"  ({model['context_length']:,} tokens)" if model["context_length"] else ""
            print(f"  {options.name}/{model['id']}{window}")
    else:
        error = found["error"]
        print(f"{error['message']}\n  {error['next_step']}  [{error['code']}]", file=sys.stderr)
    return 0 if found["ok"] else 1


def _chain(home: Homefire, options: argparse.Namespace) -> None:
    found = home.put("/homefire/v1/chains", {"model": options.model, "order": options.order})
    if options.json:
        print_json(found)
    elif options.order:
        print(f"{options.model} is answered by {', then '.join(options.order)}.")
    else:
        print(f"{options.model} has no order of fallback.")


def _list(home: Homefire, as_json: bool) -> None:
    found = {**home.get(AT), "native": home.get(builds.AT)}
    if as_json:
        print_json(found)
        return
    print("\n".join(builds.lines(found["native"])))
    for engine in found["engines"]:
        print(f"{engine['name']}  {engine['kind']}  {engine['url']}  {_state(engine)}")
        if models := engine["models"] or engine["found"]:
            print(f"    {', '.join(models[:8])}{', ...' if len(models) > 8 else ''}")
    for model, order in found["chains"].items():
        print(f"{model} -> {' -> '.join(order)}")
    if not found["engines"] and not found["chains"]:
        print("No other engines. Add one with: homefire engine add NAME --url URL")


def _state(engine: dict[str, Any]) -> str:
    where = "on this machine" if engine["local"] else "granted" if engine["granted"] else "off, not granted"
    rests = f", rests {engine['rest_s']:.0f} s after failures" if engine["state"] == "open" else ""
    return where + rests
