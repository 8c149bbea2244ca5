"""Answers in a form that the engine does not speak: its events rendered by a dialect, streamed or whole.

Promises: what goes wrong before the first event is an HTTP error; after it, the dialect's own last event or line; the stream
begins once the first event is there.
Does not cover: the forms (`dialects/`), and answers whose bytes pass through (`openai_routes.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Send

from homefire.engines.engine import Answer
from homefire.errors import HomefireError
from homefire.messages import Event
from homefire.server.request import EVENTS, begin_events, end_events, send_bytes

JSON, LINES = b"application/json", b"application/x-ndjson"
Headers = list[tuple[bytes, bytes]]


class Stream(Protocol):
    """Renders the events of one answer."""

    def begin(self) -> bytes:
        """What comes before the first event."""
        ...

    def event(self, event: Event) -> bytes:
        """What one event looks like."""
        ...

    def end(self) -> bytes:
        """What comes after the last event."""
        ...

    def failed(self, problem: HomefireError) -> bytes:
        """The end of a stream that broke off."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is rendered. `stream` is called when the first event is there, `whole` when the last one is."""

    stream: Callable[[], Stream]
    whole: Callable[[list[Event]], bytes]
    kind: bytes = EVENTS


async def send_answer(answer: Answer, streamed: bool, form: Form, send: Send, headers: Headers) -> None:
    """Sends the answer with these headers beside the usual ones."""
    events = answer.events()
    if not streamed:
        body = form.whole([event async for event in events])
        await send_bytes(send, body, JSON, extra=headers)
        return
    first = await anext(events, None)
    stream = form.stream()
    await begin_events(send, form.kind, headers)
    await _send(send, stream.begin())
    try:
        if first is not None:
            await _send(send, stream.event(first))
            async for event in events:
                await _send(send, stream.event(event))
        await _send(send, stream.end())
    except HomefireError as problem:
        await _send(send, stream.failed(problem))
    await end_events(send)


async def _send(send: Send, body: bytes) -> None:
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})
