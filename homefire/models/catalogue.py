"""The catalogue: which models Homefire knows before any is here, and what each would take.

A TOML file in the package, one `[[model]]` a row. From a row's dimensions the table of tensors is built that a GGUF of it would
hold, with the types that the quantization's recipe gives them: `Entry.header` is what `fit` and `speed` ask before a download.
Promises: read once and checked whole: a row that makes no sense is an error that names the row and the field; no network.
A sha256 that is not known here is "": the first pull records it and later ones are held against it (trust on first use).
Does not cover: what is installed (`library`), fetching, how well a model answers, parts for vision and sound beside the text.
"""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from homefire.errors import HomefireError, InternalError, InvalidRequest, UnknownModel
from homefire.models import recipes
from homefire.models.gguf import TENSOR_TYPES, Header, Tensor
from homefire.models.gguf_writer import Tensor as Planned
from homefire.models.sources import Source, parse

FILE = Path(__file__).with_name("catalogue.toml")
CAPABILITIES = ("chat", "code", "vision", "tools", "embedding", "rerank", "speech")
SAMPLING = {"temperature": (0.0, 2.0), "top_p": (0.0, 1.0), "min_p": (0.0, 1.0), "top_k": (0, 1000)}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}|")
_BLOCKS = {name: (block, size) for name, block, size in TENSOR_TYPES.values()}
# Bits a weight of what has no recipe here and no dimensions; only sizes that are shown to a person stand on it.
_BITS = {"Q8_0": 8.5, "Q6_K": 6.6, "Q5_K_M": 5.7, "Q4_K_M": 4.85, "Q4_0": 4.6, "IQ4_XS": 4.4, "I2_S": 2.1, "F16": 16.0,
         "BF16": 16.0, "F32": 32.0, "TQ1_0": 1.8, "TQ2_0": 2.2}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The numbers of config.json. `head`: elements of one head; `hidden`: of the feed-forward part; `tied`: the output is the
    input's table; `gated`: the feed-forward part has a gate; `window` of sliding layers, 0 if there are none."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    hidden: int
    vocabulary: int
    tied: bool = False
    gated: bool = True
    window: int = 0
    experts: int = 0
    experts_used: int = 0
    expert_hidden: int = 0

    @property
    def encoder(self) -> bool:
        """Whether it is of BERT's kind: no gate, no output matrix, a table of positions."""
        return self.architecture == "bert"

    def tensors(self, context: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every tensor but the biases, with its shape (ggml's order: the length of a row first)."""
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        yield "token_embd.weight", (self.width, self.vocabulary)
        if self.encoder:
            yield "position_embd.weight", (self.width, context)
            yield "token_embd_norm.weight", (self.width,)
        else:
            yield "output_norm.weight", (self.width,)
            if not self.tied:
                yield "output.weight", (self.width, self.vocabulary)
        for layer in range(self.layers):
            b = f"blk.{layer}."
            yield b + ("attn_output_norm.weight" if self.encoder else "attn_norm.weight"), (self.width,)
            if self.architecture == "phi3":  # one matrix for queries, keys and values, one for both halves of the gate
                yield b + "attn_qkv.weight", (self.width, queries + 2 * keys)
            else:
                yield b + "attn_q.weight", (self.width, queries)
                yield b + "attn_k.weight", (self.width, keys)
                yield b + "attn_v.weight", (self.width, keys)
            yield b + "attn_output.weight", (queries, self.width)
            yield b + ("layer_output_norm.weight" if self.encoder else "ffn_norm.weight"), (self.width,)
            yield from self._feed_forward(b)

    def _feed_forward(self, b: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        if self.experts:
            yield b + "ffn_gate_inp.weight", (self.width, self.experts)
            yield b + "ffn_gate_exps.weight", (self.width, self.expert_hidden, self.experts)
            yield b + "ffn_up_exps.weight", (self.width, self.expert_hidden, self.experts)
            yield b + "ffn_down_exps.weight", (self.expert_hidden, self.width, self.experts)
            return
        if self.gated and not self.encoder and self.architecture != "phi3":
            yield b + "ffn_gate.weight", (self.width, self.hidden)
        yield b + "ffn_up.weight", (self.width, self.hidden * (2 if self.architecture == "phi3" else 1))
        yield b + "ffn_down.weight", (self.hidden, self.width)

    def keys(self, context: int) -> dict[str, Any]:
        """The keys of a GGUF header."""
        named: dict[str, Any] = {
            "block_count": self.layers, "embedding_length": self.width, "feed_forward_length": self.hidden,
            "context_length": context, "vocab_size": self.vocabulary, "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads, "attention.key_length": self.head,
            "attention.value_length": self.head,
        }  # fmt: skip
        if self.window:
            named["attention.sliding_window"] = self.window
        if self.experts:
            named |= {"expert_count": self.experts, "expert_used_count": self.experts_used,
                      "expert_feed_forward_length": self.expert_hidden}  # fmt: skip
        return {"general.architecture": self.architecture} | {
            f"{self.architecture}.{name}": value for name, value in named.items()
        }


@dataclass(frozen=True, slots=True)
class Offer:
    """Where one quantization is to be had. `size_bytes` 0: not known; `sha256` "": recorded at the first pull; `refused`: why it
    cannot run here; `beside`: further sources that belong to it."""

    quantization: str
    source: Source
    size_bytes: int = 0
    sha256: str = ""
    unchecked: bool = False
    refused: str = ""
    beside: tuple[Source, ...] = ()

    @property
    def needs_hub(self) -> bool:
        """Whether a model hub must be reached (a package index is not one)."""
        return any(source.kind in ("hf", "https", "ollama") for source in (self.source, *self.beside))


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. Parameters are counts; `active`: those that one token uses; `context` in tokens, 0 where it means nothing;
    `proposed`: setup may propose it; `unchecked`: its facts are doubtful."""

    name: str
    family: str
    parameters: int
    active: int
    licence: str
    languages: tuple[str, ...]
    capabilities: tuple[str, ...]
    context: int
    offers: tuple[Offer, ...]
    sampling: Mapping[str, float]
    dimensions: Dimensions | None = None
    built_in: bool = False
    proposed: bool = False
    unchecked: bool = False
    note: str = ""

    @property
    def needs_hub(self) -> bool:
        """Whether it cannot be had without a model hub."""
        return not self.built_in and all(offer.needs_hub for offer in self.offers)

    def offer(self, quantization: str = "") -> Offer:
        """The offer of this quantization, or the first that runs. Raises InvalidRequest."""
        for offer in self.offers:
            if offer.quantization == quantization or (not quantization and not offer.refused):
                return offer
        kinds = ", ".join(dict.fromkeys(offer.quantization for offer in self.offers)) or "none: it is built in"
        raise InvalidRequest(f"{self.name} is not offered as '{quantization[:40]}'.", f"Offered: {kinds}.")

    def header(self, quantization: str) -> Header:
        """The header that a GGUF of it would have, tensors and types as llama-quantize gives them, without the tokenizer.

        Raises InvalidRequest where the row has no dimensions or the quantization is none that can be computed.
        """
        body = self.dimensions
        if body is None:
            raise InvalidRequest(f"The catalogue does not know the dimensions of {self.name}.", param="model")
        table = _table(body, self.context, quantization)
        count = sum(math.prod(tensor.shape) for tensor in table)
        return Header(
            3, body.architecture, count, quantization, self.context, len(table), body.keys(self.context), table
        )

    def size(self, quantization: str) -> int:
        """Bytes of the weights: what the row says, else what the dimensions give, else parameters times the usual bits."""
        for offer in self.offers:
            if offer.quantization == quantization and offer.size_bytes:
                return offer.size_bytes
        try:
            return sum(tensor.size_bytes for tensor in self.header(quantization).table)
        except InvalidRequest:
            return int(self.parameters * _BITS.get(quantization, 8.5) / 8)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All rows, in the file's order."""

    entries: tuple[Entry, ...]

    def get(self, name: str) -> Entry:
        """The row of this name. Raises UnknownModel, with near names where there are any."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        near = [entry.name for entry in self.search(name)][:5]
        step = f"Did you mean: {', '.join(near)}?" if near else "See what is known with: homefire models search"
        raise UnknownModel(f"The catalogue has no model named '{name[:128]}'.", step, param="model")

    def search(self, text: str = "", capability: str = "") -> tuple[Entry, ...]:
        """The rows that have every word of the text in name, family, languages, licence, capabilities or note; those with all
        words in the name first. Raises InvalidRequest for a capability that there is not."""
        if capability and capability not in CAPABILITIES:
            raise InvalidRequest(
                f"'{capability[:40]}' is no capability.", f"Use one of: {', '.join(CAPABILITIES)}.", param="capability"
            )
        words = text.casefold().split()
        found = [
            (not all(word in entry.name for word in words), place, entry)
            for place, entry in enumerate(self.entries)
            if (not capability or capability in entry.capabilities) and all(word in _prose(entry) for word in words)
        ]
        return tuple(entry for *_, entry in sorted(found, key=lambda row: row[:2]))


@functools.cache
def load() -> Catalogue:
    """The package's own catalogue, read at the first call. Raises InternalError if the file is not sound."""
    return read(FILE.read_text("utf-8"))


def read(text: str) -> Catalogue:
    """The catalogue in a TOML text. Pure. Raises InternalError that names the row and what is wrong with it."""
    try:
        rows = tomllib.loads(text).get("model", [])
    except tomllib.TOMLDecodeError as problem:
        raise InternalError(f"The catalogue of models is not TOML: {problem}.") from None
    if not isinstance(rows, list) or not rows:
        raise InternalError("The catalogue of models has no [[model]].")
    entries = [_entry(place, row) for place, row in enumerate(rows, 1)]
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise InternalError(f"The catalogue has the model '{entry.name}' twice.")
        seen.add(entry.name)
    return Catalogue(tuple(entries))


class _Row:
    """A table of the TOML file; each field is taken once, and what is left over is a fault."""

    def __init__(self, what: str, table: Any) -> None:
        self.what = what
        if not isinstance(table, dict):
            self.refuse("it is not a table")
        self._left = dict(table)

    def refuse(self, why: str) -> NoReturn:
        raise InternalError(f"The catalogue is not sound: {self.what}: {why}.")

    def take(self, name: str, kind: type, otherwise: Any = None) -> Any:
        value: Any = self._left.pop(name, otherwise)
        whole = isinstance(value, bool) and kind is not bool  # to Python True is a 1
        negative = isinstance(value, int) and value < 0
        if value is None or whole or negative or not isinstance(value, kind):
            self.refuse(f"'{name}' is {'missing' if value is None else repr(value)[:60]}, not a sound {kind.__name__}")
        return value

    def texts(self, name: str, otherwise: Any = None) -> tuple[str, ...]:
        values = self.take(name, list, otherwise)
        if not all(isinstance(value, str) and value for value in values) or len({*values}) < len(values):
            self.refuse(f"'{name}' is not a list of different texts")
        return tuple(values)

    def done(self) -> None:
        if self._left:
            self.refuse(f"unknown fields: {', '.join(self._left)}")


def _entry(place: int, table: Any) -> Entry:
    named = table.get("name") if isinstance(table, dict) else None
    row = _Row(f"model {place} ({named})", table)
    name = row.take("name", str)
    if not _NAME.fullmatch(name):
        row.refuse("its name is not made of small letters, digits, points and hyphens")
    counts = _Row(f"{row.what}, parameters", row.take("parameters", dict))
    total, active = counts.take("total", int), counts.take("active", int)
    counts.done()
    if not 0 < active <= total:
        row.refuse(f"{active} of {total} parameters cannot be active")
    capabilities = row.texts("capabilities")
    if not capabilities or {*capabilities} - {*CAPABILITIES}:
        row.refuse(f"its capabilities are not of {', '.join(CAPABILITIES)}")
    body = row.take("dimensions", dict, {})
    entry = Entry(
        name, row.take("family", str), total, active, row.take("licence", str), row.texts("languages"), capabilities,
        row.take("context", int), tuple(_offers(row)), _sampling(row),
        _dimensions(f"{row.what}, dimensions", body) if body else None,
        row.take("built_in", bool, False), row.take("proposed", bool, False), row.take("unchecked", bool, False),
        row.take("note", str, ""),
    )  # fmt: skip
    row.done()
    if not entry.offers and not entry.built_in:
        row.refuse("it has no source")
    return entry


def _offers(row: _Row) -> Iterator[Offer]:
    for place, table in enumerate(row.take("sources", list, []), 1):
        one = _Row(f"{row.what}, source {place}", table)
        digest, written = one.take("sha256", str, ""), one.take("source", str)
        if not _DIGEST.fullmatch(digest):
            one.refuse("its sha256 is not 64 small hexadecimal digits")
        try:
            source, beside = parse(written), tuple(parse(text) for text in one.texts("beside", []))
        except HomefireError as problem:
            raise InternalError(f"The catalogue is not sound: {one.what}: {problem.message}") from None
        yield Offer(
            one.take("quantization", str), source, one.take("size_bytes", int, 0), digest,
            one.take("unchecked", bool, False), one.take("refused", str, ""), beside,
        )  # fmt: skip
        one.done()


def _sampling(row: _Row) -> Mapping[str, float]:
    given = row.take("sampling", dict, {})
    for name, value in given.items():
        low, high = SAMPLING.get(name, (1, 0))
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            row.refuse(f"sampling '{name}' is {value!r}")
    return MappingProxyType(given)


def _dimensions(what: str, table: Any) -> Dimensions:
    row = _Row(what, table)
    kinds = {"str": str, "int": int, "bool": bool}
    values = {
        each.name: row.take(each.name, kinds[str(each.type)], None if place < 8 else each.default)
        for place, each in enumerate(fields(Dimensions))
    }
    row.done()
    body = Dimensions(**values)
    if min(body.layers, body.width, body.heads, body.kv_heads, body.head, body.hidden, body.vocabulary) < 1:
        row.refuse("a number is 0")
    if body.heads % body.kv_heads:
        row.refuse(f"{body.heads} heads do not share {body.kv_heads} key heads evenly")
    if bool(body.experts) != bool(body.expert_hidden) or not bool(body.experts) <= body.experts_used <= body.experts:
        row.refuse("its experts do not agree with each other")
    return body


@functools.lru_cache(maxsize=256)
def _table(body: Dimensions, context: int, quantization: str) -> tuple[Tensor, ...]:
    plain = [Planned(name, shape, "F16") for name, shape in body.tensors(context)]
    if quantization in ("F32", "F16", "BF16"):
        chosen = [Planned(t.name, t.shape, quantization) for t in plain]
    else:
        facts = recipes.Facts(body.layers, body.heads, body.kv_heads, body.experts, body.architecture)
        chosen = recipes.plan(recipes.find(quantization), facts, plain)
    return tuple(_tensor(t.name, t.shape, t.kind if recipes.quantizable(t) else "F32") for t in chosen)


def _tensor(name: str, shape: tuple[int, ...], kind: str) -> Tensor:
    block, size = _BLOCKS[kind]
    return Tensor(name, shape, kind, math.prod(shape) // block * size)


def _prose(entry: Entry) -> str:
    parts = (entry.name, entry.family, entry.licence, *entry.languages, *entry.capabilities, entry.note)
    return " ".join(parts).casefold()
