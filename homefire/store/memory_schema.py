"""The tables of memory, as the browser build has them too: plain SQLite and FTS5, nothing of this machine.

Promises: `SCHEMA` runs on an empty SQLite with FTS5 (`fixtures/memory.json` carries the same text, and a test compares);
`OF_CONVERSATIONS` ties them to the tables of conversations and runs: an answer that is complete is found from the same
transaction on, so are the task and the answer of a run that ended (one in a conversation is found there); what was deleted is
not, and its words are overwritten. `memory_marks` says how far the background has read.
Does not cover: what is written and found (`homefire/memory/`).
"""

from __future__ import annotations

import apsw

# `entries` is what a search finds: turns of conversations, steps of runs, summaries, facts. `place` is a message's id,
# "RUN:N", or "fact:N"; `thread` the conversation or run. A fact's `slot` says what it is about, if that is known: facts of one
# slot with other words contradict each other, and all but the newest valid one have `replaced_by`.
SCHEMA = """
CREATE TABLE memory_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, kind TEXT NOT NULL, place TEXT NOT NULL, thread TEXT NOT NULL,
    role TEXT NOT NULL, text TEXT NOT NULL, at REAL NOT NULL, UNIQUE (kind, place)
) STRICT;
CREATE INDEX memory_entries_by_thread ON memory_entries (thread, id);
CREATE INDEX memory_entries_by_time ON memory_entries (key, at);
CREATE VIRTUAL TABLE memory_words USING fts5 (
    text, content = 'memory_entries', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER memory_entry_added AFTER INSERT ON memory_entries BEGIN
    INSERT INTO memory_words (rowid, text) VALUES (NEW.id, NEW.text);
END;
CREATE TRIGGER memory_entry_gone AFTER DELETE ON memory_entries BEGIN
    INSERT INTO memory_words (memory_words, rowid, text) VALUES ('delete', OLD.id, OLD.text);
END;
CREATE TRIGGER memory_entry_changed AFTER UPDATE OF text ON memory_entries BEGIN
    INSERT INTO memory_words (memory_words, rowid, text) VALUES ('delete', OLD.id, OLD.text);
    INSERT INTO memory_words (rowid, text) VALUES (NEW.id, NEW.text);
END;
CREATE TABLE memory_vectors (
    entry INTEGER PRIMARY KEY REFERENCES memory_entries (id) ON DELETE CASCADE, tag TEXT NOT NULL, vector BLOB NOT NULL
) STRICT;
CREATE TABLE memory_facts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, text TEXT NOT NULL, digest TEXT NOT NULL, slot TEXT NOT NULL,
    negative INTEGER NOT NULL, confidence REAL NOT NULL, label TEXT NOT NULL, at REAL NOT NULL, expires_at REAL,
    replaced_by INTEGER, forgotten_at REAL, seen INTEGER NOT NULL
) STRICT;
CREATE INDEX memory_facts_by_digest ON memory_facts (key, digest);
CREATE INDEX memory_facts_by_slot ON memory_facts (key, slot);
CREATE TABLE memory_sources (
    id INTEGER PRIMARY KEY, fact INTEGER NOT NULL REFERENCES memory_facts (id) ON DELETE CASCADE, kind TEXT NOT NULL,
    place TEXT NOT NULL, words TEXT NOT NULL, run TEXT NOT NULL, at REAL NOT NULL, UNIQUE (fact, kind, place, words)
) STRICT;
CREATE TABLE memory_links (
    id INTEGER PRIMARY KEY, fact INTEGER NOT NULL REFERENCES memory_facts (id) ON DELETE CASCADE,
    other INTEGER NOT NULL REFERENCES memory_facts (id) ON DELETE CASCADE, kind TEXT NOT NULL, UNIQUE (fact, other, kind)
) STRICT;
CREATE TABLE memory_blocks (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL,
    most INTEGER NOT NULL, at REAL NOT NULL, UNIQUE (key, name, version)
) STRICT;
"""

_TURN = (
    "INSERT INTO memory_entries (key, kind, place, thread, role, text, at) "
    "SELECT c.owner, 'turn', m.id, c.id, m.role, m.content, m.created_at FROM messages m JOIN conversations c "
    "ON c.id = m.conversation WHERE m.state != 'streaming' AND m.content != '' AND c.deleted_at IS NULL"
)
OF_CONVERSATIONS = f"""
{_TURN};
CREATE TRIGGER memory_turn_added AFTER INSERT ON messages WHEN NEW.state != 'streaming' BEGIN
    {_TURN} AND m.id = NEW.id AND NOT EXISTS (SELECT 1 FROM memory_entries WHERE kind = 'turn' AND place = NEW.id);
END;
CREATE TRIGGER memory_turn_ended AFTER UPDATE OF content, state ON messages WHEN NEW.state != 'streaming' BEGIN
    DELETE FROM memory_entries WHERE kind = 'turn' AND place = NEW.id;
    {_TURN} AND m.id = NEW.id;
END;
CREATE TRIGGER memory_turn_gone AFTER DELETE ON messages BEGIN
    DELETE FROM memory_entries WHERE kind = 'turn' AND place = OLD.id;
END;
CREATE TRIGGER memory_thread_gone AFTER UPDATE OF deleted_at ON conversations WHEN NEW.deleted_at IS NOT NULL BEGIN
    DELETE FROM memory_entries WHERE kind IN ('turn', 'summary') AND thread = NEW.id;
END;
CREATE TRIGGER memory_thread_purged AFTER DELETE ON conversations BEGIN
    DELETE FROM memory_entries WHERE kind IN ('turn', 'summary') AND thread = OLD.id;
END;
CREATE TRIGGER memory_thread_back AFTER UPDATE OF deleted_at ON conversations
WHEN NEW.deleted_at IS NULL AND OLD.deleted_at IS NOT NULL BEGIN
    {_TURN} AND c.id = NEW.id;
END;
CREATE TRIGGER memory_run_ended AFTER INSERT ON runs WHEN NEW.state = 'ended' AND NEW.conversation = '' BEGIN
    DELETE FROM memory_entries WHERE kind = 'step' AND place IN (NEW.id || ':task', NEW.id || ':answer');
    INSERT INTO memory_entries (key, kind, place, thread, role, text, at)
        VALUES (NEW.key, 'step', NEW.id || ':task', NEW.id, 'user', NEW.task, NEW.created_at);
    INSERT INTO memory_entries (key, kind, place, thread, role, text, at)
        SELECT NEW.key, 'step', NEW.id || ':answer', NEW.id, 'assistant', NEW.answer, NEW.updated_at WHERE NEW.answer != '';
END;
CREATE TRIGGER memory_run_gone AFTER DELETE ON runs BEGIN
    DELETE FROM memory_entries WHERE kind IN ('step', 'summary') AND thread = OLD.id;
END;
CREATE TABLE memory_marks (name TEXT PRIMARY KEY, entry INTEGER NOT NULL) STRICT;
"""  # nosec B608 # our own columns


def rebuild(c: apsw.Connection) -> None:
    """Makes the words anew from the entries, and the entries of messages that have none, inside a change of the caller's."""
    c.execute(f"{_TURN} AND NOT EXISTS (SELECT 1 FROM memory_entries WHERE kind = 'turn' AND place = m.id)")
    c.execute("INSERT INTO memory_words (memory_words) VALUES ('rebuild')")
