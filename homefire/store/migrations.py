"""Numbered migrations of the one database, applied in order, those of one start in one transaction.

Promises: a migration that has landed is never edited; a new one is appended. `user_version` is the number of the last one.
Does not cover: moving back. A database written by a newer Homefire is refused, not guessed at.
"""

from homefire.store.memory_schema import OF_CONVERSATIONS, SCHEMA

MIGRATIONS: tuple[str, ...] = (
    # 1: keys and the page's sessions; only hashes of secrets are stored.
    """
    CREATE TABLE keys (
        name TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, created_at REAL NOT NULL, last_used_at REAL
    ) STRICT;
    CREATE TABLE sessions (
        hash BLOB PRIMARY KEY, created_at REAL NOT NULL, expires_at REAL NOT NULL
    ) STRICT;
    CREATE TABLE notices (name TEXT PRIMARY KEY, shown_at REAL NOT NULL) STRICT;
    """,
    # 2: conversations: a tree of messages each. Deleting marks; `purge` removes what was marked long enough ago.
    """
    CREATE TABLE conversations (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, model TEXT, system TEXT, notice TEXT,
        created_at REAL NOT NULL, updated_at REAL NOT NULL, deleted_at REAL
    ) STRICT;
    CREATE INDEX conversations_by_update ON conversations (updated_at DESC);
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        parent TEXT, role TEXT NOT NULL, content TEXT NOT NULL, model TEXT, state TEXT NOT NULL, error TEXT,
        created_at REAL NOT NULL, usage TEXT, timings TEXT
    ) STRICT;
    CREATE INDEX messages_by_conversation ON messages (conversation, seq);
    CREATE INDEX messages_streaming ON messages (state) WHERE state = 'streaming';
    """,
    # 3: installed models beside the built-in one; the file itself is a blob.
    """
    CREATE TABLE models (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, facts TEXT NOT NULL, added_at REAL NOT NULL
    ) STRICT;
    """,
    # 4: words of titles and messages, for finding a conversation again.
    """
    CREATE VIRTUAL TABLE words USING fts5 (
        conversation UNINDEXED, source UNINDEXED, text, tokenize = 'unicode61 remove_diacritics 2'
    );
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
    """,
    # 5: models of several files, from anywhere, pinned or not; downloads that outlive the daemon; what loads really took; roles;
    # digests that were trusted on first use.
    """
    ALTER TABLE models ADD COLUMN source TEXT NOT NULL DEFAULT 'imported';
    ALTER TABLE models ADD COLUMN origin TEXT NOT NULL DEFAULT '';
    ALTER TABLE models ADD COLUMN files TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE models ADD COLUMN provenance TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE models ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE models ADD COLUMN external INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE downloads (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE measurements (
        seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL, architecture TEXT NOT NULL, device TEXT NOT NULL,
        estimate REAL NOT NULL, measured REAL NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE roles (role TEXT PRIMARY KEY, model TEXT NOT NULL) STRICT;
    CREATE TABLE trusted (address TEXT PRIMARY KEY, sha256 TEXT NOT NULL, seen_at REAL NOT NULL) STRICT;
    """,
    # 6: far engines, what stood behind their models' names, and orders of fallback. Their keys are not here (`secrets.toml`).
    """
    CREATE TABLE engines (
        name TEXT PRIMARY KEY, url TEXT NOT NULL, kind TEXT NOT NULL, models TEXT NOT NULL, granted INTEGER NOT NULL,
        added_at REAL NOT NULL
    ) STRICT;
    CREATE TABLE engine_marks (
        engine TEXT NOT NULL REFERENCES engines (name) ON DELETE CASCADE, model TEXT NOT NULL, mark TEXT NOT NULL,
        PRIMARY KEY (engine, model)
    ) STRICT;
    CREATE TABLE chains (model TEXT PRIMARY KEY, entries TEXT NOT NULL) STRICT;
    """,
    # 7: what the keeper of models knows beyond the daemon's end: wishes and crashes of models, what loads took (a load is the
    # digest of its file and how it was loaded), decisions. And who answered a message, with those that were asked before.
    """
    CREATE TABLE kept_models (
        model TEXT PRIMARY KEY, pinned INTEGER NOT NULL, keep_alive REAL, crashes TEXT NOT NULL, in_a_row INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE kept_loads (load TEXT PRIMARY KEY, bytes INTEGER NOT NULL, seconds REAL, at REAL NOT NULL) STRICT;
    CREATE TABLE decisions (
        number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, reason TEXT NOT NULL,
        facts TEXT NOT NULL, times INTEGER NOT NULL
    ) STRICT;
    ALTER TABLE messages ADD COLUMN answered_by TEXT;
    """,
    # 8: what a key may do, for how long, how much; two live secrets while it is rotated; whose a conversation is (''
    # is the person). Keys from before may do everything, as they did. The audit log is only ever added to.
    """
    ALTER TABLE keys ADD COLUMN id TEXT NOT NULL DEFAULT '';
    ALTER TABLE keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'admin';
    ALTER TABLE keys ADD COLUMN expires_at REAL;
    ALTER TABLE keys ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE keys ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE keys ADD COLUMN concurrent INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE keys ADD COLUMN old_hash BLOB;
    ALTER TABLE keys ADD COLUMN old_until REAL;
    UPDATE keys SET id = 'k' || lower(hex(randomblob(8)));
    ALTER TABLE conversations ADD COLUMN owner TEXT NOT NULL DEFAULT '';
    CREATE INDEX conversations_by_owner ON conversations (owner, updated_at DESC);
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL, about TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
    CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
    """,
    # 9: the quickest way to run a model as measured, and who drafts for it by a person's word. `model` of a tuning is a digest.
    """
    CREATE TABLE tunings (
        model TEXT NOT NULL, engine TEXT NOT NULL, machine TEXT NOT NULL, body TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (model, engine, machine)
    ) STRICT;
    CREATE TABLE draft_plans (model TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    """,
    # 10: safety: what each key may do with each tool, single effects that a person is asked about, what a critic said of plans.
    """
    CREATE TABLE grants (
        key TEXT NOT NULL, tool TEXT NOT NULL, pin TEXT NOT NULL, bounds TEXT NOT NULL, PRIMARY KEY (key, tool)
    ) STRICT;
    CREATE TABLE approvals (
        id TEXT PRIMARY KEY, key TEXT NOT NULL, run TEXT NOT NULL, tool TEXT NOT NULL, digest TEXT NOT NULL, shown TEXT NOT NULL,
        reason TEXT NOT NULL, state TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL
    ) STRICT;
    CREATE INDEX approvals_by_effect ON approvals (key, run, digest);
    CREATE TABLE verdicts (
        seq INTEGER PRIMARY KEY, plan TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, risk INTEGER NOT NULL,
        critic TEXT NOT NULL, at REAL NOT NULL
    ) STRICT;
    """,
    # 11: knowledge. What was read of which folder; each text once, where it lies in the volumes and how it is cut; how long each
    # volume's files are valid; which texts a collection has (`seq`: in which order they came, `dead`: no document has it any
    # more); how far each set of vectors has come. `pieces` and `windows` are packed (`knowledge/packing.py`).
    """
    CREATE TABLE collections (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, root BLOB NOT NULL, state TEXT NOT NULL,
        watch INTEGER NOT NULL, run INTEGER NOT NULL, batch INTEGER NOT NULL, note TEXT NOT NULL, facts TEXT NOT NULL,
        created_at REAL NOT NULL, updated_at REAL NOT NULL
    ) STRICT;
    CREATE TABLE texts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, segment INTEGER NOT NULL, start INTEGER NOT NULL,
        size INTEGER NOT NULL, lines INTEGER NOT NULL, marks INTEGER NOT NULL, simhash INTEGER NOT NULL, minhash BLOB NOT NULL,
        labels TEXT NOT NULL, pieces BLOB NOT NULL, windows BLOB NOT NULL
    ) STRICT;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE, path BLOB NOT NULL,
        entry TEXT NOT NULL, shown TEXT NOT NULL, kind TEXT NOT NULL, language TEXT NOT NULL, title TEXT NOT NULL,
        size INTEGER NOT NULL, trusted_ns INTEGER NOT NULL, modified_ns INTEGER NOT NULL, source BLOB NOT NULL,
        text INTEGER REFERENCES texts (id), line INTEGER NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
        reader INTEGER NOT NULL, seen INTEGER NOT NULL, UNIQUE (collection, path, entry)
    ) STRICT;
    CREATE INDEX documents_by_text ON documents (text, collection);
    CREATE TABLE collection_texts (
        collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE, text INTEGER NOT NULL, seq INTEGER NOT NULL,
        dead INTEGER NOT NULL, PRIMARY KEY (collection, text)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX collection_texts_by_seq ON collection_texts (collection, seq);
    CREATE TABLE volume_ends (segment INTEGER PRIMARY KEY, text INTEGER NOT NULL, lines INTEGER NOT NULL) STRICT;
    CREATE TABLE vector_spaces (
        collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE, tag TEXT NOT NULL, name TEXT NOT NULL,
        width INTEGER NOT NULL, rows INTEGER NOT NULL, upto INTEGER NOT NULL, generation INTEGER NOT NULL,
        PRIMARY KEY (collection, tag)
    ) STRICT;
    """,
    # 12: a checksum beside every row of the other tables (`sums.py`).
    """
    CREATE TABLE row_sums (
        place TEXT NOT NULL, row INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (place, row)
    ) STRICT, WITHOUT ROWID;
    """,
    # 13: runs of agents (their steps stand in journals), timers and notes that they left, and what was granted by default once.
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, key TEXT NOT NULL, task TEXT NOT NULL, state TEXT NOT NULL, ending TEXT NOT NULL,
        answer TEXT NOT NULL, model TEXT NOT NULL, mode TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
        steps INTEGER NOT NULL, tokens INTEGER NOT NULL, conversation TEXT NOT NULL, parent TEXT NOT NULL,
        "order" TEXT NOT NULL, resumes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX runs_by_key ON runs (key, created_at DESC);
    CREATE TABLE timers (
        id TEXT PRIMARY KEY, key TEXT NOT NULL, run TEXT NOT NULL, label TEXT NOT NULL, minutes REAL NOT NULL,
        due_at REAL NOT NULL, state TEXT NOT NULL, created_at REAL NOT NULL
    ) STRICT;
    CREATE TABLE notes (
        id TEXT PRIMARY KEY, key TEXT NOT NULL, run TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, label TEXT NOT NULL,
        created_at REAL NOT NULL
    ) STRICT;
    CREATE INDEX notes_by_key ON notes (key, created_at DESC);
    CREATE TABLE granted_once (key TEXT NOT NULL, tool TEXT NOT NULL, pin TEXT NOT NULL, PRIMARY KEY (key, tool)) STRICT;
    """,
    # 14: an answer may be that of a run of an agent.
    """
    ALTER TABLE messages ADD COLUMN run TEXT;
    CREATE UNIQUE INDEX messages_by_run ON messages (run) WHERE run IS NOT NULL;
    """,
    # 15: prompts that a person wrote or changed (`current` 0: the package's own text is in force), and keys of packs.
    """
    CREATE TABLE prompts (name TEXT PRIMARY KEY, current INTEGER NOT NULL, pack TEXT NOT NULL, at REAL NOT NULL) STRICT;
    CREATE TABLE prompt_versions (
        name TEXT NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL, why TEXT NOT NULL, by TEXT NOT NULL,
        base TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (name, version)
    ) STRICT;
    CREATE TABLE prompt_signers (key TEXT PRIMARY KEY, pack TEXT NOT NULL, at REAL NOT NULL) STRICT;
    """,
    # 16: memory: blocks, what is recalled, facts with their sources (`memory_schema.py`).
    SCHEMA + OF_CONVERSATIONS,
    # 17: swarms of agents, and the boards that they share.
    """
    CREATE TABLE swarms (
        id TEXT PRIMARY KEY, key TEXT NOT NULL, task TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL,
        ending TEXT NOT NULL, answer TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
        tokens INTEGER NOT NULL, seconds REAL NOT NULL
    ) STRICT;
    CREATE INDEX swarms_by_key ON swarms (key, created_at DESC);
    CREATE TABLE boards (
        swarm TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL, label TEXT NOT NULL,
        by TEXT NOT NULL, call TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (swarm, name, version), UNIQUE (swarm, call)
    ) STRICT;
    """,
    # 18: MCP servers that a person added.
    """
    CREATE TABLE mcp_servers (
        name TEXT PRIMARY KEY, command TEXT NOT NULL, url TEXT NOT NULL, passed TEXT NOT NULL, added_at REAL NOT NULL
    ) STRICT;
    """,
)
