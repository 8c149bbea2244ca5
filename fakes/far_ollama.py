"""A far server that speaks Ollama's interface and misbehaves on request: `python -m fakes.far_ollama`. See `far_server.py`.

It says the same things as `far_openai.py`. Like Ollama it answers to a name with and without `:latest`, and cuts what is too long
unless it is told not to.
Promises: without a fault its answers are what the official client reads.
Does not cover: answers that are not streamed; pulling models.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from fakes.far_server import CONTEXT, FarServer, last_user, serve, vector, words


class FarOllama(FarServer):
    """One connection."""

    stream_type = "application/x-ndjson"

    def route(self, body: dict[str, Any] | None) -> None:
        """See `FarServer`."""
        if self.path == "/api/tags":
            if not self.before(self.strikes("models")):
                self.page({"models": [self._tag(name) for name in self.names]})
        elif body is None or self.path not in ("/api/chat", "/api/generate", "/api/embed"):
            self.raw(404, self.failure(404, "no such route"), "application/json")
        elif body["model"].removesuffix(":latest") not in self.names:
            self.raw(404, self.failure(404, f"model '{body['model']}' not found"), "application/json")
        elif self.path == "/api/embed":
            self._embed(body)
        else:
            fault = self.strikes("chat")
            if not self.before(fault):
                self.stream(self._chunks(body, fault), fault)

    def _tag(self, name: str) -> dict[str, Any]:
        # Another model behind the same name: Ollama's digest tells it.
        digest = hashlib.sha256((FarServer.behind or name).encode()).hexdigest()
        return {"name": name + ":latest", "model": name + ":latest", "size": 1, "digest": digest}

    def _chunks(self, body: dict[str, Any], fault: str) -> list[dict[str, Any]]:
        chat = "messages" in body
        text = next(last_user(body["messages"]), "") if chat else body["prompt"]
        model = "another" if fault == "other_model" else body["model"]
        head = {"model": model, "created_at": "2026-11-21T00:00:00Z", "done": False}
        said, whole = words(text, body["options"].get("num_predict"))
        if chat:
            made: list[dict[str, Any]] = [{**head, "message": {"role": "assistant", "content": word}} for word in said]
        else:
            made = [{**head, "response": word} for word in said]
        if chat and body.get("tools") and "call" in text:
            function = {"name": body["tools"][0]["function"]["name"], "arguments": {"on": True}}
            made = [{**head, "message": {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}}]
        end = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
        counts = {"prompt_eval_count": len(text.split()), "eval_count": len(made), "eval_duration": 10**7 * len(made)}
        return [*made, {**head, **end, "done": True, "done_reason": "stop" if whole else "length", **counts}]

    def _embed(self, body: dict[str, Any]) -> None:
        fault = self.strikes("embed")
        if self.before(fault):
            return
        texts = [each.split() for each in body["input"]]
        if not body["truncate"] and any(len(each) > CONTEXT for each in texts):
            self.raw(
                400, self.failure(400, f"input length exceeds maximum context length {CONTEXT}"), "application/json"
            )
            return
        found = [vector(" ".join(each[:CONTEXT])) for each in texts]
        time.sleep(0.001 * len(found))
        rows = [row for row, _ in found]
        if fault == "garbage_json":
            rows[0] = []
        if fault == "stop_short":
            rows.pop()
        self.page({"model": body["model"], "embeddings": rows, "prompt_eval_count": sum(count for _, count in found)})

    def failure(self, status: int, message: str, code: str = "") -> bytes:
        """See `FarServer`."""
        return json.dumps({"error": message}).encode()

    def frame(self, value: dict[str, Any]) -> bytes:
        """See `FarServer`."""
        return json.dumps(value).encode() + b"\n"


if __name__ == "__main__":
    serve(FarOllama)
