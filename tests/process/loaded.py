"""A GGUF file in the real engine: a child process with one thread and no accelerator, spoken to over HTTP.

Promises: an engine that aborts takes only the child with it; the child ends when its standard input closes.
Does not cover: the daemon's own engine room.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def serve(model: str, embedding: bool) -> None:
    """The child."""
    from xllamacpp import CommonParams, Server

    params: Any = CommonParams()
    params.model.path = model
    params.embedding = embedding
    params.n_ctx = params.n_batch = params.n_ubatch = 512 if embedding else 128
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    params.fit_params = params.warmup = False
    params.port = params.verbosity = 0
    params.hostnames = ["127.0.0.1"]
    server = Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


class Loaded:
    """A model that answers."""

    def __init__(self, address: str) -> None:
        self.address = address

    def post(self, route: str, body: dict[str, Any]) -> Any:
        """One request."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request("POST", route, json.dumps(body), {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def tokens(self, text: str, special: bool = False) -> list[int]:
        """The ids of a text, with the tokens that the tokenizer puts around it if `special`."""
        body = {"content": text, "add_special": special, "parse_special": True}
        found: list[int] = self.post("/tokenize", body)["tokens"]
        return found

    def next(self, ids: Sequence[int], count: int = 272) -> dict[int, float]:
        """Natural logarithms of the probabilities of the next token, for the `count` likeliest."""
        body = {"prompt": list(ids), "n_predict": 1, "temperature": 0, "n_probs": count, "cache_prompt": False}
        answer = self.post("/completion", body)["completion_probabilities"][0]["top_logprobs"]
        return {each["id"]: each["logprob"] for each in answer}

    def vector(self, text: str) -> list[float]:
        """The embedding of a text."""
        found: list[float] = self.post("/v1/embeddings", {"input": text})["data"][0]["embedding"]
        return found


@contextmanager
def loaded(model: Path, embedding: bool = False) -> Iterator[Loaded]:
    """The model in a child while the block runs."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.process.loaded", str(model), "1" if embedding else "0"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert child.stdin and child.stdout
    try:
        address = child.stdout.readline().strip()
        assert address.startswith("http"), f"the engine did not load {model} (exit {child.wait()})"
        yield Loaded(address.removeprefix("http://").rstrip("/"))
    finally:
        child.stdin.close()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2] == "1")
