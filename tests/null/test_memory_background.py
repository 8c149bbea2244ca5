"""Facts out of what a person says: only what stands there, once, and never from what a model said.

Promises: each refusal is shown to store nothing.
Does not cover: how many of a text's facts are found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from homefire.errors import UnknownModel
from homefire.memory.background import Extract, Learning, by_rules
from homefire.memory.memory import Memory
from homefire.store import Conversations, RunRow, RunRows, Store


def on_store(folder: Path, work: Callable[[Store, Memory, Conversations], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        store = Store(folder / "homefire.db")
        store.open()
        try:
            await work(store, Memory(store), Conversations(store))
        finally:
            store.close()

    asyncio.run(main())


async def said(talks: Conversations, question: str, answer: str) -> str:
    made = await talks.create()
    _, begun, _ = await talks.ask(made.id, question, None, "pilot", None)
    await talks.finish(made.id, replace(begun, content=answer, state="complete"))
    return made.id


async def learned(store: Store, memory: Memory, extract: Extract = by_rules) -> list[str]:
    learning = Learning(store, memory, extract)
    while await learning.step():
        pass
    return [fact.text for fact in await memory.facts("")]


def test_what_the_person_states_is_kept_with_its_words_once(tmp_path: Path) -> None:
    async def work(store: Store, memory: Memory, talks: Conversations) -> None:
        talk = await said(talks, "Hello there. My dentist is Dr Ames. What is my name?", "My dentist is Dr Crown.")
        assert await learned(store, memory) == ["My dentist is Dr Ames."]
        (fact,) = await memory.facts("")
        assert (fact.sources[0].kind, fact.sources[0].words, fact.seen) == ("message", "My dentist is Dr Ames.", 1)
        await memory.forget(str(fact.id), key="")
        await talks.delete(talk)
        await talks.restore(talk)  # its turns come anew
        assert await learned(store, memory) == []

    on_store(tmp_path, work)


def test_what_says_nothing_writes_nothing(tmp_path: Path) -> None:
    async def work(store: Store, memory: Memory, talks: Conversations) -> None:
        for text in ("ok", "  \n ", "What is the capital of Peru?", "Tell me what my dentist is."):
            await said(talks, text, "I do not know.")
        assert await learned(store, memory) == []

    on_store(tmp_path, work)


def test_a_models_own_words_are_no_facts(tmp_path: Path) -> None:
    async def inventive(text: str) -> Sequence[str]:
        return ["The person is rich and famous.", "we live in Lund", "", "x" * 9999]

    async def work(store: Store, memory: Memory, talks: Conversations) -> None:
        await said(talks, "By the way, we live in Lund these days.", "Nice.")
        assert await learned(store, memory, inventive) == ["we live in Lund"]

    on_store(tmp_path, work)


def test_a_model_that_is_gone_leaves_the_rules(tmp_path: Path) -> None:
    async def gone(text: str) -> Sequence[str]:
        raise UnknownModel("It was removed.")

    async def work(store: Store, memory: Memory, talks: Conversations) -> None:
        await said(talks, "My dentist is Dr Ames.", "Noted.")
        assert await learned(store, memory, gone) == ["My dentist is Dr Ames."]

    on_store(tmp_path, work)


def test_a_run_that_ended_is_recalled_until_it_is_deleted(tmp_path: Path) -> None:
    async def work(store: Store, memory: Memory, talks: Conversations) -> None:
        rows = RunRows(store)
        row = RunRow(
            id="r1", key="", task="Find the zeppelin's hangar.", state="running", ending="", answer="", model="", mode="full",
            created_at=1.0, updated_at=1.0, steps=0, tokens=0, conversation="",
        )  # fmt: skip
        await rows.put(row)
        assert await memory.recall("zeppelin", key="") == []
        await rows.put(replace(row, state="ended", answer="The zeppelin is in Lakehurst.", updated_at=2.0))
        found = await memory.recall("zeppelin", key="")
        assert {one.place for one in found} == {"r1:task", "r1:answer"}
        await rows.delete("r1")
        assert await memory.recall("zeppelin", key="") == []

    on_store(tmp_path, work)
