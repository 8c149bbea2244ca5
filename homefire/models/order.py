"""What a request to pull means: a name of the catalogue or a source, a quantization, a name to keep it under.

Promises: pure; every text that cannot be understood is refused before anything is asked of a network, with near names where there
are any; the same request always has the same default name.
Does not cover: where the files are (`sources.py`, `wheels.py`), bringing them (`delivery.py`).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from homefire.errors import InvalidRequest, ModelExists, UnknownModel, UnsupportedModel
from homefire.models import recipes
from homefire.models.catalogue import Catalogue, Entry, Offer
from homefire.models.convert import FILE_TYPES
from homefire.models.installed import new_name
from homefire.models.sources import Source, parse, quant_of, shown, web_name
from homefire.paths import Digest, ModelName


@dataclass(frozen=True, slots=True)
class Order:
    """What is to become of a source. `recipe`: the type wanted of weights that are converted or quantized here, "" for none;
    `sha256` of the weights, "" if not known; `beside`: single files that go with them; `entry` of the catalogue, if it is one."""

    name: ModelName
    source: Source
    recipe: str = ""
    sha256: str = ""
    beside: tuple[Source, ...] = ()
    entry: Entry | None = None

    @property
    def origin(self) -> str:
        """The source as text, without what may be secret in it."""
        return shown(str(self.source))

    @property
    def title(self) -> str:
        """What a model that is made of it calls itself: the same whatever it is called here, so that its bytes are the same."""
        return self.entry.name if self.entry else default_name(replace(self.source, pick=""))

    @property
    def speech(self) -> bool:
        """Whether its files are kept as they are: those that hear and speak are no GGUF."""
        return self.entry is not None and "speech" in self.entry.capabilities


def read(text: str, name: str, quantization: str, catalogue: Catalogue) -> Order:
    """The order that a request means. `name` and `quantization` "" for the usual ones.

    Raises UnknownModel, BadSource, PickleRefused, InvalidRequest, UnsupportedModel, ModelExists (the built-in model).
    """
    text = text.strip()
    if ":" in text:
        return _by_source(parse(text), name, quantization)
    entry = _entry(text, catalogue)
    if entry.built_in:
        raise ModelExists(f"'{entry.name}' is built in and here already.")
    offer, recipe = _offer(entry, quantization)
    if offer.refused:
        raise UnsupportedModel(f"{entry.name}: {offer.refused}")
    usual = offer is entry.offer() and not recipe
    given = name or (entry.name if usual else f"{entry.name}-{(recipe or offer.quantization).lower()}")
    return Order(new_name(given), offer.source, recipe, offer.sha256, offer.beside, entry)


def _entry(text: str, catalogue: Catalogue) -> Entry:
    try:
        return catalogue.get(text)
    except UnknownModel as problem:
        near = difflib.get_close_matches(text.lower(), [entry.name for entry in catalogue.entries])
        step = f"Did you mean: {', '.join(near)}?" if near else problem.next_step
        raise UnknownModel(problem.message, step, param="source") from None


def _offer(entry: Entry, quantization: str) -> tuple[Offer, str]:
    """The offer to take, and what is to be made of it."""
    if quantization and not any(offer.quantization == quantization for offer in entry.offers):
        whole = next((o for o in entry.offers if o.quantization in FILE_TYPES and not o.refused), None)
        if whole is not None and quantization in {*recipes.RECIPES, *FILE_TYPES} and "speech" not in entry.capabilities:
            return whole, quantization
    return entry.offer(quantization), ""


def _by_source(source: Source, name: str, quantization: str) -> Order:
    if quantization and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", quantization):
        raise InvalidRequest(f"Not a quantization: {quantization[:40]!r}", param="quantization")
    if source.kind == "ollama" and quantization:
        raise InvalidRequest(
            "A model of Ollama's is used as it is.", "Leave the quantization out.", param="quantization"
        )
    if source.kind == "hf" and quantization and not source.pick:
        source = replace(source, pick=quantization)
    given = name or default_name(source, quantization)
    # What a hub's source picks is made here if the repository has the weights only as safetensors.
    recipe = quantization or (source.pick if source.kind == "hf" and "." not in source.pick else "")
    recipe = {"FP16": "F16"}.get(recipe.upper(), recipe.upper())
    return Order(new_name(given), source, recipe, source.sha256 or "")


def default_name(source: Source, quantization: str = "") -> str:
    """The name a source's model gets when nobody says one. Raises BadSource for an address that names no file."""
    if source.kind == "https":
        base = PurePosixPath(web_name(source.name)).stem
    elif source.kind == "file":
        base = PurePosixPath(source.name.replace("\\", "/")).stem
    elif source.kind == "ollama":
        base = source.name if source.pick == "latest" else f"{source.name}:{source.pick}"
    elif source.kind == "hf" and "." in source.pick:
        base = PurePosixPath(source.pick).stem
    elif source.kind == "hf":
        base = re.sub(r"[-_.]GGUF$", "", source.name.partition("/")[2], flags=re.IGNORECASE)
        base += f"-{source.pick}" if source.pick else ""
    else:
        base = source.name
    base = re.sub(r"-\d{5}-of-\d{5}$", "", base)
    if quantization and quant_of(base).lower() != quantization.lower():
        base += f"-{quantization}"
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._:-") else "-" for c in base)
    return re.sub(r"\.{2,}", ".", kept)[:128].strip("._:-") or "model"


def staging_key(name: str, source: str, quantization: str) -> Digest:
    """Names the folder where the files of one request come together: no other request may take them for its own."""
    return Digest(hashlib.sha256("\n".join((name, source, quantization)).encode()).hexdigest())
