"""The door: the outermost ASGI layer, in front of every route. Guard first, then the key, then the route.

The guard is what a CORS layer is not: it refuses. Exactly one Host, and one that names this daemon, port included (DNS
rebinding fails here); an Origin only of the page itself; no request that a browser marks as coming from another site.
Promises: deny by default: the open routes are the list below, all others need a principal, also those that do not exist;
every failure, also a defect, leaves as one envelope; every answer carries the security headers; a request whose key is revoked
or expires while it runs is ended then: 401 if nothing was sent yet, else the connection breaks. A WebSocket passes the same guard
before anything is accepted; what is refused then is an HTTP answer like any other.
Does not cover: which principal may do what (`scopes.py`, held against the table of routes in `app.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homefire.errors import (
    HomefireError,
    HostRefused,
    InternalError,
    MethodNotAllowed,
    OriginRefused,
    RateLimited,
    UnknownRoute,
)
from homefire.server.authority import Authority
from homefire.server.request import ClientGone
from homefire.server.scopes import UNLIMITED, Principal

log = logging.getLogger(__name__)

OPEN = frozenset({("GET", "/healthz"), ("HEAD", "/healthz"), ("POST", "/homefire/v1/login")})
# The page's files hold no user data. Everything the page is built of lies at the root or below /assets/.
OPEN_PREFIX = "/assets/"
CANCEL_AGAIN_SECONDS = 0.4
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]


# How an error reads for the clients of a route: its JSON.
Envelope = Callable[[HomefireError], dict[str, Any]]
# Takes a WebSocket over from the door, with its headers by name, from before it is accepted to its end.
Socket = Callable[[Scope, Receive, Send, dict[str, str]], Awaitable[None]]


class Door:
    """See the module's text. `hosts` are the accepted Host values, lower case, with the port; `static` the page's files at
    the root, such as "/" and "/favicon.svg"; `envelopes` the paths whose clients read errors in another form than ours;
    `scheme` that of the page's own origin; `sockets` the WebSockets by their path."""

    def __init__(
        self,
        app: ASGIApp,
        authority: Authority,
        hosts: Iterable[str],
        static: Iterable[str],
        envelopes: Mapping[str, Envelope] = MappingProxyType({}),
        *,
        scheme: str = "http",
        sockets: Mapping[str, Socket] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._sockets = sockets
        self._authority = authority
        self._hosts = frozenset(hosts)
        self._origins = frozenset(f"{scheme}://{host}" for host in self._hosts)
        self._static = frozenset(static)
        self._envelopes = envelopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            scope["method"] = "GET"  # as which it began
            await self._open_socket(scope, receive, send)
            return
        started, running = False, True
        ended: list[HomefireError] = []
        task = asyncio.current_task()
        assert task is not None

        def end(problem: HomefireError) -> None:
            if not ended:
                ended.append(problem)
                cancel()

        def cancel() -> None:
            # Again, in case it was lost on the way: a right that has ended must not depend on every route below.
            if running:
                task.cancel()
                asyncio.get_running_loop().call_later(CANCEL_AGAIN_SECONDS, cancel)

        envelope = self._envelopes.get(scope["path"], HomefireError.envelope)

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", ()), *SECURITY_HEADERS, *left]}
            await send(message)

        left: list[tuple[bytes, bytes]] = []
        try:
            principal = scope["homefire.principal"] = self._admit(scope)
            counted = contextlib.nullcontext() if principal is None else self._authority.admitted(principal, end)
            with counted:
                if principal is not None:
                    left = self._left(principal)
                await self._app(scope, receive, send_safely)
        except ClientGone:
            return
        except asyncio.CancelledError:
            running = False
            if not ended:
                raise
            task.uncancel()
            if not started:
                await send_error(send_safely, ended[0], envelope)
        except HomefireError as problem:
            scope["homefire.error"] = problem.code
            if problem.status in (401, 403, 429):
                client = scope.get("client")
                self._authority.refused(problem.code, client[0] if client else "")
            if started:
                # The code alone: an engine's message may quote the request.
                log.warning("%s failed after its answer began: %s", scope["path"], problem.code)
                raise
            await send_error(send_safely, problem, envelope)
        except Exception as problem:  # a defect: the daemon lives on, the client gets a code, the log gets the trace
            log.exception("defect in %s %s", scope["method"], scope["path"])
            scope["homefire.error"] = InternalError.code
            if started:
                raise
            await send_error(send_safely, InternalError(f"A defect in Homefire: {type(problem).__name__}."), envelope)
        finally:
            running = False

    async def _open_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = False

        async def send_socket(message: Message) -> None:
            nonlocal accepted
            accepted = accepted or message["type"] == "websocket.accept"
            if message["type"].startswith("http."):
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], *SECURITY_HEADERS]}
                message = {**message, "type": f"websocket.{message['type']}"}
            await send(message)

        try:
            headers = self._guard(scope)
            if scope["path"] not in self._sockets:
                self._authority.identify(headers)
                raise UnknownRoute(f"There is no WebSocket at {scope['path'][:200]}.")
            if (
                "cookie" in headers
                and not _same_origin(headers)
                and not headers.keys() & {"authorization", "x-api-key"}
            ):
                raise OriginRefused("A WebSocket with the page's login must come from the page itself.")
            await self._sockets[scope["path"]](scope, receive, send_socket, headers)
        except HomefireError as problem:
            scope["homefire.error"] = problem.code
            if problem.status in (401, 403, 429):
                self._authority.refused(problem.code, (scope.get("client") or ("",))[0])
            if accepted:
                raise
            if "websocket.http.response" in scope.get("extensions", {}):
                await send_error(send_socket, problem)
            else:  # closing before accepting is a 403
                await send({"type": "websocket.close", "code": 1008})

    def _admit(self, scope: Scope) -> Principal | None:
        headers = self._guard(scope)
        method, path = scope["method"], scope["path"]
        if (method, path) in OPEN:
            return None
        if method in ("GET", "HEAD") and (path in self._static or path.startswith(OPEN_PREFIX)):
            return None
        principal = self._authority.identify(headers)
        if principal.kind == "session" and method not in SAFE and not _same_origin(headers):
            raise OriginRefused("A change with the page's login must come from the page itself.")
        return principal

    def _left(self, principal: Principal) -> list[tuple[bytes, bytes]]:
        """What is left of the key's limits, in the headers that OpenAI's clients know."""
        found = (
            self._authority.limiter.left(principal.caller, principal.limits) if principal.limits != UNLIMITED else {}
        )
        return [
            (f"x-ratelimit-{kind}-{name}".encode(), str(number).encode())
            for name, (limit, remaining) in found.items()
            for kind, number in (("limit", limit), ("remaining", remaining))
        ]

    def _guard(self, scope: Scope) -> dict[str, str]:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name = raw_name.decode("latin-1")
            if name in headers and name in ("host", "origin", "authorization", "x-api-key", "sec-fetch-site"):
                raise HostRefused(f"The header '{name}' came twice.", "Send it once.")
            headers[name] = raw_value.decode("latin-1")
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            raise HostRefused(f"The Host '{host[:200]}' is not this daemon.")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._origins:
            raise OriginRefused(f"The page at '{origin[:200]}' may not use this daemon.")
        site = headers.get("sec-fetch-site", "none")
        if origin is None and site not in ("none", "same-origin"):
            # A link from another site may open the page itself, not in a frame; nothing else.
            opens_page = (
                headers.get("sec-fetch-mode") == "navigate"
                and headers.get("sec-fetch-dest", "document") == "document"
                and (scope["method"], scope["path"]) == ("GET", "/")
            )
            if not opens_page:
                raise OriginRefused("The request comes from a page of another site.")
        return headers


def _same_origin(headers: dict[str, str]) -> bool:
    # Every browser of the last years sends one of the two with a changing request; no program uses the cookie.
    return "origin" in headers or headers.get("sec-fetch-site") == "same-origin"


async def send_error(send: Send, problem: HomefireError, envelope: Envelope = HomefireError.envelope) -> None:
    """Sends a whole error answer."""
    body = json.dumps(envelope(problem), ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if problem.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(problem, MethodNotAllowed):
        headers.append((b"allow", problem.allowed.encode()))
    if isinstance(problem, RateLimited):
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
