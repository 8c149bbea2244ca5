"""The KV cache of one llama.cpp server: who gets which slot, what is brought back from the shelf before a request, what is
written to it when the server is quiet, when another conversation takes the slot, and before the server ends.

    take(request) -> Slot -> the request runs in it -> give_back(slot, ...) -> after a while: kept on the shelf if worth it

Promises: `take` gives each request a slot of its own, in order of arrival; what goes wrong with the shelf costs time, never the
request; a server that does not answer holds up `leave` for `LEAVE_SECONDS` at most; nothing is written while an answer is under
way, but for the slot that another conversation takes.
Does not cover: what the server does with the tokens (it uses only what is the same, token by token); models with images, whose
slots llama.cpp does not save (it says so, and then nothing more is asked of it).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from homefire.dialects import llamacpp
from homefire.dialects.spent import Spent
from homefire.engines.engine import EngineSpec
from homefire.engines.kv_shelf import Entry, KvShelf
from homefire.engines.prefix import Chain, chain_of, covered, shared, text_of
from homefire.engines.slots import Choice, Slot, SlotTable
from homefire.engines.worth import Worth
from homefire.errors import EngineError, EngineFailed, HomefireError
from homefire.messages import ChatRequest, CompletionRequest

log = logging.getLogger(__name__)

# After its last answer, until a conversation is written down in case of a crash.
IDLE_SECONDS = 3.0
# A slot of a conversation that others followed is emptied after this: what lies in the cache slows down what is computed.
EMPTY_SECONDS = 60.0
# What writing may take when the model leaves, all slots together.
LEAVE_SECONDS = 5.0
ACTION_SECONDS = 30.0
# Bytes of text a token, roughly.
TOKEN_BYTES = 4
TAG_LETTERS = 16
MOST_FAILURES = 3

# Path and body to the whole answer. Raises what the engine's errors mean.
Ask = Callable[[str, bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where KV caches are kept: `family` is what must be the same for one to be used; `crash_seconds`: in case of a crash, write
    what would take at least so long to read again; `noted` hears in words what was kept and brought back."""

    shelf: KvShelf
    family: str
    crash_seconds: float = 2.0
    noted: Callable[[str, str], None] = lambda model, words: None


def family_of(spec: EngineSpec, files: Iterable[str], build: str) -> str:
    """The name of all that must be the same for a KV cache to be used again: the model's files (their digests, or what else
    tells them from others), the engine's build, the context, its slots and the form of the cache."""
    facts = [build, spec.context, spec.slots, spec.kind, spec.kv_type, spec.flash_attention]
    return f"{model_tag(files)}-{_tag(facts)}"


def model_tag(files: Iterable[str]) -> str:
    """What the families of a model begin with."""
    return _tag(sorted(files))


def _tag(facts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:TAG_LETTERS]


class KeptCache:
    """See the module's text. `ask` reaches the server."""

    def __init__(self, name: str, slots: int, keeping: Keeping | None, ask: Ask) -> None:
        self._name = name
        self._table = SlotTable(slots)
        self._keeping = keeping
        self._ask = ask
        self._worth = Worth()
        self._failures = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._tending: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Makes the folder that the server is told of; where that cannot be, nothing is kept."""
        if self._keeping is not None:
            try:
                self._keeping.shelf.place(self._keeping.family)
            except HomefireError as problem:
                log.warning("'%s' keeps no KV caches: %s", self._name, problem.message)
                self._keeping = None

    async def take(self, request: ChatRequest | CompletionRequest) -> Slot:
        """A slot for the request, with as much of its KV cache in it as is to be had."""
        chain = chain_of(text_of(request))
        choice = await self._choose(chain)
        slot = choice.slot
        slot.busy = True
        try:
            if self._keeping is not None:
                await self._prepare(choice, chain, self._keeping)
        except BaseException:
            self._free(slot)
            raise
        slot.label, slot.chain = request.cache_key, chain
        return slot

    def give_back(self, slot: Slot, spent: Spent | None) -> None:
        """The request is done; `spent` says what it took, if the answer came to its end."""
        if spent is not None:
            slot.tokens = spent.cached + spent.read + spent.written
            slot.saved = min(slot.saved, spent.cached)
            self._worth.read(spent.read, spent.read_ms / 1000)
        else:  # broken off: at most this lies there
            slot.tokens = max(1, covered(len(slot.chain)) // TOKEN_BYTES)
            slot.saved = 0
        self._free(slot)
        self._tend_later(IDLE_SECONDS)

    def refused(self, slot: Slot) -> None:
        """The server did not take the request: what lies in the slot is not known."""
        slot.clear()
        self._free(slot)

    async def leave(self) -> None:
        """Before the server ends: writes what is worth it, the newest first."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait((self._tending,))
        if self._keeping is None:
            return
        began, kept, tokens = time.monotonic(), 0, 0
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                for slot in self._table.idle():
                    if self._worth.unknown(slot.tokens):
                        done = await self._measure(slot, self._keeping, 0.0)
                    else:
                        worth = slot.unsaved and self._worth.keeps(slot.tokens)
                        done = bool(worth and await self._save(slot, self._keeping))
                    if done:
                        kept, tokens = kept + 1, tokens + slot.tokens
        except TimeoutError:
            log.info("'%s': not all KV caches were kept within %g s", self._name, LEAVE_SECONDS)
        except HomefireError as problem:
            log.info("'%s': %s", self._name, problem.message)
        if kept:
            took = time.monotonic() - began
            words = f"The KV caches of {kept} conversation{'s' if kept != 1 else ''} ({tokens:,} tokens)"
            self._keeping.noted(self._name, f"{words} were written to the disk in {took:.2f} s.")

    # -- slots

    async def _choose(self, chain: Chain) -> Choice:
        first = True
        while True:
            if not (first and self._waiting) and (choice := self._table.choose(chain)) is not None:
                return choice
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if first:
                self._waiting.append(turn)
            else:  # somebody came between: it stays the first in the queue
                self._waiting.appendleft(turn)
            first = False
            try:
                await turn
            except BaseException:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                else:  # it was this one's turn: the next takes it
                    self._wake()
                raise

    def _free(self, slot: Slot) -> None:
        slot.busy = False
        slot.used = time.monotonic()
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    # -- the shelf

    async def _prepare(self, choice: Choice, chain: Chain, keeping: Keeping) -> None:
        """Fetches what the shelf has of the request, if that is more than the slot has; first keeps what would be lost."""
        slot = choice.slot
        try:
            found = await self._better(choice, chain, keeping)
            if (choice.displaces or found) and slot.unsaved and self._worth.keeps(slot.tokens):
                await self._save(slot, keeping)
            if found:
                await self._restore(slot, found, keeping)
            elif choice.displaces:
                slot.saved = 0
        except HomefireError as problem:  # the request goes on without
            log.info("'%s': %s", self._name, problem.message)

    async def _better(self, choice: Choice, chain: Chain, keeping: Keeping) -> Entry | None:
        """What on the shelf is worth being read back for this request."""
        await self._share(choice, chain, keeping)
        found = keeping.shelf.find(keeping.family, chain)
        if found is None:
            return None
        entry, blocks = found
        gained = (covered(blocks) - covered(choice.matched)) * entry.tokens // max(1, covered(len(entry.chain)))
        return entry if self._worth.brings_back(gained, entry.tokens) else None

    async def _share(self, choice: Choice, chain: Chain, keeping: Keeping) -> None:
        """A beginning that lies in another slot, such as a long system prompt, is shared by way of the shelf."""
        if choice.matched:
            return
        for slot in self._table.idle():
            if slot is choice.slot or not slot.unsaved or not slot.chain:
                continue
            gained = covered(shared(chain, slot.chain)) * slot.tokens // max(1, covered(len(slot.chain)))
            if gained and self._worth.brings_back(gained, 2 * slot.tokens):
                await self._save(slot, keeping)
                return

    async def _save(self, slot: Slot, keeping: Keeping) -> Entry | None:
        """Writes a slot's KV cache to the shelf. Raises HomefireError."""
        shelf, chain, label = keeping.shelf, slot.chain, slot.label
        if not chain or not shelf.has_room(int(slot.tokens * self._worth.token_bytes)):
            return None
        entry_id = shelf.new_id()
        answer = await self._written(slot, f"{entry_id}.kv", keeping)
        if answer.tokens == 0:  # the server had emptied it
            slot.clear()
            (shelf.folder / keeping.family / f"{entry_id}.kv").unlink(missing_ok=True)
            return None
        self._worth.moved(answer.tokens, answer.size, answer.seconds)
        entry = await shelf.put(entry_id, keeping.family, chain, answer.tokens, label)
        if slot.chain is chain:
            slot.saved = answer.tokens
        return entry

    async def _written(self, slot: Slot, file: str, keeping: Keeping) -> llamacpp.SlotAnswer:
        """Has the server write a file; one that refuses every time is not asked any more."""
        try:
            answer = await self._act(slot, "save", file)
        except HomefireError as problem:
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                log.warning("'%s' keeps no KV caches any more: %s", self._name, problem.message)
                self._keeping = None
            raise
        self._failures = 0
        return answer

    async def _restore(self, slot: Slot, entry: Entry, keeping: Keeping) -> None:
        """Reads an entry back into a slot. Raises HomefireError."""
        slot.clear()
        if not await keeping.shelf.fetch(entry):
            return
        try:
            answer = await self._act(slot, "restore", entry.file)
        except HomefireError:
            keeping.shelf.drop(entry)  # it would fail again
            raise
        keeping.shelf.touch(entry)
        self._worth.moved(answer.tokens, answer.size, answer.seconds)
        slot.tokens = slot.saved = answer.tokens
        slot.chain = entry.chain
        if self._worth.reading(answer.tokens) >= keeping.crash_seconds:  # what nobody would notice is not told
            words = f"A KV cache of {answer.tokens:,} tokens was read back in {1000 * answer.seconds:.0f} ms."
            keeping.noted(self._name, words)

    async def _act(self, slot: Slot, action: str, file: str) -> llamacpp.SlotAnswer:
        return llamacpp.read_slot(await self._asked(slot, action, llamacpp.render_slot(file)))

    async def _asked(self, slot: Slot, action: str, body: bytes) -> bytes:
        """Not wait_for: before Python 3.12 it swallows a cancellation that comes in the turn of the answer."""
        try:
            async with asyncio.timeout(ACTION_SECONDS):
                return await self._ask(llamacpp.slot_path(slot.number, action), body)
        except TimeoutError:
            raise EngineFailed(
                f"The engine of '{self._name}' did not {action} a slot in {ACTION_SECONDS:g} s."
            ) from None

    # -- when it is quiet

    def _tend_later(self, seconds: float) -> None:
        if self._keeping is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tend_now)

    def _tend_now(self) -> None:
        if self._tending is None or self._tending.done():
            self._tending = asyncio.ensure_future(self._tend())

    async def _tend(self) -> None:
        """Writes what a crash would cost dearly, and empties slots whose conversation others followed."""
        keeping, now = self._keeping, time.monotonic()
        if keeping is None:
            return
        try:
            for number, slot in enumerate(self._table.idle()):
                if not self._table.quiet():
                    break  # the next answer's end brings us here again
                if self._worth.unknown(slot.tokens):
                    await self._measure(slot, keeping, keeping.crash_seconds)
                if self._worth.saves_now(slot.tokens, slot.unsaved, keeping.crash_seconds):
                    await self._save(slot, keeping)
                elif number and now - slot.used >= EMPTY_SECONDS and not slot.busy:
                    if slot.unsaved and self._worth.keeps(slot.tokens):
                        await self._save(slot, keeping)
                    await self._empty(slot)
        except EngineError as problem:
            log.info("'%s': its KV caches were not kept: %s", self._name, problem)
            return
        except HomefireError as problem:
            log.info("'%s': %s", self._name, problem.message)
        if len(self._table.idle()) > 1:
            self._tend_later(EMPTY_SECONDS / 4)

    async def _measure(self, slot: Slot, keeping: Keeping, least_seconds: float) -> bool:
        """Writes a file to learn what that takes; it stays if it turns out to be worth it, as after `Worth.saves_now`."""
        entry = await self._save(slot, keeping)
        if entry is not None and not self._worth.saves_now(slot.tokens, slot.tokens, least_seconds):
            keeping.shelf.drop(entry)
            slot.saved = 0
            return False
        return entry is not None

    async def _empty(self, slot: Slot) -> None:
        slot.busy = True
        try:
            await self._asked(slot, "erase", b"{}")
            slot.clear()
        finally:
            used = slot.used
            self._free(slot)
            slot.used = used
