"""An answer out of passages: the model of the role `main` reads them, and what it cites is checked before anybody reads it.

    passages (Found) -> the policy looks at each -> as many as the window holds, by the model's own tokenizer -> the prompt
    -> the answer, streamed -> citations.py -> events: passages, token, citation, removed, quote, done

"Not found" is an answer: nothing was found, the model says so, or nothing that it said holds in a passage. In the last case
the sentence that is nearest to the question is quoted as it stands, and marked as a quote: it is Homefire's choice, not the
model's.

The built-in model has learned to read one short passage and to answer with words out of it (docs/pilot.md). It gets just that:
of each of the first passages the sentences that are nearest to the question, until an answer stands in its passage.
Promises: no citation is shown that does not hold; a passage cannot end its frame or begin a turn of the chat (`plain`); the
system message is the same for every question, so that its keys and values are computed once; prompt and answer fit the window.
Does not cover: finding passages (`search.py`), whether the question may be asked (`server/`): what comes in here was let in.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from homefire.errors import ContextOverflow
from homefire.knowledge.citations import MARKER, Passage, Stream, content, names, numbers
from homefire.knowledge.found import Found
from homefire.knowledge.needs import Complete, Screen

_NONE = (
    "not found", "i do not know", "i don't know", "i cannot answer", "i can't answer", "i cannot find", "i could not find",
    "the passages do not", "the passage does not", "the text does not", "the passages don't", "no answer", "unknown",
)  # fmt: skip
# Tokens of an answer; of all passages together; kept for what a chat's template puts around everything.
ANSWER, READ, TEMPLATE = 400, 3000, 96
# The built-in model: passages it is shown in turn, sentences of each, letters of those together, tokens of its answer.
PILOT_PASSAGES, PILOT_SENTENCES, PILOT_LETTERS, PILOT_ANSWER = 4, 2, 600, 48
# The share of the question's words that must stand in the sentence of a short answer, and in one that is quoted.
ABOUT, QUOTED, LONGEST_QUOTE = 0.45, 0.6, 400
# What a short answer to such a question looks like: the question's words, the answer's.
_LIKELY = (
    (r"how long\b", r"\d\s*(?:ms|s|h|m|km|cm|min\w*|sec\w*|hours?|days?|weeks?|months?|years?|metres?|meters?)\b"),
    (
        r"(?:when|how (?:many|much|old|large|big|heavy|tall|far)|what (?:size|weight|year|date))\b",
        r"\d|\b(?:one|two|three|four|five)\b",
    ),
    (r"(?:who|whose|by whom)\b", r"^[^\d]+$"),
)
_SENTENCES = re.compile(r"(?<=[.!?\u2026])[\"')\]]*\s+|\n+")
# What some model's template reads as the end of a message, a role or a beginning of one.
_CONTROL = re.compile(
    r"<(?=[|\uff5c/]|s>|(?:start|end)_of_turn|bos>|eos>|pad>|unk>|<SYS|tool|think|passage)|(?<=[|\uff5c])>|"
    r"\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL|AVAILABLE))",
    re.IGNORECASE,
)
_LOOKALIKE = {"<": "\u2039", ">": "\u203a", "[": "\u2045"}

Name = Literal["passages", "token", "citation", "removed", "quote", "done"]


@dataclass(frozen=True, slots=True)
class Event:
    """`passages`: {"passages": rows of `_row`, "withheld": how many the policy kept back}; `token`: {"text"}; `citation`: {"n",
    "text"}; `removed`: {"n", "why"}; `quote`: {"n", "text"}; `done`: see `Done.as_data`."""

    name: Name
    data: dict[str, Any]


@dataclass
class Done:
    """How it ended. `citations` and `removed` are counts, `unsupported` the sentences that nothing shown supports."""

    found: bool = False
    citations: int = 0
    removed: int = 0
    unsupported: list[str] = field(default_factory=list)
    quoted: bool = False
    cited: list[int] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """For the event."""
        return {"found": self.found, "citations": self.citations, "removed": self.removed, "unsupported": self.unsupported,
                "quoted": self.quoted, "cited": sorted(set(self.cited))}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """What a model is told: any chat model, and the built-in one, which learned from exactly these."""

    chat: str
    pilot: str


class Answerer:
    """Asks one model. `screen` is the policy's look at each passage; None: there is none."""

    def __init__(self, complete: Complete, words: Words, screen: Screen | None = None) -> None:
        self._complete, self._words, self._screen = complete, words, screen

    async def answer(self, question: str, found: Sequence[Found]) -> AsyncIterator[Event]:
        """The events, `done` last. Raises ContextOverflow if not even the question fits, and what the model raises."""
        kept, withheld = await self._screened(found)
        built_in = await self._complete.is_built_in()
        shown = kept[:PILOT_PASSAGES] if built_in else await self._fitting(question, kept)
        rows = [_row(number, each) for number, (each, _) in enumerate(shown, 1)]
        yield Event("passages", {"passages": rows, "withheld": withheld})
        passages = [Passage.of(text) for _, text in shown]
        done = Done()
        events = self._by_pilot(question, passages, done) if built_in else self._by_chat(question, passages, done)
        if passages:
            async for event in events:
                yield event
        if not done.found and (quote := nearest(question, passages)) is not None:
            done.found = done.quoted = True
            done.cited.append(quote[0])
            yield Event("quote", {"n": quote[0], "text": quote[1]})
        elif not done.found and not done.unsupported:
            yield Event("token", {"text": "not found"})
        yield Event("done", done.as_data())

    async def _screened(self, found: Sequence[Found]) -> tuple[list[tuple[Found, str]], int]:
        """Passages that may be shown, as they may be; how many may not."""
        kept = []
        for each in found:
            text = each.text if self._screen is None else await self._screen.passage(each.text)
            if text is not None and text.strip():
                kept.append((each, text))
        return kept, len(found) - len(kept)

    async def _fitting(self, question: str, found: list[tuple[Found, str]]) -> list[tuple[Found, str]]:
        """The first ones for which there is room, whole; of the very first as much as there is room for."""
        window = await self._complete.window()
        around, *sizes = await self._complete.count(
            [self._words.chat + prompt(question, []), *(framed(n, text) for n, (_, text) in enumerate(found, 1))]
        )
        room = window - min(ANSWER, window // 4) - TEMPLATE - around
        if room < 0:
            raise ContextOverflow(
                f"The question has {around:,} tokens with what stands around it; the model reads {window:,} at once.",
                "Ask a shorter question, or use a model with a larger context window.",
            )
        room, kept = min(room, READ), list[tuple[Found, str]]()
        for (each, text), size in zip(found, sizes, strict=True):
            if size <= room:
                kept.append((each, text))
                room -= size
            elif not kept:
                cut, needs = await self._cut(text, size, room)
                kept, room = ([(each, cut)], room - needs) if cut else (kept, room)
        return kept

    async def _cut(self, text: str, size: int, room: int) -> tuple[str, int]:
        """As much of a text as there is room for, in its frame, and its tokens."""
        while text and size > room:
            text = text[: min(len(text) - 1, int(len(text) * 0.95 * room / size))]
            (size,) = await self._complete.count([framed(1, text)])
        return text, size

    async def _by_chat(self, question: str, passages: Sequence[Passage], done: Done) -> AsyncIterator[Event]:
        """Any chat model: all passages at once."""
        stream, window = Stream(passages, attach=True), await self._complete.window()
        text = prompt(question, [each.text for each in passages])
        held: str | None = ""  # the beginning, until it is clear that it is no "not found"
        async with aclosing(self._complete.stream(self._words.chat, text, min(ANSWER, window // 4))) as pieces:
            async for piece in pieces:
                said = piece if held is None else held + piece
                if held is not None and absent(said):
                    return
                held = said if held is not None and may_be_absent(said) else None
                for event in _events(stream.feed(said) if held is None else [], done):
                    yield event
        for event in _events([*stream.feed((held or "").strip()), *stream.end()], done):
            yield event
        done.found = done.citations > 0

    async def _by_pilot(self, question: str, passages: Sequence[Passage], done: Done) -> AsyncIterator[Event]:
        """The built-in model: one short passage at a time, and a short answer that must stand in it."""
        for n, passage in enumerate(passages, 1):
            if not (excerpt := near_sentences(question, passage.text)):
                continue
            text = f"{plain(excerpt)}\n\nQuestion: {plain(question)}"
            async with aclosing(self._complete.stream(self._words.pilot, text, PILOT_ANSWER)) as pieces:
                said = "".join([piece async for piece in pieces])
            said = MARKER.sub("", said).strip()
            if absent(said) or not (place := _place(said, excerpt, question)):
                done.removed += 0 if absent(said) else 1
                continue
            done.found, done.citations, done.cited = True, 1, [n]
            yield Event("token", {"text": said})
            yield Event("citation", {"n": n, "text": f" [{n}]", "sentence": place})
            return


def prompt(question: str, passages: Sequence[str]) -> str:
    """What a chat model reads: the passages in their frames, the question last."""
    return "\n".join([*(framed(n, text) for n, text in enumerate(passages, 1)), f"Question: {plain(question)}"])


def framed(n: int, text: str) -> str:
    """A passage in its frame, which nothing in it can end."""
    return f"<passage {n}>\n{plain(text)}\n</passage {n}>"


def plain(text: str) -> str:
    """A text in which nothing reads as a frame, a role or a turn: the bracket of each such word becomes another character."""
    return _CONTROL.sub(lambda found: _LOOKALIKE[found[0]], text)


def absent(said: str) -> bool:
    """Whether a model says that it did not find it."""
    return _begin(said).startswith(_NONE)


def may_be_absent(said: str) -> bool:
    """Whether this may be the beginning of such words."""
    beginning = _begin(said)
    return any(each.startswith(beginning) for each in _NONE)


def _begin(said: str) -> str:
    return said.casefold().replace("\u2019", "'").lstrip(" \n\t*\"'\u201c")


def nearest(question: str, passages: Sequence[Passage]) -> tuple[int, str] | None:
    """The sentence with most of the question's words in it, if that are half at least, and all its names and numbers."""
    best: tuple[float, int, str] | None = None
    for n, passage in enumerate(passages, 1):
        for sentence in sentences(passage.text):
            score = nearness(question, sentence)
            if score >= QUOTED and _has_names(question, sentence) and (best is None or score > best[0]):
                best = score, n, sentence
    return None if best is None else (best[1], best[2][:LONGEST_QUOTE])


def near_sentences(question: str, text: str) -> str:
    """The few sentences of a passage that are nearest to the question, in their order; "" if none has a word of it."""
    every = sentences(text)
    scored = sorted(((nearness(question, each), -at) for at, each in enumerate(every)), reverse=True)
    chosen, letters = list[int](), 0
    for score, at in scored[:PILOT_SENTENCES]:
        if score > 0 and letters + len(every[-at]) <= PILOT_LETTERS:
            chosen.append(-at)
            letters += len(every[-at])
    return " ".join(every[at] for at in sorted(chosen))


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line is at least one."""
    return [found for each in _SENTENCES.split(text) if (found := " ".join(each.split()))]


def nearness(question: str, sentence: str) -> float:
    """The share of the question's words of weight, and its numbers, that stand in a sentence."""
    wanted = {*content(question), *numbers(question)}
    here = {*content(sentence), *numbers(sentence)}
    return len(wanted & here) / len(wanted) if wanted else 0.0


def _has_names(question: str, sentence: str) -> bool:
    said = {*content(sentence), *numbers(sentence)}
    return {*content(" ".join(names(question))), *numbers(question)} <= said


def _place(said: str, excerpt: str, question: str) -> str:
    """The sentence that a short answer stands in, if it is about what was asked; "" if there is none."""
    wanted = " ".join(said.casefold().strip(" .\"'").split())
    if any(re.match(asks, question.strip(), re.I) and not re.search(looks, wanted, re.I) for asks, looks in _LIKELY):
        return ""
    for sentence in sentences(excerpt):
        if (
            wanted
            and wanted in sentence.casefold()
            and _has_names(question, sentence)
            and nearness(question, sentence) >= ABOUT
        ):
            return sentence
    return ""


def _events(shown: Sequence[Any], done: Done) -> list[Event]:
    """What the checker lets through, as events, and counted."""
    found = []
    for each in shown:
        match each.kind:
            case "text":
                found.append(Event("token", {"text": each.text}))
            case "citation":
                done.citations += 1
                done.cited.append(each.n)
                found.append(Event("citation", {"n": each.n, "text": each.text}))
            case "removed":
                done.removed += 1
                found.append(Event("removed", {"n": each.n, "why": each.text}))
            case "unsupported":
                done.unsupported.append(each.text)
    return found


def _row(n: int, each: Found) -> dict[str, Any]:
    """A passage as a reader sees it listed."""
    names = ("collection", "path", "line", "first_line", "end_line", "label", "handle")
    return {"n": n, **{name: getattr(each, name) for name in names}}
