"""From a tokenizer.json to the keys by which llama.cpp builds the same tokenizer.

Two kinds are known: byte-level BPE (llama.cpp's model `gpt2`), whose way of cutting text into words is recognised by the
structure of the pre-tokenizer and named by `tokenizer.ggml.pre`; and BERT's WordPiece (`bert`).
Promises: what is not recognised is refused with its name, for a tokenizer that is nearly right ruins a model silently.
Does not cover: SentencePiece (Unigram, or BPE with bytes as a fallback). llama.cpp does not apply Unicode's NFC normalisation, so
text that is not in NFC may be cut otherwise than by the original; what it does otherwise with BERT's vocabularies, and what of
that is mended, stands in `engines/embedding.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homefire.errors import BadModelFile, UnsupportedModel
from homefire.models.gguf_writer import Value, boolean, i32s, text, texts, u32

# Types of tokens (llama.h, llama_token_type).
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = _SHORT + r"\p{N}{1,3}" + _REST
QWEN2 = _SHORT + r"\p{N}" + _REST
# (expressions one after another, whether a whole word in the vocabulary is taken before any merge) -> llama.cpp's name.
PRE: dict[tuple[tuple[str, ...], bool], str] = {
    ((GPT2,), False): "gpt-2",
    ((r"\p{N}", GPT2), False): "smollm",
    ((LLAMA3,), True): "llama-bpe",
    ((LLAMA3,), False): "smaug-bpe",
    ((QWEN2,), False): "qwen2",
}
# Name in tokenizer_config.json -> key in GGUF ("seperator" is llama.cpp's spelling).
_SPECIAL = {
    "bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "sep_token": "seperator", "pad_token": "padding",
    "cls_token": "cls", "mask_token": "mask",
}  # fmt: skip
# What BERT calls them where no file says so.
_BERT = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}


@dataclass(frozen=True, slots=True)
class Files:
    """The parsed files that say what the tokenizer is: tokenizer.json, tokenizer_config.json (may be empty), config.json, and the
    template of chat_template.jinja where there is one."""

    tokenizer: Mapping[str, Any]
    settings: Mapping[str, Any]
    config: Mapping[str, Any]
    template: str = ""


def keys(files: Files, size: int) -> dict[str, Value]:
    """The tokenizer's keys for a model whose embedding has `size` rows. Raises UnsupportedModel, BadModelFile."""
    model = _part(files.tokenizer, "model")
    kind = model.get("type") or ("BPE" if "merges" in model else "")
    if kind == "BPE":
        return _bpe(files, model, size)
    if kind == "WordPiece":
        return _wordpiece(files, model, size)
    raise UnsupportedModel(f"Its tokenizer is of the kind '{kind}'; BPE and WordPiece can be converted.")


def pre_tokenizer(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name for the way this byte-level BPE cuts text into words. Raises UnsupportedModel."""
    model = _part(tokenizer, "model")
    stages, byte_level = _stages(tokenizer.get("pre_tokenizer"))
    normal = _part(tokenizer, "normalizer").get("type")
    if not byte_level or model.get("byte_fallback") or normal not in (None, "NFC"):
        raise UnsupportedModel("Its tokenizer is not a byte-level BPE (SentencePiece cannot be converted here).")
    found = PRE.get((stages, bool(model.get("ignore_merges", False))))
    if found is None:
        raise UnsupportedModel(
            f"Its tokenizer cuts words in a way that is not known here: {' then '.join(stages)[:300]}"
        )
    return found


def _stages(part: Any) -> tuple[tuple[str, ...], bool]:
    """The expressions that a pre-tokenizer applies one after another, and whether it ends in bytes."""
    match part:
        case {"type": "Sequence", "pretokenizers": list() as inner}:
            found = [_stages(each) for each in inner]
            return tuple(stage for stages, _ in found for stage in stages), any(ends for _, ends in found)
        case {"type": "Split", "pattern": {"Regex": str() as expression}, "behavior": "Isolated", "invert": False}:
            return (expression,), False
        case {"type": "Digits", "individual_digits": True}:
            return (r"\p{N}",), False
        case {"type": "ByteLevel", "add_prefix_space": False}:
            return ((GPT2,) if part.get("use_regex", True) else ()), True
    kind = part.get("type") if isinstance(part, dict) else part
    raise UnsupportedModel(f"Its tokenizer has a pre-tokenizer that is not known here: {str(kind)[:80]}")


def _bpe(files: Files, model: Mapping[str, Any], size: int) -> dict[str, Value]:
    pre = pre_tokenizer(files.tokenizer)
    words, types = _tokens(files, model, size)
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in model.get("merges", [])]
    begins, ends = _template(files)
    found = {
        "tokenizer.ggml.model": text("gpt2"),
        "tokenizer.ggml.pre": text(pre),
        "tokenizer.ggml.tokens": texts(words),
        "tokenizer.ggml.token_type": i32s(types),
        "tokenizer.ggml.merges": texts(pairs),
        **_special(files, words),
        "tokenizer.ggml.add_bos_token": boolean(begins),
        "tokenizer.ggml.add_eos_token": boolean(ends),
    }
    return found | _templates(files)


def _wordpiece(files: Files, model: Mapping[str, Any], size: int) -> dict[str, Value]:
    normal, cut = _part(files.tokenizer, "normalizer"), _part(files.tokenizer, "pre_tokenizer")
    prefix = model.get("continuing_subword_prefix", "##")
    if normal.get("type") != "BertNormalizer" or cut.get("type") != "BertPreTokenizer" or prefix != "##":
        raise UnsupportedModel("Its WordPiece tokenizer is not BERT's.")
    if not normal.get("handle_chinese_chars", True) or not normal.get("clean_text", True):
        raise UnsupportedModel("Its BERT tokenizer does not clean text, or does not part Chinese characters.")
    lower = bool(normal.get("lowercase", True))
    accents = normal.get("strip_accents")
    words, types = _tokens(files, model, size)
    marked = [_phantom(word, kind) for word, kind in zip(words, types, strict=True)]
    _unique(marked)
    special = _special(files, words)
    for key in ("cls", "seperator", "unknown"):
        if f"tokenizer.ggml.{key}_token_id" not in special:
            raise BadModelFile(f"The tokenizer names no {key} token, which BERT needs.")
    return {
        "tokenizer.ggml.model": text("bert"),
        "tokenizer.ggml.pre": text("default"),
        "tokenizer.ggml.tokens": texts(marked),
        "tokenizer.ggml.token_type": i32s(types),
        "tokenizer.ggml.token_type_count": u32(int(files.config.get("type_vocab_size", 2))),
        "tokenizer.ggml.normalizer.lowercase": boolean(lower),
        "tokenizer.ggml.normalizer.strip_accents": boolean(lower if accents is None else bool(accents)),
        **special,
        # llama.cpp puts its begin token first and its separator last.
        "tokenizer.ggml.bos_token_id": special["tokenizer.ggml.cls_token_id"],
        "tokenizer.ggml.eos_token_id": special["tokenizer.ggml.seperator_token_id"],
    }


def _phantom(word: str, kind: int) -> str:
    """llama.cpp marks the beginning of a word with U+2581 where BERT marks its continuation with ##."""
    if kind in (CONTROL, UNUSED):
        return word
    return word[2:] if word.startswith("##") and len(word) > 2 else "\u2581" + word


def _tokens(files: Files, model: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Every token by its id, and its type; rows of the embedding without a token are named and marked as unused."""
    words: dict[int, str] = {}
    types: dict[int, int] = {}
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise BadModelFile("The tokenizer has no vocabulary.")
    for word, place in vocabulary.items():
        words[place] = word
    overruled = files.settings.get("added_tokens_decoder") or {}
    for added in files.tokenizer.get("added_tokens") or []:
        place = added["id"]
        words[place] = added["content"]
        special = overruled.get(str(place), added).get("special", added.get("special", False))
        types[place] = CONTROL if special else USER_DEFINED
    if max(words) >= size or min(words) < 0:
        raise BadModelFile(f"The tokenizer has the token {max(words):,} and the model only {size:,} rows for tokens.")
    listed = [words.get(place, f"[PAD{place}]") for place in range(size)]
    _unique(listed)
    return listed, [types.get(place, NORMAL if place in words else UNUSED) for place in range(size)]


def _unique(words: list[str]) -> None:
    seen: set[str] = set()
    for word in words:
        if word in seen:
            raise BadModelFile(f"The tokenizer has the token {word[:40]!r} twice, which llama.cpp refuses.")
        seen.add(word)


def _special(files: Files, words: list[str]) -> dict[str, Value]:
    """The ids of the special tokens, as tokenizer_config.json names them, else as config.json numbers them."""
    places = {word: place for place, word in enumerate(words)}
    usual = _BERT if _part(files.tokenizer, "model").get("type") == "WordPiece" else {}
    found: dict[str, Value] = {}
    for name, key in _SPECIAL.items():
        given = files.settings.get(name, usual.get(name))
        word = given.get("content") if isinstance(given, dict) else given
        place = places.get(word) if isinstance(word, str) else None
        if place is None:
            number = files.config.get(f"{name}_id")
            number = number[0] if isinstance(number, list) and number else number
            place = number if isinstance(number, int) and 0 <= number < len(words) else None
        if place is None and name == "unk_token":
            place = places.get(str(_part(files.tokenizer, "model").get("unk_token")))
        if place is not None:
            found[f"tokenizer.ggml.{key}_token_id"] = u32(place)
    return found


def _template(files: Files) -> tuple[bool, bool]:
    """Whether the tokenizer puts a token before and after every text."""
    part = _part(files.tokenizer, "post_processor")
    for each in part.get("processors", []) if part.get("type") == "Sequence" else [part]:
        if each.get("type") == "TemplateProcessing":
            single = each.get("single") or [{}]
            return "SpecialToken" in single[0], "SpecialToken" in single[-1]
    return bool(files.settings.get("add_bos_token", False)), bool(files.settings.get("add_eos_token", False))


def _templates(files: Files) -> dict[str, Value]:
    given = files.template or files.settings.get("chat_template")
    if isinstance(given, str) and given:
        return {"tokenizer.chat_template": text(given)}
    found: dict[str, Value] = {}
    for each in given if isinstance(given, list) else []:
        name = "" if each.get("name") == "default" else f".{each.get('name')}"
        found[f"tokenizer.chat_template{name}"] = text(str(each.get("template")))
    return found


def _part(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = mapping.get(name)
    return found if isinstance(found, dict) else {}
