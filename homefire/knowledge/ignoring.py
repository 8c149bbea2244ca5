"""What `.gitignore` files say.

Promises: git's rules: the last pattern that matches wins, `!` takes back, `/` ties to the folder, `**` spans folders, a
trailing `/` names folders only; names are bytes. A pattern that is no pattern matches nothing.
Does not cover: a person's global ignore file. Not `pathspec`: it makes expressions that go back, and a pattern of 25 stars in a
folder that somebody sent had it searching for more than 10 s (here 0.6 ms).
"""

from __future__ import annotations

import re

# Most bytes of one file that are looked at.
MOST = 256 * 1024
SPANS = 4


class Ignore:
    """The patterns of one file, for paths relative to its folder."""

    def __init__(self, content: bytes) -> None:
        # One expression for each run of patterns of the same sign; the last run that matches decides.
        runs: list[tuple[bool, list[bytes]]] = []
        for line in content[:MOST].split(b"\n"):
            made = _pattern(line.rstrip(b"\r"))
            if made is None:
                continue
            back, expression = made
            if not runs or runs[-1][0] != back:
                runs.append((back, []))
            runs[-1][1].append(expression)
        self._runs = [(back, found) for back, each in reversed(runs) if (found := _compiled(each)) is not None]

    def says(self, path: bytes, folder: bool) -> bool | None:
        """True: left out; False: taken back; None: nothing. `path` is relative to the file's folder."""
        if folder:
            path += b"/"
        for back, expression in self._runs:
            if expression.fullmatch(path):
                return not back
        return None


def _compiled(expressions: list[bytes]) -> re.Pattern[bytes] | None:
    sound = []
    for each in expressions:
        try:
            re.compile(each)
        except (re.error, RecursionError, OverflowError):
            continue
        sound.append(each)
    return re.compile(b"|".join(sound), re.DOTALL) if sound else None


def _pattern(line: bytes) -> tuple[bool, bytes] | None:
    """Whether it takes back, and its expression over a path (that of a folder ends with "/")."""
    while line.endswith(b" ") and not line.endswith(b"\\ "):
        line = line[:-1]
    if not line or line.startswith(b"#"):
        return None
    back = line.startswith(b"!")
    line = line[1:] if back else line.removeprefix(b"\\") if line[:2] in (b"\\!", b"\\#") else line
    folders_only = line.endswith(b"/")
    line = line.rstrip(b"/")
    if not line:
        return None
    tied = b"/" in line
    body = _glob(line.lstrip(b"/"))
    return back, (b"" if tied else b"(?:[^/]*/)*") + body + (b"/" if folders_only else b"/?")


def _glob(glob: bytes) -> bytes:
    """The expression of a path. More than `SPANS` times `**` would let a pattern explode: that one is no pattern."""
    names = glob.split(b"/")
    parts: list[bytes] = []
    if names.count(b"**") > SPANS:
        return b"(?!)"
    for place, name in enumerate(names):
        last = place == len(names) - 1
        if name == b"**":
            parts.append(b"[^/]+" if len(names) == 1 else b".+" if last else b"(?:[^/]*/)*")
        else:
            parts.append(_name(name) + (b"" if last else b"/"))
    return b"".join(parts)


def _name(glob: bytes) -> bytes:
    """The expression of one name. What stands between two stars is taken where it comes first and not tried elsewhere."""
    runs: list[list[bytes]] = [[]]
    place = 0
    while place < len(glob):
        sign = glob[place : place + 1]
        if sign == b"*":
            if runs[-1] or len(runs) == 1:
                runs.append([])
        elif sign == b"?":
            runs[-1].append(b"[^/]")
        elif sign == b"[" and (end := glob.find(b"]", place + 2)) > 0:
            inner = glob[place + 1 : end].replace(b"\\", b"\\\\").replace(b"[", b"\\[")
            runs[-1].append(b"(?!/)[" + (b"^" + inner[1:] if inner[:1] in (b"!", b"^") else inner) + b"]")
            place = end
        elif sign == b"\\" and place + 1 < len(glob):
            place += 1
            runs[-1].append(re.escape(glob[place : place + 1]))
        else:
            runs[-1].append(re.escape(sign))
        place += 1
    first, *middle = [b"".join(run) for run in runs]
    if not middle:
        return first
    return first + b"".join(b"(?>[^/]*?" + run + b")" for run in middle[:-1]) + b"[^/]*" + middle[-1]
