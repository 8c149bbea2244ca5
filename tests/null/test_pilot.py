"""The pilot's generators and the header of its file, without torch and without an engine.

Promises: the text is the same for the same seed; what the evaluation asks was never trained on;
the model file in the package is a small llama with an honest header. Does not cover what the
model says (`tests/process/test_pilot_model.py`) nor its figures (`python -m pilot evaluate`).
"""

import json
import random
import struct
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from pilot.corpus import commands, courtesy, extract, identity, refusal, toolcalls, turns, words
from pilot.corpus.mixture import dialogue
from pilot.corpus.phrases import parse, say
from pilot.dialogue import Tool, Turn, pilot, render, user
from pilot.wild import WILD

MODEL = Path(__file__).parents[2] / "homefire" / "models" / "pilot.gguf"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
GROUPS = (*courtesy.INTENTS, *identity.INTENTS, *commands.INTENTS)


def text_of(seed: int, number: int) -> str:
    return "".join(text for text, _ in render(dialogue(seed, number)))


def every(pattern: str) -> set[str]:
    """All sentences a pattern can give, in lower case without marks."""

    def walk(tree: tuple[Any, ...]) -> list[str]:
        out = [""]
        for part in tree:
            ends = [part] if isinstance(part, str) else [s for one in part for s in walk(one)]
            out = [start + end for start in out for end in ends][:20_000]
        return out

    return {" ".join(text.lower().split()).strip(" .?!") for text in walk(parse(pattern))}


def test_the_same_seed_gives_the_same_document() -> None:
    assert [text_of(1, n) for n in range(50)] == [text_of(1, n) for n in range(50)]
    assert text_of(1, 7) != text_of(2, 7)


@pytest.mark.parametrize("intent", GROUPS, ids=lambda intent: intent.name)
def test_held_out_wording_is_never_trained(intent: Any) -> None:
    trained = {text for one in GROUPS for ask in one.asks for text in every(ask)}
    held = {text for ask in intent.held for text in every(ask)}
    assert not trained & held


@pytest.mark.parametrize("intent", GROUPS, ids=lambda intent: intent.name)
def test_every_answer_passes_its_own_judge(intent: Any) -> None:
    import re

    rng = random.Random(3)
    assert all(re.search(intent.needs, say(a, rng)) for a in intent.answers for _ in range(20))


def test_pools_for_training_and_evaluation_share_nothing() -> None:
    pools = [one for one in vars(words).values() if isinstance(one, words.Pool)]
    assert len(pools) > 10
    assert not any(set(one.train) & set(one.held) for one in pools)
    rng = random.Random(5)
    trained = {words.invented(rng) for _ in range(5000)}
    assert not trained & {words.invented(rng, held=True) for _ in range(5000)}


def test_patterns_of_the_other_skills_are_disjoint() -> None:
    pairs = [(kind.asks, kind.held) for kind in refusal.KINDS]
    pairs += [(known.asks, known.held) for known in toolcalls.KNOWN]
    pairs += [
        (turns.TELL, turns.TELL_HELD),
        (turns.ASK, turns.ASK_HELD),
        (turns.REPEAT, turns.REPEAT_HELD),
        (turns.ONE, turns.ONE_HELD),
        (turns.ORDERS, turns.ORDERS_HELD),
        (extract.ASKS, extract.ASKS_HELD),
        (extract.BARE, extract.BARE_HELD),
    ]
    for asks, held in pairs:
        trained = {text for ask in asks for text in every(ask)}
        assert not trained & {text for ask in held for text in every(ask)}
    assert not set(toolcalls.VERBS) & set(toolcalls.VERBS_HELD)


def test_prompts_written_by_hand_are_no_ask_of_a_pattern() -> None:
    trained = {text for one in GROUPS for ask in one.asks for text in every(ask)}
    trained |= {text for kind in refusal.KINDS for ask in kind.asks for text in every(ask)}
    assert not trained & {text.lower().strip(" .?!") for text, _ in WILD}


def test_values_of_an_object_stand_in_the_request() -> None:
    rng = random.Random(11)
    for _ in range(300):
        case = extract.case(rng)
        flat = json.dumps(case.value)
        assert json.loads(flat) == case.value
        assert set(case.schema()["required"]) == set(case.value)


def test_arguments_of_a_call_stand_in_the_wish() -> None:
    rng = random.Random(13)
    for _ in range(300):
        wish = toolcalls.wish(rng, False)
        assert all(str(value) in wish.text for value in wish.arguments.values()), wish


def test_a_call_is_rendered_in_the_hermes_form() -> None:
    tool = Tool("get_weather", "Gets the weather.", {"city": "string"})
    one = dialogue(1, 1).__class__(
        [
            user("weather in Oslo?"),
            Turn("assistant", call=("get_weather", {"city": "Oslo"})),
            Turn("tool", "fog"),
            pilot("The tool says: fog."),
        ],
        [tool],
    )
    text = "".join(part for part, _ in render(one))
    assert '<tools>\n{"name": "get_weather"' in text
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>' in text
    learned = "".join(part for part, weight in render(one) if weight > 0)
    assert "weather in Oslo?" not in learned and "The tool says: fog.<|im_end|>" in learned


def read_value(file: BinaryIO, kind: int) -> Any:
    """One GGUF value: scalar, string or array."""
    if kind in SCALARS:
        form = "<" + SCALARS[kind]
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]
    if kind == 8:
        (size,) = struct.unpack("<Q", file.read(8))
        return file.read(size).decode()
    inner, count = struct.unpack("<IQ", file.read(12))
    return [read_value(file, inner) for _ in range(count)]


def header() -> tuple[dict[str, Any], dict[str, int]]:
    """Metadata, and the type of each tensor."""
    with MODEL.open("rb") as file:
        magic, version, tensors, pairs = struct.unpack("<4sIQQ", file.read(24))
        assert (magic, version) == (b"GGUF", 3)
        facts: dict[str, Any] = {}
        for _ in range(pairs):
            key = read_value(file, 8)
            facts[key] = read_value(file, struct.unpack("<I", file.read(4))[0])
        kinds: dict[str, int] = {}
        for _ in range(tensors):
            name = read_value(file, 8)
            (dimensions,) = struct.unpack("<I", file.read(4))
            file.read(8 * dimensions)
            kinds[name] = struct.unpack("<IQ", file.read(12))[0]
    return facts, kinds


def test_the_file_is_small_and_says_what_it_is() -> None:
    assert MODEL.stat().st_size <= 8_000_000
    facts, kinds = header()
    assert facts["general.name"] == "pilot" and facts["general.version"] == "1"
    assert facts["general.architecture"] == "llama"
    assert facts["general.license"] == "apache-2.0"
    assert "must not be relied on" in facts["general.description"]
    assert facts["llama.context_length"] == 2048
    assert "<tool_call>" in facts["tokenizer.chat_template"]
    assert all(kind == (0 if "norm" in name else 8) for name, kind in kinds.items())


def test_any_byte_has_a_token_and_the_marks_are_shown() -> None:
    facts, _ = header()
    tokens, types = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    assert sum(len(token) == 1 for token in tokens) == 256
    assert types[tokens.index("<tool_call>")] == 4
    assert types[facts["tokenizer.ggml.eos_token_id"]] == 3
