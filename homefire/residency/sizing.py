"""What models take and what this machine can give: `fit` for the one, the machine's memory for the other.

The room for models is not what is free now but what would be without them: the kernel counts mapped weights as free already (they
can be read again), the rest of a child's memory not. So: free + what our children hold of their own - the headroom.
Promises: nothing here blocks the event loop; an estimate that cannot be made becomes the size of the file and a bit; the headroom
is never more than an eighth of the memory.
Does not cover: several GPUs: a model goes to the one with most free memory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

from homefire.engines.engine import SMALL_BYTES, EngineSpec
from homefire.engines.llamacpp import AHEAD
from homefire.errors import HomefireError, UnknownModel
from homefire.hardware.gpu import Gpu
from homefire.hardware.machine import Machine, private_memory, process_memory
from homefire.models.advice import Advice
from homefire.models.installed import Model
from homefire.models.library import Library
from homefire.paths import base_of
from homefire.residency.plan import HOST, MIB, Held, Plan, gib
from homefire.residency.scheduler import Room
from homefire.supervision.child import log_tail

GPU = "gpu"
# Python and the engine's libraries, beside the buffers that the estimate counts; measured on the pilot's child.
CHILD_BYTES = 64 * MIB
# An ONNX graph: what it was read from and what it is packed into, and the library; measured on MiniLM (59 MB: 300 MB in all).
GRAPH_COPIES, GRAPH_BYTES = 2, 128 * MIB
# Where no estimate can be made: the weights, and so much of them and beside them for all else.
UNKNOWN_SHARE, UNKNOWN_BYTES = 1.1, 256 * MIB
SLOWEST_DISK = 1e9
START_SECONDS = 0.5
# What engines and drivers say when memory runs out, and the signals that such a process ends with.
OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate|unable to allocate|cannot allocate|bad_alloc|MemoryError|alloc_buffer|"
    r"was killed by SIG(KILL|ABRT|SEGV)",
    re.IGNORECASE,
)
TAIL = 600
PLACES_AND_TIMES = frozenset(
    {"name", "path", "log", "socket", "load_seconds", "hang_seconds", "threads", "kept", "walls"}
)


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Bytes: `headroom` stays free, `cap` is what models may take together of each memory (0: no cap)."""

    headroom: int
    cap: int = 0

    def headroom_of(self, total: int) -> int:
        """What stays free of a memory of this size."""
        return min(self.headroom, total // 8)


class Sizing:
    """The `Sizes` of a real machine. `spec(name, smaller)` says how a model would be loaded; `machine` what this machine is
    now."""

    def __init__(
        self,
        advice: Advice,
        library: Library,
        spec: Callable[[str, bool], EngineSpec],
        limits: MemoryLimits,
        machine: Callable[[], Machine],
    ) -> None:
        self._advice, self._library, self._spec = advice, library, spec
        self._limits, self._machine = limits, machine
        self._on_gpu = 0  # bytes that our models hold of the GPU, as of the last look
        self._gpu_room = 0

    async def plan(self, model: str, smaller: bool) -> Plan:
        """See `Sizes`."""
        self._library.get(base_of(model))
        return await asyncio.to_thread(self._plan, model, self._spec(model, smaller))

    async def room(self, held: Iterable[Held]) -> Room:
        """See `Sizes`."""
        return await asyncio.to_thread(self._room, list(held))

    async def taken(self, pid: int) -> int:
        """See `Sizes`."""
        return await asyncio.to_thread(process_memory, pid)

    def ran_out(self, model: str, problem: HomefireError) -> bool:
        """See `Sizes`."""
        try:
            tail = log_tail(self._spec(model, False).log, TAIL)
        except UnknownModel:  # removed meanwhile
            return False
        return OUT_OF_MEMORY.search(f"{problem.message}\n{tail}") is not None

    def _plan(self, name: str, spec: EngineSpec) -> Plan:
        name = base_of(name)
        model = self._library.get(name)
        size = model.size_bytes
        separate = size < SMALL_BYTES or spec.kind != "chat"  # then each slot has a window of its own
        context = spec.context * (spec.slots if separate else 1)
        machine = self._without_models(spec)
        host, gpu = self._bytes(name, size, context, spec, machine)
        if spec.graph is not None:
            host, gpu = GRAPH_COPIES * spec.graph.stat().st_size + GRAPH_BYTES, 0
        host += sum(each.path.stat().st_size for each in spec.adapters if each.path.is_file())
        if spec.drafting.model:  # it has a cache of its own, for as many tokens
            draft = self._library.get(spec.drafting.model)
            plain = replace(spec, kv_type="F16", batch=0, flash_attention=None)
            more = self._bytes(draft.name, draft.size_bytes, context, plain, machine)
            host, gpu = host + more[0], gpu + more[1]
        what = f"a context of {spec.context:,} tokens and {spec.slots} slots"
        what += f", KV cache {spec.kv_type}" if spec.kv_type != "F16" else ""
        what += f", drafts by {spec.drafting.model or spec.drafting.mode}" if spec.drafting.mode else ""
        return Plan(
            {HOST: host + CHILD_BYTES, **({GPU: gpu} if gpu else {})},
            spec.slots + AHEAD,
            size / SLOWEST_DISK + START_SECONDS,
            tuple(file.path for file in model.files) or (model.path,),
            what,
            load_of(model, spec),
        )

    def _bytes(self, name: str, size: int, context: int, spec: EngineSpec, machine: Machine) -> tuple[int, int]:
        """Bytes of main memory and of the GPU, or of a guess. Raises UnknownModel."""
        try:
            report = self._advice.fit(
                name, context, spec.slots, spec.kv_type, machine=machine, micro_batch=spec.batch,
                flash_attention=spec.flash_attention is not False,
            )  # fmt: skip
        except UnknownModel:
            raise
        except HomefireError:
            return int(size * UNKNOWN_SHARE) + UNKNOWN_BYTES, 0
        return report.host_bytes, report.gpu_bytes

    def _without_models(self, spec: EngineSpec) -> Machine:
        """The machine as if no model of ours were in memory: where a model goes is then the same, whatever is there now."""
        machine = self._machine()
        empty = machine.memory_bytes - self._limits.headroom_of(machine.memory_bytes)
        gpus = tuple(replace(gpu, free_bytes=_free_of(gpu, self._on_gpu)) for gpu in machine.gpus)
        if spec.gpu_layers == 0:
            gpus = ()
        return replace(machine, memory_available_bytes=empty, gpus=gpus)

    def _room(self, held: list[Held]) -> Room:
        machine = self._machine()
        own = sum(private_memory(each.pid) for each in held if each.pid is not None)
        total, kept = machine.memory_bytes, self._limits.headroom_of(machine.memory_bytes)
        free = min(machine.memory_available_bytes + own, total)
        sizes, why = {HOST: max(0, free - kept)}, {}
        totals, headroom = {HOST: total}, {HOST: kept}
        why[HOST] = f"{gib(total)} in all, {gib(total - free)} used by other programs, {gib(kept)} stay free"
        self._on_gpu = sum(each.bytes.get(GPU, 0) for each in held if each.settled)
        gpu = max((each for each in machine.gpus if not each.shared), key=lambda each: each.free_bytes, default=None)
        if gpu is not None and gpu.memory_bytes:
            kept = self._limits.headroom_of(gpu.memory_bytes)
            totals[GPU], headroom[GPU] = gpu.memory_bytes, kept
            if all(each.settled for each in held) or not self._gpu_room:
                self._gpu_room = max(0, _free_of(gpu, self._on_gpu) - kept)
            # While a model loads nobody knows how much of its memory is counted as used already: the last figure stands.
            sizes[GPU] = self._gpu_room
            why[GPU] = f"{gpu.name}: {gib(gpu.memory_bytes)} in all, {gib(kept)} stay free"
        for device, size in sizes.items():
            if 0 < self._limits.cap < size:
                sizes[device], why[device] = self._limits.cap, "the setting memory_cap_mib"
        return Room(sizes, self._limits.headroom_of(machine.memory_bytes) // 2, why, totals, headroom)


def load_of(model: Model, spec: EngineSpec) -> str:
    """The digest of what is loaded and all of the spec that its memory depends on; what says where and how quickly does not."""
    facts = {each.name: getattr(spec, each.name) for each in fields(spec) if each.name not in PLACES_AND_TIMES}
    told = " ".join(f"{name}={value}" for name, value in sorted(facts.items()))
    return f"{model.digest or f'{model.name}:{model.size_bytes}'} {told}"


def _free_of(gpu: Gpu, ours: int) -> int:
    return min(gpu.memory_bytes or gpu.free_bytes, gpu.free_bytes + ours)
