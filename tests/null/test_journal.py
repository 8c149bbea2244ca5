"""The journal: what was answered is there, what was torn is cut, what was damaged is told.

Promises: every cut of a file and every flipped bit ends in one of: the same records, fewer of the last group, or StoreDamaged.
Does not cover: power cuts in an order that a disk chooses (`tests/chaos/test_journal_kill.py` kills writers).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest

from homefire.durable import Journal
from homefire.durable.segment import HEAD_BYTES, RECORD_BYTES
from homefire.errors import DiskFull, HomeInUse, InvalidRequest, StoreDamaged
from tests.null.looped import looped

RECORDS = [f"record {n} ".encode() * (n % 7 + 1) for n in range(40)]


async def write(folder: Path, records: list[bytes] = RECORDS, together: int = 1, segment_bytes: int = 2**20) -> bytes:
    journal = Journal.open(folder, segment_bytes)
    for at in range(0, len(records), together):
        await asyncio.gather(*(journal.add(each) for each in records[at : at + together]))
    await journal.close()
    return journal.head


def reopened(folder: Path) -> list[bytes]:
    journal = Journal.open(folder)
    try:
        journal.check()
        return list(journal.read())
    finally:
        journal.release()


@looped
async def test_what_was_added_is_there_in_order_and_the_chain_does_not_know_groups(tmp_path: Path) -> None:
    one = await write(tmp_path / "one")
    many = await write(tmp_path / "many", together=8)
    files = await write(tmp_path / "files", segment_bytes=200)
    chain = b"\0" * 32
    for each in RECORDS:
        chain = hashlib.sha256(chain + each).digest()
    assert one == many == files == chain
    assert len(list((tmp_path / "files").glob("*.log"))) > 5
    for name in ("one", "many", "files"):
        assert reopened(tmp_path / name) == RECORDS
        journal = Journal.open(tmp_path / name)
        assert (len(journal), journal.head) == (len(RECORDS), chain)
        assert list(journal.read(33)) == RECORDS[33:]
        assert await journal.add(b"more") == len(RECORDS)
        await journal.close()
        assert reopened(tmp_path / name) == [*RECORDS, b"more"]


@looped
async def test_one_writer(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j")
    with pytest.raises(HomeInUse):
        Journal.open(tmp_path / "j")
    await journal.close()
    Journal.open(tmp_path / "j").release()
    with pytest.raises(StoreDamaged):
        await journal.add(b"late")


@looped
async def test_every_torn_tail_is_cut_and_nothing_else(tmp_path: Path) -> None:
    await write(tmp_path / "j", RECORDS[:6])
    path = next((tmp_path / "j").glob("*.log"))
    whole = path.read_bytes()
    ends = [HEAD_BYTES]
    for each in RECORDS[:6]:
        ends.append(ends[-1] + RECORD_BYTES + len(each))
    for cut in range(HEAD_BYTES, len(whole)):
        for tail in (b"", b"\0" * 50, b"\xff" * 9):
            path.write_bytes(whole[:cut] + tail)
            there = sum(end <= cut for end in ends) - 1
            assert reopened(tmp_path / "j") == RECORDS[:there], cut
            assert path.stat().st_size == ends[there]


@looped
async def test_a_flipped_bit_is_never_read_and_damage_is_not_cut(tmp_path: Path) -> None:
    await write(tmp_path / "j", RECORDS[:6])
    path = next((tmp_path / "j").glob("*.log"))
    whole = path.read_bytes()
    last = len(whole) - RECORD_BYTES - len(RECORDS[5])
    damaged = 0
    for at in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << at % 8
        path.write_bytes(spoilt)
        try:
            found = reopened(tmp_path / "j")
        except StoreDamaged:
            damaged += 1
            assert path.read_bytes() == bytes(spoilt)  # kept as it is
            continue
        assert at >= last, at  # only in the last group does a flip look like a tear
        assert found == RECORDS[:5]
    assert damaged >= last - 1


@looped
async def test_damage_in_an_earlier_file_is_seen_when_it_is_read(tmp_path: Path) -> None:
    await write(tmp_path / "j", segment_bytes=200)
    first = min((tmp_path / "j").glob("*.log"))
    spoilt = bytearray(first.read_bytes())
    spoilt[HEAD_BYTES + RECORD_BYTES + 2] ^= 4
    first.write_bytes(spoilt)
    journal = Journal.open(tmp_path / "j")  # reads the last file only
    with pytest.raises(StoreDamaged):
        list(journal.read())
    with pytest.raises(StoreDamaged):
        journal.check()
    assert list(journal.read(30)) == RECORDS[30:]
    await journal.close()


@looped
async def test_a_full_disk_is_an_error_and_then_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path / "j")
    await journal.add(b"before")
    real, left = os.write, [3]

    def full(file: int, data: bytes) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return real(file, bytes(data)[:5])

    monkeypatch.setattr(os, "write", full)
    for _ in range(2):
        with pytest.raises(DiskFull):
            await journal.add(b"a record that does not fit")
    monkeypatch.undo()
    assert await journal.add(b"after") == 1
    await journal.close()
    assert reopened(tmp_path / "j") == [b"before", b"after"]


@looped
async def test_a_failed_flush_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path / "j")
    await journal.add(b"before")

    def fail(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("homefire.durable.journal._flush", fail)
        results = await asyncio.gather(*(journal.add(b"lost") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(each, Exception) for each in results)
    assert await journal.add(b"after") == 1
    await journal.close()
    assert reopened(tmp_path / "j") == [b"before", b"after"]


@looped
async def test_a_group_shares_one_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, flushes = Journal.open(tmp_path / "j"), list[int]()
    real = os.fdatasync

    def flush(file: int) -> None:
        flushes.append(file)
        real(file)

    monkeypatch.setattr(os, "fdatasync", flush)
    await asyncio.gather(*(journal.add(b"x") for _ in range(200)))
    assert len(journal) == 200
    assert len(flushes) <= 3
    with pytest.raises(InvalidRequest):
        await journal.add(b"x" * (16 * 2**20 + 1))
    await journal.close()
