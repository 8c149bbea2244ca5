"""`homefire ps | why | load | unload | kept`: what is in memory, why, and what a person wants there.

Promises: what was estimated and what was measured stand apart; `load` returns when the model is ready, `unload` when it is gone.
Does not cover: what is on the disk (`models.py`).
"""

from __future__ import annotations

import argparse
import time
from typing import Any
from urllib.parse import quote

from homefire.cli.bars import duration, memory, table
from homefire.cli.main import parser_for, print_json
from homefire.client import ANSWER_SECONDS, Homefire

AT = "/homefire/v1"


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    parser = parser_for(verb)
    if verb == "why":
        parser.add_argument("model", nargs="?", default="", help="of this model only")
        parser.add_argument("--limit", type=int, default=20, help="how many (20)")
    elif verb == "load":
        parser.add_argument("model", help="a model's name, or a role")
        parser.add_argument("--keep-alive", help='seconds of idleness until it leaves, or such as "5m"; -1: it stays')
        parser.add_argument("--pin", action="store_true", help="keep it in memory, whoever needs room")
        parser.add_argument("--unpin", action="store_true", help="let it leave again")
    elif verb == "unload":
        parser.add_argument("model", help="a model's name, or a role")
        parser.add_argument("--now", action="store_true", help="do not wait for the answers under way")
    elif verb == "kept":
        parser.add_argument("--clear", action="store_true", help="delete them all; only time is lost")
    options = parser.parse_args(argv)
    with Homefire.connect() as home:
        return VERBS[verb](options, home)


def _ps(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{AT}/residency")
    if options.json:
        print_json(found)
        return 0
    if not found["models"]:
        print("No model is in memory; one is loaded when it is asked.")
    else:
        rows = [_resident(row) for row in found["models"]]
        print(table(("NAME", "STATE", "ESTIMATED", "MEASURED", "IN USE", "PER MINUTE", "LEAVES"), rows))
        for row in found["models"]:
            smaller = " (smaller than usual: its memory ran out)" if row["smaller"] else ""
            print(f"  {row['name']}: {row['why']}; loaded with {row['as_loaded'] or 'what it needs'}{smaller}")
    for row in found["waiting"]:
        senders = f", {row['keys']} senders" if row["keys"] > 1 else ""
        print(
            f"waiting for {row['model']}: {row['requests']} requests{senders}, the oldest for "
            f"{duration(row['oldest_s'])}; the next turn in about {duration(row['eta_s'])}"
        )
    for row in found["devices"]:
        room = f"{memory(row['reserved_bytes'])} of {memory(row['room_bytes'])} are promised"
        print(f"{row['name']}: {room} ({row['why']})")
    for row in found["in_host_memory"]:
        share = "" if row["share"] is None else f", {100 * row['share']:.0f} % of it there"
        print(f"waiting in host memory: {row['model']} ({memory(row['bytes'])}{share})")
    if leaving := found["next_to_leave"]:
        when = f" in {duration(leaving['in_s'])}" if leaving["in_s"] is not None else ""
        print(f"next to leave: {leaving['model']}{when}, {leaving['why']}")
    return 0


def _resident(row: dict[str, Any]) -> tuple[str, ...]:
    slots = f"{row['leases']} of {row['slots']}" if row["slots"] else str(row["leases"])
    if row["pinned"]:
        leaves = "never (pinned)"
    elif row["leaves_in_s"] is not None:
        leaves = f"in {duration(row['leaves_in_s'])}"
    else:
        leaves = "in use" if row["leases"] else "when its memory is needed"
    estimated = " + ".join(
        f"{memory(size)}{'' if name == 'host' else f' {name}'}" for name, size in row["estimated_bytes"].items()
    )
    measured = memory(row["measured_bytes"]) if row["measured_bytes"] else "-"
    return row["name"], row["state"], estimated, measured, slots, f"{row['requests_per_minute']:g}", leaves


def _why(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{AT}/decisions", model=options.model, limit=options.limit)
    if options.json:
        print_json(found)
        return 0
    if not found["decisions"]:
        print("Nothing was decided yet.")
    now = time.time()
    for entry in reversed(found["decisions"]):
        when = moment(entry["at"], now)
        times = f" ({entry['times']} times)" if entry["times"] > 1 else ""
        print(f"{when}  {entry['kind'].replace('_', ' '):15} {entry['model']}: {entry['reason']}{times}")
    return 0


def moment(at: float, now: float) -> str:
    """A time of today as the clock shows it, another with its date."""
    today = time.strftime("%Y-%m-%d ", time.localtime(now))
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)).removeprefix(today)


def _load(options: argparse.Namespace, home: Homefire) -> int:
    body: dict[str, Any] = {"keep_alive": options.keep_alive} if options.keep_alive is not None else {}
    if options.pin or options.unpin:
        body["pin"] = options.pin
    found = home.post(f"{AT}/models/{quote(options.model, safe='')}/load", body, seconds=ANSWER_SECONDS)
    if options.json:
        print_json(found)
        return 0
    row = found["model"]
    keeps = row["keep_alive_s"]
    stays = "until it is unpinned" if row["pinned"] else f"{duration(keeps)} after its last use" if keeps else ""
    print(f"{row['name']} is in memory{f', and stays {stays}' if stays else ''}.")
    return 0


def _unload(options: argparse.Namespace, home: Homefire) -> int:
    at = f"{AT}/models/{quote(options.model, safe='')}/unload"
    found = home.post(at, {"now": options.now}, seconds=ANSWER_SECONDS)
    if options.json:
        print_json(found)
    else:
        print(f"{found['name']} has left the memory." if found["unloaded"] else f"{found['name']} was not in memory.")
    return 0


def _kept(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{AT}/kept")
    if options.clear:
        home.delete(f"{AT}/kept")
        found = {"removed": len(found["kept"]), "bytes": found["bytes"]}
    if options.json:
        print_json(found)
    elif options.clear:
        print(f"{found['removed']} KV caches were deleted ({memory(found['bytes'])}).")
    elif not found["kept"]:
        print("No KV caches are kept; they are when a conversation's model leaves the memory.")
    else:
        now = time.time()
        rows = [
            (row["conversation"] or "-", f"{row['tokens']:,}", memory(row["bytes"]), duration(now - row["used_at"]))
            for row in found["kept"]
        ]
        print(table(("CONVERSATION", "TOKENS", "BYTES", "UNUSED FOR"), rows))
        print(f"{memory(found['bytes'])} of {memory(found['quota_bytes'])}")
    return 0


VERBS = {"ps": _ps, "why": _why, "load": _load, "unload": _unload, "kept": _kept}
