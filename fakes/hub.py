"""A model hub that misbehaves on request: `python fakes/hub.py FOLDER`, a real HTTP server in a process of its own.

    GET /files/NAME            the file, ranges understood; faults are asked for in the query: ?fault=drop&times=2&after=3
    GET /api/models/OWNER/REPO/tree/main      what stands in FOLDER/OWNER/REPO, as the hub's API says it
    GET /OWNER/REPO/resolve/main/NAME         a redirect to /files/OWNER/REPO/NAME
    GET /count                 what was asked and sent, as JSON: {"NAME": {"requests", "bytes", "spans", "authorization"}}

It prints one line, {"port": ..., "other": ...}, when it listens; `other` is a second port, which is another origin.
A fault strikes the first `times` requests of its file (0: always) after `after` sound ones. Faults: see `FAULTS`.
Promises: without a fault it is right to the byte; it counts every byte of a body that the socket took.
Does not cover: TLS, HTTP/2.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

# name -> status of the faults that are a mere status; the others have a method `fault_NAME`, but for "slow", which is sound.
STATUSES = {"401": 401, "403": 403, "404": 404, "410": 410, "416": 416, "429": 429, "500": 500, "503": 503}
FAULTS = (
    *STATUSES, "long", "short", "drop", "reset", "wrong_range", "no_range_header", "ignore_ranges", "ignore_and_drop", "changed",
    "longer_file", "flip", "stall", "silent", "gzip", "redirect_private", "redirect_loop", "redirect_other", "redirect_file",
    "garbage", "slow",
)  # fmt: skip
PIECE = 64 * 1024
HANDED = 4 * 1024 * 1024


class Hub(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    root: ClassVar[Path]
    ports: ClassVar[dict[str, int]] = {}
    counts: ClassVar[dict[str, dict[str, Any]]] = {}
    struck: ClassVar[dict[str, int]] = {}
    etags: ClassVar[dict[tuple[str, int, int, int], str]] = {}
    lock: ClassVar[threading.Lock] = threading.Lock()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """Finds out what is asked and how to answer it wrongly."""
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = unquote(parts.path)
        if path == "/count":
            with self.lock:
                return self._page(json.dumps(self.counts).encode())
        if path.startswith("/api/models/") and path.endswith("/tree/main"):
            return self._tree(path.removeprefix("/api/models/").removesuffix("/tree/main"))
        if "/resolve/main/" in path:
            repo, _, name = path.partition("/resolve/main/")
            return self._redirect(f"/files{quote(repo)}/{quote(name)}?{parts.query}")
        if not path.startswith("/files/"):
            return self._status(404)
        self._file(path.removeprefix("/files/"))

    def _file(self, name: str) -> None:
        file = self.root / name
        with self.lock:
            mine = self.counts.setdefault(name, {"requests": 0, "bytes": 0, "spans": [], "authorization": []})
            mine["requests"] += 1
            mine["authorization"].append(self.headers.get("authorization", ""))
            order = mine["requests"]
        if not file.is_file():
            return self._status(404)
        self.mine = mine
        self.etag = self._etag(file)
        self.extra: dict[str, str] = {}
        fault = self.query.get("fault", "")
        times, after = int(self.query.get("times", "0")), int(self.query.get("after", "0"))
        if not fault or order <= after or (times and order > after + times):
            return self._sound(file)
        if fault == "slow":
            return self._sound(file, float(self.query.get("pause", "0.02")))
        self.data = file.read_bytes()
        self.start, self.end, self.ranged = self._range(len(self.data))
        if fault in STATUSES:
            wait = {"retry-after": self.query["wait"]} if "wait" in self.query else {}
            return self._status(STATUSES[fault], wait)
        getattr(self, f"fault_{fault}")()

    def _etag(self, file: Path) -> str:
        """A strong one, by the file's content; read once for each state of the file, since it may be large."""
        state = file.stat()
        key = (str(file), state.st_ino, state.st_size, state.st_mtime_ns)
        if key not in self.etags:
            with file.open("rb") as opened:
                self.etags[key] = f'"{hashlib.file_digest(opened, "sha256").hexdigest()[:16]}"'
        return self.etags[key]

    def _sound(self, file: Path, slow: float = 0.0) -> None:
        """The right answer, handed from the file to the socket by the kernel: benchmarks measure the client, not this. `slow`:
        seconds before each piece."""
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            self.start, self.end, self.ranged = self._range(size)
            if self._head(size, self.end - self.start):
                self._sent(self._hand_over(opened, slow), self.end - self.start)

    def _hand_over(self, opened: BinaryIO, slow: float) -> int:
        at, step = self.start, PIECE if slow else HANDED
        with contextlib.suppress(OSError):
            while at < self.end:
                time.sleep(slow)
                if hasattr(os, "sendfile"):
                    count = os.sendfile(self.connection.fileno(), opened.fileno(), at, min(step, self.end - at))
                else:
                    opened.seek(at)
                    count = self.connection.send(opened.read(min(PIECE, self.end - at)))
                if not count:
                    break
                at += count
        return at - self.start

    def _range(self, size: int) -> tuple[int, int, bool]:
        asked = self.headers.get("range", "")
        if not asked.startswith("bytes="):
            return 0, size, False
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(size, int(last) + 1 if last else size), True

    def _answer(self, length: int | None = None, given: str = "", send: int | None = None) -> None:
        """The right answer, but for what is given: Content-Length, Content-Range, bytes that are sent."""
        body = self.data[self.start : self.end]
        if self._head(len(self.data), len(body) if length is None else length, given):
            self._send(body if send is None else body[:send])

    def _head(self, size: int, length: int, given: str = "") -> bool:
        """The answer's head; False if there is nothing to send because the range lies behind the end."""
        if self.ranged and self.start >= size:
            self._status(416, {"content-range": f"bytes */{size}"})
            return False
        self.send_response(206 if self.ranged else 200)
        self.send_header("etag", self.etag)
        self.send_header("content-length", str(length))
        if self.ranged and given != "none":
            self.send_header("content-range", given or f"bytes {self.start}-{self.end - 1}/{size}")
        for header, value in self.extra.items():
            self.send_header(header, value)
        self.end_headers()
        return True

    def _send(self, body: bytes) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < len(body):
                sent += self.connection.send(body[sent : sent + PIECE])
        self._sent(sent, len(body))

    def _sent(self, sent: int, wanted: int) -> None:
        """Counts what the socket took."""
        with self.lock:
            self.mine["bytes"] += sent
            self.mine["spans"].append([self.start, self.start + sent])
        if sent < wanted:
            self.close_connection = True

    def _page(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _status(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._page(b"no", status, headers)

    def _redirect(self, to: str) -> None:
        self._page(b"", 302, {"location": to})

    def _tree(self, repo: str) -> None:
        folder = self.root / repo
        if not folder.is_dir():
            return self._status(404)
        rows = []
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                data = file.read_bytes()
                row: dict[str, Any] = {"type": "file", "path": file.relative_to(folder).as_posix(), "size": len(data)}
                if file.suffix in (".gguf", ".safetensors"):
                    row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
                rows.append(row)
        # Two rows a page: a client that ignores the link sees a part only.
        page = int(self.query.get("cursor", "0"))
        more = {
            "link": f'<http://{self.headers["host"]}{urlsplit(self.path).path}?recursive=true&cursor={page + 2}>; rel="next"'
        }
        self._page(json.dumps(rows[page : page + 2]).encode(), 200, more if page + 2 < len(rows) else {})

    # -- the faults

    def fault_long(self) -> None:
        """Says more than it sends."""
        self._answer(length=self.end - self.start + 1000)
        self._cut()

    def fault_short(self) -> None:
        """Says and sends half of what was asked, under a Content-Range that says it is all."""
        half = (self.end - self.start) // 2
        self._answer(length=half, send=half)

    def fault_drop(self) -> None:
        """Closes the connection in the middle of the body."""
        self._answer(send=int(self.query.get("bytes", (self.end - self.start) // 2)))
        self._cut()

    def fault_reset(self) -> None:
        """Resets the connection before any answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def fault_wrong_range(self) -> None:
        """Answers with another range than was asked."""
        self.start, self.end = self.start + 1, min(len(self.data), self.end + 1)
        self._answer()

    def fault_no_range_header(self) -> None:
        """206 without saying which bytes."""
        self._answer(given="none")

    def fault_ignore_ranges(self) -> None:
        """200 and the whole file, whatever was asked."""
        self.start, self.end, self.ranged = 0, len(self.data), False
        self._answer()

    def fault_ignore_and_drop(self) -> None:
        """The same, and cut in the middle the first three times."""
        self.start, self.end, self.ranged = 0, len(self.data), False
        self._answer(send=len(self.data) * min(4, 1 + len(self.mine["spans"])) // 4)
        self._cut()

    def fault_changed(self) -> None:
        """Another file of the same length, with its own ETag."""
        self.data = bytes(len(self.data))
        self.etag = '"another"'
        self._answer()

    def fault_longer_file(self) -> None:
        """A file that has grown."""
        self.data += b"more"
        self._answer()

    def fault_flip(self) -> None:
        """One bit is wrong."""
        data = bytearray(self.data)
        data[(self.start + self.end) // 2] ^= 4
        self.data = bytes(data)
        self._answer()

    def fault_stall(self) -> None:
        """Sends a third and then nothing, with the connection open."""
        self._answer(send=(self.end - self.start) // 3)
        time.sleep(float(self.query.get("seconds", "20")))
        self._cut()

    def fault_silent(self) -> None:
        """Never answers."""
        time.sleep(float(self.query.get("seconds", "20")))
        self._cut()

    def fault_gzip(self) -> None:
        """Claims to compress."""
        self.extra["content-encoding"] = "gzip"
        self._answer()

    def fault_redirect_private(self) -> None:
        """Sends the client to another address of this machine, which a test counts as a private one."""
        self._redirect(f"http://127.0.0.2:{self.ports['port']}/files/secret")

    def fault_redirect_loop(self) -> None:
        """Sends the client to where it is."""
        self._redirect(self.path)

    def fault_redirect_other(self) -> None:
        """Sends the client to the other origin, where the file is counted under its own name."""
        self._redirect(f"http://127.0.0.1:{self.ports['other']}/files/other/{Path(urlsplit(self.path).path).name}")

    def fault_redirect_file(self) -> None:
        """Sends the client to its own disk."""
        self._redirect("file:///etc/hostname")

    def fault_garbage(self) -> None:
        """Bytes that are no HTTP."""
        self.connection.sendall(os.urandom(500))
        self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Server(ThreadingHTTPServer):
    """Threads that end with the process."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients break off here all the time."""


def main() -> None:
    """Serves FOLDER until standard input ends: a test that is killed leaves no hub behind."""
    Hub.root = Path(sys.argv[1])
    servers = [Server(("127.0.0.1", 0), Hub) for _ in range(2)]
    Hub.ports.update(port=servers[0].server_port, other=servers[1].server_port)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(Hub.ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
