"""The policy in front of the models, over the real application: every way in, what is told, what is counted, and the check by
meaning.

Promises: what is refused reaches no engine and is not stored; a question is answered once; without a model for meaning the
decision says so and is made by rules.
Does not cover: the rules themselves (`test_policy.py`), a real embedding model (`bench policy`).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from array import array
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from homefire.daemon.handed import Completed
from homefire.errors import NoEmbeddingModel
from homefire.prompts import own_text
from homefire.safety import Critic, Guard, Policy, load_rules, semantic
from homefire.safety import rules as rules_module
from homefire.safety.critic import Plan, Step
from homefire.safety.semantic import Semantic, load_examples, pieces
from homefire.safety.taint import label
from homefire.server import build_app
from homefire.server.answering import Answering
from homefire.server.gate import Gate
from homefire.store import Safety
from tests.null.rig import AT, House, at_home

critic_role = partial(own_text, "homefire.critic")

RULES = """
[[rule]]
id = "no-bets"
kind = "pattern"
where = ["user"]
action = "refuse"
reason = "No bets here."
patterns = ["place a bet"]

[[rule]]
id = "sure"
kind = "pattern"
where = ["user", "tool_result"]
action = "ask"
reason = "Really?"
patterns = ["launch it"]

[[rule]]
id = "names"
kind = "pattern"
where = ["user"]
action = "rewrite"
reason = "Names stay here."
patterns = ["miller"]
rewrite = "N."
"""
RATE = """
[[rule]]
id = "busy"
kind = "rate"
where = ["user"]
action = "refuse"
reason = "Slowly."
requests = 2
seconds = 60
"""


def gated(house: House, text: str = RULES, guard: Guard | None = None) -> None:
    """The application with these rules in front."""
    policy = guard or Guard(Policy(rules_module.read(text, "test")))
    house.rooms = replace(house.rooms, gate=Gate(policy, house.rooms.watched.metrics.count))
    house.app = build_app(house.rooms)


def chat(words: str, role: str = "user", **more: Any) -> dict[str, Any]:
    message = {"role": role, "content": words, **({"tool_call_id": "c1"} if role == "tool" else {})}
    before: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
    if role == "tool":
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        before += [{"role": "assistant", "content": None, "tool_calls": [call]}]
    return {"model": "pilot", "messages": [*before, message], **more}


WAYS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", chat("please place a bet")),
    ("/v1/chat/completions", chat("Place\u200b  a\nBET", stream=True)),
    ("/v1/chat/completions", chat("place a bet", "system")),
    ("/v1/completions", {"model": "pilot", "prompt": "place a bet"}),
    ("/v1/responses", {"model": "pilot", "input": "place a bet"}),
    ("/v1/messages", {"model": "pilot", "max_tokens": 5, "messages": [{"role": "user", "content": "place a bet"}]}),
    ("/api/chat", {"model": "pilot", "messages": [{"role": "user", "content": "place a bet"}]}),
    ("/api/generate", {"model": "pilot", "prompt": "place a bet"}),
]


@pytest.mark.parametrize(("path", "body"), WAYS)
def test_what_is_refused_reaches_no_engine(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    async def work(house: House) -> None:
        gated(house)
        reply = await house.call("POST", path, body)
        assert reply.status == 403 and b"no-bets" in reply.body and b"No bets here." in reply.body
        assert house.engines == []
        metrics = (await house.call("GET", "/metrics")).body.decode()
        assert 'homefire_policy_decisions_total{action="refuse",rule="no-bets"} 1' in metrics

    at_home(tmp_path, work)


def test_questions_are_answered_once_and_names_are_rewritten(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        gated(house)
        at = "/v1/chat/completions"
        asked = await house.call("POST", at, chat("launch it"))
        assert (asked.status, asked.code) == (403, "policy_asks")
        token = hashlib.sha256(b"sure\0launch it").hexdigest()
        assert token in asked.json()["error"]["next_step"]
        assert (await house.call("POST", f"{AT}/policy/approve", {"token": "x" * 63})).code == "invalid_request"
        assert (await house.call("POST", f"{AT}/policy/approve", {"token": token})).status == 204
        assert (await house.call("POST", at, chat("launch it now"))).code == "policy_asks", "of another text"
        assert (await house.call("POST", at, chat("launch it"))).status == 200
        assert (await house.call("POST", at, chat("launch it"))).code == "policy_asks", "it counted once"

        tool = await house.call("POST", at, chat("launch it", "tool"))
        assert tool.status == 200 and tool.headers["x-homefire-policy"] == "ask; rule=sure; where=tool_result"
        named = await house.call("POST", at, chat("Ask Miller"))
        assert named.headers["x-homefire-policy"] == "rewrite; rule=names; where=user"
        assert named.json()["choices"][0]["message"]["content"] == "Ask N."
        plain = await house.call("POST", at, chat("hello"))
        assert plain.status == 200 and "x-homefire-policy" not in plain.headers

    at_home(tmp_path, work)


def test_a_conversation_stores_nothing_that_is_refused(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        gated(house)
        one = await house.conversation()
        at = f"{AT}/conversations/{one}"
        refused = await house.call("POST", f"{at}/messages", {"content": "place a bet"})
        assert (refused.status, refused.code) == (403, "policy_refused")
        assert (await house.call("GET", at)).json()["messages"] == []
        said = (await house.call("POST", f"{at}/messages", {"content": "Ask Miller"})).last("done")
        assert said["content"] == "Ask N."
        assert (await house.call("GET", at)).json()["messages"][0]["content"] == "Ask Miller"
        gated(
            house, RULES.replace("miller", "place").replace("place a bet", "ask")
        )  # a new rule does not end an old talk
        assert (await house.call("POST", f"{at}/messages", {"content": "hello"})).last("done")["state"] == "complete"

    at_home(tmp_path, work)


def test_rates(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        gated(house, RATE)
        at = "/v1/chat/completions"
        statuses = [(await house.call("POST", at, chat("hi"))).status for _ in range(3)]
        assert statuses == [200, 200, 403]
        assert "Try again in" in (await house.call("POST", at, chat("hi"))).json()["error"]["next_step"]

    at_home(tmp_path, work)


def test_routes(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        gated(house)
        shown = (await house.call("GET", f"{AT}/policy")).json()
        assert [rule["id"] for rule in shown["rules"]] == ["no-bets", "sure", "names"] and shown["mode"] == "rules"
        said = (await house.call("POST", f"{AT}/policy/check", {"text": "do place a bet"})).json()["decision"]
        assert (said["action"], said["rule"], said["span"], said["view"]) == ("refuse", "no-bets", [3, 14], "base")
        for body in ({}, {"text": 1}, {"text": "x", "where": "moon"}, {"text": "x", "more": 1}):
            assert (await house.call("POST", f"{AT}/policy/check", body)).code == "invalid_request"
        metrics = (await house.call("GET", "/metrics")).body.decode()
        assert "policy_decisions" not in metrics, "trying counts nothing"

    at_home(tmp_path, work)


def test_the_critic_asks_the_model_that_answers(tmp_path: Path) -> None:
    """As the daemon wires it. This engine repeats what it hears, which is no verdict, so the plan does not pass."""

    async def work(house: House) -> None:
        answering = Answering(house.keeper, house.rooms.models.library, roles=house.rooms.models.roles.roles)
        asked = Completed(answering, house.rooms.identity.default_model)
        stored = Safety(house.store)
        found = await Critic(asked, stored, critic_role, threshold=1).review(
            Plan("Tidy up", (Step("rm", "run", {}),), label("web"))
        )
        assert (found.outcome, found.passed, len(house.engines)) == ("garbled", False, 1)
        row = (await stored.verdicts())[0]
        assert (row.critic, row.risk, row.outcome) == ("pilot", 12, "garbled")

    at_home(tmp_path, work)


class Words:
    """Vectors out of words: texts that share words lie near each other."""

    def __init__(self) -> None:
        self.name = "words-1"
        self.asked = 0
        self.broken = False

    async def model(self) -> str:
        return self.name

    async def vectors(self, texts: Sequence[str]) -> list[array[float]]:
        if self.broken:
            raise NoEmbeddingModel("It is gone.")
        self.asked += len(texts)
        return [self._of(text) for text in texts]

    def _of(self, text: str) -> array[float]:
        values = [0.0] * 256
        for word in text.lower().split():
            values[hashlib.sha256(word.encode()).digest()[0]] += 1.0
        length = math.sqrt(sum(value * value for value in values)) or 1.0
        return array("f", [value / length for value in values])


def test_the_check_by_meaning_learns_keeps_and_forgets(tmp_path: Path) -> None:
    async def work() -> None:
        words = Words()
        first = await Semantic.of(words, tmp_path)
        assert words.asked == len(load_examples())
        again = await Semantic.of(words, tmp_path)
        assert words.asked == len(load_examples()), "kept"
        assert again.threshold == pytest.approx(first.threshold)
        apart = [e for e in load_examples() if e.kind == "permitted" and e.split == "threshold"]
        over = [e for e in apart if (await first.check(e.text, words)).suspicious]
        assert len(over) <= semantic.FALSE_REFUSALS * len(apart)
        attacks = [e for e in load_examples() if e.kind == "attack" and e.split == "example"]
        found = [await first.check(e.text, words) for e in attacks]
        assert sum(each.suspicious for each in found) > 0.2 * len(attacks)
        assert all(each.nearest for each in found if each.suspicious)
        (kept,) = tmp_path.glob("*.vectors")
        kept.write_bytes(kept.read_bytes()[:-1])
        before = words.asked
        await Semantic.of(words, tmp_path)
        assert words.asked == before + len(load_examples()), "a broken file is made anew"
        words.name = "words-2"
        await Semantic.of(words, tmp_path)
        assert len(list(tmp_path.glob("*.vectors"))) == 1

    asyncio.run(work())


def test_pieces() -> None:
    text = " ".join(f"Sentence number {at} stands here." for at in range(200))
    cut = pieces(text)
    assert " ".join(cut) == text and all(len(piece) <= semantic.PIECE for piece in cut)
    assert pieces("x" * 1500) == ["x" * 600, "x" * 600, "x" * 300] and pieces(" \n ") == []


def test_without_its_model_the_check_says_so(tmp_path: Path) -> None:
    async def work() -> None:
        words = Words()
        guard = Guard(Policy(load_rules(None), "semantic"), words, tmp_path)
        assert "not made" in (await guard.look("hello", "user")).note, "not ready"
        for _ in range(2000):
            if guard.semantic is not None:
                break
            await asyncio.sleep(0.01)
        ready = await guard.look("hello", "user")
        assert (ready.mode, ready.note) == ("semantic", "")
        attack = next(
            e.text
            for e in load_examples()
            if e.kind == "attack"
            and e.split == "example"
            and (guard.semantic and guard.semantic.score(words._of(e.text)) > guard.semantic.threshold)
        )
        found = await guard.look(attack, "user")
        assert (found.action, found.rule, found.mode) == ("ask", "semantic", "semantic")
        asked = words.asked
        await guard.look(attack, "user")
        assert words.asked == asked, "looked at once"
        words.broken = True
        broken = await guard.look("something else", "user")
        assert (broken.action, broken.mode) == ("allow", "rules") and "It is gone" in broken.note
        words.name = ""
        assert (await guard.look(attack, "user")).mode == "rules"
        await guard.close()
        only_rules = Guard(Policy(load_rules(None)), words, tmp_path)
        assert (await only_rules.look(attack, "user")).note == ""

    asyncio.run(work())
