"""Telemetry: off until a person turns it on; then one small record a day, kept in the home until a person sends it somewhere.

    off ──on──> counts ──a day ends──> telemetry/queue/DAY.json ──`send --to URL`──> gone when the other side took it
     ^────────off: the queue is deleted──────────┘

Promises: while it is off nothing is counted for it and nothing written; nothing here opens a connection but `send`, to the
address that a person named with that call; what is sent are the bytes of the files that `show` prints; counts are rounded to
one figure; the random id means nothing outside its month.
Does not cover: which server takes records. There is none by default.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from homefire.errors import AddressRefused, DaemonError, SourceUnreachable, leaves
from homefire.paths import Paths, from_os, make_private_folder

# The whole of a record, in this order. docs/diagnostics.md lists the same.
FIELDS: Mapping[str, str] = {
    "schema": "the number of this list of fields",
    "id": "32 random hexadecimal digits, made anew each month",
    "day": "the day that the counts are of, in UTC",
    "version": "Homefire's version",
    "system": "linux, macos, windows or other",
    "cores": "a class: 1-2, 3-4, 5-8, 9-16 or 17+",
    "memory_gib": "a class: <8, 8-15, 16-31, 32-63 or 64+",
    "models": "how many models of each family and class of size are installed",
    "requests": "how many requests of each class there were",
    "errors": "how many requests ended in each error code",
}
SCHEMA = 1
SYSTEMS = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}
CORES = ((2, "1-2"), (4, "3-4"), (8, "5-8"), (16, "9-16"))
MEMORY = ((8, "<8"), (16, "8-15"), (32, "16-31"), (64, "32-63"))
SIZES = ((1, "<1B"), (4, "1-4B"), (9, "4-9B"), (20, "9-20B"), (80, "20-80B"))
# Families that are told apart; a rarer one would tell more about a person than about Homefire.
FAMILIES = ("llama", "qwen", "gemma", "phi", "mistral", "deepseek", "granite", "bert", "gpt-oss", "whisper")
# The beginning of a route -> its class, the first that fits.
CLASSES = (
    ("/v1/chat/", "chat"),
    ("/v1/completions", "completions"),
    ("/v1/embeddings", "embeddings"),
    ("/v1/rerank", "rerank"),
    ("/v1/responses", "responses"),
    ("/v1/messages", "messages"),
    ("/api/", "ollama"),
    ("/homefire/v1/conversations", "conversations"),
    ("/homefire/v1/models", "models"),
)
MOST_QUEUED = 60
SEND_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the daemon knows. `models`: architecture and parameters of each; `requests` by route, `errors` by code, both since the
    daemon's start."""

    version: str
    system: str
    cores: int
    memory_bytes: int
    models: tuple[tuple[str, int], ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _State:
    """What is kept in `telemetry/state.json`."""

    on: bool = False
    id: str = ""
    day: str = ""
    requests: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)


def record(facts: Facts, day: str, id: str) -> bytes:
    """A day's record; `requests` and `errors` of the facts are that day's. Pure."""
    known = {leaf.code for leaf in leaves()}
    families = Counter(f"{_family(kind)} {_class(size / 1e9, SIZES, '80B+')}" for kind, size in facts.models)
    found = {
        "schema": SCHEMA,
        "id": id,
        "day": day,
        "version": facts.version,
        "system": SYSTEMS.get(facts.system.split(" ")[0], "other"),
        "cores": _class(facts.cores - 0.5, CORES, "17+"),
        "memory_gib": _class(facts.memory_bytes / 2**30, MEMORY, "64+"),
        "models": _rounded(families),
        "requests": _rounded(_by_class(facts.requests)),
        "errors": _rounded({code: n for code, n in facts.errors.items() if code in known}),
    }
    return json.dumps(found, indent=1).encode() + b"\n"


class Telemetry:
    """See the module's text. Used on one event loop; `look` gives the facts of now."""

    def __init__(self, paths: Paths, look: Callable[[], Facts], clock: Callable[[], float] = time.time) -> None:
        self._paths = paths
        self._look = look
        self._clock = clock
        self._state = _State()
        self._seen: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def open(self) -> None:
        """Goes on where the last daemon ended. A state that cannot be read counts as off."""
        try:
            told = json.loads(self._paths.telemetry_state.read_text("utf-8"))
            state = _State(**told)
            date.fromisoformat(state.day)
            Counter(state.requests).total(), Counter(state.errors).total()
        except (OSError, ValueError, TypeError, AttributeError):
            return
        self._state = state if state.on is True else _State()

    def turn(self, on: bool) -> None:
        """On: counting begins with this moment. Off: what was queued is deleted. Raises DiskFull, HomeNotWritable."""
        if on and not self._state.on:
            self._state = _State(True, secrets.token_hex(16), self._today())
            self._seen = self._now()
            self._save()
        elif not on:
            self._state = _State()
            for file in (*self._queued(), self._paths.telemetry_state):
                with _refusals(file):
                    file.unlink(missing_ok=True)

    def tick(self) -> None:
        """From time to time, and once before the daemon ends: counts, and writes the record of a day that is over. Raises
        DiskFull, HomeNotWritable."""
        if not self._state.on:
            return
        now = self._now()
        changed = now != self._seen
        for counts, seen, current in zip((self._state.requests, self._state.errors), self._seen, now, strict=True):
            for name, times in (current - seen).items():
                counts[name] = counts.get(name, 0) + times
        self._seen = now
        if (today := self._today()) > self._state.day:
            self._queue(self._state.day, self._record())
            same_month = today[:7] == self._state.day[:7]
            self._state = _State(True, self._state.id if same_month else secrets.token_hex(16), today)
            changed = True
        if changed:
            self._save()

    def view(self) -> dict[str, Any]:
        """Whether it is on, the records that wait as they would be sent, what today's would be now, and what each field is."""
        self.tick()
        queued = [{"day": file.stem, "text": file.read_text("utf-8")} for file in self._queued()]
        return {"on": self._state.on, "queued": queued, "now": self._record().decode(), "fields": dict(FIELDS)}

    async def send(self, address: str) -> dict[str, Any]:
        """Posts what is queued, oldest first, and deletes what was taken (a 2xx). Raises AddressRefused, SourceUnreachable."""
        import httpx2

        require_sendable(address)
        taken: list[str] = []
        local = urlsplit(address).scheme == "http"
        async with httpx2.AsyncClient(timeout=SEND_SECONDS, follow_redirects=False, trust_env=not local) as http:
            for file in self._queued():
                try:
                    answer = await http.post(
                        address, content=file.read_bytes(), headers={"content-type": "application/json"}
                    )
                except httpx2.HTTPError as problem:
                    raise _not_taken(f"does not answer ({type(problem).__name__})", taken) from None
                if not answer.is_success:
                    raise _not_taken(f"answered {answer.status_code}", taken)
                with _refusals(file):
                    file.unlink(missing_ok=True)
                taken.append(file.stem)
        return {"sent": taken, "to": address}

    # -- inside

    def _record(self) -> bytes:
        facts = asdict(self._look())
        facts.update(requests=self._state.requests, errors=self._state.errors)
        return record(Facts(**facts), self._state.day or self._today(), self._state.id or "0" * 32)

    def _now(self) -> tuple[Counter[str], Counter[str]]:
        facts = self._look()
        return Counter(facts.requests), Counter(facts.errors)

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).date().isoformat()

    def _queued(self) -> list[Path]:
        return sorted(self._paths.telemetry_queue.glob("????-??-??.json"))

    def _queue(self, day: str, body: bytes) -> None:
        self._write(self._paths.telemetry_day(date.fromisoformat(day)), body)
        for old in self._queued()[:-MOST_QUEUED]:
            with contextlib.suppress(OSError):
                old.unlink()

    def _save(self) -> None:
        self._write(self._paths.telemetry_state, json.dumps(asdict(self._state)).encode())

    def _write(self, file: Path, body: bytes) -> None:
        make_private_folder(file.parent)
        part = file.with_suffix(".new")
        with _refusals(file), os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(body)
        with _refusals(file):
            part.replace(file)


def require_sendable(address: str) -> None:
    """Raises AddressRefused but for https, and for http to this machine's own addresses (a collector that runs here)."""
    try:
        parts = urlsplit(address)
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        good = bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))
        _ = parts.port
    except ValueError:
        good = False
    if not good or "@" in address or not address.isprintable() or " " in address:
        raise AddressRefused(
            f"Records are not sent to '{address[:200]}'.",
            "Give an https address without a password, or an http one of this machine.",
            param="to",
        )


def _not_taken(what: str, taken: list[str]) -> DaemonError | SourceUnreachable:
    sent = f" {len(taken)} were taken before." if taken else ""
    return SourceUnreachable(
        f"The server for telemetry {what}.{sent}", "What was not taken stays in the queue; try again."
    )


@contextlib.contextmanager
def _refusals(file: Path) -> Any:
    try:
        yield
    except OSError as problem:
        raise from_os(problem, file) from None


def _family(architecture: str) -> str:
    return next((name for name in FAMILIES if architecture.startswith(name) or architecture.endswith(name)), "other")


def _class(value: float, classes: Iterable[tuple[float, str]], beyond: str) -> str:
    return next((name for limit, name in classes if value < limit), beyond)


def _by_class(requests: Mapping[str, int]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for route, times in requests.items():
        found[next((name for start, name in CLASSES if route.startswith(start)), "other")] += times
    return dict(found)


def _rounded(counts: Mapping[str, int]) -> dict[str, int]:
    """One figure of each: 1,234 is 1,000. What is left tells how much, not who."""
    return {name: int(float(f"{n:.0e}")) for name, n in sorted(counts.items()) if n > 0}
