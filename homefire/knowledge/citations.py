"""Citations that are checked while an answer is written: a marker [n] that does not hold is taken out before anyone reads it.

    pieces of text -> what may be shown: text, citations that hold, markers that were removed
A marker speaks for its sentence. So text passes at once up to a marker, and from there waits for the sentence's end.

A sentence holds in a passage if: the passage is there; every number, every quoted phrase and every name (a word with a capital
that does not open the sentence, or with a digit or a second capital in it) stands in it; and of its other words of weight at
least HALF do, whatever their endings.
Promises: pure; no marker leaves that did not hold; a text without markers leaves unchanged; every sentence ends up cited or not;
how the text is cut into pieces changes nothing.
Does not cover: whether the sentence says what the passage says: "A beat B" holds where "B beat A" stands. Languages whose words
are not divided by blanks: there only numbers, names in Latin letters and quotes are checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

HALF, MOST = 0.5, 0.8
MARKER = re.compile(r"[\[\u3010]\s*(\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*)\s*[\]\u3011]")
_OPENING = re.compile(r"[\[\u3010][\d\s,;\u2013-]{0,40}$")
_END = re.compile(r"[.!?\u2026]['\"\u201d)\]*]*(?=\s)|[\u3002\uff01\uff1f]|\n")
_ENDING = re.compile(r"(?:[.!?\u2026]['\"\u201d)*]*\s*|\s+)$")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|cf|vs|Mr|Mrs|Ms|Dr|St|No|Nr|Fig|approx|ca|bzw)|\b[A-Z]|^\s*\d{1,3})\.$")
_NUMBER = re.compile(r"\d+(?:[.,:/\u2019'-]\d+)*")
_QUOTED = re.compile(
    r"\"([^\"\n]{2,300})\"|\u201c([^\u201d\n]{2,300})\u201d|\u00ab([^\u00bb\n]{2,300})\u00bb|`([^`\n]{2,300})`"
)
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_STOP = """a an and are as at be been but by can could did do does for from had has have he her his how i if in into is it its
may me more most my no not of on one or our out over own say says she should so some such than that the their them
then there these they this those to too up us was we were what when where which who whom whose why will with would you
your about after all also any because before between both each few further here just only other same through under
until very while according passage passages text source sources document documents mentioned stated der die das ein
eine und ist sind war von zu im"""
STOP = frozenset(_STOP.split())
_ENDINGS = (
    "ational",
    "ingly",
    "edly",
    "ments",
    "ment",
    "ings",
    "ing",
    "ies",
    "ied",
    "ers",
    "ed",
    "es",
    "er",
    "ly",
    "s",
)


def stem(word: str) -> str:
    """A word without its commonest endings, in lower case. "cities" and "city" meet, "is" stays."""
    word = word.casefold().replace("\u2019", "'").removesuffix("'s")
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if word[-1:] in "ey" and len(word) > 3 else word


def numbers(text: str) -> set[str]:
    """The numbers in a text; separators of thousands are left out, so that 2,340 is 2340."""
    return {re.sub(r"(?<=\d)[,\u2019'](?=\d{3}(?!\d))", "", found) for found in _NUMBER.findall(text)}


def content(text: str) -> list[str]:
    """The stems of the words that carry a meaning."""
    words = [word for word in _WORD.findall(text) if word.casefold() not in STOP and not word[0].isdigit()]
    return [stem(word) for word in words]


def names(text: str) -> list[str]:
    """Words that name something, by their letters."""
    found = []
    for number, word in enumerate(_WORD.findall(text)):
        inner = any(each.isupper() or each.isdigit() for each in word[1:])
        if (word[0].isupper() and number) or (inner and not word[0].isdigit()):
            found.append(word)
    return [word for word in found if word.casefold() not in STOP]


@dataclass(frozen=True, slots=True)
class Passage:
    """What a citation is checked against, prepared once."""

    text: str
    numbers: frozenset[str]
    stems: frozenset[str]
    plain: str

    @staticmethod
    def of(text: str) -> Passage:
        stems = frozenset(stem(part) for word in _WORD.findall(text) for part in (word, *re.split(r"['\u2019-]", word)))
        return Passage(text, frozenset(numbers(text)), stems, _plain(text))


def _plain(text: str) -> str:
    return " ".join(text.casefold().translate(_QUOTES).split())


_QUOTES = {ord(each): "'" for each in "\u2018\u2019"} | {ord(each): '"' for each in "\u201c\u201d\u00ab\u00bb"}


def fault(sentence: str, passage: Passage, share: float = HALF) -> str:
    """Why a sentence (without its markers) does not hold in a passage; "" if it does."""
    if missing := numbers(sentence) - passage.numbers:
        return f"the number {min(missing)} is not in it"
    for found in _QUOTED.finditer(sentence):
        phrase = next(each for each in found.groups() if each)
        if _plain(phrase).strip(" .,;:!?") not in passage.plain:
            return f"'{phrase[:60]}' is not in it"
    for name in names(sentence):
        parts = [name, *re.split(r"['\u2019-]", name)]
        if not any(stem(part) in passage.stems for part in parts):
            return f"the name '{name[:60]}' is not in it"
    words = content(sentence)
    if not words and not numbers(sentence):
        return "it says nothing that could be checked"
    here = sum(word in passage.stems for word in words)
    return f"{here} of {len(words)} words are in it" if here < share * len(words) else ""


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that may be shown now. "text": `text`; "citation": [n] holds, `text` is the marker; "removed": [n] did not,
    `text` is why; "unsupported": `text` is a sentence that no citation holds for."""

    kind: Literal["text", "citation", "removed", "unsupported"]
    text: str
    n: int = 0


@dataclass
class Stream:
    """One answer. `feed` its pieces, then `end`. `attach`: a sentence without any marker gets that of the first passage in which
    it holds by more of its words (MOST): a small model writes none."""

    passages: Sequence[Passage]
    attach: bool = False
    counts: dict[str, int] = field(
        default_factory=lambda: {"citations": 0, "removed": 0, "unsupported": 0, "supported": 0}
    )
    _sentence: str = ""  # without markers, from its beginning
    _cited: list[int] = field(default_factory=list)  # markers of it that were met and not judged yet
    _held: str = ""  # what waits: from the first marker on, the markers as \0n\0
    _rest: str = ""  # not read yet
    _ticks: int = 0
    _ended: bool = False

    def feed(self, piece: str) -> list[Shown]:
        """What may be shown after this piece."""
        self._rest += piece.replace("\0", "")
        return self._read(last=False)

    def end(self) -> list[Shown]:
        """The rest."""
        return [*self._read(last=True), *self._close()]

    def _read(self, last: bool) -> list[Shown]:
        shown: list[Shown] = []
        while self._rest:
            if self._ended:
                if (more := self._after_end(last)) is None:
                    return shown
                shown += more
                continue
            marker, end = self._marker(), _END.search(self._rest)
            if marker is not None and (end is None or marker.start() < end.start()):
                before = self._rest[: marker.start()]
                shown += self._text(before.rstrip(" "))
                self._mark(marker[1], " " * (len(before) - len(before.rstrip(" "))))
                self._rest = self._rest[marker.end() :]
                continue
            upto = self._safe(last) if end is None else end.end()
            whole = self._sentence + self._rest[:upto]
            shown += self._text(self._rest[:upto])
            self._rest = self._rest[upto:]
            if end is not None and whole.endswith("\n"):
                shown += self._close()
            elif end is not None:
                self._ended = not _ABBREVIATION.search(whole)
            else:
                return shown
        return shown

    def _after_end(self, last: bool) -> list[Shown] | None:
        """Behind a sentence's end: a marker still speaks for it, anything else is the next. None: that is not clear yet."""
        following = self._rest.lstrip(" ")
        found = MARKER.match(following) if self._ticks % 2 == 0 else None
        if found is not None:
            self._mark(found[1], " " if following != self._rest else "")
            self._rest = following[found.end() :]
            return []
        if not last and (not following or _OPENING.match(following)):
            return None
        return self._close()

    def _marker(self) -> re.Match[str] | None:
        """The next marker that does not stand in code (between backticks), as an index would."""
        for found in MARKER.finditer(self._rest):
            if (self._ticks + self._rest[: found.start()].count("`")) % 2 == 0:
                return found
        return None

    def _safe(self, last: bool) -> int:
        """Letters that cannot be the beginning of a marker, nor the end of a sentence that a marker follows."""
        if last:
            return len(self._rest)
        if (opening := _OPENING.search(self._rest)) is not None:
            return len(self._rest[: opening.start()].rstrip(" "))
        ending = _ENDING.search(self._rest)
        return ending.start() if ending is not None else len(self._rest)

    def _text(self, text: str) -> list[Shown]:
        self._sentence += text
        self._ticks += text.count("`")
        if self._held:
            self._held += text
            return []
        return [Shown("text", text)] if text else []

    def _mark(self, inner: str, gap: str) -> None:
        self._held, self._sentence = self._held + gap, self._sentence + gap
        for part in re.split(r"[,;]", inner):
            low, _, high = part.replace("\u2013", "-").strip().partition("-")
            for n in range(int(low), min(int(high or low), int(low) + 20) + 1):
                self._cited.append(n)
                self._held += f"\0{n}\0"

    def _close(self) -> list[Shown]:
        """The sentence has ended: its markers are judged."""
        sentence = re.sub(r"\s+(?=[.,;:!?])", "", " ".join(self._sentence.split()))
        held, cited = self._held, self._cited
        self._sentence, self._held, self._cited, self._ended = "", "", [], False
        judged = {n: self._fault(sentence, n) for n in cited}
        shown: list[Shown] = []
        for number, part in enumerate(held.split("\0")):
            if number % 2 == 0:
                shown += [Shown("text", part)] if part else []
            elif judged[n := int(part)]:
                shown = _trimmed(shown)
                shown.append(Shown("removed", judged[n], n))
            else:
                shown.append(Shown("citation", f"[{n}]", n))
        holds = any(not each for each in judged.values())
        if not cited and self.attach and sentence:
            found = next((n for n, each in enumerate(self.passages, 1) if not fault(sentence, each, MOST)), 0)
            holds = bool(found)
            shown += [Shown("citation", f" [{found}]", found)] if found else []
        if sentence and _WORD.search(sentence):
            shown += [] if holds else [Shown("unsupported", sentence)]
        return shown

    def _fault(self, sentence: str, n: int) -> str:
        if not 1 <= n <= len(self.passages):
            return "there is no such passage"
        return fault(sentence, self.passages[n - 1])


def _trimmed(shown: list[Shown]) -> list[Shown]:
    """Without the blanks that stood before a marker that goes."""
    if shown and shown[-1].kind == "text":
        rest = shown[-1].text.rstrip(" ")
        return [*shown[:-1], *([Shown("text", rest)] if rest else [])]
    return shown
