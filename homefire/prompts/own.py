"""Homefire's own prompts: the files in `own/`, one a prompt, named as the prompt is without `homefire.`.

Promises: read once; a prompt without variables is its body.
Does not cover: what a person made of them (`prompts.py`).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

from homefire.errors import UnknownPrompt
from homefire.prompts.template import parse

PREFIX = "homefire."
_ENDING = ".prompt"


@lru_cache(maxsize=1)
def own_sources() -> dict[str, str]:
    """Each own prompt as it is written, by its name."""
    folder = resources.files("homefire.prompts") / "own"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(_ENDING)), key=lambda each: each.name)
    return {PREFIX + each.name.removesuffix(_ENDING): each.read_text("utf-8").rstrip("\n") for each in files}


def own_names() -> list[str]:
    """Their names."""
    return list(own_sources())


def own_source(name: str) -> str:
    """One as it is written. Raises UnknownPrompt."""
    try:
        return own_sources()[name]
    except KeyError:
        raise UnknownPrompt(f"Homefire has no prompt '{name[:80]}'.") from None


def own_text(name: str) -> str:
    """The text of one without variables, as it comes with Homefire. Raises UnknownPrompt."""
    return parse(own_source(name)).body


def digest_of(text: str) -> str:
    """What tells one text from another: the first 16 digits of its sha256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
