"""The store: one SQLite database with one writer and many readers, and blobs by digest.

Promises: what `write` has answered survives kill -9 and a power cut (WAL, synchronous=FULL, group commit); nobody but the
daemon writes it; a full disk or a lost permission is one clear error and the store works again when the cause is gone.
Does not cover: which conversations or keys exist in memory (`server/`), and rebuildable state (`indexes/`, `cache/`).
"""

from homefire.store.audit import Audit, AuditRow
from homefire.store.blobs import Blobs
from homefire.store.conversations import Conversation, Conversations, StoredMessage
from homefire.store.database import Store
from homefire.store.engines import EngineRow, Engines
from homefire.store.keys import KeyRights, KeyRow, Keys, SessionRow
from homefire.store.knowledge import CollectionRow, DocumentRow, Filter, KnowledgeRows, PieceRow, SpaceRow, TextRow
from homefire.store.mcp import McpServerRow, McpServers
from homefire.store.prompts import PromptRow, PromptRows, SignerRow, VersionRow
from homefire.store.runs import NoteRow, RunRow, RunRows, TimerRow
from homefire.store.safety import ApprovalRow, GrantRow, Safety, VerdictRow
from homefire.store.swarms import PostRow, SwarmRow, SwarmRows

__all__ = [
    "ApprovalRow",
    "Audit",
    "AuditRow",
    "Blobs",
    "CollectionRow",
    "Conversation",
    "Conversations",
    "DocumentRow",
    "EngineRow",
    "Engines",
    "Filter",
    "GrantRow",
    "KeyRights",
    "KeyRow",
    "Keys",
    "KnowledgeRows",
    "McpServerRow",
    "McpServers",
    "NoteRow",
    "PieceRow",
    "PostRow",
    "PromptRow",
    "PromptRows",
    "RunRow",
    "RunRows",
    "Safety",
    "SessionRow",
    "SignerRow",
    "SpaceRow",
    "Store",
    "StoredMessage",
    "SwarmRow",
    "SwarmRows",
    "TextRow",
    "TimerRow",
    "VerdictRow",
    "VersionRow",
]
