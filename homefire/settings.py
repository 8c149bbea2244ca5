"""One table of settings: name, default, meaning, allowed values. The file, the environment and the docs all read it.

Promises: a value is read once, at start, from `config.toml` in the home (only a person writes it), then from the
environment (`HOMEFIRE_` and the name in capitals), which wins. An unknown name or a wrong value is one clear error.
Does not cover: where state lives (`paths.py`), and `HOMEFIRE_HOME`, which has to be known before the file can be read.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from homefire.errors import BadSetting, PackageMissing


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

    host: str = _row("127.0.0.1", "Address to listen on; one that other machines reach needs tls = 1 and auth = on.")
    port: int = _row(7373, "Port of the web page and of every API; 0 takes any free one.", 0, 65535)
    auth: str = _row("on", "on, or off: no keys on this machine's own address; each start and page says so loudly.")
    allowed_hosts: str = _row("", "Names and addresses under which other machines ask, with commas; no wildcards.")
    tls: int = _row(0, "1: speak TLS, with tls_cert and tls_key or the files of `homefire tls init`.", 0, 1)
    tls_cert: str = _row("", "A certificate file (PEM, with its chain); empty: the one of `homefire tls init`.")
    tls_key: str = _row("", "Its key file (PEM, 0600, without a password).")
    secrets: str = _row(
        "file", "Where keys of far engines are kept: file (secrets.toml, 0600) or keyring (the system's)."
    )
    grpc_port: int = _row(0, "Port of gRPC beside HTTP's, by the same rules; 0: none. Needs the extra grpc.", 0, 65535)
    unix_socket: int = _row(0, "1: listen on a unix socket in the home's folder `run` too, for this user alone.", 0, 1)
    model: str = _row(
        "", "Model that answers when a request names none; empty: the one of the role main, else the pilot."
    )
    threads: int = _row(
        0, "Threads a model computes with; 0: as tuned, else physical cores less one, at least one.", 0, 1024
    )
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
    ceiling_c: int = _row(
        80, "Degrees Celsius at which the governor begins to slow models down; 0: it never does.", 0, 120
    )
    floor_mib: int = _row(
        1024, "Memory in MiB that models leave free, or idle ones go; at most an eighth of all counts.", 0, 1_000_000
    )
    memory_cap_mib: int = _row(
        0, "Most that all models together may take of the main memory, and of a GPU, in MiB; 0: no cap.", 0, 100_000_000
    )
    keep_alive_seconds: int = _row(
        1800,
        "How long an idle model stays in memory; 0: it leaves at once, -1: until its memory is needed.",
        -1,
        604_800,
    )
    starvation_seconds: int = _row(
        60, "How long a request may wait behind other models before they must make room for its own.", 2, 86_400
    )
    queue_per_key: int = _row(256, "Requests of one key that may wait for a model; one more is refused.", 1, 100_000)
    governor_seconds: int = _row(
        5, "How often the governor looks at the sensors while a model is in memory; 0: never.", 0, 3600
    )
    gpu_limits: int = _row(
        0, "1: the governor may lower a GPU's power limit and clocks (needs the right to); they are taken back.", 0, 1
    )
    hang_seconds: int = _row(
        30, "How long a model's process may give no answer before it counts as hung; 0: for ever.", 0, 3600
    )
    supervise: int = _row(1, "1: a daemon that crashed is started again by `homefire up`; 0: it is not.", 0, 1)
    restart_hook: str = _row(
        "", "Command to run after each restart, without a shell; the facts come as JSON on its input."
    )

    kv_quota_mib: int = _row(
        4096,
        "Disk in MiB for KV caches of conversations whose model is not in memory; 0: none are kept.",
        0,
        100_000_000,
    )
    kv_crash_seconds: int = _row(
        2, "A KV cache that would take so long to read again is kept at once, in case of a crash.", 0, 86_400
    )
    safety_mode: str = _row(
        "rules", "How texts are checked: rules, semantic (by meaning too), full (and plans of agents by a critic)."
    )
    safety_critic_risk: int = _row(6, "Risk from which on a plan goes to the critic in the mode full.", 1, 1000)
    safety_critic_seconds: int = _row(60, "How long the critic may take; no verdict is no approval.", 1, 3600)
    approval_seconds: int = _row(600, "How long a question about an effect waits, and an approval counts.", 10, 86_400)
    agent_resume: int = _row(
        1, "1: runs of agents that were under way go on at the next start; 0: when asked to.", 0, 1
    )
    agent_tool_seconds: int = _row(60, "How long a tool of an agent may take that names no other time.", 1, 3600)
    memory_learn: int = _row(
        1,
        "1: facts are taken from what a person says in conversations, in the background; 0: only what is asked for is kept.",
        0,
        1,
    )
    agent_search_url: str = _row(
        "", "Address of a search engine for web_search, with {query} (SearXNG with &format=json); empty: there is none."
    )
    far_connections: int = _row(64, "Requests that one far engine is sent at once; more wait here.", 1, 10_000)
    far_first_seconds: int = _row(120, "How long a far engine may take to its first token.", 1, 86_400)
    otel_endpoint: str = _row(
        "", "Address of an OpenTelemetry collector that is sent a span for each request; empty: none is made."
    )
    far_stall_seconds: int = _row(60, "How long a far engine may take between two tokens.", 1, 86_400)

    sandbox_models: int = _row(
        1, "1: models run behind the sandbox's walls where its self-test passes (bubblewrap); 0: they do not.", 0, 1
    )
    ingest_walls: int = _row(
        1,
        "1: ingested files are read behind the sandbox's walls or not at all; 0: plain text, code and tables without them.",
        0,
        1,
    )
    ingest_readers: int = _row(2, "Children that read ingested files at the same time; 0: one for each core.", 0, 64)
    ingest_file_mib: int = _row(
        256, "Size in MiB of a file that is ingested at most; larger ones are listed as skipped.", 1, 1_000_000
    )
    knowledge_store: str = _row(
        "", "A PostgreSQL server that keeps texts and indexes (postgresql://USER@HOST/DB); empty: this machine does."
    )
    knowledge_embedder: str = _row(
        "", "An embedding model of a granted engine elsewhere (ENGINE/model): it is sent what is ingested and asked."
    )
    ingest_cluster: str = _row(
        "",
        "Address of a Ray cluster whose machines read ingested files (ray://HOST:10001, local); empty: this one does.",
    )
    sandbox_memory_mib: int = _row(256, "Memory in MiB that a program in the sandbox may take.", 16, 1_000_000)
    sandbox_processes: int = _row(64, "Processes that a program in the sandbox may have.", 1, 100_000)
    sandbox_cpu_seconds: int = _row(5, "Seconds of processors that a program in the sandbox may take.", 1, 604_800)
    sandbox_wall_seconds: int = _row(10, "Seconds that a program in the sandbox may run.", 1, 604_800)
    sandbox_output_kib: int = _row(
        1024, "KiB that are kept of what a program in the sandbox prints; 64 times as much ends it.", 0, 4_000_000
    )
    sandbox_disk_mib: int = _row(32, "MiB that a program in the sandbox may write to its folder.", 1, 1_000_000)
    sandbox_file_mib: int = _row(16, "Size in MiB of one file that a program in the sandbox writes.", 1, 1_000_000)
    sandbox_open_files: int = _row(256, "Files that one process in the sandbox may have open.", 16, 1_000_000)


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(row.name, cast("int | str", row.default), **row.metadata) for row in fields(Settings)
)

# A removed name answers with its replacement instead of a mere "unknown".
REMOVED: Mapping[str, str] = {}

MOST_SECRET = 4096


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


def read_secret(file: Path, engine: str) -> str:
    """The key of a far engine, from the table `engines` of `secrets.toml`; "" if it has none.

    Raises BadSetting, which never quotes what the file holds, if it is no TOML or may be read by others than its owner.
    """
    found = _secrets(file).get(engine, "")
    if not isinstance(found, str) or len(found) > MOST_SECRET or not found.isascii() or not found.isprintable():
        raise BadSetting(f"{file}: the key of '{engine}' is no line of printable ASCII.", param="key")
    return found


def write_secret(file: Path, engine: str, secret: str) -> None:
    """Puts the key of a far engine into `secrets.toml` (0600), or takes it out if it is "". Raises OSError, BadSetting.

    Comments in the file are not kept; its keys are.
    """
    kept = {name: value for name, value in _secrets(file).items() if name != engine and isinstance(value, str)}
    if secret:
        kept[engine] = secret
    elif not file.exists():
        return
    # JSON's text is TOML's too: both escape with \\, \" and \uXXXX.
    lines = [f"{json.dumps(name)} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in sorted(kept.items())]
    part = file.with_suffix(".new")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write("# Keys of far engines; homefire engine add NAME --key-file FILE writes them.\n[engines]\n")
        opened.writelines(lines)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(file)


class FileSecrets:
    """Keys of far engines in `secrets.toml`: see `read_secret` and `write_secret`."""

    def __init__(self, file: Path) -> None:
        self.where = file

    def read(self, engine: str) -> str:
        """The engine's key, "" if it has none."""
        return read_secret(self.where, engine)

    def write(self, engine: str, secret: str) -> None:
        """Keeps it; "" takes it out."""
        write_secret(self.where, engine, secret)


class RingSecrets:
    """The same in the system's keyring, under one service for each home. Raises BadSetting where the system has none, or one that
    is locked, and PackageMissing without the extra. May wait for a person: call it in a thread."""

    def __init__(self, file: Path) -> None:
        self.where = file
        self._service = f"homefire {file.parent}"
        try:
            import keyring
            from keyring.errors import KeyringError, PasswordDeleteError
        except ImportError:
            raise PackageMissing(
                "The keyring needs the package 'keyring'.", "Install it: pip install 'homefire[keyring]'"
            ) from None
        self._ring, self._failed, self._absent = keyring, KeyringError, PasswordDeleteError
        self.read("homefire")  # one that does not open is told at the start

    def read(self, engine: str) -> str:
        """The engine's key, "" if it has none."""
        try:
            return self._ring.get_password(self._service, engine) or ""
        except self._failed as problem:
            raise self._closed(problem) from None

    def write(self, engine: str, secret: str) -> None:
        """Keeps it; "" takes it out."""
        try:
            if secret:
                self._ring.set_password(self._service, engine, secret)
            else:
                with contextlib.suppress(self._absent):
                    self._ring.delete_password(self._service, engine)
        except self._failed as problem:
            raise self._closed(problem) from None

    def _closed(self, problem: Exception) -> BadSetting:
        return BadSetting(
            f"The system's keyring does not open ({type(problem).__name__}).",
            "Unlock it, or set secrets to file.",
            param="secrets",
        )


Secrets = FileSecrets | RingSecrets


def open_secrets(where: str, file: Path) -> Secrets:
    """What the setting `secrets` says. Raises BadSetting, PackageMissing."""
    if where not in ("file", "keyring"):
        raise BadSetting(f"'secrets' is '{where[:40]}'; it may be file or keyring.", param="secrets")
    return FileSecrets(file) if where == "file" else RingSecrets(file)


def _secrets(file: Path) -> Mapping[str, Any]:
    try:
        if sys.platform != "win32" and file.stat().st_mode & 0o077:
            raise BadSetting(f"{file} may be read by others than you.", f"Make it yours alone: chmod 600 {file}")
        found = tomllib.loads(file.read_text("utf-8")).get("engines", {})
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):  # its message would quote the file
        raise BadSetting(f"{file} is not valid TOML.") from None
    except OSError as problem:
        raise BadSetting(f"{file} cannot be read: {problem.strerror}") from None
    if not isinstance(found, dict):
        raise BadSetting(f"{file}: 'engines' is no table.")
    return found


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
