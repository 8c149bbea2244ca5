"""The model's child process: llama.cpp's server from xllamacpp, alone in a process because it may abort.

Run as `python -m homefire.engines.llamacpp_child JSON`. It says on its lifeline where it listens, and ends with its parent.
Promises: no secret on the command line; the socket is open to this user only; no log holds a prompt (verbosity: warnings).
Does not cover: anything but serving one model.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from homefire.engines.engine import SMALL_BYTES
from homefire.supervision import lifeline

# What all texts under way may take together while embedding; one text may always be as long as the context window.
EMBEDDING_TOKENS = 8192
# llama.cpp rounds context windows up to this.
STEP = 256
WARNINGS = 2


def main() -> None:
    """Loads the model and serves until the lifeline breaks."""
    rope = lifeline.attach()
    os.umask(0o077)
    arguments = json.loads(sys.argv[1])
    try:
        from xllamacpp import Server

        server = Server(_parameters(arguments))
        address = _address(server.listening_address)
    except (RuntimeError, ValueError, TypeError, OSError, MemoryError, ImportError) as problem:
        rope.failed(str(problem) or type(problem).__name__)
        sys.exit(1)
    rope.ready(address=address)
    threading.Event().wait()


def _parameters(arguments: dict[str, Any]) -> Any:
    from xllamacpp import CommonParams

    path, slots = arguments["model"], arguments["slots"]
    small = Path(path).stat().st_size < SMALL_BYTES
    found = CommonParams()
    found.model.path = path
    found.model_alias = {arguments["alias"]}
    found.n_parallel = slots
    found.kv_unified = True
    found.n_ctx = arguments["context"] * (slots if small else 1)
    found.cpuparams.n_threads = arguments["threads"]
    found.cpuparams_batch.n_threads = arguments["threads"]
    found.n_gpu_layers = arguments["gpu_layers"]
    found.fit_params = not small and arguments["gpu_layers"] != 0
    found.warmup = not small
    # Slots are given out by the daemon, which also keeps what leaves them; llama.cpp's own cache would do it twice, with 8 GiB.
    found.cache_ram_mib = 0
    found.cache_idle_slots = False
    if arguments.get("kept"):
        found.slot_save_path = arguments["kept"] + os.sep
    # One thread serves one connection until that closes; idle ones must not keep a request waiting.
    found.n_threads_http = slots + 8
    found.endpoint_slots = False
    found.ui = False
    found.verbosity = WARNINGS
    if batch := arguments.get("batch"):
        found.n_ubatch = batch
        found.n_batch = max(batch, arguments["logical_batch"], 64)
    if arguments["kind"] == "chat":
        _quicken(found, arguments)
        _adapt(found, arguments["adapters"])
    else:
        _embed(found, arguments["context"], slots)
    if arguments["kind"] == "rerank":
        _rank(found)
    if arguments["socket"] is not None:
        Path(arguments["socket"]).unlink(missing_ok=True)
        found.hostnames = [arguments["socket"]]
    else:
        found.hostnames = ["127.0.0.1"]
        found.port = 0
        found.api_keys = [os.environ.pop("HOMEFIRE_ENGINE_KEY")]
    return found


def _quicken(found: Any, arguments: dict[str, Any]) -> None:
    """What was tuned: the types of the KV cache, flash attention, who drafts."""
    from xllamacpp import common_speculative_type, ggml_type, llama_flash_attn_type

    for name in ("cache_type_k", "cache_type_v"):
        setattr(found, name, getattr(ggml_type, f"GGML_TYPE_{arguments[name].upper()}"))
    if flash := arguments["flash_attention"]:
        word = {"on": "ENABLED", "off": "DISABLED"}[flash]
        found.flash_attn_type = getattr(llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{word}")
    if not (kind := arguments["spec_type"]):
        return
    name = kind.replace("-", "_").upper()
    found.speculative.types = [getattr(common_speculative_type, f"COMMON_SPECULATIVE_TYPE_{name}")]
    if arguments["draft"] is not None:
        draft = found.speculative.draft
        draft.mparams.path = arguments["draft"]
        draft.n_gpu_layers = arguments["gpu_layers"]
        draft.cpuparams.n_threads = draft.cpuparams_batch.n_threads = arguments["threads"]
        draft.n_max = arguments["draft_max"] or draft.n_max


def _adapt(found: Any, paths: list[str]) -> None:
    """Adapters, switched off until a request gives them a scale."""
    if not paths:
        return
    from xllamacpp import CommonAdapterLoraInfo

    adapters = []
    for path in paths:
        one = CommonAdapterLoraInfo()
        one.path, one.scale = path, 0.0
        adapters.append(one)
    found.lora_adapters = adapters
    found.lora_init_without_apply = True
    # The server's cache of finished prompts does not know which adapter computed them, and gives them to any request.
    found.cache_ram_mib = 0


def _embed(found: Any, context: int, slots: int) -> None:
    """A text is read in one go, so a batch must hold the longest; the pooling is the one that the file's header names."""
    found.embedding = True
    found.n_parallel = max(1, min(slots, EMBEDDING_TOKENS // context))
    # A window for each slot, not one that all share: a slot's texts are then never longer than a batch.
    found.kv_unified = False
    found.n_ctx = context * found.n_parallel
    found.n_batch = found.n_ubatch = max(512, -(-context // STEP) * STEP)


def _rank(found: Any) -> None:
    """The server's own rerank route asks for the pooling by name, whatever the header says."""
    from xllamacpp import llama_pooling_type

    found.pooling_type = llama_pooling_type.LLAMA_POOLING_TYPE_RANK


def _address(listening: str) -> str | tuple[str, int]:
    if listening.startswith("unix://"):
        return listening.removeprefix("unix://")
    host, _, port = listening.split("//", 1)[-1].rstrip("/").rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
