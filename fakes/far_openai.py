"""A far server that speaks OpenAI's interface and misbehaves on request: `python -m fakes.far_openai`. See `far_server.py`.

It repeats the user's last message word by word; a tool that is required is called with no arguments; an embedding depends on a
text's words alone, and a text of more than 64 words is refused.
Promises: without a fault its answers are what the official client reads.
Does not cover: answers that are not streamed.
"""

from __future__ import annotations

import json
import time
from typing import Any

from fakes.far_server import CONTEXT, FarServer, last_user, serve, vector, words


class FarOpenAI(FarServer):
    """One connection."""

    stream_type = "text/event-stream"

    def route(self, body: dict[str, Any] | None) -> None:
        """See `FarServer`."""
        if self.path == "/v1/models":
            if not self.before(self.strikes("models")):
                rows = [{"id": self.named(name), "object": "model", "created": int(time.time())} for name in self.names]
                self.page({"object": "list", "data": rows})
        elif body is None or self.path not in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings"):
            self.raw(404, self.failure(404, "no such route"), "application/json")
        elif body["model"] not in self.names:
            self.raw(404, self.failure(404, "no such model", "model_not_found"), "application/json")
        elif self.path == "/v1/embeddings":
            self._embed(body)
        else:
            fault = self.strikes("chat")
            if not self.before(fault):
                self.stream(self._chunks(body, fault), fault)

    def _chunks(self, body: dict[str, Any], fault: str) -> list[dict[str, Any]]:
        chat = "messages" in body
        head = {
            "id": "x",
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": int(time.time()),
            "model": "another" if fault == "other_model" else self.named(body["model"]),
        }
        text = next(last_user(body["messages"]), "") if chat else body["prompt"]

        def chunk(delta: dict[str, Any] | str, reason: str | None = None) -> dict[str, Any]:
            key = "text" if isinstance(delta, str) else "delta"
            return {**head, "choices": [{"index": 0, key: delta, "finish_reason": reason}]}

        chosen = body.get("tool_choice", "auto")
        if body.get("tools") and chosen not in ("auto", "none"):
            name = chosen["function"]["name"] if isinstance(chosen, dict) else body["tools"][0]["function"]["name"]
            called = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
            rest = [{"index": 0, "function": {"arguments": piece}} for piece in ("{", "}")]
            made = [chunk({"tool_calls": [call]}) for call in (called, *rest)] + [chunk({}, "tool_calls")]
            count = 1
        else:
            said, whole = words(text, body.get("max_tokens"))
            made = [chunk({"content": word} if chat else word) for word in said]
            made.append(chunk({} if chat else "", "stop" if whole else "length"))
            count = len(said)
        first = [chunk({"role": "assistant", "content": ""})] if chat else []
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": count, "total_tokens": 0}
        asked = (body.get("stream_options") or {}).get("include_usage")
        return [*first, *made, *([{**head, "choices": [], "usage": usage}] if asked else [])]

    def _embed(self, body: dict[str, Any]) -> None:
        fault = self.strikes("embed")
        if self.before(fault):
            return
        given = body["input"] if isinstance(body["input"], list) else [body["input"]]
        found = [vector(each) for each in given]
        time.sleep(0.001 * len(found))
        if any(count > CONTEXT for _, count in found):
            message = f"This model's maximum context length is {CONTEXT} tokens."
            self.raw(400, self.failure(400, message, "context_length_exceeded"), "application/json")
            return
        rows = [{"object": "embedding", "index": at, "embedding": row} for at, (row, _) in enumerate(found)]
        if fault == "garbage_json":
            rows[0]["embedding"] = []
        if fault == "stop_short":
            rows.pop()
        usage = {"prompt_tokens": sum(count for _, count in found), "total_tokens": 0}
        model = "another" if fault == "other_model" else self.named(body["model"])
        self.page({"object": "list", "data": rows[::-1], "model": model, "usage": usage})

    def failure(self, status: int, message: str, code: str = "") -> bytes:
        """See `FarServer`."""
        return json.dumps({"error": {"message": message, "type": "an_error", "code": code or status}}).encode()

    def frame(self, value: dict[str, Any]) -> bytes:
        """See `FarServer`."""
        return b"data: " + json.dumps(value).encode() + b"\n\n"

    def last(self) -> None:
        """See `FarServer`."""
        self.chunk(b"data: [DONE]\n\n")
        super().last()


if __name__ == "__main__":
    serve(FarOpenAI)
