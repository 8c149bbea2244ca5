"""The MCP servers that a person added, and their tools: who they are, that they run, and what of them is declared.

Promises: one owner of what is stored and what runs; secrets stand where the setting `secrets` says, and go to their own server
only; a tool that is gone is declared no more, one that changed is declared as it is now, and its grant no longer counts.
Lives on the event loop's thread; `open()` before use.
Does not cover: grants (`safety/boundary.py`), one server's life (`session.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from homefire.agent.mcp.described import Found
from homefire.agent.mcp.session import Session, Target
from homefire.agent.tool import Context, Outcome, Tool
from homefire.errors import (
    AddressRefused,
    BadSource,
    HomefireError,
    InvalidRequest,
    McpServerExists,
    PackageMissing,
    UnknownMcpServer,
)
from homefire.models.origin import check_url
from homefire.paths import from_os, make_private_folder
from homefire.safety.boundary import ToolSpec
from homefire.settings import Secrets
from homefire.store import McpServerRow, McpServers

MOST_SERVERS = 32
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# What a program needs to run at all; nothing else of the daemon's environment is handed on.
INHERITED = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "USERPROFILE",
)  # fmt: skip


class Declared(Protocol):
    """Where the tools of servers are put beside the others (`daemon/agents.py`)."""

    def add_tools(self, tools: Iterable[Tool]) -> None: ...
    def remove_tools(self, names: Iterable[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class ServerView:
    """A server as it is shown. `state`: starting, ready, resting, closed; `why` it does not run; `passed` are names only."""

    name: str
    command: tuple[str, ...]
    url: str
    passed: tuple[str, ...]
    has_key: bool
    state: str
    why: str
    protocol: str
    pid: int
    tools: tuple[Found, ...]
    added_at: float


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool of a server as it was shown. One that only reads may be called again after a crash; of any other nobody knows."""

    spec: ToolSpec
    idempotent: bool
    server: str
    name: str
    servers: Servers

    async def run(self, arguments: Mapping[str, Any], context: Context) -> Outcome:
        """Calls it. Raises McpFailed."""
        return await self.servers.call(self.server, self.name, arguments, self.spec.pin)


class Servers:
    """See the module's text. `folder` is where each program's own folder lies."""

    def __init__(self, rows: McpServers, secrets: Secrets, folder: Path, declared: Declared) -> None:
        self._stored = rows
        self._secrets = secrets
        self._folder = folder
        self._declared = declared
        self._rows: dict[str, McpServerRow] = {}
        self._sessions: dict[str, Session] = {}
        self._offered: dict[str, dict[str, str]] = {}
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Begins to start them; waits for none."""
        self._rows = {row.name: row for row in await self._stored.all()}
        for row in self._rows.values():
            await self._begin(row)

    async def close(self) -> None:
        """Ends them all."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))
        self._sessions.clear()

    def views(self) -> list[ServerView]:
        """All of them, by name."""
        return [self.view(name) for name in sorted(self._rows)]

    def view(self, name: str) -> ServerView:
        """One. Raises UnknownMcpServer."""
        row, session = self._row(name), self._sessions.get(name)
        try:
            has_key = bool(self._secrets.read(_secret(name)))
        except HomefireError:  # the file is bad: starting says so, a list must not fail over it
            has_key = False
        if session is None:
            why = "Its secrets or its folder cannot be read."
            return ServerView(name, row.command, row.url, row.passed, has_key, "resting", why, "", 0, (), row.added_at)
        return ServerView(
            name, row.command, row.url, row.passed, has_key, session.state, session.why, session.protocol, session.pid,
            tuple(session.found), row.added_at,
        )  # fmt: skip

    async def settled(self, name: str, seconds: float) -> ServerView:
        """The view once it is known what it has, or what is wrong with it, or after so many seconds."""
        session = self._sessions.get(name)
        if session is not None:
            await session.settled(seconds)
        return self.view(name)

    async def add(
        self,
        name: str,
        command: Sequence[str] = (),
        url: str = "",
        *,
        environment: Mapping[str, str] | None = None,
        key: str = "",
    ) -> None:
        """Adds a server and starts it; none of its tools is granted. Raises InvalidRequest, AddressRefused, McpServerExists,
        PackageMissing."""
        need_package()
        given = dict(environment or {})
        _check(name, command, url, given, key)
        program = [_program(command[0]), *command[1:]] if command else []
        async with self._turn:
            if name in self._rows:
                raise McpServerExists(f"There is an MCP server named '{name}' already.", param="name")
            if len(self._rows) >= MOST_SERVERS:
                raise InvalidRequest(f"There are {MOST_SERVERS} MCP servers already.", "Remove one first.")
            if secret := json.dumps(given) if given else key:
                await self._keep(name, secret)
            row = McpServerRow(name, tuple(program), _address(url) if url else "", tuple(sorted(given)), time.time())
            await self._stored.add(row)
            self._rows[name] = row
            await self._begin(row)

    async def remove(self, name: str) -> None:
        """Ends a server and forgets it, its secrets too. Raises UnknownMcpServer."""
        async with self._turn:
            self._row(name)
            await self._stored.remove(name)
            self._rows.pop(name)
            session = self._sessions.pop(name, None)
            if session is not None:
                await session.close()
            self._declared.remove_tools(self._offered.pop(name, {}))
            await self._keep(name, "")
            await asyncio.to_thread(shutil.rmtree, self._folder / name, ignore_errors=True)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], pin: str) -> Outcome:
        """Calls a tool as it was shown. Raises McpFailed, UnknownMcpServer."""
        session = self._sessions.get(server)
        if session is None:
            raise UnknownMcpServer(f"There is no MCP server '{server}' any more.")
        return await session.call(tool, arguments, pin)

    async def _begin(self, row: McpServerRow) -> None:
        try:
            secret = await asyncio.to_thread(self._secrets.read, _secret(row.name))
            folder = self._folder / row.name
            if row.command:
                await asyncio.to_thread(make_private_folder, folder)
        except HomefireError:  # the others start all the same; the view says so
            return
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment = {**inherited, **(json.loads(secret) if row.passed and secret else {})}
        key = "" if row.command else secret
        session = Session(Target(row.name, row.command, row.url, folder, environment, key), self._heard)
        self._sessions[row.name] = session
        session.open()

    def _heard(self, session: Session) -> None:
        name = session.target.name
        if self._sessions.get(name) is not session:
            return
        now = {each.spec.name: each for each in session.found if each.spec is not None}
        before = self._offered.get(name, {})
        self._declared.remove_tools(each for each in before if each not in now)
        tools = [
            RemoteTool(each.spec, each.read_only, name, each.name, self)
            for each in now.values()
            if each.spec is not None and before.get(each.spec.name) != each.spec.pin
        ]
        self._declared.add_tools(tools)
        self._offered[name] = {each: found.spec.pin for each, found in now.items() if found.spec is not None}

    async def _keep(self, name: str, secret: str) -> None:
        try:
            await asyncio.to_thread(self._secrets.write, _secret(name), secret)
        except OSError as problem:
            raise from_os(problem, self._secrets.where) from None

    def _row(self, name: str) -> McpServerRow:
        row = self._rows.get(name)
        if row is None:
            raise UnknownMcpServer(f"There is no MCP server '{name[:80]}'.", param="name")
        return row


def need_package() -> None:
    """Raises PackageMissing without the extra `mcp`."""
    import importlib.util

    if importlib.util.find_spec("mcp") is None:
        raise PackageMissing("MCP needs the package 'mcp'.", "Install it: pip install 'homefire[mcp]'")


def _secret(name: str) -> str:
    return f"mcp/{name}"  # no far engine has a slash in its name


def _check(name: str, command: Sequence[str], url: str, environment: Mapping[str, str], key: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"Not a server's name: {name[:80]!r}", "Use lower-case letters, digits, dashes and underscores, at most 32.",
            param="name",
        )  # fmt: skip
    if bool(command) == bool(url):
        raise InvalidRequest("A server is a command or an address: one of the two.", param="command")
    if (environment and url) or (key and command):
        raise InvalidRequest("A command takes an environment, an address takes a key.", param="environment")
    if any("\0" in part for part in command):
        raise InvalidRequest("A command holds no zero byte.", param="command")
    for variable, value in environment.items():
        if not VARIABLE.fullmatch(variable) or "\0" in value:
            raise InvalidRequest(f"Not a variable of an environment: {variable[:80]!r}", param="environment")
    if key and not (key.isascii() and key.isprintable() and key == key.strip()):
        raise InvalidRequest("A key is one line of printable ASCII.", param="key")
    if len(json.dumps(environment)) > 4000:
        raise InvalidRequest("The environment is larger than 4,000 characters.", param="environment")


def _program(given: str) -> str:
    """The program's full path, so that a later one of its name earlier in PATH is never run. Raises InvalidRequest."""
    found = shutil.which(given) if given else None
    if found is None:
        raise InvalidRequest(f"There is no program '{given[:200]}' here.", "Give its whole path.", param="command")
    return str(Path(found).absolute())


def _address(url: str) -> str:
    try:
        return check_url(url)
    except AddressRefused as problem:
        raise AddressRefused(problem.message, "Use https, or an ssh tunnel to this machine.", param="url") from None
    except BadSource:
        raise InvalidRequest(
            "That is no web address.",
            "Give one such as http://127.0.0.1:8000/mcp or https://host.example/mcp",
            param="url",
        ) from None
