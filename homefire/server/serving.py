"""uvicorn as this daemon runs it: its sockets, its protocols, its end.

Promises: a signal ends it and nothing else of the process; answers under way get two seconds; the greeting of TLS has a limit of
time; what a WebSocket needs is loaded with the first one.
Does not cover: which sockets (`listen.py`), what is answered (`app.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

from starlette.types import ASGIApp

from homefire.server.listen import BACKLOG, Listening, PeerProtocol
from homefire.server.protocol import HEAD_SECONDS, TimedProtocol

GRACE_SECONDS = 2


def make_server(app: ASGIApp, listening: Listening) -> Any:
    """A server of uvicorn's that listens on these sockets; `serve` runs it until SIGTERM or SIGINT."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own version raises the signal again afterwards, which would end the process before its rooms close.
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(ValueError):
                    signal.signal(number, lambda *_: self.handle_exit(signal.SIGTERM, None))
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            # uvicorn's own knows no limit of time for the greeting of TLS, and one protocol for all sockets.
            await self.lifespan.startup()
            self.servers = []
            loop = asyncio.get_running_loop()
            given = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
            tls: dict[str, Any] = {}
            if listening.tls is not None:
                tls = {"ssl": listening.tls, "ssl_handshake_timeout": HEAD_SECONDS}
            tcp = partial(TimedProtocol, **given)
            self.servers.append(await loop.create_server(tcp, sock=listening.tcp, backlog=BACKLOG, **tls))
            if listening.unix is not None:
                unix = partial(PeerProtocol, **given)
                self.servers.append(await loop.create_unix_server(unix, sock=listening.unix, backlog=BACKLOG))
            self.started = True

    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws=_upgraded,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nobody stands in front; a header must not change who a request seems to come from
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config)


def _upgraded(**given: Any) -> Any:
    """The protocol of a WebSocket, loaded with the first one."""
    from homefire.server.upgrade import LimitedSocket

    return LimitedSocket(**given)
