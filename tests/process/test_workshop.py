"""The workshop on the pilot's own weights: converted, quantized, carried away and brought back; and what must not come in.

Promises: the same work gives the same bytes; what was carried is what was made, with all that is known of it, and runs; whatever
fails, is refused or is left in the middle leaves the library and the disk as they were.
Does not cover: the bundle's own guards one by one (`tests/null/test_bundle.py`), the kernels (`test_quantize.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import pickle
import shutil
import tarfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import (
    BadModelFile,
    DigestMismatch,
    DiskFull,
    HomefireError,
    InvalidRequest,
    ModelExists,
    PickleRefused,
    QuotaExceeded,
    UnknownModel,
)
from homefire.models import bundle
from homefire.models.bundle import Bundle, Manifest, Member, tar_header
from homefire.models.installed import Facts, ModelFile
from homefire.models.library import PILOT_FILE
from homefire.models.workshop import Workshop, kind_of, name_from, stages
from homefire.paths import Digest, ModelName
from tests.null.gguf_file import DATA, TENSORS, gguf, small, string_key
from tests.null.library_home import Home, with_home
from tests.process.loaded import ROOT, loaded

WEIGHTS = ROOT / "pilot" / "weights"
RECIPES = ("Q8_0", "Q4_0", "Q6_K")
SMALL = small()


def ignore(*_: int) -> None:
    """No progress."""


def workshop(home: Home) -> Workshop:
    return Workshop(home.library, home.paths, home.blobs)


def digest_of(raw: bytes) -> Digest:
    return Digest(hashlib.sha256(raw).hexdigest())


def on_disk(home: Home) -> list[str]:
    """All files among the blobs and the links to them."""
    folders = (home.paths.blobs, home.paths.home / "cache")
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


class Steps(list[tuple[int, int]]):
    """A progress that remembers."""

    def __call__(self, done: int, total: int) -> None:
        self.append((done, total))

    def check(self) -> None:
        assert self == sorted(self) and len({total for _, total in self}) == 1 and self[-1][0] == self[-1][1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, dict[str, Digest]]]:
    """A home with the pilot converted to F16 and quantized, each of it done twice; and the digests."""
    digests: dict[str, Digest] = {}

    async def story(home: Home) -> Home:
        shop = workshop(home)
        for again in ("", "-again"):
            steps = Steps()
            model = await shop.convert(WEIGHTS, f"lit{again}", "F16", steps)
            steps.check()
            for recipe in RECIPES:
                steps = Steps()
                await shop.quantize(model.name, recipe.lower(), "", steps)
                steps.check()
        for name in ("lit", *(f"lit-{recipe.lower()}" for recipe in RECIPES)):
            digest = home.library.get(name).digest
            assert digest is not None and digest == home.library.get(name.replace("lit", "lit-again", 1)).digest
            digests[name] = digest
        return home

    folder = tmp_path_factory.mktemp("made")
    home = with_home(folder, story)
    home.store.open()
    yield home, digests
    home.store.close()


def test_the_same_work_gives_the_same_bytes_and_says_where_they_come_from(made: tuple[Home, dict[str, Digest]]) -> None:
    home, digests = made
    assert on_disk(home) == sorted(digests.values()), "twice the same is once on the disk, and nothing is left over"
    weights = digest_of((WEIGHTS / "model.safetensors").read_bytes())
    lit = home.library.get("lit")
    assert (lit.source, lit.facts.quantization, lit.facts.kind) == ("converted", "F16", "chat")
    assert lit.provenance["source_sha256"] == weights and lit.provenance["reproducible"] is True
    assert "xllamacpp" in lit.provenance["tool"] and "F16" in lit.provenance["recipe"]
    for recipe in RECIPES:
        model = home.library.get(f"lit-{recipe.lower()}")
        known = model.provenance
        assert (model.source, known["recipe"], known["from"]) == ("quantized", recipe, "lit")
        assert (known["source_sha256"], known["origin_sha256"]) == (digests["lit"], weights)
        assert digest_of(model.path.read_bytes()) == model.digest
        assert model.size_bytes < 0.7 * lit.size_bytes


def test_what_was_made_runs(made: tuple[Home, dict[str, Digest]]) -> None:
    said = {}
    for name in ("lit", "lit-q8_0"):
        with loaded(made[0].library.get(name).path) as engine:
            body = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 12}
            said[name] = engine.post("/v1/chat/completions", body)["choices"][0]["message"]["content"]
    assert said["lit"] == said["lit-q8_0"] and len(said["lit"]) > 3


@pytest.mark.parametrize("target", ["out", "out.tar"])
def test_a_model_is_carried_to_another_home(target: str, made: tuple[Home, dict[str, Digest]], tmp_path: Path) -> None:
    home, digests = made
    steps = Steps()
    exported = asyncio.run(workshop(home).export("lit-q4_0", tmp_path / target, steps))
    steps.check()
    origin = home.library.get("lit-q4_0")
    assert (exported.path, exported.files, exported.bytes) == (str(tmp_path / target), 1, origin.size_bytes)

    async def story(other: Home) -> None:
        steps = Steps()
        model = await workshop(other).bring(tmp_path / target, "", steps)
        steps.check()
        assert (model.name, model.digest, model.facts) == ("lit-q4_0", digests["lit-q4_0"], origin.facts)
        assert (model.source, dict(model.provenance)) == ("quantized", dict(origin.provenance))
        assert model.path.read_bytes() == origin.path.read_bytes() and on_disk(other) == [digests["lit-q4_0"]]
        again = await workshop(other).bring(tmp_path / target, "again", ignore)
        assert again.digest == model.digest and on_disk(other) == [digests["lit-q4_0"]]
        with pytest.raises(ModelExists):
            await workshop(other).bring(tmp_path / target, "", ignore)

    with_home(tmp_path / "other", story)


def test_the_built_in_model_is_carried_too(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await workshop(home).export("pilot", tmp_path / "x.tar", ignore)
        with pytest.raises(ModelExists):
            await workshop(home).bring(tmp_path / "x.tar", "", ignore)
        model = await workshop(home).bring(tmp_path / "x.tar", "second", ignore)
        assert (model.source, model.path.read_bytes()) == ("imported", PILOT_FILE.read_bytes())

    with_home(tmp_path / "home", story)


def test_a_model_in_another_program_s_store_is_carried_and_stays(tmp_path: Path) -> None:
    (tmp_path / "sha256-x").write_bytes(SMALL)
    file = ModelFile("model", "not:portable", digest_of(SMALL), tmp_path / "sha256-x", len(SMALL))
    eye = replace(file, role="mmproj", name="NOT:portable")

    async def story(home: Home) -> None:
        await home.library.add(ModelName("linked"), [file, eye], source="linked", origin="ollama:x", external=True)
        await workshop(home).export("linked", tmp_path / "out", ignore)
        model = await workshop(home).bring(tmp_path / "out", "mine", ignore)
        assert (model.source, model.origin, model.external) == ("imported", "ollama:x", False)
        assert [each.role for each in model.files] == ["model", "mmproj"]
        assert on_disk(home) == [digest_of(SMALL)] and (tmp_path / "sha256-x").read_bytes() == SMALL
        await home.library.remove("mine")
        assert on_disk(home) == []

    with_home(tmp_path / "home", story)


def test_a_split_model_comes_whole_goes_whole_and_comes_again(tmp_path: Path) -> None:
    names = [f"x-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(SMALL + bytes(number))

    async def story(home: Home) -> None:
        steps = Steps()
        model = await workshop(home).bring(tmp_path / names[0], "", steps)
        steps.check()
        await workshop(home).export(model.name, tmp_path / "x.tar", ignore)
        again = await workshop(home).bring(tmp_path / "x.tar", "again", ignore)
        for each in (model, again):
            assert sorted(path.name for path in each.path.parent.iterdir()) == names and each.path.name == names[0]
            assert [file.name for file in each.files] == names
        (tmp_path / names[1]).unlink()
        with pytest.raises(HomefireError):
            await workshop(home).bring(tmp_path / names[0], "third", ignore)

    with_home(tmp_path / "home", story)


def test_a_folder_of_weights_is_converted(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        model = await workshop(home).bring(WEIGHTS / "model.safetensors", "", ignore)
        assert (model.name, model.source, model.facts.quantization) == ("weights", "converted", "F16")

    with_home(tmp_path, story)


# -- what must not come in

MEMBER = Member("model", "x.gguf", digest_of(SMALL), len(SMALL))
SOUND = Manifest(ModelName("x"), "pulled", "", {}, Facts("llama", 1, "Q8_0", 1, ""), (MEMBER,))


def tar_of(path: Path, manifest: Manifest, *members: tuple[str, bytes], **more: Any) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, raw in (("manifest.json", manifest.encode()), *members):
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            if name != "manifest.json":
                for field, value in more.items():
                    setattr(info, field, value)
            archive.addfile(info, io.BytesIO(raw))
    return path


def speech(name: str, raw: bytes) -> tuple[Manifest, tuple[str, bytes]]:
    member = Member("model", name, digest_of(raw), len(raw))
    return replace(SOUND, facts=replace(SOUND.facts, kind="speech"), files=(member,)), (digest_of(raw), raw)


def bomb(path: Path) -> Path:
    """A file larger than what is free on the disk, of which it takes nothing."""
    claimed = shutil.disk_usage(path.parent).free + (1 << 30)
    manifest = replace(SOUND, files=(replace(MEMBER, size_bytes=claimed),)).encode()
    with path.open("wb") as file:
        file.write(tar_header("manifest.json", len(manifest)) + manifest + bytes(-len(manifest) % 512))
        file.write(tar_header(MEMBER.sha256, claimed))
        file.truncate(file.tell() + claimed + 1024)
    return path


def linked_folder(path: Path) -> Path:
    path.mkdir()
    (path / "manifest.json").write_bytes(SOUND.encode())
    (path / MEMBER.sha256).symlink_to(PILOT_FILE)
    return path


BROKEN = SMALL[:-40]
HOSTILE: dict[str, tuple[Callable[[Path], Path], type[HomefireError]]] = {
    "a wrong digest": (lambda at: tar_of(at / "x.tar", SOUND, (MEMBER.sha256, SMALL[:-1] + b"!")), DigestMismatch),
    "a link": (
        lambda at: tar_of(at / "x.tar", SOUND, (MEMBER.sha256, b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        BadModelFile,
    ),
    "a name that climbs": (lambda at: tar_of(at / "x.tar", SOUND, ("../../x", SMALL)), BadModelFile),
    "no tar": (lambda at: write(at / "x.tar", b"x" * 2000), BadModelFile),
    "a truncated tar": (
        lambda at: write(at / "y.tar", tar_of(at / "x.tar", SOUND, (MEMBER.sha256, SMALL)).read_bytes()[:2600]),
        BadModelFile,
    ),
    "a link in a folder": (lambda at: linked_folder(at / "x"), BadModelFile),
    "a model that is none": (
        lambda at: tar_of(
            at / "x.tar", replace(SOUND, files=(replace(MEMBER, sha256=digest_of(BROKEN), size_bytes=len(BROKEN)),)),
            (digest_of(BROKEN), BROKEN),
        ),
        BadModelFile,
    ),
    "a broken model that says it is a voice": (
        lambda at: tar_of(at / "x.tar", *speech("x.gguf", BROKEN)), BadModelFile
    ),
    "a pickle that says it is a voice": (
        lambda at: tar_of(at / "x.tar", *speech("x.onnx", pickle.dumps([1]))), PickleRefused
    ),
    "more than the disk has": (lambda at: bomb(at / "x.tar"), DiskFull),
    "a pickle": (lambda at: write(at / "x.bin", b"\x80\x02" + bytes(100)), PickleRefused),
    "a folder of pickles": (lambda at: write(at / "m" / "pytorch_model.bin", b"x").parent, PickleRefused),
    "an empty folder": (lambda at: write(at / "m" / "readme", b"x").parent, InvalidRequest),
    "nothing": (lambda at: at / "nothing", InvalidRequest),
    "a broken model": (lambda at: write(at / "x.gguf", BROKEN), BadModelFile),
    "a part of another model": (
        lambda at: write(at / "x.gguf", gguf([string_key("general.architecture", "clip")], TENSORS, DATA)), BadModelFile
    ),
    "weights without a configuration": (lambda at: write(at / "m" / "model.safetensors", b"x" * 99).parent, HomefireError),
}  # fmt: skip


def write(path: Path, raw: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    return path


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_refused_leaves_nothing(name: str, tmp_path: Path) -> None:
    make, error = HOSTILE[name]

    async def story(home: Home) -> None:
        tar_of(tmp_path / "sound.tar", SOUND, (MEMBER.sha256, SMALL))
        await workshop(home).bring(tmp_path / "sound.tar", "before", ignore)
        await home.library.remove("before")
        with pytest.raises(error):
            await workshop(home).bring(make(tmp_path), "", ignore)
        assert on_disk(home) == [] and [model.name for model in home.library.all()] == ["pilot"]

    with_home(tmp_path / "home", story)


def test_a_voice_keeps_what_is_known_of_it(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        model = await workshop(home).bring(tar_of(tmp_path / "x.tar", *speech("x.onnx", b"\x08\x07" * 50)), "", ignore)
        assert model.facts.kind == "speech" and model.source == "pulled"

    with_home(tmp_path / "home", story)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequest):
        kind_of(tmp_path / "pipe")


def test_the_quota_is_asked_before(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        shop = workshop(home)
        tar_of(tmp_path / "x.tar", SOUND, (MEMBER.sha256, SMALL))
        for number in (1, 2):
            (tmp_path / f"x-0000{number}-of-00002.gguf").write_bytes(SMALL)
        works: list[Awaitable[Any]] = [
            shop.bring(tmp_path / "x.tar", "", ignore),
            shop.bring(tmp_path / "x-00001-of-00002.gguf", "", ignore),
            shop.convert(WEIGHTS, "", "F16", ignore),
            shop.quantize("pilot", "Q8_0", "", ignore),
        ]
        for work in works:
            with pytest.raises(QuotaExceeded):
                await work
        assert on_disk(home) == []

    with_home(tmp_path / "home", story, quota=len(SMALL) - 1)


def test_names_are_asked_before_the_work(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        shop, begun = workshop(home), Steps()
        for work in (shop.convert(WEIGHTS, "pilot", "F16", begun), shop.quantize("pilot", "Q8_0", "pilot", begun)):
            with pytest.raises(ModelExists):
                await work
        assert begun == [], "no byte was read"
        with pytest.raises(UnknownModel):
            await shop.quantize("nobody", "Q8_0", "", ignore)
        with pytest.raises(InvalidRequest, match="already"):
            await shop.quantize("pilot", "Q4_0", "", ignore)
        with pytest.raises(InvalidRequest):
            await shop.convert(WEIGHTS, "x", "F12", ignore)
        with pytest.raises(UnknownModel):
            await shop.export("nobody", tmp_path / "out", ignore)
        assert on_disk(home) == []

    with_home(tmp_path / "home", story)


def test_a_damaged_model_is_not_carried_away(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.add("x")
        path = home.library.get("x").path
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        for target in ("out", "out.tar"):
            with pytest.raises(DigestMismatch):
                await workshop(home).export("x", tmp_path / target, ignore)
        assert [each.name for each in tmp_path.iterdir()] == ["home"]

    with_home(tmp_path / "home", story)


class Left(Exception):
    """The one who waited has gone."""


def test_whoever_leaves_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The progress that comes after the cancellation raises, as the server's does; before it the thread is still at work."""
    monkeypatch.setattr(bundle, "PIECE", 100)
    tar_of(tmp_path / "x.tar", SOUND, (MEMBER.sha256, SMALL))

    async def story(home: Home) -> None:
        began, left = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            if left.is_set():
                raise Left
            loop.call_soon_threadsafe(began.set)
            left.wait(20)

        for work in (
            lambda: workshop(home).bring(tmp_path / "x.tar", "", progress),
            lambda: workshop(home).export("pilot", tmp_path / "out", progress),
        ):
            task = asyncio.ensure_future(work())
            await asyncio.wait_for(began.wait(), 30)
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done(), "it waits for its thread"
            left.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert on_disk(home) == [] and not any("out" in each.name for each in tmp_path.iterdir())
            began.clear()
            left.clear()

    with_home(tmp_path / "home", story)


def test_a_conversion_that_is_left_ends_and_frees_the_bench(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        began, shop = asyncio.Event(), workshop(home)
        task = asyncio.ensure_future(shop.convert(WEIGHTS, "x", "F16", lambda *_: began.set()))
        await asyncio.wait_for(began.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert on_disk(home) == [] and len(home.library.all()) == 1
        await asyncio.wait_for(shop.convert(WEIGHTS, "x", "F16", ignore), 120)

    with_home(tmp_path / "home", story)


# -- pure


def test_stages_make_one_whole() -> None:
    steps = Steps()
    first, second = stages(steps, 100, 300)
    for done in (0, 5, 10):
        first(done, 10)
    second(0, 600)
    second(600, 600)
    assert steps == [(0, 400), (50, 400), (100, 400), (100, 400), (400, 400)]
    stages(steps, 0)[0](0, 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Qwen3 4B.Q8", "Qwen3-4B.Q8"), ("..a..b..", "a.b"), ("x" * 200, "x" * 128), ("é/../x", "x"), ("a:b", "a:b")],
)
def test_a_name_is_made_of_what_there_is(text: str, name: str) -> None:
    assert name_from(text) == name


@pytest.mark.parametrize("text", ["", "..", "///"])
def test_no_name_is_made_of_nothing(text: str) -> None:
    with pytest.raises(InvalidRequest):
        name_from(text)


def test_the_bundle_of_this_test_is_sound(tmp_path: Path) -> None:
    assert Bundle(tar_of(tmp_path / "x.tar", SOUND, (MEMBER.sha256, SMALL))).manifest == SOUND
