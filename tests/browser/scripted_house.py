"""The real application behind a real socket, for pages that need an agent to do exactly this and then that.

Promises: routes, store, keys and the page are the real ones; only the runs are scripted (`tests/null/scripted_runs.py`), or only
who decides in them (`tests/null/test_agent_doors.py`).
Does not cover: a model that acts (`tests/process`), the daemon's own start and end.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from homefire.server import build_app
from homefire.server.request import ClientGone
from tests.null.rig import House, house
from tests.null.scripted_runs import ScriptedRuns, scripted
from tests.null.test_agent_doors import Whole


@dataclass
class ServedHouse:
    """One that answers at `url`. `runs` are its scripted ones, None where they are real."""

    house: House
    runs: ScriptedRuns | None
    url: str
    loop: asyncio.AbstractEventLoop

    def link(self) -> str:
        """A one-time link to the page."""
        code, _ = self.house.authority.make_code()
        return f"{self.url}/#login={code}"

    def do(self, work: Any) -> Any:
        """Runs a coroutine on the application's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@contextmanager
def served(home: Path, whole: Whole | None = None) -> Iterator[ServedHouse]:
    """A house on a free port of this machine, in a thread of its own. `whole`: with real runs, not with scripted ones."""
    ready: queue.Queue[ServedHouse] = queue.Queue()
    made: list[ScriptedRuns] = []
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    async def main() -> None:
        async with house(home, agents=whole or scripted(made)) as found:
            if whole is not None:
                await whole.open()
            rooms = replace(found.rooms, hosts=(f"127.0.0.1:{port}",))
            config = uvicorn.Config(_quiet(build_app(rooms)), lifespan="off", log_config=None, access_log=False)
            server = uvicorn.Server(config)
            servers.append(server)
            ready.put(
                ServedHouse(found, made[0] if made else None, f"http://127.0.0.1:{port}", asyncio.get_running_loop())
            )
            await server.serve(sockets=[listening])
            await (made[0].die() if whole is None else whole.close())

    servers: list[uvicorn.Server] = []
    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    try:
        yield ready.get(timeout=30)
    finally:
        servers[0].should_exit = True
        thread.join(10)


def _quiet(app: Any) -> Any:
    async def quiet(scope: Any, receive: Any, send: Any) -> None:
        with suppress(ClientGone):
            await app(scope, receive, send)

    return quiet
