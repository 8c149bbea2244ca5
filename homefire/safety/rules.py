"""Rules of what may go in, as a person writes them: TOML, checked whole before any of it counts.

    [[rule]]
    id = "instructions-overridden"        # letters, digits, dashes
    kind = "pattern"                      # pattern | size | rate | topic
    where = ["web", "file"]               # user | tool_result | file | web
    action = "ask"                        # allow | ask | refuse | rewrite
    reason = "It tells the model to drop its instructions."
    patterns = ["ignore (?:all )?previous instructions"]

Promises: a file is either taken whole or refused with one error that names the file, the line and what is wrong; unknown
fields are refused. A person's rules stand before the shipped ones, which `[shipped] off = ["id"]` (or `off = ["*"]`) turns off.
Does not cover: what the rules decide (`policy.py`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, get_args

from homefire.errors import BadPolicy
from homefire.safety.normalise import without_accents
from homefire.safety.patterns import BadPattern, Pattern, parse

Kind = Literal["pattern", "size", "rate", "topic"]
Where = Literal["user", "tool_result", "file", "web"]
Action = Literal["allow", "ask", "refuse", "rewrite"]
SHIPPED = "policy.toml"
MOST_RULES, MOST_BYTES = 500, 1 << 20
# What each kind needs, and what it may have beside that.
_FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "pattern": (frozenset({"patterns"}), frozenset({"raw", "rewrite"})),
    "size": (frozenset({"characters"}), frozenset()),
    "rate": (frozenset({"requests", "seconds"}), frozenset()),
    "topic": (frozenset({"words", "least"}), frozenset()),
}
_ALWAYS = frozenset({"id", "kind", "where", "action", "reason"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `raw`: its patterns are matched against the text as it came, not against its plain forms; `number`: characters,
    requests, or how many of `words` have to be there."""

    id: str
    kind: Kind
    where: frozenset[Where]
    action: Action
    reason: str
    patterns: tuple[Pattern, ...] = ()
    raw: bool = False
    rewrite: str = ""
    number: int = 0
    seconds: int = 0
    words: frozenset[str] = frozenset()
    source: str = "shipped"


@dataclass(frozen=True, slots=True)
class Semantic:
    """Where the check by meaning looks, and what follows; `percent` moves its threshold (None: as calibrated)."""

    where: frozenset[Where]
    action: Action
    reason: str
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules in their order."""

    rules: tuple[Rule, ...]
    semantic: Semantic | None


def shipped_text() -> str:
    """The rules that come with Homefire, as TOML."""
    return (resources.files("homefire.safety") / SHIPPED).read_text("utf-8")


def load(own: Path | None) -> RuleSet:
    """The rules in force: the person's file, if it is there, before the shipped one. Raises BadPolicy."""
    shipped = read(shipped_text(), "the shipped policy.toml", tested=True)
    if own is None:
        return shipped
    try:
        text = own.read_text("utf-8")
    except FileNotFoundError:
        return shipped
    except (OSError, UnicodeDecodeError) as problem:
        raise BadPolicy(f"{own} cannot be read: {problem}.") from None
    mine = read(text, str(own))
    off = _off(text, str(own), shipped)
    kept = [rule for rule in shipped.rules if rule.id not in off and "*" not in off]
    taken = {rule.id for rule in mine.rules}
    if doubled := [rule.id for rule in kept if rule.id in taken]:
        raise BadPolicy(
            f"{own}, line {_line_of(text, doubled[0])}: a shipped rule is called '{doubled[0]}' too.",
            f'Call yours otherwise, or turn the shipped one off: [shipped] off = ["{doubled[0]}"]',
            param=doubled[0],
        )
    rules = (*(replace(rule, source="policy.toml") for rule in mine.rules), *kept)
    semantic = mine.semantic or (None if "*" in off or "semantic" in off else shipped.semantic)
    return RuleSet(rules, semantic)


def read(text: str, name: str, tested: bool = False) -> RuleSet:
    """Rules out of TOML. `tested`: their patterns were read by a test, and need not be before they are used. Raises BadPolicy,
    which names the line."""
    if len(text) > MOST_BYTES:
        raise BadPolicy(f"{name} is larger than 1 MiB.")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BadPolicy(f"{name} is not valid TOML: {problem}.") from None
    if unknown := set(found) - {"rule", "shipped", "semantic"}:
        raise BadPolicy(f"{name}: '{min(unknown)}' is no table of a policy.", param=min(unknown))
    rows = found.get("rule", [])
    if not isinstance(rows, list) or len(rows) > MOST_RULES or not all(isinstance(row, dict) for row in rows):
        raise BadPolicy(f"{name}: rules are written as [[rule]], at most {MOST_RULES}.")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*rule\s*\]\]", line)]
    rules: list[Rule] = []
    for at, row in enumerate(rows):
        where = f"{name}, line {lines[at] if len(lines) == len(rows) else '?'}"
        rule = _rule(row, where, tested)
        if any(rule.id == other.id for other in rules):
            raise BadPolicy(f"{where}: there are two rules called '{rule.id}'.", param=rule.id)
        rules.append(rule)
    return RuleSet(tuple(rules), _semantic(found.get("semantic"), name))


def _rule(row: dict[str, Any], where: str, tested: bool) -> Rule:
    name = row.get("id")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", name):
        raise BadPolicy(f"{where}: a rule needs an 'id' of lower-case letters, digits and dashes.", param="id")
    wrong = _Wrong(f"{where}, rule '{name}'", name)
    kind, action = str(row.get("kind")), str(row.get("action"))
    if kind not in get_args(Kind):
        raise wrong(f"'kind' must be one of {', '.join(get_args(Kind))}")
    if action not in get_args(Action):
        raise wrong(f"'action' must be one of {', '.join(get_args(Action))}")
    needed, optional = _FIELDS[kind]
    if missing := (_ALWAYS | needed) - set(row):
        raise wrong(f"'{min(missing)}' is missing")
    if unknown := set(row) - _ALWAYS - needed - optional:
        raise wrong(f"'{min(unknown)}' is no field of a {kind} rule")
    if (action == "rewrite") != ("rewrite" in row) or (action == "rewrite" and kind != "pattern"):
        raise wrong("the action 'rewrite' belongs to a pattern rule, with the new text in 'rewrite'")
    if not isinstance(row["reason"], str) or not 0 < len(row["reason"]) <= 500:
        raise wrong("'reason' must be text of 1 to 500 characters")
    places = _places(row["where"], wrong)
    rule = Rule(name, cast("Kind", kind), places, cast("Action", action), row["reason"])
    match kind:
        case "pattern":
            rewrite = row.get("rewrite", "")
            if not isinstance(rewrite, str) or len(rewrite) > 1000 or not isinstance(row.get("raw", False), bool):
                raise wrong("'rewrite' must be text of at most 1000 characters, 'raw' true or false")
            raw = bool(row.get("raw", False))
            return replace(rule, patterns=_patterns(row["patterns"], raw, tested, wrong), raw=raw, rewrite=rewrite)
        case "size":
            return replace(rule, number=_number(row, "characters", wrong))
        case "rate":
            if places != {"user"}:
                raise wrong("a rate counts requests: its 'where' is [\"user\"]")
            return replace(rule, number=_number(row, "requests", wrong), seconds=_number(row, "seconds", wrong, 86_400))
    words = _texts(row["words"], "words", wrong)
    if bad := [word for word in words if not re.fullmatch(r"[^\W_]{2,60}", word) or word != word.lower()]:
        raise wrong(f"'{bad[0][:60]}' is no single word in lower case")
    if (least := _number(row, "least", wrong)) > len(words):
        raise wrong(f"'least' is {least}, and there are {len(words)} words")
    return replace(rule, words=frozenset(map(without_accents, words)), number=least)


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Makes the error of one rule."""

    where: str
    rule: str

    def __call__(self, what: str) -> BadPolicy:
        return BadPolicy(f"{self.where}: {what}.", param=self.rule)


def _places(found: Any, wrong: _Wrong) -> frozenset[Where]:
    places = _texts(found, "where", wrong)
    if unknown := set(places) - set(get_args(Where)):
        raise wrong(f"'{min(unknown)[:60]}' is no place; there are {', '.join(get_args(Where))}")
    return frozenset(cast("Iterable[Where]", places))


def _patterns(found: Any, raw: bool, tested: bool, wrong: _Wrong) -> tuple[Pattern, ...]:
    made = []
    for text in _texts(found, "patterns", wrong):
        letters = re.sub(r"\\[DSW]", "", text)  # the sets in capitals are no letters
        if not raw and letters != letters.lower():
            raise wrong(f"the pattern {text[:80]!r} has capitals; texts are compared in lower case")
        try:
            plain = text if raw else without_accents(text)
            made.append(Pattern(plain) if tested else parse(plain))
        except BadPattern as problem:
            raise wrong(f"the pattern {text[:80]!r} {problem}") from None
    return tuple(made)


def _texts(found: Any, field: str, wrong: _Wrong) -> list[str]:
    if not isinstance(found, list) or not 0 < len(found) <= 1000 or not all(isinstance(each, str) for each in found):
        raise wrong(f"'{field}' must be a list of texts")
    return found


def _number(row: Mapping[str, Any], field: str, wrong: _Wrong, most: int = 10**9) -> int:
    found = row[field]
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
        raise wrong(f"'{field}' must be a whole number from 1 to {most}")
    return found


def _semantic(found: Any, name: str) -> Semantic | None:
    if found is None:
        return None
    wrong = _Wrong(f"{name}, [semantic]", "semantic")
    if not isinstance(found, dict) or set(found) - {"percent"} != {"where", "action", "reason"}:
        raise wrong("it has where, action and reason, and may have percent")
    percent = found.get("percent")
    if found["action"] not in ("ask", "refuse") or not isinstance(found["reason"], str):
        raise wrong("'action' must be ask or refuse, 'reason' text")
    if percent is not None and (not isinstance(percent, int) or not -100 <= percent <= 100):
        raise wrong("'percent' must be a whole number from -100 to 100")
    return Semantic(_places(found["where"], wrong), found["action"], found["reason"], percent)


def _off(text: str, name: str, shipped: RuleSet) -> set[str]:
    found = tomllib.loads(text).get("shipped", {})
    wrong = _Wrong(f"{name}, [shipped]", "shipped")
    if not isinstance(found, dict) or set(found) - {"off"}:
        raise wrong("it may have 'off' and nothing else")
    off = set(_texts(found["off"], "off", wrong)) if "off" in found else set()
    known = {rule.id for rule in shipped.rules} | {"*", "semantic"}
    if unknown := off - known:
        raise wrong(f"no shipped rule is called '{min(unknown)[:60]}'")
    return off


def _line_of(text: str, rule: str) -> int | str:
    lines = text.splitlines()
    return next((at for at, line in enumerate(lines, 1) if re.match(rf"\s*id\s*=\s*[\"']{rule}[\"']", line)), "?")
