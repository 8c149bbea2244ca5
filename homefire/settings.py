"""One table of settings: name, default, meaning, allowed values. The file, the environment and the docs all read it.

Promises: a value is read once, at start, from `config.toml` in the home (only a person writes it), then from the
environment (`HOMEFIRE_` and the name in capitals), which wins. An unknown name or a wrong value is one clear error.
Does not cover: where state lives (`paths.py`), and `HOMEFIRE_HOME`, which has to be known before the file can be read.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from homefire.errors import BadSetting


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `low` and `high` bound numbers (both inclusive)."""

    name: str
    default: int | str
    help: str
    low: int | None = None
    high: int | None = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "HOMEFIRE_" + self.name.upper()


def _row(default: Any, help: str, low: int | None = None, high: int | None = None) -> Any:
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force; its fields are the table."""

    host: str = _row("127.0.0.1", "Address to listen on: only this machine's own (127.0.0.1, ::1, localhost) for now.")
    port: int = _row(7373, "Port of the web page and of every API; 0 takes any free one.", 0, 65535)
    model: str = _row(
        "", "Model that answers when a request names none; empty: the one of the role main, else the pilot."
    )
    threads: int = _row(0, "Threads a model computes with; 0: physical cores less one, at least one.", 0, 1024)
    context: int = _row(0, "Context window in tokens; 0: the model's own, at most 8192.", 0, 10_000_000)
    slots: int = _row(0, "Answers a model works on at once; 0: 8 for files under 100 MB, 4 for others.", 0, 256)
    gpu_layers: int = _row(-1, "Layers to keep on a GPU; -1: as many as fit, 0: none.", -1, 10_000)
    load_seconds: int = _row(300, "How long a model may take to load before that counts as failed.", 1, 86_400)
    wait_seconds: int = _row(300, "How long a request waits for its model before it is refused.", 1, 86_400)
    queue: int = _row(512, "Requests that may wait for a model; one more is refused.", 1, 100_000)
    body_mib: int = _row(32, "Largest request body in MiB.", 1, 4096)
    models_quota_gib: int = _row(
        0, "Room that models may take on the disk, in GiB; 0: as much as there is.", 0, 1_000_000
    )
    download_rate: int = _row(
        0, "Most that all downloads together may take of the network, in MiB/s; 0: no cap.", 0, 100_000
    )
    downloads_at_once: int = _row(1, "Models that are fetched at once; the others wait their turn.", 1, 16)
    download_connections: int = _row(4, "Connections that one file is fetched over.", 1, 32)
    stall_seconds: int = _row(30, "How long a download waits for its next byte before it connects anew.", 1, 3600)


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(row.name, cast("int | str", row.default), **row.metadata) for row in fields(Settings)
)

# A removed name answers with its replacement instead of a mere "unknown".
REMOVED: Mapping[str, str] = {}

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def load(config: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the file at `config` (which may be missing) and the environment.

    Raises BadSetting naming the source, the value and what is allowed.
    """
    environment = os.environ if environment is None else environment
    rows = {row.name: row for row in SETTINGS}
    values: dict[str, Any] = {}
    for name, value in _read(config).items():
        if name not in rows:
            hint = f"It is called '{REMOVED[name]}' now." if name in REMOVED else ""
            raise BadSetting(f"{config} sets '{name}', which is not a setting.", hint, param=name)
        values[name] = _checked(rows[name], value, str(config))
    for row in SETTINGS:
        if (text := environment.get(row.variable, "")) != "":
            values[row.name] = _checked(row, text, row.variable)
    return Settings(**values)


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadSetting(f"{config} is not valid TOML: {problem}") from None
    except OSError as problem:
        raise BadSetting(f"{config} cannot be read: {problem.strerror}") from None


def _checked(row: Setting, value: Any, origin: str) -> int | str:
    if isinstance(row.default, str):
        if not isinstance(value, str):
            raise BadSetting(f"{origin}: '{row.name}' must be text, not {value!r}.", param=row.name)
        return value
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadSetting(f"{origin}: '{row.name}' must be a whole number, not {value!r}.", param=row.name)
    if (row.low is not None and number < row.low) or (row.high is not None and number > row.high):
        raise BadSetting(f"{origin}: '{row.name}' must be from {row.low} to {row.high}, not {number}.", param=row.name)
    return number
