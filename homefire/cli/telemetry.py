"""`homefire telemetry`: whether records are made, what is in them, sending them.

Promises: `show` prints the bytes that `send` would send; nothing is sent by any other verb.
Does not cover: what is counted (`homefire/telemetry.py`).
"""

from __future__ import annotations

import argparse
import sys

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire

AT = "/homefire/v1/telemetry"


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire telemetry status | on | off | show | send --to URL`."""
    parser = parser_for("telemetry")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    rows = {
        "status": "whether it is on, and how many records wait",
        "on": "begin to count; nothing is sent",
        "off": "stop, and delete what waits",
        "show": "print what waits, byte for byte; if nothing does, what today's record would be now",
        "send": "send what waits to an address, and delete what was taken",
    }
    for name, text in rows.items():
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        if name == "send":
            sub.add_argument("--to", metavar="URL", required=True, help="https, or http of this machine")
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        if options.action == "send":
            found = home.post(f"{AT}/send", {"to": options.to}, seconds=300)
        elif options.action in ("on", "off"):
            found = home.put(AT, {"on": options.action == "on"})
        else:
            found = home.get(AT)
    if options.json:
        print_json(found)
    elif options.action == "send":
        print(f"{len(found['sent'])} records were taken by {found['to']}.")
    elif options.action == "show":
        _show(found)
    else:
        print(
            f"Telemetry is {'on' if found['on'] else 'off'}; {len(found['queued'])} records wait. Nothing is sent by itself."
        )
        print("\n".join(f"  {name}: {text}" for name, text in found["fields"].items()))
    return 0


def _show(found: dict[str, object]) -> None:
    queued = found["queued"]
    assert isinstance(queued, list)
    if not queued:
        print("No record waits. Today's would be, as of now:", file=sys.stderr)
    sys.stdout.write("".join(row["text"] for row in queued) or str(found["now"]))
