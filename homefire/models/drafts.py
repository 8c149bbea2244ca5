"""Which model may draft for which: one of the same vocabulary, token by token, and smaller.

llama.cpp translates between vocabularies that differ, over text, and slowly; here such a pair is refused.
Promises: reads headers and nothing else; pure but for that. Raises one clear error for each reason.
Does not cover: whether a draft makes answers quicker (`residency/tuner.py` measures that).
"""

from __future__ import annotations

from homefire.errors import HomefireError, InvalidRequest, WrongModelKind
from homefire.models.gguf import Header, read_header
from homefire.models.installed import Model

# Keys of a tokenizer that make the same text other tokens, or end an answer elsewhere.
_TOKENIZER = ("model", "pre", "bos_token_id", "eos_token_id", "add_bos_token", "add_space_prefix")


def require_draft(model: Model, draft: Model) -> None:
    """Raises WrongModelKind or InvalidRequest unless `draft` may propose tokens for `model`, BadModelFile. Blocks."""
    for each in (model, draft):
        if each.facts.kind != "chat":
            raise WrongModelKind(
                f"'{each.name}' is a model of the kind '{each.facts.kind}'; drafts are for models that chat.",
                "Name a model that chats.", param="with",
            )  # fmt: skip
    why = "it is no smaller" if draft.size_bytes >= model.size_bytes else ""
    why = why or vocabularies_differ(read_header(model.path), read_header(draft.path))
    if why:
        raise InvalidRequest(
            f"'{draft.name}' cannot draft for '{model.name}': {why}.",
            f"Take a smaller model of the same family, or an n-gram: homefire models draft {model.name} --ngram ngram-mod",
            param="with",
        )


def candidates(model: Model, others: list[Model], most: int) -> list[Model]:
    """The installed models that may draft for it, the smallest first. Blocks."""
    found = []
    for other in sorted(others, key=lambda each: each.size_bytes):
        try:
            require_draft(model, other)
        except HomefireError:
            continue
        found.append(other)
    return found[:most]


def vocabularies_differ(one: Header, other: Header) -> str:
    """How, or "" if they do not."""
    if not one.vocabulary or not other.vocabulary:
        return "one of the files names no tokens"
    for name in _TOKENIZER:
        mine, its = (header.keys.get(f"tokenizer.ggml.{name}") for header in (one, other))
        if mine != its:
            return f"their tokenizers differ in '{name}' ({str(mine)[:40]} and {str(its)[:40]})"
    return "" if one.vocabulary == other.vocabulary else "their tokens are not the same"
