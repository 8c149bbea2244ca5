"""Prompts that a person wrote or changed, all their versions, and whose packs are trusted.

Promises: a version is never changed or used again; a change that was made on another version than the current one is refused in
the transaction that would have written it.
Does not cover: what a prompt may hold, Homefire's own texts, which are files of the package (`prompts/`).
"""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from homefire.errors import PromptConflict, UnknownPrompt
from homefire.store.database import Row, Store

MOST_PROMPTS, MOST_VERSIONS = 2000, 500


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt as it is in force: `current` is the version, 0 the text of the package; `latest` the newest there is."""

    name: str
    current: int
    latest: int
    pack: str
    at: float


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version. `why` in the person's words; `by` is who; `base` the digest of the package's text when it was made."""

    name: str
    version: int
    text: str
    why: str
    by: str
    base: str
    at: float


@dataclass(frozen=True, slots=True)
class SignerRow:
    """A key that packs may be signed with: public, hexadecimal; `pack` is the one it was first met with."""

    key: str
    pack: str
    at: float


_ROW = "p.name, p.current, (SELECT max(version) FROM prompt_versions v WHERE v.name = p.name), p.pack, p.at"
_VERSION = "name, version, text, why, by, base, at"


class PromptRows:
    """The tables `prompts`, `prompt_versions` and `prompt_signers`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[PromptRow]:
        """Every prompt with a version here, by name."""
        query = f"SELECT {_ROW} FROM prompts p ORDER BY p.name"  # nosec B608 # our own columns
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [PromptRow(*row) for row in rows]

    async def versions(self, name: str) -> list[VersionRow]:
        """All versions of a prompt, newest first; none if there is no such prompt."""
        query = f"SELECT {_VERSION} FROM prompt_versions WHERE name = ? ORDER BY version DESC"  # nosec B608 # our own
        rows: list[Row] = await self._store.read(lambda c: c.execute(query, (name,)).fetchall())
        return [VersionRow(*row) for row in rows]

    async def in_force(self) -> list[VersionRow]:
        """The version in force of each prompt that has one."""
        query = (
            f"SELECT {', '.join('v.' + each for each in _VERSION.split(', '))} FROM prompts p "  # nosec B608 # our own
            "JOIN prompt_versions v ON v.name = p.name AND v.version = p.current"
        )
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [VersionRow(*row) for row in rows]

    async def add(self, row: VersionRow, on: int | None, pack: str = "") -> int:
        """A new version, in force from now on; returns its number (`row.version` is not looked at). `on`: the version it was
        made of, None for whichever. Raises PromptConflict."""

        return (await self.add_all([(row, on)], pack))[0]

    async def add_all(self, rows: list[tuple[VersionRow, int | None]], pack: str = "") -> list[int]:
        """All of them or none, as `add`."""
        return await self._store.write(lambda c: [_add(c, row, on, pack) for row, on in rows])

    async def use(self, name: str, version: int, at: float) -> None:
        """Puts an earlier version in force; 0 is the package's own. Raises UnknownPrompt."""

        def change(c: apsw.Connection) -> None:
            some = "SELECT 1 FROM prompt_versions WHERE name = ? AND version = ?"
            if version and c.execute(some, (name, version)).fetchone() is None:
                raise UnknownPrompt(f"'{name}' has no version {version}.", f"See: homefire prompts show {name}")
            c.execute("UPDATE prompts SET current = ?, at = ? WHERE name = ?", (version, at, name))

        await self._store.write(change)

    async def remove(self, name: str) -> None:
        """Forgets a prompt and its versions."""

        def change(c: apsw.Connection) -> None:
            c.execute("DELETE FROM prompt_versions WHERE name = ?", (name,))
            c.execute("DELETE FROM prompts WHERE name = ?", (name,))

        await self._store.write(change)

    async def signers(self) -> list[SignerRow]:
        """Keys that are trusted, oldest first."""
        query = "SELECT key, pack, at FROM prompt_signers ORDER BY at, key"
        rows: list[Row] = await self._store.read(lambda c: c.execute(query).fetchall())
        return [SignerRow(*row) for row in rows]

    async def trust(self, row: SignerRow) -> None:
        """Trusts a key from now on."""
        values = row.key, row.pack, row.at
        await self._store.write(lambda c: c.execute("INSERT OR IGNORE INTO prompt_signers VALUES (?, ?, ?)", values))


def _add(c: apsw.Connection, row: VersionRow, on: int | None, pack: str) -> int:
    found = c.execute("SELECT current FROM prompts WHERE name = ?", (row.name,)).fetchone()
    current = 0 if found is None else found[0]
    if on is not None and on != current:
        raise PromptConflict(f"'{row.name}' is at version {current} by now, not {on}.")
    highest = c.execute("SELECT max(version), count(*) FROM prompt_versions WHERE name = ?", (row.name,)).fetchone()
    latest, count = highest if highest else (0, 0)
    prompts = c.execute("SELECT count(*) FROM prompts").fetchall()[0][0]
    if int(count) >= MOST_VERSIONS or (found is None and int(prompts) >= MOST_PROMPTS):  # type: ignore[arg-type]
        raise PromptConflict(
            f"There are {MOST_VERSIONS} versions of a prompt, or {MOST_PROMPTS} prompts, already.",
            "Remove one with: homefire prompts remove NAME",
        )
    version = int(latest or 0) + 1
    values = row.name, version, row.text, row.why, row.by, row.base, row.at
    c.execute(f"INSERT INTO prompt_versions ({_VERSION}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)  # nosec B608 # our own
    query = (
        "INSERT INTO prompts (name, current, pack, at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
        "current = excluded.current, at = excluded.at"
    )
    c.execute(query, (row.name, version, pack, row.at))
    return version
