"""What a terminal shows beside text: progress bars, tables, colours, sizes and durations.

Promises: a bar and a colour appear on a terminal only, never in a pipe; NO_COLOR and a dumb terminal are honoured; a bar keeps
to one line and ends with its block; drawing is pure (`draw`).
Does not cover: asking (`setup.py`), what the words mean.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TextIO

FILLED, EMPTY = "#", "."
REDRAW_SECONDS = 0.1
COLOURS = {"green": "32", "yellow": "33", "red": "31", "grey": "90"}
# What fits here -> its colour and what it means.
FITS: Mapping[str, tuple[str, str]] = {
    "gpu": ("green", "on the GPU"),
    "partly": ("yellow", "partly on the GPU"),
    "cpu": ("green", "in main memory"),
    "tight": ("yellow", "tight"),
    "no": ("red", "does not fit"),
    "unknown": ("grey", "not known"),
}


def has_colours(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether text on this stream may be coloured (https://no-color.org)."""
    known = os.environ if environment is None else environment
    return stream.isatty() and not known.get("NO_COLOR") and known.get("TERM") != "dumb"


def paint(text: str, colour: str, on: bool) -> str:
    """The text in a colour, or as it is."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if on and colour in COLOURS else text


def size(count: float) -> str:
    """Bytes as people say them: decimal units, as disks and hubs count."""
    for unit, bytes_each in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_each:
            return f"{count / bytes_each:.{0 if count >= 100 * bytes_each else 1}f} {unit}"
    return f"{count:.0f} B"


def memory(count: float) -> str:
    """Bytes of memory: binary units, as systems count it."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def draw(
    label: str,
    done: int,
    total: int | None,
    rate: float,
    eta: float | None,
    *,
    width: int,
    unit: Callable[[float], str] = size,
) -> str:
    """One line: label, bar, share, amount, amount a second, seconds left; at most `width` characters. `unit` says an amount."""
    amount = f"{unit(done)} of {unit(total)}" if total else unit(done)
    words = [
        amount,
        f"{unit(rate)}/s" if rate > 0 and unit is size else "",
        f"{duration(eta)} left" if eta is not None else "",
    ]
    tail = "  ".join(word for word in words if word)
    if not total:
        return f"{label}  {tail}"[:width]
    share = min(1.0, done / total)
    room = width - len(label) - len(tail) - 11  # brackets, the share and the gaps
    if room < 5:
        return f"{label} {share:4.0%}  {tail}"[:width]
    cells = min(30, room)
    filled = int(share * cells)
    return f"{label} [{FILLED * filled}{EMPTY * (cells - filled)}] {share:4.0%}  {tail}"[:width]


class Bar:
    """A progress bar on `stream`; silent where that is no terminal. Use as a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._on = self._stream.isatty()
        self._began = self._drawn = time.monotonic()
        self._shown = ""
        self._last: tuple[str, int, int | None] | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()

    def show(
        self,
        label: str,
        done: int,
        total: int | None,
        rate: float | None = None,
        eta: float | None = None,
        *,
        unit: Callable[[float], str] = size,
    ) -> None:
        """Draws it anew, at most ten times a second. Without `rate` it is the mean since the bar began."""
        now = time.monotonic()
        changed = self._last is None or self._last[0] != label or done == total
        if not self._on or (self._shown and not changed and now - self._drawn < REDRAW_SECONDS):
            return
        if rate is None:
            rate = done / (now - self._began) if now > self._began else 0.0
            eta = (total - done) / rate if total and rate > 0 else None
        line = draw(label, done, total, rate, eta, width=max(20, shutil.get_terminal_size().columns - 1), unit=unit)
        self._stream.write("\r" + line.ljust(len(self._shown)))
        self._stream.flush()
        self._shown, self._drawn, self._last = line, now, (label, done, total)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], colours: Sequence[str] = (), on: bool = False) -> str:
    """Rows under a head, columns as wide as they must be; `colours` gives one for each row."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    painted = [paint(line, colour, on) for line, colour in zip(lines[1:], colours, strict=False)]
    return "\n".join([lines[0], *painted, *lines[1 + len(painted) :]])
