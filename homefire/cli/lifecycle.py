"""`homefire up`, `down`, `status`, `link`.

Promises: `up` returns (with --detach) or prints the link only when the daemon is ready; `up` on a running daemon is no error: it
prints a fresh link; `down` returns when the daemon is gone, and whoever would start it again too. What `up` starts is the daemon
itself, or (setting `supervise`) the small process that starts it again after a crash (`supervision/upkeep.py`).
Does not cover: starting at log-in (`packaging/`, not in this version).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import (
    BadSetting,
    DaemonCrashLoop,
    DaemonNotRunning,
    DaemonNotStarted,
    HomefireError,
    from_envelope,
)
from homefire.paths import Paths, default_home
from homefire.settings import load

DOWN_SECONDS = 20.0
# What the process that keeps the daemon up ends with when the daemon crashed too often (`supervision/upkeep.py`).
GAVE_UP = 70


def run(verb: str, argv: list[str]) -> int:
    """Runs one of the four verbs."""
    return {"up": _up, "down": _down, "status": _status, "link": _link}[verb](argv)


def _up(argv: list[str]) -> int:
    parser = parser_for("up")
    parser.add_argument("--detach", action="store_true", help="return when the daemon is ready and leave it running")
    options = parser.parse_args(argv)
    running = _running()
    if running is not None:
        with running:
            _say_where(running, options.json, already=True)
        return 0
    process, facts = _start(options.detach)
    # Ctrl-C may come at any moment from here on, also while the link is printed. The terminal sends it to the daemon too,
    # which stores everything and ends: what is left to do here is to wait for that.
    try:
        with Homefire.connect() as home:
            _say_where(home, options.json, already=False, pid=facts["pid"])
        if options.detach:
            return 0
        if not options.json:
            print("Press Ctrl-C to stop.", flush=True)
        return _ended(process.wait())
    except KeyboardInterrupt:
        if options.detach:  # it has a terminal session of its own and hears nothing
            process.terminate()
        return process.wait()


def _ended(status: int) -> int:
    """The verb's own status. Raises DaemonCrashLoop."""
    if status == GAVE_UP:
        raise DaemonCrashLoop(_upkeep(Paths(default_home())).get("gave_up") or "The daemon crashed too often.")
    return status


def ensure_running() -> bool:
    """Starts a daemon that stays, unless one runs; True if it was started. Returns when it is ready. Raises what keeps it."""
    running = _running()
    if running is not None:
        running.close()
        return False
    _start(detach=True)
    return True


def _start(detach: bool) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Starts the daemon, or what keeps it up, and waits for its first line."""
    paths = Paths(default_home())
    module = "homefire.supervision.upkeep" if _supervised(paths) else "homefire.daemon"
    if (
        waiting := _upkeep_pid(paths)
    ) is not None:  # it pauses after a crash; a person who says `up` does not want to wait
        _end([waiting])
    options: dict[str, Any] = {}
    if detach and sys.platform == "win32":
        options["creationflags"] = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(
            subprocess, "CREATE_NEW_PROCESS_GROUP", 0
        )
    elif detach:
        options["start_new_session"] = True
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # A detached daemon must not hold the terminal, or whoever reads our output would wait for ever.
        stderr=subprocess.DEVNULL if detach else None,
        text=True,
        **options,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        word = json.loads(line)
    except ValueError:
        status = process.wait()
        raise DaemonNotStarted(
            f"The daemon ended with status {status} before it was ready.", f"See {paths.daemon_log}"
        ) from None
    if "failed" in word:
        process.wait()
        raise from_envelope(word["failed"])
    return process, word["ready"]


def _supervised(paths: Paths) -> bool:
    try:
        return bool(load(paths.config).supervise)
    except BadSetting:  # the daemon says what is wrong, and whether it is the setting or the home
        return False


def _running() -> Homefire | None:
    try:
        home = Homefire.connect()
    except DaemonNotRunning:
        return None
    try:
        home.get("/healthz")
    except HomefireError:
        home.close()
        return None
    return home


def _say_where(home: Homefire, as_json: bool, already: bool, pid: int = 0) -> None:
    link, status = home.post("/homefire/v1/links"), home.status()
    if as_json:
        print_json({"url": status["url"], "pid": pid or status["pid"], "link": link["url"], "already_running": already})
        return
    if already:
        print("Homefire runs already.")
    print(f"Homefire is ready. Open this link (it works once, within ten minutes):\n\n  {link['url']}\n")
    _say_openness(status)
    sys.stdout.flush()


def _say_openness(status: dict[str, Any]) -> None:
    """What a person should know who did not write the settings."""
    if status["auth"] == "off":
        print("  KEYS ARE OFF: every program on this machine may use this daemon (setting auth).")
    if status["elsewhere"]:
        print(f"  Other machines reach it at {', '.join(status['elsewhere'])}, with a key;")
        print("  they must trust its authority: homefire tls show")


def _down(argv: list[str]) -> int:
    options = parser_for("down").parse_args(argv)
    paths = Paths(default_home())
    home, waiting = _running(), _upkeep_pid(paths)
    if home is None and waiting is None:
        if options.json:
            print_json({"stopped": False, "was_running": False})
        else:
            print("No daemon runs.")
        return 0
    pid = 0
    if home is not None:
        with home:
            pid = int(home.status()["pid"])
    # First who would start it again; the daemon hears of it from there too, but on Windows nobody hands anything on.
    _end([each for each in (waiting, pid) if each])
    if options.json:
        print_json({"stopped": True, "was_running": home is not None, "pid": pid or waiting})
    else:
        print("Stopped.")
    return 0


def _end(pids: list[int]) -> None:
    """SIGTERM to each, in this order; returns when all are gone. Raises DaemonNotRunning if one does not go."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    for pid in pids:
        while _alive(pid):
            if time.monotonic() > deadline:
                log = Paths(default_home()).daemon_log
                raise DaemonNotRunning(f"The daemon (pid {pid}) does not end.", f"See {log}; then: kill -9 {pid}")
            time.sleep(0.02)


def _upkeep(paths: Paths) -> dict[str, Any]:
    """What the process that keeps the daemon up says of itself."""
    try:
        found: dict[str, Any] = json.loads(paths.upkeep.read_text("utf-8"))
        return found
    except (OSError, ValueError):
        return {}


def _upkeep_pid(paths: Paths) -> int | None:
    """Its process id, if it lives: it holds a lock, so a number that another process has now is not mistaken for it."""
    try:
        with paths.upkeep_lock.open("r+b") as file:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
            else:
                import fcntl

                fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except OSError:  # held
        pid = _upkeep(paths).get("pid")
        return pid if isinstance(pid, int) else None
    return None


def _alive(pid: int) -> bool:
    try:
        if sys.platform == "win32":
            return (
                str(pid)
                in subprocess.run(  # nosec B607 # Windows finds its own first
                    ["tasklist", "/FI", f"PID eq {pid}"], capture_output=True, text=True, check=False
                ).stdout
            )
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _status(argv: list[str]) -> int:
    options = parser_for("status").parse_args(argv)
    try:
        with Homefire.connect() as home:
            found = home.status()
    except DaemonNotRunning:
        told = _upkeep(paths := Paths(default_home()))
        if told.get("gave_up"):
            raise DaemonCrashLoop(told["gave_up"]) from None
        if told.get("pausing") and _upkeep_pid(paths) is not None:
            raise DaemonNotRunning(
                f"The daemon {told['pausing']}; it is being started again.", "Ask again in a moment."
            ) from None
        raise
    if options.json:
        print_json({"running": True, **found})
        return 0
    machine = found["machine"]
    print(f"Homefire {found['version']} runs at {found['url']} (pid {found['pid']}, up {_duration(found['uptime_s'])})")
    _say_openness(found)
    print(f"  home      {found['home']}")
    print(
        f"  machine   {machine['system']}, {machine['processor']}, {machine['cores']} cores, "
        f"{_size(machine['memory_available_bytes'])} of {_size(machine['memory_bytes'])} memory free"
    )
    print(f"  daemon    {_size(found['memory_bytes'])}")
    for model in found["models"]:
        restarts = f", {model['restarts']} crashes" if model["restarts"] else ""
        print(
            f"  model     {model['name']}: {model['state']}, {_size(model['memory_bytes'])}, {model['leases']} in use{restarts}"
        )
    if not found["models"]:
        print("  model     none in memory; one is loaded when it is asked")
    if found["waiting"]:
        print(f"  waiting   {found['waiting']} requests")
    if found["restarts"]:
        print(
            f"  crashes   {', '.join(f'{name} {times}' for name, times in found['restarts'].items())} since the start"
        )
    return 0


def _link(argv: list[str]) -> int:
    options = parser_for("link").parse_args(argv)
    with Homefire.connect() as home:
        link = home.post("/homefire/v1/links")
    if options.json:
        print_json(link)
    else:
        print("\n".join([link["url"], *link["elsewhere"]]))
    return 0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"
