"""The plain way to decide by rules: every pattern searched over the whole of every form of a text, and the forms made one
character class after another. It is slow and easy to read; `test_policy_quick.py` holds the quick way against it.

Promises: shares with the quick way the patterns as they are compiled and the readers of notations, and none of its shortcuts.
Does not cover: rewriting, topics, sizes, rates: nothing about them was made quicker.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

from homefire.safety import normalise as quick
from homefire.safety.rules import RuleSet, Where

INVISIBLE = re.compile(f"[{quick.INVISIBLE}]")
LOOK_ALIKE = {ord(letter): plain for letters, plain in quick.LOOK_ALIKE for letter in letters}
LEET = str.maketrans(*quick.LEET)
APART = str.maketrans(".*_-", "    ")
REFERENCE = re.compile(r"&#(?:\d{2,7}|[xX][0-9a-fA-F]{2,6});|\\u[0-9a-fA-F]{4}")
LETTERS = re.compile(r"[2-7][0-9a-fA-F](?:(?:[ :,]|\\x|0x)?[2-7][0-9a-fA-F]){5}")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
HEXADECIMAL = re.compile(r"(?:\b|\\x)(?:[0-9a-fA-F]{2}(?: |:|,|\\x|0x)?){10,}")
ESCAPE = re.compile(quick.ESCAPE)


def base(text: str) -> str:
    """As `normalise.base`."""
    return " ".join(quick.without_accents(ESCAPE.sub("", text)).lower().split())


def views(text: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """As `normalise.views`: kind and text."""
    plain = base(text)
    yield "base", plain
    if not text.isascii() and any(ord(each) in LOOK_ALIKE for each in plain):
        yield "folded", plain.translate(LOOK_ALIKE)
    if not text.isascii() and INVISIBLE.search(text):
        yield "gaps", base(INVISIBLE.sub(" ", text))
    if re.search(r"[a-z][0134578@$][a-z]", plain):
        yield "leet", plain.translate(LEET)
    if re.search(r" [a-z] [a-z] [a-z]\b", " " + plain.translate(APART)):
        yield "spaced", quick._unspaced(text)
    for said in _decoded(text):
        if depth < quick.MOST_DEPTH:
            yield from (("decoded", inner) for _, inner in views(said, depth + 1))
    if depth == 0 and any(word in plain for word in quick._rot13_words):
        yield "rot13", codecs.encode(plain, "rot13")


def _decoded(text: str) -> Iterator[str]:
    left, runs = quick.MOST_DECODED, 0
    notations = [(BASE64, quick._read_base64)]
    if LETTERS.search(text):
        notations.append((HEXADECIMAL, quick._read_hexadecimal))
    for pattern, read in notations:
        for found in pattern.finditer(text):
            if runs >= quick.MOST_RUNS or left <= 0:
                break
            said = read(found[0][: left * 2])
            if said and quick._is_text(said):
                runs, left = runs + 1, left - len(said)
                yield said
    part = text[: quick.MOST_DECODED]
    if re.search("%[0-9a-fA-F]{2}", part) and (said := unquote(part, errors="replace").replace("+", " ")) != part:
        yield said
    if REFERENCE.search(part):
        said = html.unescape(re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), part))
        yield said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decide(found: RuleSet, text: str, where: Where) -> tuple[str, str, str]:
    """Action, rule and form of the first rule that finds something; ("allow", "", "") if none does."""
    forms = list(views(text))
    for rule in found.rules:
        if where in rule.where and rule.kind == "pattern":
            for kind, form in [("raw", text)] if rule.raw else forms:
                if any(pattern.compiled.search(form) for pattern in rule.patterns):
                    return rule.action, rule.id, kind
    return "allow", "", ""
