"""What a person types, as atoms: plain words, "phrases", prefix*, +must, -not.

Promises: pure; every string is a query and none is an error: what is no operator is text (`--json`, `a:b`, `foo(bar`, a quote
that is never closed). Time grows with the length alone.
Does not cover: how an atom is looked up (`words.py`), regular expressions (`scan.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MAX_QUERY = 16 * 1024
"""Characters of the longest query; `Words.search` refuses a longer one."""
MAX_ATOMS = 100
"""Different atoms that are looked up; the rest of a longer query is not."""

# Words of the language's grammar: dropped from a query that has others, because each would score most of all texts.
_GRAMMAR = """a an and any are as at be been but by can could did do does for from had has have how i if in into is it its me my
no not of on or our she should so some such than that the their them then there these they this those to us was we were what when
where which while who whom why will with would you your"""
STOP_WORDS = frozenset(_GRAMMAR.split())
_ATOM = re.compile(r'(?P<sign>(?<!\S)[+-](?=[\w"]))?(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+)|")')


@dataclass(frozen=True, slots=True)
class Atom:
    """One thing to look for. `sign` is "+" (must be there), "-" (must not) or "" (the more of these, the better)."""

    text: str
    kind: Literal["word", "phrase", "prefix"]
    sign: Literal["", "+", "-"] = ""


def parse(query: str) -> tuple[Atom, ...]:
    """The atoms of a query, each once, in its order; words of grammar are dropped where others remain."""
    atoms: dict[Atom, None] = {}
    for match in _ATOM.finditer(query):
        sign: Literal["", "+", "-"] = "+" if match["sign"] == "+" else "-" if match["sign"] else ""
        if match["phrase"] is not None:
            atoms[Atom(match["phrase"], "phrase", sign)] = None
        elif match["word"] is not None:
            atoms[_word(match["word"], sign)] = None
        if len(atoms) >= MAX_ATOMS * 2:
            break
    content = [atom for atom in atoms if not _is_grammar(atom)]
    return tuple(content if any(atom.sign != "-" for atom in content) else atoms)[:MAX_ATOMS]


def _word(text: str, sign: Literal["", "+", "-"]) -> Atom:
    # One letter and a star would mean a large part of the dictionary: it is a letter with a mark behind it.
    if text.endswith("*") and sum(letter.isalnum() for letter in text) > 1 and text[-2].isalnum():
        return Atom(text[:-1], "prefix", sign)
    return Atom(text, "word", sign)


def _is_grammar(atom: Atom) -> bool:
    plain = atom.text.strip(".,;:!?()'").lower()
    return atom.kind == "word" and not atom.sign and (plain in STOP_WORDS or not any(c.isalnum() for c in plain))
