"""Events rendered in OpenAI's form, for engines (or answers) that do not speak it themselves.

Promises: what the official client reads: role first, usage only if asked for in a stream, `[DONE]` at the end of a whole one.
Does not cover: the engine whose bytes pass through.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

from homefire.dialects import openai
from homefire.messages import ChatRequest, CompletionRequest, Event


async def render_pieces(request: ChatRequest | CompletionRequest, events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    """The answer as `Answer.pieces` gives it."""
    answer_id = "chatcmpl-" + secrets.token_hex(12)
    if not request.stream:
        kept = [event async for event in events]
        if isinstance(request, ChatRequest):
            yield openai.render_chat(request, kept, answer_id)
        else:
            yield openai.render_completion(request, kept, answer_id)
        return
    stream: openai.ChatStream | openai.CompletionStream
    if isinstance(request, ChatRequest):
        stream = openai.ChatStream(request, answer_id)
    else:
        stream = openai.CompletionStream(request, answer_id)
    yield stream.begin()
    async for event in events:
        yield stream.event(event)
    yield stream.end()
