"""How long a model is to be kept, as Ollama's clients write it and ours may: a number of seconds, or Go's form ("5m", "1h30m").

Promises: pure; a negative time means for good, 0 at once.
Does not cover: what the longest is (`residency/keeper.py`).
"""

from __future__ import annotations

import re

from homefire.errors import InvalidRequest

KeepAlive = float | str | None
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")


def seconds(found: KeepAlive) -> float | None:
    """The time in seconds; None for none. Raises InvalidRequest."""
    if not isinstance(found, str):
        return found
    text = found.strip()
    sign, text = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", text):
        return sign * float(text)
    if not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        raise InvalidRequest(f"Not a duration: {found[:40]!r}", 'Write seconds, or such as "5m".', param="keep_alive")
    return sign * sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
