"""What may go in: rules in their order, and a decision that says which one decided, where and why.

    text, where it comes from -> rule after rule -> the first that allows, asks or refuses decides; one that rewrites changes
    the text and the next rule sees the new one -> nothing decided: allow

Promises: pure but for its clock and what it remembers of rates and of texts seen before; a text of any length is read in
pieces, so that whoever calls `steps` can let others work in between; what a rule rewrites is looked at again, and refused if
the rule still finds it.
Does not cover: meaning (`semantic.py`), what comes out (`boundary.py`).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

from homefire.errors import BadSetting
from homefire.safety.normalise import View, locate, views
from homefire.safety.patterns import MOST_WIDTH, Beginnings, beginnings, heads_of
from homefire.safety.rules import Action, Rule, RuleSet, Where

Mode = Literal["rules", "semantic", "full"]
# A piece takes a few milliseconds; pieces overlap by what a pattern can match, four times as wide in the text as it came.
PIECE, OVERLAP = 64 * 1024, 4 * MOST_WIDTH
REMEMBERED, MOST_KEYS, MOST_REWRITES = 2048, 4096, 5
_WORD = re.compile(r"[^\W_]{2,60}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided. `span`: the piece of the text as it came that the rule found; `view`: the form of it in which it did;
    `text`: the text to go on with, None if it is unchanged; `wait`: seconds until a rate allows more; `note`: what could not
    be checked."""

    action: Action = "allow"
    rule: str = ""
    reason: str = ""
    where: Where = "user"
    span: tuple[int, int] | None = None
    view: str = ""
    text: str | None = None
    mode: Mode = "rules"
    wait: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Hit:
    """A rule that found something: its place in the order, and where."""

    at: int
    span: tuple[int, int]
    view: str


def mode_of(text: str) -> Mode:
    """The setting `safety_mode`. Raises BadSetting."""
    for mode in get_args(Mode):
        if text == mode:
            found: Mode = mode
            return found
    raise BadSetting(f"'safety_mode' must be one of {', '.join(get_args(Mode))}, not {text!r}.", param="safety_mode")


class Policy:
    """The rules in force. Used on one event loop."""

    def __init__(self, found: RuleSet, mode: Mode = "rules", now: Callable[[], float] = time.monotonic) -> None:
        self.found = found
        self.mode = mode
        self._now = now
        self._remembered: OrderedDict[tuple[Where, bytes], Decision] = OrderedDict()
        self._rates: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    @cached_property
    def _heads(self) -> frozenset[str]:
        return heads_of(pattern for rule in self.found.rules if not rule.raw for pattern in rule.patterns)

    def admit(self, key: str) -> Decision:
        """Counts one request of a key against the rates."""
        now = self._now()
        for rule in self.found.rules:
            if rule.kind != "rate":
                continue
            times = self._rates.setdefault((rule.id, key), deque())
            self._rates.move_to_end((rule.id, key))
            while times and times[0] <= now - rule.seconds:
                times.popleft()
            if len(times) >= rule.number:
                if rule.action == "allow":
                    continue
                wait = times[0] + rule.seconds - now
                return Decision(rule.action, rule.id, rule.reason, mode=self.mode, wait=wait)
            times.append(now)
        while len(self._rates) > MOST_KEYS:
            self._rates.popitem(last=False)
        return Decision(mode=self.mode)

    def check(self, text: str, where: Where) -> Decision:
        """What to do with a text."""
        steps = self.steps(text, where)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                decision: Decision = end.value
                return decision

    def steps(self, text: str, where: Where) -> Generator[None, None, Decision]:
        """The same, with a pause wherever others should get their turn."""
        known = where, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if (found := self._remembered.get(known)) is not None:
            self._remembered.move_to_end(known)
            return found
        found = yield from self._decide(text, where)
        if found.text is None:  # a rewritten text may be long, and is rare
            self._remembered[known] = found
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def _decide(self, text: str, where: Where) -> Generator[None, None, Decision]:
        rules = tuple(rule for rule in self.found.rules if where in rule.where and rule.kind != "rate")
        decision = Decision(where=where, mode=self.mode)
        first = 0
        while (hit := (yield from self._first_hit(text, rules, first))) is not None:
            rule = rules[hit.at]
            if rule.action == "allow" and decision.text is not None:
                return decision
            # After a rewriting the places are no longer those of the text as it came.
            span = hit.span if decision.text is None else None
            decision = replace(decision, action=rule.action, rule=rule.id, reason=rule.reason, span=span, view=hit.view)
            if rule.action != "rewrite":
                return decision
            changed = _rewritten(text, rule)
            if changed is None:
                return replace(decision, action="refuse", reason=f"{rule.reason} It could not be taken out.")
            text, first = changed, hit.at + 1
            decision = replace(decision, text=text)
        return decision

    def _first_hit(self, text: str, rules: tuple[Rule, ...], first: int) -> Generator[None, None, _Hit | None]:
        best: _Hit | None = None
        for at in range(first, len(rules)):
            if rules[at].kind == "size" and len(text) > rules[at].number:
                best = _Hit(at, (rules[at].number, len(text)), "raw")
                break
        for offset in range(0, max(1, len(text)), PIECE):
            last = best.at if best is not None else len(rules)
            piece = text[offset : offset + PIECE + OVERLAP]
            hit = _hit(piece, rules[:last], first, lambda: self._heads)
            if hit is not None:
                start, end = hit.span
                best = _Hit(hit.at, (start + offset, end + offset), hit.view)
            if offset + PIECE < len(text):
                yield
        return best


def _hit(piece: str, rules: tuple[Rule, ...], first: int, heads: Callable[[], frozenset[str]]) -> _Hit | None:
    """The first rule from `first` on that finds something in a piece; `heads` of all rules."""
    forms: list[tuple[View, Beginnings]] | None = None
    for at in range(first, len(rules)):
        rule = rules[at]
        if rule.kind == "size":
            continue
        if rule.raw:
            for pattern in rule.patterns:
                if found := pattern.search(piece):
                    return _Hit(at, found.span(), "raw")
            continue
        forms = [(view, beginnings(view.text, heads())) for view in views(piece)] if forms is None else forms
        for view, known in forms:
            if span := _place(rule, view, known):
                return _Hit(at, locate(piece, view, *span), view.kind)
    return None


def _place(rule: Rule, view: View, known: Beginnings) -> tuple[int, int] | None:
    for pattern in rule.patterns:
        if found := pattern.search(view.text, known):
            return found.span()
    if rule.words and view.kind in ("base", "folded"):
        there = rule.words.intersection(_WORD.findall(view.text))
        if len(there) >= rule.number:
            places = [(view.text.index(word), len(word)) for word in there]
            return min(places)[0], max(map(sum, places))
    return None


def _rewritten(text: str, rule: Rule) -> str | None:
    """The text with everything the rule finds replaced; None if the rule still finds something."""
    for _ in range(MOST_REWRITES):
        spans = _all_spans(text, rule)
        if not spans:
            return text
        pieces, last = [], 0
        for start, end in spans:
            pieces += [text[last:start], rule.rewrite]
            last = end
        text = "".join([*pieces, text[last:]])
    return text if not _all_spans(text, rule) else None


def _all_spans(text: str, rule: Rule) -> list[tuple[int, int]]:
    """Where a rule finds something, in order, none over another."""
    found: list[tuple[int, int]] = []
    for pattern in rule.patterns:
        if rule.raw:
            found += [each.span() for each in pattern.compiled.finditer(text)]
            continue
        for view in views(text):
            found += [locate(text, view, *each.span()) for each in pattern.compiled.finditer(view.text)]
    return _merged(found)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
