"""The pilot as a run of an agent asks it, in a daemon of the bench's own home.

Promises: the child is gone when the block is left. Does not cover: other models.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from homefire.daemon import Daemon
from homefire.daemon.agent_model import AgentModel
from homefire.paths import Paths
from homefire.server.answering import Answering
from homefire.server.listen import listen
from homefire.settings import Settings


@asynccontextmanager
async def pilot() -> AsyncIterator[AgentModel]:
    """The model, ready to be asked."""
    with tempfile.TemporaryDirectory(prefix="homefire-pilot-") as folder:
        (paths := Paths(Path(folder) / "home")).prepare()
        settings = Settings(port=0, threads=1)
        with listen(settings, paths) as listening:
            daemon = Daemon(paths, settings, listening)
            try:
                await daemon.open()
                answering = Answering(daemon.keeper, daemon.library, roles=daemon.roles.roles)
                yield AgentModel(answering, "pilot", daemon._window)
            finally:
                await daemon.close()
