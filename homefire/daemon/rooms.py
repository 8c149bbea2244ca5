"""The rooms of one running daemon: built, handed to each other, opened from below, closed from above.

Promises: on SIGTERM answers under way get two seconds, then everything is stored and every child ended.
Does not cover: one daemon a home, logs, the command line (`start.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import logging.handlers
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import homefire
from homefire.daemon.agent_facts import KeptFacts
from homefire.daemon.agent_loops import Loops
from homefire.daemon.agents import Agents, with_rooms
from homefire.daemon.doors import make_doors
from homefire.daemon.embedders import GRAPH, Embedders, prefixes
from homefire.daemon.far_embedder import FarEmbedder
from homefire.daemon.handed import (
    SMALLEST_CONTEXT,
    Completed,
    Judged,
    Levers,
    PolicyVectors,
    engine_build,
    first_line,
    identity,
    machine_with_gpus,
    regulator,
    restart_hook,
    user_folder,
)
from homefire.daemon.knowing import make_knowledge
from homefire.daemon.main_model import MainModel
from homefire.daemon.mcp_rooms import make_mcp
from homefire.daemon.remembering import Remembering
from homefire.daemon.templates import Templates
from homefire.engines.builds import Builds, Watch, processor_mark
from homefire.engines.engine import SMALL_BYTES, AdapterFile, Engine, EngineSpec, require_kind
from homefire.engines.kv_cache import Keeping, family_of, model_tag
from homefire.engines.kv_shelf import KvShelf
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import HomefireError, UnsupportedModel
from homefire.hardware import compute_threads, detect, process_memory
from homefire.hardware.gpu_limits import GpuLimits
from homefire.knowledge.knowledge import Knowledge
from homefire.messages import Usage
from homefire.models import catalogue
from homefire.models.adapters import Adapters
from homefire.models.advice import Advice, KeptInStore
from homefire.models.fetch_plan import Rules
from homefire.models.gguf import read_header
from homefire.models.library import Library, Roles
from homefire.models.origin import LateWeb
from homefire.models.packages import Packages
from homefire.models.pulls import Limits, Pulls
from homefire.models.sources import Places
from homefire.models.wheels import Indexes
from homefire.models.workshop import Workshop
from homefire.paths import ModelName, Paths, WorkerName, base_of, from_os
from homefire.prompts import Prompts
from homefire.residency import Keeper, KeeperRules
from homefire.residency.builder import Around, Builder, Tried
from homefire.residency.far import FarEngines, FarLimits
from homefire.residency.kept import Book
from homefire.residency.kept_in_store import KeptInStore as KeeperKept
from homefire.residency.sizing import MemoryLimits, Sizing
from homefire.residency.tuned import Tuned
from homefire.residency.tuner import Tuner, is_trial
from homefire.residency.tuning import Tuning
from homefire.safety import Boundary, Critic, Guard, Policy, load_rules, mode_of
from homefire.sandbox.choose import candidates, choose
from homefire.sandbox.sandbox import Sandbox
from homefire.server import Authority, Rooms, build_both, chatting
from homefire.server.acting import Acting
from homefire.server.agent_routes import Agents as AgentDoors
from homefire.server.answering import Answering
from homefire.server.gate import Gate
from homefire.server.holds import Holds
from homefire.server.inside import Inside
from homefire.server.listen import Listening
from homefire.server.metrics_routes import Watched
from homefire.server.model_routes import ModelRooms
from homefire.server.reach import Reach, try_reach
from homefire.server.serving import GRACE_SECONDS, make_server
from homefire.server.spans import NoSpans, OtelSpans
from homefire.server.system_routes import Identity
from homefire.server.tool_routes import ToolRooms
from homefire.server.tuning_routes import TuningRooms
from homefire.settings import Settings, open_secrets
from homefire.store import Audit, Blobs, Conversations, Engines, Keys, PromptRows, Safety, Store
from homefire.supervision.leftovers import end_leftovers
from homefire.supervision.restarts import Restarts
from homefire.telemetry import Facts, Telemetry

log = logging.getLogger("homefire.daemon")

HOUSEKEEPING_SECONDS = 60.0
LARGEST_DEFAULT_CONTEXT = 8192
# Of a smaller load the child's own tens of megabytes would be the larger part of what is measured.
SMALLEST_MEASURED = 256 * 2**20
# Tokens of an answer: fewer say little about the speed.
FEWEST_TIMED = 64
LEAST_DISK = 2**20


class Daemon:
    """The rooms of one running daemon."""

    def __init__(self, paths: Paths, settings: Settings, listening: Listening) -> None:
        self.paths = paths
        self.settings = settings
        self.listening = listening
        self.started = time.time()
        port = listening.tcp.getsockname()[1]
        self.url = listening.url
        self.store = Store(paths.database)
        self.blobs = Blobs(paths)
        self.templates = Templates(lambda: self._walls)
        self.library = Library(self.store, paths, self.blobs, settings.models_quota_gib * 2**30, self.templates.require)
        self.roles = Roles(self.store, self.library)
        self.adapters = Adapters(self.library)
        self.holds = Holds()
        self.conversations = Conversations(self.store)
        self.authority = Authority(
            Keys(self.store), paths, f"homefire_{port}", Audit(self.store), off=settings.auth == "off"
        )
        user = user_folder(paths)
        self.places, self.indexes = Places.of(os.environ, user), Indexes.of(os.environ, user)
        self.web = LateWeb(settings.stall_seconds, self.indexes.certificates)
        limits = Limits(
            settings.downloads_at_once, settings.download_rate * 2**20, Rules(parallel=settings.download_connections)
        )
        self.catalogue = catalogue.load()
        self.pulls = Pulls(
            self.library, self.catalogue, self.web, self.places, self.indexes, limits=limits, walls=lambda: self._walls
        )
        self.advice = Advice(self.library, self.catalogue, KeptInStore(self.store), machine_with_gpus)
        self.kv = KvShelf(paths.kv, settings.kv_quota_mib * 2**20)
        self.tuned = Tuned(self.store, self.library, self._build, lambda: detect(with_gpus=settings.gpu_layers != 0))
        self.keeper = self._make_keeper(settings)
        self.tuner = Tuner(
            self.keeper, self.library, self.tuned, cores=lambda: detect().cores,
            usual=lambda: 0 if settings.threads else compute_threads(), walls=lambda: self._walls,
        )  # fmt: skip
        far_limits = FarLimits(
            settings.far_connections, float(settings.far_first_seconds), float(settings.far_stall_seconds)
        )
        self.far = FarEngines(Engines(self.store), open_secrets(settings.secrets, paths.secrets), far_limits)
        self.embedders = Embedders(
            self.keeper, self.library, self.roles, paths.graphs, build=self._build, walls=lambda: self._walls,
            far=FarEmbedder(self.far, settings.knowledge_embedder, prefixes) if settings.knowledge_embedder else None,
        )  # fmt: skip
        self.hook = restart_hook(settings.restart_hook, paths)
        self.restarts = Restarts(paths.restarts, self.hook)
        self.levers = Levers(self.keeper, GpuLimits(paths.gpu_limits), bool(settings.gpu_limits))
        self.regulator = regulator(settings, self.levers, lambda: bool(self.keeper.view()[0]))
        self.watched = Watched(
            self.regulator.live,
            governor=self.regulator.view if settings.governor_seconds else lambda: None,
            restarts=self.restarts.rows,
            crashes=self.restarts.counts,
            pulls=lambda: self.pulls.outcomes,
        )
        self.guard = self._make_guard(settings)
        stored, self.prompts = Safety(self.store), Prompts(PromptRows(self.store))
        # Agents act through these two.
        self.boundary = Boundary((), stored, (paths.home,), approval_seconds=float(settings.approval_seconds))
        self.critic = Critic(
            Completed(Answering(self.keeper, self.library, roles=self.roles.roles), self._default_model),
            stored,
            partial(self.prompts.text, "homefire.critic"),
            threshold=settings.safety_critic_risk if self.guard.policy.mode == "full" else sys.maxsize,
            seconds=float(settings.safety_critic_seconds),
        )
        self.acting = self._make_agents()
        self.remembering = Remembering(
            self.store, self.keeper, self.embedders, self.roles.roles, self._asked, learn=bool(settings.memory_learn)
        )
        self.acting.add_tools(self.remembering.tools)
        self.mcp = make_mcp(self.store, paths, settings, self.boundary, self.acting)
        self.telemetry = Telemetry(paths, self._facts)
        self.spans = OtelSpans(settings.otel_endpoint) if settings.otel_endpoint else None
        self.builds = Builds(paths.engine_builds, processor_mark())
        self.builder = Builder(self.builds, Around(
            Packages(self.web, self.indexes), self._apart, self._to_try, self._make_room, self._switched, paths.build_log,
        ))  # fmt: skip
        self._measuring: set[asyncio.Task[None]] = set()
        self._serving = self._walls = False
        self._sandbox: Sandbox | None = None
        self.knowledge: Knowledge | None = None  # `open` makes it, once it is known whether walls hold
        self.rpc: Any = None  # loaded only where it is wanted
        self._acting: Acting | None = None

    async def open(self) -> Any:
        """Opens the rooms from below; returns the ASGI application."""
        if left_over := await asyncio.to_thread(end_leftovers, self.paths.home):
            log.warning("%d children of the last daemon had outlived it and were ended", len(left_over))
        wanted = self.settings.sandbox_models or self.settings.ingest_walls
        walls = asyncio.ensure_future(choose(candidates())) if wanted else None
        await asyncio.to_thread(self.store.open)
        self.blobs.sweep()
        await self.library.open()
        await asyncio.to_thread(self.kv.open, self._has_family)
        await self.roles.open()
        await self.advice.open()
        await self.tuned.open()
        self._sandbox = (await walls).sandbox if walls is not None else None
        hold = self._sandbox is not None and self._sandbox.facts().tier == 1
        self._walls = hold and bool(
            self.settings.sandbox_models
        )  # before anything that an earlier daemon began goes on
        await self.pulls.open()
        await self.authority.open()
        await self.far.open()
        await self.boundary.open()
        await self.prompts.open()
        await self.keeper.open()
        self.telemetry.open()
        await self.builder.open()
        await self._open_knowledge(hold)
        if await asyncio.to_thread(self.levers.gpus.revert):
            log.warning("the last daemon ended without taking back the GPU limits it had set; that is done now")
        left = await self.conversations.mark_interrupted()
        if left:
            log.warning("%d answers were interrupted when the last daemon ended", left)
        self.remembering.open()
        await self.mcp.open()
        await self.acting.open()
        doors, tools = self._doors()
        await doors.acting.open()
        self._acting = doors.acting
        identity = Identity(
            self.url, self.paths.home, self._default_model, self.started, self._unready, self.listening.elsewhere
        )
        workshop = Workshop(self.library, self.paths, self.blobs, walls=self._walls)
        rooms = Rooms(
            identity=identity,
            authority=self.authority,
            keeper=self.keeper,
            models=ModelRooms(
                self.library, self.roles, self.pulls, workshop, self.advice, self.holds, self._reach, machine_with_gpus
            ),
            conversations=self.conversations,
            hosts=self.listening.hosts,
            body_limit=self.settings.body_mib * 2**20,
            written=self._written,
            window=lambda name: self._spec(name).context,
            watched=self.watched,
            far=self.far,
            kv=self.kv,
            gate=Gate(self.guard, self.watched.metrics.count),
            telemetry=self.telemetry,
            spans=self.spans or NoSpans(),
            tuning=TuningRooms(self.tuner, self.tuned),
            builder=self.builder,
            knowledge=self.knowledge,
            reading=self._reading,
            prompts=self.prompts,
            memory=self.remembering.memory,
            mcp=self.mcp,
            agents=doors,
            tools=tools,
        )
        app, inside = build_both(rooms)
        if self.settings.grpc_port:
            self.rpc = self._make_rpc(inside, rooms)
        return app

    def _reading(self, key: str, model: str) -> MainModel:
        """Who reads for this caller: a model of this name, or the one of the role main."""
        answering = self._asked()

        def window(name: str) -> int:
            return self._window(answering.resolve(name))

        return MainModel(answering, self.keeper, lambda: model or self._default_model(), window, key)

    def _make_agents(self) -> Agents:
        vectors = PolicyVectors(Answering(self.keeper, self.library, roles=self.roles.roles), self.library, self.roles)
        loops = Loops(
            self._asked, self._window, self._default_model, partial(self.prompts.text, "homefire.agent"),
            vectors=vectors, critic=self.critic, facts=KeptFacts(self.paths.agent_facts, self._identity),
            temperature=self._own_temperature,
        )  # fmt: skip
        around = with_rooms(self.keeper, lambda: self.knowledge, lambda: self._sandbox)
        return Agents(self.store, self.paths, self.settings, self.boundary, around=around, make=loops)

    def _identity(self, name: str) -> str:
        with contextlib.suppress(HomefireError):
            return " ".join(identity(self._asked().model(name)))
        return ""

    def _own_temperature(self, name: str) -> float | None:
        """What a model's file says of how it wants to be sampled."""
        with contextlib.suppress(HomefireError):
            found = read_header(self._asked().model(name).path).keys.get("general.sampling.temp")
            return float(found) if isinstance(found, int | float) else None
        return None

    def _doors(self) -> tuple[AgentDoors, ToolRooms]:
        held = self._sandbox is not None and self._sandbox.facts().tier == 1
        doors, tools = make_doors(
            self.acting.runs, self.acting.timers, self.boundary, lambda: self.acting.tools,
            conversations=self.conversations, authority=self.authority, default_model=self._default_model,
            no_walls=lambda: "" if held else "no sandbox holds on this machine",
        )  # fmt: skip
        return replace(doors, swarms=self.acting.swarms), tools

    def _asked(self) -> Answering:
        """Who answers the house's own requests, and far engines where an order names one."""
        spans = self.spans or NoSpans()
        return Answering(
            self.keeper, self.library, self.far, self.roles.roles, spans=spans, meter=self.authority.meter
        )  # fmt: skip

    def _window(self, name: str) -> int:
        offered = dict(self.far.offered())
        return offered.get(name) or self._spec(self._asked().model(name).name).context

    async def _open_knowledge(self, walls: bool) -> None:
        judge = Judged(Answering(self.keeper, self.library, roles=self.roles.roles), self.library)
        self.knowledge = make_knowledge(
            self.store, self.paths, self.settings, embed=self.embedders, judge=judge, walls=walls
        )
        if self.knowledge is not None:
            await self.knowledge.open()
            self.embedders.settled_one = self.knowledge.meaning.nudge

    def _make_rpc(self, inside: Inside, rooms: Rooms) -> Any:
        from homefire.server.rpc import Rpc
        from homefire.server.rpc_services import Services

        return Rpc(Services(inside, chatting(rooms)), self.authority, self._unready, rooms.body_limit)

    async def serve(self) -> None:
        """From open to closed; returns after SIGTERM or SIGINT."""
        try:
            app = await self.open()
            server = make_server(app, self.listening)
            self._serving = True
            house = asyncio.ensure_future(self._keep_house())
            governing = asyncio.ensure_future(
                self.regulator.run() if self.settings.governor_seconds else asyncio.sleep(0)
            )
            self.restarts.open()
            self.guard.prepare()
            if self.rpc is not None:
                port = await self.rpc.start(self.settings.host, self.settings.grpc_port, self.listening)
                log.info("gRPC at %s:%d", self.settings.host, port)
            self._announce()
            self._beside(self.keeper.bring_back())
            log.info("ready at %s", self.url)
            if self.settings.auth == "off":
                log.warning("keys are off (setting auth): every program on this machine may use this daemon")
            try:
                await server.serve()
            finally:
                self._serving = False
                if self.rpc is not None:
                    await self.rpc.stop(GRACE_SECONDS)
                house.cancel()
                governing.cancel()
                await asyncio.wait((governing,))  # what it had moved goes back before anything else ends
        finally:
            await self.close()

    async def close(self) -> None:
        """Closes the rooms from above."""
        with contextlib.suppress(OSError):
            self.paths.address.unlink(missing_ok=True)
        await self.guard.close()
        if self._acting is not None:
            await self._acting.close()
        await self.acting.close()
        await self.remembering.close()
        await self.mcp.close()
        if self.knowledge is not None:
            await self.knowledge.close()
        await self.embedders.close()
        await self.builder.close()
        await self.pulls.close()
        await self.far.close()
        await self.keeper.close()
        if self.hook is not None:
            await self.hook.close()
        for task in self._measuring:
            task.cancel()
        await self.web.close()
        if self.spans is not None:
            await asyncio.to_thread(self.spans.close)
        with contextlib.suppress(HomefireError):
            self.telemetry.tick()
        with contextlib.suppress(HomefireError):
            await self.authority.flush()
        await asyncio.to_thread(self.store.close)
        log.info("ended")

    def _make_guard(self, settings: Settings) -> Guard:
        policy = Policy(load_rules(self.paths.policy), mode_of(settings.safety_mode))
        answering = Answering(self.keeper, self.library, roles=self.roles.roles)
        return Guard(policy, PolicyVectors(answering, self.library, self.roles), self.paths.vectors)

    def _default_model(self) -> str:
        return self.settings.model or self.roles.roles()["main"]

    async def _reach(self) -> Reach:
        return await try_reach(self.web, self.catalogue, self.places, self.indexes)

    def _make_keeper(self, settings: Settings) -> Keeper:
        rules = KeeperRules(
            wait_seconds=settings.wait_seconds,
            queue=settings.queue,
            queue_per_key=settings.queue_per_key,
            keep_alive=settings.keep_alive_seconds,
            starvation=settings.starvation_seconds,
        )
        limits = MemoryLimits(settings.floor_mib * 2**20, settings.memory_cap_mib * 2**20)
        sizes = Sizing(
            self.advice, self.library, self._spec, limits, lambda: detect(with_gpus=settings.gpu_layers != 0)
        )
        smaller = partial(self._make_engine, smaller=True)
        book = Book(KeeperKept(self.store))
        return Keeper(self._make_engine, rules, sizes, make_smaller=smaller, loaded=self._loaded, book=book)

    def _make_engine(self, name: str, smaller: bool = False) -> Engine:
        self.holds.check(base_of(name))
        model = self.library.get(base_of(name))
        if model.facts.kind == "speech":
            raise UnsupportedModel(f"'{name}' hears or speaks; it cannot be asked to write.", param="model")
        require_kind(name, model.facts.kind, "chat" if model.facts.kind == "adapter" else model.facts.kind)
        spent = None if is_trial(name) else self.watched.metrics.spent  # counts are of installed models
        spec = self._spec(name, smaller)
        observer = Watch(self.builds, spec.program, self.restarts, self._rolled_back)
        return LlamaCpp(spec, observer, spent, self._keeping(spec), self.templates.require)

    def _keeping(self, spec: EngineSpec) -> Keeping | None:
        if spec.kept is None:
            return None
        noted = partial(self.keeper.decisions.note, "kept")
        return Keeping(self.kv, spec.kept.name, float(self.settings.kv_crash_seconds), noted)

    def _has_family(self, family: str) -> bool:
        """Whether KV caches of this family can still be of use."""
        return any(family.startswith(model_tag(identity(model))) for model in self.library.all())

    # -- native builds of the engine

    def _build(self) -> str:
        """The build of the engine that runs models now."""
        return engine_build() if self.builds.program() is None else f"native {self.builds.state.in_use}"

    def _apart(self, name: str, program: Path | None) -> Engine:
        """An engine that the keeper does not know: for a trial. Its crashes are the trial's matter, nobody else's."""
        given, apart = self._spec(name), ModelName(f"trial-{'native' if program else 'wheel'}")
        return LlamaCpp(
            replace(
                given,
                program=program,
                kept=None,
                log=self.paths.engine_log(apart),
                socket=self.paths.engine_socket(apart),
                hang_seconds=0,
            ),
            approve=self.templates.require,
        )

    def _to_try(self) -> list[Tried]:
        """The pilot, the embedder if there is one, and the user's main model."""
        roles = self.roles.roles()
        names = dict.fromkeys(filter(None, ("pilot", roles["embed"], self._default_model())))
        models = [self.library.get(name) for name in names]
        return [
            Tried(each.name, each.facts.kind, each.size_bytes)
            for each in models
            if each.facts.kind in ("chat", "embedding")
        ]

    async def _make_room(self, need: int) -> bool:
        if detect().memory_available_bytes < need:
            await self.keeper.let_idle_go("A trial of an engine needs its memory.")
        return detect().memory_available_bytes >= need

    async def _switched(self, why: str) -> None:
        """Models that nobody uses load anew, with the other engine; the rest do at their next load."""
        self.keeper.decisions.note("switched", "engine", why)
        log.warning("the engine was switched: %s", why)
        await self.keeper.let_idle_go("The engine was switched.")

    def _rolled_back(self, name: str, why: str) -> None:
        self.keeper.decisions.note("switched", name, why)
        log.error("the engine was switched back: %s", why)

    def _spec(self, name: str, smaller: bool = False) -> EngineSpec:
        """How the model is loaded, or a side worker of it; `smaller`: the second time, after the memory ran out."""
        model, worker = self.library.get(base_of(name)), WorkerName(name)
        small = model.size_bytes < SMALL_BYTES
        whole = min(model.facts.context_length or LARGEST_DEFAULT_CONTEXT, LARGEST_DEFAULT_CONTEXT)
        chats = model.facts.kind == "chat"  # the setting is about chats; a text to embed is read in one go
        context = self.levers.context_of((self.settings.context if chats else 0) or whole)
        slots = self.settings.slots or (8 if small else 4)
        trial = None if name.endswith(GRAPH) else self.tuner.trial(name)
        way = trial or (self.tuned.way(model.name) if chats else Tuning())
        threads = trial.threads if trial and trial.threads else self.settings.threads or way.threads
        batch, logical = self.levers.batches(way.batch, way.logical_batch) if chats else (0, 0)
        adapters = self.adapters.of_engine(name) if chats and trial is None else []
        spec = EngineSpec(
            name=worker,
            path=model.path,
            context=max(min(context, SMALLEST_CONTEXT), context // 2) if smaller else context,
            slots=max(1, slots // 2) if smaller else slots,
            threads=max(1, int(compute_threads(threads) * self.levers.threads)),
            gpu_layers=self.settings.gpu_layers,
            load_seconds=self.settings.load_seconds,
            log=self.paths.engine_log(worker),
            socket=self.paths.engine_socket(worker),
            kind=model.facts.kind,
            batch=batch,
            hang_seconds=self.settings.hang_seconds,
            adapters=tuple(AdapterFile(str(each.digest), each.path) for each in adapters),
            drafting=self.tuned.drafting(way),
            kv_type=way.kv_type,
            flash_attention=way.flash_attention,
            logical_batch=logical,
            walls=self._walls,
            program=self.builds.program(),
            graph=self.embedders.graph(name),
        )
        # What lies in a slot does not say which adapter computed it, and a draft's own cache is not written with it.
        if not chats or not self.settings.kv_quota_mib or trial or adapters or spec.drafting.path is not None:
            return spec
        family = family_of(spec, identity(model), self._build())
        return replace(spec, kept=self.kv.folder / family)

    def _loaded(self, name: str, engine: Engine) -> None:
        """What the child really took goes into the next estimate."""
        if engine.pid is not None and self._serving and not is_trial(name):
            self._beside(self._measure(name, process_memory(engine.pid)))

    def _written(self, name: str, usage: Usage, rate: float) -> None:
        """How fast an answer was written goes into the next estimate of the speed."""
        if usage.completion_tokens >= FEWEST_TIMED:
            self._beside(self._time(name, usage.prompt_tokens + usage.completion_tokens // 2, rate))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._measuring.add(task)
        task.add_done_callback(self._measuring.discard)

    async def _time(self, name: str, filled: int, rate: float) -> None:
        try:
            name = base_of(name)
            if self.library.get(name).size_bytes < SMALL_BYTES:  # bound by its overhead, not by the memory
                return
            if (
                self.settings.gpu_layers == 0 or not (await asyncio.to_thread(machine_with_gpus)).gpus
            ):  # else which layers lie where?
                await self.advice.measured_speed(name, rate, filled)
        except HomefireError as problem:
            log.info("the speed of '%s' was not noted: %s", name, problem.message)

    async def _measure(self, name: str, taken: int) -> None:
        try:
            spec, name = self._spec(name), base_of(name)
            if spec.adapters or spec.drafting.model:  # the estimate is of the model alone
                return
            shared = self.library.get(name).size_bytes >= SMALL_BYTES  # then all slots share one context
            context = spec.context if shared else spec.context * spec.slots
            found = await asyncio.to_thread(
                self.advice.fit, name, context, spec.slots, spec.kv_type, micro_batch=spec.batch,
                flash_attention=spec.flash_attention is not False,
            )  # fmt: skip
            # What lies on a GPU does not show in the process's memory.
            if found.gpu_bytes or found.total_bytes < SMALLEST_MEASURED:
                return
            await self.advice.measured_load(name, found.context, found.slots, found.total_bytes, taken)
        except HomefireError as problem:  # removed meanwhile, a full disk: the estimate stays as it was
            log.info("the load of '%s' was not measured: %s", name, problem.message)

    def _facts(self) -> Facts:
        """What telemetry may know, if a person turned it on."""
        machine, requests = detect(), Counter[str]()
        for (_, route, _), times in self.watched.metrics.requests.items():
            requests[route] += times
        models = tuple((model.facts.architecture, model.facts.parameters) for model in self.library.all())
        errors = {code: times for (code,), times in self.watched.metrics.counted("errors_total").items()}
        return Facts(
            homefire.__version__, machine.system, machine.cores, machine.memory_bytes, models, requests, errors
        )

    def _unready(self) -> list[str]:
        reasons = [] if self._serving else ["starting or stopping"]
        default = self._default_model()
        if any(resident.name == default and resident.state == "broken" for resident in self.keeper.view()[0]):
            reasons.append(f"the model '{default}' crashed too often and rests")
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self.paths.home).free < LEAST_DISK:
                reasons.append(f"the disk of {self.paths.home} is full")
        return reasons

    async def _keep_house(self) -> None:
        while True:
            try:
                await self.authority.flush()
                await self.conversations.purge()
                self.kv.tidy()
                self.telemetry.tick()
            except HomefireError as problem:
                log.warning("housekeeping: %s", problem.message)
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    def _announce(self) -> None:
        facts = {"pid": os.getpid(), "url": self.url, "started_at": self.started}
        if self.listening.certificate is not None:
            facts["certificate"] = str(self.listening.certificate.absolute())
        part = self.paths.address.with_suffix(".new")
        try:
            part.write_text(json.dumps(facts), "utf-8")
            part.replace(self.paths.address)
        except OSError as problem:
            raise from_os(problem, part) from None
        first_line({"ready": facts})
