"""Guardrails of the loop: what small models do wrong, and what is done about it in code. Each can be switched off.

| guard | without it | what it does |
|---|---|---|
| respond_tool | prose passes for an answer | an answer is a call of `respond`, prose is asked again, constrained |
| constrain | a model that writes no call writes none | free first, then forced; announcing is no answer |
| rescue | calls in another model's form are lost | reads them, and cuts off results the model invented |
| prefilter | dozens of tools drown the task | shows the eight that fit |
| repeats | the same call again and again | the second gives the first's result, the third is blocked and its tool withdrawn |
| errors | "not found" is taken for success | an answer over an open failure that does not say so goes back |
| grounding | numbers and deeds nobody saw | an answer with a number, or a deed, that no step shows, goes back |
| repair | a broken call is broken off | the validation error is shown where the result would stand, once for each call |

Promises: pure: from the steps of a run to what has to be said; nothing here knows time or a model.
Does not cover: what may be done (`safety/boundary.py`): a guard protects the task, not the person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

from homefire.agent.step import Called, Entry, Ordered, Returned, Thought, Told
from homefire.errors import InvalidRequest
from homefire.safety.schema import canonical

RESPOND = "respond"
# Tools whose result may change by itself: asked a second time, they are run.
CHANGING = frozenset({"current_time", "system_status", "process_status", "ask_person"})
# Codes of answers that went back.
COMPLAINTS = frozenset({"open_failure", "announced", "claim", "ungrounded"})
# How often an answer is sent back for one reason.
INSISTS = 3
# Equal results of equal calls, with deeds in between, after which no further one is made.
MOST_RUNS = 5
WRITERS = ("write_file", "run_code", "run_shell")
# Deeds that an answer may claim, and the tools of which one must have done it.
_DEEDS = (
    (r"remembered|(?:kept|stored|saved|put) (?:it )?(?:in|to) (?:my |the )?memory|will remember", ("remember",)),
    (r"(?:set|started) (?:a|the|your) timer|timer is set", ("set_timer",)),
    (r"(?:wrote|written|saved|created) (?:it |this |that |them )?(?:to |in |into )?(?:a |the |your )?file", WRITERS),
    (r"saved (?:it |this )?(?:to|as|in) \S+\.\w{1,5}", WRITERS),
    (r"(?:added|wrote|made|saved) (?:a|the|your) note", ("add_note", "write_file")),
    (r"note (?:was|is|has been) (?:added|saved|written)", ("add_note", "write_file")),
    (r"(?:forgot|forgotten|removed (?:it |that )?from (?:my |the )?memory)", ("forget",)),
)  # fmt: skip
_DEED_PATTERNS = [(re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), tools) for pattern, tools in _DEEDS]
_ADMITS = re.compile(
    r"\b(?:no|not|none|nothing|cannot|can't|could ?n[o']t|couldn't|didn't|doesn't|isn't|wasn't|unable|fail(?:ed|s|ure)?|error|"
    r"denied|refused|missing|empty|unknown|without|unavailable|impossible|problem|sorry|instead|unfortunately|timed out)\b",
    re.IGNORECASE,
)
# A model that is made to call after it announced a call tends to announce it once more, by `respond`.
_ANNOUNCES = re.compile(
    r"(?:(?:ok(?:ay)?|sure|right|yes)[,.!]? )?(?:first,? )?"
    r"(?:i will|i'll|i am going to|i'm going to|let me|i need to|next,? i)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Guards:
    """Which are on."""

    respond_tool: bool = True
    constrain: bool = True
    rescue: bool = True
    prefilter: bool = True
    repeats: bool = True
    errors: bool = True
    grounding: bool = True
    repair: bool = True

    def without(self, names: Iterable[str]) -> Guards:
        """The same with some switched off. Raises InvalidRequest for a name that is none."""
        known, wanted = {each.name for each in fields(self)}, list(names)
        for name in wanted:
            if name not in known:
                raise InvalidRequest(
                    f"There is no guard '{name[:40]}'.", f"Guards: {', '.join(sorted(known))}.", param="guards"
                )
        return replace(self, **dict.fromkeys(wanted, False))


BARE = Guards(*[False] * 8)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A call that was made before. `blocked`: it may not be made again; else `cached` is what it gave."""

    blocked: bool
    cached: Returned | None = None


def returned(entries: Sequence[Entry]) -> dict[str, Returned]:
    """What each call came to, by its id."""
    return {entry.step.call: entry.step for entry in entries if isinstance(entry.step, Returned)}


def repeated(entries: Sequence[Entry], tool: str, digest: str, reading: frozenset[str]) -> Repeat | None:
    """What is known of a call of this digest; None: it may run. `reading` are the tools that only read.

    The first runs; the second gives the first's result, unless something was done in between or the tool's result changes by
    itself, then it runs; a third after two equal results is blocked.
    """
    results, runs, deeds, cached = returned(entries), list[Returned](), 0, 0
    for entry in entries:
        step = entry.step
        if not isinstance(step, Called) or (found := results.get(step.call)) is None or found.status == "refused":
            continue
        if step.digest != digest:
            deeds += step.tool not in reading and found.status in ("ok", "unknown")
        elif found.status == "cached":
            cached += 1
        else:
            runs.append(found)
            deeds = cached = 0
    if not runs:
        return None
    same = len(runs) >= 2 and (runs[-1].status, runs[-1].text) == (runs[-2].status, runs[-2].text)
    if (same or cached) and not deeds:
        return Repeat(True)
    if same and len(runs) >= MOST_RUNS:
        return Repeat(True)
    if tool not in CHANGING and not deeds:
        return Repeat(False, runs[-1])
    return None


def withdrawn(entries: Sequence[Entry]) -> frozenset[str]:
    """Tools that are not shown now: each for whose sake a repeat was blocked, until two other calls have worked since."""
    gone: dict[str, int] = {}
    calls = {entry.step.call: entry.step.tool for entry in entries if isinstance(entry.step, Called)}
    for entry in entries:
        step = entry.step
        if isinstance(step, Told) and step.code == "repeat_blocked":
            gone[step.text.partition("'")[2].partition("'")[0]] = 0
        elif isinstance(step, Returned) and step.status == "ok":
            gone = {tool: worked + (calls.get(step.call) != tool) for tool, worked in gone.items()}
        elif isinstance(step, Ordered) and entry.n:
            gone.clear()
    return frozenset(tool for tool, worked in gone.items() if worked < 2)


def open_failure(entries: Sequence[Entry]) -> tuple[Called, Returned] | None:
    """The last call, if it failed or found nothing and no later call worked."""
    calls = {entry.step.call: entry.step for entry in entries if isinstance(entry.step, Called)}
    last: tuple[Called, Returned] | None = None
    for entry in entries:
        if isinstance(entry.step, Returned) and entry.step.call in calls and calls[entry.step.call].tool != RESPOND:
            step = entry.step
            if step.status == "ok":
                last = None
            elif step.status in ("error", "empty", "unknown", "refused"):
                last = calls[step.call], step
    return last


def complaint(entries: Sequence[Entry], text: str, guards: Guards) -> tuple[str, str] | None:
    """What is wrong with an answer, in words and as a code; None: it may be given. Each is said `INSISTS` times for an order: a
    model that insists may be right, and the person sees what it was told."""
    codes = [entry.step.code for entry in entries[_last_order(entries) :] if isinstance(entry.step, Returned)]
    said = {code for code in codes if codes.count(code) >= INSISTS}
    if guards.errors and "open_failure" not in said and (failed := open_failure(entries)) and not _ADMITS.search(text):
        call, result = failed
        what = "found nothing" if result.status == "empty" else f"did not work ({result.code or result.status})"
        return (f"Not yet: the call of '{call.tool}' {what}. Try another way, or say so in the answer.", "open_failure")
    if guards.constrain and "announced" not in said and _ANNOUNCES.match(text) and _just_written(entries, text):
        return "Not yet: that only says what will be done. Do it: call the tool.", "announced"
    if guards.grounding and "claim" not in said:
        done = {entry.step.tool for entry in entries if isinstance(entry.step, Called)} & _worked(entries)
        for pattern, tools in _DEED_PATTERNS:
            if (claim := pattern.search(text)) and not done & set(tools) and not _ADMITS.search(text):
                return (
                    f"Not yet: \"{claim[0]}\" was not done: no call of '{tools[0]}' worked. Do it, or do not say it.",
                    "claim",
                )
    if guards.grounding and "ungrounded" not in said and (number := _ungrounded(entries, text)):
        return (
            f"Not yet: the number {number} stands in no result. Use what the tools gave, or call one.",
            "ungrounded",
        )
    return None


def first_complaint(entries: Sequence[Entry]) -> str:
    """The call of an answer that went back just now, for the first time in this order; "" if none did.

    It is asked again as if it had not been, with a little chance: a small model that errs by chance then mostly gives the right
    answer, where told of its mistake it writes about that.
    """
    codes = [entry.step.code for entry in entries[_last_order(entries) :] if isinstance(entry.step, Returned)]
    last = entries[-1].step if entries else None
    once = sum(code in COMPLAINTS for code in codes) == 1
    return last.call if once and isinstance(last, Returned) and last.code in COMPLAINTS else ""


def _just_written(entries: Sequence[Entry], text: str) -> bool:
    """Whether the answer is what the model had written in the place of a call."""
    last = entries[-1].step if entries else None
    return isinstance(last, Thought) and " ".join(last.text.split()) == " ".join(text.split())


def _last_order(entries: Sequence[Entry]) -> int:
    return max((at for at, entry in enumerate(entries) if isinstance(entry.step, Ordered)), default=0)


def _worked(entries: Sequence[Entry]) -> set[str]:
    results = returned(entries)
    calls = [entry.step for entry in entries if isinstance(entry.step, Called)]
    return {call.tool for call in calls if call.call in results and results[call.call].status in ("ok", "cached")}


def _ungrounded(entries: Sequence[Entry], text: str) -> str:
    """A number of an answer of two digits or more that stands neither in the task nor in a call nor in a result."""
    known = set[str]()
    for entry in entries:
        step = entry.step
        if isinstance(step, Ordered) or (isinstance(step, Returned) and step.code not in ("ungrounded", "claim")):
            known |= _numbers(step.text)
        elif isinstance(step, Called) and step.tool != RESPOND:
            known |= _numbers(step.arguments)
    seen = [number for number in _NUMBER.findall(text) if len(number.replace(",", "").partition(".")[0]) >= 2]
    return next((number for number in seen if not _stands(_plain(number), known)), "")


def _numbers(text: str) -> set[str]:
    return {_plain(number) for number in _NUMBER.findall(text)}


def _plain(number: str) -> str:
    whole, point, rest = number.replace(",", "").partition(".")
    rest = rest.rstrip("0")
    return f"{whole.lstrip('0') or '0'}{point if rest else ''}{rest}"


def _stands(number: str, known: set[str]) -> bool:
    """Also as a rounding of a known one."""
    if number in known:
        return True
    digits = len(number.partition(".")[2])
    for each in known:
        try:
            if f"{float(each):.{digits}f}" == f"{float(number):.{digits}f}":
                return True
        except (ValueError, OverflowError):
            continue
    return False


def digest_text(tool: str, arguments: str) -> str:
    """The canonical text a call's digest is made of."""
    try:
        return canonical([tool, json.loads(arguments)])
    except ValueError:
        return canonical([tool, arguments])
