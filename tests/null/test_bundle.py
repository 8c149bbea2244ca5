"""Bundles: what is written can be read, by others too, and what is hostile is refused before a byte of it is written.

Promises: each guard of the reader has an input that only it refuses.
Does not cover: the library (`tests/process/test_workshop.py`).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import BadModelFile, DigestMismatch, DiskFull, HomefireError, HomeNotWritable, InvalidRequest
from homefire.models import bundle
from homefire.models.bundle import Bundle, Manifest, Member, decode, read_header, tar_header
from homefire.models.installed import Facts
from homefire.paths import Digest, ModelName

ONE, TWO = b"one" * 1000, b"two" * 7


def digest(raw: bytes) -> Digest:
    return Digest(hashlib.sha256(raw).hexdigest())


MANIFEST = Manifest(
    ModelName("small"), "pulled", "hf:a/b:Q8_0", {"source_sha256": "0" * 64, "deep": {"é": [1, None]}},
    Facts("llama", 7, "Q8_0", 2048, "words"),
    (Member("model", "x.gguf", digest(ONE), len(ONE)), Member("mmproj", "sub/y.gguf", digest(TWO), len(TWO))),
)  # fmt: skip
ROW = {"role": "model", "name": "x.gguf", "sha256": digest(ONE), "size_bytes": len(ONE)}


def ignore(*_: int) -> None:
    """No progress."""


@pytest.fixture
def files(tmp_path: Path) -> dict[Digest, Path]:
    (tmp_path / "one").write_bytes(ONE)
    (tmp_path / "two").write_bytes(TWO)
    return {digest(ONE): tmp_path / "one", digest(TWO): tmp_path / "two"}


@pytest.mark.parametrize("name", ["out.tar", "out"])
def test_what_is_written_is_read(name: str, files: dict[Digest, Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    total = bundle.write(MANIFEST, files, tmp_path / name, lambda *step: told.append(step))
    assert total == len(ONE + TWO) and told[-1] == (total, total)
    found = Bundle(tmp_path / name)
    assert found.manifest == MANIFEST
    for raw in (ONE, TWO):
        counted: list[int] = []
        found.copy(digest(raw), tmp_path / "copy", counted.append)
        assert (tmp_path / "copy").read_bytes() == raw and sum(counted) == len(raw)
        (tmp_path / "copy").unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["one", "two", name])


def test_the_same_model_gives_the_same_tar_and_others_can_read_it(files: dict[Digest, Path], tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        bundle.write(MANIFEST, files, tmp_path / name, ignore)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames() == ["manifest.json", digest(ONE), digest(TWO)]
        member = archive.extractfile(digest(ONE))
        assert member is not None and member.read() == ONE


@pytest.mark.parametrize("size", [0, 1, (8 << 30) - 1, 8 << 30, 1 << 45])
def test_sizes_on_both_sides_of_eight_gibibytes(size: int) -> None:
    block = tar_header(digest(ONE), size)
    assert read_header(block) == (digest(ONE), size)
    assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == size


def test_a_tar_that_another_program_packed_is_read(files: dict[Digest, Path], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        add(archive, digest(TWO), TWO)
        add(archive, digest(ONE), ONE)
        add(archive, "manifest.json", MANIFEST.encode())
    assert Bundle(tmp_path / "x.tar").manifest == MANIFEST


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_to_a_bundle_is_followed(files: dict[Digest, Path], tmp_path: Path) -> None:
    for name in ("x", "x.tar"):
        bundle.write(MANIFEST, files, tmp_path / name, ignore)
        (tmp_path / f"link-{name}").symlink_to(tmp_path / name)
        assert Bundle(tmp_path / f"link-{name}").manifest == MANIFEST


def test_nothing_that_is_there_is_written_over(files: dict[Digest, Path], tmp_path: Path) -> None:
    (tmp_path / "dangling.tar").symlink_to(tmp_path / "nothing")
    for target in (tmp_path / "one", tmp_path, tmp_path / "dangling.tar", tmp_path / "no" / "such.tar"):
        with pytest.raises(InvalidRequest):
            bundle.write(MANIFEST, files, target, ignore)
    assert (tmp_path / "one").read_bytes() == ONE and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["out.tar", "out"])
@pytest.mark.parametrize("raw", [b"wrong" * 600, b"short"])
def test_a_damaged_file_is_not_exported(name: str, raw: bytes, files: dict[Digest, Path], tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(raw)
    with pytest.raises((DigestMismatch, BadModelFile)):
        bundle.write(MANIFEST, files, tmp_path / name, ignore)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_disk_that_is_too_small_is_found_before(
    files: dict[Digest, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, size: int) -> None:
        assert folder == tmp_path and size == len(ONE + TWO)
        raise DiskFull("full")

    monkeypatch.setattr(bundle, "require_room", refuse)
    with pytest.raises(DiskFull):
        bundle.write(MANIFEST, files, tmp_path / "out", ignore)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(files: dict[Digest, Path], tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(HomeNotWritable):
        bundle.write(MANIFEST, files, tmp_path / "closed" / "x.tar", ignore)


# -- manifests

CHANGES: dict[str, tuple[Any, ...]] = {
    "no format": ("format", None), "another format": ("format", "zip"), "a newer version": ("version", 2),
    "no files": ("files", []), "files that are none": ("files", "x"), "too many files": ("files", [ROW] * 1025),
    "a name that is none": ("name", "../x"), "a name that is a number": ("name", 7), "a long origin": ("origin", "x" * 5000),
    "provenance that is a list": ("provenance", []), "half a surrogate": ("origin", "\ud800"), "no facts": ("facts", {}),
    "facts of the wrong type": ("facts", {**asdict(MANIFEST.facts), "architecture": 7}),
    "a file that climbs": ("files", [{**ROW, "name": "../x.gguf"}]),
    "an absolute file": ("files", [{**ROW, "name": "/etc/x.gguf"}]),
    "a backslash": ("files", [{**ROW, "name": "..\\x.gguf"}]),
    "a file twice": ("files", [ROW, {**ROW, "name": "X.gguf"}]),
    "a role that is none": ("files", [{**ROW, "role": "program"}]),
    "only a projector": ("files", [{**ROW, "role": "mmproj"}]),
    "a digest that is none": ("files", [{**ROW, "sha256": "../../etc/passwd"}]),
    "a size below zero": ("files", [{**ROW, "size_bytes": -1}]), "no size": ("files", [{**ROW, "size_bytes": 0}]),
    "a size that is true": ("files", [{**ROW, "size_bytes": True}]),
    "a size beyond all": ("files", [{**ROW, "size_bytes": 1 << 60}]),
    "two sizes of one file": ("files", [ROW, {**ROW, "name": "y.gguf", "size_bytes": 5}]),
}  # fmt: skip


def changed(field: str, value: Any) -> bytes:
    return json.dumps({**json.loads(MANIFEST.encode()), field: value}).encode()


@pytest.mark.parametrize("name", CHANGES)
def test_a_hostile_manifest(name: str) -> None:
    assert decode(changed("source", "pulled")) == MANIFEST, "the test's own form is sound"
    with pytest.raises(BadModelFile, match="not a sound bundle"):
        decode(changed(*CHANGES[name]))


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"[]", b"{", b"[" * 100_000, MANIFEST.encode().replace(b"null", b"NaN"), b'{"a":' + b"9" * 5000]
)  # fmt: skip
def test_a_manifest_that_is_none(raw: bytes) -> None:
    with pytest.raises(BadModelFile):
        decode(raw)


def test_the_model_comes_before_what_is_beside_it() -> None:
    rows = [{**ROW, "role": "mmproj", "name": "y"}, ROW]
    assert [file.role for file in decode(changed("files", rows)).files] == ["model", "mmproj"]


# -- archives


def add(archive: tarfile.TarFile, name: str, raw: bytes = b"", **more: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(raw)
    for field, value in more.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(raw))


def base(archive: tarfile.TarFile, manifest: bytes = b"") -> None:
    add(archive, "manifest.json", manifest or MANIFEST.encode())
    add(archive, digest(ONE), ONE)
    add(archive, digest(TWO), TWO)


def linked(kind: bytes) -> Callable[[tarfile.TarFile], None]:
    def make(archive: tarfile.TarFile) -> None:
        add(archive, "manifest.json", MANIFEST.encode())
        add(archive, digest(ONE), type=kind, linkname="/etc/passwd")
        add(archive, digest(TWO), TWO)

    return make


def extra(name: str, raw: bytes = b"x", **more: Any) -> Callable[[tarfile.TarFile], None]:
    def make(archive: tarfile.TarFile) -> None:
        base(archive)
        add(archive, name, raw, **more)

    return make


def large_manifest(archive: tarfile.TarFile) -> None:
    base(archive, MANIFEST.encode() + b" " * bundle.MAX_MANIFEST)


def too_many(archive: tarfile.TarFile) -> None:
    base(archive)
    for number in range(1025):
        add(archive, digest(str(number).encode()), b"")


def wrong_size(archive: tarfile.TarFile) -> None:
    add(archive, "manifest.json", MANIFEST.encode())
    add(archive, digest(ONE), ONE + b"more")
    add(archive, digest(TWO), TWO)


def missing(archive: tarfile.TarFile) -> None:
    add(archive, "manifest.json", MANIFEST.encode())
    add(archive, digest(ONE), ONE)


HOSTILE: dict[str, tuple[Callable[[tarfile.TarFile], None], str]] = {
    "a symbolic link": (linked(tarfile.SYMTYPE), "a link"),
    "a hard link": (linked(tarfile.LNKTYPE), "a link"),
    "a device": (linked(tarfile.CHRTYPE), "a device"),
    "a pipe": (linked(tarfile.FIFOTYPE), "a device"),
    "a folder": (linked(tarfile.DIRTYPE), "neither"),
    "a sparse file": (linked(tarfile.GNUTYPE_SPARSE), "extension"),
    "a name that climbs": (extra("../../escape"), "neither"),
    "an absolute name": (extra("/etc/escape"), "neither"),
    "a name in a folder": (extra("sub/" + digest(b"x")), "neither"),
    "a name in a long folder": (extra("d" * 100 + "/" + digest(b"x")), "in a folder"),
    "an empty name": (extra(""), "neither"),
    "a pax header": (extra(digest(b"x"), pax_headers={"path": "/etc/x"}), "neither|extension"),
    "a file twice": (extra(digest(ONE), ONE), "twice"),
    "a manifest twice": (extra("manifest.json", MANIFEST.encode()), "twice"),
    "a file that is not listed": (extra(digest(b"x")), "does not list"),
    "a file of another size": (wrong_size, "should have"),
    "a file that is missing": (missing, "is missing"),
    "too many files": (too_many, "too many"),
    "a large manifest": (large_manifest, "manifest has"),
    "no manifest": (lambda archive: add(archive, digest(ONE), ONE), "no manifest"),
    "nothing": (lambda archive: None, "no manifest"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tar(name: str, tmp_path: Path) -> None:
    make, why = HOSTILE[name]
    form = tarfile.PAX_FORMAT if "pax" in name else tarfile.USTAR_FORMAT if "folder" in name else tarfile.GNU_FORMAT
    with tarfile.open(tmp_path / "x.tar", "w", format=form) as archive:
        make(archive)
    with pytest.raises(BadModelFile, match=why):
        Bundle(tmp_path / "x.tar")


def sound(tmp_path: Path) -> bytearray:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        base(archive)
    return bytearray((tmp_path / "x.tar").read_bytes())


def reseal(raw: bytearray, at: int) -> bytearray:
    """The header's checksum, made right again."""
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = f"{sum(raw[at : at + 512]):06o}\0 ".encode()
    return raw


def huge(raw: bytearray, size: bytes) -> bytearray:
    raw[124:136] = size
    return reseal(raw, 0)


DAMAGED: dict[str, tuple[Callable[[bytearray], bytes | bytearray], str]] = {
    "cut in a file": (lambda raw: raw[: 512 * 6], "truncated"),
    "cut at a header": (lambda raw: raw[: raw.rindex(digest(ONE).encode())], "truncated"),
    "cut in a header": (lambda raw: raw[: raw.rindex(digest(ONE).encode()) + 100], "truncated"),
    "no end": (lambda raw: raw[: raw.index(TWO) + 512], "truncated"),
    "a bit in a header": (lambda raw: raw[:130] + b"7" + raw[131:], "damaged"),
    "not a tar": (lambda raw: b"GGUF" * 1000, "no tar"),
    "an old tar": (lambda raw: reseal(raw[:257] + bytes(8) + raw[265:], 0), "no tar"),
    "a bomb in octal": (lambda raw: huge(raw, b"77777777777\0"), "claims 8,589,934,591"),
    "a bomb in binary": (lambda raw: huge(raw, b"\x80" + b"\xff" * 11), "claims 309,485"),
    "a size below zero": (lambda raw: huge(raw, b"\xff" * 12), "damaged"),
    "a size that is none": (lambda raw: huge(raw, b"+12         "), "damaged"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_tar(name: str, tmp_path: Path) -> None:
    make, why = DAMAGED[name]
    raw = sound(tmp_path)
    assert Bundle(tmp_path / "x.tar").manifest == MANIFEST
    (tmp_path / "x.tar").write_bytes(make(raw))
    with pytest.raises(BadModelFile, match=why):
        Bundle(tmp_path / "x.tar")


def test_a_file_that_holds_something_else_is_found_while_it_is_copied(tmp_path: Path) -> None:
    raw = sound(tmp_path)
    (tmp_path / "x.tar").write_bytes(raw.replace(ONE, ONE[:-1] + b"!"))
    found = Bundle(tmp_path / "x.tar")
    with pytest.raises(DigestMismatch):
        found.copy(digest(ONE), tmp_path / "copy", lambda count: None)


def test_a_bundle_that_shrinks_while_it_is_copied(tmp_path: Path) -> None:
    raw = sound(tmp_path)
    found = Bundle(tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes(raw[: raw.index(ONE) + 5])
    with pytest.raises(BadModelFile, match="early"):
        found.copy(digest(ONE), tmp_path / "copy", lambda count: None)


def test_a_copy_writes_over_nothing(tmp_path: Path) -> None:
    sound(tmp_path)
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(HomefireError):
        Bundle(tmp_path / "x.tar").copy(digest(ONE), tmp_path / "copy", lambda count: None)
    assert (tmp_path / "copy").read_text() == "mine"


# -- folders


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a link": (lambda at: link(at / digest(b"x")), "a link"),
    "a link in a file's place": (lambda at: (at / digest(TWO)).unlink() or link(at / digest(TWO)), "a link"),  # type: ignore[func-returns-value]
    "a folder": (lambda at: (at / digest(b"x")).mkdir(), "a folder"),
    "a pipe": (lambda at: os.mkfifo(at / digest(b"x")), "a device"),
    "a file that is not listed": (lambda at: (at / digest(b"x")).write_bytes(b"x"), "does not list"),
    "a name that is no digest": (lambda at: (at / "readme.txt").write_bytes(b"x"), "neither"),
    "a file that is missing": (lambda at: (at / digest(TWO)).unlink(), "is missing"),
    "a file of another size": (lambda at: (at / digest(TWO)).write_bytes(b"x"), "should have"),
    "no manifest": (lambda at: (at / "manifest.json").unlink(), "no manifest"),
}


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
@pytest.mark.parametrize("name", FOLDERS)
def test_a_hostile_folder(name: str, files: dict[Digest, Path], tmp_path: Path) -> None:
    change, why = FOLDERS[name]
    bundle.write(MANIFEST, files, tmp_path / "out", ignore)
    (tmp_path / "out" / ".DS_Store").write_bytes(b"left behind")
    assert Bundle(tmp_path / "out").manifest == MANIFEST
    change(tmp_path / "out")
    with pytest.raises(BadModelFile, match=why):
        Bundle(tmp_path / "out")


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
def test_a_bundle_that_is_no_plain_file(tmp_path: Path) -> None:
    sound(tmp_path)
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(BadModelFile, match="plain"):
        Bundle(tmp_path / "pipe.tar")
    with pytest.raises(InvalidRequest):
        Bundle(tmp_path / "nothing.tar")
