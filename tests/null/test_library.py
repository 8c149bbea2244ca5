"""The library on a real store and real blobs.

Promises: files are counted, shared, held and removed as `library.py` says; a home of before this version opens; roles fall back.
Does not cover: how files come (`tests/process/test_pulls.py`), what is in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from homefire.errors import (
    BuiltInModel,
    DiskFull,
    HomefireError,
    InvalidRequest,
    ModelExists,
    ModelPinned,
    UnknownModel,
)
from homefire.models.gguf import read_header
from homefire.models.installed import Facts, ModelFile, facts_of, kind_of
from homefire.models.library import PILOT_FILE, Library, Roles
from homefire.paths import Digest, ModelName, Paths
from homefire.store.migrations import MIGRATIONS
from tests.null.gguf_file import DATA, KEYS, TENSORS, gguf, small, string_key, u32_key
from tests.null.library_home import Home, with_home


def variant(seed: int) -> bytes:
    """A sound file of its own."""
    return gguf(KEYS, TENSORS, DATA[:-1] + bytes([seed]))


def blob(home: Home, raw: bytes, name: str = "x.gguf", role: str = "model") -> ModelFile:
    """A blob with these bytes."""
    part = home.paths.blobs / "part-test"
    part.write_bytes(raw)
    return home.library.blob_file(role, name, home.blobs.adopt(part), len(raw))  # type: ignore[arg-type]


def blobs(home: Home) -> set[str]:
    """The digests that are on the disk."""
    return {path.name for path in home.paths.blobs.rglob("*") if path.is_file()}


def enter(home: Home, name: str, *files: ModelFile, **given: object) -> asyncio.Future[object]:
    """Adds a model."""
    return asyncio.ensure_future(home.library.add(ModelName(name), files, source="pulled", **given))  # type: ignore[arg-type]


def test_a_model_stays_as_it_was_added(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        files = [blob(home, variant(1)), blob(home, variant(2), "eyes.gguf", "mmproj")]
        made = await enter(home, "a", *files, origin="hf:x/y", provenance={"files": [{"sha256": "1"}]})
        pinned = await home.library.pin("a", True)
        again = Library(home.store, home.paths, home.blobs)
        await again.open()
        assert again.get("a") == home.library.get("a") == pinned and pinned.pinned
        assert replace(pinned, pinned=False) == made
        assert [m.name for m in again.all()] == ["pilot", "a"]
        found = again.get("a")
        assert found.path == files[0].path and found.file("mmproj") == files[1] and found.file("tokenizer") is None
        assert (found.origin, found.provenance) == ("hf:x/y", {"files": [{"sha256": "1"}]})
        assert found.size_bytes == sum(f.size_bytes for f in files) and found.added_at > 0

    with_home(tmp_path, story)


def test_a_home_of_the_version_before(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.prepare()
    digest = Digest(hashlib.sha256(small()).hexdigest())
    paths.blob(digest).parent.mkdir(parents=True)
    paths.blob(digest).write_bytes(small())
    old = apsw.Connection(str(paths.database))
    for script in MIGRATIONS[:4]:
        old.execute(script)
    old.execute("PRAGMA user_version=4; PRAGMA application_id=0x484D4652")
    facts = {"architecture": "bert", "parameters": 9, "quantization": "Q8_0", "context_length": 512, "description": ""}
    old.execute("INSERT INTO models VALUES ('old', ?, ?, ?, 5.0)", (digest, len(small()), json.dumps(facts)))
    old.close()

    async def story(home: Home) -> None:
        model = home.library.get("old")
        assert (model.source, model.origin, model.pinned, model.external) == ("imported", "", False, False)
        assert model.facts.kind == "embedding" and model.path.read_bytes() == small()
        assert [(f.role, f.digest, f.size_bytes) for f in model.files] == [("model", digest, len(small()))]
        assert home.library.used_bytes() == len(small())
        await home.library.remove("old")
        assert blobs(home) == set()

    with_home(tmp_path, story)


def test_blobs_are_shared_and_go_with_the_last_that_needs_them(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        shared, own = blob(home, variant(1)), blob(home, variant(2), "eyes.gguf", "mmproj")
        await enter(home, "one", shared)
        await enter(home, "two", shared, own)
        assert home.library.used_bytes() == 2 * len(small())
        chunks = shared.path.with_name(shared.path.name + ".chunks")
        chunks.write_text("as it came")
        await home.library.remove("two")
        assert blobs(home) == {shared.digest, chunks.name}
        with home.library.holding([shared.digest]):  # type: ignore[list-item]
            await home.library.remove("one")
            assert blobs(home) == {shared.digest, chunks.name}
        assert blobs(home) == set() and home.library.used_bytes() == 0

    with_home(tmp_path, story)


def test_a_name_is_taken_once_and_the_same_files_twice_are_one_model(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        first, second = blob(home, variant(1)), blob(home, variant(2))
        one, two = await asyncio.gather(enter(home, "a", first), enter(home, "a", first))
        assert one == two and len(home.library.all()) == 2
        with pytest.raises(ModelExists):
            await enter(home, "a", second)
        assert blobs(home) == {first.digest, second.digest}, "what the caller brought is the caller's"
        with pytest.raises(ModelExists):
            await enter(home, "pilot", second)
        bad = blob(home, b"no model")
        with home.library.holding([bad.digest]), pytest.raises(HomefireError):  # type: ignore[list-item]
            await enter(home, "b", bad)
        assert bad.digest not in blobs(home)
        with pytest.raises(UnknownModel):
            home.library.get("b")

    with_home(tmp_path, story)


def test_a_pinned_model_stays(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.add("kept")
        await home.library.pin("kept", True)
        with pytest.raises(ModelPinned) as caught:
            await home.library.remove("kept")
        assert "unpin kept" in caught.value.next_step
        await home.library.pin("kept", False)
        await home.library.remove("kept")
        with pytest.raises(BuiltInModel):
            await home.library.pin("pilot", True)

    with_home(tmp_path, story)


def test_verify_reads_every_byte_and_can_be_stopped(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        files = [blob(home, variant(1), "m.gguf"), blob(home, variant(2), "eyes.gguf", "mmproj")]
        await enter(home, "a", *files)
        seen: list[tuple[int, int]] = []
        found = await home.library.verify("a", lambda done, total: seen.append((done, total)))
        assert (found.ok, found.bad, found.bytes) == (True, (), 2 * len(small()))
        assert seen[-1] == (2 * len(small()), 2 * len(small()))
        files[1].path.write_bytes(variant(3))
        assert (await home.library.verify("a", lambda done, total: None)).bad == ("eyes.gguf",)
        files[0].path.unlink()
        found = await home.library.verify("a", lambda done, total: None)
        assert not found.ok and found.bad == ("m.gguf", "eyes.gguf")
        assert (await home.library.verify("pilot", lambda done, total: None)).bytes == PILOT_FILE.stat().st_size

        def stop(done: int, total: int) -> None:
            raise ConnectionError("the client has gone")

        with pytest.raises(ConnectionError):
            await home.library.verify("pilot", stop)

    with_home(tmp_path, story)


def test_the_quota_counts_what_is_here_and_on_its_way(tmp_path: Path) -> None:
    size = len(small())

    async def story(home: Home) -> None:
        await enter(home, "a", blob(home, variant(1)))
        assert (home.library.disk().used_bytes, home.library.disk().models) == (size, 1)
        home.library.require_quota(size, size)
        for more, reserved in ((size + 1, size), (size, size + 1)):
            with pytest.raises(HomefireError) as caught:
                home.library.require_quota(more, reserved)
            assert caught.value.code == "quota_exceeded"

    with_home(tmp_path, story, quota=3 * size)


def test_roles(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        roles = Roles(home.store, home.library)
        await roles.open()
        assert roles.roles() == {"main": "pilot", "rlm": "pilot", "memory": "pilot", "embed": "", "vision": ""}
        await home.add("other")
        embedder = gguf((string_key("general.architecture", "bert"), u32_key("bert.pooling_type", 1)), TENSORS, DATA)
        await enter(home, "minilm", blob(home, embedder))
        await roles.set_roles({"main": "other", "embed": "minilm"})
        for role, model in (("main", "minilm"), ("embed", "other"), ("chief", "other")):
            with pytest.raises(InvalidRequest):
                await roles.set_roles({"rlm": "other", role: model})  # nor is the sound half of it done
        with pytest.raises(UnknownModel):
            await roles.set_roles({"rlm": "nobody"})
        again = Roles(home.store, home.library)
        await again.open()
        with pytest.raises(InvalidRequest, match="no vision part"):
            await roles.set_roles({"vision": "other"})
        await enter(home, "eyes", blob(home, variant(1)), blob(home, variant(2), "eyes.gguf", "mmproj"))
        await roles.set_roles({"vision": "eyes"})
        set_so = {"main": "other", "rlm": "other", "memory": "other", "embed": "minilm", "vision": "eyes"}
        assert again.roles() == {**set_so, "vision": ""} and roles.roles() == set_so
        await home.library.remove("minilm")
        await roles.set_roles({"main": ""})
        assert roles.roles() == {"main": "pilot", "rlm": "pilot", "memory": "pilot", "embed": "", "vision": "eyes"}

    with_home(tmp_path, story)


@pytest.mark.parametrize(
    ("architecture", "keys", "kind"),
    [
        ("llama", {}, "chat"), ("bert", {}, "embedding"), ("nomic-bert", {"nomic-bert.pooling_type": 0}, "embedding"),
        ("qwen3", {"qwen3.pooling_type": 3}, "embedding"), ("bert", {"bert.pooling_type": 4}, "rerank"),
        ("qwen3", {"bert.pooling_type": 3}, "chat"), ("qwen3", {"qwen3.pooling_type": 0}, "chat"),
    ],
)  # fmt: skip
def test_what_a_model_is_for(architecture: str, keys: dict[str, int], kind: str) -> None:
    assert kind_of(architecture, keys) == kind


def test_facts_of_a_split_model_are_those_of_all_its_parts() -> None:
    pilot = read_header(PILOT_FILE)
    assert facts_of([pilot, pilot]).parameters == 2 * pilot.parameters
    assert isinstance(facts_of([pilot]), Facts)


def test_a_split_model_that_cannot_be_stored_leaves_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise DiskFull("The disk is full.")

    async def story(home: Home) -> None:
        files = [blob(home, variant(n), f"m-0000{n}-of-00002.gguf") for n in (1, 2)]
        monkeypatch.setattr(home.store, "write", full)
        with home.library.holding([f.digest for f in files if f.digest]), pytest.raises(DiskFull):
            await enter(home, "a", *files)
        assert blobs(home) == set() and list((tmp_path / "cache" / "splits").iterdir()) == []

    with_home(tmp_path, story)


def test_two_models_of_one_first_part_do_not_share_a_folder(tmp_path: Path) -> None:
    names = [f"m-0000{n}-of-00002.gguf" for n in (1, 2)]

    async def story(home: Home) -> None:
        for model, second in (("a", 2), ("b", 3)):
            await enter(
                home, model, blob(home, variant(1), f"Q8/{names[0]}"), blob(home, variant(second), f"Q8/{names[1]}")
            )
        a, b = home.library.get("a").path, home.library.get("b").path
        assert a.name == b.name == names[0] and (b.parent / names[1]).read_bytes() == variant(3)
        await home.library.remove("a")
        assert not a.parent.exists() and (b.parent / names[1]).read_bytes() == variant(3)

    with_home(tmp_path, story)
