"""`bench verify`: how fast a file's header is judged, and how fast an installed model is read again and hashed.

The good header has 300,000 tokens and as many merges, as the largest vocabularies of today. The bad ones are refused where they
are bad; one that is bad only behind such a vocabulary must be read that far, and is given apart. An installed model is verified
by the library, as `homefire models verify` does; beside it sha256sum reads the same file.
Promises: medians of at least five, verify and sha256sum interleaved in one run; every bad header is refused.
Does not cover: a cold page cache (the disk decides then).
"""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.report import Report
from homefire.errors import BadModelFile, HomefireError
from homefire.models import gguf_writer
from homefire.models.gguf import read_header
from homefire.models.gguf_writer import Tensor, text, texts, u32
from homefire.models.library import Library
from homefire.models.safetensors import read_safetensors
from homefire.models.workshop import Workshop
from homefire.paths import Paths
from homefire.store import Blobs, Store

GOALS: dict[str, tuple[str, float]] = {"good_header_ms": ("<=", 500), "bad_header_ms": ("<=", 50)}
ROUNDS = 7
TOKENS = 300_000
SIZE = 512 << 20
ROW = 4096


def keys(tokens: int) -> dict[str, bytes]:
    """The metadata of a model with a vocabulary of this size."""
    found = {"general.architecture": text("llama"), "llama.block_count": u32(1)}
    if tokens:
        found["tokenizer.ggml.tokens"] = texts([f"token{number}" for number in range(tokens)])
        found["tokenizer.ggml.merges"] = texts([f"tok{number} en{number}" for number in range(tokens)])
    return found


def files(folder: Path) -> tuple[Path, dict[str, Path], Path]:
    """A sound file with a large vocabulary, bad ones by what is wrong with them, and one that is bad behind such a vocabulary."""
    tensors = [Tensor("token_embd.weight", (32, 1), "F16")]
    good, small = folder / "good.gguf", folder / "small.gguf"
    gguf_writer.write(good, keys(TOKENS), tensors, lambda tensor: [bytes(tensor.size)])
    gguf_writer.write(small, keys(0), tensors, lambda tensor: [bytes(tensor.size)])
    sound, whole = small.read_bytes(), good.read_bytes()
    many = struct.pack("<Q", 1 << 40)
    lie = json_lie()
    raw = {
        "magic.gguf": b"GGUX" + sound[4:],
        "version.gguf": sound[:4] + b"\xff" * 4 + sound[8:],
        "tensors.gguf": sound[:8] + many + sound[16:],
        "keys.gguf": sound[:16] + many + sound[24:],
        "name.gguf": sound[:24] + many + sound[32:],
        "cut.gguf": sound[: len(sound) - 70],
        "empty.gguf": b"",
        # An array that claims four million strings of which the file holds none, and one that claims sixteen MiB of zeros.
        "array.gguf": b"GGUF"
        + struct.pack("<IQQ", 3, 1, 1)
        + struct.pack("<Q", 1)
        + b"a"
        + struct.pack("<IIQ", 9, 8, 1 << 22),
        "zeros.gguf": b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + bytes(16 << 20),
        "length.safetensors": struct.pack("<Q", 1 << 60) + b"{}" * 50,
        "json.safetensors": struct.pack("<Q", 1 << 20) + b"[" * (1 << 20),
        "offsets.safetensors": struct.pack("<Q", len(lie)) + lie,
    }
    for name, data in raw.items():
        (folder / name).write_bytes(data)
    late = folder / "late.gguf"
    late.write_bytes(whole[: len(whole) - 70])
    return good, {name: folder / name for name in raw}, late


def json_lie() -> bytes:
    """A safetensors header whose one tensor lies behind the end of the file."""
    return b'{"a": {"dtype": "F32", "shape": [1024, 1024], "data_offsets": [0, 4194304]}}'


def took(work: Callable[[], object]) -> float:
    """Milliseconds, the median of the rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def refused(path: Path) -> None:
    """Reads a bad header. Raises AssertionError if it is taken."""
    try:
        read_safetensors(path) if path.suffix == ".safetensors" else read_header(path)
    except BadModelFile:
        return
    except HomefireError as problem:
        raise AssertionError(f"{path.name} is refused as {problem.code}") from problem
    raise AssertionError(f"{path.name} was taken")


def summed(path: Path) -> None:
    """Lets sha256sum read a file."""
    subprocess.run(["sha256sum", str(path)], check=True, stdout=subprocess.DEVNULL)


async def again(folder: Path) -> tuple[float, float]:
    """MB a second of `Library.verify` over a model of half a GiB, and its ratio to sha256sum."""
    paths = Paths(folder / "home")
    paths.prepare()
    store = Store(paths.database)
    store.open()
    try:
        blobs = Blobs(paths)
        library = Library(store, paths, blobs)
        await library.open()
        source = folder / "large.gguf"
        tensors = [Tensor("token_embd.weight", (ROW, SIZE // 2 // ROW), "F16")]
        gguf_writer.write(
            source, keys(0), tensors, lambda tensor: (os.urandom(1 << 20) for _ in range(tensor.size >> 20))
        )
        model = await Workshop(library, paths, blobs).bring(source, "large", lambda done, total: None)
        source.unlink()
        rates, ratios = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = await library.verify(model.name, lambda done, total: None)
            middle = time.perf_counter()
            assert found.ok and found.bytes == model.size_bytes
            summed(model.path)
            ended = time.perf_counter()
            rates.append(model.size_bytes / 1e6 / (middle - began))
            ratios.append((ended - middle) / (middle - began))
    finally:
        store.close()
    return statistics.median(rates), statistics.median(ratios)


async def measure() -> Report:
    """Runs it."""
    report = Report("verify", GOALS)
    with tempfile.TemporaryDirectory() as place:
        good, bad, late = files(Path(place))
        report.figures["good_header_ms"] = took(lambda: read_header(good))
        slowest = {name: took(lambda path=path: refused(path)) for name, path in bad.items()}  # type: ignore[misc]
        for name, figure in slowest.items():
            print(f"  refused in {figure:8.3f} ms: {name}")
        report.figures["bad_header_ms"] = max(slowest.values())
        report.figures["bad_behind_vocabulary_ms"] = took(lambda: refused(late))
    if shutil.which("sha256sum") is None:
        print("  sha256sum is not here: nothing to compare with")
        return report
    with tempfile.TemporaryDirectory() as place:
        rate, ratio = await again(Path(place))
    report.figures |= {"verify_mb_per_s": rate, "verify_to_sha256sum_ratio": ratio}
    return report
