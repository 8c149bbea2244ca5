"""`homefire policy show | check | approve`: the rules of what may go in, what they say of a text, and a yes to their question.

Promises: `check` lets nothing in and counts nothing; its exit status is 1 for a text that would be refused or asked about.
Does not cover: changing rules: they stand in policy.toml in the home.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from homefire.cli.bars import table
from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import InvalidRequest

AT = "/homefire/v1/policy"


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    parser = parser_for(verb)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="the rules in force, in their order")
    check = actions.add_parser("check", help="what they say of a text")
    check.add_argument("text", nargs="?", help="the text")
    check.add_argument("--file", help="a file that holds it; - is standard input")
    check.add_argument(
        "--where", choices=("user", "tool_result", "file", "web"), default="user", help="where it is from"
    )
    approve = actions.add_parser("approve", help="say yes to a question of the policy, once")
    approve.add_argument("token", help="the token it gave")
    for each in (show, check, approve):
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        return {"show": _show, "check": _check, "approve": _approve}[options.action](options, home)


def _show(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(AT)
    if options.json:
        print_json(found)
        return 0
    rows = [(r["id"], r["kind"], r["action"], ", ".join(r["where"]), r["source"], r["reason"]) for r in found["rules"]]
    print(table(("RULE", "KIND", "ACTION", "WHERE", "FROM", "REASON"), rows))
    semantic = found["semantic"]
    print(f"mode: {found['mode']}")
    if semantic["active"]:
        print(f"by meaning: with {semantic['model'][:60]}, threshold {semantic['threshold']:g}")
    elif semantic["problem"]:
        print(f"by meaning: not now, {semantic['problem']}; rules alone decide")
    return 0


def _check(options: argparse.Namespace, home: Homefire) -> int:
    decision = home.post(f"{AT}/check", {"text": _text(options), "where": options.where}, seconds=120)["decision"]
    if options.json:
        print_json({"decision": decision})
    else:
        print("\n".join(_lines(decision)))
    return 1 if decision["action"] in ("refuse", "ask") else 0


def _lines(decision: dict[str, Any]) -> list[str]:
    by = f" by the rule '{decision['rule']}'" if decision["rule"] else "; no rule applies"
    lines = [f"{decision['action']}{by} (mode {decision['mode']})"]
    lines += [f"  {decision['reason']}"] if decision["reason"] else []
    if decision["span"]:
        lines.append(f"  characters {decision['span'][0]} to {decision['span'][1]}, seen as {decision['view']}")
    lines += [f"  it would go on as: {decision['text'][:500]}"] if decision["text"] is not None else []
    return lines + ([f"  {decision['note']}"] if decision["note"] else [])


def _text(options: argparse.Namespace) -> str:
    if (options.text is None) == (options.file is None):
        raise InvalidRequest("Give a text, or --file FILE.", "For example: homefire policy check 'hello'")
    if options.file is None:
        return str(options.text)
    try:
        return sys.stdin.read() if options.file == "-" else Path(options.file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRequest(f"{options.file} cannot be read: {problem}.", "Give a file of UTF-8 text.") from None


def _approve(options: argparse.Namespace, home: Homefire) -> int:
    home.post(f"{AT}/approve", {"token": options.token})
    if options.json:
        print_json({"approved": options.token})
    else:
        print("Approved for ten minutes, once. Send it again.")
    return 0
