"""Backups: one moment while others write, checked before they have a name, brought back whole, taken back again.

Promises: what is compared are the rows and bytes themselves; each refusal leaves everything as it was.
Does not cover: the daemon's route (`tests/process/test_trust.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

from homefire.errors import BackupDamaged, DiskFull, HomeNotEmpty, InvalidRequest, StoreDamaged
from homefire.paths import Paths
from homefire.store import backup
from homefire.store.backup import MANIFEST, Wishes, back_up, check_backup, read_backup, restore, undo_restore
from homefire.store.blobs import RESERVE
from homefire.store.check import check_database, check_home
from homefire.store.database import connect
from tests.null.stored import add_blob, dump, home_with, on


@pytest.fixture
def home(tmp_path: Path) -> Paths:
    made = home_with(tmp_path / "home", 3, 3)
    for name, text in (("config.toml", "port = 7373"), ("keys", '{"local": "secret-canary"}'), ("secrets.toml", "x = 'canary'"),
                       ("skills/a/skill.md", "how to"), ("journals/run.log", "step 1"), ("cache/kv/big", "can be made again"),
                       ("logs/daemon.log", "said"), ("tls/key.pem", "canary"), ("blobs/part-1234", "half a model")):  # fmt: skip
        (made.home / name).parent.mkdir(parents=True, exist_ok=True)
        (made.home / name).write_text(text)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_what_is_in_it_and_what_is_not(home: Paths, tmp_path: Path) -> None:
    made = back_up(home, tmp_path / "copy")
    names = set(files(tmp_path / "copy"))
    blobs = {each.relative_to(home.home).as_posix() for each in home.all_blobs()}
    assert names == {"homefire.db", "manifest.json", "config.toml", "skills/a/skill.md", "journals/run.log", *blobs}
    assert {entry.path for entry in made.entries} == names - {MANIFEST}
    assert b"canary" not in b"".join(files(tmp_path / "copy").values())
    assert dump(tmp_path / "copy" / "homefire.db") == dump(home.database)
    assert check_backup(tmp_path / "copy") == made
    assert made.rows > 0 and made.faulty == 0 and not made.secrets


def test_secrets_only_if_asked(home: Paths, tmp_path: Path) -> None:
    back_up(home, tmp_path / "copy", Wishes(secrets=True))
    assert {"keys", "secrets.toml", "tls/key.pem"} <= set(files(tmp_path / "copy"))
    if os.name == "posix":
        loose = [each for each in (tmp_path / "copy").rglob("*") if each.stat().st_mode & 0o077 and each.is_file()]
        assert [each for each in loose if "blobs" not in each.parts] == []
        assert (tmp_path / "copy").stat().st_mode & 0o077 == 0


def test_links_and_copies(home: Paths, tmp_path: Path) -> None:
    linked, copied = back_up(home, tmp_path / "a"), back_up(home, tmp_path / "b", Wishes(copies=True))
    assert {entry.path for entry in linked.entries if entry.linked} == {
        each.relative_to(home.home).as_posix() for each in home.all_blobs()
    }
    assert not any(entry.linked for entry in copied.entries)
    for blob in home.all_blobs():
        name = blob.relative_to(home.home)
        assert (tmp_path / "a" / name).samefile(blob) and not (tmp_path / "b" / name).samefile(blob)


def test_by_default_it_lies_in_the_home(home: Paths) -> None:
    made = back_up(home)
    assert Path(made.path).parent == home.backups
    assert check_backup(Path(made.path)).rows == made.rows
    again = back_up(home, home.backups / "second")
    assert not any(entry.path.startswith("backups") for entry in again.entries)


def test_one_moment_while_somebody_writes(home: Paths, tmp_path: Path) -> None:
    """A writer moves one from row to row in each commit: in one moment there is exactly one, in a torn copy none or two."""
    c = connect(home.database)
    c.execute("INSERT INTO roles VALUES ('a', 'x')")
    over, commits = threading.Event(), [0]

    def write() -> None:
        writer = connect(home.database)
        while not over.is_set():
            with writer:
                role = writer.execute("SELECT role FROM roles").fetchall()[0][0]
                writer.execute("DELETE FROM roles")
                writer.execute("INSERT INTO roles VALUES (?, ?)", ("b" if role == "a" else "a", "x" * 3000))
                writer.execute("INSERT INTO trusted VALUES (?, 'y', 1)", (f"n{commits[0]}",))
            commits[0] += 1
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            before = commits[0]
            back_up(home, tmp_path / f"copy{number}", Wishes(copies=True))
            copy = dump(tmp_path / f"copy{number}" / "homefire.db")
            assert len(copy["roles"]) == 1
            seen = sorted(int(row[0][1:]) for row in copy["trusted"])
            assert seen == list(range(len(seen))), "no commit without the ones before it"
            assert len(seen) >= before, "what was committed before it began is in it"
    finally:
        over.set()
        thread.join()
        c.close()
    assert commits[0] > 5, "the control: somebody wrote"


def test_a_damaged_database_has_no_backup_unless_it_is_wanted(home: Paths, tmp_path: Path) -> None:
    on(home.database, lambda c: c.execute("UPDATE messages SET model = 'rot' WHERE seq = 3"))
    with pytest.raises(StoreDamaged) as caught:
        back_up(home, tmp_path / "copy")
    assert "--anyway" in caught.value.next_step
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home"], "nothing is left"
    assert back_up(home, tmp_path / "copy", Wishes(anyway=True)).faulty == 1
    assert check_backup(tmp_path / "copy").faulty == 1


def test_a_rotten_blob_is_not_copied(home: Paths, tmp_path: Path) -> None:
    digest = add_blob(home, b"good")
    home.blob(digest).write_bytes(b"rot!")
    with pytest.raises(BackupDamaged, match=digest[:12]):
        back_up(home, tmp_path / "copy", Wishes(copies=True))
    assert not (tmp_path / "copy").exists()


def test_a_mutant_that_checks_nothing_is_caught(home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check before the name is what refuses: without it a damaged copy would get one."""
    on(home.database, lambda c: c.execute("UPDATE messages SET content = 'rot' WHERE seq = 3"))
    monkeypatch.setattr(backup, "require_whole", lambda *_: None)
    back_up(home, tmp_path / "copy")
    assert not check_database(tmp_path / "copy" / "homefire.db").whole


def test_the_name_comes_last_and_everything_is_synced(
    home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("which file a descriptor is can be read on Linux only")
    monkeypatch.setattr(os, "fsync", fsync)
    part = f".copy.part-{os.getpid()}"
    made = back_up(home, tmp_path / "copy", Wishes(copies=True))
    for name in (*(entry.path for entry in made.entries), MANIFEST, "", "blobs/sha256", "skills/a"):
        assert str(tmp_path / part / name).rstrip("/") in synced, name
    assert str(tmp_path) in synced


@pytest.mark.parametrize("target", ["home/blobs/copy", "home", "home/copy", "full"])
def test_targets_that_are_refused(home: Paths, tmp_path: Path, target: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before = files(tmp_path)
    with pytest.raises(InvalidRequest):
        back_up(home, tmp_path / target)
    assert files(tmp_path) == before


def test_no_room(home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=RESERVE))
    with pytest.raises(DiskFull):
        back_up(home, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


# -- bringing back


def test_into_an_empty_home(home: Paths, tmp_path: Path) -> None:
    back_up(home, tmp_path / "copy")
    new = Paths(tmp_path / "new")
    new.prepare()
    made, kept = restore(new, tmp_path / "copy")
    assert kept is None
    assert dump(new.database) == dump(home.database)
    for entry in made.entries:
        assert (new.home / entry.path).read_bytes() == (tmp_path / "copy" / entry.path).read_bytes()
    assert check_home(new).whole
    assert not (new.home / "keys").exists()


def test_over_a_home_and_back_again(home: Paths, tmp_path: Path) -> None:
    back_up(home, tmp_path / "copy")
    on(home.database, lambda c: c.execute("DELETE FROM roles"))
    connect(home.database).execute("INSERT INTO roles VALUES ('main', 'later')")
    before = dump(home.database)
    with pytest.raises(HomeNotEmpty) as caught:
        restore(home, tmp_path / "copy")
    assert "--force" in caught.value.next_step
    assert dump(home.database) == before
    _, kept = restore(home, tmp_path / "copy", force=True)
    assert kept is not None
    assert dump(home.database)["roles"] == []
    assert (home.home / "keys").read_text() == '{"local": "secret-canary"}', "secrets that it does not hold stay"
    assert (home.home / "tls" / "key.pem").read_text() == "canary"
    other = undo_restore(home)
    assert dump(home.database) == before
    assert dump(other / "homefire.db")["roles"] == []
    with pytest.raises(InvalidRequest):
        undo_restore(home)


@pytest.mark.parametrize("victim", ["homefire.db", "config.toml", "skills/a/skill.md", "blob"])
@pytest.mark.parametrize("how", ["flip", "gone", "short", "link"])
def test_a_damaged_backup_changes_nothing(home: Paths, tmp_path: Path, victim: str, how: str) -> None:
    made = back_up(home, tmp_path / "copy", Wishes(copies=True))
    name = next(
        entry.path for entry in made.entries if entry.path == victim or (victim == "blob" and "blobs" in entry.path)
    )
    file = tmp_path / "copy" / name
    whole = file.read_bytes()
    file.unlink()
    if how == "flip":
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif how == "short":
        file.write_bytes(whole[:-1])
    elif how == "link":
        (tmp_path / "elsewhere").write_bytes(whole)
        file.symlink_to(tmp_path / "elsewhere")
    before = files(home.home)
    with pytest.raises(BackupDamaged, match=name):
        restore(home, tmp_path / "copy", force=True)
    assert files(home.home) == before
    assert sorted(each.name for each in tmp_path.iterdir() if each.name != "elsewhere") == ["copy", "home"]


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "blobs/sha256/aa/../../../x", "run/daemon.json", "cache/x", "", "homefire.db/x/..", "skills/../keys",
     "blobs/sha256/aa/" + "b" * 64, "blobs/part-1", "a\\b", "C:\\x", "skills//x", "./homefire.db", "blobs/sha256/aa/" + "A" * 64],
)  # fmt: skip
def test_names_that_have_no_place_in_a_home(home: Paths, tmp_path: Path, name: str) -> None:
    back_up(home, tmp_path / "copy")
    manifest = json.loads((tmp_path / "copy" / MANIFEST).read_text())
    manifest["entries"][0]["path"] = name
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BackupDamaged):
        read_backup(tmp_path / "copy")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"format": 1, "entries": 5}', '{"format": 2, "entries": []}', "\0"]
)
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BackupDamaged):
        read_backup(tmp_path)
    with pytest.raises(BackupDamaged):
        read_backup(tmp_path / "nowhere")


def test_a_swap_that_fails_puts_the_home_back(home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back_up(home, tmp_path / "copy")
    before, real = files(home.home), Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target == home.home and "restoring" in self.name:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(DiskFull):
        restore(home, tmp_path / "copy", force=True)
    assert files(home.home) == before


def test_the_offline_verbs(home: Paths, tmp_path: Path) -> None:
    made = rescue(home, "backup", target=str(tmp_path / "copy"))["result"]
    assert made["faulty_rows"] == 0 and made["rows"] > 0
    assert rescue(home, "verify", source=str(tmp_path / "copy"))["result"]["whole"]
    assert rescue(home, "restore", source=str(tmp_path / "copy"))["failed"]["error"]["code"] == "home_not_empty"
    done = rescue(home, "restore", source=str(tmp_path / "copy"), force=True)["result"]
    assert Path(done["kept"]).is_dir()
    assert "home restored" in [row[2] for row in dump(home.database)["audit"]]
    assert rescue(home, "restore", undo=True)["result"]["undone"]
    assert rescue(Paths(tmp_path / "nowhere"), "verify")["failed"]["error"]["code"] == "invalid_request"


def test_the_lock_keeps_a_daemon_out(home: Paths, tmp_path: Path) -> None:
    from homefire.supervision.only_one import only_one

    back_up(home, tmp_path / "copy")
    with only_one(home):
        for verb, options in (
            ("restore", {"source": str(tmp_path / "copy"), "force": True}),
            ("salvage", {}),
            ("backup", {}),
        ):
            assert rescue(home, verb, **options)["failed"]["error"]["code"] == "home_in_use"
        assert rescue(home, "verify")["result"]["whole"]


def rescue(home: Paths, verb: str, **options: Any) -> dict[str, Any]:
    """Runs the offline program; gives its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "homefire.rescue", verb, json.dumps(options)],
        env={**os.environ, "HOMEFIRE_HOME": str(home.home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


def test_a_copy_in_steps_would_not_do(home: Paths) -> None:
    """Why the copy is made in one step: one in steps begins anew when a writer of another connection commits."""
    writer, reader, target = connect(home.database), apsw.Connection(str(home.database)), apsw.Connection(":memory:")
    for number in range(200):
        writer.execute("INSERT INTO trusted VALUES (?, ?, 1)", (f"a{number}", "x" * 3000))
    with target.backup("main", reader, "main") as steps:
        steps.step(50)
        before = steps.remaining
        writer.execute("INSERT INTO trusted VALUES ('later', 'y', 1)")
        steps.step(1)
        assert steps.remaining >= before
    for connection in (writer, reader, target):
        connection.close()
