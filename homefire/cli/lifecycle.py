"""`homefire up`, `down`, `status`, `link`.

Promises: `up` returns (with --detach) or prints the link only when the daemon is ready; `up` on a running daemon is no error: it
prints a fresh link; `down` returns when the daemon is gone.
Does not cover: starting at log-in (`packaging/`, not in this version).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import DaemonNotRunning, DaemonNotStarted, HomefireError, from_envelope
from homefire.paths import Paths, default_home

DOWN_SECONDS = 20.0


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
        return process.wait()
    except KeyboardInterrupt:
        if options.detach:  # it has a terminal session of its own and hears nothing
            process.terminate()
        return process.wait()


def ensure_running() -> bool:
    """Starts a daemon that stays, unless one runs; True if it was started. Returns when it is ready. Raises what keeps it."""
    running = _running()
    if running is not None:
        running.close()
        return False
    _start(detach=True)
    return True


def _start(detach: bool) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Starts the daemon and waits for its first line."""
    options: dict[str, Any] = {}
    if detach and sys.platform == "win32":
        options["creationflags"] = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(
            subprocess, "CREATE_NEW_PROCESS_GROUP", 0
        )
    elif detach:
        options["start_new_session"] = True
    process = subprocess.Popen(
        [sys.executable, "-m", "homefire.daemon"],
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
            f"The daemon ended with status {status} before it was ready.", f"See {Paths(default_home()).daemon_log}"
        ) from None
    if "failed" in word:
        process.wait()
        raise from_envelope(word["failed"])
    return process, word["ready"]


def _running() -> Homefire | None:
    try:
        home = Homefire.connect()
    except DaemonNotRunning:
        return None
    try:
        home.get("/readyz")
    except HomefireError:
        home.close()
        return None
    return home


def _say_where(home: Homefire, as_json: bool, already: bool, pid: int = 0) -> None:
    link = home.post("/homefire/v1/links")
    if as_json:
        status = home.status()
        print_json({"url": status["url"], "pid": pid or status["pid"], "link": link["url"], "already_running": already})
        return
    if already:
        print("Homefire runs already.")
    print(f"Homefire is ready. Open this link (it works once, within ten minutes):\n\n  {link['url']}\n", flush=True)


def _down(argv: list[str]) -> int:
    options = parser_for("down").parse_args(argv)
    paths = Paths(default_home())
    home = _running()
    if home is None:
        if options.json:
            print_json({"stopped": False, "was_running": False})
        else:
            print("No daemon runs.")
        return 0
    with home:
        pid = int(home.status()["pid"])
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            raise DaemonNotRunning(
                f"The daemon (pid {pid}) does not end.", f"See {paths.daemon_log}; then: kill -9 {pid}"
            )
        time.sleep(0.02)
    if options.json:
        print_json({"stopped": True, "was_running": True, "pid": pid})
    else:
        print("Stopped.")
    return 0


def _alive(pid: int) -> bool:
    try:
        if sys.platform == "win32":
            return (
                str(pid)
                in subprocess.run(
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
    with Homefire.connect() as home:
        found = home.status()
    if options.json:
        print_json({"running": True, **found})
        return 0
    machine = found["machine"]
    print(f"Homefire {found['version']} runs at {found['url']} (pid {found['pid']}, up {_duration(found['uptime_s'])})")
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
    return 0


def _link(argv: list[str]) -> int:
    options = parser_for("link").parse_args(argv)
    with Homefire.connect() as home:
        link = home.post("/homefire/v1/links")
    if options.json:
        print_json(link)
    else:
        print(link["url"])
    return 0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"
