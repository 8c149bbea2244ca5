"""`homefire up` and `down`, and everything that keeps a daemon from starting.

Promises: each obstacle is one error with its own code and a next step, in words and in JSON; what HOMEFIRE_HOME and
HOMEFIRE_PORT say is honoured; nothing is left running.
Does not cover: what a running daemon answers (`test_cli.py`), daemons that are killed (`tests/chaos/`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

from homefire.cli import lifecycle
from homefire.cli.main import main
from tests.conftest import ROOT, RunningDaemon, alive, command_lines, wait_until
from tests.contract import raw
from tests.process.test_cli import parsed, refused, refused_as_json

NewDaemon = Callable[..., RunningDaemon]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_up_and_down(new_daemon: NewDaemon) -> None:
    port = free_port()
    daemon = new_daemon(HOMEFIRE_PORT=str(port))
    up = daemon.cli("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert f"http://127.0.0.1:{port}/#login=" in up.stdout
    daemon.pid = parsed(daemon.cli("status", "--json"))["pid"]
    assert daemon.cli("chat", "--max-tokens", "3", "hello").returncode == 0
    (engine,) = daemon.engine_pids()
    assert daemon.home.stat().st_mode & 0o777 == 0o700
    assert daemon.paths.keys.stat().st_mode & 0o777 == 0o600
    down = daemon.cli("down")
    assert (down.returncode, down.stdout) == (0, "Stopped.\n")
    assert not alive(daemon.pid)
    assert not alive(engine)
    assert not daemon.paths.address.exists()
    again = daemon.cli("down")
    assert (again.returncode, again.stdout) == (0, "No daemon runs.\n")
    assert parsed(daemon.cli("down", "--json")) == {"stopped": False, "was_running": False}


def test_up_as_json_and_down_as_json(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    up = parsed(daemon.cli("up", "--detach", "--json"))
    assert up["already_running"] is False
    daemon.pid = up["pid"]
    assert alive(up["pid"])
    assert up["link"].startswith(f"{up['url']}/#login=")
    assert parsed(daemon.cli("down", "--json")) == {"stopped": True, "was_running": True, "pid": up["pid"]}
    assert not alive(up["pid"])


@pytest.mark.parametrize("supervise", ["0", "1"])
def test_up_in_the_foreground_ends_with_ctrl_c(new_daemon: NewDaemon, supervise: str) -> None:
    daemon = new_daemon(HOMEFIRE_SUPERVISE=supervise)
    argv = [sys.executable, "-m", "homefire.cli", "up"]
    with subprocess.Popen(
        argv, env=daemon.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line, "it ended before it was ready"
        daemon.pid = json.loads(daemon.paths.address.read_text())["pid"]
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        assert process.wait(20) == 0
    assert not alive(daemon.pid)
    assert not daemon.paths.upkeep.exists(), "and nobody starts it again"
    assert not [pid for pid, line in command_lines() if "supervision.upkeep" in line and _is_of(daemon, pid)]


def _is_of(daemon: RunningDaemon, pid: int) -> bool:
    """Whether a process belongs to this home."""
    try:
        return str(daemon.home).encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def test_ctrl_c_while_up_still_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """However early it comes, the verb waits for its daemon and gives the daemon's status, not 130."""
    for moment in ("Homefire is ready", "Press Ctrl-C"):
        process = mock.Mock(**{"wait.return_value": 0})
        home = mock.MagicMock()
        home.__enter__.return_value.post.return_value = {"url": "http://127.0.0.1:1/#login=x"}

        def interrupted(text: str, moment: str = moment, **_: object) -> None:
            if text.startswith(moment):
                raise KeyboardInterrupt

        monkeypatch.setattr(lifecycle, "_running", lambda: None)
        monkeypatch.setattr(lifecycle, "_start", lambda detach, process=process: (process, {"pid": 1}))
        monkeypatch.setattr("homefire.cli.lifecycle.Homefire.connect", lambda home=home: home)
        monkeypatch.setattr(lifecycle, "print", interrupted, raising=False)
        assert main(["up"]) == 0
        process.wait.assert_called_once_with()
        process.terminate.assert_not_called()


def test_without_a_daemon(new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    verbs = [("status",), ("link",), ("chat", "hi"), ("models",), ("models", "remove", "x"), ("key", "show")]
    with ThreadPoolExecutor(4) as pool:  # each is a process that mostly starts
        plain = pool.map(lambda verb: daemon.cli(*verb), verbs)
        as_json = pool.map(lambda verb: daemon.cli(*verb, "--json"), verbs)
    for done in plain:
        refused(done, "daemon_not_running")
    for done in as_json:
        assert "homefire up" in refused_as_json(done, "daemon_not_running")["next_step"]
    assert not daemon.home.exists(), "asking makes nothing"


def test_address_of_a_dead_daemon(new_daemon: NewDaemon) -> None:
    daemon = new_daemon().start()
    daemon.kill()
    assert daemon.paths.address.exists(), "or the test proves nothing"
    refused(daemon.cli("status"), "daemon_not_running")
    assert daemon.cli("down").stdout == "No daemon runs.\n"
    first = daemon.pid
    daemon.start()
    assert daemon.pid != first


def test_two_daemons_on_one_home(new_daemon: NewDaemon) -> None:
    daemon = new_daemon().start()
    second = subprocess.run(
        [sys.executable, "-m", "homefire.daemon"],
        env=daemon.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    inner = json.loads(second.stdout)["failed"]["error"]
    assert inner["code"] == "home_in_use"
    assert f"pid {daemon.pid}" in inner["message"]
    assert daemon.url in inner["message"]
    daemon.paths.address.unlink()  # now `up` cannot find it
    refused(daemon.cli("up", "--detach"), "home_in_use")
    assert raw.call(daemon, "GET", "/healthz", key="").status == 200


def test_port_taken(new_daemon: NewDaemon) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        daemon = new_daemon(HOMEFIRE_PORT=str(port))
        assert str(port) in refused(daemon.cli("up", "--detach"), "port_in_use")
        refused_as_json(daemon.cli("up", "--detach", "--json"), "port_in_use")
    assert not any(str(daemon.home) in line for _, line in command_lines())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_only_this_machine(new_daemon: NewDaemon, host: str) -> None:
    assert host in refused(new_daemon(HOMEFIRE_HOST=host).cli("up", "--detach"), "bind_refused")


@pytest.mark.parametrize(
    ("config", "environment", "named"),
    [
        ("colour = 1", {}, "colour"),
        ("port = 'x'", {}, "port"),
        ("port = 70000", {}, "70000"),
        ("port = true", {}, "port"),
        ("port =", {}, "config.toml"),
        ('restart_hook = "a \'b"', {}, "restart_hook"),
        ("", {"HOMEFIRE_PORT": "x"}, "HOMEFIRE_PORT"),
        ("", {"HOMEFIRE_QUEUE": "0"}, "HOMEFIRE_QUEUE"),
    ],
)
def test_bad_setting(new_daemon: NewDaemon, config: str, environment: dict[str, str], named: str) -> None:
    daemon = new_daemon(**environment)
    daemon.home.mkdir()
    daemon.paths.config.write_text(config)
    if not environment:
        del daemon.environment["HOMEFIRE_PORT"]
    assert named in refused(daemon.cli("up", "--detach"), "bad_setting")


def test_settings_of_the_file_and_of_the_environment(new_daemon: NewDaemon) -> None:
    port, other = free_port(), free_port()
    daemon = new_daemon()
    daemon.home.mkdir()
    daemon.paths.config.write_text(f"port = {port}\nbody_mib = 1\n")
    del daemon.environment["HOMEFIRE_PORT"]
    assert daemon.start().url == f"http://127.0.0.1:{port}"
    reply = raw.call(daemon, "POST", "/v1/chat/completions", None, None, Content_Length=str(2**20 + 1))
    assert reply.code == "body_too_large"
    daemon.stop()
    daemon.environment["HOMEFIRE_PORT"] = str(other)
    assert daemon.start().url == f"http://127.0.0.1:{other}"


def _a_file_in_its_way(home: Path) -> None:
    home.write_text("a file")


def _a_file_above_it(home: Path) -> None:
    home.parent.rmdir()
    home.parent.write_text("a file")


def _another_users(home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a folder to another user")
    home.mkdir()
    os.chown(home, 65534, 65534)


def _mounted_read_only(home: Path) -> None:
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root that may mount, because root writes wherever modes forbid it")


def _forbidden(home: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes wherever modes forbid it")
    home.parent.chmod(0o500)


OBSTACLES = [_a_file_in_its_way, _a_file_above_it, _another_users, _mounted_read_only, _forbidden]


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda obstacle: obstacle.__name__.strip("_"))
def test_home_that_cannot_be_written(new_daemon: NewDaemon, tmp_path: Path, obstacle: Callable[[Path], None]) -> None:
    (tmp_path / "above").mkdir()
    home = tmp_path / "above" / "home"
    try:
        obstacle(home)
        daemon = new_daemon(home)
        assert str(home) in refused(daemon.cli("up", "--detach"), "home_not_writable")
        refused_as_json(daemon.cli("up", "--detach", "--json"), "home_not_writable")
    finally:
        subprocess.run(["umount", str(home)], capture_output=True, check=False)
        (tmp_path / "above").chmod(0o755)


def test_very_long_home(new_daemon: NewDaemon, tmp_path: Path) -> None:
    home = tmp_path / ("h" * 100) / ("o" * 100)
    daemon = new_daemon(home).start()
    assert len(str(daemon.paths.run)) > 200, "a unix socket's path holds 108 bytes"
    done = daemon.cli("chat", "--max-tokens", "3", "hello")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_no_engine_outlives_the_daemon(new_daemon: NewDaemon) -> None:
    daemon = new_daemon().start()
    assert daemon.cli("chat", "--max-tokens", "3", "hello").returncode == 0
    engines = daemon.engine_pids()
    assert engines
    daemon.kill()
    wait_until(lambda: not any(alive(pid) for pid in engines), 2)
