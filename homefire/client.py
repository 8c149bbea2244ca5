"""The one Python client: the same calls over HTTP, or in this process over ASGI. Synchronous; everything behind it is async.

    with Homefire.connect() as home:                  # finds the daemon of this home, with the command line's own key
        for event in home.ask(conversation_id, "hello"):
            print(event)

Promises: every failure is a leaf of the error tree, the daemon's own errors with the code it gave; streams can be left at any
time, which stops the answer.
Does not cover: OpenAI's routes in full (`openai` or any other client does that); retrying.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from homefire.errors import (
    DaemonNotRunning,
    HomefireError,
    InternalError,
    RequestTimeout,
    ShuttingDown,
    TlsNotReady,
    from_envelope,
)
from homefire.paths import Paths, default_home

if TYPE_CHECKING:
    import ssl

    import httpx2

TIMEOUT_SECONDS = 30.0
# A model may have to load before the first byte of an answer.
ANSWER_SECONDS = 900.0
# An embedding model may have to load before a question is understood.
SEARCH_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream: its name and its JSON."""

    name: str
    data: dict[str, Any]


class Homefire:
    """A connection to one daemon. Use as a context manager, or call `close`."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    @classmethod
    def connect(cls, home: Path | None = None, url: str = "", key: str = "") -> Homefire:
        """To the daemon of `home` (default: HOMEFIRE_HOME), or to `url` with `key`. Raises DaemonNotRunning."""
        import httpx2

        trust: ssl.SSLContext | bool = True
        if not url:
            paths = Paths(home or default_home())
            url, key = find_daemon(paths), key or read_local_key(paths)
            trust = trust_of(paths)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return cls(httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False, verify=trust))

    @classmethod
    def over(cls, transport: httpx2.BaseTransport, url: str, key: str) -> Homefire:
        """Over any transport; tests use one that calls the application in this process."""
        import httpx2

        return cls(httpx2.Client(transport=transport, base_url=url, headers={"authorization": f"Bearer {key}"}))

    def __enter__(self) -> Homefire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def get(self, path: str, /, **query: str | int | float) -> dict[str, Any]:
        """GET, as JSON."""
        return self._json("GET", path, params=query)

    def text(self, path: str) -> str:
        """GET, as text."""
        return self._answer("GET", path).text

    def post(self, path: str, body: dict[str, Any] | None = None, seconds: float = TIMEOUT_SECONDS) -> dict[str, Any]:
        """POST, as JSON; an empty answer gives an empty object. `seconds`: how long to wait for the answer."""
        return self._json("POST", path, json=body or {}, timeout=seconds)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """PUT, as JSON."""
        return self._json("PUT", path, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """PATCH, as JSON."""
        return self._json("PATCH", path, json=body)

    def delete(self, path: str) -> None:
        """DELETE."""
        self._json("DELETE", path)

    def stream(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Iterator[ServerEvent]:
        """POST (or GET), as events. Leaving the iteration closes the connection. Raises what an `error` event says."""
        import httpx2

        timeout = httpx2.Timeout(TIMEOUT_SECONDS, read=ANSWER_SECONDS)
        try:
            wanted = {"accept": "text/event-stream"}  # of a route that has JSON too
            with self._http.stream(method, path, json=body, headers=wanted, timeout=timeout) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _error_of(response)
                yield from _events(response.iter_lines())
        except httpx2.TransportError as problem:
            raise _transport_error(problem) from None

    def status(self) -> dict[str, Any]:
        """What runs (docs/api.md, Status)."""
        return self.get("/homefire/v1/status")

    def models(self) -> dict[str, Any]:
        """The installed models."""
        return self.get("/homefire/v1/models")

    def pull(self, source: str, **fields: Any) -> Iterator[ServerEvent]:
        """Fetches a model (a name of the catalogue or a source); yields its progress. Leaving does not stop the download."""
        return self.stream("/homefire/v1/models/pull", {"source": source, **fields})

    def ask(self, conversation_id: str, content: str, **fields: Any) -> Iterator[ServerEvent]:
        """Says something in a conversation; yields the answer's events."""
        return self.stream(f"/homefire/v1/conversations/{conversation_id}/messages", {"content": content, **fields})

    def ingest(self, path: str, **fields: Any) -> Iterator[ServerEvent]:
        """Takes in a folder or file of the daemon's machine (an absolute path); yields the progress. Leaving does not stop it."""
        return self.stream("/homefire/v1/knowledge/ingest", {"path": path, **fields})

    def search(self, query: str, **fields: Any) -> dict[str, Any]:
        """Places in what was taken in (docs/api.md, Search)."""
        return self.post("/homefire/v1/knowledge/search", {"query": query, **fields}, seconds=SEARCH_SECONDS)

    def ask_about(self, question: str, **fields: Any) -> Iterator[ServerEvent]:
        """Asks what was taken in; yields passages, pieces of the answer, its citations (docs/api.md, An answer with sources)."""
        return self.stream("/homefire/v1/knowledge/ask", {"question": question, **fields})

    def relay_mcp(self, message: Any, seconds: float) -> dict[str, Any] | None:
        """Hands one message of MCP to the daemon as it is; its answer, None where there is none. The headers that the newest
        protocol wants beside a message are made of it."""
        headers = {"accept": "application/json, text/event-stream"}
        params = message.get("params") if isinstance(message, dict) else None
        meta = params.get("_meta") if isinstance(params, dict) else None
        version = meta.get("io.modelcontextprotocol/protocolVersion") if isinstance(meta, dict) else None
        if isinstance(version, str) and version.isascii() and version.isprintable():
            headers |= {"mcp-protocol-version": version, "mcp-method": str(message.get("method", ""))}
            name = params.get("name") if isinstance(params, dict) else None
            if isinstance(name, str) and name.isascii() and name.isprintable():
                headers["mcp-name"] = name
        response = self._answer("POST", "/mcp", any_status=True, json=message, headers=headers, timeout=seconds)
        try:
            found = response.json() if response.content else None
        except ValueError:
            raise InternalError(f"The daemon answered {response.status_code} with no JSON.") from None
        if isinstance(found, dict) and "jsonrpc" in found:
            return found
        if response.status_code >= 400:
            raise _error_of(response)
        return None

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._answer(method, path, **options)
        if not response.content:
            return {}
        found: dict[str, Any] = response.json()
        return found

    def _answer(self, method: str, path: str, any_status: bool = False, **options: Any) -> httpx2.Response:
        import httpx2

        try:
            response = self._http.request(method, path, **options)
        except httpx2.TransportError as problem:
            raise _transport_error(problem) from None
        if response.status_code >= 400 and not any_status:
            raise _error_of(response)
        return response


def find_daemon(paths: Paths) -> str:
    """The address of the home's daemon. Raises DaemonNotRunning when none has announced itself."""
    try:
        return str(json.loads(paths.address.read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DaemonNotRunning(f"No daemon runs on {paths.home}.") from None


def trust_of(paths: Paths) -> ssl.SSLContext | bool:
    """How the home's own daemon is known over TLS: by the very certificate that it names, whatever name is in it."""
    try:
        named = json.loads(paths.address.read_text("utf-8")).get("certificate")
        if not named:
            return True
        import ssl

        pem = Path(named).read_text("ascii")
        end = "-----END CERTIFICATE-----"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the certificate is pinned: no other one is trusted, so no name is needed
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=pem[: pem.index(end) + len(end)])  # the daemon's own, not its chain
    except (OSError, ValueError, AttributeError):
        raise TlsNotReady(f"The certificate that {paths.address} names cannot be read.") from None
    return context


def read_local_key(paths: Paths) -> str:
    """The command line's own key. Raises DaemonNotRunning when there is none yet: the daemon makes it."""
    try:
        return str(json.loads(paths.keys.read_text("utf-8"))["local"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DaemonNotRunning(f"{paths.keys} holds no key; the daemon makes it when it starts.") from None


def _events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    name, ended = "", False
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            data = json.loads(line[6:])
            if name == "error":
                raise from_envelope(data)
            ended = name == "done"
            yield ServerEvent(name, data)
    if not ended:
        raise ShuttingDown("The stream ended before the answer did: the daemon stopped.")


def _error_of(response: httpx2.Response) -> HomefireError:
    try:
        return from_envelope(response.json())
    except ValueError:
        return InternalError(f"The daemon answered {response.status_code} without an envelope.")


def _transport_error(problem: httpx2.TransportError) -> HomefireError:
    import httpx2

    if isinstance(problem, httpx2.ConnectError):
        return DaemonNotRunning("The daemon does not answer.")
    if isinstance(problem, httpx2.TimeoutException):
        return RequestTimeout("The daemon did not answer in time.", "Look at: homefire status")
    return DaemonNotRunning(f"The connection to the daemon broke: {problem}.", "Look at: homefire status")
