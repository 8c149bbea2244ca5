"""Writes a bundle: a zip of text files with an index that says what is in it and why.

Promises: a part that falls over is a line in the index, never the end of the bundle; every byte passes through the redactor; the
file is this user's alone, replaces nothing, and is there whole or not at all; no text is longer than `MOST_TEXT`, all together
not longer than `MOST_BYTES`; the same texts give the same bytes. Nothing is sent.
Does not cover: what the parts hold (`parts.py`).
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import homefire
from homefire.diagnose.parts import Part, as_text, parts
from homefire.diagnose.redact import Redactor
from homefire.errors import HomefireError, InvalidRequest
from homefire.paths import Paths, from_os

MOST_TEXT = 2 * 2**20
MOST_BYTES = 16 * 2**20
# The oldest date that a zip can hold, so that the same texts give the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)
INTRODUCTION = """\
What Homefire {version} knows about itself on this machine, made on {made} because somebody typed `homefire diagnose`.
Nothing was sent anywhere. These are plain text files: read them before you hand them on.

In it: versions, hardware, which settings are set, the checks of `homefire doctor`, logs and crash dumps, why models came and
went, counts. Model names stand in it. Not in it: prompts and answers, conversations, keys, the values of free-text settings.
Taken out because it looked like a secret{people}: {taken}

"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the index. `problem` says why the part is missing, "" if it is there."""

    name: str
    why: str
    bytes: int
    problem: str = ""


def write(target: Path, paths: Paths, environment: Mapping[str, str], *, logs: bool, anonymous: bool) -> dict[str, Any]:
    """Writes the bundle to `target`, which must not exist; returns what is in it. Raises InvalidRequest, DiskFull."""
    redact = Redactor.of(paths, environment, anonymous)
    texts, entries = collect(parts(paths, environment, logs=logs), redact)
    about = {
        "version": homefire.__version__,
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "anonymous": anonymous,
        "taken_out": {kind: times for kind, times in sorted(redact.found.items()) if times},
        "files": [asdict(entry) for entry in entries],
    }
    texts = {"INDEX.txt": _index(about, entries), "index.json": as_text(about), **texts}
    _save(target, {name: text.encode("utf-8", "replace") for name, text in texts.items()})
    return {"path": str(target), "bytes": target.stat().st_size, "sent": False, **about}


def collect(wanted: list[Part], redact: Redactor) -> tuple[dict[str, str], list[Entry]]:
    """The texts by their names, and a line about each part."""
    texts: dict[str, str] = {}
    entries: list[Entry] = []
    spent = 0
    for part in wanted:
        name = redact(part.name)
        try:
            text = redact(as_text(part.make()))
        except HomefireError as problem:
            entries.append(Entry(name, part.why, 0, redact(f"{problem.code}: {problem.message}")))
            continue
        except Exception as problem:  # whatever is broken here is what the bundle is about: the other parts must come
            entries.append(Entry(name, part.why, 0, redact(f"{type(problem).__name__}: {problem}"[:2000])))
            continue
        text = text if len(text) <= MOST_TEXT else f"[the first part is left out]\n{text[-MOST_TEXT:]}"
        size = len(text.encode("utf-8", "replace"))
        if spent + size > MOST_BYTES:
            entries.append(Entry(name, part.why, 0, "left out: the bundle is full"))
            continue
        spent += size
        texts[name] = text
        entries.append(Entry(name, part.why, size))
    return texts, entries


def _index(about: Mapping[str, Any], entries: list[Entry]) -> str:
    taken = ", ".join(f"{kind} {times} times" for kind, times in about["taken_out"].items()) or "nothing"
    people = ", or told whose machine this is" if about["anonymous"] else ""
    head = INTRODUCTION.format(version=about["version"], made=about["made"], taken=taken, people=people)
    width = max((len(entry.name) for entry in entries), default=0)
    rows = [
        f"{entry.name:{width}}  {entry.bytes:>9,}  {entry.why}{f' - MISSING: {entry.problem}' if entry.problem else ''}"
        for entry in entries
    ]
    return head + "\n".join(rows) + "\n"


def _save(target: Path, texts: Mapping[str, bytes]) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in texts.items():
            row = zipfile.ZipInfo(name, DATE)
            row.compress_type = zipfile.ZIP_DEFLATED
            row.external_attr = 0o100600 << 16
            archive.writestr(row, data)
    try:
        file = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise InvalidRequest(
            f"{target} is there already.", "Name another file with --output.", param="output"
        ) from None
    except OSError as problem:
        raise InvalidRequest(
            f"{target} cannot be written: {problem.strerror}.", "Name another file.", param="output"
        ) from None
    try:
        with file:
            file.write(made.getbuffer())
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        target.unlink(missing_ok=True)
        raise from_os(problem, target) from None
