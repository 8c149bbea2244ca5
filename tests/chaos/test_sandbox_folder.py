"""A job's folder: names that it may neither change nor make, and the way out to hosts that it was given.

Promises: each protected name is refused when it is there and when it is not, directly, by symlink, by hard link, by renaming
its parent; outside, the folder is afterwards as it was but for what the job may do, and belongs to whom it belonged.
Does not cover: what takes more than its share (`test_sandbox_limits.py`).
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from homefire.errors import InvalidRequest, SandboxUnavailable
from homefire.safety.egress import Egress
from homefire.sandbox.bubblewrap import Bubblewrap, python
from homefire.sandbox.cgroup import find_kind
from homefire.sandbox.choose import candidates, choose
from homefire.sandbox.landlock import Landlock
from homefire.sandbox.protect import MARK
from homefire.sandbox.sandbox import Job, Limits, Outcome
from tests.chaos import sandbox_mutants
from tests.chaos.sandbox_driver import mutated
from tests.chaos.test_sandbox_probes import ROOTED
from tests.chaos.test_sandbox_probes import pytestmark as pytestmark

Box = Bubblewrap | Landlock
TIERS = ("bubblewrap", "landlock")
# What is written into protected places, by each way there is; each prints its name if it got through.
ATTACKS = r"""
import json, os, shutil, sys
names, got = json.loads(sys.argv[1]), []
def attempt(label, work):
    try:
        work()
        got.append(label)
    except OSError:
        pass
def written(place):
    with open(place, "a") as file:
        file.write("evil")
def moved_aside(parent, rest):
    os.rename(parent, "aside")
    try:
        os.makedirs(os.path.dirname(parent + "/" + rest), exist_ok=True)
        written(parent + "/" + rest)
    finally:
        if not os.path.exists(parent):
            os.rename("aside", parent)
for name in names:
    bare, top = name.rstrip("/"), name.split("/")[0]
    inner = bare + "/evil" if name.endswith("/") else bare
    attempt(name + " written", lambda: written(inner))
    attempt(name + " made", lambda: os.mkdir(bare))
    attempt(name + " removed", lambda: shutil.rmtree(bare) if os.path.isdir(bare) else os.remove(bare))
    attempt(name + " renamed", lambda: os.rename(bare, "elsewhere"))
    attempt(name + " replaced", lambda: (written("mine"), os.replace("mine", bare)))
    attempt(name + " by symlink in its place", lambda: os.symlink("/tmp", bare))
    attempt(name + " through a symlink", lambda: (os.symlink(bare, "way-" + top), written("way-" + top + inner[len(bare):])))
    attempt(name + " by a hard link out", lambda: (os.link(inner, "linked-" + top), written("linked-" + top)))
    attempt(name + " by a hard link in", lambda: (written("own-" + top), os.link("own-" + top, bare + "-x" if 0 else inner + "2"
            if name.endswith("/") else bare)))
    if "/" in bare:
        attempt(name + " by renaming its parent", lambda: moved_aside(top, bare[len(top) + 1:] + inner[len(bare):]))
    attempt(name + " by another name of the file", lambda: os.close(os.open("alias", os.O_WRONLY)))
    attempt(name + " by changing its mode", lambda: os.chmod(bare, 0o777))
os.path.isdir("src") and written("src/ordinary")
made = []
try:
    written("new")
    made.append("new")
except OSError:
    pass
print(json.dumps({"got": got, "made": made}))
"""
NAMES = (".git/hooks/", ".git/config", ".envrc", ".vscode/", "settings/agent.json")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user reaches, with sources in it."""
    place = Path(tempfile.mkdtemp(prefix="homefire-folder-"))
    (place / "src").mkdir()
    (place / "src" / "ordinary").write_text("x")
    yield place
    shutil.rmtree(place)


def plug(tier: str) -> Box:
    return Bubblewrap(find_kind()) if tier == "bubblewrap" else Landlock(find_kind())


def attacked(box: Box, folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    program, home = python(box.facts().tier)
    argv = (program, "-I", "-S", "-c", ATTACKS, json.dumps(names))
    outcome = asyncio.run(box.run(Job(argv, folder, readable=home, protected=names)))
    assert outcome.exit_code == 0, outcome
    return dict(json.loads(outcome.stdout))


def fill(folder: Path) -> None:
    """Every protected name is there."""
    for name in NAMES:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(exist_ok=True) if name.endswith("/") else place.write_text("as it was")
    (folder / ".git" / "hooks" / "evil").write_text("as it was")


def seen(folder: Path) -> dict[str, str]:
    """All that is below the folder's protected names."""
    found = {}
    for place in sorted(folder.rglob("*")):
        name = place.relative_to(folder).as_posix()
        if any((name + "/").startswith((own.rstrip("/") + "/", own.split("/")[0] + "/")) for own in NAMES):
            found[name] = place.read_text() if place.is_file() else "folder"
    return found


@pytest.mark.parametrize("present", [True, False], ids=["present", "absent"])
@pytest.mark.parametrize("tier", TIERS)
def test_protected_names(tier: str, present: bool, folder: Path) -> None:
    if present:
        fill(folder)
    before = seen(folder)
    found = attacked(plug(tier), folder, NAMES)
    assert found["got"] == []
    assert found["made"] == (["new"] if tier == "bubblewrap" else []), "tier 2 adds no name beside a protected one"
    assert seen(folder) == before
    assert (folder / "src" / "ordinary").read_text() == "xevil", "what is not protected can be changed"
    assert {place.lstat().st_uid for place in folder.rglob("*")} == {os.getuid()}, "the folder is given back"


@pytest.mark.parametrize("tier", TIERS)
def test_the_control_without_protection_everything_gets_through(tier: str, folder: Path) -> None:
    fill(folder)
    program, home = python(plug(tier).facts().tier)
    argv = (program, "-I", "-S", "-c", ATTACKS, json.dumps(NAMES))
    outcome = asyncio.run(plug(tier).run(Job(argv, folder, readable=home, protected=())))
    got = json.loads(outcome.stdout)["got"]
    for name in NAMES:
        assert f"{name} written" in got
        assert any(label.startswith(f"{name} ") and ("renamed" in label or "removed" in label) for label in got)


def test_a_parent_that_may_be_renamed_opens_what_is_below(folder: Path) -> None:
    """The mutant: protected names are closed, but their parents are not held in place."""
    fill(folder)

    def loose(plan: Any) -> Any:
        return sandbox_mutants.options(plan, lambda given: _without_pairs(given, "--bind", "/work/"))

    found = attacked(mutated("bubblewrap", find_kind(), loose, True), folder, NAMES)
    assert any("by renaming its parent" in label for label in found["got"])


def _without_pairs(given: list[Any], option: str, prefix: str) -> list[Any]:
    kept, index = [], 0
    while index < len(given):
        if given[index] == option and str(given[index + 2]).startswith(prefix):
            index += 3
        else:
            kept.append(given[index])
            index += 1
    return kept


def test_another_name_of_a_protected_file_is_closed_too(folder: Path) -> None:
    fill(folder)
    os.link(folder / ".git" / "config", folder / "alias")
    before = seen(folder)
    assert attacked(plug("bubblewrap"), folder, NAMES)["got"] == []
    assert seen(folder) == before
    with pytest.raises(SandboxUnavailable):
        attacked(plug("landlock"), folder, NAMES)


@pytest.mark.parametrize("tier", TIERS)
def test_a_protected_name_that_is_a_symlink_is_refused(tier: str, folder: Path) -> None:
    (folder / ".git").symlink_to("src")
    with pytest.raises(InvalidRequest):
        attacked(plug(tier), folder, NAMES)
    assert not (folder / ".envrc").exists(), "what was made before the refusal is gone"


def test_what_a_dead_daemon_left_is_taken_for_absent(folder: Path) -> None:
    (folder / ".envrc").write_bytes(MARK)
    assert attacked(plug("bubblewrap"), folder, NAMES)["got"] == []
    assert not (folder / ".envrc").exists()


def test_two_jobs_in_one_folder_share_the_placeholders(folder: Path) -> None:
    async def both() -> list[Outcome]:
        long = Job(("sh", "-c", "sleep 0.6; mkdir .hg; touch .envrc; ls -A"), folder)
        short = Job(("sh", "-c", "true"), folder)
        box = plug("bubblewrap")
        return list(await asyncio.gather(box.run(long), box.run(short)))

    outcomes = asyncio.run(both())
    assert b"File exists" in outcomes[0].stderr
    assert b"Read-only" in outcomes[0].stderr
    assert sorted(place.name for place in folder.iterdir()) == ["src"]


@pytest.mark.parametrize("tier", TIERS)
def test_files_environment_and_input_come_in(tier: str) -> None:
    program, home = python(plug(tier).facts().tier)
    source = "import os, sys; e = os.environ; print(open('a.txt').read(), e['WORD'], sys.stdin.read(), e['HOME'] == os.getcwd())"
    job = Job(
        (program, "-I", "-S", "main.py"),
        None,
        {"a.txt": b"one", "main.py": source.encode()},
        b"three",
        {"WORD": "two"},
        readable=home,
    )
    assert asyncio.run(plug(tier).run(job)).stdout == b"one two three True\n"


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 3", 3, None), ("kill -9 $$", None, 9), ("nothere", 127, None)]
)
def test_how_it_ended(tier: str, script: str, code: int | None, number: int | None) -> None:
    if tier == "landlock" and number:
        code, number = 1, None  # it may not send signals
        script += "; exit 1"
    outcome = asyncio.run(plug(tier).run(Job(("sh", "-c", script))))
    assert (outcome.exit_code, outcome.signal, outcome.ended_by) == (code, number, "")


@pytest.mark.parametrize("tier", TIERS)
def test_a_program_that_is_not_there_and_a_folder_that_is_not_there(tier: str, tmp_path: Path) -> None:
    assert asyncio.run(plug(tier).run(Job((str(tmp_path / "none"),)))).exit_code == 127
    assert asyncio.run(plug(tier).run(Job(("no-such-program",)))).exit_code == 127
    with pytest.raises(OSError):
        asyncio.run(plug(tier).run(Job(("true",), tmp_path / "none")))


FETCH = r"""
import json, socket, sys, urllib.request
found = {}
for address in sys.argv[1:]:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            found[address] = answer.read().decode()
    except Exception as problem:
        found[address] = str(getattr(problem, "code", type(problem).__name__))
try:
    socket.create_connection(("93.184.215.14", 80), 2)
    found["direct"] = "connected"
except OSError:
    found["direct"] = "refused"
print(json.dumps(found))
"""


def test_a_job_reaches_its_hosts_and_no_others() -> None:
    async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        text = head.split(b"\r\n")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        await writer.drain()
        writer.close()

    async def whole() -> Outcome:
        server = await asyncio.start_server(far, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def resolve(host: str, number: int) -> list[str]:
            return ["93.184.215.14"] if host == "example.org" else ["127.0.0.1"]

        async def dial(address: str, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection("127.0.0.1", port)

        box = Bubblewrap(find_kind(), functools.partial(Egress.open, resolve=resolve, dial=dial))
        program, home = python()
        addresses = [
            "http://example.org/a",
            "http://example.com/",
            "http://inside.org/",
            "http://127.0.0.1:1/",
            f"http://localhost:{port}/",
        ]
        hosts = ("example.org:80", "inside.org:80")
        found = await box.run(
            Job((program, "-I", "-c", FETCH, *addresses), readable=home, hosts=hosts, limits=Limits(wall_seconds=30))
        )
        server.close()
        return found

    outcome = asyncio.run(whole())
    assert outcome.exit_code == 0, outcome
    found = list(json.loads(outcome.stdout).values())
    assert found == ["Host: example.org:80", "403", "403", "403", "403", "refused"]


def test_hosts_without_a_way_out_are_refused() -> None:
    job = Job(("true",), hosts=("example.org:443",))
    for box in (Bubblewrap("none"), Landlock("none")):
        with pytest.raises(SandboxUnavailable):
            asyncio.run(box.run(job))


@pytest.mark.parametrize("tier", TIERS)
def test_a_root_daemon_gives_each_run_a_user_of_its_own(tier: str) -> None:
    program, home = python(plug(tier).facts().tier)
    source = "import os; print(os.stat('.').st_uid, os.getuid())"
    outcome = asyncio.run(plug(tier).run(Job((program, "-I", "-S", "-c", source), readable=home)))
    owner, user = map(int, outcome.stdout.split())
    assert owner == user
    assert user == os.getuid() if os.getuid() else user >= 1_900_000_000


# What is taken away, and the walls that the self-test then names.
BROKEN: list[tuple[str, Any, set[str]]] = [
    ("bubblewrap", sandbox_mutants.without("--unshare-net"), {"network", "abstract_socket"}),
    ("bubblewrap", sandbox_mutants.no_filter, {"calls"}),
    ("bubblewrap", sandbox_mutants.open_environment, {"environment"}),
    ("bubblewrap", sandbox_mutants.limited(RLIMIT_AS=None), {"memory_limit"}),
    ("bubblewrap", sandbox_mutants.OF_BUBBLEWRAP["no files but those named"][0], {"files_read", "files_written"}),
    ("landlock", sandbox_mutants.OF_LANDLOCK["Landlock"][0], {"files_read", "files_written"}),
    (
        "landlock",
        sandbox_mutants.both(sandbox_mutants.no_filter, sandbox_mutants.bits(2)),
        {"calls", "abstract_socket"},
    ),
]


@pytest.mark.parametrize(("tier", "change", "walls"), BROKEN)
def test_the_self_test_sees_a_wall_that_is_missing(tier: str, change: Any, walls: set[str]) -> None:
    box = mutated(tier, find_kind(), change, True)
    choice = asyncio.run(choose([box]))
    assert walls <= set(choice.passed_over[0][1])
    assert choice.sandbox.facts().tier == 0
    with pytest.raises(SandboxUnavailable):
        asyncio.run(choice.sandbox.run(Job(("true",))))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_on_this_machine_tier_one_holds(run: Any) -> None:
    """On the daemon's event loop too: it hands more descriptors to a program than it was asked to."""
    choice = run(choose(candidates()))
    assert (choice.sandbox.facts().name, choice.passed_over) == ("bubblewrap", ())
    assert run(Landlock(find_kind()).check()) == ()


@pytest.mark.skipif(not ROOTED, reason="only a root daemon lends folders to another user")
def test_no_second_run_above_or_below_a_lent_folder(folder: Path) -> None:
    async def both() -> list[Outcome | BaseException]:
        box = plug("bubblewrap")
        outer, inner = Job(("sleep", "0.3"), folder), Job(("true",), folder / "src")
        return list(await asyncio.gather(box.run(outer), box.run(inner), return_exceptions=True))

    outcomes = asyncio.run(both())
    assert isinstance(outcomes[0], Outcome)
    assert isinstance(outcomes[1], InvalidRequest)
    assert asyncio.run(plug("bubblewrap").run(Job(("true",), folder / "src"))).exit_code == 0
