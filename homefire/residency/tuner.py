"""The tuner: measures the ways to run a model on this machine, one engine at a time, and keeps the quickest.

Each trial is an engine of its own, NAME~tune, which the keeper admits and owns like any other: its memory is promised to it
before it loads. Nothing else is to use the processor meanwhile, as far as that can be had: the tuner begins only when nothing
else is answered, and a trial during which something was is done again.
Promises: one tuning at a time; whoever leaves it ends it, and its engine is gone then; what was measured is kept whole or not at
all; a KV cache of fewer bits is taken only if at least `SAME_PCT` per cent of the next tokens stay the same.
Does not cover: which way is tried next (`tuning.py`), answers' quality beyond the next token; the child that compares two caches
for some seconds is not promised its memory, it only begins where that much is free.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal

from homefire.engines.engine import Engine
from homefire.errors import EngineError, HomefireError, ModelBusy, TaskDied, WrongModelKind
from homefire.messages import CompletionRequest, Sampling, Usage, UsageReport
from homefire.models import quality
from homefire.models.drafts import candidates
from homefire.models.installed import Model
from homefire.models.library import Library
from homefire.residency.keeper import Keeper
from homefire.residency.tuned import DRAFT, Measured, Tuned, identity
from homefire.residency.tuning import READ_TOKENS, WRITE_TOKENS, Search, Timing, Tuning, knobs_for

SIGN = "~"
SAME_PCT = 99.0
QUANTIZED_CACHE = "Q8_0"
MOST_DRAFTS = 2
DISTURBED = 5  # times that a trial is done again before the tuner gives up
WORDS_A_PROMPT, WORDS_A_QUICK_PROMPT = 300, 150
ANSWER, QUICK_ANSWER = 64, 32
LOOK_SECONDS, PATIENCE = 0.5, 120.0
QUIETER = "Tune when nothing else is asked of the daemon."
Only = Literal["", "draft"]
# Of three kinds: prose that goes on, a text that is to be said again with a small change, a list. Drafts differ most on these.
WRITING = (
    "The harbour was quiet when the last ferry came in. Two men tied it to the pier, looked at the sky and went home.",
    "Write the function again and rename values to numbers.\n\ndef mean(values):\n    if not values:\n        raise "
    "ValueError('no values')\n    return sum(values) / len(values)\n\ndef mean(numbers):\n    if not numbers:\n",
    "Ten things to pack for a week in the mountains, with one reason for each:\n1. A warm coat, because\n2. A map, because\n",
)
READING = (
    "To make bread, mix five hundred grams of flour with three hundred grams of water, a little salt and some yeast. Knead it "
    "for ten minutes, let it rest until it has doubled, and bake it at two hundred and twenty degrees for half an hour. "
)


@dataclass(frozen=True, slots=True)
class Step:
    """How far a tuning is: `done` of about `total` trials; what is tried now, or, at the end, what was found."""

    done: int
    total: int
    knob: str = ""
    trying: str = ""
    found: Measured | None = None


class Tuner:
    """`usual` is how many threads compute where nothing is tuned (0: a person has set it), `cores` the physical ones."""

    patience = PATIENCE  # seconds that it waits for others' answers to end

    def __init__(
        self,
        keeper: Keeper,
        library: Library,
        tuned: Tuned,
        *,
        usual: Callable[[], int],
        cores: Callable[[], int],
        walls: Callable[[], bool] = lambda: False,
    ) -> None:
        self._keeper, self._library, self.tuned = keeper, library, tuned
        self._usual, self._cores, self._walls = usual, cores, walls
        self._running = ""
        self._failures = 0
        self._way: Tuning | None = None

    def trial(self, name: str) -> Tuning | None:
        """The way that the engine of this name is to try now; None if it is no engine of the tuner's."""
        return self._way if is_trial(name) else None

    async def run(self, name: str, *, quick: bool = False, only: Only = "") -> AsyncGenerator[Step, None]:
        """Measures, and says how far it is; the last step has what was found, which is kept then. Close it to end it early.

        Raises UnknownModel, WrongModelKind, ModelBusy (another tuning, answers under way), and what `Keeper.ensure` raises where
        even the usual way does not load.
        """
        model = self._library.get(name)
        if model.facts.kind != "chat":
            raise WrongModelKind(
                f"'{name}' is a model of the kind '{model.facts.kind}'; only models that chat are tuned.", param="name"
            )
        if self._running:
            raise ModelBusy(f"'{self._running}' is being tuned; one at a time.", "Wait until that has ended.")
        self._require_quiet(name)
        self._running = name
        try:
            await self._keeper.unload(name)
            search = await self._search(model, quick, only)
            async with aclosing(self._tries(search, model, quick)) as steps:
                async for step in steps:
                    yield step
            found = self._found(name, search, quick, only)
            await self.tuned.keep(name, found)
            yield Step(*search.steps, found=found)
        finally:
            self._running, self._way = "", None
            await self._keeper.evict(self._engine_name(name))

    async def _search(self, model: Model, quick: bool, only: Only) -> Search:
        others = [each for each in self._library.all() if each.name != model.name and each.facts.kind == "chat"]
        drafts = await asyncio.to_thread(candidates, model, others, 1 if quick else MOST_DRAFTS)
        caches = [] if quick or only else await self._caches(model)
        knobs = knobs_for(
            self._cores(), self._usual(), model.facts.context_length or READ_TOKENS, quick=quick, caches=caches,
            drafts=[{"draft_mode": DRAFT, "draft": str(each.name), "draft_sha256": identity(each)} for each in drafts],
        )  # fmt: skip
        start = Tuning()
        if only:
            start = _without_draft(self.tuned.measured(model.name))
            knobs = [knob for knob in knobs if knob.name == only]
        return Search(start, knobs)

    async def _caches(self, model: Model) -> list[str]:
        """The types of KV cache of fewer bits that keep what the model says."""
        try:
            found = await quality.compare(
                model.path, model.path, "chat", lambda *_: None, ("F16", QUANTIZED_CACHE), walls=self._walls()
            )
        except (EngineError, TaskDied):  # heads that do not divide into its blocks, a family that cannot do it
            return []
        return [QUANTIZED_CACHE] if found.get("same_token_pct", 0.0) >= SAME_PCT else []

    async def _tries(self, search: Search, model: Model, quick: bool) -> AsyncGenerator[Step, None]:
        first = True
        while (way := search.next) is not None:
            yield Step(*search.steps, search.knob, way.described(search.knob))
            try:
                search.record(await self._quiet_trial(model, way, quick))
            except ModelBusy:
                raise
            except HomefireError as problem:
                if first:  # the usual way: then nothing will do
                    raise
                search.fail(problem.message)
                self._failures += 1
            first = False

    async def _quiet_trial(self, model: Model, way: Tuning, quick: bool) -> Timing:
        """A trial during which nobody else was answered."""
        for _ in range(DISTURBED):
            before = await self._quiet()
            timing = await self._try(model, way, quick)
            if self._others() == (before, False):
                return timing
        raise ModelBusy(
            "Other requests came during the measurement again and again; what was measured says nothing.", QUIETER
        )

    async def _quiet(self) -> int:
        """Waits until nobody else is answered; how many requests others have had."""
        for _ in range(round(self.patience / LOOK_SECONDS) + 1):
            asked, busy = self._others()
            if not busy:
                return asked
            await asyncio.sleep(LOOK_SECONDS)
        raise ModelBusy("Other requests are answered all the time; nothing can be measured.", QUIETER)

    async def _try(self, model: Model, way: Tuning, quick: bool) -> Timing:
        self._way = way
        engine_name = self._engine_name(model.name)
        try:
            async with await self._keeper.ensure(engine_name) as lease:
                return await measure(lease.engine, model.facts.context_length, quick)
        finally:
            await self._keeper.evict(engine_name)

    def _engine_name(self, name: str) -> str:
        """Another one after each failure: the keeper lets an engine rest that fell over, and the next way is not to blame."""
        return f"{name}{SIGN}tune{self._failures or ''}"

    def _others(self) -> tuple[int, bool]:
        """How many requests all other models have had, and whether one is answered or waits now."""
        table = self._keeper.table()
        others = [row for row in table.models if not is_trial(row.name)]
        waits = any(not is_trial(row.model) for row in table.waiting)
        return sum(row.requests for row in others), waits or any(row.leases for row in others)

    def _require_quiet(self, name: str) -> None:
        views, waiting = self._keeper.view()
        answering = [each.name for each in views if each.leases]
        if name in answering:
            raise ModelBusy(f"'{name}' is answering.", QUIETER, param="name")
        if answering or waiting:
            who = f"'{answering[0]}' is answering" if answering else f"{waiting} requests wait for a model"
            raise ModelBusy(f"{who}; the measurement would be of both.", QUIETER, param="name")

    def _found(self, name: str, search: Search, quick: bool, only: Only) -> Measured:
        before = self.tuned.measured(name)
        kept = tuple(row for row in before.tried if row.knob != only) if only and before is not None else ()
        return Measured(search.best, (*kept, *search.tried), time.time(), quick)


def is_trial(name: str) -> bool:
    """Whether an engine of this name is one of the tuner's."""
    return SIGN in name


def _without_draft(found: Measured | None) -> Tuning:
    return Tuning() if found is None else replace(found.way, draft_mode="none", draft="", draft_sha256="")


async def measure(engine: Engine, context: int, quick: bool = False) -> Timing:
    """Reading and writing of one engine, after a warm-up, greedily and one request at a time.

    Raises what `Engine.complete` raises.
    """
    words = WORDS_A_QUICK_PROMPT if quick else WORDS_A_PROMPT
    words = min(words, max(16, (context or 4096) // 4))
    await _complete(engine, WRITING[0], 4)
    read = 0.0
    for start in ("First", "Second"):  # each begins otherwise, or the second would be found read
        prompt = " ".join([start, *(READING * (words // 20)).split()][:words])
        began = time.perf_counter()
        said = await _complete(engine, prompt, 1)
        read += (time.perf_counter() - began) / max(1, said.usage.prompt_tokens) * READ_TOKENS / 2
    write, drafted, accepted = 0.0, 0, 0
    for prompt in WRITING:
        began = time.perf_counter()
        said = await _complete(engine, prompt, QUICK_ANSWER if quick else ANSWER)
        tokens = max(1, said.usage.completion_tokens)
        rate = said.tokens_per_second or tokens / (time.perf_counter() - began)
        write += WRITE_TOKENS / rate / len(WRITING)
        drafted, accepted = drafted + (said.drafted or 0), accepted + (said.drafted_accepted or 0)
    return Timing(read, write, drafted, accepted)


async def _complete(engine: Engine, prompt: str, tokens: int) -> UsageReport:
    sampling = Sampling(temperature=0.0, max_tokens=tokens, ignore_eos=True)
    answer = await engine.complete(CompletionRequest("", prompt, sampling, stream=True, include_usage=True))
    report = UsageReport(Usage(0, 0))
    try:
        async for event in answer.events():
            if isinstance(event, UsageReport):
                report = event
    finally:
        await answer.close()
    return report
