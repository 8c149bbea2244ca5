"""The child that tries a model's chat template: a template is a program, and whoever made the model's file chose it.

llama.cpp renders it while it loads the model (to learn what it can do) and for each request. Here it does so with the built-in
model, which loads in a moment, and only with the suspect's template.
Run as `python -m homefire.daemon.template_child JSON` (see `models/task.py`): {"model": path, "pilot": path}.
Promises: a template that takes more than `SECONDS` of processor time or `MEMORY` is ended, and told apart from one that merely
raises, which is fine: many do on what they were not made for. That an allocation failed cannot be hidden by a handler.
Does not cover: what depends on a request (`engines/llamacpp.py` ends a rendering that hangs); limits of memory where the system
has none for it (macOS, Windows); processor time on Windows, where the wall clock alone counts.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homefire.errors import EngineFailed
from homefire.models.gguf import read_header
from homefire.models.task import Progress, child
from homefire.supervision import lifeline

# The two that llama.cpp looks for.
KEYS = ("tokenizer.chat_template", "tokenizer.chat_template.tool_use")
# Processor time and private memory on top of what the built-in model with its own template took (the second load takes some
# 70 MiB of it, mostly threads' stacks); the wall clock is for a machine that gives the child hardly any time.
SECONDS, MEMORY, WALL_SECONDS = 1.0, 256 << 20, 30.0
_TOOL = {
    "type": "function",
    "function": {"name": "turn", "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
}
_CALL = {"id": "call000001", "type": "function", "function": {"name": "turn", "arguments": '{"on": true}'}}
_TURNS = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Turn it on."},
]
SAMPLES: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "system", "content": "Be brief."}, *_TURNS]},
    {
        "messages": [
            *_TURNS,
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "content": "done", "tool_call_id": _CALL["id"]},
        ],
        "tools": [_TOOL],
    },
)


def templates(keys: Mapping[str, Any]) -> dict[str, str]:
    """The templates in a header's keys that llama.cpp would render, by their keys. Pure."""
    return {key: text for key in KEYS if isinstance(text := keys.get(key), str) and text.strip()}


def verdict(status: int, begun: bool) -> str:
    """Why the template is refused, "" if it is not. `status` as `os.waitstatus_to_exitcode` gives it; `begun`: the child had
    come as far as the template. Pure. Raises EngineFailed if the trial itself did not work."""
    if not begun:
        raise EngineFailed(f"A chat template could not be tried: the engine's process ended with {status}.")
    match -status:
        case signal.SIGPROF:
            return f"takes more than {SECONDS:g} s of processor time"
        case signal.SIGKILL:
            return f"did not end within {WALL_SECONDS:g} s"
        case signal.SIGABRT:
            return f"takes more than {MEMORY >> 20} MiB of memory, or aborts the engine"
        case number if number > 0:
            return f"makes the engine crash ({signal.Signals(number).name})"
    return "breaks the engine" if status else ""


def work(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Tries each template of the file; returns {"refused": "" or why, "peak_bytes": memory that the trial took at most}."""
    why = ""
    for key, text in templates(read_header(Path(arguments["model"])).keys).items():
        if found := _tried(text, arguments["pilot"]):
            why = f"{key} {found}"
            break
    return {"refused": why, "peak_bytes": _peak()}


def _tried(text: str, pilot: str) -> str:
    reading, writing = os.pipe()
    if not hasattr(os, "fork"):  # Windows: the parent's wall clock ends this process
        _render(text, pilot, writing)
        return ""
    process = os.fork()
    if not process:
        status = 1
        try:
            lifeline.die_with_parent()
            _render(text, pilot, writing)
            status = 0
        finally:
            os._exit(status)  # whatever it is: nothing of the parent's may run twice
    os.close(writing)
    ends = time.monotonic() + WALL_SECONDS
    while not (done := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > ends:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.004)
    status = os.waitstatus_to_exitcode(done[1])
    with open(reading, "rb") as told:
        return verdict(status, bool(told.read()))


def _render(text: str, pilot: str, begun: int) -> None:
    """Loads the built-in model as it is, sets the limits, and loads it with the template."""
    from xllamacpp import Server

    with tempfile.TemporaryDirectory() as folder:
        first = Server(_parameters(pilot, "", f"{folder}/a.sock"))
        _limit()
        os.write(begun, b".")
        try:
            second = Server(_parameters(pilot, text, f"{folder}/b.sock"))
        except RuntimeError:  # it raises on what llama.cpp shows it; with its own model it may not
            return
        if sys.platform != "win32":
            for sample in SAMPLES:
                _ask(f"{folder}/b.sock", sample)
        del first, second


def _parameters(pilot: str, text: str, address: str) -> Any:
    from xllamacpp import CommonParams

    found = CommonParams()
    found.model.path, found.chat_template, found.verbosity = pilot, text, 1
    found.n_ctx, found.n_parallel, found.n_gpu_layers, found.cache_ram_mib = 256, 1, 0, 0
    found.cpuparams.n_threads = found.cpuparams_batch.n_threads = found.n_threads_http = 1
    found.warmup = found.fit_params = found.ui = found.cache_idle_slots = False
    found.hostnames, found.port = ([address], found.port) if sys.platform != "win32" else (["127.0.0.1"], 0)
    return found


def _ask(address: str, sample: dict[str, Any]) -> None:
    connection = http.client.HTTPConnection("engine")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(address)
    connection.request("POST", "/apply-template", json.dumps(sample))
    connection.getresponse().read()
    connection.close()


def _limit() -> None:
    """From here on: so much processor time, so much memory."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            # Else llama.cpp catches the failed allocation, and its own load, which has no limit, would take the memory.
            abort = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p)
            ctypes.CDLL("libstdc++.so.6")._ZSt15set_new_handlerPFvvE(abort)
        most = _private() + MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)


def _peak() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _private() -> int:
    """Bytes that count towards RLIMIT_DATA."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))


if __name__ == "__main__":
    child(work)
