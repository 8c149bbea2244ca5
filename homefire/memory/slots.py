"""What a statement is about, by form alone: its slot, whether it denies, the names in it, and the statements in a text.

A slot is "whose | what": "My dentist is Dr Ames." and "my dentist is now Dr Ruiz" have one,
"my | dentist". Statements of one slot with other words contradict each other.
Promises: pure; a statement whose form is not known has no slot and contradicts nothing.
Does not cover: other languages; contradictions that need the meaning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from homefire.index.query import STOP_WORDS

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
# Words with a capital, in a row; one alone that begins a sentence may be any word.
_NAME = re.compile(r"\b[A-Z][^\W_]*(?:-[^\W_]+)*(?:\s+[A-Z][^\W_]*(?:-[^\W_]+)*)*")
_NEGATIVE = re.compile(
    r"\b(?:not|no|never|none|nothing|nobody|cannot|\w+n't|without|stopped|any more|anymore)\b", re.IGNORECASE
)
_WHOSE = r"(?P<whose>my|our|[A-Z][\w-]*(?: [A-Z][\w-]*)?)"
_IS = r"(?:is|are|was|were)(?: now| no longer| not|n't)?"
_NOW = r"(?: now| currently| no longer| usually| always)?"
_SLOTS = tuple(
    re.compile(pattern, re.IGNORECASE if own else 0)
    for own, pattern in (
        (
            True,
            rf"^(?:(?:please )?remember that |note that |actually,? |so,? )?(?P<whose>my|our) (?P<what>[\w -]{{2,40}}?) {_IS} ",
        ),
        (False, rf"^(?P<whose>[A-Z][\w-]*(?: [A-Z][\w-]*)?)['’]s (?P<what>[\w -]{{2,40}}?) {_IS} "),
        (True, rf"^(?P<whose>I|we){_NOW} (?P<what>live|work|study|prefer|drive|drink|eat)\b"),
        (
            False,
            rf"^(?P<whose>[A-Z][\w-]*(?: [A-Z][\w-]*)?){_NOW} (?P<what>lives|works|studies|prefers|drives|drinks|eats)\b",
        ),
        (False, r"^[Tt]he (?P<what>[\w -]{2,30}?) of (?P<whose>[\w -]{2,40}?) (?:is|was|are)(?: now)? "),
    )
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_ASKS = re.compile(
    r"^\s*(?:what|when|where|who|why|how|which|can|could|would|will|do|does|did|is|are|should|please)\b", re.IGNORECASE
)
SHORTEST, LONGEST = 10, 300


def slot(text: str) -> str:
    """What it is about; "" where that cannot be told."""
    said = " ".join(text.split())
    for pattern in _SLOTS:
        if (match := pattern.match(said)) is not None:
            whose = match["whose"].lower()
            what = re.sub(r"^(?:new|current|old|favou?rite) ", "", match["what"].lower())
            whose = {"i": "my", "we": "our"}.get(whose, whose)
            what = {"lives": "live", "works": "work", "studies": "study"}.get(
                what, what.removesuffix("s") if whose != "my" else what
            )
            return f"{whose} | {what}"
    return ""


def negative(text: str) -> bool:
    """Whether it says that something is not so."""
    return _NEGATIVE.search(text) is not None


def digest(text: str) -> str:
    """The same for two statements that differ in letters' case, spaces and the marks between words alone."""
    return hashlib.sha256(" ".join(_WORD.findall(text.casefold())).encode()).hexdigest()[:32]


def names(text: str) -> list[str]:
    """Names in it, each once, without the 's of whose something is."""
    found = []
    for match in _NAME.finditer(text):
        words = match[0].split()
        begins = not text[: match.start()].strip() or text[: match.start()].rstrip()[-1] in ".!?"
        if begins and (
            words[0].lower() in STOP_WORDS or (len(words) == 1 and not text[match.end() :].startswith("'s"))
        ):
            words = words[1:]
        if words and words != ["I"]:
            found.append(" ".join(words))
    return list(dict.fromkeys(found))


def occurs(words: str, text: str) -> bool:
    """Whether the words stand in the text, in a row; spaces between them do not count."""
    wanted = " ".join(words.split())
    return bool(wanted) and wanted in " ".join(text.split())


def statements(text: str) -> Iterator[str]:
    """Sentences in it that state something which has a slot, exactly as they stand there. Questions and orders are none."""
    for match in _SENTENCE.finditer(text):
        said = match[0].strip()
        if SHORTEST <= len(said) <= LONGEST and not said.endswith("?") and not _ASKS.match(said) and slot(said):
            yield said
