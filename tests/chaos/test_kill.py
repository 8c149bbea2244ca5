"""kill -9 under load: the model's child, and the daemon itself.

Promises: after each kill no child is left over, every client hears of it within 10 s, nothing that a client was told is
missing from the store, and the next question is answered.
Does not cover: power cuts (the store's tests speak of fsync), kills in the middle of an import.

HOMEFIRE_PROOF=full kills twenty times each. Five crashes within a minute open a model's circuit for a minute; in full, that
is part of what is shown: clients get `engine_broken`, and it recovers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fakes.models import endless
from homefire.models.library import PILOT_FILE
from homefire.supervision.backoff import CRASHES_TO_BREAK, LONGEST
from tests.chaos.load import Talker, Turn
from tests.conftest import RunningDaemon, alive, wait_until

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"
KILLS = 20 if FULL else 2
HANG_SECONDS = 10.0
# What may be missing of a text that a client has heard: what it heard within the last second.
LOST_SECONDS = 1.0
MODEL = "endless"


@pytest.fixture
def home(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> RunningDaemon:
    """A daemon with a model whose answers take long."""
    daemon = new_daemon().start()
    file = endless(PILOT_FILE, tmp_path / f"{MODEL}.gguf")
    assert daemon.cli("models", "import", str(file)).returncode == 0
    return daemon


@contextlib.contextmanager
def load(daemon: RunningDaemon) -> Iterator[list[Talker]]:
    """Four clients, two in conversations and two through OpenAI's route."""
    talkers = [Talker(daemon, MODEL, plain) for plain in (False, False, True, True)]
    for talker in talkers:
        talker.start()
    try:
        yield talkers
    finally:
        for talker in talkers:
            talker.end()


def under_way(talkers: Sequence[Talker]) -> list[Turn]:
    """Waits until every client hears an answer, conversations for long enough to have been stored; gives their turns."""
    wait_until(lambda: all(talker.talking() for talker in talkers), 90)
    time.sleep(1.2)
    wait_until(lambda: all(talker.talking() for talker in talkers), 90)
    return [talker.turns[-1] for talker in talkers]


def all_ended(turns: Sequence[Turn], killed: float) -> None:
    """Each of the turns ended within the limit."""
    wait_until(lambda: all(turn.outcome for turn in turns), HANG_SECONDS + 2)
    assert all(turn.ended - killed < HANG_SECONDS for turn in turns)


def answered(daemon: RunningDaemon) -> None:
    """A new question gets a whole answer."""
    with daemon.client() as client:
        made = client.post("/homefire/v1/conversations", {"model": MODEL})["id"]
        last = list(client.ask(made, "one more", sampling={"max_tokens": 5}))[-1]
        assert last.name == "done"
        assert last.data["state"] == "complete"
        assert last.data["usage"]["completion_tokens"] == 5
        assert client.get(f"/homefire/v1/conversations/{made}")["messages"][-1] == last.data


def check_store(daemon: RunningDaemon, turns: Sequence[Turn], killed: float, states: set[str]) -> None:
    """What the clients were told stands in the store; turns that the kill at `killed` ended are in one of `states`."""
    checked = 0
    with daemon.client() as client:
        for turn in turns:
            if not turn.question:
                continue
            checked += 1
            messages = {m["id"]: m for m in client.get(f"/homefire/v1/conversations/{turn.conversation}")["messages"]}
            assert messages[turn.question]["content"] == "go on"
            # A kill may come between the two events that name the question and its answer; the store has both.
            answer = turn.answer or next(m["id"] for m in messages.values() if m["parent_id"] == turn.question)
            stored = messages[answer]
            assert stored["state"] in states, turn
            kept = turn.heard_before(killed - LOST_SECONDS)
            assert stored["content"].startswith(turn.text[:kept]), (len(stored["content"]), kept, len(turn.text))
            if stored["state"] == "complete":
                assert stored["content"].startswith(turn.text)
    assert checked >= 1


def test_the_models_child(home: RunningDaemon) -> None:
    crashes = 0
    with load(home) as talkers:
        for _ in range(KILLS):
            turns = under_way(talkers)
            (child,) = home.engine_pids()
            killed = time.monotonic()
            os.kill(child, signal.SIGKILL)
            crashes += 1
            all_ended(turns, killed)
            assert {turn.outcome for turn in turns} == {"engine_died"}
            wait_until(lambda child=child: not alive(child), 2)  # type: ignore[misc]
            assert len(home.engine_pids()) <= 1
            check_store(home, turns, killed, {"failed"})
            if crashes == CRASHES_TO_BREAK:
                _is_broken_and_recovers(home)
                crashes = 0
            else:
                answered(home)
    for talker in talkers:
        talker.join(30)
        assert not talker.is_alive()
        assert {turn.outcome for turn in talker.turns} <= {"done", "engine_died", "engine_broken", "broken", "left"}
    assert home.cli("down").returncode == 0
    assert home.engine_pids() == []


def _is_broken_and_recovers(daemon: RunningDaemon) -> None:
    """The circuit is open: that is what clients get, at once; after its rest an answer comes. Then a clean record."""
    with daemon.client() as client:
        wait_until(lambda: [m["state"] for m in client.status()["models"] if m["name"] == MODEL] == ["broken"], 10)
    done = daemon.cli("chat", "--json", "--model", MODEL, "hi")
    assert '"engine_broken"' in done.stdout
    assert daemon.engine_pids() == []

    def works() -> bool:
        return daemon.cli("chat", "--model", MODEL, "--max-tokens", "3", "hi").returncode == 0

    wait_until(works, LONGEST + 30)
    assert daemon.cli("down").returncode == 0
    daemon.start()
    answered(daemon)


def test_the_daemon(home: RunningDaemon) -> None:
    with load(home) as talkers:
        for _ in range(KILLS):
            turns = under_way(talkers)
            children = home.engine_pids()
            assert children
            killed = time.monotonic()
            home.kill()
            wait_until(lambda children=children: not any(alive(pid) for pid in children), 2)  # type: ignore[misc]
            all_ended(turns, killed)
            assert {turn.outcome for turn in turns} == {"broken"}
            assert home.engine_pids() == []
            home.start()
            check_store(home, turns, killed, {"interrupted"})
            answered(home)
    for talker in talkers:
        talker.join(30)
        assert not talker.is_alive()
    finished = [turn for talker in talkers for turn in talker.turns]
    check_store(home, finished, 0.0, {"complete", "interrupted", "stopped"})
    assert home.cli("down").returncode == 0
    assert home.engine_pids() == []
