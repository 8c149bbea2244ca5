"""The server: HTTP routes, a WebSocket and gRPC behind a guard and a key.

Promises: no route is open but those listed in `door.py`; every failure is one envelope with a stable code; a client that goes
away frees what it held; tokens pass through as bytes.
Does not cover: starting and stopping (`daemon/`).
"""

from homefire.server.app import Rooms, build_app, build_both, chatting
from homefire.server.authority import Authority

__all__ = ["Authority", "Rooms", "build_app", "build_both", "chatting"]
