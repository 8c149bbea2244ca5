"""What llama.cpp's server is told, once as plain data, for both ways in which it runs here.

`parameters` turns what a child was given (see `LlamaCpp`) into names and plain values; `settle` sets them on the wheel's
parameters, `flags` spells them for the program of a native build. So the two cannot drift apart.
Promises: `parameters` and `flags` are pure but for the size of the model's file; a name without a spelling is a KeyError, not a
parameter that one of the two passes over in silence; no secret is among them.
Does not cover: where the server listens, keys (`llamacpp_child.py`, `native_child.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homefire.engines.engine import SMALL_BYTES

# What all texts under way may take together while embedding; one text may always be as long as the context window.
EMBEDDING_TOKENS = 8192
# llama.cpp rounds context windows up to this.
STEP = 256
WARNINGS = 2

# Name here -> attribute of the wheel's CommonParams, where it takes the value as it is.
ATTRIBUTES = {
    "model": "model.path", "parallel": "n_parallel", "kv_unified": "kv_unified", "context": "n_ctx",
    "threads": "cpuparams.n_threads", "threads_batch": "cpuparams_batch.n_threads", "gpu_layers": "n_gpu_layers",
    "fit": "fit_params", "warmup": "warmup", "cache_ram_mib": "cache_ram_mib",
    "cache_idle_slots": "cache_idle_slots", "threads_http": "n_threads_http",
    "slots_shown": "endpoint_slots", "ui": "ui", "verbosity": "verbosity", "batch": "n_batch", "ubatch": "n_ubatch",
    "embedding": "embedding", "lora_unapplied": "lora_init_without_apply",
    "draft": "speculative.draft.mparams.path", "draft_max": "speculative.draft.n_max",
    "draft_threads": "speculative.draft.cpuparams.n_threads",
    "draft_threads_batch": "speculative.draft.cpuparams_batch.n_threads",
    "draft_gpu_layers": "speculative.draft.n_gpu_layers",
}  # fmt: skip
# Name here -> option of the program. One that ends in "=" takes the value, a pair is for true and false ("" says nothing).
OPTIONS: dict[str, str | tuple[str, str]] = {
    "model": "--model=", "alias": "--alias=", "parallel": "--parallel=", "kv_unified": ("--kv-unified", "--no-kv-unified"),
    "context": "--ctx-size=", "threads": "--threads=", "threads_batch": "--threads-batch=", "gpu_layers": "--gpu-layers=",
    "warmup": ("--warmup", "--no-warmup"), "cache_ram_mib": "--cache-ram=",
    "cache_idle_slots": ("--cache-idle-slots", "--no-cache-idle-slots"), "threads_http": "--threads-http=",
    "slots_shown": ("--slots", "--no-slots"), "ui": ("--ui", "--no-ui"), "verbosity": "--verbosity=",
    "batch": "--batch-size=", "ubatch": "--ubatch-size=", "embedding": ("--embedding", ""), "pooling": "--pooling=",
    "slot_save_path": "--slot-save-path=", "lora_unapplied": ("--lora-init-without-apply", ""),
    "cache_type_k": "--cache-type-k=", "cache_type_v": "--cache-type-v=", "flash_attention": "--flash-attn=",
    "draft": "--spec-draft-model=", "draft_max": "--spec-draft-n-max=",
    "draft_threads": "--spec-draft-threads=", "draft_threads_batch": "--spec-draft-threads-batch=",
    "draft_gpu_layers": "--spec-draft-ngl=", "spec_type": "--spec-type=",
}  # fmt: skip


def parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Names of `OPTIONS` (and "fit", "adapters") with plain values.

    `given` is what `LlamaCpp` hands its child: "model", "alias", "context", "slots", "threads", "gpu_layers", "kind"; if they are
    there and not empty also "batch" (tokens read at once), "logical_batch" (handed over at once), "adapters" (paths of LoRA
    files, loaded without being applied), "slot_save_path" (a folder), "cache_type_k" and "cache_type_v" (such as "q8_0"), "draft"
    (path of a draft model), "draft_max" (tokens), "spec_type" ("draft-simple" or a way by n-gram), "flash_attention" ("on",
    "off", "auto"). Raises OSError if the model's file is not there.
    """
    slots, layers = given["slots"], given["gpu_layers"]
    small = Path(given["model"]).stat().st_size < SMALL_BYTES
    found: dict[str, Any] = {
        "model": given["model"],
        "alias": given["alias"],
        "parallel": slots,
        "kv_unified": True,
        "context": given["context"] * (slots if small else 1),
        "threads": given["threads"],
        "threads_batch": given["threads"],
        "gpu_layers": layers,
        "fit": not small and layers != 0,
        "warmup": not small,
        # Slots are given out by the daemon, which also keeps what leaves them; llama.cpp's own cache would do it twice, in 8 GiB
        # of memory, and it does not know which adapter computed a prompt.
        "cache_ram_mib": 0,
        "cache_idle_slots": False,
        # One thread serves one connection until that closes; idle ones must not keep a request waiting.
        "threads_http": slots + 8,
        "slots_shown": False,
        "ui": False,
        "verbosity": WARNINGS,
    }
    if batch := given.get("batch"):
        found |= {"ubatch": batch, "batch": max(batch, given.get("logical_batch", 0), 64)}
    for name in (
        "slot_save_path",
        "cache_type_k",
        "cache_type_v",
        "draft",
        "draft_max",
        "spec_type",
        "flash_attention",
    ):
        if given.get(name):
            found[name] = given[name]
    if given.get("draft"):
        threads = given["threads"]
        found |= {"draft_threads": threads, "draft_threads_batch": threads, "draft_gpu_layers": layers}
    if adapters := given.get("adapters"):
        found |= {"adapters": list(adapters), "lora_unapplied": True}
    if given["kind"] != "chat":
        found |= _embedding(given["context"], slots)
    if given["kind"] == "rerank":
        found["pooling"] = "rank"  # the server's own rerank route asks for it by name, whatever the header says
    return found


def _embedding(context: int, slots: int) -> dict[str, Any]:
    """A text is read in one go, so a batch must hold the longest; the pooling is the one that the file's header names."""
    parallel = max(1, min(slots, EMBEDDING_TOKENS // context))
    batch = max(512, -(-context // STEP) * STEP)
    # A window for each slot, not one that all share: a slot's texts are then never longer than a batch.
    return {
        "embedding": True,
        "parallel": parallel,
        "kv_unified": False,
        "context": context * parallel,
        "batch": batch,
        "ubatch": batch,
    }


def flags(found: Mapping[str, Any]) -> list[str]:
    """The same as options of `llama-server`; raises KeyError for a name without one."""
    said: list[str] = []
    for name, value in found.items():
        if name == "fit":
            said += ["--fit", "on" if value else "off"]
        elif name == "adapters":
            said += [word for path in value for word in ("--lora", _row(path))]
        elif isinstance(option := OPTIONS[name], str):
            said += [option.removesuffix("="), str(value)]
        else:
            said += [word for word in (option[0] if value else option[1],) if word]
    return said


def _row(path: str) -> str:
    """llama-server reads this option as a row of comma-separated values: a path with a comma or a quote is quoted."""
    return '"' + path.replace('"', '""') + '"' if {*path} & {*',"'} else path


def settle(params: Any, found: Mapping[str, Any]) -> None:
    """Sets them on the wheel's CommonParams. Raises KeyError or ValueError for what it has no place for."""
    import xllamacpp

    for name, value in found.items():
        match name:
            case "alias":
                params.model_alias = {value}
            case "pooling":
                params.pooling_type = xllamacpp.llama_pooling_type[f"LLAMA_POOLING_TYPE_{value.upper()}"]
            case "cache_type_k" | "cache_type_v":
                setattr(params, name, xllamacpp.ggml_type[f"GGML_TYPE_{value.upper()}"])
            case "flash_attention":
                word = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}[value]
                params.flash_attn_type = xllamacpp.llama_flash_attn_type[f"LLAMA_FLASH_ATTN_TYPE_{word}"]
            case "adapters":
                params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 0.0) for path in value]
            case "slot_save_path":
                params.slot_save_path = value.rstrip(os.sep) + os.sep
            case "spec_type":
                kind = value.replace("-", "_").upper()
                params.speculative.types = [xllamacpp.common_speculative_type[f"COMMON_SPECULATIVE_TYPE_{kind}"]]
            case _:
                place, _, last = ATTRIBUTES[name].rpartition(".")
                owner = params
                for part in filter(None, place.split(".")):
                    owner = getattr(owner, part)
                setattr(owner, last, value)
