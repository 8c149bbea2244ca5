"""The model's child process with a native build: protocol and parameters of `llamacpp_child.py`, the program `llama-server`.

Run as `python -m homefire.engines.native_child JSON`. It ties its lifeline and then *becomes* the program (exec), so that the
process the daemon knows is the one that holds the model: its memory, its signals and its end are the engine's own. What is left
to do beside it, saying on the lifeline that the server listens, a small process of its group does, which then ends.

    child ── guard (lifeline, tree)      ends the group when the parent ends
      │└──── herald                      asks /health until the model is loaded, says "ready", ends
      └ exec llama-server                same pid

Promises: as `llamacpp_child.py`: no secret on the command line (the key goes through the environment), the socket is open to this
user only, no log holds a prompt; if the program ends before it is ready, nothing is said and the parent sees the end.
Does not cover: Windows, which has no exec that keeps the process (`spawn`, untried there: the program is a child of this one).
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from homefire.engines.parameters import flags, parameters
from homefire.supervision import lifeline
from homefire.supervision.lifeline import Lifeline

ASK_SECONDS = 0.02
SLOWEST_ASK = 0.25
Address = str | tuple[str, int]


def main() -> None:
    """Becomes the server."""
    rope = lifeline.attach(tree=True)
    os.umask(0o077)
    arguments = json.loads(sys.argv[1])
    program = arguments["program"]
    try:
        address = _address(arguments["socket"])
        argv = command(arguments, address)
        if not os.access(program, os.X_OK):
            raise OSError(f"{program} is not there or cannot be run")
    except (OSError, KeyError, ValueError) as problem:
        rope.failed(str(problem))
        sys.exit(1)
    environment = dict(os.environ)
    key = environment.pop("HOMEFIRE_ENGINE_KEY", "")
    if key:
        environment["LLAMA_API_KEY"] = key
    if sys.platform == "win32":
        _spawn(argv, environment, address, key, rope)
        return
    server = os.getpid()
    if os.fork() == 0:
        _herald(address, key, rope, server)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the program does not wait for the herald; so nothing is left of it
    os.execve(program, argv, environment)  # nosec B606 # no shell on purpose


def command(arguments: dict[str, Any], address: Address) -> list[str]:
    """The program and its options. Raises OSError if the model's file is not there."""
    host = ["--host", address] if isinstance(address, str) else ["--host", address[0], "--port", str(address[1])]
    return [arguments["program"], *flags(parameters(arguments)), *host, "--offline"]


def _address(path: str | None) -> Address:
    """The socket, or a port that was free a moment ago: the program does not say which it took."""
    if path is not None:
        Path(path).unlink(missing_ok=True)
        return path
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1", int(probe.getsockname()[1])


def _herald(address: Address, key: str, rope: Lifeline, server: int) -> None:
    """Says when the server is ready. Ends, having said nothing, when the server is gone."""
    pause = ASK_SECONDS
    while os.getppid() == server:
        if _healthy(address, key):
            rope.ready(address=address)
            break
        time.sleep(pause)
        pause = min(SLOWEST_ASK, pause * 1.2)
    os._exit(0)


def _healthy(address: Address, key: str) -> bool:
    connection = http.client.HTTPConnection("engine" if isinstance(address, str) else address[0], timeout=5)
    try:
        if isinstance(address, str):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(5)
            connection.sock.connect(address)
        else:
            connection.port = address[1]
        connection.request("GET", "/health", headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _spawn(argv: list[str], environment: dict[str, str], address: Address, key: str, rope: Lifeline) -> None:
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL)
    while process.poll() is None and not _healthy(address, key):
        time.sleep(ASK_SECONDS)
    if process.poll() is None:
        rope.ready(address=address)
    sys.exit(process.wait())


if __name__ == "__main__":
    main()
