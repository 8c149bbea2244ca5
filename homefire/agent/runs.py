"""All runs of all keys: begun, watched, decided, stopped, taken up again after a crash.

    running -> waiting (a person is asked) -> running -> ended
       \\-> interrupted (the daemon ended) -> running

| call     | blocks                     | never                                                                |
|----------|----------------------------|----------------------------------------------------------------------|
| start()  | until the order is on disk | waits for the run                                                    |
| watch()  | until there is more        | gives an entry that is not on the disk; slows the run                |
| decide() | until the answer is on disk| decides about a call of another key                                  |
| stop()   | until the run has ended    | leaves an effect that had begun untold                               |
| open()   | reads what was under way   | takes a run up more than `MOST_RESUMES` times without a step forward |

Promises: a run belongs to a key, and to another key it is unknown; what was under way when the daemon died is taken up from its
journal; a journal that is damaged ends its run and is kept as it is.
Does not cover: what a loop does (`loop.py`, handed in), what an effect may do (`effects.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from homefire.agent.budget import Budget
from homefire.agent.effects import EffectRules, Effects, kept
from homefire.agent.grants import IN_SWARM, Grants
from homefire.agent.needs import Hands, Record
from homefire.agent.order import MOST_CHILDREN, MOST_DEPTH, Order
from homefire.agent.purse import Purse
from homefire.agent.record import RunRecord, begun_and_lost, read_entries, waiting_for
from homefire.agent.step import Answered, Called, Decided, Ended, Ending, Entry, Ordered, Returned, Told
from homefire.agent.tool import Tool
from homefire.errors import (
    DiskFull,
    FolderNotGranted,
    HomefireError,
    HomeNotWritable,
    InvalidRequest,
    NotAsked,
    RunEnded,
    ShuttingDown,
    StoreDamaged,
    UnknownRun,
)
from homefire.paths import Paths, RunId, make_private_folder
from homefire.safety.boundary import Boundary, ToolSpec
from homefire.safety.taint import Label, joined, label
from homefire.store import RunRow, RunRows, Safety

log = logging.getLogger("homefire.agent")

MOST_RESUMES = 3
MOST_PIECES = 10_000
Say = Callable[[str], None]


class Runner(Protocol):
    """A loop over one run (`loop.py`)."""

    async def run(self) -> Ended:
        """To the run's end."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What a loop is made of. `shared` as in `LoopRules`."""

    order: Order
    key: str
    run: str
    record: Record
    hands: Hands
    offered: Sequence[ToolSpec]
    say: Say
    shared: Callable[[], str] = lambda: ""


class MakeLoop(Protocol):
    """Makes the loop of a run; what it raises as HomefireError ends the run with that."""

    async def __call__(self, given: Given) -> Runner: ...


@dataclass(frozen=True, slots=True)
class RunsRules:
    """`resume`: whether runs that were under way are taken up at the start; `seconds` a tool may take that names no other time;
    `asks_again`: after how long a question is put anew (shorter than an approval lives)."""

    resume: bool = True
    seconds: float = 60.0
    asks_again: float = 590.0
    patience: float = 86_400.0


@dataclass(slots=True, eq=False)
class _Live:
    row: RunRow
    order: Order
    record: RunRecord
    purse: Purse
    task: asyncio.Task[None] | None = None
    asked: dict[str, asyncio.Future[Decided]] = field(default_factory=dict)
    watchers: set[asyncio.Queue[Entry | str | None]] = field(default_factory=set)
    stopping: bool = False

    async def decided(self, call: str, seconds: float) -> Decided | None:
        """`Approvals` of this run."""
        future = self.asked[call] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(future)
        except TimeoutError:
            return future.result() if future.done() else None
        finally:
            self.asked.pop(call, None)

    def say(self, piece: str) -> None:
        """A piece of the model's text, for who watches now."""
        for queue in self.watchers:
            if queue.qsize() < MOST_PIECES:
                queue.put_nowait(piece)

    def heard(self, entry: Entry) -> None:
        """An entry is on the disk."""
        self.purse.count(self.row.id, self.record.entries, entry.at, self.order.depth > 0)
        for queue in self.watchers:
            queue.put_nowait(entry)

    def view(self) -> RunRow:
        """The row as it is now."""
        entries = self.record.entries
        tokens = sum(e.tokens_in + e.tokens_out for e in entries)
        last = entries[-1].at if entries else self.row.updated_at
        state = self.row.state if self.row.state == "ended" else "waiting" if waiting_for(entries) else "running"
        return replace(self.row, state=state, steps=len(entries), tokens=tokens, updated_at=last)


class Runs:
    """See the table above. One event loop; `open` before use."""

    def __init__(
        self,
        rows: RunRows,
        paths: Paths,
        boundary: Boundary,
        stored: Safety,
        *,
        tools: Callable[[], Mapping[str, Tool]],
        make: MakeLoop,
        rules: RunsRules = RunsRules(),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.rows = rows
        self.grants = Grants(boundary, stored, rows)
        self._paths = paths
        self._boundary = boundary
        self._stored = stored
        self._tools = tools
        self._make = make
        self._rules = rules
        self._now = now
        # Purses of swarms by their id, kept by `swarm.py`.
        self.groups: dict[str, Purse] = {}
        self._live: dict[str, _Live] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closed = False

    async def open(self) -> None:
        """What was under way is interrupted now, and taken up again if the rules say so."""
        for found in await self.rows.unended():
            row = replace(found, state="interrupted")
            await self.rows.put(row)
            if self._rules.resume and row.resumes < MOST_RESUMES:
                with contextlib.suppress(HomefireError):  # it is told in the run's row
                    await self._take_up(row)

    async def close(self) -> None:
        """Ends the loops; the runs are taken up at the next start."""
        self._closed = True
        for live in list(self._live.values()):
            if live.task is not None:
                live.task.cancel()
        waiting = [live.task for live in self._live.values() if live.task is not None]
        if waiting:
            await asyncio.wait(waiting)

    async def start(self, order: Order, key: str) -> RunRow:
        """Begins a run. Raises FolderNotGranted, DiskFull, ShuttingDown."""
        return await self._begin(order, key, RunId("r" + secrets.token_hex(8)))

    async def begin_as(self, order: Order, key: str, id_: RunId) -> RunRow:
        """As `start`, under an id of the caller's; the run of this id if it was begun before, taken up if it rests and
        was not so too often."""
        if (row := await self.rows.get(id_)) is None:
            return await self._begin(order, key, id_)
        if row.state != "ended" and id_ not in self._live and row.resumes < MOST_RESUMES:
            await self._take_up(row)
        return await self.get(key, id_)

    def order_of(self, run: str) -> Order | None:
        """The order of a run under way."""
        live = self._live.get(run)
        return None if live is None else live.order

    async def list(self, key: str, limit: int = 50, before: float | None = None) -> list[RunRow]:
        """A key's runs, newest first."""
        return [
            self._live[row.id].view() if row.id in self._live else row
            for row in await self.rows.newest(key, limit, before)
        ]

    async def get(self, key: str, run: str) -> RunRow:
        """One run. Raises UnknownRun."""
        row = await self._row(key, run)
        return self._live[run].view() if run in self._live else row

    async def entries(self, key: str, run: str, first: int = 0) -> Sequence[Entry]:
        """A run's steps from `first` on. Raises UnknownRun, StoreDamaged."""
        await self._row(key, run)
        async with self._turn(run):  # a journal is open once
            if (live := self._live.get(run)) is not None:
                return list(live.record.entries[first:])
            folder = self._paths.journal(RunId(run))
            return (await asyncio.to_thread(lambda: list(read_entries(folder))))[first:]

    async def watch(self, key: str, run: str, first: int = 0) -> AsyncIterator[Entry | str]:
        """Entries from `first` on as they come, and pieces of text under way; ends when the run has ended or rests."""
        await self._row(key, run)
        live = self._live.get(run)
        if live is None:
            for entry in await self.entries(key, run, first):
                yield entry
            return
        queue: asyncio.Queue[Entry | str | None] = asyncio.Queue()
        for entry in live.record.entries[first:]:
            queue.put_nowait(entry)
        live.watchers.add(queue)
        try:
            while (found := await queue.get()) is not None:
                yield found
        finally:
            live.watchers.discard(queue)

    async def decide(self, key: str, run: str, call: str, yes: bool, text: str = "") -> Entry:
        """A person's answer to what a call asks. Raises UnknownRun, RunEnded, NotAsked."""
        live = await self._awake(key, run)
        asked = next((each for each in waiting_for(live.record.entries) if each.call == call), None)
        if asked is None:
            raise NotAsked(f"Nobody is asked about the call '{call[:80]}' of this run.")
        if asked.approval and not await self._stored.decide(asked.approval, yes, self._now()) and yes:
            raise NotAsked("The question is too old; it is put anew.", "Look at it again, and decide then.")
        entry = await live.record.add(Decided(call, yes, text))
        future = live.asked.get(call)
        if future is not None and not future.done():
            assert isinstance(entry.step, Decided)
            future.set_result(entry.step)
        await self.rows.put(live.view())
        return entry

    async def say(self, key: str, run: str, text: str) -> Entry:
        """One more order to a run under way. Raises UnknownRun, RunEnded, InvalidRequest."""
        if not text.strip():
            raise InvalidRequest("There is nothing said.", param="text")
        return await (await self._awake(key, run)).record.add(Ordered(text))

    async def tell(self, run: str, text: str, code: str) -> None:
        """Something that happened beside a run under way, such as a timer; nothing if it has ended."""
        live = self._live.get(run)
        if live is not None and live.row.state != "ended":
            await live.record.add(Told(text, code))

    async def stop(self, key: str, run: str) -> RunRow:
        """Ends a run by a person's word. Raises UnknownRun, RunEnded."""
        row = await self._row(key, run)
        if row.state == "ended":
            raise RunEnded("The run has ended already.")
        live = self._live.get(run) or await self._wake(row)
        live.stopping = True
        if live.task is not None:
            live.task.cancel()
            await asyncio.wait({live.task})
        else:
            await self._end(live, Ended("stopped", "A person stopped it."))
            await self._rest(live)
        return await self.get(key, run)

    async def resume(self, key: str, run: str) -> RunRow:
        """Takes an interrupted run up. Raises UnknownRun, RunEnded, StoreDamaged."""
        row = await self._row(key, run)
        if row.state == "ended":
            raise RunEnded("The run has ended.")
        if run not in self._live:
            await self._take_up(replace(row, resumes=0))
        return await self.get(key, run)

    async def delete(self, key: str, run: str) -> None:
        """Forgets a run and its steps; a run under way is stopped first. Raises UnknownRun."""
        row = await self._row(key, run)
        if run in self._live:
            await self.stop(key, run)
        await self.rows.delete(row.id)
        id_ = RunId(run)
        for folder in (self._paths.journal(id_), self._paths.workplace(id_)):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def whole(self, key: str, handle: str) -> bytes:
        """The whole result behind a handle `step:RUN:N`. Raises UnknownRun, InvalidRequest."""
        word, _, rest = handle.partition(":")
        run, _, number = rest.partition(":")
        if word != "step" or not number.isdigit() or len(number) > 9:
            raise InvalidRequest(f"Not a handle of a result: {handle[:80]!r}", param="handle")
        await self._row(key, run)
        found = await asyncio.to_thread(kept, self._paths.results(RunId(run)), int(number))
        if found is not None:
            return found
        step = next((e.step for e in await self.entries(key, run) if e.n == int(number)), None)
        if not isinstance(step, Answered | Returned):
            raise InvalidRequest(f"There is no result {number} of this run.", param="handle")
        return step.text.encode("utf-8", "replace")

    async def spawn(self, key: str, parent: str, id_: str, *, role: str, task: str, source: Label) -> RunRow:
        """A run that another begins, or the one of this id that it began before a crash. Raises InvalidRequest."""
        row = await self.rows.get(id_)
        if row is not None and row.key == key:
            if row.state != "ended" and id_ not in self._live:
                await self._take_up(row)
            return row
        above = self._live.get(parent)
        if above is None:
            raise InvalidRequest("The run that would begin another is not under way.")
        children = sum(live.row.parent == parent for live in self._live.values())
        if above.order.depth >= MOST_DEPTH or children >= MOST_CHILDREN:
            raise InvalidRequest(f"Agents begin others {MOST_DEPTH} deep and {MOST_CHILDREN} at a time, no further.")
        return await self._begin(above.order.child(role, task, source, parent), key, RunId(id_))

    async def finished(self, key: str, run: str) -> tuple[RunRow, Label]:
        """Waits for a run's end: its row, and the label of all that it saw."""
        live = self._live.get(run)
        if live is not None and live.task is not None:
            await asyncio.wait({live.task})
        return await self._row(key, run), await self.seen(key, run)

    async def seen(self, key: str, run: str) -> Label:
        """The label of all that a run saw."""
        entries = await self.entries(key, run)
        return joined(e.step.label for e in entries if isinstance(e.step, Ordered | Returned)).through("model")

    async def _begin(self, order: Order, key: str, id_: RunId) -> RunRow:
        if self._closed:
            raise ShuttingDown("The daemon is stopping.")
        self._folder_of(order, id_, await self.grants.roots(key))
        now = self._now()
        row = RunRow(id_, key, order.task, "running", "", "", order.model, order.mode, now, now,
                     conversation=order.conversation, parent=order.parent, order=order.to_json())  # fmt: skip
        await self.rows.put(row)
        live = await self._wake(row)
        try:
            await live.record.add(Ordered(order.task, order.source))
        except HomefireError:
            await self._rest(live)
            await self.rows.delete(id_)
            raise
        self._drive(live)
        return live.view()

    def _turn(self, run: str) -> asyncio.Lock:
        """Who reads or opens the journal of a run that rests."""
        if (lock := self._turns.get(run)) is None:
            lock = self._turns[run] = asyncio.Lock()
        return lock

    def _folder_of(self, order: Order, id_: RunId, roots: Sequence[str]) -> Path:
        if not order.folder:
            folder = self._paths.workplace(id_)
            make_private_folder(folder)
            return folder
        folder = Path(order.folder)
        real = folder.resolve()
        home = self._paths.home.resolve()
        if not folder.is_absolute() or not real.is_dir():
            raise FolderNotGranted(f"{order.folder[:200]!r} is no folder's full path.", param="folder")
        if (
            real.is_relative_to(home)
            or home.is_relative_to(real)
            or not any(real.is_relative_to(each) for each in roots)
        ):
            raise FolderNotGranted(f"{str(real)[:200]!r} is not granted to this key.", param="folder")
        return real

    async def _take_up(self, row: RunRow) -> None:
        row = replace(row, state="running", resumes=row.resumes + 1)
        await self.rows.put(row)
        live = await self._wake(row)
        if len(live.record.entries) > row.steps:  # it came forward since: no run that only ends daemons
            live.row = replace(row, steps=len(live.record.entries), resumes=0)
            await self.rows.put(live.row)
        if not live.record.entries:
            await live.record.add(Ordered(live.order.task, live.order.source))
        last = live.record.entries[-1].step
        if isinstance(last, Ended):  # it had ended, and only its row did not know
            await self._end(live, last)
            await self._rest(live)
            return
        self._drive(live)

    async def _wake(self, row: RunRow) -> _Live:
        """The run's journal, open. A damaged one ends the run."""
        try:
            async with self._turn(row.id):
                record = await RunRecord.open(self._paths.journal(RunId(row.id)), self._now, row.steps)
        except StoreDamaged as problem:
            await self.rows.put(
                replace(row, state="ended", ending="failed", answer=problem.message, updated_at=self._now())
            )
            raise
        order = Order.of_json(row.order)
        live = self._live[row.id] = _Live(row, order, record, self._purse_of(row, order))
        live.purse.count(row.id, record.entries, self._now(), order.depth > 0)
        record.listen(live.heard)
        for child in await self.rows.below(row.id):
            if child.id not in self._live:
                live.purse.put(child.id, child.tokens, 0.0)
        return live

    def _purse_of(self, row: RunRow, order: Order) -> Purse:
        """A run and all that it begins spend from what it was given, and that from what its parent or its swarm has."""
        parent = self._live.get(row.parent)
        above = parent.purse if parent is not None else self.groups.get(order.group)
        return Purse("the run and those that it began", order.budget.get("tokens", Budget().tokens), above=above)

    async def _awake(self, key: str, run: str) -> _Live:
        row = await self._row(key, run)
        live = self._live.get(run)
        if row.state == "ended" or (live is not None and live.row.state == "ended"):
            raise RunEnded("The run has ended.")
        if live is None:
            await self._take_up(replace(row, resumes=0))
            live = self._live.get(run)
        if live is None:
            raise RunEnded("The run has ended.")
        return live

    def _drive(self, live: _Live) -> None:
        live.task = asyncio.ensure_future(self._run(live))

    async def _run(self, live: _Live) -> None:
        try:
            try:
                ended = await self._loop(live)
            except asyncio.CancelledError:
                if not live.stopping:
                    await self.rows.put(replace(live.view(), state="interrupted", resumes=0))
                    return
                ended = Ended("stopped", "A person stopped it.")
            except (
                DiskFull,
                HomeNotWritable,
            ) as problem:  # of the journal: the run is whole, and goes on when the disk takes it
                log.warning("the run %s is interrupted: %s", live.row.id, problem.message)
                await self.rows.put(replace(live.view(), state="interrupted"))
                return
            except HomefireError as problem:
                ended = Ended("failed", f"{problem.message} {problem.next_step}".strip(), problem.code)
            except Exception as problem:  # a fault of ours in one run must not leave it running for ever
                log.exception("the run %s failed", live.row.id)
                ended = Ended("failed", f"A fault in Homefire: {type(problem).__name__}.", "internal_error")
            await self._end(live, ended)
        except HomefireError as problem:  # the disk refuses the end too: the next start takes the run up
            log.warning("the run %s could not be ended: %s", live.row.id, problem.message)
            with contextlib.suppress(HomefireError):
                await self.rows.put(replace(live.view(), state="interrupted"))
        finally:
            await self._rest(live)

    async def _loop(self, live: _Live) -> Ended:
        key, run = live.row.key, RunId(live.row.id)
        tools = self._tools()
        granted = await self.grants.ready(key, tools)
        here = granted if live.order.group else granted - IN_SWARM
        wanted = [name for name in tools if name in here and (not live.order.tools or name in live.order.tools)]
        folder = self._folder_of(live.order, run, await self.grants.roots(key))
        rules = self._rules
        effects = Effects(
            self._boundary, {name: tools[name] for name in wanted}, live.record, live,
            key=key, run=run, folder=folder,
            rules=EffectRules(self._paths.results(run), rules.seconds, rules.asks_again, rules.patience),
        )  # fmt: skip
        offered = [tools[name].spec for name in wanted]
        runner = await self._make(Given(live.order, key, run, live.record, effects, offered, live.say, live.purse.over))
        return await runner.run()

    async def _end(self, live: _Live, ended: Ended) -> None:
        entries = live.record.entries
        if not entries or not isinstance(entries[-1].step, Ended):
            for begun in begun_and_lost(entries):
                name = next(
                    (e.step.tool for e in entries if isinstance(e.step, Called) and e.step.call == begun.call), "?"
                )
                said = f"'{name}' was broken off. What it did may be done or not; look."
                await live.record.add(Returned(begun.call, "unknown", said, "effect_unknown", label=label("system")))
            await live.record.add(ended)
        why: Ending = ended.why
        answers = [e.step.text for e in live.record.entries if isinstance(e.step, Answered)]
        answer = answers[-1] if answers and why == "answered" else ended.text
        live.row = replace(live.view(), state="ended", ending=why, answer=answer)
        await self.rows.put(live.row)

    async def _rest(self, live: _Live) -> None:
        async with self._turn(live.row.id):
            self._live.pop(live.row.id, None)
            await live.record.close()
        for queue in live.watchers:
            queue.put_nowait(None)

    async def _row(self, key: str, run: str) -> RunRow:
        row = await self.rows.get(run)
        if row is None or row.key != key:
            raise UnknownRun(f"There is no run '{run[:40]}'.")
        return row
