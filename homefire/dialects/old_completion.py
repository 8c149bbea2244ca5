"""Plain completions in the older form that OpenAI's route has: llama.cpp answers in the chat's form there.

Two differences: log probabilities are parallel lists, not objects; the usage that was asked for in a stream comes in a last
chunk of its own, without choices.
Promises: bytes in, bytes out, however a stream is cut; what needs no change is passed on.
Does not cover: completions without log probabilities and usage; their bytes pass unread.
"""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class OldCompletion:
    """Rewrites one answer."""

    def __init__(self, stream: bool) -> None:
        self._stream = stream
        self._rest = b""
        self._offset = 0

    def feed(self, data: bytes) -> bytes:
        """What of a stream is complete now, rewritten; of a whole answer nothing until `end`."""
        self._rest += data
        if not self._stream:
            return b""
        *lines, self._rest = self._rest.split(b"\n")
        return b"".join(self._line(line) for line in lines)

    def end(self) -> bytes:
        """What is left."""
        rest, self._rest = self._rest, b""
        return rest if self._stream else _encode(self._rewritten(_decode(rest)))

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(b"data: {"):
            return line + b"\n"
        chunk = self._rewritten(_decode(line[6:]))
        if not chunk.get("choices") or "usage" not in chunk:
            return b"data: " + _encode(chunk) + b"\n"
        usage = {**chunk, "choices": []}
        del chunk["usage"]
        return b"data: " + _encode(chunk) + b"\n\ndata: " + _encode(usage) + b"\n"

    def _rewritten(self, answer: dict[str, Any]) -> dict[str, Any]:
        for choice in answer.get("choices", ()):
            found = choice.get("logprobs")
            if isinstance(found, dict) and "content" in found:
                choice["logprobs"] = self._lists(found["content"] or [])
        return answer

    def _lists(self, tokens: list[dict[str, Any]]) -> dict[str, Any]:
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(token["token"])
        return {
            "tokens": [token["token"] for token in tokens],
            "token_logprobs": [token["logprob"] for token in tokens],
            "top_logprobs": [
                {other["token"]: other["logprob"] for other in token.get("top_logprobs", ())} for token in tokens
            ],
            "text_offset": offsets,
        }
