"""Far servers for tests: the fakes that misbehave on request, and llama.cpp's own server, each a process of its own.

Promises: a server ends with the test's process, whatever happens; `kill` is a crash.
Does not cover: what they answer (`fakes/`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import child_arguments

ROOT = Path(__file__).parent.parent
KEY = "sk-far-0123456789abcdef"


class FarProcess:
    """One server under way."""

    def __init__(self, argv: list[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *argv],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        host, port = said["ready"]["address"] if "ready" in said else ("127.0.0.1", said["port"])
        self.port = int(port)
        scheme = "https" if environment and "FAR_CERTIFICATE" in environment else "http"
        self.url = f"{scheme}://{host}:{port}"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Ends it as a crash would, and waits until it is gone."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def fault(self, name: str = "", **how: Any) -> None:
        """From now on it misbehaves so; without a name, no more."""
        self._ask("/control", {"fault": name, **how} if name else how)

    def model(self, name: str) -> None:
        """From now on another model stands behind every name; "": the right one."""
        self._ask("/control", {"model": name})

    def count(self) -> dict[str, Any]:
        """What it was asked. The asking itself is one connection."""
        return dict(self._ask("/count", None))

    def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.url + path, data), timeout=30) as answer:
            return json.load(answer)


def fake(kind: str, port: int = 0) -> FarProcess:
    """A fake: "openai" or "ollama"; on the port of one that is gone, or any."""
    return FarProcess([f"fakes.far_{kind}"], {"FAR_PORT": str(port)})


def llamacpp(file: Path, alias: str, slots: int, context: int, kind: str = "chat") -> FarProcess:
    """llama.cpp's own server on a loopback port, with `KEY` as its key."""
    spec = EngineSpec(alias, file, context, slots, 1, 0, 60.0, Path(os.devnull), None, kind)
    arguments = json.dumps(child_arguments(spec))
    return FarProcess(["homefire.engines.llamacpp_child", arguments], {"HOMEFIRE_ENGINE_KEY": KEY})
