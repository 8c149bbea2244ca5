"""What happens to a conversation that does not fit its model's context window: an error, or what its sender declared.

The policy is `X-Homefire-Overflow: drop-oldest` (or a field of the dialect, such as `truncation` "auto"): the oldest turns go
until the rest fits, and `X-Homefire-Dropped` says how many messages went. A turn begins with a message of the user. System
messages never go, nor does the last turn's own question; of a last turn with many rounds of tools the oldest rounds go.
Promises: without the policy nothing is ever dropped; with it no more than is needed, by the engine's own count, and room is
left for an answer where dropping can make it.
Does not cover: texts to embed (`truncate` of `EmbeddingRequest`), plain completions.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from starlette.types import Scope

from homefire.engines.engine import Answer
from homefire.errors import ContextOverflow, InvalidRequest
from homefire.messages import ChatRequest, CompletionRequest, Message
from homefire.server.answering import NOBODY, Answering, Asking

HEADER = b"x-homefire-overflow"
DROPPED = b"x-homefire-dropped"
# Room for the answer: as long as it may become, but no more than this part of the window, nor than this where nothing is said.
PART, USUAL = 4, 512


def wants_drop(scope: Scope) -> bool:
    """What the request's header declares. Raises InvalidRequest if it is no policy."""
    found = next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), "error")
    if found not in ("error", "drop-oldest"):
        raise InvalidRequest(
            f"'{found[:40]}' is no policy for a context that does not fit.",
            "Send X-Homefire-Overflow: drop-oldest, or leave the header out.",
            param="X-Homefire-Overflow",
        )
    return found == "drop-oldest"


def droppable(messages: tuple[Message, ...]) -> list[tuple[int, ...]]:
    """What may go, in the order in which it goes: places of messages that belong together."""
    turns: list[list[int]] = []
    for at, message in enumerate(messages):
        if message.role in ("system", "developer"):
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(at)
    last = turns.pop() if turns else []
    rounds: list[list[int]] = []
    for at in last[1:]:
        if messages[at].role == "assistant" or not rounds:
            rounds.append([])
        rounds[-1].append(at)
    return [tuple(each) for each in (*turns, *rounds[:-1])]


def without(request: ChatRequest, gone: list[tuple[int, ...]]) -> ChatRequest:
    """The request without these messages."""
    places = {at for group in gone for at in group}
    return replace(request, messages=tuple(m for at, m in enumerate(request.messages) if at not in places))


async def shortened(
    request: ChatRequest, limit: int, count: Callable[[ChatRequest], Awaitable[int]]
) -> tuple[ChatRequest, int] | None:
    """The request with as few messages dropped as let it fit into `limit` tokens, and how many went; None if nothing helps."""
    groups = droppable(request.messages)
    wanted = limit - min(request.sampling.max_tokens or USUAL, limit // PART)
    if not groups or await count(without(request, groups)) >= limit:
        return None
    low, high = 1, len(groups)  # dropping `high` groups is the best there is; fewer may do
    while low < high:
        middle = (low + high) // 2
        if await count(without(request, groups[:middle])) <= wanted:
            high = middle
        else:
            low = middle + 1
    return without(request, groups[:high]), sum(map(len, groups[:high]))


@contextlib.asynccontextmanager
async def open_fitting(
    answering: Answering, request: ChatRequest | CompletionRequest, drop: bool, asking: Asking = NOBODY
) -> AsyncIterator[tuple[Answer, list[tuple[bytes, bytes]]]]:
    """As `Answering.open`, with the policy: the answer, and the headers that tell who answers and what was dropped."""
    async with contextlib.AsyncExitStack() as stack:
        headers: list[tuple[bytes, bytes]] = []
        try:
            answer = await stack.enter_async_context(answering.open(request, asking))
        except ContextOverflow as problem:
            if not (drop and problem.limit and isinstance(request, ChatRequest)):
                raise
            # A keep-alive of the request counts for its answer, not for what is asked before that.
            found = await shortened(
                request, problem.limit, lambda each: answering.count(each, replace(asking, keep_alive=None))
            )
            if found is None:
                raise
            shorter, dropped = found
            answer = await stack.enter_async_context(answering.open(shorter, replace(asking, admitted=True)))
            why = f"{dropped} messages were dropped, as the request declared: it did not fit the context window."
            answering.keeper.decisions.note("truncated", request.model, why)
            headers.append((DROPPED, str(dropped).encode()))
        yield answer, [*headers, *answer.headers]
