"""LoRA adapters: what makes a file one, which model it fits, and how a request names it.

    BASE+ADAPTER     BASE+ADAPTER:0.5     BASE+ONE+OTHER:-1        a scale is from -8 to 8, and 1 if none is given

An adapter belongs to one installed model, its base: the one that is named when it is imported, or the only one that it fits.
Promises: llama.cpp never gets an adapter whose header was not held against its base's: kind, architecture, names and shapes of
all tensors; a base of another content under the same name does not get it. Raises one clear error for each thing that is wrong.
Does not cover: running them (`engines/`), making them (`learning/` brings its own in by `Workshop.bring`, with `base`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homefire.errors import AdapterMismatch, InvalidRequest, UnknownModel, UnsupportedModel, WrongModelKind
from homefire.models.gguf import Header, Tensor, read_header
from homefire.models.installed import Model
from homefire.models.library import Library
from homefire.paths import base_of

KIND = "adapter"
SCALES = 8.0
MAX_RANK = 1 << 16
# Types that ggml multiplies with on every device; on others it ends the process, at the first request.
TYPES = frozenset({"F32", "F16", "BF16", "Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1"})
_A, _B = ".lora_a", ".lora_b"


@dataclass(frozen=True, slots=True)
class Adapted:
    """A base with adapters, each with its scale, as a request names them."""

    base: str
    adapters: tuple[tuple[Model, float], ...]

    @property
    def worker(self) -> str:
        """The name of an engine of its own for them, whatever their order and scales."""
        return "+".join((self.base, *sorted(model.name for model, _ in self.adapters)))

    @property
    def asked(self) -> tuple[tuple[str, float], ...]:
        """As requests carry them: the sha256 of each file, and its scale."""
        return tuple((str(model.digest), scale) for model, scale in self.adapters)


class Adapters:
    """The adapters of a library; it keeps nothing itself."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def of(self, base: str) -> list[Model]:
        """All adapters of a model, oldest first."""
        model = next((each for each in self._library.all() if each.name == base), None)
        return [] if model is None else [each for each in self._library.all() if _belongs(each, model)]

    def of_engine(self, name: str) -> list[Model]:
        """The adapters that the engine of this name is started with: a model's all, a side worker's own."""
        base, _, named = name.partition("+")
        wanted = named.split("+") if named else []
        return [each for each in self.of(base_of(base)) if not wanted or each.name in wanted]

    def names(self) -> list[tuple[str, int]]:
        """What can be asked for: each base with each of its adapters, and its context window in tokens."""
        return [
            (f"{base.name}+{each.name}", base.facts.context_length)
            for base in self._library.all()
            if base.facts.kind == "chat"
            for each in self.of(base.name)
        ]

    def read(self, name: str) -> Adapted | None:
        """What `name` asks for; None if it names no adapter.

        Raises UnknownModel (the base, or an adapter), WrongModelKind (what stands after + is none), AdapterMismatch (of another
        base), InvalidRequest (a scale).
        """
        base_name, plus, rest = name.partition("+")
        if not plus:
            return None
        base = self._library.get(base_name)
        found: dict[str, tuple[Model, float]] = {}
        for part in rest.split("+"):
            model, scale = self._one(base, part)
            if model.name in found:
                raise InvalidRequest(f"The adapter '{model.name}' is named twice.", param="model")
            found[model.name] = (model, scale)
        return Adapted(str(base.name), tuple(found.values()))

    def _one(self, base: Model, text: str) -> tuple[Model, float]:
        here = {str(model.name): model for model in self._library.all()}
        name, colon, scale = (text, "", "1") if text in here else text.rpartition(":")
        if not colon and text not in here:
            name = text
        if name not in here:
            known = ", ".join(each.name for each in self.of(base.name)) or "none"
            raise UnknownModel(
                f"There is no adapter named '{name[:128]}' here; '{base.name}' has: {known}.",
                "Bring one in with: homefire models import ADAPTER.gguf --base NAME",
                param="model",
            )
        model = here[name]
        if model.facts.kind != KIND:
            raise WrongModelKind(
                f"'{name}' is a model of the kind '{model.facts.kind}', not an adapter.",
                "After '+' comes the name of an adapter; see kinds with: homefire models list --json",
                param="model",
            )
        if not _belongs(model, base):
            raise AdapterMismatch(_foreign(model, base), param="model")
        return model, read_scale(scale)

    def find_base(self, header: Header, wanted: str) -> Model:
        """The base of an adapter whose header this is: `wanted`, or the only installed model that it fits. Blocks.

        Raises UnknownModel, AdapterMismatch, InvalidRequest (several fit), UnsupportedModel.
        """
        require_sound(header)
        if wanted:
            model = self._library.get(wanted)
            if why := self._misfit(header, model):
                raise AdapterMismatch(f"The adapter does not fit '{wanted}': {why}.", param="base")
            return model
        chats = [model for model in self._library.all() if model.facts.kind == "chat"]
        fitting = [model for model in chats if not self._misfit(header, model)]
        if not fitting:
            raise AdapterMismatch(
                f"No installed model fits the adapter (architecture '{header.architecture[:40]}').", param="base"
            )
        if len(fitting) > 1:
            raise InvalidRequest(
                f"The adapter fits several models: {', '.join(model.name for model in fitting)[:500]}.",
                "Name the one that it was made for: homefire models import FILE --base NAME", param="base",
            )  # fmt: skip
        return fitting[0]

    def _misfit(self, header: Header, model: Model) -> str:
        if model.facts.kind != "chat":
            return f"it is a model of the kind '{model.facts.kind}', which takes no adapters"
        if model.facts.architecture != header.architecture:
            return f"it is for '{header.architecture[:40]}', the model is a '{model.facts.architecture}'"
        return misfit(header, [read_header(file.path) for file in model.files if file.role == "model"])


# -- pure


def is_adapter(keys: Mapping[str, Any]) -> bool:
    """Whether a header with these keys is an adapter's."""
    return keys.get("general.type") == KIND


def belonging(base: Model) -> dict[str, Any]:
    """What an adapter's provenance says about its base. The built-in model has no digest."""
    return {"base": str(base.name), "base_sha256": str(base.digest or "")}


def read_scale(text: str) -> float:
    """A scale. Raises InvalidRequest unless it is a number from -8 to 8."""
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not -SCALES <= scale <= SCALES or "_" in text:
        raise InvalidRequest(
            f"'{text[:40]}' is no scale of an adapter.", f"Give a number from -{SCALES:g} to {SCALES:g}.", param="model"
        )
    return scale


def workers_of(names: Iterable[str], model: str) -> list[str]:
    """Those of these engines' names that are side workers with this base or adapter."""
    return [name for name in names if "+" in name and model in name.split("+")]


def require_sound(header: Header) -> None:
    """Raises UnsupportedModel for a kind of adapter that is not run here, AdapterMismatch for one that is none."""
    kind = header.keys.get("adapter.type")
    if kind != "lora":
        raise UnsupportedModel(f"It is an adapter of the type '{str(kind)[:40]}'; only LoRA is known.")
    if any(key.startswith("adapter.alora.") for key in header.keys):
        raise UnsupportedModel("It is an activated LoRA, which begins in the middle of a prompt; that is not run here.")
    alpha = header.keys.get("adapter.lora.alpha", 0.0)
    # llama.cpp asserts the type of this key and ends the process.
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        raise AdapterMismatch("Its 'adapter.lora.alpha' is no number.")


def misfit(header: Header, base: Sequence[Header]) -> str:
    """Why an adapter does not fit a model with these headers; "" if it does. Shapes count as ggml does, the row first."""
    if header.architecture != base[0].architecture:
        return f"it is for '{header.architecture[:40]}', the model is a '{base[0].architecture[:40]}'"
    there = {tensor.name: tensor for each in base for tensor in each.table}
    halves = {tensor.name: tensor for tensor in header.table if not tensor.name.endswith("_norm.weight")}
    stems = {name.removesuffix(_A).removesuffix(_B) for name in halves}
    if not stems:
        return "it changes no matrix"
    for stem in sorted(stems):
        a, b = halves.get(stem + _A), halves.get(stem + _B)
        if a is None or b is None:
            return f"'{stem[:80]}' is no pair of lora_a and lora_b"
        if stem not in there:
            return f"the model has no tensor '{stem[:80]}'"
        if why := _shapes(stem, a, b, there[stem]):
            return why
    return ""


def _shapes(stem: str, a: Tensor, b: Tensor, whole: Tensor) -> str:
    if strange := {a.kind, b.kind} - TYPES:
        return f"'{stem[:80]}' is kept as {', '.join(sorted(strange))}"
    if len({len(a.shape), len(b.shape), len(whole.shape)}) != 1 or len(whole.shape) < 2:
        return f"'{stem[:80]}' has another number of dimensions"
    if stem.startswith("token_embd."):  # rows are looked up in it: its first part is the other way round
        outer, ranks = (b.shape[1], a.shape[1]), (a.shape[0], b.shape[0])
    else:
        outer, ranks = (a.shape[0], b.shape[1]), (a.shape[1], b.shape[0])
    if outer != whole.shape[:2] or not a.shape[2:] == b.shape[2:] == whole.shape[2:]:
        return f"'{stem[:80]}' has {outer[0]} x {outer[1]} where the model has {whole.shape[0]} x {whole.shape[1]}"
    if ranks[0] != ranks[1] or not 0 < ranks[0] <= MAX_RANK:
        return f"the two parts of '{stem[:80]}' have the ranks {ranks[0]} and {ranks[1]}"
    return ""


def _belongs(adapter: Model, base: Model) -> bool:
    if adapter.facts.kind != KIND:
        return False
    known = {name: adapter.provenance.get(name) for name in ("base", "base_sha256")}
    return known == belonging(base)


def _foreign(adapter: Model, base: Model) -> str:
    own = adapter.provenance.get("base")
    if own == base.name:
        return f"The adapter '{adapter.name}' was made for another file of '{base.name}' than the one that is here."
    return f"The adapter '{adapter.name}' belongs to '{own}', not to '{base.name}'." if own else (
        f"The adapter '{adapter.name}' came without a base."
    )  # fmt: skip
