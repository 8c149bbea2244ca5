"""What is done to a home while no daemon has it: checked, backed up, brought back, salvaged.

Run as `python -m homefire.rescue VERB JSON`. It prints JSON lines: `{"done_bytes", "total_bytes"}` as it goes, then
`{"result": ...}` or `{"failed": ENVELOPE}`.
Promises: what changes a home holds its lock, so no daemon runs meanwhile; each change is one rename away from being undone, and
the audit log of what results says that it was done.
Does not cover: a daemon that runs: it makes and checks backups itself (`server/trust_routes.py`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homefire.errors import HomefireError, InvalidRequest
from homefire.paths import Paths, default_home, from_os, sync_folder
from homefire.store import audit
from homefire.store.backup import Wishes, back_up, check_backup, restore, sync_file, undo_restore
from homefire.store.check import check_home
from homefire.store.database import connect, migrate
from homefire.store.salvage import salvage
from homefire.supervision.only_one import only_one

TELL_SECONDS = 0.1
WHO = "command line"
Report = Callable[[int, int], None]


def main() -> int:
    """Entry point; returns the exit status."""
    verbs: dict[str, Callable[[Paths, dict[str, Any], Report], dict[str, Any]]] = {
        "verify": _verify,
        "backup": _backup,
        "restore": _restore,
        "salvage": _salvage,
    }
    if len(sys.argv) != 3 or sys.argv[1] not in verbs:
        print(f"python -m homefire.rescue {' | '.join(verbs)} JSON", file=sys.stderr)
        return 2
    try:
        _say({"result": verbs[sys.argv[1]](Paths(default_home()), json.loads(sys.argv[2]), _reporter())})
    except HomefireError as problem:
        _say({"failed": problem.envelope()})
        return 1
    return 0


def _verify(paths: Paths, options: dict[str, Any], report: Report) -> dict[str, Any]:
    if options.get("source"):
        return {"whole": True, **check_backup(Path(options["source"]), report).shown()}
    _require_home(paths)
    return check_home(paths, report, options.get("blobs", True)).shown()


def _backup(paths: Paths, options: dict[str, Any], report: Report) -> dict[str, Any]:
    _require_home(paths)
    paths.prepare()
    target = Path(options["target"]) if options.get("target") else None
    wishes = Wishes(*(bool(options.get(name)) for name in ("secrets", "copies", "anyway")))
    with only_one(paths):
        return back_up(paths, target, wishes, report).shown()


def _restore(paths: Paths, options: dict[str, Any], report: Report) -> dict[str, Any]:
    paths.prepare()
    with only_one(paths):
        if options.get("undo"):
            kept = undo_restore(paths)
            _note(paths, "restore undone", str(kept))
            return {"undone": True, "kept": str(kept)}
        made, aside = restore(paths, Path(options["source"]), force=bool(options.get("force")), report=report)
        _note(paths, "home restored", made.path)
        return {**made.shown(), "undone": False, "kept": None if aside is None else str(aside)}


def _salvage(paths: Paths, options: dict[str, Any], report: Report) -> dict[str, Any]:
    _require_home(paths)
    paths.prepare()
    with only_one(paths):
        new, kept = paths.database.with_name("homefire.db.salvaged"), paths.damaged_database()
        try:
            _forget(new)
            done = salvage(paths.database, new, report)
            sync_file(new)
            for suffix in ("", "-wal"):
                if (part := Path(f"{paths.database}{suffix}")).exists():
                    part.rename(f"{kept}{suffix}")
            Path(f"{paths.database}-shm").unlink(missing_ok=True)
            new.rename(paths.database)
            sync_folder(paths.home)
        except OSError as problem:
            raise from_os(problem, paths.home) from None
        finally:
            _forget(new)
        tables = {
            name: {"rows": each.rows, "changed": each.changed, "unproven": each.unproven, "lost": each.lost}
            for name, each in done.tables.items()
        }
        lost = sum(each.lost for each in done.tables.values())
        changed = sum(each.changed for each in done.tables.values())
        _note(paths, "database salvaged", kept.name, {"rows": done.rows, "lost": lost, "changed": changed})
        counts = {"rows": done.rows, "lost": lost, "changed": changed, "orphans": done.orphans}
        return {**counts, "tables": tables, "kept": str(kept)}


def _forget(new: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{new}{suffix}").unlink(missing_ok=True)


def _note(paths: Paths, what: str, about: str, detail: dict[str, Any] | None = None) -> None:
    """An entry of the audit log of the home that results; one without a database has none."""
    if not paths.database.exists():
        return
    c = connect(paths.database)
    try:
        migrate(c)
        with c:
            audit.write(c, what, WHO, about, detail)
    finally:
        c.close(True)


def _require_home(paths: Paths) -> None:
    if not paths.database.is_file():
        raise InvalidRequest(f"There is no database in {paths.home}.", "Name another home with HOMEFIRE_HOME.")


def _reporter() -> Report:
    last = [0.0]

    def report(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= TELL_SECONDS:
            last[0] = now
            _say({"done_bytes": done, "total_bytes": total})

    return report


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
