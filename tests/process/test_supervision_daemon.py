"""What keeps the daemon up (`supervision/upkeep.py`): with a small program in the daemon's place, and with the daemon.

Promises: a crash is followed by a start, a crash loop by a clear end, being asked to stop by no start, at whatever moment it
comes; GPU limits of a killed daemon are taken back by the next one.
Does not cover: Windows.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homefire.paths import Paths
from homefire.supervision import upkeep
from homefire.supervision.record import read
from tests.conftest import ROOT, RunningDaemon, alive, wait_until
from tests.contract import raw
from tests.null import nvml_library as fake
from tests.process.test_cli import parsed, refused

# In the daemon's place: notes its pid, says its first line, then ends as the n-th word of its plan says.
STAND_IN = r"""
import json, os, pathlib, signal, sys, time
plan, pids = sys.argv[1].split(','), pathlib.Path(sys.argv[2])
turn = len(pids.read_text().split()) if pids.exists() else 0
with pids.open('a') as file: file.write(f'{os.getpid()}\n')
word = plan[min(turn, len(plan) - 1)]
if word == 'silent': sys.exit(5)
if word == 'failed':
    print(json.dumps({'failed': {'error': {'message': 'the port is taken', 'code': 'port_in_use'}}}), flush=True); sys.exit(1)
if word == 'early': os.kill(os.getpid(), signal.SIGKILL)
ready = {'pid': os.getpid(), 'url': 'http://127.0.0.1:4242', 'port': os.environ.get('HOMEFIRE_PORT')}
print(json.dumps({'ready': ready}), flush=True)
if word == 'segv': os.kill(os.getpid(), signal.SIGSEGV)
if word == 'exit1': sys.exit(1)
if word == 'exit0': sys.exit(0)
if word == 'sigint': os.kill(os.getpid(), signal.SIGINT); time.sleep(60)
signal.signal(signal.SIGTERM, signal.SIG_IGN if word == 'stuck' else lambda *_: sys.exit(0))
if word == 'stuck': (pids.parent / 'deaf').touch()
while True: time.sleep(60)
"""
PROGRAM = """
import sys
from pathlib import Path
from homefire.paths import Paths
from homefire.supervision.upkeep import Upkeep
found = Upkeep(Paths(Path(sys.argv[1])), (sys.executable, '-c', sys.argv[2], *sys.argv[3:]), 3)
found.listen()
sys.exit(found.run())
"""


class Kept:
    """An upkeep of stand-ins with a plan."""

    def __init__(self, folder: Path, plan: str, number: int) -> None:
        self.paths = Paths(folder / "home")
        self.paths.prepare()
        self._pids = folder / f"pids-{number}"
        argv = [sys.executable, "-c", PROGRAM, str(self.paths.home), STAND_IN, plan, str(self._pids)]
        self.process = subprocess.Popen(
            argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()

    @property
    def pids(self) -> list[int]:
        return [int(word) for word in self._pids.read_text().split()] if self._pids.exists() else []

    def state(self) -> dict[str, object]:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, object] = json.loads(self.paths.upkeep.read_text())
            return found
        return {}

    def wait(self) -> int:
        return self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        for pid in self.pids:  # before the pipes are read to their end: the stand-ins hold them too
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate(timeout=60)


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[[str], Kept]]:
    made: list[Kept] = []

    def make(plan: str) -> Kept:
        made.append(Kept(tmp_path, plan, len(made)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_crash_is_followed_by_a_start(keep: Callable[[str], Kept]) -> None:
    kept = keep("segv,exit1,silent,failed,stay")
    assert json.loads(kept.first)["ready"]["pid"] == kept.pids[0]
    # Five tries, four crashes: one less than a loop.
    wait_until(lambda: len(kept.pids) == 5 and "ready" in kept.state(), 60)
    rows = read(kept.paths.restarts)
    assert [(row.child, row.cause, row.was_ready) for row in rows] == [
        ("daemon", "was killed by SIGSEGV", True),
        ("daemon", "ended with status 1", True),
        ("daemon", "ended with status 5", False),
        ("daemon", "could not start: the port is taken", False),
    ]
    ready = kept.state()["ready"]
    assert isinstance(ready, dict)
    assert ready["port"] == "4242", "it comes back where it was"
    kept.process.terminate()
    assert kept.wait() == 0
    assert not alive(kept.pids[-1])
    assert len(kept.pids) == 5
    assert not kept.paths.upkeep.exists()


def test_a_crash_loop_ends(keep: Callable[[str], Kept]) -> None:
    kept = keep("segv")
    assert kept.wait() == upkeep.GAVE_UP
    assert len(kept.pids) == 5
    message = str(kept.state()["gave_up"])
    assert message.startswith("The daemon crashed 5 times within a minute")
    assert "SIGSEGV" in message
    assert message in kept.paths.daemon_log.read_text()
    assert "pid" not in kept.state(), "the number may be another process's soon"


@pytest.mark.parametrize(
    ("plan", "status", "starts"),
    [
        pytest.param("exit0", 0, 1, id="the daemon was asked to stop"),
        pytest.param("sigint", 0, 1, id="Ctrl-C reached the daemon first"),
        pytest.param("failed", 1, 1, id="it could not start at all"),
        pytest.param("silent", 5, 1, id="it ended before its first line"),
        pytest.param("early", 247, 1, id="it was killed before its first line"),
    ],
)
def test_no_start_after_these(keep: Callable[[str], Kept], plan: str, status: int, starts: int) -> None:
    kept = keep(plan)
    assert kept.wait() == status
    assert len(kept.pids) == starts
    assert ("failed" in kept.first) == (plan == "failed")


def test_ctrl_c_ends_both_at_once(keep: Callable[[str], Kept]) -> None:
    kept = keep("stay")
    os.killpg(kept.process.pid, signal.SIGINT)  # what a terminal does
    assert kept.wait() == 0
    assert len(kept.pids) == 1
    assert not alive(kept.pids[0])


def test_a_daemon_that_does_not_end_is_killed(keep: Callable[[str], Kept], tmp_path: Path) -> None:
    kept = keep("stuck")
    wait_until((tmp_path / "deaf").exists, 30)
    kept.process.terminate()
    assert kept.wait() == 0
    assert not alive(kept.pids[0])
    assert len(kept.pids) == 1


def test_asked_to_stop_during_the_pause(keep: Callable[[str], Kept]) -> None:
    kept = keep("segv,segv,segv,segv,stay")
    wait_until(lambda: len(kept.pids) >= 3 and "pausing" in kept.state(), 60)
    kept.process.terminate()
    assert kept.wait() == 0
    started = kept.pids
    time.sleep(1.0)  # longer than any pause of the plan
    assert kept.pids == started
    assert not any(alive(pid) for pid in started)


def test_a_second_one_restarts_nothing(keep: Callable[[str], Kept]) -> None:
    first = keep("stay")
    wait_until(lambda: "ready" in first.state(), 30)
    second = keep("segv,stay")
    assert second.wait() == 256 - signal.SIGSEGV, "the daemon's own status"
    assert len(second.pids) == 1
    assert first.process.poll() is None
    assert first.state()["pid"] == first.process.pid


def test_it_is_light() -> None:
    heavy = ("asyncio", "httpx2", "psutil", "apsw")
    program = f"import sys, homefire.supervision.upkeep; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


# -- with the daemon


@pytest.fixture
def kept_daemon(new_daemon: Callable[..., RunningDaemon]) -> Iterator[Callable[..., RunningDaemon]]:
    """Makes daemons that are started again; ends them with what keeps them up."""
    made: list[RunningDaemon] = []

    def make(**environment: str) -> RunningDaemon:
        made.append(new_daemon(HOMEFIRE_SUPERVISE="1", **environment))
        return made[-1]

    yield make
    for each in made:
        each.cli("down")
        with contextlib.suppress(OSError, ValueError, KeyError):
            os.kill(json.loads(each.paths.upkeep.read_text())["pid"], signal.SIGKILL)
        with contextlib.suppress(OSError, ValueError, KeyError):
            each.pid = json.loads(each.paths.address.read_text())["pid"]


def back(daemon: RunningDaemon) -> int:
    """Waits until another process is the daemon; its pid."""

    def there() -> bool:
        with contextlib.suppress(OSError, ValueError):
            facts = json.loads(daemon.paths.address.read_text())
            return facts["pid"] != daemon.pid and alive(facts["pid"])
        return False

    wait_until(there, 90)
    return int(json.loads(daemon.paths.address.read_text())["pid"])


def test_kill_the_daemon_and_it_is_back_with_its_hook(
    kept_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    script = tmp_path / "hook.py"
    script.write_text(f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(sys.stdin.read())")
    daemon = kept_daemon(HOMEFIRE_RESTART_HOOK=f"'{sys.executable}' '{script}'").start()
    daemon.kill()
    daemon.pid = back(daemon)
    wait_until(lambda: raw.call(daemon, "GET", "/readyz").status == 200, 30)  # at the address of before
    wait_until(lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text() != "", 60)
    told = json.loads((tmp_path / "told").read_text())
    assert (told["child"], told["cause"]) == ("daemon", "was killed by SIGKILL")
    (row,) = raw.call(daemon, "GET", "/homefire/v1/restarts").json["restarts"]
    assert (row["child"], row["back_at"] is not None) == ("daemon", True)
    up = parsed(daemon.cli("up", "--json"))
    assert (up["already_running"], up["pid"]) == (True, daemon.pid)
    down = parsed(daemon.cli("down", "--json"))
    assert down == {"stopped": True, "was_running": True, "pid": daemon.pid}
    assert not alive(daemon.pid)
    assert not daemon.paths.upkeep.exists(), "what would start it again is gone too"


def test_what_keeps_it_from_starting_is_said_once(kept_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = kept_daemon(HOMEFIRE_HOST="0.0.0.0")
    refused(daemon.cli("up", "--detach"), "bind_refused")
    assert not daemon.paths.restarts.exists(), "a start that fails is no crash"
    assert not daemon.paths.upkeep.exists()


def test_a_crash_loop_of_the_daemon_ends_in_a_clear_state(kept_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = kept_daemon().start()
    program = Path(daemon.paths.home / "config.toml")
    program.write_text("colour = 1\n")  # from now on it cannot start
    daemon.kill()
    wait_until(lambda: "gave_up" in daemon.paths.upkeep.read_text(), 120)
    message = refused(daemon.cli("status"), "daemon_crash_loop")
    assert "colour" in message
    program.unlink()
    assert daemon.start().cli("status").returncode == 0, "`up` tries anew"


def test_a_crash_loop_in_the_foreground_ends_the_verb(kept_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = kept_daemon()
    argv = [sys.executable, "-m", "homefire.cli", "up"]
    with subprocess.Popen(
        argv, env=daemon.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line, "it ended before it was ready"
        daemon.pid = json.loads(daemon.paths.address.read_text())["pid"]
        (daemon.paths.home / "config.toml").write_text("colour = 1\n")
        daemon.kill()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the daemon was killed by SIGKILL; it is started again." in said
    assert "[daemon_crash_loop]" in said


def test_down_during_the_pause(kept_daemon: Callable[..., RunningDaemon]) -> None:
    """The daemon is dead and would come back in a moment: `down` must not say that none runs and leave that be."""
    daemon = kept_daemon().start()
    (daemon.paths.home / "config.toml").write_text("colour = 1\n")
    upkeep_pid = json.loads(daemon.paths.upkeep.read_text())["pid"]
    daemon.kill()
    wait_until(lambda: "pausing" in daemon.paths.upkeep.read_text(), 60)
    down = parsed(daemon.cli("down", "--json"))
    if alive(upkeep_pid) or down["stopped"]:  # else it had given up already, on a machine that was very slow
        assert down["stopped"]
        assert not down["was_running"]
    assert not alive(upkeep_pid)


def test_gpu_limits_of_a_killed_daemon_are_taken_back(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    state = tmp_path / "gpu"
    fake.write(state, temperature=95)
    if fake.build(tmp_path, state) is None:
        pytest.skip("needs a C compiler")
    daemon = new_daemon(
        HOMEFIRE_GPU_LIMITS="1", HOMEFIRE_GOVERNOR_SECONDS="1", HOMEFIRE_GPU_LAYERS="0", LD_LIBRARY_PATH=str(tmp_path)
    )
    daemon.start()
    assert fake.read(state)["limit"] == fake.STATE["limit"], "nothing is set while no model is in memory"
    assert daemon.cli("chat", "--max-tokens", "3", "hello").returncode == 0
    wait_until(lambda: fake.read(state)["limit"] < fake.STATE["limit"], 60)
    assert daemon.paths.gpu_limits.exists()
    daemon.kill()
    assert fake.read(state)["limit"] < fake.STATE["limit"], "or the test proves nothing"
    daemon.start()
    assert fake.read(state) == {**fake.STATE, "temperature": 95}
    assert not daemon.paths.gpu_limits.exists()
    assert daemon.cli("chat", "--max-tokens", "3", "hello").returncode == 0
    wait_until(lambda: fake.read(state)["locked"] > 0, 60)
    assert daemon.cli("down").returncode == 0
    assert fake.read(state) == {**fake.STATE, "temperature": 95}, "and at a good end as well"
