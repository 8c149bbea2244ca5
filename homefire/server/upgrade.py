"""uvicorn's WebSocket protocol (wsproto) with this daemon's limits, loaded when the first client upgrades.

Promises: a message is at most 64 KiB until its sender is known, then as large as the application says (`homefire.limit`); no
compression, so nothing swells; a peer that does not close is cut off; a handshake that is none gets the one envelope.
Does not cover: who may upgrade (`door.py`), what messages mean (`event_socket.py`).
"""

from __future__ import annotations

import json
import logging
from typing import Any

import wsproto
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from homefire.errors import InvalidRequest
from homefire.server.door import SECURITY_HEADERS

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)

SMALL_MESSAGE = 64 * 1024
CLOSE_SECONDS = 2.0


class LimitedSocket(WSProtocol):
    """See the module's text."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = log  # uvicorn's own lines quote the address, and with it whatever stands in its query
        self.buffer.max_length = SMALL_MESSAGE
        self.close_timeout = CLOSE_SECONDS

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, but that what is no handshake is answered as everything else is."""
        if self.handshake_complete:
            super().data_received(data)
            return
        try:
            self.conn.receive_data(data)
        except RemoteProtocolError:
            self._refuse()
        except LocalProtocolError:  # it goes on before it was answered
            self.transport.close()
        else:
            self.handle_events()

    def handle_connect(self, event: wsproto.events.Request) -> None:
        super().handle_connect(event)
        self.scope["extensions"]["homefire.limit"] = {}

    async def send(self, message: Any) -> None:
        """As ASGI's, and `homefire.limit`: the largest message from now on, in `bytes`."""
        if message["type"] == "homefire.limit":
            self.buffer.max_length = message["bytes"]
            return
        await super().send(message)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)  # one that does not read keeps nothing open

    def _refuse(self) -> None:
        problem = InvalidRequest("This is not a valid WebSocket handshake.", "Use a WebSocket client, version 13.")
        body = json.dumps(problem.envelope()).encode()
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        security = b"".join(b"\r\n" + name + b": " + value for name, value in SECURITY_HEADERS)
        self.transport.write(head + str(len(body)).encode() + security + b"\r\n\r\n" + body)
        self.transport.close()
