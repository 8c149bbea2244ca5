"""The only file that knows where state lives. Names from outside become typed values before they become paths.

Promises: no path is ever made from text that a request carries, only from a `Digest`, a `ModelName` or a `KeyName`, whose
constructors refuse everything that could leave its folder. Folders are private (0700), made on demand.
Does not cover: what stands in the files (`store/`, `models/`), and reading settings (`settings.py`).
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from homefire.errors import DiskFull, HomefireError, HomeNotWritable, InvalidRequest, MachineError


class Digest(str):
    """A sha256 in lower-case hexadecimal: the name of a blob. Raises InvalidRequest for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        if not re.fullmatch(r"[0-9a-f]{64}", text):
            raise InvalidRequest(f"Not a sha256 digest: {text[:80]!r}", "Give 64 hexadecimal digits.")
        return super().__new__(cls, text)


class ModelName(str):
    """A model's name: letters, digits, and . _ - : inside, at most 128 characters. Raises InvalidRequest otherwise."""

    __slots__ = ()

    def __new__(cls, text: str) -> ModelName:
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,126}[A-Za-z0-9])?", text) or ".." in text:
            raise InvalidRequest(
                f"Not a model name: {text[:80]!r}",
                "Use letters, digits, dots, dashes and underscores, at most 128.",
                param="name",
            )
        return super().__new__(cls, text)


class WorkerName(ModelName):
    """The name of an engine beside a model's own: BASE+ADAPTER for one with adapters, NAME~WORD for one that is measured. What
    stands between the signs are model names. Raises InvalidRequest otherwise."""

    __slots__ = ()

    def __new__(cls, text: str) -> WorkerName:
        for part in re.split(r"[+~]", text):
            ModelName(part)
        return str.__new__(cls, text)


def base_of(name: str) -> str:
    """The model that an engine of this name runs."""
    return re.split(r"[+~]", name, maxsplit=1)[0]


class KeyName(str):
    """A key's name as a person gives it: 1 to 64 printable characters. Raises InvalidRequest otherwise."""

    __slots__ = ()

    def __new__(cls, text: str) -> KeyName:
        if (
            not 1 <= len(text) <= 64
            or not text.isprintable()
            or text != text.strip()
            or text in (".", "..")
            or {*text} & {*"/\\"}
        ):
            raise InvalidRequest(
                f"Not a key name: {text[:80]!r}", "Use 1 to 64 printable characters without '/'.", param="name"
            )
        return super().__new__(cls, text)


class EngineName(str):
    """A far engine's name: lower-case letters, digits, dots, dashes, underscores, at most 40. Raises InvalidRequest otherwise."""

    __slots__ = ()

    def __new__(cls, text: str) -> EngineName:
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?", text) or ".." in text:
            raise InvalidRequest(
                f"Not an engine's name: {text[:80]!r}",
                "Use lower-case letters, digits, dots, dashes and underscores, at most 40.",
                param="name",
            )
        return super().__new__(cls, text)


class CollectionName(str):
    """A collection's name: letters and digits of any script, spaces and . _ - inside, at most 80, and none of the words that
    stand in its place in a route. Raises InvalidRequest."""

    __slots__ = ()

    def __new__(cls, text: str) -> CollectionName:
        if not re.fullmatch(r"\w(?:[\w .+-]{0,78}[\w+])?", text) or ".." in text:
            raise InvalidRequest(
                f"Not a collection's name: {text[:80]!r}",
                "Use letters, digits, dots, dashes and spaces, at most 80.",
                param="name",
            )
        if text in ROUTE_WORDS:
            raise InvalidRequest(
                f"'{text}' cannot be a collection's name: it is a part of the interface.",
                f"Take another one: --name my-{text}",
                param="name",
            )
        return super().__new__(cls, text)


class RunId(str):
    """The id of an agent's run: r and 16 hexadecimal digits. Raises InvalidRequest."""

    __slots__ = ()

    def __new__(cls, text: str) -> RunId:
        if not re.fullmatch(r"r[0-9a-f]{16}", text):
            raise InvalidRequest(f"Not the id of a run: {text[:80]!r}", param="run")
        return super().__new__(cls, text)


class PromptName(str):
    """A prompt's name: lower-case letters, digits, dots, dashes and underscores, at most 64; none that is a word of a route.
    What begins with `homefire.` is Homefire's own. Raises InvalidRequest."""

    __slots__ = ()

    def __new__(cls, text: str) -> PromptName:
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", text) or ".." in text or text in PROMPT_WORDS:
            raise InvalidRequest(
                f"Not a prompt's name: {text[:80]!r}",
                "Use lower-case letters, digits, dots, dashes and underscores, at most 64.",
                param="name",
            )
        return super().__new__(cls, text)


# Words that stand in a prompt's place in a route.
PROMPT_WORDS = frozenset({"pack", "unpack", "compress"})
# What stands where a collection's name would (`server/knowledge_routes.py`).
ROUTE_WORDS = frozenset({"ask", "import", "ingest", "jobs", "search"})

# What of a home cannot be rebuilt, beside the database and the blobs: folders of later rooms, files that a person wrote, and what
# lets others in.
KEPT_FOLDERS = ("volumes", "journals", "work", "traces", "skills")
KEPT_FILES = ("config.toml", "policy.toml", "knowledge-owner")
SECRET = ("keys", "secrets.toml", "pack.key", "tls")
# sun_path holds 108 bytes on Linux, 104 on macOS, with the closing zero.
_SOCKET_PATH_LIMIT = 100


class Paths:
    """Every place below one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "config.toml"
        self.keys = home / "keys"
        self.secrets = home / "secrets.toml"
        self.database = home / "homefire.db"
        self.blobs = home / "blobs"
        self.logs = home / "logs"
        self.run = home / "run"
        self.lock = self.run / "daemon.lock"
        self.address = self.run / "daemon.json"
        self.daemon_log = self.logs / "daemon.log"
        self.restarts = self.logs / "restarts.jsonl"
        self.hook_log = self.logs / "restart-hook.log"
        self.upkeep = self.run / "upkeep.json"
        self.upkeep_lock = self.run / "upkeep.lock"
        self.gpu_limits = self.run / "gpu-limits.json"
        self.telemetry_state = home / "telemetry" / "state.json"
        self.telemetry_queue = home / "telemetry" / "queue"
        self.kv = home / "cache" / "kv"
        self.policy = home / "policy.toml"
        self.vectors = home / "cache" / "vectors"
        self.tls = home / "tls"
        self.tls_authority = self.tls / "ca.pem"
        self.tls_certificate = self.tls / "certificate.pem"
        self.tls_key = self.tls / "key.pem"
        self.graphs = home / "cache" / "graphs"
        self.agent_facts = home / "cache" / "agent-facts.json"
        self.engine_builds = home / "cache" / "engines"
        self.pack_key = home / "pack.key"
        self.volumes = home / "volumes"
        self.journals = home / "journals"
        self.workplaces = home / "work"
        self.mcp = home / "mcp"
        self.indexes = home / "indexes"
        self.knowledge_owner = home / "knowledge-owner"
        self.ingest_log = self.logs / "ingest.log"
        self.build_log = self.logs / "engine-build.log"
        self.backups = home / "backups"

    def __repr__(self) -> str:
        return f"Paths({str(self.home)!r})"

    def blob(self, digest: Digest) -> Path:
        """Where the blob of this digest lies, whether or not it is there."""
        return self.blobs / "sha256" / digest[:2] / digest

    def new_part(self) -> Path:
        """A name of its own for a file that is growing, on the blobs' disk."""
        return self.blobs / f"part-{secrets.token_hex(8)}"

    def all_blobs(self) -> list[Path]:
        """Every blob that is there, and what lies beside it."""
        return sorted((self.blobs / "sha256").glob("[0-9a-f][0-9a-f]/*"))

    def aside(self, word: str) -> Path:
        """A new name beside the home, for a whole home: `word` says why it lies there."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return self.home.with_name(f"{self.home.name}.{word}-{stamp}-{secrets.token_hex(2)}")

    def all_aside(self, word: str) -> list[Path]:
        """The homes that lie aside for this reason, oldest first."""
        return sorted(self.home.parent.glob(f"{glob.escape(self.home.name)}.{word}-*"))

    def damaged_database(self) -> Path:
        """A new name for a database that is kept although it is damaged."""
        return self.home / f"homefire.db.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"

    def all_parts(self) -> list[Path]:
        """The growing files that are there."""
        return list(self.blobs.glob("part-*"))

    def incoming(self, key: Digest) -> Path:
        """Where the files of an unfinished download come together; `key` is the sha256 of what it becomes. On the blobs' disk."""
        return self.blobs / "incoming" / key

    def all_incoming(self) -> list[Path]:
        """The folders of all unfinished downloads."""
        return list((self.blobs / "incoming").glob("*"))

    def split(self, key: Digest) -> Path:
        """Where the parts of a split model lie beside each other, as links; `key` is the sha256 of their digests."""
        return self.home / "cache" / "splits" / key

    def collection_index(self, number: int) -> Path:
        """The folder of what is derived of a collection's texts: words and vectors."""
        return self.indexes / str(int(number))

    def word_index(self, number: int) -> Path:
        """The index of a collection's words."""
        return self.collection_index(number) / "words"

    def vector_index(self, number: int, embedder: Digest, generation: int) -> Path:
        """A collection's vectors by one embedder, whose tag has this sha256."""
        return self.collection_index(number) / "vectors" / f"{embedder[:16]}-{generation}"

    def journal(self, run: RunId) -> Path:
        """The folder of a run's steps."""
        return self.journals / run

    def results(self, run: RunId) -> Path:
        """The folder of what a run's calls gave that is too long to show, and of binary results."""
        return self.journals / run / "results"

    def workplace(self, run: RunId) -> Path:
        """A run's own folder, where no other was named."""
        return self.workplaces / run

    def telemetry_day(self, day: date) -> Path:
        """Where the record of a day waits."""
        return self.telemetry_queue / f"{day.isoformat()}.json"

    def engine_log(self, model: ModelName) -> Path:
        """Where a model's child writes what it says."""
        return self.logs / f"engine-{_file_name(model)}.log"

    def engine_socket(self, model: ModelName) -> Path | None:
        """A unix socket for a model's child, or None on systems without them (Windows).

        A home with a very long path would overflow the socket's address; its sockets then lie in a private folder of the
        system's temporary directory, whose name is derived from the home.
        """
        if sys.platform == "win32":
            return None
        return self._socket(_file_name(model), model)

    def daemon_socket(self) -> Path | None:
        """The daemon's own unix socket (setting `unix_socket`), as `engine_socket`."""
        # A model's name never begins with a dash.
        return None if sys.platform == "win32" else self._socket("-daemon", "-daemon")

    def _socket(self, file_name: str, name: str) -> Path:
        path = self.run / f"{file_name}.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        tag = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"homefire-{os.getuid()}-{tag}"
        make_private_folder(folder)
        return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.sock"

    def prepare(self) -> None:
        """Makes the folders. Raises HomeNotWritable or DiskFull, each with the next step."""
        for folder in (self.home, self.blobs, self.logs, self.run):
            make_private_folder(folder)
        probe = self.run / f".probe-{os.getpid()}"
        try:
            with probe.open("wb") as file:
                file.write(b"homefire")
        except OSError as problem:
            raise from_os(problem, self.home) from None
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)


def default_home(environment: Mapping[str, str] | None = None) -> Path:
    """`HOMEFIRE_HOME`, or `.homefire` in the user's home folder."""
    environment = os.environ if environment is None else environment
    given = environment.get("HOMEFIRE_HOME", "")
    return Path(given).expanduser().absolute() if given else Path.home() / ".homefire"


def make_private_folder(folder: Path) -> None:
    """Makes `folder` for this user alone (0700), and tightens it if it is this user's and wider.

    Raises HomeNotWritable or DiskFull. A folder of another user is refused: what is written there could be read.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            found = folder.stat()
            if found.st_uid != os.getuid():
                raise HomeNotWritable(f"{folder} belongs to another user (uid {found.st_uid}).")
            if found.st_mode & 0o077:
                folder.chmod(0o700)
    except OSError as problem:
        raise from_os(problem, folder) from None


def from_os(problem: OSError, where: Path) -> HomefireError:
    """The leaf of the error tree that an operating system's error below the home means."""
    if problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return DiskFull(f"The disk of {where} is full.")
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return HomeNotWritable(f"{where} cannot be written: {problem.strerror}.")
    return MachineError(f"{where}: {problem.strerror or problem}.")


def _file_name(model: ModelName) -> str:
    # A colon is not allowed in Windows file names; % cannot stand in a model name, so no two names meet.
    name = model.replace(":", "%3A")
    return name if len(name) <= 128 else hashlib.sha256(name.encode()).hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` survive a power cut."""
    if sys.platform == "win32":  # a folder cannot be opened for fsync there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
