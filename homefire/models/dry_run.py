"""llama.cpp's own dry run of a load: the truth that `fit` is compared with.

The library inside the xllamacpp wheel exports `common_fit_print`, which reads the header, makes model and context without
allocating a weight or a cache, reserves the graphs and prints the bytes. It is called through ctypes in a child process of its
own, because it aborts on some models; run as `python -m homefire.models.dry_run JSON`.
Promises: the caller's process loads no native code; the child's address space is limited and its time is; a build whose
structures do not look as expected is refused, not called: their defaults are compared first; raises EngineFailed, no other.
Does not cover: GPUs (the plain wheel has none), Windows (other symbol names), files whose header was not checked (`read_header`).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homefire.errors import EngineFailed, KernelsMissing
from homefire.models.fit import Load
from homefire.models.gguf import TENSOR_TYPES
from homefire.models.native import Native
from homefire.supervision.record import INHERITED

MIB = 1 << 20
MEMORY_LIMIT = 8 << 30  # of address space: the library itself, and graphs of some thousand nodes
_SYMBOL = "_Z16common_fit_printPKcP18llama_model_paramsP20llama_context_params"
_TYPES = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes, as far as the engine's log shows them: whole MiB for the weights, hundredths of one for the rest."""

    weights: int
    kv_cache: int
    states: int
    compute: int
    output: int

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.states + self.compute + self.output


def dry_run(path: Path, loads: Sequence[Load], seconds: float = 60.0, *, really: bool = False) -> list[Measured | None]:
    """What the engine would take for each load, on the processor alone; None for a load on which it aborts.

    Blocks for about 0.3 s and 0.05 s a load. `really` loads the model and allocates everything: for small models.
    Raises EngineFailed if the engine cannot read the model, or has no dry run.
    """
    path = path.absolute()
    found: list[Measured | None] = []
    while len(found) < len(loads):
        job = {"path": str(path), "loads": [asdict(load) for load in loads[len(found) :]], "really": really}
        lines, problem = _child(path.name, json.dumps(job), seconds)
        answers = [json.loads(line) for line in lines]
        if refused := [answer["failed"] for answer in answers if "failed" in answer]:
            raise EngineFailed(f"The engine's dry run of {path.name} is not possible: {refused[0]}.")
        found += [Measured(**answer) for answer in answers]
        if len(found) < len(loads):
            if "failed to load model" in problem:
                raise EngineFailed(f"The engine cannot read {path.name}: {problem}")
            found.append(None)
    return found


def _child(name: str, job: str, seconds: float) -> tuple[list[str], str]:
    """Lines that the child printed, and the end of what it complained of."""
    argv = (sys.executable, "-m", "homefire.models.dry_run", job)
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    calm = {**environment, "GGML_NO_BACKTRACE": "1"}  # an abort would start a debugger and take seconds
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=seconds, check=False, errors="replace", env=calm
        )
    except subprocess.TimeoutExpired:
        raise EngineFailed(f"The engine's dry run of {name} took longer than {seconds:.0f} s.") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return lines, done.stderr.strip()[-300:]


class _Engine:
    """The dry run itself."""

    def __init__(self) -> None:
        self._native = Native()
        self._print = getattr(self._native.library, _SYMBOL)
        self.parameters = self._native.parameters
        self.log = self._native.log

    def run(self, path: str, load: Load, really: bool) -> None:
        """One dry run, or a real load: the log is in `log`, and the dry run prints."""
        model, context = self.parameters()
        model.no_alloc, model.use_extra_bufts, model.n_gpu_layers, model.load_mode = not really, False, 0, 0
        context.n_ctx, context.n_seq_max, context.kv_unified = load.context, load.slots, load.unified
        context.n_ubatch, context.n_batch = load.micro_batch, max(2048, load.micro_batch)
        context.type_k, context.type_v, context.swa_full = _TYPES[load.type_k], _TYPES[load.type_v], False
        context.flash_attn_type = -1 if load.flash_attention else 0
        self._native.log.clear()
        if really:
            self._native.free(*self._native.load(path, model, context))
            return
        self._print(path.encode(), ctypes.byref(model), ctypes.byref(context))
        ctypes.CDLL(None).fflush(None)


def measured(log: str, printed: str) -> Measured:
    """Reads the engine's log, and "Host MODEL CONTEXT COMPUTE" (whole MiB) of a dry run. Raises ValueError if a figure lacks."""
    host = re.findall(r"^Host (\d+) (\d+) (\d+)", printed, re.MULTILINE)
    weights = [host[-1][0]] if host else re.findall(r"model buffer size = +([\d.]+) MiB", log)
    compute = re.findall(r"compute buffer size = +([\d.]+) MiB", log)
    if not weights or not compute:
        raise ValueError("no figures were printed")
    caches = re.findall(r": size = +([\d.]+) MiB \([^)]*\), K \(", log)
    states = re.findall(r": size = +([\d.]+) MiB \([^)]*\), R \(", log)
    outputs = re.findall(r"output buffer size = +([\d.]+) MiB", log)
    return Measured(*(_bytes(figures) for figures in (weights, caches, states, compute, outputs)))


def _bytes(figures: Sequence[str]) -> int:
    return round(sum(float(figure) for figure in figures) * MIB)


def _answers(job: dict[str, Any], printed: Any) -> Iterator[dict[str, Any]]:
    """In the child: the figures of each load, or why none can be had. `printed` is the file behind standard output."""
    try:
        engine = _Engine()
        engine.parameters()
    except (KernelsMissing, OSError, AttributeError, ValueError) as problem:
        yield {"failed": str(problem)}
        return
    for load in job["loads"]:
        at = printed.seek(0, 2)
        engine.run(job["path"], Load(**load), job["really"])
        printed.seek(at)
        yield asdict(measured("".join(engine.log), printed.read().decode("utf-8", "replace")))


def main() -> None:
    """Runs in the child. The library prints to standard output; so that goes to a file, and the answers to a copy of it."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(1), "w") as answers, tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        for answer in _answers(json.loads(sys.argv[1]), printed):
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
