"""The room: prompts by name, Homefire's own and a person's, with their versions.

    a name -> the version in force (a person's, else the package's own file) -> rendered with values

Promises: every version stays until the prompt is removed, so each change can be undone; going back is a change of what is in
force and destroys nothing; an own prompt that a person changed goes on to take the variables that its room gives it; one that
the built-in model was trained with cannot be changed (PromptBound); `text` never fails for a person's version: what it cannot
render it logs, and takes the package's own.
Does not cover: the language (`render.py`), packs (`packs.py`), shortening (`compress.py`).
"""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from homefire.errors import BadPrompt, HomefireError, InvalidRequest, PromptBound, UnknownPrompt
from homefire.paths import PromptName
from homefire.prompts.own import PREFIX, digest_of, own_source, own_sources
from homefire.prompts.render import check, flattened, render
from homefire.prompts.template import Written, of_words, parse
from homefire.store import PromptRows, VersionRow

log = logging.getLogger(__name__)
LONGEST_WHY = 500
# Lines of a diff that are shown.
MOST_DIFF = 4000


class Prompts:
    """One event loop uses it. `open` before anything else."""

    def __init__(self, rows: PromptRows, now: Callable[[], float] = time.time) -> None:
        self.rows = rows
        self._now = now
        self._changed: dict[str, VersionRow] = {}

    async def open(self) -> None:
        """Reads what is in force."""
        self._changed = {row.name: row for row in await self.rows.in_force()}

    # -- for the rooms

    def text(self, name: str, **values: Any) -> str:
        """What is in force of an own prompt, rendered. Raises BadPrompt only for values that not even the package's own takes."""
        if name in self._changed:
            try:
                return render(parse(self._changed[name].text), values, self.source)
            except HomefireError as problem:
                log.warning("the changed prompt '%s' is not used: %s", name, problem.message)
        return render(parse(own_source(name)), values, own_source)

    def source(self, name: str) -> str:
        """What is in force of any prompt, as it is written. Raises UnknownPrompt."""
        if name in self._changed:
            return self._changed[name].text
        try:
            return own_sources()[name]
        except KeyError:
            raise UnknownPrompt(f"There is no prompt '{name[:80]}'.") from None

    # -- for a person

    async def list(self) -> list[dict[str, Any]]:
        """All of them: name, about, whether it is Homefire's own, bound, version in force, pack."""
        rows = {row.name: row for row in await self.rows.all()}
        found = []
        for name in sorted({*own_sources(), *rows}):
            row, source = rows.get(name), self.source_of(name, rows)
            template = parse(source)
            found.append(
                {
                    "name": name, "about": template.about, "own": name in own_sources(), "bound": template.bound,
                    "version": row.current if row else 0, "latest": row.latest if row else 0, "pack": row.pack if row else "",
                    "own_changed": self._own_changed(name), "bytes": len(source.encode()),
                }
            )  # fmt: skip
        return found

    def source_of(self, name: str, rows: Mapping[str, Any]) -> str:
        """As `source`; for a prompt whose own text has gone with an upgrade, "" (its versions are there still)."""
        try:
            return self.source(name)
        except UnknownPrompt:
            if name in rows:
                return ""
            raise

    async def show(self, name: str, version: int | None = None) -> dict[str, Any]:
        """One with its text, its variables (those of what it includes too) and its versions. Raises UnknownPrompt."""
        versions = await self.rows.versions(name)
        row = next((each for each in await self.rows.all() if each.name == name), None)
        current = row.current if row else 0
        text = await self._text_of(name, current if version is None else version, versions)
        template = parse(text)
        try:
            variables = flattened(template, self.source)[1].variables
        except HomefireError:  # what it includes is gone; the text can be looked at nevertheless
            variables = template.variables
        listed = [{k: v for k, v in asdict(each).items() if k not in ("text", "name", "base")} for each in versions]
        if name in own_sources():
            listed.append({"version": 0, "why": "comes with Homefire", "by": "homefire", "at": 0.0})
        return {
            "name": name, "about": template.about, "own": name in own_sources(), "bound": template.bound, "text": text,
            "version": current if version is None else version, "current": current, "pack": row.pack if row else "",
            "variables": [each.as_data() for each in variables.values()], "versions": listed,
            "own_changed": self._own_changed(name),
        }  # fmt: skip

    async def edit(self, name: str, text: str, why: str, by: str, on: int | None = None) -> int:
        """A new version, in force at once; returns its number. `on`: the version it was made of. Raises BadPrompt, PromptBound,
        PromptConflict, InvalidRequest for a name."""
        self.require_sound(name, text)
        row = self.row(name, text, why, by)
        version = await self.rows.add(row, on)
        await self.open()
        return version

    def row(self, name: str, text: str, why: str, by: str) -> VersionRow:
        """What is to be written; its number is the store's to give."""
        base = digest_of(own_sources()[name]) if name in own_sources() else ""
        return VersionRow(name, 0, text, " ".join(why.split())[:LONGEST_WHY], by, base, self._now())

    def require_sound(self, name: str, text: str, load: Callable[[str], str] | None = None) -> None:
        """Raises unless this could be in force under this name."""
        own = own_sources().get(str(PromptName(name)))
        if own is None and name.startswith(PREFIX):
            raise InvalidRequest(
                f"Names that begin with {PREFIX!r} are Homefire's own.", "Choose another name.", param="name"
            )
        if own is not None and (bound := parse(own).bound):
            raise PromptBound(f"The model '{bound}' was trained with exactly the words of '{name}'.")
        template = parse(text)
        if template.bound:
            raise BadPrompt("Only Homefire's own prompts are bound to a model.", "Leave 'bound' out of the header.")

        def loading(other: str) -> str:
            if other == name:
                raise BadPrompt(f"'{name}' includes itself.", "Include another prompt.")
            return (load or self.source)(other)

        check(template, loading)
        if own is not None:
            _require_same(parse(own), flattened(template, loading)[1])

    async def diff(self, name: str, first: int | None, second: int | None) -> dict[str, Any]:
        """Lines that differ from one version to another, as a unified diff; without numbers: from the one before (of an own
        prompt that is version 0 at least) to the one in force. Raises UnknownPrompt."""
        versions = await self.rows.versions(name)
        row = next((each for each in await self.rows.all() if each.name == name), None)
        if row is None and name not in own_sources():
            raise UnknownPrompt(f"There is no prompt '{name[:80]}'.")
        to = (row.current if row else 0) if second is None else second
        earlier = [each.version for each in versions if each.version < to]
        start = (max(earlier, default=0 if name in own_sources() else to)) if first is None else first
        one, other = await self._text_of(name, start, versions), await self._text_of(name, to, versions)
        rows = list(
            difflib.unified_diff(
                one.splitlines(), other.splitlines(), f"{name} {start}", f"{name} {to}", lineterm="", n=2
            )
        )
        return {"name": name, "from": start, "to": to, "lines": rows[:MOST_DIFF], "more": max(0, len(rows) - MOST_DIFF)}

    async def rollback(self, name: str, version: int | None = None) -> int:
        """Puts an earlier version in force, without a number the one before; 0 is Homefire's own. Returns it. Raises
        UnknownPrompt."""
        versions = await self.rows.versions(name)
        if not versions:
            raise UnknownPrompt(f"There is no version of '{name[:80]}' to go back to.")
        current = self._changed[name].version if name in self._changed else 0
        earlier = [each.version for each in versions if each.version < current]
        to = (earlier[0] if earlier else 0) if version is None else version
        text = await self._text_of(name, to, versions)
        if to:
            self.require_sound(name, text)
        await self.rows.use(name, to, self._now())
        await self.open()
        return to

    async def remove(self, name: str) -> None:
        """Forgets a prompt of a person's with its versions. Raises UnknownPrompt, InvalidRequest for one of Homefire's own."""
        if name in own_sources():
            raise InvalidRequest(
                f"'{name}' is Homefire's own.", f"Take your changes back with: homefire prompts rollback {name} 0"
            )
        if not await self.rows.versions(name):
            raise UnknownPrompt(f"There is no prompt '{name[:80]}'.")
        await self.rows.remove(name)
        await self.open()

    async def render(
        self, name: str, values: Mapping[str, Any], version: int | None = None, words: bool = False
    ) -> str:
        """The text of one with these values; `words`: they come as texts from a command line. Raises BadPrompt, UnknownPrompt."""
        text = self.source(name) if version is None else await self._text_of(name, version, None)
        template = parse(text)
        given = of_words(flattened(template, self.source)[1], values) if words else values
        return render(template, given, self.source)

    # -- inside

    async def _text_of(self, name: str, version: int, versions: Sequence[VersionRow] | None) -> str:
        found = await self.rows.versions(name) if versions is None else versions
        if version == 0 and name in own_sources():
            return own_sources()[name]
        for each in found:
            if each.version == version:
                return each.text
        if not found and name not in own_sources():
            raise UnknownPrompt(f"There is no prompt '{name[:80]}'.")
        raise UnknownPrompt(f"'{name}' has no version {version}.", f"See: homefire prompts show {name}")

    def _own_changed(self, name: str) -> bool:
        """Whether Homefire's own text is another than when a person changed it."""
        row = self._changed.get(name)
        return row is not None and name in own_sources() and row.base != digest_of(own_sources()[name])


def _require_same(own: Written, changed: Written) -> None:
    """Raises BadPrompt unless what the room hands in fits the changed prompt too."""
    for name, variable in own.variables.items():
        if name not in changed.variables or changed.variables[name].type != variable.type:
            raise BadPrompt(
                f"Homefire gives this prompt the variable '{name}' ({variable.type}).", "Declare it, used or not."
            )
    for name, variable in changed.variables.items():
        if name not in own.variables and variable.default is None:
            raise BadPrompt(f"Nobody gives this prompt the variable '{name}'.", "Give it a default.")
