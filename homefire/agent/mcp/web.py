"""The wire to a server over HTTP: the package's transport on a client with bounds.

Promises: no answer is larger than `wire.LARGEST_MESSAGE`, whatever its form; no proxy, cookie or key of this machine's
environment is used; the key goes to the server's own address only; nothing is followed elsewhere (the package stays within the
address's origin).
Does not cover: whether the address may be used (`servers.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from homefire.agent.mcp.wire import LARGEST_MESSAGE
from homefire.errors import McpFailed

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0


def bounded_client(key: str) -> httpx2.AsyncClient:
    """A client whose answers have bounds. Close it when done."""
    import httpx2

    class Bounded(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await super().handle_async_request(request)
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Counted(response.stream)
            return response

    class _Counted(httpx2.AsyncByteStream):
        def __init__(self, inner: httpx2.AsyncByteStream) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for piece in self._inner:
                # Also of a stream of events that goes on for long: it is opened anew then.
                size += len(piece)
                if size > LARGEST_MESSAGE:
                    raise McpFailed(f"The MCP server sent more than {LARGEST_MESSAGE // 2**20} MiB.")
                yield piece

        async def aclose(self) -> None:
            await self._inner.aclose()

    headers = {"user-agent": "homefire", "accept-encoding": "identity"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
    return httpx2.AsyncClient(transport=Bounded(trust_env=False), headers=headers, timeout=timeout, trust_env=False)
