"""The policy in front of the models: every chat and every plain completion passes here before a model is found for it.

Promises: what is refused reaches no model, and in a conversation is not stored; what is rewritten is rewritten in every
message; a question of the policy is about the exact text, and its answer counts once, within ten minutes. What an
earlier answer of a model said is not looked at.
Does not cover: texts to embed or to rank, which no model obeys; what the rules are (`safety/`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from homefire.errors import PolicyAsks, PolicyRefused
from homefire.messages import ChatRequest, CompletionRequest
from homefire.safety.guard import Guard
from homefire.safety.policy import Decision
from homefire.safety.rules import Where

HEADER, COUNTER = b"x-homefire-policy", "policy_decisions_total"
Count = Callable[[str, Mapping[str, str]], None]
APPROVAL_SECONDS, MOST_APPROVALS = 600.0, 1024


class Gate:
    """Asks the guard about requests. `count` counts decisions that something followed from (`Metrics.count`)."""

    def __init__(self, guard: Guard, count: Count, now: Callable[[], float] = time.monotonic) -> None:
        self.guard = guard
        self._count = count
        self._now = now
        self._approved: dict[str, float] = {}

    async def admit(
        self, request: ChatRequest | CompletionRequest, key: str, again: bool = False
    ) -> tuple[ChatRequest | CompletionRequest, list[tuple[bytes, bytes]]]:
        """The request as it goes on, and what its sender is told. `again`: it was let in already, and is only to be rewritten
        as it was. Raises PolicyRefused, PolicyAsks."""
        if not again:
            self._admit_rate(key)
        told, changed = list[str](), dict[int, str]()
        for place, where, text in _texts(request):
            decision = await self.guard.look(text, where)
            if not again:
                self._demand(decision, text)
            if decision.action == "rewrite" and decision.text is not None:
                changed[place] = decision.text
            told.append(_said(decision))
        if isinstance(request, CompletionRequest):
            request = replace(request, prompt=changed.get(0, request.prompt))
        elif changed:
            messages = tuple(replace(m, content=changed.get(at, m.content)) for at, m in enumerate(request.messages))
            request = replace(request, messages=messages)
        return request, [(HEADER, each.encode("ascii", "replace")) for each in dict.fromkeys(told) if each]

    async def admit_text(self, text: str, key: str) -> None:
        """One more request of a key, and what it says: before a conversation stores it. Raises as `admit`."""
        self._admit_rate(key)
        if text:
            self._demand(await self.guard.look(text, "user"), text)

    def approve(self, token: str) -> None:
        """It is meant: the text of this token may come in once."""
        kept = {each: until for each, until in self._approved.items() if until > self._now()}
        if len(kept) < MOST_APPROVALS:
            self._approved = kept | {token: self._now() + APPROVAL_SECONDS}

    def view(self) -> dict[str, Any]:
        """The rules in force, in their order."""
        plain = ("id", "kind", "action", "reason", "source")
        rules = [
            {name: getattr(rule, name) for name in plain}
            | {"where": sorted(rule.where), "patterns": len(rule.patterns)}
            for rule in self.guard.policy.found.rules
        ]
        active, mode = self.guard.semantic, self.guard.policy.mode
        problem = None if active or mode == "rules" else self.guard.problem
        threshold, model = (round(active.threshold, 4), self.guard.model) if active else (None, None)
        semantic = {"active": active is not None, "model": model, "threshold": threshold, "problem": problem}
        return {"mode": mode, "semantic": semantic, "rules": rules}

    def _admit_rate(self, key: str) -> None:
        decision = self.guard.policy.admit(key)
        if decision.action != "allow":
            self._count(COUNTER, {"action": "refuse", "rule": decision.rule})
            raise PolicyRefused(
                f"The rule '{decision.rule}' of the policy: {decision.reason}",
                f"Try again in {max(1, round(decision.wait))} s. See the rule with: homefire policy show",
                param=decision.rule,
            )

    def _demand(self, decision: Decision, text: str) -> None:
        """Counts a decision; raises what it demands."""
        if decision.rule:
            self._count(COUNTER, {"action": decision.action, "rule": decision.rule})
        elif decision.note:
            self._count(COUNTER, {"action": "unchecked", "rule": "semantic"})
        if decision.action == "refuse":
            raise PolicyRefused(f"The rule '{decision.rule}' of the policy: {decision.reason}", param=decision.rule)
        # A tool's result comes from a client that acts by itself: it is told, and what it does has its own boundary.
        if decision.action == "ask" and decision.where == "user":
            token = hashlib.sha256(f"{decision.rule}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
            if self._approved.pop(token, 0.0) <= self._now():
                raise PolicyAsks(
                    f"The rule '{decision.rule}' of the policy asks whether this is meant: {decision.reason}",
                    f"If it is, run: homefire policy approve {token}; then send it again.",
                    param=decision.rule,
                )


def _said(decision: Decision) -> str:
    if decision.action in ("ask", "rewrite"):
        return f"{decision.action}; rule={decision.rule}; where={decision.where}"
    return f"unchecked; {decision.note}" if decision.note else ""


def _texts(request: ChatRequest | CompletionRequest) -> Iterator[tuple[int, Where, str]]:
    """What a request says: place, where it comes from, text."""
    if isinstance(request, CompletionRequest):
        yield 0, "user", request.prompt
        return
    for place, message in enumerate(request.messages):
        if message.content and message.role != "assistant":
            yield place, "tool_result" if message.role == "tool" else "user", message.content
