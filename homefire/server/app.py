"""The ASGI application: the table of routes, the router, and the door in front of it.

Promises: `build_app` opens nothing; everything it needs is handed in.
Does not cover: listening and lifetime (`daemon.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

import homefire
from homefire.dialects.openai import ChatBody, CompletionBody, EmbeddingBody
from homefire.errors import MethodNotAllowed
from homefire.models import Library
from homefire.residency import Keeper
from homefire.server import conversation_routes as talk
from homefire.server import system_routes as system
from homefire.server.authority import Authority
from homefire.server.description import Handler, RouteRow, docs_page, openapi
from homefire.server.door import Door
from homefire.server.openai_routes import OpenAIRoutes
from homefire.server.page import Page
from homefire.server.request import send_bytes, send_json
from homefire.store import Conversations

STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the server needs of the rooms below. `hosts` are the accepted Host values, `body_limit` is in bytes."""

    identity: system.Identity
    authority: Authority
    keeper: Keeper
    library: Library
    conversations: Conversations
    hosts: tuple[str, ...]
    body_limit: int


def build_app(rooms: Rooms) -> ASGIApp:
    """The whole application."""
    page = Page()
    rows = route_table(rooms)
    methods: dict[str, dict[str, Handler]] = {}
    for row in rows:
        methods.setdefault(row.path, {})[row.method] = row.handler
    routes = [Route(path, endpoint=_Methods(handlers)) for path, handlers in methods.items()]
    router = Router([*routes, Route("/{rest:path}", endpoint=page)])
    return Door(router, rooms.authority, rooms.hosts, page.routes)


def route_table(rooms: Rooms) -> list[RouteRow]:
    """Every route, the token path first: the router tries them in order."""
    model = rooms.identity.default_model
    v1 = OpenAIRoutes(rooms.keeper, rooms.library, model, rooms.body_limit, rooms.identity.started)
    chats = talk.ConversationRoutes(rooms.conversations, rooms.keeper, rooms.library, model, rooms.body_limit)
    own = system.SystemRoutes(rooms.identity, rooms.authority, rooms.keeper, rooms.library)
    docs = _Docs()
    at = "/homefire/v1"
    one = f"{at}/conversations/{{id}}"
    rows = [
        RouteRow("POST", "/v1/chat/completions", "Chat, streamed or not", v1.chat, ChatBody),
        RouteRow("POST", "/v1/completions", "Plain completion, streamed or not", v1.completion, CompletionBody),
        RouteRow("POST", "/v1/embeddings", "Embeddings of texts", v1.embeddings, EmbeddingBody),
        RouteRow("GET", "/v1/models", "The installed models", v1.models),
        RouteRow("GET", "/v1/models/{model}", "One installed model", v1.model),
        RouteRow("GET", "/healthz", "Whether the daemon lives; open without a key", own.health),
        RouteRow("GET", "/readyz", "Whether the daemon can serve", own.ready),
        RouteRow(
            "POST",
            f"{at}/login",
            "Trade a one-time code for the page's cookie",
            own.login,
            system.LoginBody,
            status=204,
        ),
        RouteRow("POST", f"{at}/logout", "End the page's login", own.logout, status=204),
        RouteRow("POST", f"{at}/links", "Make a one-time link to the page", own.link),
        RouteRow("GET", f"{at}/status", "What runs here", own.status),
        RouteRow("GET", f"{at}/models", "The installed models, in detail", own.models),
        RouteRow("POST", f"{at}/models/import", "Add a GGUF file", own.import_model, system.ImportBody, STREAM),
        RouteRow("DELETE", f"{at}/models/{{name}}", "Remove a model", own.remove_model, status=204),
        RouteRow("GET", f"{at}/keys", "Names of the keys", own.keys),
        RouteRow("POST", f"{at}/keys", "Make a key; it is shown once", own.add_key, system.KeyBody, status=201),
        RouteRow("DELETE", f"{at}/keys/{{name}}", "Revoke a key", own.revoke_key, status=204),
        RouteRow("GET", f"{at}/conversations", "Conversations, newest first; q, limit, before", chats.list),
        RouteRow("POST", f"{at}/conversations", "Begin a conversation", chats.create, talk.NewConversation, status=201),
        RouteRow("GET", one, "A conversation with its messages", chats.get),
        RouteRow("PATCH", one, "Change title, model or system prompt", chats.change, talk.ConversationChange),
        RouteRow("DELETE", one, "Delete; can be undone for ten minutes", chats.delete, status=204),
        RouteRow("POST", f"{one}/restore", "Undo a deletion", chats.restore),
        RouteRow("POST", f"{one}/messages", "Say something and stream the answer", chats.ask, talk.Question, STREAM),
        RouteRow("POST", f"{one}/messages/{{message_id}}/regenerate", "Answer again", chats.again, talk.Again, STREAM),
        RouteRow("GET", "/openapi.json", "This description", docs.description),
        RouteRow("GET", "/docs", "This description for people", docs.page, answer="text/html"),
    ]
    docs.rows = rows
    return rows


class _Docs:
    """The description of the routes it is one of."""

    def __init__(self) -> None:
        self.rows: list[RouteRow] = []
        self._made: dict[str, Any] | None = None

    async def description(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, self._description())

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_bytes(send, docs_page(self._description()), b"text/html; charset=utf-8")

    def _description(self) -> dict[str, Any]:
        if self._made is None:
            self._made = openapi(self.rows, homefire.__version__)
        return self._made


class _Methods:
    """The handlers of one path by method. Raises MethodNotAllowed, which names the allowed ones."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if handler is None:
            allowed = ", ".join(sorted(self._handlers))
            raise MethodNotAllowed(f"{scope['path'][:200]} does not take {scope['method']}.", f"Use {allowed}.")
        await handler(scope, receive, send)
