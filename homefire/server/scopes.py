"""What a key may do: scopes, limits, principals, and the one table that says which scope opens which route.

    chat       answers in every dialect, embeddings, conversations (a key without admin sees those that it began)
    models     what is installed and in memory: fetch, remove, load; sensors and counts
    knowledge  searching what was ingested, and reading it: every collection
    agent      runs of agents: those that this key began, with what is granted to it; the memory of this key
    tools      a yes to what an agent of this key wants to do
    processes  a room to come; no route needs it yet
    admin      keys, links, engines elsewhere, files of this machine, the audit log; and everything above

Promises: pure; rights come from this table and from what is stored of a key, never from a request; a route that is not in the
table needs admin.
Does not cover: who somebody is (`authority.py`), how much a key may ask for at once (`limiter.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from homefire.errors import InvalidRequest, KeyNeeded, MissingScope

SCOPES = ("chat", "models", "knowledge", "agent", "tools", "processes", "admin")
# Any one of these scopes is enough; none at all: admin.
Needs = tuple[str, ...]
ALL = frozenset(SCOPES)
# The page's login: what needs a key is beyond it, whatever script got into the page.
PAGE = ALL - {"admin"}
CHAT: Needs = ("chat",)
MODELS: Needs = ("models",)
KNOWLEDGE: Needs = ("knowledge",)
AGENT: Needs = ("agent",)
TOOLS: Needs = ("tools",)
EITHER: Needs = ("chat", "models")
ANYBODY: Needs = SCOPES
ADMIN: Needs = ("admin",)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one key: requests and tokens in any sixty seconds, requests at one time. 0: no limit."""

    requests: int = 0
    tokens: int = 0
    concurrent: int = 0


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request. `id` stays over a rotation and is never used again; `expires_at` is Unix seconds."""

    kind: Literal["key", "session", "nobody"]
    name: str
    scopes: frozenset[str] = ALL
    limits: Limits = UNLIMITED
    id: str = ""
    expires_at: float | None = None

    @property
    def caller(self) -> str:
        """As the queue for models, the limiter and the audit log tell callers apart."""
        return f"{self.kind}:{self.name}"

    @property
    def owner(self) -> str | None:
        """Whose objects it sees: None for all of them, else those that carry this id."""
        return None if self.kind != "key" or "admin" in self.scopes else self.id

    def require(self, needs: Needs) -> None:
        """Raises MissingScope, or KeyNeeded for one without a key, unless it has one of the scopes."""
        if "admin" in self.scopes or not self.scopes.isdisjoint(needs):
            return
        if self.kind != "key":
            raise KeyNeeded("This needs a key; the page's login is not enough.", "Do it on the command line.")
        wanted = " or ".join(f"'{each}'" for each in needs or ADMIN)
        raise MissingScope(f"The key '{self.name}' lacks the scope {wanted}.")


# Who comes without a key where keys are turned off (setting `auth`): what needs a key needs one still.
NOBODY = Principal("nobody", "anyone on this machine", PAGE)


def read_scopes(given: Iterable[str]) -> tuple[str, ...]:
    """The scopes in the order of the table, each once. Raises InvalidRequest for none and for an unknown one."""
    wanted = set(given)
    if unknown := sorted(wanted - ALL):
        raise InvalidRequest(f"There is no scope '{unknown[0][:80]}'.", f"Scopes: {', '.join(SCOPES)}.", param="scopes")
    if not wanted:
        raise InvalidRequest("A key needs at least one scope.", f"Scopes: {', '.join(SCOPES)}.", param="scopes")
    return tuple(scope for scope in SCOPES if scope in wanted)


@dataclass(frozen=True, slots=True)
class Right:
    """What opens a route, and the word under which the audit log keeps its use ("": it does not)."""

    needs: Needs
    audit: str = ""


_AT = "/homefire/v1"
_CONVERSATION = f"{_AT}/conversations/{{id}}"
_MODEL = f"{_AT}/models/{{name}}"
_ENGINE = f"{_AT}/engines/{{name}}"
_DOWNLOAD = f"{_AT}/downloads/{{id}}"
_PROMPT = f"{_AT}/prompts/{{name}}"
_COLLECTION = f"{_AT}/knowledge/{{name}}"
_RUN = f"{_AT}/agent/runs/{{id}}"
_SWARM = f"{_AT}/agent/swarms/{{id}}"
_MEMORY = f"{_AT}/memory"

# Every route. "open" stands for the two that the door lets through without a principal; they need nothing.
RIGHTS: dict[str, Right] = {
    **dict.fromkeys(
        ["GET /healthz", "GET /readyz", f"POST {_AT}/login", f"POST {_AT}/logout", "GET /openapi.json", "GET /docs"],
        Right(ANYBODY),
    ),
    **dict.fromkeys(
        ["POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/responses",
         "POST /v1/rerank", "POST /v1/messages", "POST /v1/messages/count_tokens", "POST /api/chat",
         "POST /api/generate", "POST /api/embed", "POST /api/embeddings",
         f"GET {_AT}/conversations", f"POST {_AT}/conversations", f"GET {_CONVERSATION}", f"PATCH {_CONVERSATION}",
         f"POST {_CONVERSATION}/restore", f"POST {_CONVERSATION}/messages",
         f"POST {_CONVERSATION}/messages/{{message_id}}/regenerate"],
        Right(CHAT),
    ),
    f"GET {_AT}/policy": Right(EITHER),
    f"POST {_AT}/policy/check": Right(EITHER),
    # The sender's own yes would be no question.
    f"POST {_AT}/policy/approve": Right(ADMIN, "policy question approved"),
    **dict.fromkeys(
        [f"GET {_AT}/prompts", f"GET {_PROMPT}", f"GET {_PROMPT}/diff", f"POST {_PROMPT}/render", f"POST {_AT}/prompts/compress"],
        Right(CHAT),
    ),
    # What all of Homefire is told, and whose words it takes.
    f"PUT {_PROMPT}": Right(ADMIN, "prompt changed"),
    f"DELETE {_PROMPT}": Right(ADMIN, "prompt removed"),
    f"POST {_PROMPT}/rollback": Right(ADMIN, "prompt changed back"),
    f"POST {_AT}/prompts/pack": Right(ADMIN, "prompts packed"),
    f"POST {_AT}/prompts/unpack": Right(ADMIN, "prompts unpacked"),
    f"DELETE {_CONVERSATION}": Right(CHAT, "conversation deleted"),
    **dict.fromkeys(
        ["GET /v1/models", "GET /v1/models/{model:path}", "GET /api/tags", "GET /api/ps", "POST /api/show",
         "GET /api/version", f"GET {_AT}/models", f"GET {_MODEL}", f"GET {_AT}/roles", f"GET {_AT}/residency",
         f"GET {_AT}/status"],
        Right(EITHER),
    ),
    **dict.fromkeys(
        ["GET /metrics", f"GET {_AT}/sensors", f"GET {_AT}/sensors/watch", f"GET {_AT}/restarts",
         f"GET {_AT}/decisions", f"GET {_AT}/events", f"GET {_AT}/kept", f"POST {_MODEL}/load", f"POST {_MODEL}/unload",
         f"POST {_AT}/models/pull", "POST /api/pull", f"GET {_MODEL}/fit", f"POST {_MODEL}/verify",
         f"POST {_MODEL}/quantize", f"POST {_MODEL}/pin", f"GET {_AT}/catalogue", f"GET {_AT}/proposal",
         f"PUT {_AT}/roles", f"GET {_AT}/downloads", f"POST {_DOWNLOAD}/pause", f"POST {_DOWNLOAD}/resume",
         f"POST {_DOWNLOAD}/cancel", f"POST {_DOWNLOAD}/watch"],
        Right(MODELS),
    ),
    **dict.fromkeys(
        [f"GET {_MODEL}/tuning", f"DELETE {_MODEL}/tuning", f"POST {_MODEL}/tune", f"PUT {_MODEL}/draft"],
        Right(MODELS),
    ),
    "DELETE /api/delete": Right(MODELS, "model removed"),
    f"DELETE {_MODEL}": Right(MODELS, "model removed"),
    f"DELETE {_AT}/kept": Right(MODELS, "kept caches deleted"),
    # They name files of this machine.
    f"POST {_AT}/models/import": Right(ADMIN, "model imported"),
    f"POST {_AT}/models/convert": Right(ADMIN, "model converted"),
    f"POST {_MODEL}/export": Right(ADMIN, "model exported"),
    **dict.fromkeys(
        [f"GET {_AT}/knowledge", f"GET {_AT}/knowledge/jobs", f"POST {_AT}/knowledge/search", f"GET {_COLLECTION}",
         f"GET {_COLLECTION}/documents", f"GET {_COLLECTION}/source", f"POST {_COLLECTION}/follow",
         f"POST {_COLLECTION}/verify", f"GET {_COLLECTION}/duplicates"],
        Right(KNOWLEDGE),
    ),
    # And `chat`: the route asks for it too.
    f"POST {_AT}/knowledge/ask": Right(KNOWLEDGE),
    f"POST {_AT}/read": Right(KNOWLEDGE),
    # What is read of this machine, and what of it is kept, is for whoever may name its files.
    f"POST {_AT}/knowledge/ingest": Right(ADMIN, "folder ingested"),
    f"POST {_AT}/knowledge/import": Right(ADMIN, "collection imported"),
    f"POST {_COLLECTION}/export": Right(ADMIN, "collection exported"),
    f"DELETE {_COLLECTION}": Right(ADMIN, "collection removed"),
    f"PATCH {_COLLECTION}": Right(ADMIN, "collection's folder watched or not"),
    f"POST {_COLLECTION}/cancel": Right(ADMIN, "ingestion ended"),
    **dict.fromkeys(
        [f"POST {_AT}/agent/runs", f"GET {_AT}/agent/runs", f"GET {_RUN}", f"GET {_RUN}/steps", f"POST {_RUN}/say",
         f"POST {_RUN}/stop", f"POST {_RUN}/resume", f"GET {_AT}/agent/timers",
         f"DELETE {_AT}/agent/timers/{{id}}"],
        Right(AGENT),
    ),
    **dict.fromkeys(
        [f"POST {_AT}/agent/swarms", f"GET {_AT}/agent/swarms", f"GET {_SWARM}", f"GET {_SWARM}/steps",
         f"POST {_SWARM}/stop", f"POST {_SWARM}/resume"],
        Right(AGENT),
    ),
    f"DELETE {_SWARM}": Right(AGENT, "swarm of agents removed"),
    **dict.fromkeys(
        [f"GET {_MEMORY}/blocks", f"PUT {_MEMORY}/blocks/{{name}}", f"GET {_MEMORY}/blocks/{{name}}/versions",
         f"POST {_MEMORY}/blocks/{{name}}/restore", f"GET {_MEMORY}/facts", f"POST {_MEMORY}/facts",
         f"GET {_MEMORY}/facts/{{id}}", f"POST {_MEMORY}/facts/{{id}}/restore", f"POST {_MEMORY}/undo",
         f"POST {_MEMORY}/search", f"GET {_MEMORY}/export"],
        Right(AGENT),
    ),
    f"DELETE {_MEMORY}/facts/{{id}}": Right(AGENT, "fact forgotten"),
    f"POST {_MEMORY}/forget": Right(AGENT, "fact forgotten"),
    f"POST {_MEMORY}/import": Right(AGENT, "memory imported"),
    f"DELETE {_RUN}": Right(AGENT, "agent's run removed"),
    # A yes to an effect needs `tools` beside it: the route asks for it.
    f"POST {_RUN}/decide": Right(AGENT, "agent's call decided"),
    f"GET {_AT}/tools": Right(("agent", "tools")),
    f"PUT {_AT}/tools/{{name}}/grant": Right(ADMIN, "tool granted"),
    f"DELETE {_AT}/tools/{{name}}/grant": Right(ADMIN, "tool taken back"),
    # Programs that run as the person, and addresses that texts go to.
    **dict.fromkeys([f"GET {_AT}/mcp/servers", f"GET {_AT}/mcp/servers/{{name}}"], Right(ADMIN)),
    f"POST {_AT}/mcp/servers": Right(ADMIN, "MCP server added"),
    f"DELETE {_AT}/mcp/servers/{{name}}": Right(ADMIN, "MCP server removed"),
    f"POST {_AT}/mcp/servers/{{name}}/approve": Right(ADMIN, "MCP server's tools granted"),
    f"POST {_AT}/mcp/calls/{{id}}": Right(ADMIN, "MCP call decided"),
    # It offers what is granted to the key; knowledge needs its own scope beside this (`mcp_door.py`).
    "POST /mcp": Right(AGENT),
    # Names and states; addresses only for admin (`engine_routes.py`).
    f"GET {_AT}/engines": Right(MODELS),
    f"POST {_AT}/engines": Right(ADMIN, "engine added"),
    f"DELETE {_ENGINE}": Right(ADMIN, "engine removed"),
    f"POST {_ENGINE}/grant": Right(ADMIN, "engine granted"),
    f"POST {_ENGINE}/revoke": Right(ADMIN, "engine revoked"),
    f"POST {_ENGINE}/check": Right(ADMIN, "engine asked"),
    f"GET {_AT}/builds": Right(ADMIN),
    f"POST {_AT}/builds/watch": Right(ADMIN, "engine's build watched"),
    f"POST {_AT}/builds/bench": Right(ADMIN, "engine measured"),
    f"POST {_AT}/builds": Right(ADMIN, "engine built"),
    f"POST {_AT}/builds/use": Right(ADMIN, "engine switched"),
    f"POST {_AT}/builds/cancel": Right(ADMIN, "engine's build ended"),
    f"DELETE {_AT}/builds/{{name}}": Right(ADMIN, "engine's build removed"),
    f"PUT {_AT}/chains": Right(ADMIN, "order of fallback set"),
    f"POST {_AT}/links": Right(ADMIN, "link made"),
    f"GET {_AT}/keys": Right(ADMIN),
    f"GET {_AT}/audit": Right(ADMIN),
    f"GET {_AT}/telemetry": Right(ADMIN),
    f"PUT {_AT}/telemetry": Right(ADMIN, "telemetry set"),
    # It names a folder of this machine, and may hold every secret.
    f"POST {_AT}/backup": Right(ADMIN, "backup made"),
    f"POST {_AT}/verify": Right(ADMIN, "home verified"),
    f"POST {_AT}/telemetry/send": Right(ADMIN, "telemetry sent"),
    # These three write their entry in the transaction that changes the key (`store/keys.py`).
    f"POST {_AT}/keys": Right(ADMIN),
    f"POST {_AT}/keys/{{name}}/rotate": Right(ADMIN),
    f"DELETE {_AT}/keys/{{name}}": Right(ADMIN),
}  # fmt: skip

NOTHING_SAID = Right(())
# What a WebSocket's client may say, and what it may subscribe to -> the route that means the same ("": any key may).
MESSAGES: dict[str, str] = {
    **dict.fromkeys(["authorise", "subscribe", "unsubscribe", "cancel"], ""),
    **dict.fromkeys(["chat", "tokens"], "POST /v1/chat/completions"),
    **dict.fromkeys(["decisions", "residency"], f"GET {_AT}/events"),
    "sensors": f"GET {_AT}/sensors/watch",
    "progress": f"GET {_AT}/downloads",
    "ingest": f"GET {_AT}/knowledge/jobs",
    "runs": f"GET {_AT}/agent/runs",
}


def right_of(method: str, path: str) -> Right:
    """What a route of the table of routes needs; one that nobody entered needs admin."""
    return RIGHTS.get(f"{method} {path}", NOTHING_SAID)


def right_of_message(name: str) -> Right:
    """What a message of a WebSocket, or a subscription, needs; one that nobody entered needs admin."""
    route = MESSAGES.get(name)
    return Right(ANYBODY) if route == "" else RIGHTS.get(route or "", NOTHING_SAID)
