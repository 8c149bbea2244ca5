"""Chains of hashes over a request's text: what they promise to those who choose slots and files by them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homefire.engines.prefix import LARGE_BLOCK, SMALL_BLOCK, SMALL_UNTIL, chain_of, covered, shared, text_of
from homefire.messages import ChatRequest, CompletionRequest, Message, Tool, ToolCall


@given(st.binary(max_size=6000), st.binary(max_size=2000))
def test_a_longer_text_keeps_the_chain_of_the_shorter(text: bytes, more: bytes) -> None:
    short, long = chain_of(text), chain_of(text + more)
    assert long[: len(short)] == short
    assert shared(short, long) == len(short)
    assert covered(len(short)) <= len(text)


@given(st.binary(min_size=1, max_size=9000), st.data())
def test_the_first_difference_ends_what_is_shared(text: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
    common = shared(chain_of(text), chain_of(other))
    assert covered(common) <= place < covered(common + 1)


def test_blocks_are_small_first_and_large_after() -> None:
    assert covered(1) == SMALL_BLOCK
    assert covered(SMALL_UNTIL // SMALL_BLOCK + 2) == SMALL_UNTIL + 2 * LARGE_BLOCK
    assert chain_of(b"x" * (SMALL_BLOCK - 1)) == ()


def test_a_conversation_that_goes_on_begins_as_before() -> None:
    asked = (Message("system", "Be brief."), Message("user", "What is a slot?"))
    answered = (*asked, Message("assistant", "A place.", (ToolCall("1", "look", "{}"),)), Message("user", "And then?"))
    tools = (Tool("look", "Looks.", {"type": "object"}),)
    first = text_of(ChatRequest("m", asked, tools=tools))
    assert text_of(ChatRequest("other", answered, tools=tools, tool_choice="required")).startswith(first)
    assert not text_of(ChatRequest("m", asked)).startswith(first[:20])


def test_roles_and_lone_surrogates_are_told_apart() -> None:
    texts = {
        text_of(ChatRequest("m", (Message("user", "\ud800"),))),
        text_of(ChatRequest("m", (Message("assistant", "\ud800"),))),
        text_of(CompletionRequest("m", "\ud800")),
        text_of(ChatRequest("m", (Message("user", None),))),
    }
    assert len(texts) == 4
