"""The regular expressions that rules may use: a part of the language that Python and JavaScript read alike, and that cannot
run away.

    text -> parse -> width, ways, needs -> compiled by Python, or by `new RegExp(text, "u")` in a browser

Allowed: characters, `.`, classes, `(?:...)`, `|`, the repeats `?`, `{m}`, `{m,n}` (lazy too), and `\\b \\d \\D \\s \\S \\w \\W
\\n \\t`. A pattern that begins with a letter or a digit begins at the start of a word.
Promises: what is accepted matches a bounded piece of text, and from any one place there are at most MOST_WAYS ways to try;
what is not accepted is refused with its place, when rules are loaded and not when a text comes. `needs` are beginnings of
words that every match holds, `heads` what it begins with: most patterns need no search at all, the others a few tries.
Does not cover: anchors, groups that capture, looking around, references: rules do without. Case: texts come in lower case.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate, islice

MOST_WIDTH, MOST_WAYS, MOST_REPEATS, MOST_LENGTH = 1000, 20_000, 400, 2000
# With more ways to begin than these, fewer letters of them count. Where a text has more than one place in so many characters at
# which a pattern may begin, searching the whole text is quicker than trying each.
MOST_HEADS, PLACE_EVERY, MOST_PLACES = 64, 64, 16
# Words are known by so many first letters; shorter ones than the first number stand in every text.
SHORT, LONG = 3, 4  # as `beginnings` has them
_ESCAPABLE = frozenset("^$\\.*+?()[]{}|/")
_SETS, _CHARACTERS = frozenset("dDsSwW"), {"n": "\n", "t": "\t"}
_WORD = re.compile(r"[A-Za-z0-9_]+")
_ASCII = "".join(map(chr, range(128)))
_EVERYWHERE = frozenset(".,/-()` ")
_IN_WORDS = frozenset(each for each in _ASCII if _WORD.fullmatch(each))
# Bytes are changed by a table at once, characters one by one: texts are put into ASCII first, each other character a "?".
FOREIGN = b"?"
_NO_WORD = bytes(each if chr(each) in _IN_WORDS else 32 for each in range(256))
Needs = tuple[frozenset[str], ...]
Heads = frozenset[tuple[str, bool]]
_NOTHING: Heads = frozenset({("", True)})
_ANYTHING: Heads = frozenset({("", False)})


class BadPattern(ValueError):
    """What is wrong with a pattern, and where."""


@dataclass(frozen=True, slots=True)
class _Node:
    """`high`: the most characters it matches; `ways` it can be tried in from one place; `needs`: one of each set begins a word
    in every match; `letter`: the one character it stands for; `prefix`: what every match begins with; `only`: a set of which
    it is one character or several; `foreign`: every match has a character that is not ASCII; `begins`: with one that words are
    made of; `heads`: every match begins with one of these, at most LONG characters, and (true) is no more than it."""

    low: int
    high: int
    ways: int = 1
    needs: Needs = ()
    letter: str = ""
    prefix: str = ""
    only: str = ""
    foreign: bool = False
    begins: bool = False
    heads: Heads = _ANYTHING


class Beginnings:
    """What the patterns have to know of a text: the first letters of its words (runs of ASCII letters, digits, underscores),
    and, once asked for, where something stands. `heads`: of the patterns that will be asked for; None: of any."""

    def __init__(self, text: str, heads: frozenset[str] | None = None) -> None:
        self.text = text
        self._heads = heads
        self._words = text.encode("ascii", "replace").translate(_NO_WORD).decode("ascii").split(" ")
        self._different = set(self._words)
        long = {word[:LONG] for word in self._different}
        self.keys = long | {word[:SHORT] for word in long}
        self.most = MOST_PLACES + len(text) // PLACE_EVERY

    @cached_property
    def starts(self) -> dict[str, list[int]]:
        """Where the words stand that begin as heads do, by their first LONG letters."""
        heads, found = self._heads, defaultdict[str, list[int]](list)
        words = self._different if heads is None else {word for word in self._different if word[:LONG] in heads}
        ends = [0, *accumulate(map(len, self._words))]
        for at, word in enumerate(self._words):
            if word in words:
                found[word[:LONG]].append(ends[at] + at)
        return found

    def places(self, head: str) -> Iterator[int]:
        """Where else a head stands."""
        at = -1
        while (at := self.text.find(head, at + 1)) >= 0:
            yield at


beginnings = Beginnings


@dataclass(frozen=True)
class Pattern:
    """A pattern as it was written. It is read and compiled when it is first needed, which most are never; `parse` reads it at
    once."""

    source: str

    @cached_property
    def _read(self) -> tuple[str, _Node]:
        return _read(self.source)

    @property
    def text(self) -> str:
        """As both languages compile it."""
        return self._read[0]

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """As Python searches with it."""
        return _compiled(self.text)

    @cached_property
    def heads(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """What a match may begin with: keys of words, and other pieces of text; nothing if it may begin with anything."""
        node = self._read[1]
        heads = {_shorter(head, node.begins) for head, _ in node.heads}
        others = {head for head, is_key in heads if not is_key}
        return (frozenset(), ()) if "" in others else (frozenset(h for h, is_key in heads if is_key), tuple(others))

    def search(self, text: str, known: Beginnings | None = None) -> re.Match[str] | None:
        """The first match in a text, if there is one; `known` are its beginnings."""
        node = self._read[1]
        run = FOREIGN * node.low if node.only else b""
        if node.foreign and (text.isascii() or (run and run not in text.encode("ascii", "replace"))):
            return None
        if known and any(map(known.keys.isdisjoint, node.needs)):
            return None
        words, others = self.heads
        if known is None or not (words or others):
            return self.compiled.search(text)
        places: list[int] = []
        for key in known.starts.keys() & words:
            places += known.starts[key]
        for head in others:
            places += islice(known.places(head), known.most + 1)
        if len(places) > known.most:
            return self.compiled.search(text)
        return next(filter(None, (self.compiled.match(text, place) for place in sorted(places))), None)


def _shorter(head: str, begins: bool) -> tuple[str, bool]:
    """What is looked for instead of a head, and whether that is a key of words."""
    # One character that words are not made of is found so quickly that more would cost more, unless it stands everywhere.
    if (word := _WORD.match(head)) is None:
        return head if head[:1] in _EVERYWHERE else head[:1], False
    return (word[0], True) if begins and (len(word[0]) == LONG or len(word[0]) < len(head)) else (head, False)


def heads_of(patterns: Iterable[Pattern]) -> frozenset[str]:
    """The keys of words that patterns may begin with."""
    return frozenset[str]().union(*(pattern.heads[0] for pattern in patterns))


def parse(text: str) -> Pattern:
    """Reads a pattern. Raises BadPattern."""
    _read(text)
    return Pattern(text)


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[str, _Node]:
    if not 0 < len(text) <= MOST_LENGTH:
        raise BadPattern(f"has {len(text)} characters; 1 to {MOST_LENGTH} are allowed")
    node = _whole(_Reader(text))
    if node.low == 0:
        raise BadPattern("can match nothing at all")
    if node.high > MOST_WIDTH:
        raise BadPattern(f"can match {node.high} characters; at most {MOST_WIDTH} are allowed")
    if node.ways > MOST_WAYS:
        raise BadPattern(f"can be tried in {node.ways} ways from one place; at most {MOST_WAYS} are allowed")
    return (rf"\b(?:{text})", _whole(_Reader(text, fresh=True))) if node.begins else (text, node)


@lru_cache(maxsize=4096)
def _compiled(text: str) -> re.Pattern[str]:
    # ASCII: then \w, \d, \s and \b mean what they mean in JavaScript.
    return re.compile(text, re.ASCII)


def _whole(reader: _Reader) -> _Node:
    node = reader.alternatives()
    if reader.at < len(reader.text):
        raise reader.wrong("a ')' without its '('")
    return node


class _Reader:
    """Reads a pattern from left to right. `fresh`: a word would begin here."""

    def __init__(self, text: str, fresh: bool = False) -> None:
        self.text = text
        self.at = 0
        self.fresh = fresh

    def wrong(self, what: str) -> BadPattern:
        return BadPattern(f"has {what} at character {self.at + 1}")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def alternatives(self) -> _Node:
        fresh = self.fresh
        nodes, ends = [self.sequence()], [self.fresh]
        while self.peek() == "|":
            self.at += 1
            self.fresh = fresh
            nodes.append(self.sequence())
            ends.append(self.fresh)
        self.fresh = all(ends)
        if len(nodes) == 1:
            return nodes[0]
        # Two alternatives can match at one place only if one begins as the other does.
        ways = max(
            sum(b.ways for b in nodes if a.prefix.startswith(b.prefix) or b.prefix.startswith(a.prefix)) for a in nodes
        )
        best = [max(node.needs, key=_worth, default=frozenset()) for node in nodes]
        needs = (frozenset().union(*best),) if all(best) else ()
        low, high = min(node.low for node in nodes), max(node.high for node in nodes)
        foreign, begins = all(node.foreign for node in nodes), all(node.begins for node in nodes)
        heads = frozenset[tuple[str, bool]]().union(*(node.heads for node in nodes))
        return _Node(low, high, ways, needs, foreign=foreign, begins=begins, heads=heads)

    def sequence(self) -> _Node:
        parts: list[_Node] = []
        needs: list[frozenset[str]] = []
        run, run_fresh = "", self.fresh
        while (now := self.peek()) and now not in "|)":
            before = self.fresh
            node = self.repeated(self.atom(), before)
            parts.append(node)
            if node.letter:
                run, run_fresh = run + node.letter, run_fresh if run else before
            else:
                needs += [*_words(run, run_fresh), *node.needs]
                run = ""
        needs += _words(run, run_fresh)
        prefix, ways, is_open, heads = "", 1, True, _NOTHING
        for at, node in enumerate(parts):
            heads = _followed(heads, node.heads)
            following = next((part for part in parts[at + 1 :] if part.high), _Node(0, 0))
            # A repeat of a set ends where the set does, if what follows begins with none of it.
            ends = node.only and following.low and following.prefix
            ways *= 1 if ends and not re.match(node.only, following.prefix, re.ASCII) else node.ways
            if is_open:
                prefix += node.prefix
                is_open = bool(node.letter) or not node.high
        low, high = sum(node.low for node in parts), sum(node.high for node in parts)
        only = parts[0].only if len(parts) == 1 else ""
        letter = parts[0].letter if len(parts) == 1 else ""
        foreign = any(node.foreign for node in parts)
        firsts = [node for node in parts if node.high]
        last = next((at for at, node in enumerate(firsts) if node.low), len(firsts) - 1)
        begins = all(node.begins for node in firsts[: last + 1])
        return _Node(low, high, ways, tuple(needs), letter, prefix, only, foreign, begins, heads)

    def atom(self) -> _Node:
        now = self.peek()
        self.at += 1
        if now == "(":
            if self.text[self.at : self.at + 2] != "?:":
                raise self.wrong("a group that is not (?:...)")
            self.at += 2
            node = self.alternatives()
            if self.peek() != ")":
                raise self.wrong("a '(' without its ')'")
            self.at += 1
            return replace(node, letter="")
        if now == "[":
            start = self.at - 1
            self.character_class()
            self.fresh = False
            only = self.text[start : self.at]
            few = re.fullmatch(r"\[([^\\^-]{1,8})\]", only)
            heads = frozenset((each, True) for each in few[1]) if few else _ANYTHING
            return _Node(1, 1, only=only, foreign=not re.search(only, _ASCII), heads=heads)
        if now == "\\":
            return self.escape()
        if now in "*+?{":
            raise self.wrong(f"a repeat '{now}' of nothing")
        if now in "^$]}":
            raise self.wrong(f"'{now}', which has to be written '\\{now}'")
        if now == ".":
            self.fresh = False
            return _Node(1, 1)
        return self.character(now)

    def character(self, letter: str) -> _Node:
        self.fresh = not _WORD.fullmatch(letter)
        return _Node(1, 1, letter=letter, prefix=letter, foreign=not letter.isascii(), begins=not self.fresh,
                     heads=frozenset({(letter, True)}))  # fmt: skip

    def escape(self) -> _Node:
        now = self.peek()
        self.at += 1
        if now == "b":
            self.fresh = True
            return _Node(0, 0, heads=_NOTHING)
        if now in _SETS and now:
            self.fresh = False
            return _Node(1, 1, only=f"\\{now}")
        if now and (now in _CHARACTERS or now in _ESCAPABLE):
            return self.character(_CHARACTERS.get(now, now))
        raise self.wrong(f"'\\{now}', which is not allowed")

    def character_class(self) -> None:
        """Reads up to the closing bracket."""
        if self.peek() == "^":
            self.at += 1
        count = 0
        while (now := self.peek()) != "]":
            self.at += 1
            if not now:
                raise self.wrong("a '[' without its ']'")
            if now == "[" or (now in "&|~-" and self.peek() == now):  # sets of sets, in newer forms of both languages
                raise self.wrong(f"'{now}' inside a class, which has to be escaped or moved")
            if now == "\\":
                following = self.peek()
                self.at += 1
                if not following or following not in _ESCAPABLE | _SETS | {"n", "t", "-"}:
                    raise self.wrong(f"'\\{following}' inside a class")
            count += 1
        self.at += 1
        if not count:
            raise self.wrong("an empty class")

    def repeated(self, node: _Node, before: bool) -> _Node:
        """`before`: whether a word would have begun where the repeated thing begins."""
        now = self.peek()
        if now and now in "*+":
            raise self.wrong(f"the repeat '{now}' without an end; write {{0,40}} or the like")
        if not now or now not in "?{":
            return node
        low, high = (0, 1) if now == "?" else self.bounds()
        self.at += 1 if now == "?" else 0
        if node.high == 0:
            raise self.wrong("a repeat of nothing")
        self.lazy()
        ways = 0
        for count in range(low, high + 1):
            ways += node.ways**count if node.ways > 1 else 1
            if ways > MOST_WAYS:
                break
        self.fresh = self.fresh and (before or low > 0)
        needs, prefix, foreign = (node.needs, node.prefix, node.foreign) if low else ((), "", False)
        if node.letter and low:
            needs = ()
        only = node.only if node.high == 1 else ""
        heads = node.heads if high == 1 else frozenset((head, ends and not head) for head, ends in node.heads)
        return _Node(
            node.low * low, node.high * high, ways, needs, prefix=prefix, only=only, foreign=foreign, begins=node.begins,
            heads=heads if low else heads | _NOTHING,
        )  # fmt: skip

    def bounds(self) -> tuple[int, int]:
        found = re.compile(r"\{(\d{1,3})(,(\d{1,3}))?\}").match(self.text, self.at)
        if not found:
            raise self.wrong("a '{' that is no repeat")
        low = int(found[1])
        high = int(found[3]) if found[2] else low
        if not low <= high <= MOST_REPEATS or high == 0:
            raise self.wrong(f"a repeat that is not from 0 to {MOST_REPEATS}")
        self.at = found.end()
        return low, high

    def lazy(self) -> None:
        if self.peek() == "?":
            self.at += 1
        if self.peek() and self.peek() in "*+?{":
            raise self.wrong("a repeat of a repeat")


def _followed(first: Heads, then: Heads) -> Heads:
    """What two things begin with, one after the other."""
    whole = [head for head, ends in first if ends]
    if len(whole) * len(then) > MOST_HEADS:
        return frozenset((head, False) for head, _ in first)
    made = {((head + more)[:LONG], ends and len(head + more) < LONG) for head in whole for more, ends in then}
    return frozenset(made).union(each for each in first if not each[1])


def _words(run: str, fresh: bool) -> list[frozenset[str]]:
    """The words that begin inside a run of characters, by their first letters; the first one only if a word begins there."""
    found = []
    for word in _WORD.finditer(run):
        if (word.start() or fresh) and len(word[0]) >= SHORT:
            found.append(frozenset({word[0][:LONG]}))
    return found


def _worth(words: frozenset[str]) -> tuple[int, int]:
    """Long words that are few are looked for first."""
    return min(map(len, words)), -len(words)
