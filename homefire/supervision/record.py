"""What is written down about children: how one ended, the log of restarts, and logs that grow.

The log of restarts is a file with one line of JSON for each crash and one more when the child is back; two processes append to
it: the daemon about its engines, `upkeep.py` about the daemon.
Promises: loads little (no asyncio: `upkeep.py` stays small); writing the log never raises; it stays below two megabytes with the
one put aside.
Does not cover: who writes when (`restarts.py`, `upkeep.py`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger(__name__)

# What of the parent's environment a child needs to run at all; nothing else is handed on.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
             "HIP_VISIBLE_DEVICES", "VIRTUAL_ENV", "PYTHONPATH")  # fmt: skip
LOG_LIMIT = 8 * 1024 * 1024
KEPT = 200
FILE_LIMIT = 1024 * 1024


def exit_code(code: int) -> int:
    """A process's exit code, negative for a signal: a shell and bubblewrap tell of a signal inside as 128 and its number."""
    return 128 - code if 128 < code <= 192 else code


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended. `expected` is true when `stop` asked for it; `why` says what it had done for us to end it otherwise."""

    code: int
    expected: bool
    ran_seconds: float
    was_ready: bool = True
    why: str = ""

    @property
    def from_outside(self) -> bool:
        """Whether somebody else ended it: a person, or a system whose memory ran out."""
        return not self.expected and not self.why and self.code in (-signal.SIGKILL, -signal.SIGTERM)

    def describe(self) -> str:
        """In words, such as "was killed by SIGSEGV"."""
        if self.why:
            return self.why
        if self.code < 0:
            with contextlib.suppress(ValueError):
                return f"was killed by {signal.Signals(-self.code).name}"
        return f"ended with status {self.code}"


@dataclass(frozen=True, slots=True)
class Restart:
    """One crash. `child` is a model's name, or "daemon"; `back_at` is None until it was ready again."""

    child: str
    at: float
    cause: str
    ran_seconds: float
    was_ready: bool
    back_at: float | None = None


def append(file: Path, row: Restart) -> None:
    """Adds a line; a later line about the same crash replaces the earlier one for whoever reads."""
    try:
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_size > FILE_LIMIT:
                file.replace(file.with_suffix(".old.jsonl"))
        with file.open("ab") as lines:
            lines.write(json.dumps(asdict(row)).encode() + b"\n")
    except OSError as problem:
        log.warning("the log of restarts cannot be written: %s", problem)


def read(file: Path) -> list[Restart]:
    """The last crashes, the oldest first. Lines that cannot be read are left out."""
    found: dict[tuple[str, float], Restart] = {}
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            row = Restart(**json.loads(line))
            found[row.child, row.at] = row
    return list(found.values())[-KEPT:]


def rotate(log: Path) -> None:
    """Puts a log that has grown large aside; the one put aside before is dropped."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".old.log"))
