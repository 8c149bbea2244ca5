"""The model's child process: llama.cpp's server from xllamacpp, alone in a process because it may abort.

Run as `python -m homefire.engines.llamacpp_child JSON`. It says on its lifeline where it listens, and ends with its parent.
Promises: no secret on the command line; the socket is open to this user only; no log holds a prompt (verbosity: warnings).
Does not cover: anything but serving one model; a native build of the same server (`native_child.py`).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from homefire.engines.parameters import parameters, settle
from homefire.supervision import lifeline


def main() -> None:
    """Loads the model and serves until the lifeline breaks."""
    rope = lifeline.attach()
    os.umask(0o077)
    arguments = json.loads(sys.argv[1])
    try:
        from xllamacpp import Server

        server = Server(_parameters(arguments))
        address = _address(server.listening_address)
    except (RuntimeError, ValueError, TypeError, OSError, MemoryError, ImportError, KeyError) as problem:
        rope.failed(str(problem) or type(problem).__name__)
        sys.exit(1)
    rope.ready(address=address)
    threading.Event().wait()


def _parameters(arguments: dict[str, Any]) -> Any:
    from xllamacpp import CommonParams

    found = CommonParams()
    settle(found, parameters(arguments))
    if arguments["socket"] is not None:
        Path(arguments["socket"]).unlink(missing_ok=True)
        found.hostnames = [arguments["socket"]]
    else:
        found.hostnames = ["127.0.0.1"]
        found.port = 0
        found.api_keys = [os.environ.pop("HOMEFIRE_ENGINE_KEY")]
    return found


def _address(listening: str) -> str | tuple[str, int]:
    if listening.startswith("unix://"):
        return listening.removeprefix("unix://")
    host, _, port = listening.split("//", 1)[-1].rstrip("/").rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
