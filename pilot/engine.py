"""llama.cpp in a child process of its own, spoken to over HTTP.

Promises: the engine, which aborts on a file it does not like, takes only the child with it; one
thread, one slot, no accelerator; the child ends when its standard input closes, so a killed
parent leaves nothing behind. Does not cover serving: the package `homefire` has its own engine room.
"""

import http.client
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

CONTEXT = 2048


def serve(model: str) -> None:
    """The child: load, print the address, wait for the end of standard input."""
    from xllamacpp import CommonParams, Server

    params: Any = CommonParams()
    params.model.path = model
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    params.fit_params = False
    params.warmup = False
    params.verbosity = 0
    params.port = 0
    params.hostnames = ["127.0.0.1"]
    server = Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


class Engine:
    """A context manager around the child; `chat` and `post` speak to it."""

    def __init__(self, model: Path) -> None:
        self.model = model

    def __enter__(self) -> "Engine":
        self.child = subprocess.Popen(
            [sys.executable, "-m", "pilot.engine", str(self.model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.child.stdout
        address = self.child.stdout.readline().strip()
        if not address.startswith("http"):
            raise SystemExit(f"the engine did not load {self.model} (exit {self.child.wait()})")
        self.address = address.removeprefix("http://").rstrip("/")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.child.stdin
        self.child.stdin.close()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """One request; the answer as it is, errors included."""
        connection = http.client.HTTPConnection(self.address, timeout=120)
        try:
            connection.request("POST", route, json.dumps(body), {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer

    def chat(self, messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """The first choice of a chat completion, greedy unless `more` says otherwise."""
        body = {"messages": messages, "temperature": 0, "max_tokens": 220, **more}
        answer = self.post("/v1/chat/completions", body)
        if "choices" not in answer:
            return {"finish_reason": "error", "message": {"content": str(answer)}}
        choice: dict[str, Any] = answer["choices"][0]
        return choice


if __name__ == "__main__":
    serve(sys.argv[1])
