"""`homefire ingest` and `homefire knowledge`: folders taken in, and what was taken in looked at, kept fresh, checked, removed.

Promises: Ctrl-C in `ingest` ends the run, what it had done stays, and the same command goes on from there; nothing here touches
the folder itself.
Does not cover: searching (`finding.py`), doing any of it (the daemon does).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homefire.cli.bars import Bar, duration, size, table
from homefire.cli.finding import plain
from homefire.cli.main import parser_for, print_json
from homefire.client import ANSWER_SECONDS, Homefire
from homefire.errors import InternalError, InvalidRequest

AT = "/homefire/v1/knowledge"
PAGE = 1000


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    options = _ingest_parser().parse_args(argv) if verb == "ingest" else _parser().parse_args(argv)
    with Homefire.connect() as home:
        return _ingest(options, home) if verb == "ingest" else ACTIONS[options.action](options, home)


def _ingest_parser() -> argparse.ArgumentParser:
    parser = parser_for("ingest")
    parser.add_argument("path", type=Path, help="a folder or a file")
    parser.add_argument("--name", help="of the collection (default: the folder's)")
    parser.add_argument("--watch", action="store_true", default=None, help="keep it fresh from now on")
    parser.add_argument("--no-watch", dest="watch", action="store_false", help="no longer")
    parser.add_argument("--full", action="store_true", help="read what did not change too")
    parser.add_argument("--detach", action="store_true", help="return at once; it goes on in the background")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = parser_for("knowledge")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        if name != "list":
            sub.add_argument("name", help="a collection")
        return sub

    action("list", "list the collections")
    action("show", "everything about one")
    documents = action("documents", "list its documents, also what was not read and why")
    documents.add_argument("--state", choices=("read", "skipped", "failed"), help="only these")
    documents.add_argument("--limit", type=int, default=200, help="how many (200); 0: all")
    opened = action("open", "print lines of a document")
    opened.add_argument("place", metavar="PATH[:LINE]", help="as a search shows it")
    opened.add_argument("--count", type=int, default=40, help="lines (40)")
    action("remove", "forget a collection; its folder is not touched")
    action("verify", "read every byte again and compare").add_argument(
        "--repair", action="store_true", help="make anew what is damaged"
    )
    alike = action("duplicates", "documents that are nearly the same")
    alike.add_argument("--least", type=float, default=0.6, help="how alike, 0.3 to 1 (0.6)")
    action("export", "write a collection into one file").add_argument("target", type=Path, help="a new file")
    brought = actions.add_parser(
        "import", help="make a collection of an export", description="Make a collection of an export."
    )
    brought.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    brought.add_argument("source", type=Path, help="a file that `knowledge export` wrote")
    brought.add_argument("--name", help="of the collection (default: as it was called there)")
    action("watch", "keep a collection fresh").add_argument("--off", action="store_true", help="no longer")
    action("cancel", "end the run under way; what it has done stays")
    return parser


# -- taking in


def _ingest(options: argparse.Namespace, home: Homefire) -> int:
    path = str(options.path.expanduser().absolute())
    given = {"name": options.name, "watch": options.watch, "full": options.full or None}
    fields = {name: value for name, value in given.items() if value is not None}
    if options.detach:
        job = home.post(f"{AT}/ingest", {"path": path, "follow": False, **fields})
        print_json(job) if options.json else print(f"{job['collection']}: {job['state']}. See: homefire knowledge list")
        return 0
    said: dict[str, Any] = {}
    try:
        done = _followed(home, path, fields, said, shown=not options.json)
    except KeyboardInterrupt:
        return _stopped(options, home, said.get("collection", ""))
    if options.json:
        print_json(done)
    else:
        print("\n".join(_summary(done["job"], done["collection"])))
    return 0 if done["job"]["state"] == "done" else 1


def _followed(
    home: Homefire, path: str, fields: dict[str, Any], said: dict[str, Any], *, shown: bool
) -> dict[str, Any]:
    """Ingests and waits; `said` is the last state of the run, also when this is interrupted."""
    with Bar(sys.stderr) as bar:
        for event in home.ingest(path, **fields):
            if event.name == "done":
                return event.data
            said.update(event.data)
            if shown:
                total = said["total_bytes"] if said["counted"] else None
                label = f"  {said['collection']}: {said['files']:,} files, {tokens(said['tokens'])}"
                if said["state"] == "waiting":
                    label = f"  {said['collection']}: waiting"
                bar.show(label, said["bytes"], total, said["bytes_per_second"], said["eta_seconds"])
    raise InternalError("The stream ended without an end.")


def _stopped(options: argparse.Namespace, home: Homefire, name: str) -> int:
    if not name:  # it was too early to know what began
        print("If a run began, it goes on: homefire knowledge list", file=sys.stderr)
        return 130
    home.post(f"{_one(name)}/cancel", seconds=ANSWER_SECONDS)
    if options.json:
        print_json({"cancelled": name})
    else:
        print("Stopped; what was read is kept. The same command goes on from there.", file=sys.stderr)
    return 130


def _summary(job: dict[str, Any], collection: dict[str, Any] | None) -> Iterator[str]:
    name = job["collection"]
    if collection is None:
        yield f"{name} was removed meanwhile."
        return
    word = "" if job["state"] == "done" else " (the run was cancelled)"
    yield (
        f"{name}: {collection['documents']:,} documents, {tokens(collection['tokens'])}{word}; {job['files']:,} files in "
        f"{duration(job['seconds'])}, of which {job['unchanged']:,} were as before."
    )
    for state in ("skipped", "failed"):
        if collection[state]:
            yield f"  {collection[state]:,} {state}; see why: homefire knowledge documents {name} --state {state}"
    if collection["note"]:
        yield f"  {plain(collection['note'])}"
    if collection["meaning"]["state"] == "none":
        yield "  Found by words only: without an embedding model there is no search by meaning (homefire models search)."
    elif collection["meaning"]["state"] != "ready":
        yield "  Words are found at once; meaning follows in the background (homefire knowledge show)."


# -- looking


def _list(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(AT)
    if options.json:
        print_json(found)
        return 0
    rows = [
        (row["name"], _state(row), f"{row['documents']:,}", f"{row['skipped'] + row['failed']:,}", tokens(row["tokens"]),
         meaning(row["meaning"]), "yes" if row["watch"] else "", plain(row.get("root", "")))
        for row in found["collections"]
    ]  # fmt: skip
    head = ("NAME", "STATE", "DOCUMENTS", "NOT READ", "TOKENS", "MEANING", "WATCHED", "FOLDER")
    print(table(head, rows) if rows else "Nothing was taken in yet. Begin with: homefire ingest FOLDER")
    return 0


def _show(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(_one(options.name))
    if options.json:
        print_json(found)
        return 0
    rows = [
        ("folder", plain(found.get("root", ""))),
        ("state", _state(found) + (f": {plain(found['note'])}" if found["note"] else "")),
        ("watched", "yes" if found["watch"] else "no"),
        ("documents", f"{found['documents']:,} read, {found['skipped']:,} skipped, {found['failed']:,} failed"),
        ("text", f"{size(found['bytes'])} in {found['texts']:,} texts, about {tokens(found['tokens'])}"),
        ("chunks", f"{found['chunks']:,}, with {found['windows']:,} windows"),
        ("meaning", meaning(found["meaning"]) + _embedder(found["meaning"])),
    ]
    print(found["name"])
    print("\n".join(f"  {name:10} {value}" for name, value in rows))
    return 0


def _documents(options: argparse.Namespace, home: Homefire) -> int:
    rows: list[dict[str, Any]] = []
    query: dict[str, Any] = {"state": options.state or ""}
    more: str | None = ""
    while more is not None and (not options.limit or len(rows) < options.limit):
        count = min(PAGE, options.limit - len(rows)) if options.limit > 0 else PAGE
        found = home.get(f"{_one(options.name)}/documents", after=more, limit=count, **query)
        rows, more = rows + found["documents"], found["next"]
    if options.json:
        print_json({"documents": rows, "next": more})
        return 0
    lines = [
        (row["state"], row["kind"], row["language"], size(row["bytes"]), plain(row["path"]), plain(row["reason"]))
        for row in rows
    ]
    print(table(("STATE", "KIND", "LANGUAGE", "SIZE", "PATH", "WHY"), lines) if lines else "None.")
    if more is not None:
        print("There are more; --limit 0 shows all.", file=sys.stderr)
    return 0


def _open(options: argparse.Namespace, home: Homefire) -> int:
    path, colon, line = options.place.rpartition(":")
    if not (colon and line.isdecimal()):
        path, line = options.place, "1"
    found = home.get(f"{_one(options.name)}/source", path=path, line=int(line), count=options.count)
    if options.json:
        print_json(found)
        return 0
    width = len(str(found["last"]))
    for number, text in enumerate(found["text"].removesuffix("\n").split("\n"), found["first"]):
        print(f"{number:>{width}}  {plain(text.removesuffix(chr(13)))}")
    if found["last"] < found["lines"] or found["cut"]:
        print(f"(lines {found['first']} to {found['last']} of {found['lines']})", file=sys.stderr)
    return 0


# -- changing


def _remove(options: argparse.Namespace, home: Homefire) -> int:
    home.delete(_one(options.name))
    print_json({"removed": options.name}) if options.json else print(
        f"Removed {options.name}; its folder is as it was."
    )
    return 0


def _verify(options: argparse.Namespace, home: Homefire) -> int:
    found: dict[str, Any] | None = None
    with Bar(sys.stderr) as bar:
        for event in home.stream(f"{_one(options.name)}/verify", {"repair": options.repair}):
            if event.name == "done":
                found = event.data
            elif not options.json:
                bar.show(f"  verifying {options.name}", event.data["done_bytes"], event.data["total_bytes"])
    if found is None:
        raise InternalError("The stream ended without an end.")
    if options.json:
        print_json({"name": options.name, **found})
    elif found["whole"]:
        print(f"{options.name}: {found['texts']:,} texts read ({size(found['bytes'])}), all is what it was.")
    else:
        damaged = [*found["damaged_documents"], *found["damaged_words"], *found["damaged_vectors"]]
        print(f"{options.name}: damaged: {plain(', '.join(damaged))}", file=sys.stderr)
        step = "It is being made anew." if options.repair else f"homefire knowledge verify {options.name} --repair"
        print(f"  {step}", file=sys.stderr)
    return 0 if found["whole"] else 1


def _duplicates(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{_one(options.name)}/duplicates?least={options.least}")
    if options.json:
        print_json(found)
        return 0
    for pair in found["pairs"]:
        one, other = (plain(", ".join(pair[side])) for side in ("one", "other"))
        print(f"{pair['similarity']:.0%}  {one}  ~  {other}")
    if not found["pairs"]:
        print("No two documents are that much alike.", file=sys.stderr)
    return 0


def _export(options: argparse.Namespace, home: Homefire) -> int:
    done: dict[str, Any] | None = None
    with Bar(sys.stderr) as bar:
        for event in home.stream(f"{_one(options.name)}/export", {"target": str(options.target.absolute())}):
            if event.name == "done":
                done = event.data
            elif not options.json:
                bar.show(f"  exporting {options.name}", event.data["done_bytes"], event.data["total_bytes"])
    if done is None:
        raise InternalError("The stream ended without an end.")
    print_json(done) if options.json else print(f"{done['target']}: {size(done['bytes'])}.")
    return 0


def _import(options: argparse.Namespace, home: Homefire) -> int:
    fields = {"source": str(options.source.absolute())} | ({"name": options.name} if options.name else {})
    last: dict[str, Any] | None = None
    with Bar(sys.stderr) as bar:
        for event in home.stream(f"{AT}/import", fields):
            if event.name == "done":
                last = event.data
            elif not options.json:
                bar.show(f"  {event.data['collection']}: {tokens(event.data['tokens'])}", event.data["bytes"], None)
    if last is None:
        raise InternalError("The stream ended without an end.")
    job, collection = last["job"], last["collection"]
    if options.json:
        print_json(last)
    elif collection is not None:
        print(f"{collection['name']}: {collection['documents']:,} documents, {tokens(collection['tokens'])}.")
    return 0 if job["state"] == "done" else 1


def _watch(options: argparse.Namespace, home: Homefire) -> int:
    found = home.patch(_one(options.name), {"watch": not options.off})
    how = "is watched" if found["watch"] else "is not watched any more"
    print_json(found) if options.json else print(f"{found['name']} {how}.")
    return 0


def _cancel(options: argparse.Namespace, home: Homefire) -> int:
    found = home.post(f"{_one(options.name)}/cancel", seconds=ANSWER_SECONDS)
    print_json(found) if options.json else print(f"{found['collection']}: {found['state']}; what was read is kept.")
    return 0


ACTIONS = {
    "list": _list,
    "show": _show,
    "documents": _documents,
    "open": _open,
    "remove": _remove,
    "verify": _verify,
    "duplicates": _duplicates,
    "export": _export,
    "import": _import,
    "watch": _watch,
    "cancel": _cancel,
}

# -- words


def tokens(count: float) -> str:
    """Tokens as people say them; they are estimated (four bytes each)."""
    for unit, each in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= each:
            return f"{count / each:.1f}{unit} tokens"
    return f"{count:.0f} tokens"


def meaning(found: dict[str, Any]) -> str:
    """How far the vectors are."""
    if found["problem"]:
        return f"stopped: {plain(found['problem'])}"
    return "no embedding model" if found["state"] == "none" else f"{100 * found['share']:.0f} %"


def _embedder(found: dict[str, Any]) -> str:
    if found["embedder"] is None:
        return ""
    rate = f", {found['windows_per_second']:.0f} a second" if found.get("windows_per_second") else ""
    return f" by {found['embedder']}, {found['rows']:,} vectors{rate}"


def _state(row: dict[str, Any]) -> str:
    job = row["job"]
    if job and job["state"] in ("running", "waiting", "cancelling"):
        share = f" {100 * job['bytes'] / job['total_bytes']:.0f} %" if job["counted"] and job["total_bytes"] else ""
        return f"{job['state']}{share}"
    return str(row["state"])


def _one(name: str) -> str:
    if not name.strip():
        raise InvalidRequest("A collection's name is missing.", "See: homefire knowledge list", param="name")
    return f"{AT}/{quote(name, safe='')}"
