"""The child that builds the engine from its source: unpack, configure, compile, put into place.

Run as `python -m homefire.engines.build_child JSON`, with the fields of `Order`. How far it is stands in the file
`progress`; at the end it says on its lifeline {"built": NAME} or {"error": {...}}. Killed, it
is started anew.

    archive ─unpack─> work/source ─cmake─> work/tree ─compile─> work/tree/PROGRAM ─put into place─> folder/NAME

Promises: the archive's digest is compared before it is read; of it only plain files below one folder are taken, each with a name
that stays inside, within bounds of number and size; all that it starts runs at the lowest priority and ends with it, the
compilers too (`join_group.py`), and it with its parent; what was compiled stays for the next time, so a build that is killed goes
on from there; a build is in its place whole or not at all, and only after its program ran once.
Does not cover: fetching, which tools there are (`residency/builder.py`, `hardware/toolchain.py`), how good the program is
(`trial.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.engines import join_group
from homefire.engines.builds import Build, finish, read_object, write_beside
from homefire.errors import BadPackage, BuildFailed, DigestMismatch, HomefireError
from homefire.paths import from_os, make_private_folder
from homefire.supervision import lifeline

# llama.cpp's source has 3,900 files and 217 MB with the Python package around it.
MOST_FILES, MOST_BYTES, DEEPEST = 40_000, 2 * 2**30, 24
PIECE = 2**20
REPORT_SECONDS = 0.2
NICE = 19
_NINJA = re.compile(r"^\[(\d+)/(\d+)\] ")
_WRONG = re.compile(r"\berror\b|undefined reference|Killed|No space left", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Order:
    """What to build. `archive` is a .tar.gz with `sha256`, of which the folder `inside` is taken (its first part, which names the
    version, may be "*"); `target` is cmake's, `program` where it lies in the tree; `cmake` and `ninja` are programs;
    `folder` is that of `Builds`, `work` where the build grows."""

    name: str
    backend: str
    source: str
    archive: str
    sha256: str
    inside: str
    switches: tuple[str, ...]
    target: str
    program: str
    cmake: str
    ninja: str
    jobs: int
    processor: str
    folder: str
    work: str

    @property
    def progress(self) -> Path:
        return Path(self.work) / "progress.json"


class Teller:
    """Writes how far it is, a few times a second and at each new phase."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._phase, self._at = "", 0.0

    def tell(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` steps of a phase."""
        now = time.monotonic()
        if phase == self._phase and done < total and now - self._at < REPORT_SECONDS:
            return
        self._phase, self._at = phase, now
        write_beside(self._file, {"phase": phase, "done": done, "total": total})


def main() -> None:
    """In the child."""
    rope = lifeline.attach(tree=True)
    os.umask(0o077)
    lower_priority()
    given: dict[str, Any] = json.loads(sys.argv[1])
    order = Order(**{**given, "switches": tuple(given["switches"])})
    try:
        rope.ready(built=build(order))
    except HomefireError as problem:
        rope.ready(error=problem.envelope()["error"])
    except OSError as problem:
        rope.ready(error=from_os(problem, Path(order.work)).envelope()["error"])


def lower_priority() -> None:
    """Everything else on the machine goes first."""
    with contextlib.suppress(OSError, ImportError, AttributeError):
        if sys.platform == "win32":
            import psutil

            psutil.Process().nice(psutil.IDLE_PRIORITY_CLASS)
        else:
            os.nice(NICE)


def build(order: Order) -> str:
    """Builds it, or goes on building; the build's name. Raises BadPackage, DigestMismatch, BuildFailed, DiskFull and the like."""
    began = time.monotonic()
    work, teller = Path(order.work), Teller(order.progress)
    make_private_folder(work)
    source, tree = work / "source", work / "tree"
    if not source.is_dir():
        part = work / "source.part"
        shutil.rmtree(part, ignore_errors=True)
        unpack(Path(order.archive), order.sha256, order.inside, part, teller)
        part.replace(source)
    _configure(order, source, tree, teller)
    _compile(order, tree, teller)
    program = tree / order.program
    said = _first_words(program)
    finish(
        Path(order.folder),
        Build(
            order.name, order.backend, order.source, order.sha256, order.switches, order.processor, _compiler(tree),
            said, program.stat().st_size, round(time.monotonic() - began, 1), time.time(),
        ),
        program,
    )  # fmt: skip
    return order.name


def unpack(archive: Path, sha256: str, inside: str, target: Path, teller: Teller) -> None:
    """Takes the folder `inside` of the archive. Raises DigestMismatch, BadPackage."""
    with archive.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise DigestMismatch(f"{archive.name} is not the file that its index announces (sha256).")
    wanted = inside.split("/")
    files = taken = 0
    make_private_folder(target)
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                files += 1
                taken += max(0, member.size)
                if files > MOST_FILES or taken > MOST_BYTES:
                    raise BadPackage(
                        f"{archive.name} holds more than a source should: over {MOST_FILES:,} files or 2 GiB."
                    )
                rest = _below(_parts(member.name), wanted)
                if rest is None or member.isdir():
                    continue
                if not member.isreg():
                    raise BadPackage(f"{member.name!r} in {archive.name} is a link or a device.")
                _write(members, member, target.joinpath(*rest))
                teller.tell("unpacking", files, files + 1)
    except (tarfile.TarError, EOFError, ValueError) as problem:
        raise BadPackage(f"{archive.name} is not a sound archive: {problem}.") from None
    if not any(target.iterdir()):
        raise BadPackage(f"{archive.name} has no folder {inside!r}.")


def _parts(name: str) -> list[str]:
    """The parts of a name that stays inside. Raises BadPackage."""
    parts = name.rstrip("/").split("/")
    bad = name.startswith("/") or len(parts) > DEEPEST or {"", ".", ".."} & {*parts}
    if bad or any(len(part) > 200 or {*part} & {*'\\:*?"<>|'} or not part.isprintable() for part in parts):
        raise BadPackage(f"The archive holds a name that could leave its folder: {name[:120]!r}.")
    return parts


def _below(parts: list[str], wanted: list[str]) -> list[str] | None:
    count = len(wanted)
    same = all(want in ("*", part) for part, want in zip(parts, wanted, strict=False))
    return parts[count:] if len(parts) > count and same else None


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    reading = members.extractfile(member)
    assert reading is not None
    left = member.size
    with target.open("xb") as writing:  # a name that comes twice is an error, not a second chance
        while piece := reading.read(min(PIECE, left)):
            left -= len(piece)
            writing.write(piece)
    if left:
        raise BadPackage(f"{member.name!r} in the archive is shorter than it claims.")
    target.chmod(0o700 if member.mode & 0o100 else 0o600)


def _configure(order: Order, source: Path, tree: Path, teller: Teller) -> None:
    teller.tell("configuring", 0, 1)
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={order.ninja}", *_launchers()]
    argv = [order.cmake, "-S", str(source), "-B", str(tree), *generator, *order.switches]
    code, lines = _run(argv, lambda line: None)
    if code:
        raise BuildFailed(_what("cmake could not set up the build", lines))
    teller.tell("configuring", 1, 1)


def _launchers() -> list[str]:
    """Switches that start every compiler through `join_group.py`."""
    if sys.platform == "win32":
        return []
    launcher = ";".join((sys.executable, "-I", "-S", join_group.__file__))
    return [f"-DCMAKE_{language}_COMPILER_LAUNCHER={launcher}" for language in ("C", "CXX", "CUDA", "HIP", "OBJC")]


def _compile(order: Order, tree: Path, teller: Teller) -> None:
    known = read_object(tree / "steps.json").get("total", 0)
    steps = [known if isinstance(known, int) else 0]

    def watch(line: str) -> None:
        if found := _NINJA.match(line):
            # A build that goes on counts what is left of it: what was done before is the rest of the first count.
            done, left = int(found[1]), int(found[2])
            if left > steps[0]:
                steps[0] = left
                write_beside(tree / "steps.json", {"total": left})
            teller.tell("compiling", steps[0] - left + done, steps[0])

    argv = [order.cmake, "--build", str(tree), "--target", order.target, "--parallel", str(order.jobs)]
    code, lines = _run(argv, watch)
    if code:
        raise BuildFailed(_what("The compiler failed", lines))


def _run(argv: list[str], watch: Any) -> tuple[int, list[str]]:
    """Runs it with all it prints in the log (standard error); its status and the last lines."""
    kept: list[str] = []
    environment = {
        **os.environ,
        "LC_ALL": "C",
        join_group.VARIABLE: str(os.getpgrp()) if hasattr(os, "getpgrp") else "",
    }
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
            watch(line)
            kept = [*kept[-199:], line.rstrip()]
    sys.stderr.flush()
    return process.returncode, kept


def _what(what: str, lines: list[str]) -> str:
    said = next((line for line in lines if _WRONG.search(line)), lines[-1] if lines else "it said nothing")
    return f"{what}: {said.strip()[:300]}"


def _first_words(program: Path) -> str:
    """What the program says of its version: it must run here before it counts as built. Raises BuildFailed."""
    try:
        done = subprocess.run(
            [str(program), "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise BuildFailed(f"What was built does not run: {problem}.") from None
    text = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
    if done.returncode:
        raise BuildFailed(f"What was built does not run: status {done.returncode}. {text[-200:]}")
    lines = text.splitlines()
    return next((line for line in lines if line.startswith("version")), lines[0] if lines else "")[:200]


def _compiler(tree: Path) -> str:
    try:
        text = (tree / "CMakeCache.txt").read_text("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


if __name__ == "__main__":
    main()
