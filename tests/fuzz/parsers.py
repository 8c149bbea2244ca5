"""Coverage-guided bytes for each parser that outside bytes reach: `python -m tests.fuzz.parsers TARGET SECONDS`.

A finding is any exception that the parser does not promise, an input that takes longer than `SLOWEST` seconds or more than
`MOST_MIB`; its bytes are left in `build/fuzz/`, and `python -m tests.fuzz.parsers TARGET FILE` runs them again. What was learned
stays in `build/fuzz/corpus/`, so that a nightly run goes on where the last one ended.
Promises: the parsers are the ones of the package, the seeds are sound inputs made here; without arguments it lists the targets.
Does not cover: native parsers. Seeds and mutations without coverage are `tests/null/test_fuzz.py`, in every run.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["homefire"]):
    from homefire.dialects import far_ollama, far_openai, hub, llamacpp, ollama_store, package_index
    from homefire.dialects.far import Failure, Unreadable
    from homefire.errors import HomefireError
    from homefire.messages import ChatRequest, CompletionRequest
    from homefire.models import bundle
    from homefire.models.bundle import Bundle
    from homefire.models.fetch_plan import head_line, read_journal, synced_line, written_line
    from homefire.models.gguf import read_header
    from homefire.models.gguf_source import GgufSource
    from homefire.models.safetensors import read_safetensors
    from homefire.settings import load, read_secret
    from tests.null.gguf_file import small
    from tests.null.test_fuzz import CONTENT, DIGEST, MANIFEST, READERS, SEEDS, safetensors, stream_of

ROOT = Path(__file__).parents[2]
SLOWEST = 5
MOST_MIB = 1024
LONGEST = 65_536


@dataclass(frozen=True)
class Target:
    """A parser: what it does with bytes, what it may raise, and sound inputs."""

    read: Callable[[bytes, Path], None]
    seeds: Callable[[], list[bytes]]
    allowed: tuple[type[BaseException], ...] = (HomefireError,)


def gguf(data: bytes, folder: Path) -> None:
    """The header's check, then the reader of what it lets through."""
    file = written(data, folder)
    read_header(file)
    with GgufSource(file) as source:
        for placed in source.tensors:
            assert placed.offset + placed.tensor.size <= len(data)


def tensors(data: bytes, folder: Path) -> None:
    """A safetensors header."""
    for span in read_safetensors(written(data, folder)).tensors:
        assert 0 <= span.begin <= span.end <= len(data)


def tar(data: bytes, folder: Path) -> None:
    """A model's bundle, and each file out of it."""
    opened, out = Bundle(written(data, folder)), folder / "out"
    for digest in opened.manifest.sizes:
        try:
            opened.copy(digest, out, lambda _: None)
        finally:
            out.unlink(missing_ok=True)
    assert bundle.decode(opened.manifest.encode()) == opened.manifest


def manifest(data: bytes, folder: Path) -> None:
    """A bundle's own description alone: mutations rarely get through a tar's checksums."""
    found = bundle.decode(data)
    assert bundle.decode(found.encode()) == found


def toml(data: bytes, folder: Path) -> None:
    """config.toml and secrets.toml."""
    file = written(data, folder)
    load(file, {})
    read_secret(file, "shed")


def bodies(data: bytes, folder: Path) -> None:
    """A request in each dialect; what is let through has to be fit to be sent on."""
    for read in READERS.values():
        try:
            found = read(data)
        except HomefireError as problem:
            assert problem.status in (400, 422)
            json.dumps(problem.envelope()).encode()
            continue
        if isinstance(found, ChatRequest):
            json.loads(llamacpp.render_chat(found))
        elif isinstance(found, CompletionRequest):
            json.loads(llamacpp.render_completion(found))


def streams(data: bytes, folder: Path) -> None:
    """Event streams and lines of far engines, as they come from a server that nobody vouches for."""
    for reader in (far_openai.StreamReader(), far_ollama.StreamReader()):
        try:
            for line in data.split(b"\n"):
                reader.feed(line)
        except (Failure, Unreadable):
            pass
    for body in (far_openai.said_by, far_ollama.said_by):
        body(data)
    for listing in (far_openai.read_listing, far_ollama.read_listing):
        with contextlib.suppress(Failure, Unreadable):
            listing(data)
    for vectors in (far_openai.read_embeddings, far_ollama.read_embeddings):
        with contextlib.suppress(Failure, Unreadable):
            vectors(data, 1)


def cut(data: bytes, folder: Path) -> None:
    """A stream of our own reads the same however it is cut: the first byte says where."""
    at, body = (data[0] if data else 0), data[1:]
    whole, pieces = llamacpp.ChunkReader(), llamacpp.ChunkReader()
    try:
        expected = whole.feed(body)
    except (ValueError, LookupError, TypeError, AttributeError, HomefireError):  # what our own child never says
        return
    assert pieces.feed(body[:at]) + pieces.feed(body[at:]) == expected


def _manifest_of_ollama(data: bytes) -> None:
    try:
        ollama_store.read_manifest(data)
    except ValueError as problem:  # its two refusals, to which its caller adds the name
        if not str(problem).startswith(("is not an Ollama manifest", "names a blob that is no digest")):
            raise


def journal(data: bytes, folder: Path) -> None:
    """The journal of a download."""
    read_journal(data)


def listings(data: bytes, folder: Path) -> None:
    """What hubs, package indexes and Ollama's store say."""
    text = data.decode("utf-8", "replace")
    for read in (
        lambda: hub.read_tree(data, "hub"),
        lambda: hub.next_page(text, "https://example.org/x"),
        lambda: package_index.read_json(text, "https://example.org/x"),
        lambda: package_index.read_html(text, "https://example.org/x"),
        lambda: _manifest_of_ollama(data),
    ):
        with contextlib.suppress(HomefireError):
            read()


def written(data: bytes, folder: Path) -> Path:
    """A file with these bytes."""
    file = folder / "input"
    file.write_bytes(data)
    file.chmod(0o600)
    return file


def _tar() -> bytes:
    head = MANIFEST.encode()
    rows = (("manifest.json", head), (DIGEST, CONTENT))
    return b"".join(bundle.tar_header(n, len(d)) + d + bytes(-len(d) % 512) for n, d in rows) + bytes(1024)


def _many(make: Callable[[Any], bytes]) -> list[bytes]:
    import random

    return [make(random.Random(seed)) for seed in range(12)]


TARGETS = {
    "gguf": Target(gguf, lambda: [small()]),
    "safetensors": Target(tensors, lambda: _many(safetensors)),
    "bundle": Target(tar, lambda: [_tar()]),
    "manifest": Target(manifest, lambda: [MANIFEST.encode()]),
    "settings": Target(
        toml, lambda: [b'threads = 3\nmodel = "x"\n', b'[engines]\nshed = "key"\n', b"port = 1\nhost='::1'"]
    ),
    "requests": Target(bodies, lambda: [json.dumps(body).encode() for body in SEEDS]),
    "streams": Target(
        streams,
        lambda: [
            *_many(lambda dice: stream_of(dice)[0]),
            b'{"message":{"role":"assistant","content":"hi"},"done":false}\n{"done":true,"done_reason":"stop","eval_count":1}\n',
            b'{"object":"list","data":[{"id":"m","max_model_len":9}]}',
            b'{"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1}}',
            b'{"models":[{"name":"m:latest","digest":"x"}]}',
            b'data: {"error":{"message":"no","code":500}}\n\n',
        ],
    ),
    "cut": Target(cut, lambda: _many(lambda dice: b"\x20" + stream_of(dice)[0])),
    "journal": Target(
        journal,
        lambda: [
            head_line(20 << 20, 1 << 20, '"e"', "x") + written_line(1, 7) + written_line(2, 8) + synced_line(range(2))
        ],
    ),
    "listings": Target(
        listings,
        lambda: [
            b'[{"type":"file","path":"a.gguf","size":5,"lfs":{"oid":"' + b"a" * 64 + b'","size":5}}]',
            b'{"files":[{"filename":"x-1-py3-none-any.whl","url":"x.whl","hashes":{"sha256":"' + b"b" * 64 + b'"}}]}',
            b'<a href="x-1-py3-none-any.whl#sha256=' + b"c" * 64 + b'">x</a>',
            b'<https://example.org/x?cursor=2>; rel="next"',
            b'<http://[::1]/x>; rel="next"',
            b'<!DOCTYPE html [ <!ELEMENT a> ]><![CDATA[x]]><a href="http://[::1]/x">x</a>',
            b'{"layers":[{"mediaType":"x","digest":"sha256-' + b"d" * 64 + b'","size":1e9}]}',
            b'{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:'
            + b"d" * 64
            + b'","size":5}]}',
        ],
    ),
}


def main() -> int:
    """See the module's text."""
    if len(sys.argv) != 3 or sys.argv[1] not in TARGETS:
        print(f"python -m tests.fuzz.parsers {'|'.join(TARGETS)} SECONDS|FILE")
        return 2
    name, what = sys.argv[1:]
    target = TARGETS[name]
    out = ROOT / "build" / "fuzz"
    corpus = out / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(target.seeds()):
        (corpus / f"seed-{at}").write_bytes(seed)
    folder = Path(tempfile.mkdtemp(prefix="homefire-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))  # noqa: PTH112

    def once(data: bytes) -> None:
        with contextlib.suppress(*target.allowed):
            target.read(data, folder)

    if not what.isdigit():
        once(Path(what).read_bytes())
        return 0
    flags = [f"-max_total_time={what}", f"-timeout={SLOWEST}", f"-rss_limit_mb={MOST_MIB}", f"-max_len={LONGEST}",
             f"-artifact_prefix={out}/{name}-", "-print_final_stats=1", "-verbosity=0"]  # fmt: skip
    atheris.Setup([sys.argv[0], *flags, str(corpus)], once)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
