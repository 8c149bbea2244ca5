"""Residency under chaos: models' children killed and hung, a far server that comes and goes, memory that fills, models loaded,
unloaded and pinned, clients that leave, the daemon itself killed; at random, while clients talk all the time.

Promises: after each event the daemon answers; every question that a client was told of is stored, every answer that has ended
for its client is complete, stopped, interrupted, or failed with a code of docs/errors.md; at the end every model answers and no
process is left. The order is drawn from a seed, which is printed; HOMEFIRE_CHAOS_SEED plays
one again (what it hits depends on the moment too).
Does not cover: power cuts, GPUs. The machine's free memory, as the daemon reads it, is that of a small machine (a file in the
place of /proc/meminfo, in a mount namespace of the daemon's own); what fills it is a real process that takes a gigabyte. Where
the system allows no such namespace the daemon sees the real machine.

HOMEFIRE_PROOF=full makes 200 events, else 20.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from fakes.models import endless
from homefire.errors import HomefireError, leaves
from homefire.models.library import PILOT_FILE
from tests.chaos.load import Talker, Turn
from tests.conftest import RunningDaemon, alive, command_lines, wait_until
from tests.far_servers import FarProcess, fake

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"
EVENTS = 200 if FULL else 20
MODELS = ("red", "green", "blue")
CHAIN = "smart"
# Two of the three fit (each is promised about 99 MiB here).
CAP_MIB = 250
# The small machine: what lies free of it, and what the filler takes. An eighth stays free, so beside the filler one model fits.
TOTAL_MIB, FREE_MIB, FILLER_MIB = 4096, 1640, 1000
HANG_SECONDS = 2
LIMIT = 300  # tokens; four answers of that length share a window of 4 x 512
FEW_CRASHES = 4  # of one model within a minute: a fifth would make it rest for a minute
CODES = {leaf.code for leaf in leaves()} - {"internal_error"}
SETTLED = {"complete", "stopped", "interrupted", "failed"}
FILLER = "import sys; kept = b'x' * (int(sys.argv[1]) << 20); print('full', flush=True); sys.stdin.read()"


class SmallMachine(RunningDaemon):
    """A daemon that sees as much memory as a file says."""

    def __init__(self, home: Path, meminfo: Path, **environment: str) -> None:
        super().__init__(home, **environment)
        self.meminfo = meminfo
        self._figures = Path("/proc/meminfo").read_text("utf-8")
        meminfo.write_bytes(b"")
        self.free(FREE_MIB)
        bind = ["unshare", "--mount", "sh", "-c", f"mount --bind {meminfo} /proc/meminfo"]
        allowed = shutil.which("unshare") and subprocess.run(bind, capture_output=True, check=False).returncode == 0
        self._before = [*bind[:4], f'{bind[4]} && exec "$@"', "sh"] if allowed else []

    def free(self, mib: int) -> None:
        """From now on so much is free."""
        told = self._figures
        for name, size in (("MemTotal", TOTAL_MIB), ("MemAvailable", mib), ("MemFree", mib)):
            told = re.sub(rf"(?m)^{name}:.*$", f"{name}: {size * 1024:9} kB", told)
        with self.meminfo.open("r+b") as file:  # in one write of the same length: the kernel shows no half of it either
            os.pwrite(file.fileno(), told.encode(), 0)

    def start(self) -> RunningDaemon:
        """`homefire up --detach` in the namespace."""
        done = subprocess.run(
            [*self._before, sys.executable, "-m", "homefire.cli", "up", "--detach", "--json"],
            env=self.environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        facts = json.loads(done.stdout)
        self.url, self.pid = facts["url"], facts["pid"]
        self.key = json.loads(self.paths.keys.read_text("utf-8"))["local"]
        return self


class World:
    """What is torn at: the daemon, the far server, the filler of memory; and what was done."""

    def __init__(self, daemon: SmallMachine, dice: random.Random) -> None:
        self.daemon = daemon
        self.dice = dice
        self.far: FarProcess | None = fake("openai")
        self.port = self.far.port
        self.filler: subprocess.Popen[str] | None = None
        self.crashes: list[tuple[float, str]] = []
        self.left: list[Turn] = []
        self.pinned = ""

    def close(self) -> None:
        """Ends what this world started."""
        self.empty()
        if self.far is not None:
            self.far.kill()

    # -- what may happen

    def kill_child(self) -> str:
        return self._hurt(signal.SIGKILL)

    def stop_child(self) -> str:
        return self._hurt(signal.SIGSTOP)

    def _hurt(self, number: int) -> str:
        """A model's child; none of a model that crashed too often lately."""
        now = time.monotonic()
        self.crashes = [each for each in self.crashes if now - each[0] < 60]
        lately = Counter(name for _, name in self.crashes)
        children = [each for each in self._children() if lately[each[1]] < FEW_CRASHES]
        if not children:
            return "nothing: no child, or enough crashes"
        pid, name = self.dice.choice(children)
        self.crashes.append((now, name))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        return name

    def _children(self) -> list[tuple[int, str]]:
        """The models' processes and names, by their command lines."""
        own = [
            (pid, line) for pid, line in command_lines() if "llamacpp_child" in line and str(self.daemon.home) in line
        ]
        return [(pid, name) for pid, line in own for name in MODELS if f'"alias": "{name}"' in line]

    def kill_far(self) -> str:
        if self.far is None:
            return self.start_far()
        self.far.kill()
        self.far = None
        return "killed"

    def stop_far(self) -> str:
        if self.far is None:
            return self.start_far()
        self.far.process.send_signal(signal.SIGSTOP)
        threading.Timer(3.0, self.far.process.send_signal, (signal.SIGCONT,)).start()
        return "for 3 s"

    def start_far(self) -> str:
        if self.far is None:
            with contextlib.suppress(ValueError):  # another program has its port now; the next time
                self.far = fake("openai", self.port)
        return "started"

    def fill(self) -> str:
        if self.filler is not None:
            self.empty()
            return "emptied"
        self.filler = subprocess.Popen(
            [sys.executable, "-c", FILLER, str(FILLER_MIB)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.filler.stdout is not None and self.filler.stdout.readline() == "full\n"
        self.daemon.free(FREE_MIB - FILLER_MIB)
        return f"{FILLER_MIB} MiB"

    def empty(self) -> None:
        if self.filler is not None:
            self.filler.kill()
            self.filler.communicate()
            self.filler = None
            self.daemon.free(FREE_MIB)

    def load(self) -> str:
        return self._ask("load", {"keep_alive": self.dice.choice([5, 600, -1])})

    def unload(self) -> str:
        return self._ask("unload", {"now": self.dice.random() < 0.5})

    def pin(self) -> str:
        if self.pinned:
            name, self.pinned = self.pinned, ""
            return self._ask("load", {"pin": False}, name)
        self.pinned = self.dice.choice(MODELS)
        return self._ask("load", {"pin": True}, self.pinned)

    def _ask(self, verb: str, body: dict[str, object], name: str = "") -> str:
        name = name or self.dice.choice(MODELS)
        try:
            with self.daemon.client() as client:
                client.post(f"/homefire/v1/models/{name}/{verb}", body, seconds=20)
        except HomefireError as problem:
            assert problem.code in CODES, problem
            return f"{name}: {problem.code}"
        return name

    def kill_daemon(self) -> str:
        children = self.daemon.engine_pids()
        self.daemon.kill()
        self.daemon.start()  # ends what no rope reached: a child that was stopped before it had attached to its lifeline
        wait_until(lambda: not any(alive(pid) for pid in children), 5)
        return f"{len(children)} children with it"

    def leave(self) -> str:
        """A client that goes away in the middle of an answer."""
        turn = Turn(time.monotonic())
        try:
            with self.daemon.client() as client:
                turn.conversation = client.post("/homefire/v1/conversations", {"model": self.dice.choice(MODELS)})["id"]
                with contextlib.closing(client.ask(turn.conversation, "go on")) as events:  # type: ignore[type-var]
                    for event in events:
                        if event.name == "message" and event.data["role"] == "user":
                            turn.question = event.data["id"]
                        if event.name == "delta":
                            break
            turn.outcome = "left"
        except HomefireError as problem:
            turn.outcome = problem.code
        self.left.append(turn)
        return turn.outcome


EVENT_KINDS: tuple[tuple[Callable[[World], str], int], ...] = (
    (World.kill_child, 4), (World.stop_child, 2), (World.kill_far, 3), (World.stop_far, 2), (World.fill, 3), (World.load, 3),
    (World.unload, 3), (World.pin, 2), (World.kill_daemon, 2), (World.leave, 3),
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A daemon with three models, room for two, and an order of fallback that begins at a far server."""
    seed = int(os.environ.get("HOMEFIRE_CHAOS_SEED") or random.randrange(10**6))
    print(f"\nHOMEFIRE_CHAOS_SEED={seed}", file=sys.stderr)
    daemon = SmallMachine(
        tmp_path / "home", tmp_path / "meminfo",
        HOMEFIRE_MEMORY_CAP_MIB=str(CAP_MIB), HOMEFIRE_CONTEXT="512", HOMEFIRE_SLOTS="4", HOMEFIRE_THREADS="1",
        HOMEFIRE_HANG_SECONDS=str(HANG_SECONDS), HOMEFIRE_STARVATION_SECONDS="4", HOMEFIRE_WAIT_SECONDS="30",
        HOMEFIRE_FAR_FIRST_SECONDS="2", HOMEFIRE_FAR_STALL_SECONDS="2", HOMEFIRE_GOVERNOR_SECONDS="1",
    )  # fmt: skip
    made = World(daemon, random.Random(seed))
    try:
        daemon.start()
        file = endless(PILOT_FILE, tmp_path / "endless.gguf")
        for name in MODELS:
            assert daemon.cli("models", "import", str(file), "--name", name).returncode == 0
        with daemon.client() as client:
            where = {"name": "far", "url": f"http://127.0.0.1:{made.port}", "kind": "openai"}
            client.post("/homefire/v1/engines", where)
            client.put("/homefire/v1/chains", {"model": CHAIN, "order": ["far/pilot", MODELS[0]]})
        yield made
    finally:
        made.close()
        daemon.stop()


def test_at_random(world: World) -> None:
    daemon, dice = world.daemon, world.dice
    kinds, weights = zip(*EVENT_KINDS, strict=True)
    order = dice.choices(kinds, weights, k=EVENTS)
    wanted = [(model, plain) for model in (*MODELS, CHAIN) for plain in (False, True)]
    talkers = [Talker(daemon, model, plain, LIMIT) for model, plain in wanted]
    for talker in talkers:
        talker.start()
    checked: set[int] = set()
    began = time.monotonic()
    try:
        for number, kind in enumerate(order):
            time.sleep(dice.uniform(0.1, 0.9))
            print(f"{time.monotonic() - began:6.1f} s {number:3} {kind.__name__}: {kind(world)}", file=sys.stderr)
            wait_until(lambda: lives(daemon), 5)
            check(daemon, talkers, checked)
    finally:
        world.empty()
        world.start_far()
        for talker in talkers:
            talker.end()
        for talker in talkers:
            talker.join(45)
    told = Counter(turn.outcome for talker in talkers for turn in talker.turns)
    print(f"{time.monotonic() - began:6.1f} s the clients have left; they heard: {dict(told)}", file=sys.stderr)
    assert not any(talker.is_alive() for talker in talkers), "nobody waits for ever"
    check(daemon, talkers, checked)
    check_conversations(daemon, world.left)
    assert sum(turn.outcome == "done" for talker in talkers for turn in talker.turns) >= EVENTS, (
        "they were served meanwhile"
    )
    everything_works(world)
    print(f"{time.monotonic() - began:6.1f} s every model has answered", file=sys.stderr)
    assert no_defect(daemon) == []
    assert daemon.cli("down").returncode == 0
    wait_until(lambda: processes_of(daemon.home) == [], 10)


def lives(daemon: RunningDaemon) -> bool:
    try:
        return bool(httpx2.get(f"{daemon.url}/healthz", timeout=5, trust_env=False).json() == {"alive": True})
    except httpx2.TransportError:
        return False


def check(daemon: RunningDaemon, talkers: list[Talker], checked: set[int]) -> None:
    """What has ended since the last look."""
    ended = [turn for talker in talkers for turn in list(talker.turns) if turn.outcome and id(turn) not in checked]
    checked.update(map(id, ended))
    for turn in ended:
        assert turn.outcome in CODES | {"done", "broken", "left"}, (turn, no_defect(daemon))
    check_conversations(daemon, [turn for turn in ended if turn.conversation])


def check_conversations(daemon: RunningDaemon, turns: list[Turn]) -> None:
    """What their clients were told stands in the store, in a state that has ended."""
    with daemon.client() as client:
        for turn in turns:
            at = f"/homefire/v1/conversations/{turn.conversation}"
            messages = {message["id"]: message for message in client.get(at)["messages"]}
            if not turn.question:
                continue
            assert messages[turn.question]["content"] == "go on"
            (answer,) = [message for message in messages.values() if message["parent_id"] == turn.question]
            if answer["state"] == "streaming":  # its client is gone, and the daemon is just noticing
                wait_until(lambda at=at: client.get(at)["messages"][-1]["state"] in SETTLED, 5)  # type: ignore[misc]
                answer = client.get(at)["messages"][-1]
            assert answer["state"] in SETTLED, answer
            if answer["state"] == "failed":
                assert answer["error"]["code"] in CODES, answer
            if turn.outcome == "done":
                assert (answer["state"], answer["content"]) == ("complete", turn.text)
                assert answer["answered_by"]["name"] in (*MODELS, "far/pilot")


def everything_works(world: World) -> None:
    """A last request to each model and to the order of fallback gets its answer; one that crashed too often after its rest."""
    daemon = world.daemon
    for name in MODELS:
        daemon.cli("unload", name)
    for name in (*MODELS, CHAIN):
        wait_until(lambda name=name: _says(daemon, name), 90)  # type: ignore[misc]


def _says(daemon: RunningDaemon, model: str) -> bool:
    done = daemon.cli("chat", "--model", model, "--max-tokens", "3", "hi")
    return done.returncode == 0


def no_defect(daemon: RunningDaemon) -> list[str]:
    """Lines of the log that speak of one, with those after them."""
    lines = daemon.paths.daemon_log.read_text("utf-8").splitlines()
    found = [at for at, line in enumerate(lines) if "Traceback" in line or "defect" in line or "task failed" in line]
    return ["\n".join(lines[at : at + 40]) for at in found[-2:]]


def processes_of(home: Path) -> list[str]:
    """Every process that was started for this home: by its command line, or by the home in its environment."""
    found, mark = [], str(home).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if mark in told and alive(int(entry.name)):
                    found.append(f"{entry.name}: {told[:200]!r}")
    return found
