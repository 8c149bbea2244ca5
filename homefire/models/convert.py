"""From a folder of safetensors, as the transformers library lays it out, to one GGUF file, in a child process.

The folder holds config.json, model.safetensors (or model.safetensors.index.json and its parts), tokenizer.json, and mostly
tokenizer_config.json; sentence-transformers adds 1_Pooling/config.json.
Promises: the file appears whole or not at all; the same folder gives the same bytes; matrices in the type asked for, vectors,
norms and positions in F32; what is not understood is refused, never guessed; pickled weights are never opened.
Does not cover: architectures beyond `families`, tokenizers beyond `vocabulary`, quantization (`quantize`).
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from homefire.errors import BadModelFile, InvalidRequest, UnsupportedModel
from homefire.models import families, gguf_writer, vocabulary
from homefire.models.gguf_writer import Tensor, Value, text, u32
from homefire.models.kernels import FLOATS
from homefire.models.quantize import require_room
from homefire.models.safetensors import refuse_pickle
from homefire.models.task import Progress, run
from homefire.paths import Digest

FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}
# Small matrices that llama.cpp wants in F32 (gguf-py writes them so).
_ALWAYS_F32 = ("position_embd.weight", "token_types.weight")
# sentence-transformers' flag -> llama.cpp's pooling type.
_POOLING = {"pooling_mode_mean_tokens": 1, "pooling_mode_cls_token": 2, "pooling_mode_lasttoken": 3}
# What is read beside the weights, where it is there.
_BESIDE = ("config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
           "modules.json", "1_Pooling/config.json")  # fmt: skip
MAX_JSON = 64 << 20


class TensorFile(Protocol):
    """Weights that can be read by name."""

    def names(self) -> list[str]:
        """Every tensor's name."""

    def info(self, name: str) -> tuple[str, tuple[int, ...]]:
        """Type (`F16`, `BF16`, `F32`, ...) and shape, the number of rows first."""

    def read(self, name: str, start: int, size: int) -> bytes:
        """`size` bytes of the tensor from its byte `start`."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What came out: size in bytes, architecture, tensors, and the sha256 of the weights it came from."""

    size: int
    architecture: str
    tensors: int
    source_sha256: Digest


@dataclass(frozen=True, slots=True)
class Job:
    """A tensor to be written: whence (None: `given` holds it), in which type, and over how many heads its rows are turned."""

    tensor: Tensor
    source: str | None
    heads: int = 0
    given: bytes = b""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is written, in order."""

    architecture: str
    keys: dict[str, Value]
    jobs: list[Job]


async def convert(
    folder: Path,
    target: Path,
    kind: str = "F16",
    *,
    name: str = "",
    progress: Progress | None = None,
    walls: bool = False,
) -> Converted:
    """Makes the GGUF file `target`; `kind` is F16, BF16 or F32; `name` is what the model calls itself (default: the folder's);
    `walls`: behind the sandbox's.

    Raises InvalidRequest, BadModelFile, PickleRefused, UnsupportedModel, DiskFull, HomeNotWritable, KernelsMissing, TaskDied.
    Cancelling it ends the child; no file is left then, nor after an error.
    """
    if kind not in FILE_TYPES:
        raise InvalidRequest(f"'{kind[:40]}' is not a type of weights.", "Choose F16, BF16 or F32.", param="kind")
    folder = folder.absolute()
    files = await asyncio.to_thread(weight_files, folder)
    size = sum(file.stat().st_size for file in files)
    require_room(target.parent, 2 * size if kind == "F32" else size)
    arguments = {"folder": str(folder), "kind": kind, "name": name or folder.name}
    found = await run(
        "homefire.models.convert_child", arguments, target, progress, readable=_needed(folder, files) if walls else None
    )
    return Converted(found["size"], found["architecture"], found["tensors"], Digest(found["source_sha256"]))


def _needed(folder: Path, weights: list[Path]) -> list[Path]:
    """All that is read of a folder. One by one: a cache of downloads holds links to files elsewhere."""
    return [*weights, *(place for name in _BESIDE if (place := folder / name).is_file())]


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, in the order of their names. Raises InvalidRequest, BadModelFile, PickleRefused."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        parts = read_json(index).get("weight_map")
        names = sorted({str(part) for part in parts.values()}) if isinstance(parts, dict) else []
        for part in names:
            if Path(part).name != part or not part.endswith(".safetensors"):
                raise BadModelFile(f"{index.name} names a file outside its folder, or of another kind: '{part[:80]}'.")
    else:
        names = ["model.safetensors"]
    files = [folder / part for part in names]
    if files and all(file.is_file() for file in files):
        return files
    for other in sorted(folder.iterdir()) if folder.is_dir() else []:
        refuse_pickle(other.name)
    raise InvalidRequest(f"{folder} does not hold all of a model's safetensors files.", param="folder")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises BadModelFile, InvalidRequest if it cannot be read."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise BadModelFile(f"{path.name} is larger than {MAX_JSON >> 20} MiB.")
        found = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem.strerror}.", param="folder") from None
    except (ValueError, RecursionError):
        raise BadModelFile(f"{path.name} is not JSON.") from None
    if not isinstance(found, dict):
        raise BadModelFile(f"{path.name} is not a JSON object.")
    return found


def plan(folder: Path, weights: TensorFile, kind: str, name: str) -> Plan:
    """What will be written. Raises BadModelFile, UnsupportedModel, InvalidRequest."""
    config = read_json(folder / "config.json")
    try:
        family, shape = families.family_of(config), families.shape_of(config)
        jobs = _jobs(family, shape, config, weights, kind)
        found = {
            "general.architecture": text(family.name),
            "general.type": text("model"),
            "general.name": text(name),
            "general.file_type": u32(FILE_TYPES[kind]),
            "general.quantization_version": u32(2),
            **families.keys(family, shape, config),
            **_pooling(family, folder),
            **vocabulary.keys(_tokenizer_files(folder, config), shape.tokens),
        }
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, struct.error) as problem:
        raise BadModelFile(f"The model's files do not make sense: {type(problem).__name__}: {problem}.") from None
    return Plan(family.name, found, jobs)


def _jobs(
    family: families.Family, shape: families.Shape, config: Mapping[str, Any], weights: TensorFile, kind: str
) -> list[Job]:
    tied = bool(config.get("tie_word_embeddings", family.name == "bert"))
    needed, optional = families.shapes(family, shape, tied)
    known = needed | optional
    jobs: dict[str, Job] = {}
    for source in weights.names():
        name = families.new_name(family, source)
        if name is None or (name == "output.weight" and tied):
            continue
        given, rows = weights.info(source)
        if known.get(name) != tuple(rows):
            raise BadModelFile(f"'{source}' has the shape {tuple(rows)} and should have {known.get(name)}.")
        if given not in FLOATS:
            raise UnsupportedModel(f"'{source}' has the type {given}; F16, BF16 and F32 can be converted.")
        heads = {"attn_q": shape.heads, "attn_k": shape.key_heads}.get(name.split(".")[-2], 0) if family.turned else 0
        plain = len(rows) == 1 or name in _ALWAYS_F32
        jobs[name] = Job(Tensor(name, tuple(reversed(rows)), "F32" if plain else kind), source, heads)
    if missing := [name for name in needed if name not in jobs]:
        raise BadModelFile(f"{len(missing)} tensors are missing, such as '{missing[0]}'.")
    if (factors := families.rope_factors(shape, config)) is not None:
        jobs["rope_freqs.weight"] = Job(Tensor("rope_freqs.weight", (len(factors) // 4,), "F32"), None, given=factors)
    # By layer and name, so that the order of the source, which has none, changes nothing.
    return [jobs[name] for name in sorted(jobs, key=_place)]


def _place(name: str) -> tuple[int, str]:
    parts = name.split(".")
    return (int(parts[1]), name) if parts[0] == "blk" else (-1, name)


def _pooling(family: families.Family, folder: Path) -> dict[str, Value]:
    """How the vectors of a text's tokens become one: as sentence-transformers says, else the mean for BERT."""
    settings, modules = folder / "1_Pooling" / "config.json", folder / "modules.json"
    if modules.is_file() and "sentence_transformers.models.Dense" in modules.read_text("utf-8"):
        raise UnsupportedModel("It has a dense layer after the pooling.")
    if settings.is_file():
        said = read_json(settings)
        modes = [flag for flag, on in said.items() if flag.startswith("pooling_mode_") and on is True]
        if len(modes) != 1 or modes[0] not in _POOLING:
            raise UnsupportedModel(f"Its way of pooling is not known here: {', '.join(modes)[:200]}.")
        return {f"{family.name}.pooling_type": u32(_POOLING[modes[0]])}
    return {f"{family.name}.pooling_type": u32(1)} if family.name == "bert" else {}


def _tokenizer_files(folder: Path, config: Mapping[str, Any]) -> vocabulary.Files:
    settings, template = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    return vocabulary.Files(
        read_json(folder / "tokenizer.json"),
        read_json(settings) if settings.is_file() else {},
        config,
        template.read_text("utf-8") if template.is_file() else "",
    )


def expected_size(made: Plan) -> int:
    """The size in bytes of the file that a plan makes, but for the keys of its provenance."""
    return gguf_writer.total_size(made.keys, [job.tensor for job in made.jobs])
