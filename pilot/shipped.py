"""The shipped path: a daemon of its own, the model in its real engine, asked over HTTP with a key.

Promises: the daemon has a home of its own in a temporary folder and ends with the block; a file other than the packaged one is
imported first, as a person would do it. `ask` may be called from several threads.
Does not cover: judging (`pilot/evaluate.py`).
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from pilot.corpus.skill import Message, Reply

PACKAGED = Path(__file__).parents[1] / "homefire" / "models" / "pilot.gguf"
SECONDS = 300


class Shipped:
    """A context manager around the daemon; `ask` is what trials are given."""

    def __init__(self, model: Path, threads: int = 0) -> None:
        self.model = model
        self.threads = threads
        self._local = threading.local()

    def __enter__(self) -> "Shipped":
        self.home = tempfile.TemporaryDirectory(prefix="homefire-pilot-")
        environment = {**os.environ, "HOMEFIRE_HOME": self.home.name, "HOMEFIRE_PORT": "0"}
        environment["HOMEFIRE_THREADS"] = str(self.threads)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "homefire.daemon"],
            env=environment,
            cwd=PACKAGED.parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.child.stdout
        word = json.loads(self.child.stdout.readline())
        if "ready" not in word:
            raise SystemExit(f"the daemon did not start: {word}")
        self.address = word["ready"]["url"].removeprefix("http://")
        self.key = json.loads((Path(self.home.name) / "keys").read_text("utf-8"))["local"]
        self.name = "pilot"
        if self.model.resolve() != PACKAGED.resolve():
            self.name = "candidate"
            self._import()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.terminate()
        self.child.wait()
        self.home.cleanup()

    def _import(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=SECONDS)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        body = json.dumps({"path": str(self.model.resolve()), "name": self.name})
        connection.request("POST", "/homefire/v1/models/import", body, headers)
        said = connection.getresponse().read().decode("utf-8")  # a stream of events, the last of them "done" or "error"
        connection.close()
        if "event: done" not in said:
            raise SystemExit(f"{self.model} was not imported: {said[-500:]}")

    def post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """One request on this thread's own connection; the answer as it is, errors included."""
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = http.client.HTTPConnection(self.address, timeout=SECONDS)
            try:
                headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
                connection.request("POST", route, json.dumps(body), headers)
                answer: dict[str, Any] = json.loads(connection.getresponse().read())
                return answer
            except (http.client.HTTPException, ConnectionError):  # an idle connection was closed; ask anew, once
                connection.close()
                self._local.connection = None
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def ask(self, messages: list[Message], tools: list[dict[str, Any]] | None = None, **more: Any) -> Reply:
        """One chat completion, greedy unless `more` says otherwise."""
        body: dict[str, Any] = {"model": self.name, "messages": messages, "temperature": 0, "max_tokens": 220, **more}
        if tools:
            body["tools"] = tools
        answer = self.post("/v1/chat/completions", body)
        if "choices" not in answer:
            return Reply("", ended=False, error=str(answer.get("error", {}).get("code", answer)))
        choice = answer["choices"][0]
        calls = tuple(
            (call["function"]["name"], as_object(call["function"]["arguments"]))
            for call in choice["message"].get("tool_calls") or ()
        )
        text = choice["message"].get("content") or ""
        return Reply(text, calls, choice["finish_reason"] in ("stop", "tool_calls"))


def as_object(text: str) -> dict[str, Any] | None:
    """Arguments as an object; None when they are none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
