"""Backup, check, restore and salvage of a real daemon's home, by the verbs.

Promises: with the daemon running and without it; what a person said before is there afterwards.
Does not cover: every page of a database (`tests/null/test_salvage.py`), power cuts (`tests/chaos/test_power.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homefire.store.check import check_database
from tests.conftest import RunningDaemon
from tests.null.stored import on


def result(done: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_life_of_a_home(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    daemon = new_daemon().start()
    with daemon.client() as client:
        made = client.post("/homefire/v1/conversations", {"title": "the first"})["id"]
        list(client.ask(made, "hello", sampling={"max_tokens": 3}))
    # In use: a check and a backup go by the daemon, what would replace its files is refused.
    assert result(daemon.cli("verify", "--json"))["whole"]
    done = daemon.cli("backup", str(tmp_path / "copy"))
    assert done.returncode == 0 and "rows checked" in done.stdout, done.stderr
    for verb in (("restore", str(tmp_path / "copy"), "--force"), ("salvage",)):
        refused = daemon.cli(*verb, "--json")
        assert refused.returncode == 1 and result(refused)["error"]["code"] == "home_in_use"
    with daemon.client() as client:
        second = client.post("/homefire/v1/conversations", {"title": "the second"})["id"]
        assert {"backup made", "home verified"} <= {row["what"] for row in client.get("/homefire/v1/audit")["entries"]}
    assert daemon.cli("down").returncode == 0
    # Down: the same verbs by a child; the backup comes back, then what it replaced.
    assert result(daemon.cli("verify", "--json"))["whole"]
    assert result(daemon.cli("restore", str(tmp_path / "copy"), "--json"))["error"]["code"] == "home_not_empty"
    assert daemon.cli("restore", str(tmp_path / "copy"), "--force").returncode == 0
    assert titles(daemon.start()) == {made: "the first"}
    assert daemon.cli("down").returncode == 0
    assert daemon.cli("restore", "--undo").returncode == 0
    assert titles(daemon.start()) == {made: "the first", second: "the second"}
    assert daemon.cli("down").returncode == 0


def titles(daemon: RunningDaemon) -> dict[str, str]:
    with daemon.client() as client:
        return {each["id"]: each["title"] for each in client.get("/homefire/v1/conversations")["conversations"]}


def test_a_damaged_home_names_the_way_out(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon().start()
    with daemon.client() as client:
        made = client.post("/homefire/v1/conversations", {"title": "kept"})["id"]
    assert daemon.cli("down").returncode == 0
    file = daemon.paths.database
    # The page that the table of keys begins on.
    root: list[int] = []
    query = "SELECT rootpage FROM sqlite_schema WHERE name = 'keys'"
    on(file, lambda c: root.extend(int(str(row[0])) for row in c.execute(query)))
    data = bytearray(file.read_bytes())
    data[(root[0] - 1) * 4096 : root[0] * 4096] = b"\0" * 4096
    file.write_bytes(data)
    done = daemon.cli("up", "--detach", "--json")
    assert done.returncode == 1
    error = result(done)["error"]
    assert error["code"] == "store_damaged" and "homefire salvage" in error["next_step"]
    checked = daemon.cli("verify")
    assert checked.returncode == 1 and "DAMAGED" in checked.stdout and "homefire salvage" in checked.stdout
    saved = daemon.cli("salvage")
    assert saved.returncode == 0, saved.stderr
    assert "The damaged database lies in" in saved.stdout
    assert check_database(file).whole
    assert titles(daemon.start()) == {made: "kept"}


def test_what_is_asked_wrongly(new_daemon: Callable[..., RunningDaemon], tmp_path: Path) -> None:
    daemon = new_daemon()
    for words in (("restore",), ("restore", "x", "--undo"), ("salvage",), ("verify",), ("backup",)):
        done = daemon.cli(*words, "--json")
        assert done.returncode == 1 and result(done)["error"]["code"] == "invalid_request", words
    done = daemon.cli("restore", str(tmp_path), "--json")
    assert result(done)["error"]["code"] == "backup_damaged"
