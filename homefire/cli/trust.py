"""`homefire backup | restore | verify | salvage`: copies of a home, whether it is what was written, and what can be saved of it.

Promises: `backup` and `verify` ask the daemon if one runs, else a child of this program does it; `restore` and `salvage` refuse
while a daemon runs, keep what they replace and say where it lies. `verify` ends with 1 if anything is damaged.
Does not cover: doing any of it (`homefire/store/`, by way of the daemon or `homefire/rescue.py`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homefire.cli.bars import Bar, size
from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import DaemonNotRunning, InternalError, InvalidRequest, from_envelope

AT = "/homefire/v1"
MOST_SHOWN = 20


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    parser = parser_for(verb)
    if verb == "backup":
        parser.add_argument("target", nargs="?", help="a new folder; default: one of its own in the home's backups")
        parser.add_argument(
            "--secrets", action="store_true", help="with keys, secrets.toml and tls: whoever has it gets in"
        )
        parser.add_argument(
            "--copies", action="store_true", help="copy model files on the same disk too, where a link would do"
        )
        parser.add_argument("--anyway", action="store_true", help="although rows of the database are damaged")
    elif verb == "restore":
        parser.add_argument("source", nargs="?", help="the folder of a backup")
        parser.add_argument(
            "--force", action="store_true", help="over a home in which there is something; it is kept aside"
        )
        parser.add_argument("--undo", action="store_true", help="bring back the home that the last restore kept aside")
    elif verb == "verify":
        parser.add_argument("source", nargs="?", help="the folder of a backup; default: this home")
        parser.add_argument("--no-blobs", action="store_true", help="only the database")
    options = parser.parse_args(argv)
    return {"backup": _backup, "restore": _restore, "verify": _verify, "salvage": _salvage}[verb](options)


def _backup(options: argparse.Namespace) -> int:
    target = str(Path(options.target).absolute()) if options.target else ""
    wishes = {"target": target, "secrets": options.secrets, "copies": options.copies, "anyway": options.anyway}
    done = _anywhere("backup", wishes, options)
    if options.json:
        print_json(done)
        return 0
    linked = f", {done['linked']} of them linked: they share this disk" if done["linked"] else ""
    print(f"{done['path']}: {done['files']} files, {size(done['bytes'])}{linked}; {done['rows']} rows checked.")
    if done["faulty_rows"]:
        print(f"{done['faulty_rows']} rows were damaged already. See: homefire verify")
    if not done["secrets"]:
        print("Keys and secrets are not in it (--secrets takes them).")
    return 0


def _verify(options: argparse.Namespace) -> int:
    if options.source:
        found = _offline("verify", {"source": str(Path(options.source).absolute())}, options)
    else:
        found = _anywhere("verify", {"blobs": not options.no_blobs}, options)
    if options.json:
        print_json(found)
    elif options.source:
        print(f"{found['path']}: {found['files']} files and {found['rows']} rows are what was written.")
    else:
        print("\n".join(_lines(found)))
    return 0 if found["whole"] else 1


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['rows']} rows and {found['blobs']} model files were read ({size(found['bytes'])})."
    for fault in found["faults"][:MOST_SHOWN]:
        where = "" if fault["row"] is None else f" row {fault['row']}"
        yield f"  DAMAGED  {fault['table']}{where}: {fault['what']}"
    if found["faulty_rows"] > MOST_SHOWN:
        yield f"  and {found['faulty_rows'] - MOST_SHOWN} more rows"
    yield from (f"  DAMAGED  {text}" for text in found["structure"][:MOST_SHOWN])
    yield from (f"  DAMAGED  blob {name}" for name in found["bad_blobs"][:MOST_SHOWN])
    if found["whole"]:
        yield "All of it is what was written."
        return
    if found["faulty_rows"] or found["structure"]:
        yield "Bring a backup back (homefire restore SOURCE), or save what can be read (homefire down, homefire salvage)."
    if found["bad_blobs"]:
        yield "Fetch the models of these files again; homefire models verify NAME says whose they are."


def _restore(options: argparse.Namespace) -> int:
    if options.undo == bool(options.source):
        raise InvalidRequest("Name the folder of a backup, or --undo.", "For example: homefire restore FOLDER")
    source = str(Path(options.source).absolute()) if options.source else ""
    done = _offline("restore", {"source": source, "force": options.force, "undo": options.undo}, options)
    if options.json:
        print_json(done)
    elif done["undone"]:
        print(f"The home from before is back; the other one lies in {done['kept']}.")
    else:
        print(f"{done['files']} files and {done['rows']} rows are back.")
        if done["kept"]:
            print(f"The home from before lies in {done['kept']}. It comes back with: homefire restore --undo")
    return 0


def _salvage(options: argparse.Namespace) -> int:
    done = _offline("salvage", {}, options)
    if options.json:
        print_json(done)
        return 0
    for name, table in done["tables"].items():
        if table["rows"] or table["lost"]:
            changed = f", {table['changed']} of them not as they were written" if table["changed"] else ""
            changed += f", {table['unproven']} found without a checksum" if table["unproven"] else ""
            print(f"  {name}: {table['rows']} rows saved{changed}, {table['lost']} lost")
    print(f"{done['rows']} rows saved, {done['lost']} lost. The damaged database lies in {done['kept']}.")
    return 0


def _anywhere(verb: str, body: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """By the daemon, or without one."""
    try:
        with Homefire.connect() as home, Bar() as bar:
            for event in home.stream(f"{AT}/{verb}", body):
                if event.name == "done":
                    return event.data
                if not options.json:
                    bar.show(verb, event.data["done_bytes"], event.data["total_bytes"])
    except DaemonNotRunning:
        return _offline(verb, body, options)
    raise InternalError("The daemon ended its answer early.", "See its log.")


def _offline(verb: str, wishes: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """By a child of this program. Raises what it failed with."""
    command = [sys.executable, "-m", "homefire.rescue", verb, json.dumps(wishes)]
    last: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child, Bar() as bar:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            try:
                last = json.loads(line)
            except ValueError:
                continue
            if "total_bytes" in last and not options.json:
                bar.show(verb, last["done_bytes"], last["total_bytes"])
        said = child.stderr.read()
    if "failed" in last:
        raise from_envelope(last["failed"])
    if "result" not in last:
        raise InternalError(f"It fell over: {said.strip()[-500:]}", "Nothing was replaced. Install again: make run")
    result: dict[str, Any] = last["result"]
    return result
