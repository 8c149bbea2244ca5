"""Paths: names from outside become paths only through typed names, folders are private.

Promises: no accepted name leaves its folder or overflows a file name or a socket's address; a home that cannot be used is one
error with a next step.
Does not cover: folders of other users (a test would need a second user).
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homefire.errors import DiskFull, HomefireError, HomeNotWritable, InvalidRequest, MachineError
from homefire.paths import Digest, KeyName, ModelName, Paths, default_home, from_os, make_private_folder

HOME = Path(tempfile.gettempdir()) / "home-of-nobody"
SUN_PATH = 103  # macOS has 104 with the closing zero, Linux 108
NASTY = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "a\0b",
    "/etc/passwd",
    "C:\\x",
    "~",
    "-rf",
    "a\nb",
    " a",
    "a ",
    "\u202ea",
]
anything = st.one_of(
    st.text(max_size=140),
    st.text(alphabet="aZ09._-:/\\\0\n ~%", max_size=140),
    st.sampled_from(NASTY),
)


def made(kind: type[str], text: str) -> str | None:
    try:
        return kind(text)
    except InvalidRequest:
        return None


@settings(max_examples=300, deadline=None, database=None)
@given(anything)
@example("a" * 128)
@example("a" + ":" * 126 + "a")
@example("a\n")
def test_a_model_name_stays_in_its_folder(text: str) -> None:
    name = made(ModelName, text)
    if name is None:
        return
    assert name == text
    assert isinstance(name, ModelName)
    paths = Paths(HOME)
    log = paths.engine_log(name)
    socket = paths.engine_socket(name)
    assert log.parent == paths.logs and len(os.fsencode(log.name)) <= 255
    assert Path(os.path.normpath(log)) == log
    assert socket is not None and socket.name.endswith(".sock")
    assert len(os.fsencode(socket)) <= SUN_PATH
    assert Path(os.path.normpath(socket)) == socket
    assert not set(log.name) & set('/\\:*?"<>|\0')


@settings(max_examples=300, deadline=None, database=None)
@given(anything)
@example("0" * 64 + "\n")
@example("A" * 64)
def test_a_digest_is_64_lower_case_hexadecimal_digits(text: str) -> None:
    name = made(Digest, text)
    assert (name is not None) == (len(text) == 64 and set(text) <= set("0123456789abcdef"))


@given(st.binary(min_size=32, max_size=32).map(bytes.hex))
@settings(max_examples=50, deadline=None, database=None)
def test_a_blob_lies_below_blobs(text: str) -> None:
    paths = Paths(HOME)
    assert paths.blob(Digest(text)) == paths.blobs / "sha256" / text[:2] / text


@settings(max_examples=300, deadline=None, database=None)
@given(anything)
def test_a_key_name_could_stand_in_a_folder(text: str) -> None:
    name = made(KeyName, text)
    if name is None:
        return
    assert 1 <= len(name) <= 64
    assert Path(os.path.normpath(HOME / name)).parent == HOME
    assert "\\" not in name and name.isprintable() and name.strip() == name


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("kind", [Digest, ModelName, KeyName], ids=lambda kind: kind.__name__)
def test_nasty_names_are_refused(kind: type[str], text: str) -> None:
    if kind is KeyName and text in ("~", "-rf"):
        return  # harmless as a key's name
    with pytest.raises(InvalidRequest) as caught:
        kind(text)
    assert caught.value.next_step


@pytest.mark.parametrize("text", ["pilot", "a", "Qwen3-8B-Q4_K_M.gguf", "llama3:8b", "x" * 128])
def test_usual_model_names_are_taken(text: str) -> None:
    assert ModelName(text) == text
    for wrong in (text + "x" * 128, f"{text}..{text}", f"{text}.", f"-{text}"):
        with pytest.raises(InvalidRequest):
            ModelName(wrong)


def test_a_refused_name_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidRequest) as caught:
        KeyName("x" * 1_000_000)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("name", ["pilot", "a" * 128, "a" + ":" * 126 + "a"])
def test_a_long_home_gives_a_short_and_private_socket(name: str, tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 40)
    one, other = Paths(home), Paths(home.with_name("else" * 40))
    socket = one.engine_socket(ModelName(name))
    assert socket is not None and len(os.fsencode(socket)) <= SUN_PATH
    assert socket == one.engine_socket(ModelName(name)), "the same home finds it again"
    assert socket != other.engine_socket(ModelName(name))
    assert socket != one.engine_socket(ModelName("b" + name[1:]))
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    for folder in (socket.parent, other.engine_socket(ModelName(name))):
        assert folder is not None
        (folder if folder.is_dir() else folder.parent).rmdir()


def test_two_models_never_share_a_file() -> None:
    paths = Paths(HOME)
    names = [ModelName(text) for text in ("a:b", "a-b", "a.b", "a_b", "a" + ":" * 100 + "b", "a" + ":" * 101 + "b")]
    assert len({paths.engine_log(name) for name in names}) == len(names)
    assert len({paths.engine_socket(name) for name in names}) == len(names)


def test_prepare_makes_private_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "a" / "home")
    paths.prepare()
    paths.prepare()
    assert sorted(p.name for p in paths.home.iterdir()) == ["blobs", "logs", "run"]
    for folder in (paths.home, paths.blobs, paths.logs, paths.run):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(paths.run.iterdir()) == []


def test_a_wide_folder_is_tightened(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    folder.chmod(0o777)
    make_private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(HomeNotWritable, match="another user"):
        make_private_folder(tmp_path)


@pytest.mark.parametrize("place", ["home", "home/blobs", "home/logs", "home/run"])
def test_a_file_in_the_way(place: str, tmp_path: Path) -> None:
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("in the way")
    with pytest.raises(HomeNotWritable) as caught:
        Paths(tmp_path / "home").prepare()
    assert "HOMEFIRE_HOME" in caught.value.next_step
    assert file.read_text() == "in the way"
    with pytest.raises(HomeNotWritable):
        Paths(file / "below").prepare()


@pytest.mark.parametrize(
    ("number", "leaf"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EACCES, HomeNotWritable),
        (errno.EPERM, HomeNotWritable),
        (errno.EROFS, HomeNotWritable),
        (errno.ENOTDIR, HomeNotWritable),
        (errno.EEXIST, HomeNotWritable),
        (errno.EIO, MachineError),
        (errno.ENAMETOOLONG, MachineError),
    ],
)
def test_what_the_system_says(number: int, leaf: type[HomefireError]) -> None:
    assert type(from_os(OSError(number, os.strerror(number)), HOME)) is leaf


def test_a_full_disk_is_found_by_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    Paths(tmp_path / "home").prepare()
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DiskFull):
        Paths(tmp_path / "home").prepare()


def test_the_default_home(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_home({}) == Path.home() / ".homefire"
    assert default_home({"HOMEFIRE_HOME": ""}) == Path.home() / ".homefire"
    assert default_home({"HOMEFIRE_HOME": "~/x"}) == Path.home() / "x"
    assert default_home({"HOMEFIRE_HOME": "here"}).is_absolute()
