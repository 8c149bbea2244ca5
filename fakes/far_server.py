"""What the fake far servers share: a real HTTP server in a process of its own that counts, and misbehaves on request.

    POST /control {"fault", "on": "chat" | "models" | "embed" | "any", "times": 0 (always), "after": 3}     {} ends the faults
    POST /control {"model": NAME}      from now on another model stands behind every name
    GET /count                         {"connections", "requests": [{"path", "authorization", "body"}]}

`after` is how many events of a stream come before the fault. It prints one line, {"port": ...}, when it listens, and ends with
its standard input. Faults: see `FAULTS`.
FAR_CERTIFICATE names a file with a key and a certificate; then it speaks TLS. FAR_PORT: the port, that of one that was killed.
Promises: without a fault it is right in its dialect; every connection is counted, whatever comes of it.
Does not cover: HTTP/2.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

STATUSES = {"401": 401, "404": 404, "429": 429, "500": 500, "503": 503, "400": 400}
FAULTS = (
    *STATUSES, "hang_before_head", "hang_before_first", "hang", "cut", "reset", "garbage", "garbage_json", "wrong_type",
    "endless_line", "other_model", "slow", "redirect", "gzip", "stop_short", "error_in_stream", "pings", "leak_key",
)  # fmt: skip
DELAY = 0.005
CONTEXT, WIDTH = 64, 32


class FarServer(BaseHTTPRequestHandler):
    """One connection. A dialect fills in `routes`, `frame` and what a stream is made of."""

    protocol_version = "HTTP/1.1"
    stream_type: ClassVar[str]
    names: ClassVar[list[str]] = ["pilot", "bert"]
    behind: ClassVar[str] = ""
    fault: ClassVar[dict[str, Any]] = {}
    requests: ClassVar[list[dict[str, Any]]] = []
    connections: ClassVar[int] = 0
    other_port: ClassVar[int] = 0
    lock: ClassVar[threading.Lock] = threading.Lock()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def setup(self) -> None:
        """Counts the connection."""
        super().setup()
        with self.lock:
            FarServer.connections += 1

    def do_GET(self) -> None:
        """What is asked without a body."""
        if self.path == "/count":
            with self.lock:
                return self.page({"connections": FarServer.connections, "requests": FarServer.requests})
        self.note(None)
        self.route(None)

    def do_POST(self) -> None:
        """What is asked with one."""
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
        if self.path == "/control":
            with self.lock:
                if "model" in body:
                    FarServer.behind = body.pop("model")
                FarServer.fault = body
            return self.page({})
        self.note(body)
        self.route(body)

    def note(self, body: dict[str, Any] | None) -> None:
        """Remembers what was asked."""
        asked = {"path": self.path, "authorization": self.headers.get("authorization", ""), "body": body}
        with self.lock:
            FarServer.requests.append(asked)

    # -- for dialects

    def route(self, body: dict[str, Any] | None) -> None:
        """Answers one request."""
        raise NotImplementedError  # each dialect's server has its own

    def failure(self, status: int, message: str, code: str = "") -> bytes:
        """The body of an error."""
        raise NotImplementedError  # each dialect's server has its own

    def frame(self, value: dict[str, Any]) -> bytes:
        """One event of a stream."""
        raise NotImplementedError  # each dialect's server has its own

    def strikes(self, on: str) -> str:
        """The fault that strikes now, "" if none does."""
        with self.lock:
            fault = FarServer.fault
            if not fault.get("fault") or fault.get("on", "any") not in ("any", on):
                return ""
            if fault.get("times"):
                fault["times"] -= 1
                if not fault["times"]:
                    FarServer.fault = {}
            return str(fault["fault"])

    def named(self, asked: str) -> str:
        """The model that stands behind a name."""
        return FarServer.behind or asked

    def before(self, fault: str) -> bool:
        """The faults that come before any answer; True if one did."""
        if fault in STATUSES:
            self.raw(STATUSES[fault], self.failure(STATUSES[fault], "It is so."), "application/json")
        elif fault == "leak_key":
            self.raw(500, self.failure(500, f"Your header was {self.headers.get('authorization')}"), "application/json")
        elif fault == "hang_before_head":
            self.hang()
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True
            self.connection.close()
        elif fault == "garbage":
            self.connection.sendall(b"\x16\x03\x01 this is no HTTP at all\r\n\r\n")
            self.cut()
        elif fault == "wrong_type":
            self.raw(200, b"<html>Sign in</html>", "text/html")
        elif fault == "redirect":
            self.send_response(302)
            self.send_header("location", f"http://127.0.0.1:{FarServer.other_port}{self.path}")
            self.send_header("content-length", "0")
            self.end_headers()
        elif fault == "gzip":
            self.send_response(200)
            self.send_header("content-type", self.stream_type)
            self.send_header("content-encoding", "gzip")
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"\x1f\x8b\x08\x00")
        else:
            return False
        return True

    def stream(self, events: list[dict[str, Any]], fault: str) -> None:
        """A stream of events, with the faults that come inside it."""
        after = int(FarServer.fault.get("after", 0 if fault == "hang_before_first" else 3))
        self.send_response(200)
        self.send_header("content-type", self.stream_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for at, event in enumerate(events):
            if fault and at == after and self.inside(fault):
                return
            time.sleep(0.2 if fault == "slow" else DELAY)
            self.chunk(self.frame(event))
        self.last()

    def last(self) -> None:
        """The end of a stream."""
        self.wfile.write(b"0\r\n\r\n")

    def inside(self, fault: str) -> bool:
        """The faults inside a stream; True if nothing may follow."""
        if fault in ("hang", "hang_before_first"):
            self.hang()
        elif fault == "cut":
            self.cut()
        elif fault == "stop_short":
            self.wfile.write(b"0\r\n\r\n")
        elif fault == "garbage_json":
            self.chunk(self.frame({"hello": ["wor", {}]}))
            return False
        elif fault == "error_in_stream":
            self.chunk(self.frame({"error": "It broke."}))
            self.wfile.write(b"0\r\n\r\n")
        elif fault == "endless_line":
            for _ in range(200):
                self.chunk(b"data: " + b"x" * 2**16)
        elif fault == "pings":
            for _ in range(2000):
                self.chunk(b": ping\n\n" if self.stream_type == "text/event-stream" else b"\n")
                time.sleep(0.02)
        else:
            return False
        return True

    def chunk(self, data: bytes) -> None:
        """One piece of a chunked body."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def hang(self) -> None:
        """Gives nothing more, for longer than any test waits."""
        time.sleep(60)
        self.cut()

    def cut(self) -> None:
        """Closes the connection in the middle."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def page(self, value: Any, status: int = 200) -> None:
        """A whole JSON answer."""
        self.raw(status, json.dumps(value).encode(), "application/json")

    def raw(self, status: int, body: bytes, kind: str) -> None:
        """A whole answer."""
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def words(text: str, limit: int | None) -> tuple[list[str], bool]:
    """The words that an answer to `text` has, and whether they are all."""
    found = re.findall(r"\s*\S+\s*$|\s*\S+", text)
    return (found, True) if limit is None or limit >= len(found) else (found[:limit], False)


def vector(text: str | list[int]) -> tuple[list[float], int]:
    """The mean of the digests of a text's words, and how many words it has."""
    given = text.split() if isinstance(text, str) else [str(token) for token in text]
    digests = [hashlib.sha256(word.encode()).digest() for word in given] or [bytes(range(WIDTH))]
    return [float(sum(column)) / len(digests) - 127.5 for column in zip(*digests, strict=True)], len(given)


def last_user(messages: list[dict[str, Any]]) -> Iterator[str]:
    """The newest message of the user, if there is one."""
    yield from (str(m["content"]) for m in reversed(messages) if m["role"] == "user")


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients break off here all the time."""


def serve(kind: type[FarServer]) -> None:
    """Serves until standard input ends: a test that is killed leaves no server behind."""
    server = _Threads(("127.0.0.1", int(os.environ.get("FAR_PORT", "0"))), kind)
    if files := os.environ.get("FAR_CERTIFICATE"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    FarServer.other_port = int(sys.argv[1]) if len(sys.argv) > 1 else server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    sys.stdin.read()
