"""KV caches over a swap, a crash and a restart, with real daemons, real children and the pilot.

Promises: what was read once is not read again (`cached_tokens` of the usage), the answer is the same as of a model that kept
it in memory, and what belongs to a deleted conversation is gone.
Does not cover: when it is worth it (`tests/null/test_kv_cache.py`), how much faster it is (`homefire bench kv`).
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homefire.models.library import PILOT_FILE
from tests.conftest import RunningDaemon, alive, wait_until

AT = "/homefire/v1"
# Some 1,100 tokens of the pilot's 2,048: enough that reading them takes longer than the disk.
LONG = "Remember this list. " + " ".join(f"item {number}" for number in range(200))


def ask(daemon: RunningDaemon, *words: str, model: str = "pilot") -> tuple[str, int, int]:
    """The answer, the tokens of the prompt, and how many of them were still in the KV cache."""
    turns = [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(words)]
    with daemon.client() as home:
        body = {"model": model, "messages": turns, "max_tokens": 12, "temperature": 0}
        found = home.post("/v1/chat/completions", body, seconds=120)
    usage = found["usage"]
    return (
        found["choices"][0]["message"]["content"],
        usage["prompt_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
    )


def kept(daemon: RunningDaemon) -> list[dict[str, Any]]:
    with daemon.client() as home:
        rows: list[dict[str, Any]] = home.get(f"{AT}/kept")["kept"]
    return rows


def test_over_a_swap_a_restart_and_a_kill(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    daemon = new_daemon(HOMEFIRE_KV_CRASH_SECONDS="0", HOMEFIRE_THREADS="1").start()
    first, length, cached = ask(daemon, LONG)
    assert length > 800 and cached < 100
    in_memory, _, cached = ask(daemon, LONG, first, "And now?")
    assert cached >= length, "in the slot"

    # Another conversation that begins in the same way has its beginning from this one, which keeps its own slot.
    wait_until(lambda: any(row["tokens"] >= length for row in kept(daemon)), 30)
    other = LONG + " And now for something else: " + "word " * 200
    assert ask(daemon, other)[2] > 0.9 * length
    assert ask(daemon, LONG, first, "And now?")[2] >= length

    # Its model leaves and comes back.
    assert daemon.cli("unload", "pilot").returncode == 0
    assert kept(daemon), daemon.paths.daemon_log.read_text("utf-8")
    again, _, cached = ask(daemon, LONG, first, "And now?")
    assert cached >= length and again == in_memory
    assert "kept" in daemon.cli("why", "pilot").stdout

    # The child is killed: what was written when it was quiet is there.
    wait_until(lambda: any(row["tokens"] >= length for row in kept(daemon)), 30)
    (child,) = daemon.engine_pids()
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: daemon.engine_pids() == [])
    assert ask(daemon, LONG, first, "And now?")[2] >= length

    # The daemon is killed, then it ends in peace; both times it is read back.
    daemon.kill()
    wait_until(lambda: daemon.engine_pids() == [])
    daemon.start()
    assert ask(daemon, LONG, first, "And now?")[2] >= length
    daemon.stop()
    wait_until(lambda: not alive(daemon.pid))
    daemon.start()
    assert ask(daemon, LONG, first, "And now?") == (in_memory, *ask(daemon, LONG, first, "And now?")[1:])

    # A file that was damaged is not used; nothing of it is left.
    assert daemon.cli("unload", "pilot").returncode == 0
    for file in daemon.paths.kv.rglob("*.kv"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    text, _, cached = ask(daemon, LONG, first, "And now?")
    assert (text, cached < 100) == (in_memory, True)

    # Cleared by a person; and the folder goes with what it belonged to.
    assert daemon.cli("kept", "--clear").returncode == 0
    assert kept(daemon) == [] and "No KV caches" in daemon.cli("kept").stdout


def test_with_another_model_between_and_a_deleted_conversation(
    new_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    daemon = new_daemon(HOMEFIRE_MEMORY_CAP_MIB="240", HOMEFIRE_THREADS="1").start()
    file = tmp_path / "other.gguf"
    shutil.copyfile(PILOT_FILE, file)
    assert daemon.cli("models", "import", str(file)).returncode == 0
    with daemon.client() as home:
        talk = home.post(f"{AT}/conversations", {"model": "pilot"})["id"]
        at = f"{AT}/conversations/{talk}"
        assert [event.name for event in home.ask(talk, LONG, sampling={"max_tokens": 4})][-1] == "done"
        ask(daemon, "hello", model="other")
        (row,) = kept(daemon)
        assert row["conversation"] == talk and row["tokens"] > 800
        ask(daemon, LONG)  # read back for whoever begins in the same way
        assert any(entry["kind"] == "kept" for entry in home.get(f"{AT}/decisions")["decisions"])
        home.delete(at)
        assert kept(daemon) == [] and list(daemon.paths.kv.rglob("*.kv")) == []
    daemon.stop()
    wait_until(lambda: daemon.engine_pids() == [])


def test_a_quota_of_nothing_keeps_nothing(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon(HOMEFIRE_KV_QUOTA_MIB="0", HOMEFIRE_THREADS="1").start()
    first, length, _ = ask(daemon, LONG)
    assert ask(daemon, LONG, first, "And now?")[2] >= length
    assert daemon.cli("unload", "pilot").returncode == 0
    assert ask(daemon, LONG, first, "And now?")[2] < 100
    assert not daemon.paths.kv.exists()
