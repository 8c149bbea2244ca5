"""The skills of the pilot: generators that repeat, trials that were never trained on, judges that can fail.

Promises: every skill of the mixture is tried; the fixtures that bind pilot, agent and tab are what the skills use.
Does not cover: what the model answers (`python -m pilot evaluate`).
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilot.corpus import drill, mixture, toolbox, words
from pilot.corpus.mixture import SHARES, SKILLS, document
from pilot.corpus.skill import Mark, Message, Reply
from pilot.dialogue import Dialogue, render
from pilot.evaluate import at_most, interval

FIXTURES = Path(__file__).parents[2] / "fixtures"


def text_of(dialogue: Dialogue) -> str:
    return "".join(text for text, _ in render(dialogue))


@pytest.mark.parametrize("skill", SHARES)
def test_documents_repeat_and_stay_short(skill: str) -> None:
    lengths = []
    for number in range(300):
        progress = number / 300
        text = text_of(document(skill, random.Random(f"x{number}"), progress))
        assert text == text_of(document(skill, random.Random(f"x{number}"), progress))
        if skill not in ("extract", "bad_input"):  # an unfilled blank of a pattern
            assert "{" not in text.replace('{"', "").replace(": {}", "").replace("[{", ""), text
        lengths.append(len(text))
    assert max(lengths) < 9000


def asked(skill: Any, number: int, reply: Reply) -> tuple[list[list[Message]], list[Mark]]:
    """The conversations a trial sends, and its marks, with a model that always answers the same."""
    sent: list[list[Message]] = []

    def ask(messages: list[Message], tools: list[dict[str, Any]] | None = None, **more: Any) -> Reply:
        json.dumps([messages, tools, more])  # it must travel over HTTP
        sent.append(messages)
        return reply

    return sent, list(skill.trial(ask, random.Random(f"t{number}")))


@pytest.mark.parametrize("skill", SKILLS)
def test_a_model_that_says_nothing_or_anything_fails(skill: str) -> None:
    """A judge that cannot fail is a defect."""
    for reply in (Reply(""), Reply("yes"), Reply("", (("no_such_tool", {}),)), Reply("", ended=False, error="bad_key")):
        marks = [mark for number in range(60) for mark in asked(SKILLS[skill], number, reply)[1]]
        assert marks and not any(mark.good for mark in marks), reply


@pytest.mark.parametrize("skill", SKILLS)
def test_what_is_tried_was_never_trained_on(skill: str) -> None:
    """No last message of a trial's first question occurs in 4,000 documents of the skill."""
    trained = {
        turn.content
        for number in range(4000)
        for turn in document(skill, random.Random(f"d{number}"), number / 4000).turns
        if turn.role == "user"
    }
    tried = [asked(SKILLS[skill], number, Reply("?"))[0] for number in range(80)]
    seen = [one[0][-1]["content"] for one in tried if one and len(str(one[0][-1]["content"])) > 12]
    # Towers of up to 9 disks have too few states to hold any out: 3 disks have 7.
    shared = [text for text in seen if text in trained and not (skill == "hanoi" and " j" not in text)]
    assert not shared, shared[:5]


def test_every_goal_is_marked() -> None:
    for name, skill in SKILLS.items():
        figures = {mark.figure for number in range(150) for mark in asked(skill, number, Reply("?"))[1]}
        assert set(skill.GOALS) <= figures, name


def test_fixtures_bind() -> None:
    tools = json.loads((FIXTURES / "tools.json").read_text())["tools"]
    assert [tool["function"]["name"] for tool in tools] == list(toolbox.TOOLS) and toolbox.RESPOND in toolbox.TOOLS
    for tool in tools:
        parameters = tool["function"]["parameters"]
        assert parameters["required"] == list(parameters["properties"]) and parameters["additionalProperties"] is False
    intents = json.loads((FIXTURES / "intents.json").read_text())["intents"]
    assert len({intent["name"] for intent in intents}) == len(intents) == 24
    assert len(json.loads((FIXTURES / "labels.json").read_text())["labels"]) == 6


def test_open_ended_values_stand_on_one_side() -> None:
    rng = random.Random(5)
    for draw in (words.fresh, words.code, words.number):
        assert all(words.is_held(draw(rng, True)) for _ in range(200))
        assert not any(words.is_held(draw(rng)) for _ in range(200))


def test_shares_are_shares_of_the_tokens() -> None:
    count = Counter(mixture.draw_skill(random.Random(number)) for number in range(20_000))
    tokens = {name: count[name] * size for name, (_, size) in SHARES.items()}
    whole = sum(share for share, _ in SHARES.values())
    for name, (share, _) in SHARES.items():
        assert tokens[name] / sum(tokens.values()) == pytest.approx(share / whole, abs=0.015)
    drawn = [mixture.dialogue(1, number) for number in range(20)]
    assert len({text_of(one) for one in drawn}) == 20


def test_a_drill_can_be_answered_from_its_question() -> None:
    absent = 0
    for number in range(60):
        table = drill.look_up(random.Random(number)).turns
        for line in table[2].text().split("\n"):
            name, value = line.split(": ", 1)
            assert name in table[1].text().split("\n\n")[1]
            absent += value == drill.ABSENT
            assert value == drill.ABSENT or value in table[1].text().split("\n\n")[0]
        lines = drill.copy(random.Random(number)).turns
        assert lines[0].text().endswith(lines[1].text())
    assert absent > 60


def test_copying_counts_only_what_can_be_known() -> None:
    for number in range(60):
        ids, weights = drill.copying(1, number, 4000)
        assert len(ids) == len(weights) and sum(weights) > 0
        half = len(ids) // 2
        pairs = {tuple(ids[at : at + 2]): ids[at + 2] for at in range(half - 2)}
        known = [at for at in range(len(ids)) if weights[at]]
        assert min(known) >= half
        right = sum(pairs.get((ids[at - 2], ids[at - 1])) == ids[at] for at in known)
        assert right >= 0.6 * len(known)  # of few different ids a pair may go on in two ways


def brute(good: int, count: int) -> Iterator[float]:
    """The interval's ends by a fine grid."""
    from math import comb

    def tail(ks: range, p: float) -> float:
        return sum(comb(count, k) * p**k * (1 - p) ** (count - k) for k in ks)

    grid = [i / 2000 for i in range(2001)]
    yield min((p for p in grid if tail(range(good, count + 1), p) > 0.025), default=0.0)
    yield max((p for p in grid if tail(range(good + 1), p) > 0.025), default=1.0)


@pytest.mark.parametrize(("good", "count"), [(0, 10), (10, 10), (5, 10), (57, 60), (3, 40)])
def test_the_interval_is_clopper_and_pearson(good: int, count: int) -> None:
    for ours, theirs in zip(interval(good, count), brute(good, count), strict=True):
        assert ours == pytest.approx(100 * theirs, abs=0.06)
    assert at_most(count, count, 0.3) == 1.0 and at_most(-1, count, 0.3) == 0.0
