"""Random and mutated input for every parser that outside bytes reach. `python tasks.py fuzz` runs it for minutes.

Promises: whatever the bytes are, only the error tree leaves, and soon. Each test prints its seed; HOMEFIRE_SEED repeats a run,
HOMEFIRE_PROOF=full makes it a hundred times longer; a model's files (GGUF, safetensors, bundles, journals) then meet 10,000
spoiled forms each at least, and a tenth of that in every run.
Does not cover: native parsers (llama.cpp, httptools, SQLite), whose input these parsers let through.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from homefire.dialects import anthropic, llamacpp, ollama, openai, rerank, responses
from homefire.dialects.openai import ChatStream
from homefire.errors import BadModelFile, HomefireError
from homefire.messages import (
    ChatRequest,
    CompletionRequest,
    Event,
    Finish,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)
from homefire.models import bundle
from homefire.models.bundle import Bundle, Manifest, Member
from homefire.models.fetch_plan import head_line, read_journal, synced_line, written_line
from homefire.models.gguf import Header, read_header
from homefire.models.gguf_source import GgufSource
from homefire.models.installed import Facts
from homefire.models.safetensors import SafetensorsHeader, read_safetensors
from homefire.paths import Digest, ModelName
from homefire.server.authority import Authority
from homefire.server.door import Door
from homefire.server.scopes import Principal
from tests.null.gguf_file import small
from tests.null.rig import HOST

FULL = os.environ.get("HOMEFIRE_PROOF") == "full"
TIMES = 100 if FULL else 1
MODELS = 10 if FULL else 1  # thousands of spoiled files of each kind
SOON = 2.0  # a limit against what hangs; `bench verify` measures


@pytest.fixture
def dice() -> random.Random:
    """Random numbers whose seed is shown when a test fails."""
    seed = int(os.environ.get("HOMEFIRE_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
    print(f"HOMEFIRE_SEED={seed}")
    return random.Random(seed)


def soon(work: Callable[[], Any]) -> Any:
    """The result; fails if it takes long three times in a row (once may be the machine)."""
    for _ in range(3):
        began = time.perf_counter()
        result = work()
        if time.perf_counter() - began < SOON:
            return result
    raise AssertionError(f"took {time.perf_counter() - began:.3f} s")


NUMBERS = [0, 1, 2, 3, 4, 7, 8, 9, 12, 13, 31, 32, 64, 255, 256, 65_535, 65_536, 1 << 20, 1 << 22, (1 << 31) - 1, 1 << 31,
           (1 << 32) - 1, 1 << 48, (1 << 63) - 1, 1 << 63, (1 << 64) - 32, (1 << 64) - 1]  # fmt: skip


def mutated(data: bytes, dice: random.Random) -> bytes:
    """`data` after a few random changes: bytes, numbers, pieces lost, doubled or moved."""
    found = bytearray(data)
    for _ in range(dice.choice([1, 1, 1, 2, 3, 8])):
        at = dice.randrange(len(found) + 1)
        match dice.randrange(7):
            case 0 if at < len(found):
                found[at] = dice.randrange(256)
            case 1:
                found[at : at + 8] = struct.pack("<Q", dice.choice(NUMBERS))
            case 2:
                found[at : at + 4] = struct.pack("<I", dice.choice(NUMBERS) & 0xFFFFFFFF)
            case 3:
                del found[at : at + dice.choice([1, 4, 8, 100])]
            case 4:
                found[at:at] = found[at : at + dice.choice([1, 8, 60])]
            case 5:
                found[at:at] = dice.randbytes(dice.choice([1, 4, 30]))
            case _:
                del found[at:]
    return bytes(found)


def header_or_refusal(file: Path) -> Header | BadModelFile:
    try:
        return read_header(file)
    except BadModelFile as problem:
        return problem


def test_headers(tmp_path: Path, dice: random.Random) -> None:
    whole, file = small(), tmp_path / "x.gguf"
    sound = 0
    for _ in range(1500 * TIMES):
        file.write_bytes(mutated(whole, dice) if dice.random() < 0.95 else b"GGUF\x03\0\0\0" + dice.randbytes(300))
        found = soon(lambda: header_or_refusal(file))
        if isinstance(found, Header):
            sound += 1
            assert found.tensors > 0 and found.parameters > 0 and found.architecture
    assert sound > 0, "some mutations are harmless: the others say something"


def test_headers_that_are_read_to_be_written_again(tmp_path: Path, dice: random.Random) -> None:
    """The second reader of a GGUF takes what the first lets through, with every tensor inside the file."""
    whole, file = small(), tmp_path / "x.gguf"
    sound = 0
    for _ in range(1000 * MODELS):
        file.write_bytes(data := mutated(whole, dice))
        try:
            with GgufSource(file) as source:
                sound += 1
                for placed in source.tensors:
                    assert placed.offset + placed.tensor.size <= len(data)
        except HomefireError as problem:
            assert problem.code in ("bad_model_file", "invalid_request")
    assert sound > 0


def safetensors(dice: random.Random) -> bytes:
    """A sound file of three tensors, or nearly one: a number, a name or a type in its header is another."""
    rows: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, kind, shape in (("a.weight", "F16", [4, 8]), ("a.bias", "F32", [4]), ("b", "U8", [3, 1, 2])):
        size = {"F16": 2, "F32": 4, "U8": 1}[kind]
        for length in shape:
            size *= length
        rows[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    if dice.random() < 0.5:
        row = rows[dice.choice(list(rows))]
        row[dice.choice([*row, "more"])] = dice.choice(
            [*LEAVES, "BF16", "F64", [4, 8], [0, at], [at, 0], [0, 64], [-1, 64], [1 << 62, 4], [True, 8]]
        )
    head = json.dumps(rows).encode()
    return struct.pack("<Q", len(head)) + head + bytes(at)


def test_safetensors_headers(tmp_path: Path, dice: random.Random) -> None:
    file = tmp_path / "x.safetensors"

    def read() -> SafetensorsHeader | None:
        try:
            return read_safetensors(file)
        except HomefireError as problem:
            assert problem.code in ("bad_model_file", "pickle_refused")
            return None

    sound = 0
    for _ in range(1000 * MODELS):
        data = safetensors(dice)
        file.write_bytes(data := mutated(data, dice) if dice.random() < 0.8 else data)
        if found := soon(read):
            sound += 1
            # No two tensors share a byte, none lies beyond the end, and nothing is hidden between them.
            spans = [(span.begin, span.end) for span in found.tensors]
            assert [found.data_at, *(end for _, end in spans)] == [*(begin for begin, _ in spans), len(data)]
    assert sound > 0


CONTENT = small()
DIGEST = Digest(hashlib.sha256(CONTENT).hexdigest())
MANIFEST = Manifest(ModelName("m"), "pulled", "hf:a/b", {"licence": "MIT"}, Facts("llama", 9, "Q8_0", 512, "", "chat"),
                    (Member("model", "m.gguf", DIGEST, len(CONTENT)),))  # fmt: skip
MANIFEST_ROW: dict[str, Any] = json.loads(MANIFEST.encode())["files"][0]
HOSTILE = ["../m", "/m", "a/../../m", "C:\\m", "m\0", "CON", "", ".", "x" * 300, "manifest.json", "M.GGUF", "\u202e"]


def manifest(dice: random.Random) -> bytes:
    """A manifest with one part replaced, or with its bytes mutated."""
    body: dict[str, Any] = json.loads(MANIFEST.encode())
    roll = dice.random()
    if roll < 0.4:
        return mutated(MANIFEST.encode(), dice)
    place = dice.choice([body, body["files"][0], body["facts"]])
    place[dice.choice(list(place))] = deepcopy(dice.choice([*LEAVES, *HOSTILE, {"a": "b"}, ["x"], 1 << 60]))
    if roll < 0.6 and isinstance(body.get("files"), list):
        body["files"].append(deepcopy(dice.choice([MANIFEST_ROW, *LEAVES])))
    return json.dumps(body).encode("utf-8", "surrogatepass")


def test_manifests(dice: random.Random) -> None:
    taken = 0
    for _ in range(1000 * MODELS):
        raw = manifest(dice) if dice.random() < 0.95 else MANIFEST.encode()
        try:
            found = soon(partial(bundle.decode, raw))
        except HomefireError as problem:
            assert problem.code == "bad_model_file"
            continue
        taken += 1
        for member in found.files:
            assert not {"..", "", "."} & set(member.name.replace("\\", "/").split("/")), member.name
        assert bundle.decode(found.encode()) == found, "what was taken can be written and taken again"
    assert taken > 0


def test_bundles(tmp_path: Path, dice: random.Random) -> None:
    """A tar with random bytes changed: refused, or it gives the one file with the right digest into the one place."""
    head = MANIFEST.encode()
    tar = b"".join(
        bundle.tar_header(name, len(data)) + data + bytes(-len(data) % 512)
        for name, data in (("manifest.json", head), (DIGEST, CONTENT))
    ) + bytes(1024)
    file, out = tmp_path / "x.tar", tmp_path / "out"
    taken = 0
    for _ in range(1000 * MODELS):
        file.write_bytes(mutated(tar, dice))
        try:
            opened = Bundle(file)
            for digest in opened.manifest.sizes:
                opened.copy(digest, out, lambda _: None)
                taken += 1
                assert hashlib.sha256(out.read_bytes()).hexdigest() == digest
                out.unlink()
        except HomefireError as problem:
            assert problem.code in ("bad_model_file", "digest_mismatch"), problem.code
        out.unlink(missing_ok=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar"]
    assert taken > 0


def test_journals_of_downloads(dice: random.Random) -> None:
    """Whatever became of a journal, only chunks that it names with a sound checksum count, with the checksum they had."""
    digests = {i: dice.getrandbits(32) for i in range(20)}
    whole = head_line(20 << 20, 1 << 20, '"e"', "x") + b"".join(written_line(i, d) for i, d in digests.items())
    whole += synced_line(range(10))
    kept = 0
    for _ in range(1000 * MODELS):
        found = soon(partial(read_journal, mutated(whole, dice) if dice.random() < 0.95 else dice.randbytes(200)))
        kept += len(found.chunks)
        assert all(digests.get(i) == digest for i, (digest, _) in found.chunks.items())
        assert found.head or not found.chunks
    assert kept > 0


FIELDS = [*openai.ChatBody.__struct_fields__, *openai.CompletionBody.__struct_fields__,
          *openai.EmbeddingBody.__struct_fields__, *openai.ChatMessage.__struct_fields__, "function", "arguments", "name",
          "parameters", "type", "id", "text", "json_schema", "schema", "strict", "include_usage", "colour"]  # fmt: skip
LEAVES: list[Any] = [None, True, False, 0, 1, -1, 2, 0.5, 2**63, -(2**63), 10**30, 1e308, "", "x", "user", "assistant", "tool",
                     "auto", "required", "json_schema", "function", "ü\0\u2028", "9" * 50, [], {}]  # fmt: skip


def value(dice: random.Random, depth: int) -> Any:
    """Random JSON out of the words that these forms know."""
    if depth == 0 or dice.random() < 0.4:
        return dice.choice(LEAVES)
    if dice.random() < 0.4:
        return [value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {dice.choice(FIELDS): value(dice, depth - 1) for _ in range(dice.randrange(5))}


SEEDS: list[dict[str, Any]] = [
    {
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "stop": ["a"],
        "logit_bias": {"1": 2},
        "seed": 1,
    },
    {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "x"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "5"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    {"prompt": ["x"], "echo": True, "logprobs": 1, "max_tokens": 5, "model": "m"},
    {"input": ["a", "b"], "encoding_format": "float", "model": "m"},
    {
        "model": "m",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "x"}],
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "5"}]}],
            },
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "f"},
    },
    {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "5"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    },
    {
        "model": "m",
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
            {"role": "tool", "content": "5", "tool_name": "f"},
        ],
        "options": {"num_predict": 5, "stop": ["a"], "seed": 1},
        "keep_alive": "5m",
    },
    {"model": "m", "prompt": "x", "system": "y", "keep_alive": -1, "format": {"type": "object"}},
    {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1},
    {"model": "m", "messages": [{"role": "user", "content": "x"}], "system": "y", "thinking": {"type": "disabled"}},
    {"model": "m", "input": ["a"], "truncate": True, "keep_alive": 5},
    {"model": "m", "verbose": True},
]


def spoiled(dice: random.Random) -> bytes:
    """A sound body with one part replaced, or with its bytes mutated."""
    body = json.loads(json.dumps(dice.choice(SEEDS)))
    if dice.random() < 0.5:
        return mutated(json.dumps(body, ensure_ascii=False).encode(), dice)
    place: Any = body
    while True:
        names = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not names:
            break
        name = dice.choice(names)
        if isinstance(place[name], dict | list) and dice.random() < 0.7:
            place = place[name]
            continue
        place[name] = value(dice, 3)
        break
    return json.dumps(body, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


READERS: dict[str, Callable[[bytes], Any]] = {
    "chat": lambda body: openai.read_chat(body, "m"),
    "completion": lambda body: openai.read_completion(body, "m"),
    "embedding": openai.read_embedding,
    "messages": lambda body: anthropic.read_messages(body, "m").chat,
    "count": lambda body: anthropic.read_count(body, "m").chat,
    "responses": lambda body: responses.read_response(body, "m").chat,
    "ollama chat": lambda body: ollama.read_chat(body).request,
    "ollama generate": lambda body: ollama.read_generate(body).request,
    "ollama embed": ollama.read_embed,
    "ollama name": ollama.read_named,
    "rerank": rerank.read_rerank,
}


@pytest.mark.parametrize("name", READERS)
def test_request_bodies(name: str, dice: random.Random) -> None:
    taken = 0
    for _ in range(4000 * TIMES):
        roll = dice.random()
        body = (
            spoiled(dice) if roll < 0.8 else json.dumps(value(dice, 4)).encode() if roll < 0.95 else dice.randbytes(40)
        )
        try:
            found = soon(partial(READERS[name], body))
        except HomefireError as problem:
            assert problem.status in (400, 422), body
            json.dumps(problem.envelope()).encode()
            continue
        taken += 1
        # What was let through must be fit to be sent on.
        if isinstance(found, ChatRequest):
            json.loads(llamacpp.render_chat(found))
        elif isinstance(found, CompletionRequest):
            json.loads(llamacpp.render_completion(found))
    assert taken > 0


def stream_of(dice: random.Random) -> tuple[bytes, list[Event]]:
    events: list[Event] = [UsageReport(Usage(1, 2, 0))]
    for _ in range(dice.randrange(1, 8)):
        text = "".join(dice.choice('aü漢\n\r "\\\u2028😀:') for _ in range(dice.randrange(1, 12)))
        events.insert(0, TextDelta(text) if dice.random() < 0.7 else ToolCallDelta(0, text, "c", "f"))
    events.insert(-1, Finish("stop"))
    stream = ChatStream(ChatRequest("m", (), include_usage=True), "id")
    return b": hello\n\n" + stream.begin() + b"".join(map(stream.event, events)) + stream.end(), events


def test_a_stream_reads_the_same_however_it_is_cut(dice: random.Random) -> None:
    for _ in range(150 * TIMES):
        data, events = stream_of(dice)
        cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice([1, 3, 50, len(data)])))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        reader = llamacpp.ChunkReader()
        assert [event for piece in pieces for event in reader.feed(piece)] == events
        assert reader.done


class Everyone(Authority):
    """Lets everybody in, so that only the guard stands in the way."""

    def __init__(self) -> None:
        pass

    def identify(self, headers: Any) -> Principal:
        return Principal("key", "test")


PARTS = [HOST, "localhost:7373", "[::1]:7373", "127.0.0.1", ":7373", "evil.example", "http://", "https://", "@", ".", "#", " ",
         "\t", "\0", ",", "%00", "/", "null", "\xff", "LOCALHOST", "0", "7373", "2130706433:7373", "127.1:7373"]  # fmt: skip


def test_the_guard_lets_nobody_in_by_another_name(dice: random.Random) -> None:
    admitted = 0
    door = Door(None, Everyone(), [f"{name}:7373" for name in ("127.0.0.1", "localhost", "[::1]")], ["/"])  # type: ignore[arg-type]
    own = {"127.0.0.1:7373", "localhost:7373", "[::1]:7373"}
    for _ in range(20_000 * TIMES):
        headers: list[tuple[str, str]] = []
        for _ in range(dice.choice([1, 1, 2, 3])):
            text = "".join(dice.choice(PARTS) for _ in range(dice.choice([1, 1, 2, 3])))
            headers.append((dice.choice(["host", "host", "origin", "sec-fetch-site", "x-forwarded-host"]), text))
        if dice.random() < 0.5:
            headers.append(("host", HOST))
        method, path = (
            dice.choice(["GET", "POST", "OPTIONS"]),
            dice.choice(["/", "/v1/models", "/assets/x", "/healthz"]),
        )
        raw = [(name.encode(), text.encode("latin-1")) for name, text in headers]
        try:
            door._admit({"type": "http", "method": method, "path": path, "headers": raw})
        except HomefireError as problem:
            assert problem.code in ("host_refused", "origin_refused")
            continue
        admitted += 1
        hosts = [text.lower() for name, text in headers if name == "host"]
        origins = [text.lower() for name, text in headers if name == "origin"]
        sites = [text for name, text in headers if name == "sec-fetch-site"]
        assert len(hosts) == 1 and hosts[0] in own, headers
        assert len(origins) <= 1 and {origin.removeprefix("http://") for origin in origins} <= own, headers
        assert all(origin.startswith("http://") for origin in origins)
        assert origins or not sites, headers
    assert admitted > 0
