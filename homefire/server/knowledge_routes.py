"""Knowledge over HTTP: folders taken in, looked at, searched, checked, removed.

Promises: whatever names a folder of this machine, or changes a collection, needs the scope admin; a key without it sees no path
of this machine, only paths inside of collections; a run goes on when its listener leaves.
Does not cover: doing any of it (`knowledge/`). Collections belong to the person: every key with the scope sees all of them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from homefire.dialects.strict import Closed
from homefire.errors import InvalidRequest, PackageMissing, UnknownCollection, from_envelope
from homefire.knowledge.duplicates import ALIKE
from homefire.knowledge.found import Found
from homefire.knowledge.ingest import Job
from homefire.knowledge.knowledge import MOST_LINES, Knowledge
from homefire.knowledge.search import MOST, Mode, Question
from homefire.server.model_routes import VerifyBody
from homefire.server.request import (
    principal_of,
    read_json,
    read_number,
    read_query,
    require_key,
    send_json,
    send_nothing,
    until_gone,
)
from homefire.server.work_stream import stream_states, stream_work
from homefire.store import DocumentRow, Filter

SMALL_BODY = 64 * 1024
MOST_DOCUMENTS = 1000
# Below this, texts are alike by chance.
LEAST_ALIKE = 0.3
STATES = ("", "read", "skipped", "failed")

Name = Annotated[str, Meta(min_length=1, max_length=200)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096)]
Short = Annotated[str, Meta(max_length=4096)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]


class IngestBody(Closed, kw_only=True):
    """`watch` null: as it is; `full`: read what did not change too; `follow`: stream the progress."""

    path: FilePath
    name: Name | None = None
    watch: bool | None = None
    full: bool = False
    follow: bool = True


class KeepFreshBody(Closed):
    watch: bool


class CopyBody(Closed, kw_only=True):
    """Where the file goes: a new one on this machine."""

    target: FilePath


class BringBody(Closed, kw_only=True):
    """A file that `export` wrote, on this machine; `name` null: as it was called there."""

    source: FilePath
    name: Name | None = None
    follow: bool = True


class NarrowBody(Closed, kw_only=True):
    """What a search is narrowed to; `path` is a glob, times in Unix seconds, 0: no bound."""

    collections: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    path: Short = ""
    kind: Short = ""
    language: Short = ""
    since: Seconds = 0
    until: Seconds = 0


class SearchBody(NarrowBody, kw_only=True):
    query: str
    mode: Mode = "all"
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 10
    literal: bool = False
    ignore_case: bool = True
    explain: bool = False
    rerank: bool = False


class _Nothing(Closed):
    pass


_ingest, _fresh = msgspec.json.Decoder(IngestBody), msgspec.json.Decoder(KeepFreshBody)
_verify, _search = msgspec.json.Decoder(VerifyBody), msgspec.json.Decoder(SearchBody)
_nothing = msgspec.json.Decoder(_Nothing)
_copy, _bring = msgspec.json.Decoder(CopyBody), msgspec.json.Decoder(BringBody)


class KnowledgeRoutes:
    """Handlers of `/homefire/v1/knowledge`. `room` None: the packages of the extra `knowledge` are missing."""

    def __init__(self, room: Knowledge | None, body_limit: int) -> None:
        self._given = room
        self._limit = body_limit

    # -- looking

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/knowledge"""
        rows = [_seen(scope, row) for row in await self._room.all()]
        await send_json(send, {"collections": rows})

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/knowledge/{name}"""
        await send_json(send, _seen(scope, await self._room.show(_name(scope))))

    async def documents(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/knowledge/{name}/documents"""
        query = read_query(scope, {"after", "limit", "state"})
        limit, state = int(read_number(query, "limit", 200, 1, MOST_DOCUMENTS)), query.get("state", "")
        if state not in STATES:
            raise InvalidRequest("'state' must be read, skipped or failed.", param="state")
        path, entry = _place(query.get("after", ""))
        rows = await self._room.documents(_name(scope), path, limit, state, entry)
        more = _mark(rows[-1]) if len(rows) == limit else None
        await send_json(send, {"documents": [document_json(row) for row in rows], "next": more})

    async def source(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/knowledge/{name}/source"""
        query = read_query(scope, {"path", "line", "count"})
        first, count = (
            int(read_number(query, *each)) for each in (("line", 1, 1, 1e12), ("count", 200, 1, MOST_LINES))
        )
        await send_json(send, asdict(await self._room.excerpt(_name(scope), query.get("path", ""), first, count)))

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/search"""
        body = await read_json(scope, receive, self._limit, _search)
        asked = Question(
            body.query,
            body.collections,
            body.mode,
            body.limit,
            narrowed(body),
            body.literal,
            body.ignore_case,
            judged=body.rerank,
        )
        room = self._room

        async def work() -> None:
            found = await room.find(asked)
            rows = [found_json(each, body.explain) for each in found.found]
            await send_json(send, {"results": rows, "notes": found.notes, "milliseconds": found.milliseconds})

        await until_gone(work(), receive)

    # -- taking in

    async def ingest(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/ingest"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _ingest)
        scope["homefire.about"] = body.path
        job = await self._room.ingest(Path(body.path), body.name, watch=body.watch, full=body.full)
        if not body.follow:
            await send_json(send, job.view(), 202)
            return
        await self._follow(scope, receive, send, job)

    async def jobs(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/knowledge/jobs"""
        await send_json(send, {"jobs": [_seen(scope, job.view()) for job in self._room.ingestion.jobs()]})

    async def follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/{name}/follow"""
        await read_json(scope, receive, SMALL_BODY, _nothing)
        name = _name(scope)
        await self._room.show(name)
        if (job := self._room.ingestion.job(name)) is None:
            raise UnknownCollection(f"Nothing was ingested into '{name}' since the daemon started.", _AGAIN)
        await self._follow(scope, receive, send, job)

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/{name}/cancel"""
        require_key(scope)
        await read_json(scope, receive, SMALL_BODY, _nothing)
        await send_json(send, (await self._room.ingestion.cancel(_name(scope))).view())

    async def keep_fresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PATCH /homefire/v1/knowledge/{name}"""
        require_key(scope)
        body = await read_json(scope, receive, SMALL_BODY, _fresh)
        await self._room.set_watch(_name(scope), body.watch)
        await send_json(send, await self._room.show(_name(scope)))

    async def verify(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/{name}/verify"""
        name, room = _name(scope), self._room
        mend = (await read_json(scope, receive, SMALL_BODY, _verify)).repair
        if mend:  # it reads the folder again
            require_key(scope)
        await room.show(name)
        work = stream_work(send, lambda report: room.verify(name, mend, report), _as_it_is)
        await until_gone(work, receive)

    async def duplicates(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /homefire/v1/knowledge/{name}/duplicates"""
        least = read_number(read_query(scope, {"least"}), "least", ALIKE, LEAST_ALIKE, 1)
        await send_json(send, {"pairs": await self._room.duplicates(_name(scope), least)})

    async def export(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/{name}/export"""
        name, room = _name(scope), self._room
        target = (await read_json(scope, receive, SMALL_BODY, _copy)).target
        scope["homefire.about"] = f"{name} to {target}"
        await room.show(name)
        work = stream_work(
            send, lambda report: room.export(name, Path(target), report), lambda size: {"target": target, "bytes": size}
        )
        await until_gone(work, receive)

    async def bring(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /homefire/v1/knowledge/import"""
        body = await read_json(scope, receive, SMALL_BODY, _bring)
        scope["homefire.about"] = body.source
        job = await self._room.import_(Path(body.source), body.name)
        if not body.follow:
            await send_json(send, job.view(), 202)
            return
        await self._follow(scope, receive, send, job)

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """DELETE /homefire/v1/knowledge/{name}"""
        require_key(scope)
        await self._room.remove(_name(scope))
        await send_nothing(send)

    async def _follow(self, scope: Scope, receive: Receive, send: Send, job: Job) -> None:
        async def end() -> dict[str, Any]:
            if job.error is not None:
                raise from_envelope({"error": job.error})
            return {"job": _seen(scope, job.view()), "collection": await self._after(scope, job)}

        states = self._room.ingestion.follow(job)
        await until_gone(stream_states(send, states, lambda view: _seen(scope, view), end), receive)

    async def _after(self, scope: Scope, job: Job) -> dict[str, Any] | None:
        try:
            return _seen(scope, await self._room.show(job.collection))
        except UnknownCollection:  # it was removed, which ended its run
            return None

    @property
    def _room(self) -> Knowledge:
        return room_of(self._given)


_AGAIN = "Look for changes now with: homefire ingest FOLDER"


def room_of(given: Knowledge | None) -> Knowledge:
    """The room. Raises PackageMissing where the packages of the extra are."""
    if given is None:
        raise PackageMissing(
            "Knowledge needs packages that are not installed.", "Install them: pip install 'homefire[knowledge]'"
        )
    return given


def narrowed(body: NarrowBody) -> Filter:
    """What a body narrows a search to."""
    return Filter(body.path, body.kind, body.language, body.since, body.until)


def found_json(found: Found, explain: bool) -> dict[str, Any]:
    """A result as it is shown."""
    row = asdict(found)
    if not explain:
        row.pop("why")
    return row


def document_json(row: DocumentRow) -> dict[str, Any]:
    """A document as it is listed: what was read, and what was not and why."""
    return {
        "path": row.shown,
        "kind": row.kind,
        "language": row.language,
        "title": row.title,
        "bytes": row.size,
        "modified": row.modified_ns / 1e9,
        "state": row.state,
        "code": row.code,
        "reason": row.reason,
    }


def _seen(scope: Scope, row: dict[str, Any]) -> dict[str, Any]:
    """A collection or a run as this caller may see it: where it lies on the disk is not for a key that only searches."""
    if principal_of(scope).owner is None:
        return row
    inner = {"job": _seen(scope, row["job"])} if row.get("job") else {}
    return {name: value for name, value in row.items() if name != "root"} | inner


def _mark(row: DocumentRow) -> str:
    """The place behind a document, for the next page."""
    return base64.urlsafe_b64encode(row.path + b"\0" + row.entry.encode()).decode()


def _place(mark: str) -> tuple[bytes, str]:
    try:
        path, _, entry = base64.b64decode(mark.encode(), b"-_", validate=True).partition(b"\0")
        return path, entry.decode()
    except (binascii.Error, UnicodeError):
        raise InvalidRequest("'after' is no place that a page ended with.", param="after") from None


def _as_it_is(value: dict[str, Any]) -> dict[str, Any]:
    return value


def _name(scope: Scope) -> str:
    return str(scope["path_params"]["name"])
