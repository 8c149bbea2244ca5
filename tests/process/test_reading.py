"""The pool of reading children: real processes behind the real walls, killed, hung, bombed and lied to.

Promises: whatever one file does, it is answered once and the others are read; nothing is left running.
Does not cover: what is read out of each kind (`tests/contract/test_reader.py`).
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from homefire.knowledge import reading
from homefire.knowledge.reader import MIB, Bounds
from homefire.knowledge.reading import Limits, Pool, Read
from homefire.knowledge.walk import Found, walk
from tests import documents
from tests.documents import SENTENCE, SOUND

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
BOMB = documents.packed({"word/document.xml": b" " * 30 * MIB})
QUICK = Limits(cpu_seconds=2, wall_seconds=20.0)


def found(root: Path) -> list[Found]:
    return [each for each in walk(root) if isinstance(each, Found)]


def answers(root: Path, limits: Limits = QUICK, children: int = 1) -> dict[str, Read]:
    with Pool(root, children=children, limits=limits) as pool:
        given = [each for each in pool.read(found(root)) if each.status != "part"]
        pids = pool.pids
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert sorted(each.path for each in given) == sorted(each.path for each in found(root))
    return {each.path.decode(): each for each in given}


def lay(root: Path, **files: bytes) -> None:
    for name, data in files.items():
        (root / name.replace("__", ".")).write_bytes(data)


def test_every_kind_is_read_behind_walls_and_signed(tmp_path: Path) -> None:
    for name, data in SOUND.items():
        (tmp_path / name).write_bytes(data)
    given = answers(tmp_path, children=2)
    assert {name: each.code for name, each in given.items()} == dict.fromkeys(SOUND, "")
    for name, each in given.items():
        status = (tmp_path / name).stat()
        assert (each.status, each.size, each.mtime_ns, len(each.digest)) == (
            "read",
            status.st_size,
            status.st_mtime_ns,
            32,
        )
        for signed in each.texts:
            assert len(signed.digest) == 32 and len(signed.minhash) == 256 and signed.simhash
    assert any(SENTENCE.encode() in signed.text.data for signed in given["a.pdf"].texts)


def test_bad_documents_cost_themselves_alone(tmp_path: Path) -> None:
    lay(tmp_path, a__txt=b"first", b__pdf=documents.locked_pdf(), c__docx=BOMB,
        d__pdf=SOUND["a.pdf"][:200], e__bin=bytes(256), f__txt=b"", g__txt=b"last")  # fmt: skip
    assert {name: (each.status, each.code) for name, each in answers(tmp_path).items()} == {
        "a.txt": ("read", ""),
        "b.pdf": ("failed", "document_encrypted"),
        "c.docx": ("failed", "document_too_large"),
        "d.pdf": ("failed", "document_broken"),
        "e.bin": ("skipped", "not_text"),
        "f.txt": ("skipped", "document_empty"),
        "g.txt": ("read", ""),
    }


def test_hostile_pdfs_end_and_the_next_file_is_read(tmp_path: Path) -> None:
    loop = documents.pdf("text").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")
    bomb = documents.pdf("(" + " " * 60 * MIB, deflate=True)
    deep = documents.pdf("text", more=b"9 0 obj\n" + b"[" * 200_000 + b"\nendobj\n", trailer="/Info 9 0 R")
    lay(tmp_path, a__pdf=loop, b__pdf=bomb, c__pdf=deep, d__txt=b"last")
    given = answers(tmp_path)
    assert given["d.txt"].status == "read" and len(given) == 4
    assert given["a.pdf"].code in ("document_broken", "needs_sight", "document_too_slow")


def test_a_child_that_is_killed_costs_one_file(tmp_path: Path) -> None:
    line = b"A line of a long text that takes a while to read and cut into pieces.\n"
    lay(tmp_path, a__txt=b"first", b__txt=line * 300_000, c__txt=b"third", d__txt=b"fourth")
    given: dict[bytes, Read] = {}
    with Pool(tmp_path, children=1, limits=QUICK) as pool:
        for each in pool.read(found(tmp_path)):
            if each.status == "part":
                for pid in pool.pids:
                    os.kill(pid, signal.SIGKILL)
                continue
            given[each.path] = each
    codes = {path: (each.status, each.code) for path, each in given.items()}
    assert codes == {b"a.txt": ("read", ""), b"b.txt": ("failed", "document_too_large"), b"c.txt": ("read", ""),
                     b"d.txt": ("read", "")}  # fmt: skip
    assert given[b"b.txt"].texts == ()


def test_a_pool_goes_on_after_a_child_died_idle_and_after_a_reading_broken_off(tmp_path: Path) -> None:
    lay(tmp_path, a__txt=b"a", b__txt=b"b", c__txt=b"c")
    with Pool(tmp_path, children=1, limits=QUICK) as pool:
        assert {each.status for each in pool.read(found(tmp_path))} == {"read"}
        for pid in pool.pids:
            os.kill(pid, signal.SIGKILL)
            psutil.Process(pid).wait(5)
        assert [each.status for each in pool.read(found(tmp_path))] == ["read"] * 3
        for _ in pool.read(found(tmp_path)):
            break
        assert pool.pids == [] and [each.status for each in pool.read(found(tmp_path))] == ["read"] * 3


def test_a_child_that_hangs_is_ended_and_its_file_is_too_slow(tmp_path: Path) -> None:
    lay(tmp_path, a__txt=b"first", b__txt=b"x " * 6 * MIB, c__txt=b"third")
    stopped = False
    given = []
    with Pool(tmp_path, children=1, limits=replace(QUICK, wall_seconds=2.0)) as pool:
        for each in pool.read(found(tmp_path)):
            given.append((each.path, each.status, each.code))
            if not stopped:
                (inner,) = [p for p in psutil.Process(pool.pids[0]).children(recursive=True) if "python" in p.name()]
                inner.suspend()
                stopped = True
    assert [each for each in given if each[1] != "part"] == [
        (b"a.txt", "read", ""), (b"b.txt", "failed", "document_too_slow"), (b"c.txt", "read", "")]  # fmt: skip


def test_processor_time_and_memory_of_one_file_are_limited(tmp_path: Path) -> None:
    lay(tmp_path, a__html=b"<p>x", b__html=b"<p>a <b>word</b></p>" * 1_500_000, c__txt=b"third")
    limits = Limits(cpu_seconds=0, cpu_seconds_mib=0.0, wall_seconds=30.0)
    codes = {name: each.code for name, each in answers(tmp_path, limits).items()}
    assert codes == {"a.html": "", "b.html": "document_too_slow", "c.txt": ""}
    # 300 MB of JSON objects in 400 MiB of address space.
    lay(tmp_path, b__ipynb=b'{"cells": [' + b"{}," * 12_000_000 + b"{}]}", b__html=b"<p>x")
    codes = {name: each.code for name, each in answers(tmp_path, Limits(memory_bytes=400 * MIB)).items()}
    assert codes == {"a.html": "", "b.html": "", "b.ipynb": "document_too_large", "c.txt": ""}


def test_a_file_that_changes_is_read_anew_and_then_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GATHERED", 1)
    line = b"A line of a text that somebody is writing while it is read by us.\n"
    lay(tmp_path, a__txt=line * 200_000, b__txt=line * 200_000, c__txt=b"third")
    given = []
    with Pool(tmp_path, children=1) as pool:
        for each in pool.read(found(tmp_path)):
            given.append((each.path, each.status, each.code, each.first))
            once = [path for path, status, _, _ in given if status == "part" and path == b"a.txt"]
            if each.status == "part" and (each.path == b"b.txt" or len(once) == 1):
                time.sleep(0.02)
                with (tmp_path / each.path.decode()).open("ab") as file:
                    file.write(b"more\n")
    last = {path: (status, code) for path, status, code, _ in given if status != "part"}
    assert last == {b"a.txt": ("read", ""), b"b.txt": ("failed", "document_changed"), b"c.txt": ("read", "")}
    assert [first for path, _, _, first in given if path == b"a.txt"].count(True) == 2


def test_what_is_gone_or_became_another_thing_is_passed_over(tmp_path: Path) -> None:
    lay(tmp_path, a__txt=b"a", b__txt=b"b", c__txt=b"c")
    files = found(tmp_path)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.txt").unlink()
    (tmp_path / "b.txt").symlink_to("/etc/passwd")
    with Pool(tmp_path, children=1) as pool:
        codes = {each.path: each.code for each in pool.read(files)}
    assert codes == {b"a.txt": "document_gone", b"b.txt": "document_unreadable", b"c.txt": ""}


def test_a_child_sees_no_file_but_the_one_it_was_handed(tmp_path: Path) -> None:
    lay(tmp_path, a__txt=b"a")
    with Pool(tmp_path, children=1) as pool:
        assert [each.status for each in pool.read(found(tmp_path))] == ["read"]
        (inner,) = [p for p in psutil.Process(pool.pids[0]).children(recursive=True) if "python" in p.name()]
        inside = Path(f"/proc/{inner.pid}/root")
        if not os.access(inside, os.R_OK):
            pytest.skip("the kernel does not let this user look inside")
        assert not (inside / str(tmp_path).lstrip("/")).exists() and (inside / "usr").exists()
        assert Path(f"/proc/{inner.pid}/net/dev").read_text().count(":") == 1  # the loopback alone


def test_without_walls_only_plain_files_are_read_and_only_if_a_person_says_so(tmp_path: Path) -> None:
    lay(tmp_path, a__txt=b"a", b__pdf=SOUND["a.pdf"])
    with Pool(tmp_path, walls=False) as pool:
        assert {each.code for each in pool.read(found(tmp_path))} == {"sandbox_unavailable"}
    with Pool(tmp_path, children=1, walls=False, plain_without=True) as pool:
        assert {each.path: each.code for each in pool.read(found(tmp_path))} == {
            b"a.txt": "",
            b"b.pdf": "sandbox_unavailable",
        }


def test_a_mailbox_is_read_as_it_comes_in_flat_memory(tmp_path: Path) -> None:
    body = "\n".join(
        f"This is sentence number {number} of a message that is long enough to count." for number in range(600)
    )
    with (tmp_path / "a.mbox").open("wb") as file:
        for number in range(400):
            file.write(b"From x\n" + documents.mail(f"Message {number}", body) + b"\n")
    size, parts, texts = (tmp_path / "a.mbox").stat().st_size, 0, 0
    with Pool(tmp_path, children=1, limits=Limits(bounds=Bounds(unpacked_bytes=MIB))) as pool:
        for each in pool.read(found(tmp_path)):
            parts, texts = parts + (each.status == "part"), texts + len(each.texts)
            assert sum(len(signed.text.data) for signed in each.texts) <= reading.GATHERED + 4 * MIB
        (inner,) = [p for p in psutil.Process(pool.pids[0]).children(recursive=True) if "python" in p.name()]
        assert inner.memory_info().rss < 200 * MIB
    assert (texts, each.status) == (400, "read") and parts >= size // reading.GATHERED - 1


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    left = [p.pid for p in psutil.Process().children() if "bwrap" in p.name() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []
