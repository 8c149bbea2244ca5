"""One server under our supervision: started, asked what it has, called, started again.

    starting -> ready -> (ended, flooded, does not answer) -> resting, by `Backoff` -> starting
       \\-> resting                                        close() from anywhere -> closed

| call    | blocks                                            | never                                          |
|---------|---------------------------------------------------|------------------------------------------------|
| open()  | no                                                | waits for the server                           |
| call()  | until it answers; waits `START_SECONDS` for ready | calls a tool that is not the one that was shown |
| close() | until no process of it is there                   | leaves a call waiting                          |

Promises: what a server has is looked at after every start and every word of a change, and handed on before the next call goes
out; a call ends with one Outcome or one McpFailed, whatever the server does; a server that ends again and again rests.
Does not cover: what may be called (`safety/boundary.py`), how long a call may take (`effects.py` cancels it), which there are
(`servers.py`).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import homefire
from homefire.agent.mcp.described import Found, described
from homefire.agent.mcp.wire import Pipes
from homefire.agent.tool import Outcome
from homefire.errors import HomefireError, McpFailed
from homefire.safety.boundary import ToolSpec
from homefire.supervision.backoff import Backoff

if TYPE_CHECKING:
    from mcp import Client

log = logging.getLogger("homefire.agent")

START_SECONDS = 20.0
LIST_SECONDS = 10.0
MOST_PAGES = 20
# What it printed last is on its way when it has ended.
LAST_WORDS_SECONDS = 0.05
# Words of a change that come faster than this are one.
CHANGE_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Target:
    """What a server is: a program with its arguments and environment, or an address with a key. `environment` and `key` are
    secrets; `folder` is where the program runs."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    folder: Path = Path()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: str = field(default="", repr=False)

    def maker(self) -> str:
        """What a tool of it is run by, for its pin: reads the program's file. Raises McpFailed if that cannot be read."""
        if self.url:
            return f"mcp {self.url}"
        files = []
        for part in self.command:
            path = Path(part)
            if path.is_absolute() and path.is_file():  # the program, and a script that it is given
                try:
                    with path.open("rb") as opened:
                        files.append(hashlib.file_digest(opened, "sha256").hexdigest())
                except OSError as problem:
                    raise McpFailed(f"{part} cannot be read: {problem.strerror}.") from None
        return f"mcp {list(self.command)!r} {' '.join(files)}"


class Session:
    """See the module's text. `heard(session)` is called when what it has was looked at; used on one event loop."""

    def __init__(self, target: Target, heard: Callable[[Session], None], *, backoff: Backoff | None = None) -> None:
        self.target = target
        self.state = "starting"
        self.why = ""
        self.protocol = ""
        self.found: list[Found] = []
        self.looked = 0
        self._heard = heard
        self._backoff = backoff or Backoff()
        self._client: Client | None = None
        self._pipes: Pipes | None = None
        self._ready = asyncio.Event()
        self._settled = asyncio.Event()
        self._changed = asyncio.Event()
        self._broken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The program's process, 0 if there is none now."""
        return self._pipes.pid if self._pipes is not None and not self._pipes.gone.is_set() else 0

    def open(self) -> None:
        """Begins to keep it running."""
        self._task = asyncio.ensure_future(self._keep())

    async def close(self) -> None:
        """Ends it; calls that wait fail."""
        self.state = "closed"
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def settled(self, seconds: float) -> None:
        """Returns when it is ready or rests, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settled.wait()

    async def call(self, name: str, arguments: Mapping[str, Any], pin: str) -> Outcome:
        """Calls the tool that has this pin. Raises McpFailed."""
        client = await self._at_hand()
        spec = next((each.spec for each in self.found if each.name == name and each.spec is not None), None)
        if spec is None or spec.pin != pin:
            raise McpFailed(
                f"'{self.target.name}.{name}' is not what it was, or is gone.",
                f"Look at it, then: homefire mcp approve {self.target.name}",
            )
        if self._pipes is not None:
            self._pipes.unasked = 0
        broken = self._broken
        asked = asyncio.ensure_future(self._ask(client, name, arguments))
        ended = asyncio.ensure_future(broken.wait())
        try:
            await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise McpFailed(f"The MCP server '{self.target.name}' ended in mid-call. {self._said()}")
            return asked.result()
        finally:
            for task in (asked, ended):
                task.cancel()
            await asyncio.wait({asked, ended})
            if not asked.cancelled():
                asked.exception()  # read, so that nobody is told that it was not

    async def _at_hand(self) -> Client:
        """The client, once what it has was looked at after the last change."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready.wait()
                if self._pipes is not None and self._pipes.gone.is_set():  # and nobody has seen it yet
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            raise McpFailed(f"The MCP server '{self.target.name}' is {self.state}. {self._said()}") from None
        if self._client is None:
            raise McpFailed(f"The MCP server '{self.target.name}' is {self.state}. {self._said()}")
        return self._client

    async def _ask(self, client: Client, name: str, arguments: Mapping[str, Any]) -> Outcome:
        from mcp.shared.exceptions import MCPError
        from mcp_types import CONNECTION_CLOSED, CallToolRequest, CallToolRequestParams, CallToolResult

        # Not `client.call_tool`: that runs patterns of the server's own schema over its own answer, on this thread.
        request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=dict(arguments)))
        try:
            result = await client.session.send_request(request, CallToolResult)
        except MCPError as problem:
            if problem.error.code == CONNECTION_CLOSED and (self._pipes is None or self._pipes.gone.is_set()):
                await asyncio.sleep(LAST_WORDS_SECONDS)
                said = self._said()
                self._broken.set()
                raise McpFailed(f"The MCP server '{self.target.name}' ended in mid-call. {said}".strip()) from None
            return Outcome("error", f"The server says: {problem.error.message}", "mcp_failed")
        except HomefireError:
            raise
        except Exception as problem:  # whatever a package makes of a hostile answer is this call's end
            log.info("the MCP server '%s' answered what cannot be used: %r", self.target.name, problem)
            said = f"The MCP server '{self.target.name}' answered what cannot be used ({type(problem).__name__})."
            raise McpFailed(f"{said} {self._said()}".strip()) from None
        return outcome_of(result)

    def _said(self) -> str:
        why = self._pipes.why if self._pipes is not None and self._pipes.why else self.why
        error = self._pipes.error.strip().splitlines()[-1:] if self._pipes is not None else []
        return f"{why}{f' It last said: {error[0][:200]}' if error else ''}".strip()

    async def _keep(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self._live()
            except HomefireError as problem:
                self.why = problem.message
            except TimeoutError:
                self.why = f"It did not say within {START_SECONDS:g} s what it has."
            except Exception as problem:  # a package over a hostile server: it rests, and its log says why
                log.info("the MCP server '%s' failed: %r", self.target.name, problem)
                self.why = f"It does not speak the protocol ({type(_first(problem)).__name__})."
            finally:
                self._client, self.state = None, "closed" if self.state == "closed" else "resting"
                self._ready.clear()
                self._broken.set()
            self.why = self._said()
            self._settled.set()
            now = time.monotonic()
            self._backoff.crashed(now, now - began)
            await asyncio.sleep(self._backoff.wait(now))

    async def _live(self) -> None:
        """One life of it: ends when it does."""
        self.state = "starting"
        await asyncio.to_thread(importlib.import_module, "mcp")  # half a second that nobody else shall wait
        from mcp import Client
        from mcp_types import Implementation

        self._broken, self._changed = asyncio.Event(), asyncio.Event()
        maker = await asyncio.to_thread(self.target.maker)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(START_SECONDS):
                client = await stack.enter_async_context(
                    Client(
                        await self._transport(stack), client_info=Implementation(name="homefire", version=homefire.__version__),
                        message_handler=self._hear, cache=None,
                    )
                )  # fmt: skip
                self.protocol = client.protocol_version
                await self._look(client, maker)
            self._client, self.state, self.why = client, "ready", ""
            self._ready.set()
            self._settled.set()
            listening = asyncio.ensure_future(self._listen(client))
            try:
                await self._watch(client, maker)
            finally:
                self._client = None
                self._ready.clear()
                self._broken.set()
                listening.cancel()
                await asyncio.wait({listening})

    async def _transport(self, stack: AsyncExitStack) -> Any:
        if not self.target.url:
            self._pipes = Pipes(self.target.command, self.target.environment, self.target.folder)
            return self._pipes.transport()
        from mcp.client.streamable_http import streamable_http_client

        from homefire.agent.mcp.web import bounded_client

        http = await stack.enter_async_context(bounded_client(self.target.key))
        return streamable_http_client(self.target.url, http_client=http)

    async def _look(self, client: Client, maker: str) -> None:
        """Asks what it has, and hands it on."""
        from mcp_types import ListToolsRequest, ListToolsResult, PaginatedRequestParams

        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            request = ListToolsRequest(params=PaginatedRequestParams(cursor=cursor))
            page = await client.session.send_request(request, ListToolsResult, LIST_SECONDS)
            tools += [each.model_dump(by_alias=True, mode="json", exclude_none=True) for each in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
        self.found = described(self.target.name, maker, tools)
        self.looked += 1
        self._heard(self)

    async def _watch(self, client: Client, maker: str) -> None:
        gone = self._pipes.gone if self._pipes is not None else self._broken
        while True:
            waiting = [asyncio.ensure_future(each.wait()) for each in (gone, self._broken, self._changed)]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()
            if gone.is_set() or self._broken.is_set():
                return
            self._ready.clear()  # no call goes out until it is known what there is now
            await asyncio.sleep(CHANGE_PAUSE)
            self._changed.clear()
            await self._look(client, maker)
            self._ready.set()

    async def _hear(self, message: Any) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(getattr(message, "root", message), ToolListChangedNotification):
            self._changed.set()

    async def _listen(self, client: Client) -> None:
        """Words of a change come as a stream of its own from servers of the newest protocol."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
            return
        while True:
            with contextlib.suppress(Exception):  # of a stream that ended: it is looked at anew, and listened to again
                async with client.listen(tools_list_changed=True) as words:
                    async for _ in words:
                        self._changed.set()
            await asyncio.sleep(START_SECONDS)
            self._changed.set()


def outcome_of(result: Any) -> Outcome:
    """What a server's answer comes to: its texts, or the one thing that is no text. `result` is a CallToolResult."""
    texts, things = list[str](), list[bytes]()
    for block in result.content:
        kind = block.type
        if kind == "text":
            texts.append(block.text)
        elif kind in ("image", "audio"):
            with contextlib.suppress(ValueError):
                things.append(base64.b64decode(block.data, validate=True))
            texts.append(f"[{kind}, {block.mime_type}]")
        elif kind == "resource":
            texts.append(str(getattr(block.resource, "text", "") or f"[{block.resource.uri}]"))
        else:
            texts.append(f"[{kind}: {getattr(block, 'uri', '')}]")
    if not result.content and result.structured_content is not None:
        import json

        texts.append(json.dumps(result.structured_content, ensure_ascii=False))
    if len(things) == 1 and len(texts) == 1 and not result.is_error:
        return Outcome("ok", things[0])
    text = "\n".join(texts)
    if result.is_error:
        return Outcome("error", text or "The server says that it failed.", "tool_failed")
    return Outcome("ok" if text.strip() else "empty", text)


def specs(found: Sequence[Found]) -> list[ToolSpec]:
    """Those that can be offered."""
    return [each.spec for each in found if each.spec is not None]


def _first(problem: BaseException) -> BaseException:
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem
