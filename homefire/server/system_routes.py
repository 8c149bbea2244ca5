"""Health, login and status over HTTP.

Promises: a login's token is only ever in the cookie's header.
Does not cover: keys (`key_routes.py`), models (`model_routes.py`), conversations, OpenAI's routes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

import homefire
from homefire.dialects.strict import Closed
from homefire.hardware import detect, process_memory
from homefire.residency import Keeper
from homefire.server.authority import SESSION_SECONDS, Authority
from homefire.server.request import read_json, require_key, send_json, send_nothing

SMALL_BODY = 64 * 1024


class LoginBody(Closed):
    code: Annotated[str, Meta(max_length=200)]


_login = msgspec.json.Decoder(LoginBody)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this daemon is. `default_model` names the model that answers now when a request names none; `unready` gives the
    reasons why it cannot serve, none if it can; `elsewhere` are the addresses for other machines."""

    url: str
    home: Path
    default_model: Callable[[], str]
    started: float
    unready: Callable[[], list[str]]
    elsewhere: tuple[str, ...] = ()

    @property
    def tls(self) -> bool:
        """Whether its own address speaks TLS."""
        return self.url.startswith("https:")


class SystemRoutes:
    """Handlers of everything about the daemon itself."""

    def __init__(
        self,
        identity: Identity,
        authority: Authority,
        keeper: Keeper,
        crashes: Callable[[], dict[str, int]] = dict,
    ) -> None:
        self._identity = identity
        self._authority = authority
        self._keeper = keeper
        self._crashes = crashes
        self._secure = "; Secure" if identity.tls else ""

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /healthz"""
        await send_json(send, {"alive": True})

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /readyz"""
        reasons = self._identity.unready()
        await send_json(send, {"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def login(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/login"""
        body = await read_json(scope, receive, SMALL_BODY, _login)
        token = await self._authority.login(body.code)
        age = int(SESSION_SECONDS)
        cookie = f"{self._authority.cookie}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{self._secure}"
        await send_nothing(send, [(b"set-cookie", cookie.encode())])

    async def logout(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/logout"""
        await self._authority.logout({"cookie": _header(scope, b"cookie")})
        cookie = f"{self._authority.cookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{self._secure}"
        await send_nothing(send, [(b"set-cookie", cookie.encode())])

    async def link(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/links"""
        require_key(scope)
        code, expires_at = self._authority.make_code()
        own, *others = (f"{at}/#login={code}" for at in (self._identity.url, *self._identity.elsewhere))
        await send_json(send, {"url": own, "elsewhere": others, "expires_at": expires_at})

    async def status(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/status"""
        residents, waiting = self._keeper.view()
        machine = detect()
        models = [
            {
                "name": resident.name,
                "state": resident.state,
                "leases": resident.leases,
                "memory_bytes": process_memory(resident.pid) if resident.pid is not None else 0,
                "restarts": resident.restarts,
            }
            for resident in residents
        ]
        now = time.time()
        await send_json(
            send,
            {
                "version": homefire.__version__,
                "pid": os.getpid(),
                "started_at": self._identity.started,
                "uptime_s": round(now - self._identity.started, 1),
                "url": self._identity.url,
                "elsewhere": self._identity.elsewhere,
                "auth": "off" if self._authority.off else "on",
                "tls": self._identity.tls,
                "home": str(self._identity.home),
                "machine": machine,
                "memory_bytes": process_memory(os.getpid()),
                "models": models,
                "waiting": waiting,
                "restarts": self._crashes(),
            },
        )


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
