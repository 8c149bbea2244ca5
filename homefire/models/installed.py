"""What an installed model is: its files, its facts, what it can do, and how it is written into a row of the table `models`.

Promises: values and pure functions; nothing here reads a file or asks the store.
Does not cover: which models there are and who may change that (`library.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from homefire.errors import InvalidRequest
from homefire.models.gguf import Header
from homefire.paths import Digest, ModelName, Paths

FileRole = Literal["model", "mmproj", "tokenizer"]
PART = re.compile(r".+-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
# Architectures that read a text whole and give vectors (llama.cpp, llama-arch.cpp).
ENCODERS = frozenset(
    {"bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "modern-bert", "eurobert",
     "gemma-embedding", "t5encoder"}
)  # fmt: skip
RANK = 4  # llama.cpp's pooling type of a model that judges pairs of texts
NOTHING: Mapping[str, Any] = MappingProxyType({})
# What stands in an address where a model's name could stand: /homefire/v1/models/import.
RESERVED = frozenset({"import", "pull", "convert"})


def new_name(text: str) -> ModelName:
    """The name for a new model. Raises InvalidRequest if it is none, or the last part of a route."""
    if text in RESERVED:
        raise InvalidRequest(f"A model cannot be called '{text}': a route is called so.", param="name")
    return ModelName(text)


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a header is worth keeping. `kind`: "chat", "embedding", "rerank", "adapter", or "speech" for what is
    no GGUF file."""

    architecture: str
    parameters: int
    quantization: str
    context_length: int
    description: str
    kind: str = "chat"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: `name` as its source calls it, `path` where it lies (a blob, or in place), `digest` None only for
    the built-in model."""

    role: FileRole
    name: str
    digest: Digest | None
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Model:
    """An installed model. `source` is "built-in", "imported", "pulled", "converted", "quantized" or "linked"; `path` is what an
    engine opens: the first GGUF file, beside it the other parts of a split one; `size_bytes` of all files; `digest` of the first;
    `origin` the source as text, "" if there is none; `external`: the files belong to another program and are never removed;
    `added_at` in seconds since 1970."""

    name: ModelName
    source: str
    path: Path
    size_bytes: int
    facts: Facts
    digest: Digest | None = None
    files: tuple[ModelFile, ...] = ()
    origin: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    pinned: bool = False
    external: bool = False
    added_at: float = 0.0

    @property
    def digests(self) -> frozenset[Digest]:
        """The blobs it needs."""
        return frozenset(f.digest for f in self.files if f.digest is not None and not self.external)

    def file(self, role: FileRole) -> ModelFile | None:
        """Its first file of this role, such as the vision projector ("mmproj")."""
        return next((f for f in self.files if f.role == role), None)


def kind_of(architecture: str, keys: Mapping[str, Any] = NOTHING) -> str:
    """What a model is for, by its header's architecture and keys."""
    if keys.get("general.type") == "adapter":
        return "adapter"
    pooling = keys.get(f"{architecture}.pooling_type", 0)
    if pooling == RANK:
        return "rerank"
    return "embedding" if pooling or architecture in ENCODERS else "chat"


def facts_of(headers: Sequence[Header]) -> Facts:
    """The facts of a model from its file's header, or from those of all its parts."""
    first, largest = headers[0], max(headers, key=lambda h: h.parameters)
    return Facts(
        first.architecture, sum(h.parameters for h in headers), largest.quantization, first.context_length,
        first.description[:500], kind_of(first.architecture, first.keys),
    )  # fmt: skip


def part_names(files: Iterable[ModelFile]) -> dict[str, ModelFile]:
    """The parts of a split GGUF by the names under which llama.cpp finds them beside each other; empty if it is not split."""
    named = {f.name.rpartition("/")[2]: f for f in files if f.role == "model"}
    return named if len(named) > 1 and all(PART.fullmatch(name) for name in named) else {}


def to_row(model: Model) -> tuple[Any, ...]:
    """The model as a row of the table, columns in the order of `COLUMNS`."""
    files = [
        {"role": f.role, "name": f.name, "digest": f.digest, "size_bytes": f.size_bytes}
        | ({"path": str(f.path)} if model.external else {})
        for f in model.files
    ]
    return (
        model.name, model.digest, model.size_bytes, json.dumps(asdict(model.facts)), model.added_at, model.source,
        model.origin, json.dumps(files), json.dumps(dict(model.provenance)), int(model.pinned), int(model.external),
    )  # fmt: skip


COLUMNS = "name, digest, size_bytes, facts, added_at, source, origin, files, provenance, pinned, external"


def from_row(row: Sequence[Any], paths: Paths) -> Model:
    """The model that a row describes; its `path` is that of its first file (see `Library` for split ones)."""
    name, digest, size, facts, added, source, origin, files, provenance, pinned, external = row
    known = json.loads(facts)
    known.setdefault("kind", kind_of(known["architecture"]))  # rows of before migration 5 do not say it

    def file(entry: dict[str, Any]) -> ModelFile:
        found = Digest(entry["digest"])
        path = Path(entry["path"]) if external else paths.blob(found)
        return ModelFile(entry["role"], entry["name"], found, path, entry["size_bytes"])

    alone = [{"role": "model", "name": f"{name}.gguf", "digest": digest, "size_bytes": size}]
    own = tuple(file(entry) for entry in json.loads(files) or alone)
    return Model(
        ModelName(name), source, own[0].path, size, Facts(**known), Digest(digest), own, origin, json.loads(provenance),
        bool(pinned), bool(external), added,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes that the blobs of all models take, each counted once; how many models use them; the quota, 0 for none."""

    used_bytes: int
    models: int
    quota_bytes: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What re-reading found: names of the files that are missing or changed, and how many bytes were read."""

    bad: tuple[str, ...] = ()
    bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether every file is what it was."""
        return not self.bad
