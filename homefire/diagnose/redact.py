"""Takes secrets out of text, and with `anonymous` what tells whose machine it is.

Promises: pure once it is made; every text of a bundle passes through it (`bundle.py` has no other way); what is known to be a
secret of this home goes whatever it looks like, and so does what looks like a key, a token, a password in an address or
a login link. What is taken out leaves a mark that says of which kind it was.
Does not cover: a secret that looks like ordinary words and that this home does not know. A person reads the bundle first.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from homefire.paths import Paths

# Shorter ones would take ordinary words out.
SHORTEST_SECRET = 8
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)

# kind -> pattern; the group `keep`, where there is one, stays in front of the mark.
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private-key",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    ),
    ("login", re.compile(r"(?P<keep>[#?&]login=)[^\s\"'&<>]+")),
    ("key", re.compile(r"\bhomefire-[A-Za-z0-9_.~-]{20,}")),
    ("key", re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|\bhf_[A-Za-z0-9]{16,}|\bgh[opsur]_[A-Za-z0-9]{20,}")),
    ("key", re.compile(r"\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[\w-]{10,}")),
    ("token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?")),
    (
        "token",
        re.compile(
            r"(?P<keep>\b(?:bearer|basic|digest)\s+)(?=\S*[\d+/=._~-]|\S{20})[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE
        ),
    ),
    ("address", re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/?#@\"'<>]+@", re.IGNORECASE)),
    (
        "query",
        re.compile(
            r"(?P<keep>[?&;](?:[\w-]*(?:sig|signature|token|secret|password|key|credential|code|expires))=)[^\s&\"'<>]+",
            re.IGNORECASE,
        ),
    ),
    ("cookie", re.compile(r"(?P<keep>\bhomefire_\d+=)[^\s;\"']+")),
    (
        "value",
        re.compile(
            r"(?P<keep>\b[\w-]*(?:api[_-]?key|access[_-]?key|token|secret|password|passwd|authorization)[\"']?\s*[:=]\s*)"
            r"(?:\"(?:[^\"\\]|\\.){4,}\"|'[^']{4,}'|(?!\[)[^\s\"',;}\]]{8,})",
            re.IGNORECASE,
        ),
    ),
)


class Redactor:
    """See the module's text. `known` are secrets by their text; `found` counts what was taken out, by kind."""

    def __init__(self, known: Mapping[str, str], people: Mapping[str, str] | None = None) -> None:
        # The longest first: one may hold another.
        self._known = sorted(known.items(), key=lambda each: -len(each[0]))
        self._people = [(_whole(text), mark) for text, mark in sorted((people or {}).items(), key=lambda e: -len(e[0]))]
        self.found: Counter[str] = Counter()

    @classmethod
    def of(cls, paths: Paths, environment: Mapping[str, str], anonymous: bool) -> Redactor:
        """One that knows what this home and this environment hold."""
        known = {}
        for kind, secret in (*_secrets_of_home(paths), *_secrets_of(environment)):
            if len(secret) >= SHORTEST_SECRET:
                known[secret] = kind
                known[json.dumps(secret)[1:-1]] = kind
        return cls(known, _people(paths) if anonymous else None)

    def __call__(self, text: str) -> str:
        """The text without them."""
        for secret, kind in self._known:
            if times := text.count(secret):
                self.found[kind] += times
                text = text.replace(secret, f"[{kind}-taken-out]")
        for kind, pattern in PATTERNS:
            text, times = pattern.subn(partial(_marked, kind), text)
            self.found[kind] += times
        for person, mark in self._people:
            text, times = person.subn(mark, text)
            self.found["person"] += times
        return text


def _marked(kind: str, found: re.Match[str]) -> str:
    kept = found.groupdict().get("keep") or ""
    # No space in the mark: what is taken out twice reads as if it was once.
    return f"{kept}[{kind}-taken-out]{'@' if kind == 'address' else ''}"


def _whole(text: str) -> re.Pattern[str]:
    """A path may go on after it, a word may not."""
    return re.compile(rf"(?<![A-Za-z0-9_]){re.escape(text)}(?![A-Za-z0-9_])")


def _secrets_of_home(paths: Paths) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # none, or nothing that could be one
        yield from (("key", str(each)) for each in json.loads(paths.keys.read_text("utf-8")).values())
    try:
        tables = tomllib.loads(paths.secrets.read_text("utf-8"))
    except (OSError, ValueError):
        return
    yield from (("key", text) for text in _texts(tables))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)


def _secrets_of(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if _SECRET_NAME.search(name):
            yield "key", value


def _people(paths: Paths) -> dict[str, str]:
    """What tells whose machine this is, and what stands in its place."""
    found = {str(paths.home): "HOMEFIRE_HOME"}
    try:
        found.setdefault(str(Path.home()), "~")
        found[getpass.getuser()] = "USER"
    except (RuntimeError, KeyError, OSError, ImportError):  # an account without a name or a folder
        pass
    found[socket.gethostname()] = "HOST"
    found[os.environ.get("HOSTNAME", "")] = "HOST"
    return {text: mark for text, mark in found.items() if len(text) > 2}
