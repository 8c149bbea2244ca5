"""Memory over HTTP: blocks with their versions, facts with their sources, searches, one file out and in.

Promises: everything is of the key that asks, or of one that a key with admin names (`key`); an edit names the version that it was
made on; what is forgotten can be brought back.
Does not cover: what is remembered on its own (`daemon/remembering.py`), what an agent keeps (`agent/tools/memory.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import UnknownMemory
from homefire.memory.memory import LONGEST, MOST_QUERY, Block, Fact, Memory, Recalled, Source
from homefire.server.agent_routes import whose
from homefire.server.authority import Authority
from homefire.server.request import read_json, read_number, read_query, send_json, send_nothing

SMALL_BODY = 64 * 1024
MOST_FACTS, MOST_FOUND = 1000, 50
Number = Annotated[int, Meta(ge=0, le=1 << 53)]


class BlockBody(Closed, kw_only=True):
    """`version`: the one that was edited; 0 for a block that nobody has written yet."""

    version: Number
    text: Annotated[str, Meta(max_length=20_000)]


class OldBody(Closed, kw_only=True):
    version: Number


class FactBody(Closed, kw_only=True):
    """`message`: the id of the message in which `words` stand exactly; without it the words are the person's own, said now."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST)]
    words: Annotated[str, Meta(max_length=LONGEST)] = ""
    message: Annotated[str, Meta(max_length=200)] = ""
    confidence: Annotated[float, Meta(gt=0, le=1)] = 1.0
    expires_at: float | None = None


class RecallBody(Closed, kw_only=True):
    query: Annotated[str, Meta(min_length=1, max_length=MOST_QUERY)]
    k: Annotated[int, Meta(ge=1, le=MOST_FOUND)] = 5


class ForgetBody(Closed, kw_only=True):
    """`text`: what the fact says, or its number."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST)]


class NoBody(Closed, kw_only=True):
    pass


_block, _old = msgspec.json.Decoder(BlockBody), msgspec.json.Decoder(OldBody)
_fact, _recall = msgspec.json.Decoder(FactBody), msgspec.json.Decoder(RecallBody)
_forget, _nothing = msgspec.json.Decoder(ForgetBody), msgspec.json.Decoder(NoBody)
_file: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


class MemoryRoutes:
    """Handlers of `/homefire/v1/memory`."""

    def __init__(self, memory: Memory, authority: Authority, body_limit: int) -> None:
        self._memory, self._authority, self._limit = memory, authority, body_limit

    async def blocks(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/memory/blocks"""
        found = await self._memory.blocks(await self._whose(scope))
        await send_json(send, {"blocks": [block_json(each) for each in found]})

    async def edit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PUT /homefire/v1/memory/blocks/{name}"""
        key, body = await self._whose(scope), await read_json(scope, receive, SMALL_BODY * 2, _block)
        await send_json(send, block_json(await self._memory.edit(key, _name(scope), body.version, body.text)))

    async def versions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/memory/blocks/{name}/versions"""
        found = await self._memory.versions(await self._whose(scope), _name(scope))
        await send_json(send, {"versions": [block_json(each) for each in found]})

    async def restore(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/memory/blocks/{name}/restore"""
        key, body = await self._whose(scope), await read_json(scope, receive, SMALL_BODY, _old)
        await send_json(send, block_json(await self._memory.restore(key, _name(scope), body.version)))

    async def facts(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/memory/facts"""
        query = read_query(scope, {"limit", "key"})
        limit = int(read_number(query, "limit", 100, 1, MOST_FACTS))
        found = await self._memory.facts(await whose(self._authority, scope, query.get("key")), limit)
        await send_json(send, {"facts": [fact_json(each) for each in found]})

    async def add(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/memory/facts"""
        key, body = await self._whose(scope), await read_json(scope, receive, SMALL_BODY, _fact)
        words = body.words or body.text
        source = Source("message", body.message, words) if body.message else Source("person", "said", words)
        kept = await self._memory.remember(
            body.text, source, key=key, confidence=body.confidence, expires=body.expires_at
        )
        await send_json(send, fact_json(kept), 201)

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/memory/facts/{id}"""
        await send_json(send, fact_json(await self._memory.fact(_number(scope), await self._whose(scope))))

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/memory/facts/{id}"""
        await self._memory.forget(str(_number(scope)), key=await self._whose(scope))
        await send_nothing(send)

    async def bring_back(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/memory/facts/{id}/restore"""
        key = await self._whose(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        await send_json(send, fact_json(await self._memory.undo(key, _number(scope))))

    async def forget(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/memory/forget"""
        key, body = await self._whose(scope), await read_json(scope, receive, SMALL_BODY, _forget)
        gone = await self._memory.forget(body.text, key=key)
        await send_json(send, {"forgotten": [fact_json(each) for each in gone]})

    async def undo(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/memory/undo"""
        key = await self._whose(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        await send_json(send, fact_json(await self._memory.undo(key)))

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/memory/search"""
        key, body = await self._whose(scope), await read_json(scope, receive, SMALL_BODY, _recall)
        found = await self._memory.recall(body.query, key=key, k=body.k)
        await send_json(send, {"results": [recalled_json(each) for each in found]})

    async def export(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/memory/export"""
        await send_json(send, await self._memory.export(await self._whose(scope)))

    async def bring(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/memory/import"""
        key, body = await self._whose(scope), await read_json(scope, receive, self._limit, _file)
        await send_json(send, await self._memory.bring(body, key=key))

    async def _whose(self, scope: Scope) -> str:
        return await whose(self._authority, scope, read_query(scope, {"key"}).get("key"))


def block_json(block: Block) -> dict[str, Any]:
    """A block as it goes over the wire."""
    return asdict(block)


def fact_json(fact: Fact) -> dict[str, Any]:
    """A fact as it goes over the wire."""
    sources = [{name: getattr(each, name) for name in ("kind", "place", "words", "at")} for each in fact.sources]
    kept = ("id", "text", "negative", "confidence", "label", "at", "expires_at", "replaced_by", "forgotten_at", "seen")
    return {**{name: getattr(fact, name) for name in kept}, "sources": sources, "links": list(fact.links)}


def recalled_json(one: Recalled) -> dict[str, Any]:
    """What was found as it goes over the wire."""
    kept = ("kind", "place", "thread", "role", "text", "at", "score", "replaced", "label")
    return {**{name: getattr(one, name) for name in kept}, "why": dict(one.why)}


def _name(scope: Scope) -> str:
    return str(scope["path_params"]["name"])


def _number(scope: Scope) -> int:
    given = str(scope["path_params"]["id"])
    if not given.isascii() or not given.isdecimal() or len(given) > 15:
        raise UnknownMemory(f"Memory has no fact '{given[:40]}'.")
    return int(given)
