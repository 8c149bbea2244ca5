"""Swarms: several agents of a spec, side by side as runs, with one budget and a board that they share.

| call     | blocks                                    | never                                                             |
|----------|-------------------------------------------|-------------------------------------------------------------------|
| prepare()| reads what was under way                  | begins anything; it is called before the runs are opened          |
| open()   | no                                        | goes on with a swarm where the rules of runs say that none goes on |
| start()  | until the swarm is on disk                | waits for its agents                                              |
| watch()  | until there is more                       | slows an agent                                                    |
| stop()   | until all its agents have ended           | begins a further one meanwhile                                    |

Promises: an agent begins when all those that it comes after have ended, with their answers, labelled as what they saw; its run's
id is made of the swarm's and its name, so that a swarm that is taken up after a crash begins nothing twice; tokens and seconds of
all agents, and tokens of what these begin, count against the swarm's, and when it is used up all end with `budget`.
Does not cover: what an agent is (`runs.py`), the text of a spec (`spec.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from homefire.agent.order import Order
from homefire.agent.purse import Purse
from homefire.agent.runs import Runs
from homefire.agent.spec import Member, Spec
from homefire.agent.step import Answered, Entry
from homefire.errors import BadSwarm, HomefireError, InvalidRequest, RunEnded, ShuttingDown, UnknownRun, UnknownSwarm
from homefire.paths import RunId
from homefire.safety.taint import Label, joined, label
from homefire.store import PostRow, RunRow, SwarmRow, SwarmRows

log = logging.getLogger("homefire.agent")

MOST_POSTS, MOST_HANDED = 1000, 4000
RESPOND = "respond"
BUDGET = "It has used up {}. Start it with more, or give a smaller task."


@dataclass(frozen=True, slots=True)
class View:
    """A swarm as it is now. `runs`: each agent's run, None before it has begun; `spent` tokens and seconds of all."""

    row: SwarmRow
    spec: Spec
    state: str
    runs: dict[str, RunRow | None]
    spent: tuple[int, float]


@dataclass(slots=True, eq=False)
class _Live:
    row: SwarmRow
    spec: Spec
    purse: Purse
    begun: dict[str, asyncio.Event] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


def run_of(swarm: str, name: str) -> RunId:
    """The id of an agent's run."""
    return RunId("r" + hashlib.sha256(f"{swarm}:{name}".encode()).hexdigest()[:16])


class Swarms:
    """See the table above. One event loop."""

    def __init__(self, rows: SwarmRows, runs: Runs, now: Callable[[], float] = time.time) -> None:
        self.rows = rows
        self._runs = runs
        self._now = now
        self._live: dict[str, _Live] = {}
        self._names: dict[str, str] = {}
        self._closed = False

    async def prepare(self) -> None:
        """What swarms under way have spent, before their runs are taken up."""
        for row in await self.rows.unended():
            await self._wake(row)

    def open(self, resume: bool = True) -> None:
        """Goes on with swarms that were under way."""
        for live in list(self._live.values()):
            if resume:
                self._drive(live)

    async def close(self) -> None:
        """Swarms under way are taken up at the next start; call it before the runs are closed."""
        self._closed = True
        tasks = [live.task for live in self._live.values() if live.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def start(self, spec: Spec, task: str, key: str) -> View:
        """Begins a swarm. Raises BadSwarm, ShuttingDown, DiskFull."""
        if self._closed:
            raise ShuttingDown("The daemon is stopping.")
        for member in spec.members:
            if not task.strip() and not member.task:
                raise BadSwarm(f"'{member.name}' has no task.", "Give the swarm a task, or each agent its own.")
        now = self._now()
        row = SwarmRow("s" + secrets.token_hex(8), key, task, spec.to_json(), "running", "", "", now, now)
        await self.rows.put(row)
        self._drive(await self._wake(row))
        return await self.get(key, row.id)

    async def list(self, key: str, limit: int = 50) -> list[View]:
        """A key's swarms, newest first."""
        return [await self._view(row) for row in await self.rows.newest(key, limit)]

    async def get(self, key: str, swarm: str) -> View:
        """One swarm. Raises UnknownSwarm."""
        return await self._view(await self._row(key, swarm))

    async def watch(self, key: str, swarm: str) -> AsyncIterator[tuple[str, Entry | str]]:
        """An agent's name with each of its entries, as they come, and pieces of text; ends when the swarm has ended or rests."""
        row = await self._row(key, swarm)
        live = self._live.get(swarm)
        queue: asyncio.Queue[tuple[str, Entry | str] | None] = asyncio.Queue()

        async def follow(name: str) -> None:
            if live is not None:
                await live.begun[name].wait()
            with contextlib.suppress(UnknownRun):
                async for each in self._runs.watch(key, run_of(swarm, name)):
                    queue.put_nowait((name, each))

        async def whole(names: Sequence[str]) -> None:
            tasks = {name: asyncio.ensure_future(follow(name)) for name in names}
            try:
                if live is not None and live.task is not None:
                    await asyncio.wait({live.task})
                    for name in names:
                        if not live.begun[name].is_set():
                            tasks[name].cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)
            finally:
                for task in tasks.values():
                    task.cancel()
                queue.put_nowait(None)

        following = asyncio.ensure_future(whole([member.name for member in Spec.of_json(row.spec).members]))
        try:
            while (found := await queue.get()) is not None:
                yield found
        finally:
            following.cancel()
            await asyncio.wait({following})

    async def stop(self, key: str, swarm: str) -> View:
        """Ends a swarm by a person's word. Raises UnknownSwarm, RunEnded."""
        row = await self._row(key, swarm)
        live = self._live.get(swarm)
        if row.state == "ended" or live is None:
            raise RunEnded("The swarm has ended already.", "Begin another with: homefire agents run SPEC")
        if live.task is not None:
            live.task.cancel()
            await asyncio.wait({live.task})
        if swarm not in self._live:  # it was quicker
            return await self.get(key, swarm)
        for member in live.spec.members:
            with contextlib.suppress(UnknownRun, RunEnded):
                await self._runs.stop(key, run_of(swarm, member.name))
        await self._end(live, "stopped", "A person stopped it.")
        return await self.get(key, swarm)

    async def resume(self, key: str, swarm: str) -> View:
        """Goes on with a swarm that rests. Raises UnknownSwarm, RunEnded."""
        row = await self._row(key, swarm)
        live = self._live.get(swarm)
        if row.state == "ended" or live is None:
            raise RunEnded("The swarm has ended.", "Begin another with: homefire agents run SPEC")
        for member in live.spec.members:  # a run that was given up is given another chance, for it is asked for
            with contextlib.suppress(UnknownRun, RunEnded):
                await self._runs.resume(key, run_of(swarm, member.name))
        if live.task is None or live.task.done():
            self._drive(live)
        return await self.get(key, swarm)

    async def delete(self, key: str, swarm: str) -> None:
        """Forgets a swarm, its board and its runs; it is stopped first. Raises UnknownSwarm."""
        row = await self._row(key, swarm)
        if row.state != "ended":
            await self.stop(key, swarm)
        for member in Spec.of_json(row.spec).members:
            run = run_of(swarm, member.name)
            for child in [*(each.id for each in await self._runs.rows.below(run)), run]:
                with contextlib.suppress(UnknownRun):
                    await self._runs.delete(key, child)
        await self.rows.delete(swarm)

    async def finished(self, key: str, swarm: str) -> View:
        """Waits until a swarm has ended or rests."""
        live = self._live.get(swarm)
        if live is not None and live.task is not None:
            await asyncio.wait({live.task})
        return await self.get(key, swarm)

    # -- the board (`tools/board.py`)

    async def post(self, run: str, call: str, name: str, text: str, label: Label) -> PostRow | None:
        """As `Board.post`."""
        group, by = self._group_of(run)
        row = PostRow(group, name, 0, text, label.to_text(), by, f"{run}:{call}", self._now())
        return await self.rows.post(row, MOST_POSTS)

    async def posts(self, run: str, name: str = "") -> Sequence[PostRow]:
        """As `Board.posts`."""
        return await self.rows.board(self._group_of(run)[0], name)

    async def handed(self, key: str, run: str, handle: str) -> tuple[bytes, Label]:
        """As `Board.handed`."""
        group, _ = self._group_of(run)
        other = handle.split(":")[1]
        row = await self._runs.rows.get(other)
        if row is None or row.key != key or Order.of_json(row.order).group != group:
            raise UnknownRun("That handle is of no agent of this swarm.")
        whole = await self._runs.whole(key, handle)
        return whole, await self._runs.seen(key, other)

    async def board(self, key: str, swarm: str) -> Sequence[PostRow]:
        """What stands on a swarm's board. Raises UnknownSwarm."""
        return await self.rows.board((await self._row(key, swarm)).id)

    def _group_of(self, run: str) -> tuple[str, str]:
        order = self._runs.order_of(run)
        if order is None or not order.group:
            raise InvalidRequest("Only an agent of a swarm has a board.")
        return order.group, self._names.get(run, "") or f"{self._names.get(order.parent, '?')}/{order.role[:40]}"

    # -- carrying it out

    async def _wake(self, row: SwarmRow) -> _Live:
        spec = Spec.of_json(row.spec)
        purse = Purse("the swarm", spec.tokens, spec.seconds)
        live = self._live[row.id] = _Live(row, spec, purse)
        self._runs.groups[row.id] = purse
        for member in spec.members:
            run = run_of(row.id, member.name)
            self._names[run], live.begun[member.name] = member.name, asyncio.Event()
            with contextlib.suppress(HomefireError):  # not begun; or damaged, which its own run says
                entries = await self._runs.entries(row.key, run)
                purse.count(run, entries, entries[-1].at if entries else 0.0, child=False)
                live.begun[member.name].set()
                for child in await self._runs.rows.below(run):
                    purse.put(child.id, child.tokens, 0.0)
        return live

    def _drive(self, live: _Live) -> None:
        live.task = asyncio.ensure_future(self._run(live))

    async def _run(self, live: _Live) -> None:
        try:
            await self._steps(live)
        except HomefireError as problem:  # of the disk, or the daemon stops: it is taken up again
            log.warning("the swarm %s rests: %s", live.row.id, problem.message)

    async def _steps(self, live: _Live) -> None:
        key, swarm = live.row.key, live.row.id
        ended: dict[str, tuple[RunRow, Label]] = {}
        waits: dict[str, asyncio.Task[tuple[RunRow, Label]]] = {}
        try:
            while len(ended) < len(live.spec.members):
                for member in live.spec.members:
                    if member.name not in ended | waits and all(name in ended for name in member.after):
                        if live.purse.over() and not live.begun[member.name].is_set():
                            continue
                        await self._begin(live, member, ended)
                        run = run_of(swarm, member.name)
                        waits[member.name] = asyncio.ensure_future(self._runs.finished(key, run))
                if not waits:
                    break
                await asyncio.wait(waits.values(), return_when=asyncio.FIRST_COMPLETED)
                for name in [name for name, task in waits.items() if task.done()]:
                    ended[name] = waits.pop(name).result()
                    if ended[name][0].state != "ended":
                        return  # it rests: so does the swarm
        finally:
            for task in waits.values():
                task.cancel()
        await self._end(live, *_outcome(live, {name: row for name, (row, _) in ended.items()}))

    async def _begin(self, live: _Live, member: Member, ended: dict[str, tuple[RunRow, Label]]) -> None:
        run = run_of(live.row.id, member.name)
        text = "\n".join(each for each in (live.row.task.strip(), member.task) if each)
        labels = [label("person")]
        for name in member.after:
            row, seen = ended[name]
            labels.append(seen)
            text += f"\n\nFrom '{name}': {await self._handed_over(row)}"
        role = "\n".join(each for each in (member.role, live.spec.shared) if each)
        tools = tuple(dict.fromkeys((*member.tools, RESPOND))) if member.tools else ()
        order = Order(
            text, member.model, tools=tools, budget=dict(member.budget), label=joined(labels).to_text(), role=role,
            group=live.row.id,
        )  # fmt: skip
        await self._runs.begin_as(order, live.row.key, run)
        live.begun[member.name].set()

    async def _handed_over(self, row: RunRow) -> str:
        """An answer as the next agent gets it: a long one is cut, with the handle of the whole."""
        if row.ending != "answered":
            return f"no answer ({row.ending}): {row.answer[:500]}"
        if len(row.answer) <= MOST_HANDED:
            return row.answer
        entries = await self._runs.entries(row.key, row.id)
        n = next(e.n for e in reversed(entries) if isinstance(e.step, Answered))
        return f"{row.answer[:MOST_HANDED]}\n[{len(row.answer) - MOST_HANDED:,} characters more: step:{row.id}:{n}]"

    async def _end(self, live: _Live, ending: str, answer: str) -> None:
        tokens, seconds = live.purse.spent
        live.row = replace(
            live.row,
            state="ended",
            ending=ending,
            answer=answer,
            updated_at=self._now(),
            tokens=tokens,
            seconds=seconds,
        )
        await self.rows.put(live.row)
        self._live.pop(live.row.id, None)
        self._runs.groups.pop(live.row.id, None)
        for member in live.spec.members:
            self._names.pop(run_of(live.row.id, member.name), None)

    async def _view(self, row: SwarmRow) -> View:
        live, spec = self._live.get(row.id), Spec.of_json(row.spec)
        runs: dict[str, RunRow | None] = {}
        for member in spec.members:
            try:
                runs[member.name] = await self._runs.get(row.key, run_of(row.id, member.name))
            except UnknownRun:
                runs[member.name] = None
        spent = (row.tokens, row.seconds) if live is None else live.purse.spent
        state: str = row.state
        if row.state != "ended":
            driven = live is not None and live.task is not None and not live.task.done()
            waiting = any(each is not None and each.state == "waiting" for each in runs.values())
            state = "interrupted" if not driven else "waiting" if waiting else "running"
        return View(row, spec, state, runs, spent)

    async def _row(self, key: str, swarm: str) -> SwarmRow:
        row = await self.rows.get(swarm)
        if row is None or row.key != key:
            raise UnknownSwarm(f"There is no swarm '{swarm[:40]}'.")
        return row


def _outcome(live: _Live, rows: dict[str, RunRow]) -> tuple[str, str]:
    """How a swarm ended, and its answer: those of the agents that no other one comes after."""
    needed = {name for member in live.spec.members for name in member.after}
    last = [member.name for member in live.spec.members if member.name not in needed]
    answers = {name: rows[name].answer for name in last if name in rows and rows[name].ending == "answered"}
    text = "\n\n".join(f"{name}: {answer}" if len(last) > 1 else answer for name, answer in answers.items())
    if len(answers) == len(last):
        return "answered", text
    if what := live.purse.over():
        return "budget", BUDGET.format(what) + (f"\n\n{text}" if text else "")
    others = "; ".join(f"{name}: {row.ending}" for name, row in rows.items() if row.ending != "answered")
    ending = "budget" if any(row.ending == "budget" for row in rows.values()) else "failed"
    return ending, f"Not all have answered ({others})." + (f"\n\n{text}" if text else "")
