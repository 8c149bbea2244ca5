"""The shelf of KV caches: real files, damage, quota, age, deleted conversations."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from homefire.engines.kv_shelf import FREE_BYTES, NAMED_SECONDS, UNNAMED_SECONDS, Entry, KvShelf, over_quota
from homefire.engines.prefix import Chain, chain_of
from homefire.errors import MachineError

FAMILY = "a" * 16 + "-" + "b" * 16


def text(*words: str) -> Chain:
    return chain_of("".join(word * 64 for word in words).encode())


def keep(shelf: KvShelf, chain: Chain, size: int = 1000, label: str = "", family: str = FAMILY) -> Entry:
    """An entry, as an engine would have written it."""
    name = shelf.new_id()
    (shelf.place(family) / f"{name}.kv").write_bytes(os.urandom(size))
    entry = asyncio.run(shelf.put(name, family, chain, size // 10, label))
    assert entry is not None
    return entry


def files(shelf: KvShelf) -> set[str]:
    return {file.name for file in shelf.folder.rglob("*") if file.is_file()}


def test_what_was_put_is_found_again_after_a_restart(tmp_path: Path) -> None:
    shelf = KvShelf(tmp_path / "kv", 10_000)
    entry = keep(shelf, text("a", "b", "c"), label="conversation")
    again = KvShelf(tmp_path / "kv", 10_000)
    again.open()
    found = again.find(FAMILY, text("a", "b", "x"))
    assert found is not None
    assert (found[0].id, found[0].tokens, found[0].label, found[1]) == (entry.id, 100, "conversation", 2)
    assert asyncio.run(again.fetch(found[0]))
    assert again.find("other-family", text("a", "b", "c")) is None
    assert again.find(FAMILY, text("z")) is None
    modes = {stat.S_IMODE(file.stat().st_mode) for file in shelf.folder.rglob("*.json")}
    assert modes == {0o600} and stat.S_IMODE(shelf.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_never_handed_out(tmp_path: Path, damage: str) -> None:
    shelf = KvShelf(tmp_path / "kv", 10_000)
    entry = keep(shelf, text("a"))
    file = shelf.folder / FAMILY / entry.file
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[500] ^= 1
        file.write_bytes(data)
    elif damage == "cut":
        file.write_bytes(data[:-1])
    else:
        file.unlink()
    assert not asyncio.run(shelf.fetch(entry))
    assert shelf.all() == [] and files(shelf) == set()


def test_leftovers_are_deleted_at_the_start(tmp_path: Path) -> None:
    shelf = KvShelf(tmp_path / "kv", 10_000)
    good, torn, cut = keep(shelf, text("a")), keep(shelf, text("b")), keep(shelf, text("c"))
    place = shelf.folder / FAMILY
    (place / "half-written.kv").write_bytes(b"x")
    (place / f"{torn.id}.json").write_text('{"format": 1, "tokens"', "utf-8")
    (place / cut.file).write_bytes(b"x")
    (place / "part.new").write_text("", "utf-8")
    keep(shelf, text("d"), family="gone-family")
    again = KvShelf(tmp_path / "kv", 10_000)
    again.open(lambda family: family == FAMILY)
    assert [entry.id for entry in again.all()] == [good.id]
    assert files(again) == {good.file, f"{good.id}.json"}


def test_the_quota_takes_those_unused_for_longest(tmp_path: Path) -> None:
    now = [1000.0]
    shelf = KvShelf(tmp_path / "kv", 2500, lambda: now[0])
    first, second = keep(shelf, text("a")), keep(shelf, text("b"))
    now[0] += 1
    shelf.touch(first)
    now[0] += 1
    third = keep(shelf, text("c"))
    assert {entry.id for entry in shelf.all()} == {first.id, third.id}
    assert sum(entry.size for entry in shelf.all()) <= shelf.quota and second.file not in files(shelf)
    assert over_quota(shelf.all(), 0) != []


def test_a_conversation_that_grew_replaces_its_shorter_self_only(tmp_path: Path) -> None:
    shelf = KvShelf(tmp_path / "kv", 100_000)
    keep(shelf, text("a"), label="one")
    other = keep(shelf, text("a"), label="two")
    grown = keep(shelf, text("a", "b"), label="one")
    assert {entry.id for entry in shelf.all()} == {other.id, grown.id}


def test_what_is_unused_goes_by_its_age(tmp_path: Path) -> None:
    now = [1e9]
    shelf = KvShelf(tmp_path / "kv", 100_000, lambda: now[0])
    keep(shelf, text("a"))
    named = keep(shelf, text("b"), label="conversation")
    now[0] += UNNAMED_SECONDS + 1
    shelf.tidy()
    assert [entry.id for entry in shelf.all()] == [named.id]
    now[0] += NAMED_SECONDS
    shelf.tidy()
    assert files(shelf) == set()


def test_a_deleted_conversation_leaves_nothing_and_takes_nothing_in(tmp_path: Path) -> None:
    shelf = KvShelf(tmp_path / "kv", 100_000)
    keep(shelf, text("a"), label="secret")
    keep(shelf, text("b"))
    shelf.forget("secret")
    shelf.forget("")
    assert [entry.label for entry in shelf.all()] == [""]
    name = shelf.new_id()
    (shelf.place(FAMILY) / f"{name}.kv").write_bytes(b"late")
    assert asyncio.run(shelf.put(name, FAMILY, text("a"), 9, "secret")) is None
    assert f"{name}.kv" not in files(shelf)
    shelf.welcome("secret")
    keep(shelf, text("a"), label="secret")
    shelf.clear()
    assert files(shelf) == set()


def test_no_room_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = KvShelf(tmp_path / "kv", 1 << 40)
    shelf.place(FAMILY)
    assert shelf.has_room(1000)
    assert not shelf.has_room(1 << 40)
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Use", (), {"free": FREE_BYTES})())
    assert not shelf.has_room(1000)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    shelf = KvShelf(tmp_path / "kv", 10_000)
    shelf.place(FAMILY)
    with pytest.raises(MachineError, match="could not be kept"):
        asyncio.run(shelf.put("missing", FAMILY, text("a"), 1, ""))
