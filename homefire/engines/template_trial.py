"""A chat template rendered by llama.cpp under hard limits, in a process that is there for nothing else.

llama.cpp renders a model's template while it loads the model (to learn what it can do) and for each request. Here it does both
with the built-in model, which loads in a moment, and the suspect's template.
Promises: more than `SECONDS` of processor time or `MEMORY` ends the process, on Linux; a handler of llama.cpp's cannot hide that
an allocation failed.
Does not cover: who starts the process and what its end means (`daemon/template_child.py`); what depends on a request
(`llamacpp.py` ends a rendering that hangs); limits of memory on macOS, any limit on Windows.
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
from collections.abc import Mapping, Sequence
from typing import Any

# Processor time and private memory on top of what the built-in model with its own template took (the second load takes some
# 70 MiB of it, mostly threads' stacks).
SECONDS, MEMORY = 1.0, 256 << 20


def render(text: str, pilot: str, samples: Sequence[Mapping[str, Any]], folder: str, begun: int) -> None:
    """Loads the built-in model as it is, sets the limits of this process, writes a byte to `begun`, and renders while loading
    and for each of `samples` (bodies of llama.cpp's chat route); sockets lie in `folder`. What the template raises is passed
    over. Does not return if it takes too much: SIGPROF for time, SIGABRT for memory."""
    from xllamacpp import Server

    first = Server(_parameters(pilot, "", f"{folder}/a.sock"))
    _limit()
    os.write(begun, b".")
    try:
        second = Server(_parameters(pilot, text, f"{folder}/b.sock"))
    except RuntimeError:  # it raises on what llama.cpp shows it; with its own model it may not
        return
    if sys.platform != "win32":
        for sample in samples:
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


def _ask(address: str, sample: Mapping[str, Any]) -> None:
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


def _private() -> int:
    """Bytes that count towards RLIMIT_DATA."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))


def peak() -> int:
    """Bytes of memory that an ended child of this process took at most; 0 where nobody says."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
