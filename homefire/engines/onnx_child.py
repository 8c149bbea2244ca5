"""The child of an embedding model as an ONNX graph: ONNX Runtime behind the few paths of llama.cpp's server that vectors need.

Run as `python -m homefire.engines.onnx_child JSON` in the place of `llamacpp_child`, whose engine asks it in the same words.
    connection -> thread -> up to URGENT texts: computed there, at once
                         -> more: in the pool, `threads` at a time, at a lower priority of the system
So a question is answered while a folder is being embedded: it waits for the processor, not for the queue.
Promises: one text at a time, so that a text's vector does not depend on what came with it; a text that is too long is refused,
not cut; no text in the log; the socket is open to this user only.
Does not cover: making the graph (`onnx_graph.py`); systems other than Linux have no priority for a thread.
"""

from __future__ import annotations

import hmac
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

import msgspec

from homefire.dialects.llamacpp import EMBEDDING_PATH, HEALTH_PATH, PROPERTIES_PATH, TOKENIZE_PATH
from homefire.supervision import lifeline

URGENT = 4
NICE = 5
# Texts that a thread of the pool takes at once.
SHARE = 4
BODY_BYTES = 64 << 20


class TooLong(Exception):
    """A text has more tokens than the model reads: (tokens, limit)."""


class Model:
    """The graph and its tokenizer; used by any number of threads at once."""

    def __init__(self, graph: Path, context: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self._errors = runtime_errors()

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # threads share texts, not one text's products
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        facts = self._session.get_modelmeta().custom_metadata_map
        self._tokenizer = Tokenizer.from_str(facts["tokenizer"])
        self.context = min(int(facts["context"]), context)
        self.vector([self._session.get_inputs()[0].shape[0]])  # fails here rather than at the first request

    def tokens(self, text: str) -> list[int]:
        """With the tokens around it."""
        found: list[int] = self._tokenizer.encode(text).ids
        return found

    def read(self, given: str | list[int]) -> list[int]:
        """The tokens of an input. Raises TooLong."""
        found = self.tokens(given) if isinstance(given, str) else given
        if len(found) > self.context:
            raise TooLong(len(found), self.context)
        return found

    def vector(self, tokens: list[int]) -> bytes:
        """Float32, little endian, of length one. Raises ValueError for a number that is no token."""
        import numpy

        try:
            (rows,) = self._session.run(None, {"ids": numpy.array([tokens], "i8")})
        except self._errors as problem:  # an index beyond the vocabulary
            raise ValueError(f"the graph refused it: {str(problem)[:200]}") from None
        return bytes(rows[0].astype("<f4").tobytes())


def runtime_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's errors, which share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (RuntimeError, *found)


class Work:
    """Decides where a request's texts are computed."""

    def __init__(self, model: Model, threads: int) -> None:
        self.model = model
        self._pool = ThreadPoolExecutor(threads, "bulk", initializer=step_back)

    def embed(self, inputs: list[str | list[int]]) -> tuple[list[bytes], int]:
        """The vectors and the tokens read. Raises TooLong, ValueError."""
        if len(inputs) <= URGENT:
            return self._share(inputs)
        shares = [inputs[at : at + SHARE] for at in range(0, len(inputs), SHARE)]
        done = list(self._pool.map(self._share, shares))
        return [vector for vectors, _ in done for vector in vectors], sum(tokens for _, tokens in done)

    def _share(self, inputs: list[str | list[int]]) -> tuple[list[bytes], int]:
        read = [self.model.read(each) for each in inputs]
        return [self.model.vector(each) for each in read], sum(map(len, read))


def step_back() -> None:
    """Lets every other thread go first."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Handler(BaseHTTPRequestHandler):
    """One connection. The server's `work` and `key` are set by `serve`."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        if not self._allowed():
            return
        if self.path == HEALTH_PATH:
            self._say(200, {"status": "ok"})
        elif self.path == PROPERTIES_PATH:
            self._say(200, {"default_generation_settings": {"n_ctx": self.server.work.model.context}})
        else:
            self._fail(404, f"no such path: {self.path}")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if not self._allowed() or not 0 < length <= BODY_BYTES:
            self.close_connection = True
            return
        work: Work = self.server.work
        try:
            asked = msgspec.json.decode(self.rfile.read(length))
            if self.path == TOKENIZE_PATH:
                self._say(200, {"tokens": work.model.tokens(asked["content"])})
            elif self.path == EMBEDDING_PATH:
                vectors, tokens = work.embed(asked["input"])
                rows = [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]
                self._say(200, {"data": rows, "usage": {"prompt_tokens": tokens}})
            else:
                self._fail(404, f"no such path: {self.path}")
        except TooLong as problem:
            tokens, limit = problem.args
            self._fail(400, "a text is too long", type="exceed_context_size_error", n_prompt_tokens=tokens, n_ctx=limit)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, OverflowError) as problem:
            self._fail(400, str(problem))

    def _allowed(self) -> bool:
        given = self.headers.get("Authorization") or ""
        if not self.server.key or hmac.compare_digest(given.encode(), f"Bearer {self.server.key}".encode()):
            return True
        self._fail(401, "the key is wrong")
        return False

    def _fail(self, status: int, message: str, **more: Any) -> None:
        self._say(status, {"error": {"code": status, "message": message, **more}})

    def _say(self, status: int, value: dict[str, Any]) -> None:
        body = msgspec.json.encode(value)  # bytes become base64
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *_: Any) -> None:
        """Nothing: what is asked is nobody's business."""


class Server(ThreadingMixIn, TCPServer):
    """On a port of this machine."""

    daemon_threads = True
    request_queue_size = 64
    work: Work
    key = ""

    def handle_error(self, *_: Any) -> None:
        """Whoever went away needs no answer."""


def serve(arguments: dict[str, Any]) -> Server:
    """The server, bound. Raises OSError, ImportError, and ONNX Runtime's errors for a graph that it cannot load."""
    model = Model(Path(arguments["graph"]), arguments["context"])
    if arguments["socket"] is None:
        made: Server = Server(("127.0.0.1", 0), Handler)
        made.key = os.environ.pop("HOMEFIRE_ENGINE_KEY")
    else:
        from socketserver import UnixStreamServer

        class UnixServer(Server, UnixStreamServer):
            address_family = UnixStreamServer.address_family
            server_bind = UnixStreamServer.server_bind

        Path(arguments["socket"]).unlink(missing_ok=True)
        made = UnixServer(arguments["socket"], Handler)
    made.work = Work(model, max(1, arguments["threads"]))
    return made


def main() -> None:
    """Loads the graph and serves until the lifeline breaks."""
    rope = lifeline.attach()
    os.umask(0o077)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    arguments = json.loads(sys.argv[1])
    try:
        errors: tuple[type[Exception], ...] = (*runtime_errors(), ValueError, OSError, MemoryError, KeyError)
    except ImportError as problem:
        rope.failed(f"{problem}. Install it with: pip install 'homefire[onnx]'")
        sys.exit(1)
    try:
        server = serve(arguments)
    except errors as problem:
        rope.failed(str(problem) or type(problem).__name__)
        sys.exit(1)
    rope.ready(address=arguments["socket"] or ["127.0.0.1", server.server_address[1]])
    server.serve_forever()


if __name__ == "__main__":
    main()
