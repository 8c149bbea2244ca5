"""What goes into a bundle, part by part: each looks at one thing and gives something that JSON can say, or text.

Promises: nothing is changed but what `homefire doctor` probes, no conversation is read, no value of a setting that is free text
is shown; a part may raise anything, its caller notes that and goes on.
Does not cover: taking secrets out and writing (`bundle.py`).
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import homefire
from homefire.client import Homefire
from homefire.paths import Paths
from homefire.settings import SETTINGS
from homefire.supervision import crash_dumps

# Of a log the end is what counts.
LOG_BYTES = 512 * 1024
MOST_FILES = 20_000
# Which logs are taken, and the lines of them that cannot quote a request: llama.cpp's complaints about a schema do, and so may
# the message of an exception. What is not known is left out.
LINES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("daemon.log*", re.compile(r"\d{4}-\d\d-\d\d |Traceback |  File \"|    \S|The above exception|During handling")),
    (
        "engine-*.log",
        re.compile(
            r"(?:[\d.]+ [A-Z] )?(?:llama_|ggml_|gguf_|load_|print_info|init_|srv +(?:load_model|init|stop|main)\b)"
            r"|GGML_ASSERT|CUDA error|terminate called|Fatal Python error|Traceback |  File \"|    \S"
        ),
    ),
)
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Group|Interrupt|Exit)): .*")
LEFT_OUT = "[left out: a line that may quote a request]"
# Settings of text whose values are harmless; of the others a bundle says only whether they are set.
SHOWN_TEXTS = frozenset({"host", "model"})


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the bundle: `why` it is there, for the person who reads it; `make` gives text, or what becomes JSON."""

    name: str
    why: str
    make: Callable[[], Any]


def parts(paths: Paths, environment: Mapping[str, str], *, logs: bool = True) -> list[Part]:
    """All of them, in the order of the bundle."""
    found = [
        Part("versions.json", "which Homefire, Python, packages and system", versions),
        Part("hardware.json", "processor, memory, GPUs, room on the disk", lambda: hardware(paths)),
        Part("settings.json", "which settings are set; texts only as set or not", lambda: settings(paths, environment)),
        Part("checks.json", "what `homefire doctor` finds", lambda: checks(paths)),
        Part("database.json", "whether homefire.db is sound; rows counted, none read", lambda: database(paths)),
        Part("files.json", "how many files and bytes each folder of the home has", lambda: files(paths)),
        Part("restarts.json", "crashes of models and of the daemon", lambda: restarts(paths)),
        *_of_daemon(paths),
    ]
    if logs:
        found += [Part(f"logs/{log.name}", "its last lines", partial(quiet, log)) for log in _logs(paths)]
    dumps = crash_dumps.written(paths.logs)
    found += [Part(f"crashes/{d.name}", "where a process was when it died", partial(tail, d)) for d in dumps]
    return found


def versions() -> dict[str, Any]:
    """Of everything that Homefire stands on."""
    import apsw

    return {
        "homefire": homefire.__version__,
        "python": sys.version,
        "implementation": platform.python_implementation(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "sqlite": apsw.sqlite_lib_version(),
        "packages": dict(sorted((d.metadata["Name"], d.version) for d in importlib.metadata.distributions())),
    }


def hardware(paths: Paths) -> dict[str, Any]:
    """As the fit of models sees it."""
    import shutil

    from homefire.hardware import detect
    from homefire.hardware.tier import tier

    machine = detect(with_gpus=True)
    there = next(folder for folder in (paths.home, *paths.home.parents) if folder.exists())
    return {
        **asdict(machine),
        "tier": tier(machine.memory_bytes, machine.gpus).name,
        "disk": dict(zip(("total_bytes", "used_bytes", "free_bytes"), shutil.disk_usage(there), strict=True)),
    }


def settings(paths: Paths, environment: Mapping[str, str]) -> dict[str, Any]:
    """Where each value comes from. Works with a file that the daemon refuses: then it says what does not belong there."""
    written: dict[str, Any] = {}
    problem = ""
    try:
        written = tomllib.loads(paths.config.read_text("utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as fault:
        problem = f"{type(fault).__name__}: {fault}"
    rows = {}
    for row in SETTINGS:
        value: Any = row.default
        source = "default"
        if row.name in written:
            value, source = written[row.name], "file"
        if environment.get(row.variable, ""):
            value, source = environment[row.variable], "environment"
        free = isinstance(row.default, str) and row.name not in SHOWN_TEXTS
        rows[row.name] = {"value": ("set" if value else "") if free else value, "source": source}
    known = {row.name for row in SETTINGS}
    others = sorted(name for name in environment if name.startswith("HOMEFIRE_") and name[9:].lower() not in known)
    return {"settings": rows, "problem": problem, "unknown": sorted(set(written) - known), "other_variables": others}


def checks(paths: Paths) -> list[dict[str, Any]]:
    """The offline checks."""
    import asyncio

    from homefire.doctor import check_all

    return asyncio.run(check_all(paths))


def database(paths: Paths) -> dict[str, Any]:
    """The database as it lies there: nothing is migrated, nothing written."""
    import apsw

    from homefire.store.migrations import MIGRATIONS

    if not paths.database.exists():
        return {"there": False}
    connection = apsw.Connection(str(paths.database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(5000)
        connection.execute("PRAGMA trusted_schema=OFF; PRAGMA query_only=ON").fetchall()
        try:
            state = str(connection.pragma("quick_check"))[:2000]
        except apsw.CorruptError as problem:  # so damaged that the check itself ends
            state = f"damaged: {problem}"
        found = {
            "there": True,
            "schema": connection.pragma("user_version"),
            "schema_of_this_program": len(MIGRATIONS),
            "quick_check": state,
            "bytes": paths.database.stat().st_size,
        }
        if state != "ok":
            return found
        tables = [
            name
            for name, kind in connection.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name"
            )
            if not name.startswith("sqlite_") and not str(kind).startswith("CREATE VIRTUAL")
        ]
        quoted = {name: '"' + name.replace('"', '""') + '"' for name in tables}
        # The names come from the schema itself, quoted as SQLite wants it.
        return {
            **found,
            "rows": {name: connection.execute(f"SELECT count(*) FROM {quoted[name]}").get for name in tables},  # nosec B608 # names of its own schema, quoted
        }
    finally:
        connection.close()


def files(paths: Paths) -> dict[str, Any]:
    """Sizes, no names: a file's name may say what somebody does."""
    found: dict[str, Any] = {}
    for entry in sorted(paths.home.iterdir()):
        if entry.is_symlink() or entry.is_file():
            found[entry.name] = {"bytes": entry.lstat().st_size, "mode": oct(entry.lstat().st_mode & 0o777)}
            continue
        count = size = 0
        for folder, _, names in os.walk(entry):
            for name in names:
                count += 1
                size += Path(folder, name).lstat().st_size
            if count > MOST_FILES:
                break
        found[f"{entry.name}/"] = {"files": count, "bytes": size, "more": count > MOST_FILES}
    return found


def restarts(paths: Paths) -> list[dict[str, Any]]:
    """The log of restarts, the newest first."""
    from homefire.supervision.record import read

    return [asdict(row) for row in read(paths.restarts)[::-1]]


def tail(log: Path) -> str:
    """The last `LOG_BYTES` of a file, from the beginning of a line."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        whole = file.tell() <= LOG_BYTES
        file.seek(0 if whole else file.tell() - LOG_BYTES)
        data = file.read(LOG_BYTES)
    return (data if whole else data.partition(b"\n")[2]).decode("utf-8", "replace")


def quiet(log: Path) -> str:
    """The end of a log without what may quote a request."""
    kept = next(pattern for name, pattern in LINES if log.match(name))
    found: list[str] = []
    for line in tail(log).splitlines():
        if kept.match(line):
            found.append(line)
        elif exception := _EXCEPTION.fullmatch(line):
            found.append(f"{exception[1]}: {LEFT_OUT}")
        elif line and (not found or found[-1] != LEFT_OUT):
            found.append(LEFT_OUT)
    return "\n".join(found) + "\n"


def _logs(paths: Paths) -> list[Path]:
    """The logs of the daemon and of its children. What a restart hook or a tool printed is not ours to take."""
    try:
        names = sorted(entry for entry in paths.logs.iterdir() if entry.is_file() and not entry.is_symlink())
    except OSError:
        return []
    return [entry for entry in names if any(entry.match(name) for name, _ in LINES)]


def _of_daemon(paths: Paths) -> list[Part]:
    """What a running daemon knows; without one each of them says so."""

    def ask(path: str) -> Any:
        with Homefire.connect(paths.home) as home:
            return home.text(path) if path == "/metrics" else home.get(path)

    rows = [
        ("status.json", "what runs", "/homefire/v1/status"),
        ("residency.json", "which models are in memory", "/homefire/v1/residency"),
        ("decisions.json", "what was done with models lately, and why", "/homefire/v1/decisions"),
        ("sensors.json", "load, temperature, memory, power", "/homefire/v1/sensors"),
        ("metrics.txt", "counts since the daemon's start", "/metrics"),
    ]
    return [Part(f"daemon/{name}", why, partial(ask, path)) for name, why, path in rows]


def as_text(made: Any) -> str:
    """A part as it is written."""
    if isinstance(made, str):
        return made
    return json.dumps(made, indent=1, ensure_ascii=False, default=str) + "\n"
