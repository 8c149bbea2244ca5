"""Conversations: a title, a model, and a tree of messages each, found again by their words.

Promises: a question is on disk before its answer begins; an answer grows on disk while it streams; what was streaming when
the daemon died reads `interrupted` afterwards; a deleted conversation can be restored until `purge`, and is overwritten then.
A conversation has an owner: '' is the person of this home, else the id of the key that began it. Calls take `owner`: None sees
every conversation, an id only its own, and another one is unknown to it, in the SQL itself.
Does not cover: what an answer says (`engines/`), the wire form (`server/`).
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

import apsw

from homefire.errors import UnknownConversation, UnknownMessage
from homefire.store.database import Row, Store

TITLE_LENGTH = 60
UNDO_SECONDS = 600.0

_MESSAGE = "id, parent, role, content, model, state, error, created_at, usage, timings, answered_by, run"
_CONVERSATION = "id, title, model, system, notice, created_at, updated_at"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message. `usage`, `timings`, `error` and `answered_by` are the wire's objects (docs/api.md); `run`: the run of an agent
    whose answer it is."""

    id: str
    parent_id: str | None
    role: str
    content: str
    model: str | None
    state: str
    error: dict[str, Any] | None
    created_at: float
    usage: dict[str, Any] | None
    timings: dict[str, Any] | None
    answered_by: dict[str, Any] | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation; `messages` in order of creation, empty in listings."""

    id: str
    title: str
    model: str | None
    system: str | None
    notice: str | None
    created_at: float
    updated_at: float
    messages: tuple[StoredMessage, ...] = ()

    def path_to(self, message_id: str | None) -> list[StoredMessage]:
        """The messages from the beginning to `message_id`, along its parents. Raises UnknownMessage."""
        by_id = {message.id: message for message in self.messages}
        path: list[StoredMessage] = []
        while message_id is not None:
            if message_id not in by_id:
                raise UnknownMessage(f"The conversation has no message '{message_id}'.")
            path.append(by_id[message_id])
            message_id = by_id[message_id].parent_id
        return path[::-1]


class Conversations:
    """The tables `conversations`, `messages`, `words` and `notices`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(
        self, title: str = "", model: str | None = None, system: str | None = None, owner: str | None = None
    ) -> Conversation:
        """A new, empty conversation."""
        now = time.time()
        made = Conversation("c" + secrets.token_hex(8), title, model, system, None, now, now)

        def change(c: apsw.Connection) -> None:
            c.execute(
                f"INSERT INTO conversations ({_CONVERSATION}, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # nosec B608 # our own columns
                (made.id, title, model, system, None, now, now, owner or ""),
            )
            _index(c, made.id, "title", title)

        await self._store.write(change)
        return made

    async def list(
        self, words: str = "", limit: int = 50, before: float | None = None, owner: str | None = None
    ) -> tuple[list[Conversation], bool]:
        """Conversations without messages, newest first, and whether there are more. `words` must all occur."""

        def query(c: apsw.Connection) -> list[Conversation]:
            sql = f"SELECT {_CONVERSATION} FROM conversations WHERE deleted_at IS NULL"  # nosec B608 # our own columns
            values: list[Any] = []
            if owner is not None:
                sql += " AND owner = ?"
                values.append(owner)
            match = _match(words)
            if words.strip() and not match:
                return []  # punctuation alone: there is no word to find
            if match:
                sql += " AND id IN (SELECT conversation FROM words WHERE words MATCH ?)"
                values.append(match)
            if before is not None:
                sql += " AND updated_at < ?"
                values.append(before)
            sql += " ORDER BY updated_at DESC LIMIT ?"
            return [Conversation(*row) for row in c.execute(sql, (*values, limit + 1))]

        found = await self._store.read(query)
        return found[:limit], len(found) > limit

    async def get(self, conversation_id: str, owner: str | None = None) -> Conversation:
        """One conversation with its messages. Raises UnknownConversation."""
        return await self._store.read(lambda c: _load(c, conversation_id, owner))

    async def update(
        self, conversation_id: str, changes: dict[str, str | None], owner: str | None = None
    ) -> Conversation:
        """Sets `title`, `model` or `system`. Raises UnknownConversation."""

        def change(c: apsw.Connection) -> Conversation:
            _require(c, conversation_id, owner)
            for name, value in changes.items():
                column = {"title": "title", "model": "model", "system": "system"}[name]
                c.execute(f"UPDATE conversations SET {column} = ? WHERE id = ?", (value, conversation_id))  # nosec B608 # one of three words
                if name == "title":
                    _index(c, conversation_id, "title", value or "")
            return _load(c, conversation_id, owner)

        return await self._store.write(change)

    async def delete(self, conversation_id: str, owner: str | None = None) -> None:
        """Marks it deleted; `restore` undoes that until `purge`. Raises UnknownConversation."""

        def change(c: apsw.Connection) -> None:
            _require(c, conversation_id, owner)
            c.execute("UPDATE conversations SET deleted_at = ? WHERE id = ?", (time.time(), conversation_id))

        await self._store.write(change)

    async def restore(self, conversation_id: str, owner: str | None = None) -> Conversation:
        """Undoes a deletion. Raises UnknownConversation when it is gone for good."""

        def change(c: apsw.Connection) -> Conversation:
            mine = "UPDATE conversations SET deleted_at = NULL WHERE id = ? AND (? IS NULL OR owner = ?)"
            c.execute(mine, (conversation_id, owner, owner))
            return _load(c, conversation_id, owner)

        return await self._store.write(change)

    async def purge(self, older_than_seconds: float = UNDO_SECONDS) -> int:
        """Removes for good what was deleted that long ago; returns how many."""
        limit = time.time() - older_than_seconds

        def change(c: apsw.Connection) -> int:
            gone = [row[0] for row in c.execute("SELECT id FROM conversations WHERE deleted_at <= ?", (limit,))]
            for conversation_id in gone:
                c.execute("DELETE FROM words WHERE conversation = ?", (conversation_id,))
                c.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))
            return len(gone)

        count = await self._store.write(change)
        if count:
            await self._store.write(lambda c: None, fold=True)
        return count

    async def ask(
        self,
        conversation_id: str,
        content: str,
        parent_id: str | None,
        model: str,
        notice: str | None,
        *,
        owner: str | None = None,
    ) -> tuple[StoredMessage, StoredMessage, str | None]:
        """Stores a question and its empty, streaming answer in one commit.

        Returns both, and the notice if this is the first conversation of the home (`notice` None: no notice is due).
        """

        def change(c: apsw.Connection) -> tuple[StoredMessage, StoredMessage, str | None]:
            title = _require(c, conversation_id, owner)
            question = _insert(c, conversation_id, _new_message(parent_id, "user", content, None, "complete"))
            answer = _insert(c, conversation_id, _new_message(question.id, "assistant", "", model, "streaming"))
            _index(c, conversation_id, question.id, content)
            if not title:
                title = _title_of(content)
                c.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id))
                _index(c, conversation_id, "title", title)
            shown = notice if notice is not None and _first_time(c, "pilot") else None
            if shown is not None:
                c.execute("UPDATE conversations SET notice = ? WHERE id = ?", (shown, conversation_id))
            return question, answer, shown

        return await self._store.write(change)

    async def answer_again(
        self, conversation_id: str, message_id: str, model: str, owner: str | None = None
    ) -> StoredMessage:
        """Stores an empty, streaming answer beside the answer `message_id`. Raises UnknownMessage."""

        def change(c: apsw.Connection) -> StoredMessage:
            _require(c, conversation_id, owner)
            row = c.execute(
                "SELECT parent FROM messages WHERE id = ? AND conversation = ? AND role = 'assistant'",
                (message_id, conversation_id),
            ).fetchone()
            if row is None:
                raise UnknownMessage(f"The conversation has no answer '{message_id}'.")
            return _insert(c, conversation_id, _new_message(row[0], "assistant", "", model, "streaming"))

        return await self._store.write(change)

    async def save_partial(self, message_id: str, content: str, answered_by: dict[str, Any] | None = None) -> None:
        """Keeps what a streaming answer says so far, and who gives it."""
        query = "UPDATE messages SET content = ?, answered_by = ? WHERE id = ? AND state = 'streaming'"
        await self._store.write(lambda c: c.execute(query, (content, _json(answered_by), message_id)))

    async def finish(self, conversation_id: str, message: StoredMessage) -> None:
        """Stores an answer's last state."""

        def change(c: apsw.Connection) -> None:
            c.execute(
                "UPDATE messages SET content = ?, state = ?, error = ?, usage = ?, timings = ?, answered_by = ? WHERE id = ?",
                (
                    message.content,
                    message.state,
                    _json(message.error),
                    _json(message.usage),
                    _json(message.timings),
                    _json(message.answered_by),
                    message.id,
                ),
            )
            if c.changes() == 0:  # purged meanwhile: its words must not come back
                return
            c.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (time.time(), conversation_id))
            _index(c, conversation_id, message.id, message.content)

        await self._store.write(change)

    async def bind(self, message_id: str, run: str) -> None:
        """Says whose answer it is: that of a run of an agent."""
        await self._store.write(lambda c: c.execute("UPDATE messages SET run = ? WHERE id = ?", (run, message_id)))

    async def resume(self, run: str) -> tuple[str, StoredMessage] | None:
        """The answer of a run that goes on reads `streaming` again. Gives its conversation and it; None if there is none."""

        def change(c: apsw.Connection) -> tuple[str, StoredMessage] | None:
            query = "UPDATE messages SET state = 'streaming', error = NULL WHERE run = ? AND state != 'complete'"
            c.execute(query, (run,))
            if c.changes() == 0:
                return None
            row = c.execute(f"SELECT conversation, {_MESSAGE} FROM messages WHERE run = ?", (run,)).fetchone()  # nosec B608 # our own columns
            return None if row is None else (str(row[0]), _message(row[1:]))

        return await self._store.write(change)

    async def acting(self) -> tuple[tuple[str, str], ...]:
        """Runs of agents whose answers have no end yet, each with its conversation's owner."""
        query = (
            "SELECT owner, run FROM messages JOIN conversations ON conversations.id = conversation "
            "WHERE run IS NOT NULL AND state IN ('streaming', 'interrupted')"
        )
        rows = await self._store.read(lambda c: c.execute(query).fetchall())
        return tuple((str(owner), str(run)) for owner, run in rows)

    async def mark_interrupted(self) -> int:
        """At start: answers that were streaming when the last daemon ended read `interrupted`. Returns how many."""

        def change(c: apsw.Connection) -> int:
            query = "SELECT id, conversation, content FROM messages WHERE state = 'streaming'"
            left: list[Row] = c.execute(query).fetchall()
            for message_id, conversation_id, content in left:
                c.execute("UPDATE messages SET state = 'interrupted' WHERE id = ?", (message_id,))
                _index(c, conversation_id, message_id, content)
            return len(left)

        return await self._store.write(change)


def reindex(c: apsw.Connection) -> None:
    """Makes the words anew from titles and messages, inside a change of the caller's."""
    c.execute("DELETE FROM words")
    c.execute("INSERT INTO words (conversation, source, text) SELECT id, 'title', title FROM conversations")
    c.execute(
        "INSERT INTO words (conversation, source, text) SELECT conversation, id, content FROM messages WHERE state != 'streaming'"
    )


def _new_message(parent: str | None, role: str, content: str, model: str | None, state: str) -> StoredMessage:
    return StoredMessage("m" + secrets.token_hex(8), parent, role, content, model, state, None, time.time(), None, None)


def _insert(c: apsw.Connection, conversation_id: str, message: StoredMessage) -> StoredMessage:
    if message.parent_id is not None:
        known = "SELECT 1 FROM messages WHERE id = ? AND conversation = ?"
        if c.execute(known, (message.parent_id, conversation_id)).fetchone() is None:
            raise UnknownMessage(f"The conversation has no message '{message.parent_id}'.", param="parent_id")
    c.execute(
        f"INSERT INTO messages (conversation, {_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, NULL, NULL, NULL, NULL)",  # nosec B608 # our own columns
        (
            conversation_id,
            message.id,
            message.parent_id,
            message.role,
            message.content,
            message.model,
            message.state,
            message.created_at,
        ),
    )
    c.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (message.created_at, conversation_id))
    return message


def _require(c: apsw.Connection, conversation_id: str, owner: str | None) -> str:
    row = c.execute(
        "SELECT title FROM conversations WHERE id = ? AND deleted_at IS NULL AND (? IS NULL OR owner = ?)",
        (conversation_id, owner, owner),
    ).fetchone()
    if row is None:
        raise UnknownConversation(f"There is no conversation '{conversation_id}'.")
    return str(row[0])


def _load(c: apsw.Connection, conversation_id: str, owner: str | None) -> Conversation:
    _require(c, conversation_id, owner)
    row = c.execute(f"SELECT {_CONVERSATION} FROM conversations WHERE id = ?", (conversation_id,)).fetchone()  # nosec B608 # our own columns
    assert row is not None
    rows = c.execute(f"SELECT {_MESSAGE} FROM messages WHERE conversation = ? ORDER BY seq", (conversation_id,))  # nosec B608 # our own columns
    return replace(Conversation(*row), messages=tuple(_message(found) for found in rows))


def _message(row: Row) -> StoredMessage:
    message_id, parent, role, content, model, state, error, created_at, *figures, run = row
    usage, timings, by = map(_parsed, figures)
    return StoredMessage(
        message_id, parent, role, content, model, state, _parsed(error), created_at, usage, timings, by, run
    )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _parsed(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)


def _index(c: apsw.Connection, conversation_id: str, source: str, text: str) -> None:
    c.execute("DELETE FROM words WHERE rowid IN (SELECT rowid FROM words WHERE conversation = ? AND source = ?)",
              (conversation_id, source))  # fmt: skip
    c.execute("INSERT INTO words (conversation, source, text) VALUES (?, ?, ?)", (conversation_id, source, text))


def _match(words: str) -> str:
    # Each word quoted, so that no query syntax gets through; the last one may be the beginning of a word.
    found = re.findall(r"\w+", words)
    return " ".join(f'"{word}"' for word in found[:16]) + ("*" if found else "")


def _title_of(content: str) -> str:
    line = " ".join(content.split())
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[:TITLE_LENGTH].rsplit(" ", 1)[0]
    return cut + "…"


def _first_time(c: apsw.Connection, name: str) -> bool:
    c.execute("INSERT OR IGNORE INTO notices VALUES (?, ?)", (name, time.time()))
    return c.changes() == 1
