"""Backups and checks of this home over HTTP, while it is in use.

Promises: needs the scope admin, and a backup a key; both are in the audit log; a client that leaves ends the work, and what it
had begun is removed; one of them at a time.
Does not cover: restore and salvage: they replace what the daemon has open (`homefire/rescue.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import InvalidRequest, Overloaded
from homefire.paths import Paths
from homefire.server.request import read_json, require_key, until_gone
from homefire.server.work_stream import Report, stream_work
from homefire.store.backup import Backup, Wishes, back_up
from homefire.store.check import Found, check_home

SMALL_BODY = 64 * 1024


class BackupBody(Closed, kw_only=True):
    target: Annotated[str, Meta(max_length=4096)] = ""
    secrets: bool = False
    copies: bool = False
    anyway: bool = False


class VerifyHomeBody(Closed, kw_only=True):
    blobs: bool = True


_backup, _verify = msgspec.json.Decoder(BackupBody), msgspec.json.Decoder(VerifyHomeBody)


class TrustRoutes:
    """Handlers of `/homefire/v1/backup` and `/homefire/v1/verify`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._busy = asyncio.Lock()

    async def backup(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/backup"""
        require_key(scope)  # it names a folder of this machine
        body = await read_json(scope, receive, SMALL_BODY, _backup)
        target = Path(body.target) if body.target else None
        if target is not None and not target.is_absolute():
            raise InvalidRequest("'target' is not an absolute path.", "Send the whole path.", param="target")
        scope["homefire.about"] = body.target
        wishes = Wishes(secrets=body.secrets, copies=body.copies, anyway=body.anyway)
        await self._alone(partial(back_up, Paths(self._home), target, wishes), Backup.shown, receive, send)

    async def verify(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/verify"""
        body = await read_json(scope, receive, SMALL_BODY, _verify)
        work = partial(check_home, Paths(self._home), blobs=body.blobs)
        await self._alone(lambda report: work(report=report), Found.shown, receive, send)

    async def _alone(
        self, work: Callable[[Report], Any], shape: Callable[[Any], Any], receive: Receive, send: Send
    ) -> None:
        if self._busy.locked():
            raise Overloaded("A backup or a check of this home is under way.", "Wait for it.")
        async with self._busy:
            await until_gone(stream_work(send, lambda report: asyncio.to_thread(work, report), shape), receive)
