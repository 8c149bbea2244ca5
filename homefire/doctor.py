"""The offline checks behind `homefire doctor`: each looks at one thing and says what to do.

Promises: changes nothing but a probe file in the home; every check has a time limit; one that falls over reports that.
Does not cover: the running daemon (the command line asks it).
"""

from __future__ import annotations

import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from homefire import settings as settings_module
from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import HomefireError
from homefire.hardware import compute_threads, detect
from homefire.messages import ChatRequest, Message, Sampling, TextDelta
from homefire.models import read_header
from homefire.models.library import PILOT_FILE
from homefire.paths import ModelName, Paths
from homefire.sandbox.choose import candidates, choose
from homefire.server.floors import require_floors
from homefire.server.listen import check_rules
from homefire.server.page import FOLDER
from homefire.store.database import connect, require_sqlite

LOW_DISK = 2 * 2**30
LOW_MEMORY = 2**30
ENGINE_SECONDS = 60.0
_TIER_ONE = "Tier 1 needs bubblewrap (sudo apt install bubblewrap) and name spaces for users."


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found."""

    name: str
    state: Literal["ok", "warning", "wrong"]
    found: str
    next_step: str = ""


async def check_all(paths: Paths) -> list[dict[str, Any]]:
    """All offline checks, in the order a person would ask them."""
    checks: list[tuple[str, Callable[[Paths], Awaitable[Check]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("machine", _machine),
        ("home", _home),
        ("disk", _disk),
        ("settings", _settings),
        ("port", _port),
        ("sqlite", _sqlite),
        ("database", _database),
        ("page", _page),
        ("pilot", _pilot),
        ("sandbox", _sandbox),
        ("engine", _engine),
    ]
    found: list[dict[str, Any]] = []
    for name, check in checks:
        try:
            found.append(asdict(await check(paths)))
        except HomefireError as problem:
            found.append(asdict(Check(name, "wrong", problem.message, problem.next_step)))
        except (OSError, ValueError, RuntimeError, LookupError) as problem:  # it must not hide the other checks
            found.append(asdict(Check(name, "wrong", f"the check fell over: {problem!r}", "Report this.")))
    return found


async def _python(paths: Paths) -> Check:
    return Check("python", "ok", f"{platform.python_version()} at {sys.executable}")


async def _packages(paths: Paths) -> Check:
    require_floors()
    found = [f"{name} {metadata.version(name)}" for name in ("starlette", "uvicorn", "httptools", "xllamacpp")]
    return Check("packages", "ok", ", ".join(found))


async def _machine(paths: Paths) -> Check:
    machine = detect()
    text = f"{machine.processor}, {machine.cores} cores, {machine.memory_available_bytes / 2**30:.1f} GiB memory free"
    if machine.memory_available_bytes < LOW_MEMORY:
        return Check("machine", "warning", text, "Close other programs before loading a large model.")
    return Check("machine", "ok", text)


async def _home(paths: Paths) -> Check:
    paths.prepare()
    return Check("home", "ok", str(paths.home))


async def _disk(paths: Paths) -> Check:
    free = shutil.disk_usage(paths.home).free
    text = f"{free / 2**30:.1f} GiB free at {paths.home}"
    if free < LOW_DISK:
        return Check("disk", "warning", text, "Models need gigabytes: free some space, or move HOMEFIRE_HOME.")
    return Check("disk", "ok", text)


async def _settings(paths: Paths) -> Check:
    found = settings_module.load(paths.config)
    check_rules(found)
    if found.auth == "off":
        return Check("settings", "warning", "auth is off: no keys are asked for", "Set auth to on.")
    return Check("settings", "ok", str(paths.config) if paths.config.exists() else "defaults")


async def _port(paths: Paths) -> Check:
    settings = settings_module.load(paths.config)
    if settings.port == 0:
        return Check("port", "ok", "any free port")
    with socket.socket() as probe:
        probe.settimeout(1)
        busy = probe.connect_ex(("127.0.0.1", settings.port)) == 0
    if busy and not paths.address.exists():
        step = "Stop that program, or choose another port with HOMEFIRE_PORT."
        return Check("port", "wrong", f"another program listens on {settings.port}", step)
    return Check("port", "ok", f"{settings.port} {'(the daemon has it)' if busy else 'is free'}")


async def _sqlite(paths: Paths) -> Check:
    import apsw

    version = apsw.sqlite_lib_version()
    require_sqlite(version)
    return Check("sqlite", "ok", version)


async def _database(paths: Paths) -> Check:
    if not paths.database.exists():
        return Check("database", "ok", "none yet")
    connection = connect(paths.database)
    try:
        found = connection.pragma("quick_check")
    finally:
        connection.close()
    if found != "ok":
        step = "Stop the daemon, keep a copy of homefire.db, then move it away to start anew."
        return Check("database", "wrong", str(found)[:200], step)
    return Check("database", "ok", f"sound, {paths.database.stat().st_size / 2**20:.1f} MiB")


async def _page(paths: Paths) -> Check:
    if (FOLDER / "index.html").is_file():
        return Check("page", "ok", "built")
    return Check("page", "wrong", "not built", "Build it with: python tasks.py page")


async def _pilot(paths: Paths) -> Check:
    header = read_header(PILOT_FILE)
    return Check("pilot", "ok", f"{header.parameters / 1e6:.1f} M parameters, {PILOT_FILE.stat().st_size / 1e6:.1f} MB")


async def _sandbox(paths: Paths) -> Check:
    choice = await choose(candidates())
    facts = choice.sandbox.facts()
    over = "; ".join(f"{name} passed over ({', '.join(walls)})" for name, walls in choice.passed_over)
    if facts.tier == 0:
        step = "On Debian and its kin: sudo apt install bubblewrap. Until then tools that run code are refused."
        return Check("sandbox", "warning", facts.missing[0], step)
    text = f"tier {facts.tier}: {facts.name}" + (f"; {over}" if over else "")
    missing = f"; it lacks: {'; '.join(facts.missing)}" if facts.missing else ""
    return Check(
        "sandbox", "ok" if facts.tier == 1 else "warning", text + missing, "" if facts.tier == 1 else _TIER_ONE
    )


async def _engine(paths: Paths) -> Check:
    """Starts the engine with the built-in model and lets it say a few words."""
    with tempfile.TemporaryDirectory(prefix="homefire-") as folder:
        place = Path(folder)
        name = ModelName("doctor")
        spec = EngineSpec(name, PILOT_FILE, 512, 1, compute_threads(), 0, ENGINE_SECONDS, place / "log",
                          None if sys.platform == "win32" else place / "e.sock")  # fmt: skip
        engine = LlamaCpp(spec)
        await engine.start()
        try:
            request = ChatRequest(name, (Message("user", "hello"),), Sampling(max_tokens=8), stream=True)
            answer = await engine.chat(request)
            try:
                text = "".join([event.text async for event in answer.events() if isinstance(event, TextDelta)])
            finally:
                await answer.close()
        finally:
            await engine.stop()
    return Check("engine", "ok", f"llama.cpp runs and says {text.strip()[:40]!r}")
