"""`homefire chat` in a terminal: a pseudo-terminal in which this test types.

Promises: prompts, answers, Ctrl-C, the commands and the end work as a person at a keyboard sees them.
Does not cover: how it looks (colours, line editing), and terminals of other systems.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

import pytest

from fakes.models import endless
from homefire.models.library import PILOT_FILE
from tests.conftest import ROOT, RunningDaemon, wait_until

# The terminal becomes the controlling one, so that Ctrl-C in it is a signal, as at a keyboard.
PROGRAM = (
    "import fcntl, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's background job inherits it ignored
    "from homefire.cli.main import main; sys.exit(main(sys.argv[1:]))"
)
CTRL_C, CTRL_D = "\x03", "\x04"


class HasEnvironment(Protocol):
    """Whatever says how its command line finds it."""

    environment: dict[str, str]


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, daemon: HasEnvironment, *words: str) -> None:
        self.seen = ""
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**daemon.environment, "TERM": "dumb"},
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Types it."""
        os.write(self._master, text.encode())

    def read_until(self, text: str, seconds: float = 30.0) -> str:
        """What came up to and with `text`, from where the last call ended."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come; on the screen: {self.seen[-500:]!r}"
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # Linux's way of saying that nobody has the other end any more
                piece = b""
            assert piece, f"it ended before {text!r} came: {self.seen[-500:]!r}"
            self.seen += piece.decode("utf-8", "replace")
        found, _, self.seen = self.seen.partition(text)
        return found + text

    def ended(self, seconds: float = 10.0) -> int:
        """The exit status, once it has ended. Reads on: a full terminal would hold it."""

        def over() -> bool:
            with contextlib.suppress(OSError):
                while select.select([self._master], [], [], 0)[0] and os.read(self._master, 65536):
                    pass
            return self.process.poll() is not None

        wait_until(over, seconds)
        return self.process.wait()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon that also has a model whose answers do not end by themselves."""
    folder = tmp_path_factory.mktemp("terminal")
    running = RunningDaemon(folder / "home").start()
    file = endless(PILOT_FILE, folder / "endless.gguf")
    assert running.cli("models", "import", str(file)).returncode == 0
    yield running
    running.stop()


def newest(home: RunningDaemon) -> list[dict[str, object]]:
    """The messages of the newest conversation."""
    with home.client() as client:
        (found,) = client.get("/homefire/v1/conversations", limit=1)["conversations"]
        messages: list[dict[str, object]] = client.get(f"/homefire/v1/conversations/{found['id']}")["messages"]
    return messages


def test_two_turns_and_exit(home: RunningDaemon) -> None:
    with Terminal(home, "chat", "--max-tokens", "5") as terminal:
        assert "/exit leaves" in terminal.read_until("> ")
        terminal.type("hello\n")
        assert "tokens" in terminal.read_until("> ")
        terminal.type("and again\n")
        terminal.read_until("> ")
        terminal.type("/exit\n")
        assert terminal.ended() == 0
    messages = newest(home)
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    assert [message["content"] for message in messages][::2] == ["hello", "and again"]
    assert {message["state"] for message in messages} == {"complete"}


def test_ctrl_c_stops_the_answer_and_not_the_program(home: RunningDaemon) -> None:
    with Terminal(home, "chat", "--model", "endless") as terminal:
        terminal.read_until("> ")
        terminal.type("go on for ever\n")
        terminal.read_until("go on for ever")
        terminal.read_until(" ")  # the answer has begun, or comes
        wait_until(lambda: bool(newest(home)[-1]["content"]), 30)
        terminal.type(CTRL_C)
        terminal.read_until("(stopped)")
        terminal.read_until("> ")
        wait_until(lambda: newest(home)[-1]["state"] == "stopped")
        assert newest(home)[-1]["content"], "what it had said is kept"
        with home.client() as client:
            wait_until(lambda: all(model["leases"] == 0 for model in client.status()["models"]), 2)
        terminal.type(CTRL_C)
        terminal.read_until("(Ctrl-D or /exit leaves)")
        terminal.read_until("> ")
        terminal.type(CTRL_D)
        assert terminal.ended() == 0


def test_ctrl_c_with_one_prompt_ends_with_130(home: RunningDaemon) -> None:
    with Terminal(home, "chat", "--model", "endless", "go on for ever") as terminal:
        terminal.read_until(" ")
        wait_until(lambda: bool(newest(home)[-1]["content"]), 30)
        terminal.type(CTRL_C)
        terminal.read_until("(stopped)")
        assert terminal.ended() == 130


def test_commands(home: RunningDaemon) -> None:
    with Terminal(home, "chat", "--max-tokens", "3") as terminal:
        terminal.read_until("> ")
        for typed, shown in [
            ("/help", "/again answers again"),
            ("/again", "There is no answer yet"),
            ("/nothing", "There is no command /nothing"),
            ("/model gpt-4o", "talking to gpt-4o"),
            ("hello", "There is no model named 'gpt-4o'"),
            ("/model", "talking to the default model"),
            ("hello", "tokens"),
            ("/again", "tokens"),
            ("/new", "a new conversation"),
        ]:
            terminal.type(typed + "\n")
            terminal.read_until(shown)
            terminal.read_until("> ")
        messages = newest(home)
        assert [message["role"] for message in messages] == ["user", "assistant", "assistant"]
        assert messages[1]["parent_id"] == messages[2]["parent_id"] == messages[0]["id"]
        terminal.type("/exit\n")
        assert terminal.ended() == 0


def test_daemon_that_ends_meanwhile(tmp_path: Path) -> None:
    daemon = RunningDaemon(tmp_path / "home").start()
    try:
        with Terminal(daemon, "chat", "--max-tokens", "3") as terminal:
            terminal.read_until("> ")
            daemon.kill()
            terminal.type("hello\n")
            # The first question may find the old connection broken; the second then finds nobody at all.
            if "[daemon_not_running]" not in terminal.read_until("]\r\n"):
                terminal.read_until("> ")
                terminal.type("hello\n")
                terminal.read_until("[daemon_not_running]")
            assert terminal.ended() == 1
    finally:
        daemon.stop()
