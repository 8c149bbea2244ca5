"""The ASGI application: the table of routes, the router, and the door in front of it.

Promises: `build_app` opens nothing; everything it needs is handed in.
Does not cover: listening and lifetime (`daemon/`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import homefire
from homefire.dialects import anthropic, ollama
from homefire.dialects.anthropic import CountBody, MessagesBody
from homefire.dialects.openai import ChatBody, CompletionBody, EmbeddingBody
from homefire.dialects.rerank import RerankBody
from homefire.dialects.responses import ResponseBody
from homefire.engines.kv_shelf import KvShelf
from homefire.errors import MethodNotAllowed
from homefire.knowledge.knowledge import Knowledge
from homefire.memory.memory import Memory
from homefire.prompts import Prompts, own_text
from homefire.residency import Keeper
from homefire.residency.builder import Builder
from homefire.residency.far import FarEngines
from homefire.server import agent_routes as acts
from homefire.server import asking_routes as reading
from homefire.server import build_routes as forge
from homefire.server import conversation_routes as talk
from homefire.server import engine_routes as elsewhere
from homefire.server import key_routes as keyring
from homefire.server import knowledge_routes as known
from homefire.server import mcp_routes as mcp
from homefire.server import memory_routes as kept
from homefire.server import model_routes as shelf
from homefire.server import policy_routes as policy
from homefire.server import prompt_routes as worded
from homefire.server import read_routes as wholes
from homefire.server import residency_routes as memory
from homefire.server import system_routes as system
from homefire.server import tool_routes as grants
from homefire.server.answering import NO_SPANS, Answering
from homefire.server.anthropic_routes import AnthropicRoutes
from homefire.server.authority import Authority
from homefire.server.chatting import Chatting
from homefire.server.description import RouteRow, docs_page, openapi
from homefire.server.door import OPEN, Door
from homefire.server.event_socket import EventSocket
from homefire.server.gate import Gate
from homefire.server.inside import Inside
from homefire.server.mcp_door import McpDoor, McpRooms
from homefire.server.metrics import Counted
from homefire.server.metrics_routes import Watched, WatchRoutes
from homefire.server.ollama_routes import OllamaRoutes, Shelf
from homefire.server.openai_routes import OpenAIRoutes
from homefire.server.page import Page
from homefire.server.request import send_bytes, send_json
from homefire.server.responses_routes import ResponsesRoutes
from homefire.server.scopes import Principal, right_of
from homefire.server.spans import Spans
from homefire.server.swarm_routes import SwarmBody, SwarmRoutes
from homefire.server.telemetry_routes import SendBody, TelemetryBody, TelemetryRoutes
from homefire.server.traits import Traits
from homefire.server.trust_routes import BackupBody, TrustRoutes, VerifyHomeBody
from homefire.server.tuning_routes import DraftBody, TuneBody, TuningRooms, TuningRoutes
from homefire.store import Conversations
from homefire.telemetry import Telemetry

STREAM = "text/event-stream"
LINES = "application/x-ndjson"
AT = "/homefire/v1"


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the server needs of the rooms below. `hosts` are the accepted Host values, `body_limit` is in bytes; `window` gives
    the context window in tokens in which a model is run here, 0 if that is its own."""

    identity: system.Identity
    authority: Authority
    keeper: Keeper
    models: shelf.ModelRooms
    conversations: Conversations
    hosts: tuple[str, ...]
    body_limit: int
    written: talk.Written = talk.unheard
    window: Callable[[str], int] = lambda name: 0
    far: FarEngines | None = None
    builder: Builder | None = None
    watched: Watched = field(default_factory=Watched)
    kv: KvShelf | None = None
    gate: Gate | None = None
    telemetry: Telemetry | None = None
    spans: Spans = NO_SPANS
    tuning: TuningRooms | None = None
    knowledge: Knowledge | None = None
    reading: reading.Reading | None = None
    agents: acts.Agents | None = None
    tools: grants.ToolRooms | None = None
    prompts: Prompts | None = None
    mcp: McpRooms | None = None
    memory: Memory | None = None


def build_app(rooms: Rooms) -> ASGIApp:
    """The whole application."""
    return build_both(rooms)[0]


def build_both(rooms: Rooms) -> tuple[ASGIApp, Inside]:
    """The application, and how gRPC asks its routes from inside."""
    page = Page()
    rows = route_table(rooms)
    methods: dict[str, dict[str, RouteRow]] = {}
    for row in rows:
        methods.setdefault(row.path, {})[row.method] = row
    routes = [Route(path, endpoint=_Methods(path, found, rooms.authority)) for path, found in methods.items()]
    router = Router([*routes, Route("/{rest:path}", endpoint=page)])
    envelopes = {row.path: row.errors for row in rows if row.errors is not None}
    scheme = "https" if rooms.identity.tls else "http"
    inside = Inside(router)
    events = EventSocket(rooms.authority, inside, chatting(rooms))
    door = Door(
        router, rooms.authority, rooms.hosts, page.routes, envelopes, scheme=scheme, sockets={events.path: events}
    )
    return Counted(door, rooms.watched.metrics), inside


def chatting(rooms: Rooms) -> Chatting:
    """How WebSocket and gRPC chat."""
    return Chatting(_answering(rooms), rooms.identity.default_model, rooms.body_limit)


def route_table(rooms: Rooms) -> list[RouteRow]:
    """Every route, the token path first: the router tries them in order."""
    docs = _Docs()
    docs.rows = [
        *_openai(rooms),
        *_other_dialects(rooms),
        *_own(rooms),
        *_keys(rooms),
        *_models(rooms),
        *_tuning(rooms),
        *_residency(rooms),
        *_engines(rooms),
        *_builds(rooms),
        *_policy(rooms),
        *_prompts(rooms),
        *_memory(rooms),
        *_conversations(rooms),
        *_knowledge(rooms),
        *_agents(rooms),
        *_mcp(rooms),
        *_telemetry(rooms),
        *_trust(rooms),
        *_described(docs),
    ]
    docs.rows = [replace(row, right=right_of(row.method, row.path)) for row in docs.rows]
    return docs.rows


def _openai(rooms: Rooms) -> list[RouteRow]:
    roles = rooms.models.roles
    v1 = OpenAIRoutes(
        _answering(rooms),
        rooms.identity.default_model,
        rooms.body_limit,
        rooms.identity.started,
        default_embedder=lambda: roles.roles()["embed"],
    )
    return [
        RouteRow("POST", "/v1/chat/completions", "Chat, streamed or not", v1.chat, ChatBody),
        RouteRow("POST", "/v1/completions", "Plain completion, streamed or not", v1.completion, CompletionBody),
        RouteRow("POST", "/v1/embeddings", "Embeddings of texts", v1.embeddings, EmbeddingBody),
        RouteRow("GET", "/v1/models", "The installed models", v1.models),
        RouteRow("GET", "/v1/models/{model:path}", "One installed model", v1.model),
    ]


def _answering(rooms: Rooms) -> Answering:
    return Answering(
        rooms.keeper,
        rooms.models.library,
        rooms.far,
        rooms.models.roles.roles,
        spans=rooms.spans,
        gate=rooms.gate,
        meter=rooms.authority.meter,
    )


def _residency(rooms: Rooms) -> list[RouteRow]:
    answering = _answering(rooms)
    own = memory.ResidencyRoutes(rooms.keeper, lambda name: answering.place(answering.resolve(name)), rooms.kv)
    one = f"{AT}/models/{{name}}"
    return [
        RouteRow("GET", f"{AT}/residency", "What is in memory, why, what waits, what leaves next", own.table),
        RouteRow(
            "GET", f"{AT}/decisions", "The last decisions about models, newest first; model, limit", own.decisions
        ),
        RouteRow("GET", f"{AT}/events", "The same as they happen", own.events, answer=STREAM),
        RouteRow("GET", f"{AT}/kept", "KV caches of conversations on the disk", own.kept),
        RouteRow("DELETE", f"{AT}/kept", "Delete them all", own.clear_kept, status=204),
        RouteRow("POST", f"{one}/load", "Bring it into memory; keep it there, pin it", own.load, memory.LoadBody),
        RouteRow("POST", f"{one}/unload", "Let it leave the memory", own.unload, memory.UnloadBody),
    ]


def _other_dialects(rooms: Rooms) -> list[RouteRow]:
    answering = _answering(rooms)
    traits = Traits(rooms.models.library)
    default, limit = rooms.identity.default_model, rooms.body_limit
    messages = AnthropicRoutes(answering, traits, default, limit)
    more = ResponsesRoutes(answering, default, limit)
    remove = shelf.ModelRoutes(rooms.models, rooms.keeper, default, rooms.identity.home).drop
    own = OllamaRoutes(
        answering, Shelf(rooms.models.library, rooms.models.pulls, traits, remove, rooms.window), rooms.body_limit
    )
    rows = [
        RouteRow("POST", "/v1/responses", "OpenAI's Responses, streamed or not", more.respond, ResponseBody),
        RouteRow("POST", "/v1/rerank", "Texts ranked by how well they answer a query", more.rerank, RerankBody),
        RouteRow("POST", "/v1/messages", "Anthropic's Messages, streamed or not", messages.messages, MessagesBody),
        RouteRow("POST", "/v1/messages/count_tokens", "How long a prompt is, in tokens", messages.count, CountBody),
    ]
    rows[2:] = [replace(row, errors=anthropic.envelope) for row in rows[2:]]
    of_ollama = [
        RouteRow("POST", "/api/chat", "Ollama: chat", own.chat, ollama.OllamaChatBody, LINES),
        RouteRow("POST", "/api/generate", "Ollama: answer a prompt", own.generate, ollama.OllamaGenerateBody, LINES),
        RouteRow("POST", "/api/embed", "Ollama: embeddings", own.embed, ollama.OllamaEmbedBody),
        RouteRow("POST", "/api/embeddings", "Ollama: one embedding", own.embeddings, ollama.OllamaEmbedBody),
        RouteRow("GET", "/api/tags", "Ollama: the installed models", own.tags),
        RouteRow("GET", "/api/ps", "Ollama: the models in memory", own.running),
        RouteRow("POST", "/api/show", "Ollama: one model", own.show, ollama.OllamaNamed),
        RouteRow("POST", "/api/pull", "Ollama: fetch a model", own.pull, ollama.OllamaNamed, LINES),
        RouteRow("DELETE", "/api/delete", "Ollama: remove a model", own.delete, ollama.OllamaNamed),
        RouteRow("GET", "/api/version", "Ollama: the version whose interface this is", own.version),
    ]
    return [*rows, *(replace(row, errors=ollama.envelope) for row in of_ollama)]


def _own(rooms: Rooms) -> list[RouteRow]:
    watched = WatchRoutes(rooms.watched, rooms.keeper, rooms.identity.started)
    own = system.SystemRoutes(rooms.identity, rooms.authority, rooms.keeper, rooms.watched.crashes)
    login = RouteRow(
        "POST", f"{AT}/login", "Trade a one-time code for the page's cookie", own.login, system.LoginBody, status=204
    )
    return [
        RouteRow("GET", "/healthz", "Whether the daemon lives; open without a key", own.health),
        RouteRow("GET", "/readyz", "Whether the daemon can serve", own.ready),
        login,
        RouteRow("POST", f"{AT}/logout", "End the page's login", own.logout, status=204),
        RouteRow("POST", f"{AT}/links", "Make a one-time link to the page", own.link),
        RouteRow("GET", f"{AT}/status", "What runs here", own.status),
        RouteRow("GET", "/metrics", "Counts and gauges for Prometheus", watched.metrics, answer="text/plain"),
        RouteRow("GET", f"{AT}/sensors", "Load, temperature, power and memory of this machine", watched.sensors),
        RouteRow("GET", f"{AT}/sensors/watch", "The same again and again; seconds", watched.watch, answer=STREAM),
        RouteRow("GET", f"{AT}/restarts", "Crashes of models and of the daemon, newest first", watched.restarts),
    ]


def _keys(rooms: Rooms) -> list[RouteRow]:
    own = keyring.KeyRoutes(rooms.authority)
    one = f"{AT}/keys/{{name}}"
    return [
        RouteRow("GET", f"{AT}/keys", "The keys and what they may do", own.list),
        RouteRow("POST", f"{AT}/keys", "Make a key; it is shown once", own.add, keyring.KeyBody, status=201),
        RouteRow("POST", f"{one}/rotate", "A new secret beside the old one", own.rotate, keyring.RotateBody),
        RouteRow("DELETE", one, "Revoke a key, and end what it has under way", own.revoke, status=204),
        RouteRow("GET", f"{AT}/audit", "The audit log, newest first; limit, before", own.audit),
    ]


def _usual_cache(name: str) -> str:
    return "F16"


def _models(rooms: Rooms) -> list[RouteRow]:
    """Routes with a fixed word come before those with a name in its place."""
    cache = _usual_cache if rooms.tuning is None else rooms.tuning.tuned.cache_of
    own = shelf.ModelRoutes(rooms.models, rooms.keeper, rooms.identity.default_model, rooms.identity.home, cache)
    one, each = f"{AT}/models/{{name}}", f"{AT}/downloads/{{id}}"
    return [
        RouteRow("GET", f"{AT}/models", "The installed models, room on the disk, roles; fit", own.installed),
        RouteRow(
            "POST",
            f"{AT}/models/import",
            "Add a file, an export or a folder",
            own.import_model,
            shelf.ImportBody,
            STREAM,
        ),
        RouteRow("POST", f"{AT}/models/pull", "Fetch a model", own.pull, shelf.PullBody, STREAM),
        RouteRow(
            "POST", f"{AT}/models/convert", "Convert a safetensors folder", own.convert, shelf.ConvertBody, STREAM
        ),
        RouteRow("GET", one, "One model, installed or of the catalogue", own.one),
        RouteRow("DELETE", one, "Remove a model", own.remove, status=204),
        RouteRow("GET", f"{one}/fit", "Whether it fits here; context, slots, kv, quantization", own.fit),
        RouteRow("POST", f"{one}/export", "Write it to a folder or tar", own.export, shelf.ExportBody, STREAM),
        RouteRow("POST", f"{one}/verify", "Read every byte again and compare", own.verify, shelf.VerifyBody, STREAM),
        RouteRow("POST", f"{one}/quantize", "Make a smaller one of it", own.quantize, shelf.QuantizeBody, STREAM),
        RouteRow("POST", f"{one}/pin", "Keep it from being removed, or no longer", own.pin, shelf.PinBody),
        RouteRow("GET", f"{AT}/catalogue", "Models that are known, and what fits here; q, capability", own.catalogue),
        RouteRow("GET", f"{AT}/proposal", "A model for each role; offline", own.proposal),
        RouteRow("GET", f"{AT}/roles", "Which model plays which role", own.roles),
        RouteRow("PUT", f"{AT}/roles", "Give roles to models", own.set_roles, shelf.RolesBody),
        RouteRow("GET", f"{AT}/downloads", "Downloads, the running ones first", own.downloads),
        RouteRow("POST", f"{each}/pause", "Pause a download", own.pause),
        RouteRow("POST", f"{each}/resume", "Go on with it", own.resume),
        RouteRow("POST", f"{each}/cancel", "End it and drop what came", own.cancel),
        RouteRow("POST", f"{each}/watch", "Its progress", own.watch, answer=STREAM),
    ]


def _tuning(rooms: Rooms) -> list[RouteRow]:
    if rooms.tuning is None:
        return []
    own = TuningRoutes(rooms.tuning, rooms.models.library, rooms.models.holds)
    one = f"{AT}/models/{{name}}"
    return [
        RouteRow("GET", f"{one}/tuning", "How it is run here: measured, and who drafts for it", own.see),
        RouteRow("DELETE", f"{one}/tuning", "Forget what was measured of it", own.forget, status=204),
        RouteRow("POST", f"{one}/tune", "Measure how it runs best here", own.tune, TuneBody, STREAM),
        RouteRow("PUT", f"{one}/draft", "Who drafts for it", own.draft, DraftBody),
    ]


def _engines(rooms: Rooms) -> list[RouteRow]:
    far = elsewhere.EngineRoutes(rooms.far, _answering(rooms).require_entry)
    one = f"{AT}/engines/{{name}}"
    return [
        RouteRow("GET", f"{AT}/engines", "Far engines and orders of fallback; asks none of them", far.list),
        RouteRow("POST", f"{AT}/engines", "Add a far engine", far.add, elsewhere.EngineBody, status=201),
        RouteRow("DELETE", one, "Forget a far engine and its key", far.remove, status=204),
        RouteRow("POST", f"{one}/grant", "Let requests go to it", far.grant),
        RouteRow("POST", f"{one}/revoke", "Turn it off", far.revoke),
        RouteRow("POST", f"{one}/check", "Ask it which models it has", far.check),
        RouteRow("PUT", f"{AT}/chains", "Who answers for a name, in turn", far.set_chain, elsewhere.ChainBody),
    ]


def _builds(rooms: Rooms) -> list[RouteRow]:
    """Routes with a fixed word come before the one with a name in its place."""
    own, at = forge.BuildRoutes(rooms.builder, rooms.models.machine), f"{AT}/builds"
    return [
        RouteRow("GET", at, "Native builds of the engine, the one in use, the job under way", own.list),
        RouteRow("POST", at, "Build the engine for this machine", own.build, forge.BuildBody, STREAM),
        RouteRow("POST", f"{at}/use", "Try a build and use it, or the wheel", own.use, forge.UseBody, STREAM),
        RouteRow("POST", f"{at}/bench", "Measure it beside the wheel", own.bench, forge.BenchBody, STREAM),
        RouteRow("POST", f"{at}/watch", "The job's progress", own.watch, answer=STREAM),
        RouteRow("POST", f"{at}/cancel", "End the job", own.cancel),
        RouteRow("DELETE", f"{at}/{{name}}", "Remove a build", own.remove, status=204),
    ]


def _policy(rooms: Rooms) -> list[RouteRow]:
    if rooms.gate is None:
        return []
    own = policy.PolicyRoutes(rooms.gate, rooms.body_limit)
    at = f"{AT}/policy"
    return [
        RouteRow("GET", at, "The rules of what may go in, and how they are checked", own.show),
        RouteRow("POST", f"{at}/check", "What they say of a text", own.check, policy.CheckBody),
        RouteRow(
            "POST", f"{at}/approve", "Yes to a question of theirs, once", own.approve, policy.ApproveBody, status=204
        ),
    ]


def _prompts(rooms: Rooms) -> list[RouteRow]:
    """Routes with a fixed word (`paths.PROMPT_WORDS`) come before those with a name in its place."""
    if rooms.prompts is None:
        return []
    own = worded.PromptRoutes(rooms.prompts, rooms.reading, rooms.identity.home, rooms.body_limit)
    at, one = f"{AT}/prompts", f"{AT}/prompts/{{name}}"
    return [
        RouteRow("GET", at, "The prompts, Homefire's own too", own.list),
        RouteRow("POST", f"{at}/pack", "Pack prompts to hand on", own.pack, worded.PackBody),
        RouteRow("POST", f"{at}/unpack", "Take a pack in", own.unpack, worded.UnpackBody),
        RouteRow("POST", f"{at}/compress", "Make a text shorter, and say what went", own.compress, worded.CompressBody),
        RouteRow("GET", one, "One with its text and versions; version", own.show),
        RouteRow("PUT", one, "A new version of it", own.edit, worded.EditBody),
        RouteRow("DELETE", one, "Forget it with its versions", own.remove, status=204),
        RouteRow("GET", f"{one}/diff", "Lines that differ between two versions; from, to", own.diff),
        RouteRow("POST", f"{one}/rollback", "Put an earlier version in force", own.rollback, worded.RollbackBody),
        RouteRow("POST", f"{one}/render", "Its text with these values", own.render, worded.RenderBody),
    ]


def _memory(rooms: Rooms) -> list[RouteRow]:
    if rooms.memory is None:
        return []
    own = kept.MemoryRoutes(rooms.memory, rooms.authority, rooms.body_limit)
    at = f"{AT}/memory"
    block, fact = f"{at}/blocks/{{name}}", f"{at}/facts/{{id}}"
    return [
        RouteRow("GET", f"{at}/blocks", "The blocks that stand in every prompt", own.blocks),
        RouteRow("PUT", block, "Write one, upon the version that was read", own.edit, kept.BlockBody),
        RouteRow("GET", f"{block}/versions", "Its versions, newest first", own.versions),
        RouteRow("POST", f"{block}/restore", "Make an old version the newest", own.restore, kept.OldBody),
        RouteRow("GET", f"{at}/facts", "What is remembered, newest first; limit", own.facts),
        RouteRow("POST", f"{at}/facts", "Remember something", own.add, kept.FactBody, status=201),
        RouteRow("GET", fact, "One fact with its sources", own.show),
        RouteRow("DELETE", fact, "Forget it; it can be brought back", own.remove, status=204),
        RouteRow("POST", f"{fact}/restore", "Bring it back", own.bring_back, kept.NoBody),
        RouteRow("POST", f"{at}/forget", "Forget what says exactly this", own.forget, kept.ForgetBody),
        RouteRow("POST", f"{at}/undo", "Bring back what was forgotten last", own.undo, kept.NoBody),
        RouteRow("POST", f"{at}/search", "Recall facts and what was said", own.search, kept.RecallBody),
        RouteRow("GET", f"{at}/export", "Blocks and facts in one file", own.export),
        RouteRow("POST", f"{at}/import", "Take such a file in", own.bring),
    ]


def _conversations(rooms: Rooms) -> list[RouteRow]:
    chats = talk.ConversationRoutes(
        rooms.conversations,
        _answering(rooms),
        rooms.identity.default_model,
        rooms.body_limit,
        written=rooms.written,
        kv=rooms.kv,
    )
    one = f"{AT}/conversations/{{id}}"
    return [
        RouteRow("GET", f"{AT}/conversations", "Conversations, newest first; q, limit, before", chats.list),
        RouteRow("POST", f"{AT}/conversations", "Begin a conversation", chats.create, talk.NewConversation, status=201),
        RouteRow("GET", one, "A conversation with its messages", chats.get),
        RouteRow("PATCH", one, "Change title, model or system prompt", chats.change, talk.ConversationChange),
        RouteRow("DELETE", one, "Delete; can be undone for ten minutes", chats.delete, status=204),
        RouteRow("POST", f"{one}/restore", "Undo a deletion", chats.restore),
        RouteRow("POST", f"{one}/messages", "Say something and stream the answer", chats.ask, talk.Question, STREAM),
        RouteRow("POST", f"{one}/messages/{{message_id}}/regenerate", "Answer again", chats.again, talk.Again, STREAM),
    ]


def _knowledge(rooms: Rooms) -> list[RouteRow]:
    """Routes with a fixed word (`paths.ROUTE_WORDS`) come before those with a name in its place."""
    own = known.KnowledgeRoutes(rooms.knowledge, rooms.body_limit)
    guard = None if rooms.gate is None else rooms.gate.guard
    asking = reading.AskingRoutes(
        rooms.knowledge, rooms.reading, _answering(rooms), guard, rooms.body_limit, prompts=rooms.prompts
    )
    whole = wholes.ReadRoutes(
        rooms.knowledge,
        rooms.reading,
        _answering(rooms),
        words=own_text if rooms.prompts is None else rooms.prompts.text,
        roles=rooms.models.roles.roles,
        gate=rooms.gate,
    )
    at, one = f"{AT}/knowledge", f"{AT}/knowledge/{{name}}"
    return [
        RouteRow("GET", at, "The collections", own.list),
        RouteRow("POST", f"{at}/ingest", "Take a folder or file in", own.ingest, known.IngestBody, STREAM),
        RouteRow("POST", f"{at}/import", "Make a collection of an export", own.bring, known.BringBody, STREAM),
        RouteRow("GET", f"{at}/jobs", "The last run of each collection", own.jobs),
        RouteRow("POST", f"{at}/search", "Find places in what was taken in", own.search, known.SearchBody),
        RouteRow("POST", f"{at}/ask", "Answer a question from it", asking.ask, reading.AskBody, STREAM),
        RouteRow("POST", f"{AT}/read", "Answer from all of a text, however long", whole.read, wholes.ReadBody),
        RouteRow("GET", one, "One collection", own.show),
        RouteRow("PATCH", one, "Whether its folder is watched", own.keep_fresh, known.KeepFreshBody),
        RouteRow("DELETE", one, "Forget it; the folder stays as it is", own.remove, status=204),
        RouteRow("GET", f"{one}/documents", "Its documents, also what was skipped; after, limit, state", own.documents),
        RouteRow("GET", f"{one}/source", "Lines of a document; path, line, count", own.source),
        RouteRow("POST", f"{one}/follow", "The progress of its run", own.follow, answer=STREAM),
        RouteRow("POST", f"{one}/cancel", "End its run; what is done stays", own.cancel),
        RouteRow("GET", f"{one}/duplicates", "Documents that are nearly the same; least", own.duplicates),
        RouteRow("POST", f"{one}/export", "Write it into one file", own.export, known.CopyBody, STREAM),
        RouteRow("POST", f"{one}/verify", "Read every byte again", own.verify, shelf.VerifyBody, STREAM),
    ]


def _agents(rooms: Rooms) -> list[RouteRow]:
    rows: list[RouteRow] = []
    if rooms.agents is not None:
        own = acts.AgentRoutes(rooms.agents, rooms.authority, _answering(rooms), rooms.body_limit)
        at, one = f"{AT}/agent/runs", f"{AT}/agent/runs/{{id}}"
        rows += [
            RouteRow("POST", at, "Have an agent do something", own.start, acts.RunBody, status=201),
            RouteRow("GET", at, "Runs of this key, newest first; limit, before", own.list),
            RouteRow("GET", one, "One run, and what it waits for", own.get),
            RouteRow("DELETE", one, "Forget a run and its steps", own.delete, status=204),
            RouteRow("GET", f"{one}/steps", "Its steps, as JSON or as they happen; from, limit", own.steps),
            RouteRow("POST", f"{one}/say", "Tell it something more", own.say, acts.SayBody),
            RouteRow("POST", f"{one}/decide", "Yes, no or an answer to what it asks", own.decide, acts.DecideBody),
            RouteRow("POST", f"{one}/stop", "Stop it", own.stop),
            RouteRow("POST", f"{one}/resume", "Go on with it", own.resume),
            *_swarms(rooms.agents, rooms),
            RouteRow("GET", f"{AT}/agent/timers", "Timers that agents have set", own.timers),
            RouteRow("DELETE", f"{AT}/agent/timers/{{id}}", "Put one away", own.put_away, status=204),
        ]
    if rooms.tools is not None:
        tools, at = grants.ToolRoutes(rooms.tools, rooms.authority), f"{AT}/tools"
        rows += [
            RouteRow("GET", at, "What agents can do, and what this key may", tools.list),
            RouteRow("PUT", f"{at}/{{name}}/grant", "Grant a tool", tools.grant, grants.GrantBody),
            RouteRow("DELETE", f"{at}/{{name}}/grant", "Take it back", tools.revoke, status=204),
        ]
    return rows


def _swarms(agents: acts.Agents, rooms: Rooms) -> list[RouteRow]:
    own = SwarmRoutes(agents, rooms.authority, _answering(rooms), rooms.body_limit)
    at, one = f"{AT}/agent/swarms", f"{AT}/agent/swarms/{{id}}"
    return [
        RouteRow("POST", at, "Have several agents do something together", own.start, SwarmBody, status=201),
        RouteRow("GET", at, "Swarms of this key, newest first; limit", own.list),
        RouteRow("GET", one, "One swarm, its agents and its board", own.get),
        RouteRow("DELETE", one, "Forget a swarm, its board and its runs", own.delete, status=204),
        RouteRow("GET", f"{one}/steps", "The steps of all its agents as they happen", own.follow, answer=STREAM),
        RouteRow("POST", f"{one}/stop", "Stop all its agents", own.stop),
        RouteRow("POST", f"{one}/resume", "Go on with it", own.resume),
    ]


def _mcp(rooms: Rooms) -> list[RouteRow]:
    if rooms.mcp is None:
        return []
    own = mcp.McpRoutes(rooms.mcp.servers, rooms.mcp.boundary, rooms.mcp.stored, rooms.authority)
    at, one = f"{AT}/mcp/servers", f"{AT}/mcp/servers/{{name}}"
    return [
        RouteRow(
            "POST", "/mcp", "Homefire as an MCP server, over streamable HTTP", McpDoor(rooms.mcp.own, rooms.body_limit)
        ),
        RouteRow("GET", at, "MCP servers that a person added, and their tools; key", own.list),
        RouteRow("POST", at, "Add a server; nothing of it is granted", own.add, mcp.McpServerBody, status=201),
        RouteRow("GET", one, "One of them; key", own.get),
        RouteRow("DELETE", one, "End it and forget it", own.remove, status=204),
        RouteRow("POST", f"{one}/approve", "Grant its tools as they are now", own.approve, mcp.McpApproveBody),
        RouteRow("POST", f"{AT}/mcp/calls/{{id}}", "Yes or no to one call over /mcp", own.decide, mcp.McpCallBody),
    ]


def _telemetry(rooms: Rooms) -> list[RouteRow]:
    own = TelemetryRoutes(rooms.telemetry)
    at = f"{AT}/telemetry"
    return [
        RouteRow("GET", at, "Whether it is on, what waits, what each field is", own.view),
        RouteRow("PUT", at, "Turn it on or off", own.turn, TelemetryBody),
        RouteRow("POST", f"{at}/send", "Send what waits to an address", own.send, SendBody),
    ]


def _trust(rooms: Rooms) -> list[RouteRow]:
    own = TrustRoutes(rooms.identity.home)
    return [
        RouteRow(
            "POST", f"{AT}/backup", "Copy the whole home, checked, while it is in use", own.backup, BackupBody, STREAM
        ),
        RouteRow("POST", f"{AT}/verify", "Whether it is what was written", own.verify, VerifyHomeBody, STREAM),
    ]


def _described(docs: _Docs) -> list[RouteRow]:
    return [
        RouteRow("GET", "/openapi.json", "This description", docs.description),
        RouteRow("GET", "/docs", "This description for people", docs.page, answer="text/html"),
    ]


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
            self._made = openapi(self.rows, homefire.__version__, OPEN)
        return self._made


class _Methods:
    """The routes of one path by method: here it is known what a request needs, so here it is held against its principal.

    Raises MethodNotAllowed, which names the allowed ones, MissingScope, KeyNeeded."""

    def __init__(self, path: str, rows: dict[str, RouteRow], authority: Authority) -> None:
        self.path = path
        self._rows = rows
        self._audit = authority.audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        row = self._rows.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if row is None:
            allowed = ", ".join(sorted(self._rows))
            problem = MethodNotAllowed(f"{scope['path'][:200]} does not take {scope['method']}.", f"Use {allowed}.")
            problem.allowed = allowed
            raise problem
        principal: Principal | None = scope["homefire.principal"]
        if principal is not None:  # the door lets nobody else through than to its open routes
            principal.require(row.right.needs)
        if row.right.audit and principal is not None:
            send = self._noting(row.right.audit, principal.caller, scope, send)
        await row.handler(scope, receive, send)

    def _noting(self, what: str, who: str, scope: Scope, send: Send) -> Send:
        """Sends on; the entry of the audit log is on the disk before a success begins to be told."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                about = scope.get("homefire.about") or " ".join(map(str, scope["path_params"].values()))
                await self._audit.note(what, who, about)
            await send(message)

        return noting
