"""Load for the chaos tests: clients that talk without pause, and write down everything they were told.

Promises: a client never asks twice at once, never hides an outcome, and outlives daemons: it asks the one that runs now.
Does not cover: judging what was written down; the tests do.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

from homefire.errors import HomefireError
from tests.conftest import RunningDaemon


@dataclass
class Turn:
    """One question and what came of it. `heard` holds (when, how many characters so far) for each piece of the answer;
    `outcome` is "" while it goes on, then "done", the code of an error, "broken" for a connection that broke, or "left" when
    the test ended it."""

    began: float
    conversation: str = ""
    question: str = ""
    answer: str = ""
    text: str = ""
    heard: list[tuple[float, int]] = field(default_factory=list)
    outcome: str = ""
    ended: float = 0.0

    def heard_before(self, moment: float) -> int:
        """How many characters had come before the moment."""
        return max((size for when, size in self.heard if when < moment), default=0)


class Talker(threading.Thread):
    """A client in a thread of its own, in conversations or (`plain`) through OpenAI's route; its answers end after
    `limit` tokens."""

    def __init__(self, daemon: RunningDaemon, model: str, plain: bool, limit: int | None = None) -> None:
        super().__init__(name="talker", daemon=True)
        self._daemon = daemon
        self._model = model
        self._plain = plain
        self._limit = limit
        self._over = threading.Event()
        self.turns: list[Turn] = []

    def run(self) -> None:
        while not self._over.is_set():
            turn = Turn(time.monotonic())
            self.turns.append(turn)
            try:
                outcome = self._ask_plainly(turn) if self._plain else self._ask(turn)
            except HomefireError as problem:
                transport = ("daemon_not_running", "engine_failed", "shutting_down", "request_timeout")
                outcome = "broken" if type(problem).code in transport and not _from_daemon(problem) else problem.code
            except (httpx2.TransportError, OSError):
                outcome = "broken"
            turn.ended, turn.outcome = time.monotonic(), outcome
            if outcome != "done":
                self._over.wait(0.1)

    def end(self) -> None:
        """Leaves the turn under way; `join` afterwards."""
        self._over.set()

    def talking(self) -> bool:
        """Whether an answer is coming in."""
        return bool(self.turns) and not self.turns[-1].outcome and bool(self.turns[-1].text)

    def _ask(self, turn: Turn) -> str:
        with self._daemon.client() as client:
            turn.conversation = client.post("/homefire/v1/conversations", {"model": self._model})["id"]
            fields = {"sampling": {"max_tokens": self._limit}} if self._limit else {}
            for event in client.ask(turn.conversation, "go on", **fields):
                if event.name == "message":
                    role = "question" if event.data["role"] == "user" else "answer"
                    setattr(turn, role, event.data["id"])
                elif event.name == "delta":
                    self._hear(turn, event.data["text"])
                if self._over.is_set():
                    return "left"
            return "done"

    def _ask_plainly(self, turn: Turn) -> str:
        body: dict[str, Any] = {
            "model": self._model,
            "stream": True,
            "messages": [{"role": "user", "content": "go on"}],
        }
        if self._limit:
            body["max_tokens"] = self._limit
        headers = {"authorization": f"Bearer {self._daemon.key}"}
        with (
            httpx2.Client(base_url=self._daemon.url, headers=headers, timeout=120, trust_env=False) as client,
            client.stream("POST", "/v1/chat/completions", json=body) as response,
        ):
            if response.status_code != 200:
                return str(json.loads(response.read())["error"]["code"])
            for line in response.iter_lines():
                if self._over.is_set():
                    return "left"
                if line == "data: [DONE]":
                    return "done"
                if line.startswith("data: "):
                    found: dict[str, Any] = json.loads(line[6:])
                    if "error" in found:
                        return str(found["error"]["code"])
                    for choice in found["choices"]:
                        self._hear(turn, choice["delta"].get("content") or "")
        return "broken"

    @staticmethod
    def _hear(turn: Turn, text: str) -> None:
        turn.text += text
        turn.heard.append((time.monotonic(), len(turn.text)))


def _from_daemon(problem: HomefireError) -> bool:
    """Whether the daemon said it, rather than the client for want of a daemon."""
    return not any(
        words in problem.message
        for words in ("does not answer", "No daemon runs", "connection to the daemon broke", "stream ended before")
    )
