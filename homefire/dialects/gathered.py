"""A whole answer from its events, for dialects that do not stream it.

Promises: text, reasoning and calls in the order in which they came; a call whose arguments are cut short is kept as text.
Does not cover: any wire form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from homefire.messages import (
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    UsageReport,
)

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Gathered:
    """An answer. `reason` is "stop" if the engine gave none; `usage` is all zero then too; `rate` in tokens a second or None."""

    text: str
    reasoning: str
    calls: tuple[ToolCall, ...]
    reason: FinishReason
    usage: Usage
    rate: float | None


def gather(events: Iterable[Event]) -> Gathered:
    """The whole answer."""
    text: list[str] = []
    reasoning: list[str] = []
    calls: dict[int, ToolCall] = {}
    reason: FinishReason = "stop"
    usage, rate = Usage(0, 0), None
    for event in events:
        match event:
            case TextDelta(piece):
                text.append(piece)
            case ReasoningDelta(piece):
                reasoning.append(piece)
            case ToolCallDelta():
                so_far = calls.get(event.index)
                calls[event.index] = (
                    ToolCall(event.id or f"call_{event.index}", event.name or "", event.arguments)
                    if so_far is None
                    else ToolCall(so_far.id, so_far.name or event.name or "", so_far.arguments + event.arguments)
                )
            case Finish():
                reason = event.reason
            case UsageReport():
                usage, rate = event.usage, event.tokens_per_second
    ordered = tuple(calls[index] for index in sorted(calls))
    return Gathered("".join(text), "".join(reasoning), ordered, reason, usage, rate)


def arguments_of(text: str) -> dict[str, Any] | None:
    """A call's arguments as an object; None if they are none, such as those of a call that was cut short."""
    if not text.strip():
        return {}
    try:
        found = _decode(text)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None
