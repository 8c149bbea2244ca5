"""`python -m homefire.daemon`: one daemon a home, its log, its last words.

Its first line on standard output is JSON: `{"ready": {...}}` or `{"failed": ENVELOPE}`; everything else goes to the log.
`--doctor` prints the offline checks instead and ends, `--diagnose` writes a bundle.
Promises: one daemon a home (a lock that the kernel releases, whatever happens); nothing listens before the rules of
`server/listen.py` hold.
Does not cover: running as a system service (`packaging/`, not in this version).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import logging.handlers
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from homefire import settings as settings_module
from homefire.daemon.handed import (
    first_line,
)
from homefire.daemon.rooms import Daemon
from homefire.errors import HomefireError
from homefire.paths import Paths, default_home, from_os
from homefire.server.floors import require_floors
from homefire.server.listen import listen
from homefire.supervision import crash_dumps
from homefire.supervision.only_one import only_one

log = logging.getLogger("homefire.daemon")


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m homefire.daemon", description="The Homefire daemon.")
    parser.add_argument("--doctor", action="store_true", help="print the offline checks as JSON and end")
    parser.add_argument("--diagnose", metavar="JSON", help="write a bundle as these options say and end")
    arguments = parser.parse_args()
    paths = Paths(default_home())
    if arguments.doctor:
        from homefire.doctor import check_all

        print(json.dumps(asyncio.run(check_all(paths))))
        return 0
    if arguments.diagnose:
        return _diagnose(paths, json.loads(arguments.diagnose))
    try:
        require_floors()
        paths.prepare()
        settings = settings_module.load(paths.config)
        _log_to(paths)
        with only_one(paths), _crash_dump(paths), listen(settings, paths) as listening:
            _run(Daemon(paths, settings, listening))
    except HomefireError as problem:
        log.error("%s: %s", problem.code, problem.message)
        first_line({"failed": problem.envelope()})
        return 1
    return 0


def _diagnose(paths: Paths, options: dict[str, Any]) -> int:
    from homefire.diagnose.bundle import write

    try:
        target = Path(options["output"])
        found = write(target, paths, os.environ, logs=options["logs"], anonymous=options["anonymous"])
    except HomefireError as problem:
        print(json.dumps({"failed": problem.envelope()}))
        return 1
    print(json.dumps(found))
    return 0


def _run(daemon: Daemon) -> None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        asyncio.run(daemon.serve())
    else:
        uvloop.run(daemon.serve())


def _log_to(paths: Paths) -> None:
    try:
        handler = logging.handlers.RotatingFileHandler(paths.daemon_log, maxBytes=4 * 2**20, backupCount=2)
    except OSError as problem:
        raise from_os(problem, paths.logs) from None
    logging.raiseExceptions = False  # a full disk must not turn each log line into a trace on standard error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


@contextlib.contextmanager
def _crash_dump(paths: Paths) -> Iterator[None]:
    """The daemon's own last words, should it die of a signal. Its children have theirs from `supervision/child.py`."""
    crash_dumps.sweep(paths.logs)
    crash_dumps.enable(file := crash_dumps.beside(paths.daemon_log))
    try:
        yield
    finally:
        crash_dumps.ended(file)


def log_defect(kind: type[BaseException], defect: BaseException, trace: TracebackType | None) -> None:
    """The last resort: a detached daemon has no standard error, so its last words go to the log."""
    log.critical("the daemon fell over", exc_info=(kind, defect, trace))
    sys.__excepthook__(kind, defect, trace)
