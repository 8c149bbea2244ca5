"""What may come out: an effect that a model proposes is checked here, outside the model, before anything happens.

    proposal -> tool known? -> granted to this key? -> the tool as it was granted? -> arguments fit its schema, exactly?
             -> paths, hosts, recipients, size within the grant? -> what its risk and the taint of its context demand
             -> allow | ask (a person, about these exact arguments) | refuse

Promises: what may be done stands in the server's table of grants and in approvals that a person gave, never in a text; an
approval is bound to key, run and the sha256 of tool and arguments, counts once, ends with time and can be taken back; tainted
context only ever lowers what goes through. What was checked is what is to be used: `Verdict.arguments` hold real paths and
parsed addresses.
Does not cover: carrying out the effect, and a path that changes under it (`sandbox/`); what a name of a host leads to (its
proxy).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from homefire.errors import AddressRefused, BadTool
from homefire.safety.addresses import matches, read_url
from homefire.safety.schema import Misfit, canonical, check_schema, read_arguments
from homefire.safety.taint import Label, Source, label
from homefire.store import ApprovalRow, GrantRow, Safety

Risk = Literal["read", "write", "run", "send", "spend", "admin"]
Outcome = Literal["allow", "ask", "refuse"]
APPROVAL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as it is declared. `paths`, `addresses` and `recipients` name the arguments that are such; `private`: what it
    gives belongs to the person alone; `way_out`: what it is given can leave the machine (those with addresses or recipients
    always); `maker`: what it is run by (command, arguments, digest of the program), so that a change of that is a change of
    the tool."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    risk: Risk
    paths: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    private: bool = False
    way_out: bool = False
    maker: str = ""
    source: Source = "tool"

    def __post_init__(self) -> None:
        if self.risk not in get_args(Risk):
            raise BadTool(f"The tool '{self.name}' has no known risk: {self.risk!r}.", param="risk")
        check_schema(self.parameters)
        fields = self.parameters.get("properties", {})
        for name in (*self.paths, *self.addresses, *self.recipients):
            kind = fields.get(name, {}).get("type")
            inner = fields.get(name, {}).get("items", {}).get("type")
            if kind != "string" and (kind, inner) != ("array", "string"):
                raise BadTool(f"The tool '{self.name}' has no text argument '{name}'.", param=name)

    @property
    def gives(self) -> Label:
        """The label of its results."""
        return label(self.source, private=self.private)

    @property
    def leads_out(self) -> bool:
        """Whether what it is given can leave the machine."""
        return bool(self.way_out or self.addresses or self.recipients or self.risk == "send")

    @property
    def pin(self) -> str:
        """Any byte of the declaration that changes changes this."""
        whole = {name: getattr(self, name) for name in self.__slots__}
        return hashlib.sha256(canonical({**whole, "parameters": dict(self.parameters)}).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Proposal:
    """An effect a model wants. `arguments` as the model wrote them; `label` is that of everything the model had in front of
    it; `folder` is the run's own."""

    key: str
    run: str
    tool: str
    arguments: str
    label: Label
    folder: Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be done. `code` is stable; `arguments` are those to use; `shown` is the effect as a person is shown it, in
    ASCII, so that nothing in it can look like something else; `approval` is the question that waits, also of a refusal that a
    person may lift: nobody is asked then, but who looks can approve."""

    outcome: Outcome
    code: str
    reason: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    shown: str = ""
    approval: str = ""


class _Refused(Exception):
    """Ends a check."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Boundary:
    """The one way from what a model writes to what is done. `protected`: folders that no tool reaches, but for the run's own
    folder inside. Used on one event loop; `open()` before use."""

    def __init__(
        self,
        tools: Iterable[ToolSpec],
        stored: Safety,
        protected: tuple[Path, ...] = (),
        *,
        now: Callable[[], float] = time.time,
        approval_seconds: float = APPROVAL_SECONDS,
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._stored = stored
        self._protected = tuple(Path(os.path.realpath(folder)) for folder in protected)
        self._now = now
        self._seconds = approval_seconds
        self._grants: dict[tuple[str, str], GrantRow] = {}

    async def open(self) -> None:
        """Loads the grants."""
        self._grants = {(row.key, row.tool): row for row in await self._stored.grants()}

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """Every tool that is declared, by name."""
        return tuple(self._tools[name] for name in sorted(self._tools))

    def held(self, key: str, tool: str) -> GrantRow | None:
        """What this key may do with a tool, also where the tool has changed since."""
        return self._grants.get((key, tool))

    def declare(self, tool: ToolSpec) -> None:
        """Takes a tool as it is now. A grant of an earlier form of it no longer counts."""
        self._tools[tool.name] = tool

    def withdraw(self, name: str) -> None:
        """A tool that is gone. Its grants stay where they are: they count again if it comes back as it was."""
        self._tools.pop(name, None)

    async def grant(self, row: GrantRow) -> None:
        """A person's decision; never one of a model. Raises BadTool if there is no such tool, or not any more."""
        tool = self._tools.get(row.tool)
        if tool is None or tool.pin != row.pin:
            raise BadTool(f"There is no tool '{row.tool}' of this form.", param="tool")
        await self._stored.grant(row)
        self._grants[row.key, row.tool] = row

    async def revoke(self, key: str, tool: str) -> None:
        """Ends a grant, from the next proposal on."""
        self._grants.pop((key, tool), None)
        await self._stored.revoke_grant(key, tool)

    async def decide(self, proposal: Proposal) -> Verdict:
        """The verdict on one effect. An approval that matches is used up by it."""
        try:
            tool, grant = self._granted(proposal)
            arguments, outside = _bounded(proposal, tool, grant, self._protected)
        except _Refused as refused:
            return Verdict("refuse", refused.code, refused.reason)
        digest = hashlib.sha256(
            canonical({"tool": tool.name, "pin": tool.pin, "arguments": arguments}).encode()
        ).hexdigest()
        shown = json.dumps({"tool": tool.name, "arguments": arguments}, ensure_ascii=True, sort_keys=True, indent=1)
        outcome, code, reason = judge(tool, grant, proposal.label, arguments, outside)
        if outcome != "allow" and await self._stored.use(proposal.key, proposal.run, digest, self._now()):
            outcome, code, reason = "allow", "approved", "A person approved exactly this."
        if outcome != "allow":
            now = self._now()
            row = ApprovalRow(
                "", proposal.key, proposal.run, tool.name, digest, shown, reason, "pending", now, now + self._seconds
            )
            asked = await self._stored.ask(row)
            if asked is None:
                return Verdict("refuse", "too_many_questions", "Too many questions of this run wait for a person.")
            return Verdict(outcome, code, reason, arguments, digest, shown, asked.id)
        return Verdict(outcome, code, reason, arguments, digest, shown)

    def _granted(self, proposal: Proposal) -> tuple[ToolSpec, GrantRow]:
        tool = self._tools.get(proposal.tool)
        if tool is None:
            raise _Refused("unknown_tool", "There is no such tool.")
        grant = self._grants.get((proposal.key, tool.name))
        if grant is None:
            raise _Refused("not_granted", f"'{tool.name}' is not granted to this key.")
        if grant.pin != tool.pin:
            raise _Refused("tool_changed", f"'{tool.name}' is not what it was when it was granted.")
        return tool, grant


def judge(
    tool: ToolSpec, grant: GrantRow, context: Label, arguments: Mapping[str, Any], outside: bool
) -> tuple[Outcome, str, str]:
    """What risk and taint demand of an effect within its grant. `outside`: it touches a path that is not in the run's folder."""
    if context.tainted and context.private and tool.leads_out:
        return "refuse", "private_way_out", "Private data and untrusted text are in one context, and this leads out."
    if tool.risk in ("spend", "admin"):
        return "ask", "risk", f"A tool that can {tool.risk} asks every time."
    if grant.ask:
        return "ask", "grant_asks", "The grant asks every time."
    if context.tainted and tool.risk in ("send", "run"):
        return "ask", "tainted", f"Untrusted text is in the context, and this can {tool.risk}."
    if context.tainted and tool.risk == "write" and outside:
        return "ask", "tainted", "Untrusted text is in the context, and this writes outside the run's folder."
    known = {each.lower() for each in grant.recipients}
    if any(each.lower() not in known for name in tool.recipients for each in _texts(arguments.get(name))):
        return "ask", "new_recipient", "The grant does not name this recipient."
    if tool.risk == "send" and not (tool.recipients or tool.addresses):
        return "ask", "risk", "It sends, and does not say to whom."
    return "allow", "granted", "The grant covers it."


def _bounded(
    proposal: Proposal, tool: ToolSpec, grant: GrantRow, protected: tuple[Path, ...]
) -> tuple[dict[str, Any], bool]:
    """The arguments as they are to be used, and whether a path lies outside the run's folder. Raises _Refused."""
    try:
        arguments = read_arguments(proposal.arguments, tool.parameters)
    except Misfit as problem:
        raise _Refused("bad_arguments", f"The arguments of '{tool.name}': {problem}.") from None
    if len(canonical(arguments).encode()) > grant.largest:
        raise _Refused("too_large", f"The grant of '{tool.name}' takes {grant.largest} bytes.")
    folder = Path(os.path.realpath(proposal.folder))
    outside = False
    for name in tool.paths:
        if name in arguments:
            real = [_real_path(each, folder) for each in _texts(arguments[name])]
            for path in real:
                if path.is_relative_to(folder):
                    continue
                outside = True
                if not any(path.is_relative_to(root) for root in grant.roots):
                    raise _Refused("path_outside", f"The grant of '{tool.name}' does not reach {str(path)[:200]!r}.")
                if any(path.is_relative_to(each) or each.is_relative_to(path) for each in protected):
                    raise _Refused("path_protected", f"No tool reaches {str(path)[:200]!r}.")
            arguments[name] = _like(arguments[name], [str(path) for path in real])
    for name in tool.addresses:
        if name in arguments:
            try:
                found = [read_url(each) for each in _texts(arguments[name])]
            except AddressRefused as problem:
                raise _Refused("address_refused", problem.message) from None
            for each in found:
                if not any(matches(each.host, granted) for granted in grant.hosts):
                    raise _Refused(
                        "host_not_granted", f"The grant of '{tool.name}' does not name the host {each.host!r}."
                    )
            arguments[name] = _like(arguments[name], [each.url for each in found])
    return arguments, outside


def _real_path(text: str, folder: Path) -> Path:
    if not text or "\0" in text or text.startswith("~") or "\\" in text or not text.isprintable():
        raise _Refused("bad_path", "A path is empty, begins with ~, or holds a character that paths do not need.")
    try:
        return Path(os.path.realpath(folder / text))
    except (OSError, ValueError):
        raise _Refused("bad_path", "A path cannot be resolved.") from None


def _texts(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _like(before: Any, texts: list[str]) -> Any:
    return texts if isinstance(before, list) else texts[0]
