"""Which slot of a llama.cpp server a request gets, and what lies in each: a pure table.

llama.cpp would choose a slot itself, but then nobody here knew whose KV cache lies where, and none could be kept when the model
leaves. So the slot is chosen here and named in the request.

    empty -> busy (a request has it) -> idle (its KV cache stays) -> busy ... ; an idle one may be taken by another request, which
    displaces what lies there, or be emptied

Promises: a busy slot is never given twice; a request whose beginning lies in an idle slot gets that slot, unless most of what
lies there would be lost while another slot is free; else an empty one, else the one that was used longest ago.
Does not cover: waiting for a slot (`kv_cache.py`), what is worth keeping (`worth.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from homefire.engines.prefix import Chain, covered, shared

# A request that continues less than this share of what lies in a slot displaces it rather than continuing it.
CONTINUES = 0.8


@dataclass(slots=True, eq=False)
class Slot:
    """One place. `chain` and `tokens` are of what lies in it, `saved` how many of these tokens lie on the shelf too, `used` is
    when a request had it last, `label` whose it is (a conversation's id, "" for others)."""

    number: int
    chain: Chain = ()
    tokens: int = 0
    saved: int = 0
    used: float = 0.0
    label: str = ""
    busy: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing lies in it."""
        return self.tokens == 0 and not self.busy

    @property
    def unsaved(self) -> int:
        """Tokens that lie here alone."""
        return max(0, self.tokens - self.saved)

    def clear(self) -> None:
        """Forgets what lay here."""
        self.chain, self.tokens, self.saved, self.label = (), 0, 0, ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A slot for a request; `matched` blocks of the request lie in it, and it `displaces` what else does."""

    slot: Slot
    matched: int
    displaces: bool


class SlotTable:
    """The slots of one server."""

    def __init__(self, count: int) -> None:
        self.slots = [Slot(number) for number in range(count)]

    def idle(self) -> list[Slot]:
        """Slots that no request has and in which something lies, the one used last first."""
        return sorted((s for s in self.slots if not s.busy and not s.empty), key=lambda s: s.used, reverse=True)

    def quiet(self) -> bool:
        """Whether no request has a slot."""
        return not any(slot.busy for slot in self.slots)

    def choose(self, chain: Chain) -> Choice | None:
        """The slot for a request; None if all are busy. Nothing is changed."""
        free = [slot for slot in self.slots if not slot.busy]
        if not free:
            return None
        matches = {slot.number: shared(chain, slot.chain) for slot in free}
        best = max(free, key=lambda slot: (matches[slot.number], slot.used))
        matched = matches[best.number]
        if matched and covered(matched) >= CONTINUES * covered(len(best.chain)):
            return Choice(best, matched, False)
        for slot in free:
            if slot.empty:
                return Choice(slot, 0, False)
        if matched:
            return Choice(best, matched, True)
        return Choice(min(free, key=lambda slot: slot.used), 0, True)
