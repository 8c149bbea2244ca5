"""Conversations in the store: the tree of messages, finding, deleting for good.

Promises: a search never fails and never finds what is deleted; after `purge` no byte of the text is left in the database.
Does not cover: the routes (`test_server.py`); the WAL after a purge until its next checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homefire.errors import UnknownConversation, UnknownMessage
from homefire.store import Conversation, Conversations, Store, StoredMessage
from homefire.store.conversations import TITLE_LENGTH

T = TypeVar("T")


def on_home(path: Path, work: Callable[[Conversations, Store], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with the conversations of a fresh or existing database."""

    async def main() -> T:
        store = Store(path / "homefire.db")
        store.open()
        try:
            return await work(Conversations(store), store)
        finally:
            store.close()

    return asyncio.run(main())


async def said(
    c: Conversations, home: Conversation, question: str, answer: str, parent: str | None = None
) -> StoredMessage:
    """A question with its complete answer; returns the answer."""
    _, empty, _ = await c.ask(home.id, question, parent, "pilot", None)
    done = replace(empty, content=answer, state="complete", usage={"total_tokens": 3}, timings={"x": 1.5})
    await c.finish(home.id, done)
    return done


def test_created_as_asked(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        made = await c.create("A title", "other", "Be brief.")
        assert (made.title, made.model, made.system, made.notice, made.messages) == (
            "A title",
            "other",
            "Be brief.",
            None,
            (),
        )
        assert await c.get(made.id) == made
        assert (await c.create()).id != made.id

    on_home(tmp_path, work)


def test_a_turn_and_its_states(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> str:
        home = await c.create()
        question, answer, shown = await c.ask(home.id, "Hello?", None, "pilot", None)
        assert (question.role, question.state, question.parent_id, question.model) == ("user", "complete", None, None)
        assert (answer.role, answer.state, answer.parent_id, answer.model) == (
            "assistant",
            "streaming",
            question.id,
            "pilot",
        )
        assert shown is None and answer.content == ""
        assert list((await c.get(home.id)).messages) == [question, answer]
        await c.save_partial(answer.id, "Good")
        assert (await c.get(home.id)).messages[1].content == "Good"
        error = {"code": "engine_died", "message": "ü"}
        done = replace(answer, content="Good day", state="failed", error=error, usage={"a": 1}, timings={"b": None})
        await c.finish(home.id, done)
        assert (await c.get(home.id)).messages[1] == done
        await c.save_partial(answer.id, "late")
        assert (await c.get(home.id)).messages[1] == done, "a late partial save changes nothing"
        return home.id

    home = on_home(tmp_path, work)
    later = on_home(tmp_path, lambda c, _: c.get(home))
    assert [message.content for message in later.messages] == ["Hello?", "Good day"]


def test_the_tree(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        home = await c.create()
        one = await said(c, home, "one?", "1")
        two = await said(c, home, "two?", "2", one.id)
        again = await c.answer_again(home.id, one.id, "other")
        reworded = await said(c, home, "two, please?", "zwei", one.id)
        beginning = await said(c, home, "anew?", "0")
        found = await c.get(home.id)

        def words(message: str | None) -> list[str]:
            return [m.content for m in found.path_to(message)]

        assert words(two.id) == ["one?", "1", "two?", "2"]
        assert words(again.id) == ["one?", ""]
        assert words(reworded.id) == ["one?", "1", "two, please?", "zwei"]
        assert words(beginning.id) == ["anew?", "0"]
        assert words(None) == []
        assert (again.parent_id, again.model, again.state) == (one.parent_id, "other", "streaming")
        assert [m.created_at for m in found.messages] == sorted(m.created_at for m in found.messages)
        with pytest.raises(UnknownMessage):
            found.path_to("m0")

    on_home(tmp_path, work)


def test_unknown_names(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        home, other = await c.create(), await c.create()
        answer = await said(c, home, "q", "a")
        question = (await c.get(home.id)).messages[0]
        for call in (
            c.get("c0"),
            c.update("c0", {"title": "x"}),
            c.delete("c0"),
            c.restore("c0"),
            c.ask("c0", "x", None, "pilot", None),
            c.answer_again("c0", answer.id, "pilot"),
            c.get("' OR 1=1 --"),
        ):
            with pytest.raises(UnknownConversation):
                await call
        for again in (
            c.answer_again(home.id, "m0", "pilot"),
            c.answer_again(home.id, question.id, "pilot"),
            c.answer_again(other.id, answer.id, "pilot"),
        ):
            with pytest.raises(UnknownMessage):
                await again
        for parent, place in (("m0", home), (answer.id, other)):
            with pytest.raises(UnknownMessage) as caught:
                await c.ask(place.id, "x", parent, "pilot", "notice")
            assert caught.value.param == "parent_id"
        assert len((await c.get(home.id)).messages) == 2
        assert (await c.get(other.id)).title == "", "a refused question leaves nothing"
        assert (await c.ask(other.id, "x", None, "pilot", "notice"))[2] == "notice", "nor does it use up the notice"

    on_home(tmp_path, work)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Hello", "Hello"),
        ("  Two\n lines\there ", "Two lines here"),
        ("x" * TITLE_LENGTH, "x" * TITLE_LENGTH),
        ("x" * (TITLE_LENGTH + 1), "x" * TITLE_LENGTH + "…"),
        ("word " * 40, "word " * 11 + "word…"),
    ],
)
def test_the_title_is_the_beginning_of_the_first_message(content: str, title: str, tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        home, named = await c.create(), await c.create("Mine")
        for text in (content, "something else"):
            await said(c, home, text, "a")
        await said(c, named, content, "a")
        assert (await c.get(home.id)).title == title
        assert (await c.get(named.id)).title == "Mine"
        assert len(title) <= TITLE_LENGTH + 1

    on_home(tmp_path, work)


def test_the_notice_is_shown_once_in_a_home(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        one, two, three = await c.create(), await c.create(), await c.create()
        assert (await c.ask(one.id, "x", None, "big", None))[2] is None, "no notice is due for this model"
        shown = await asyncio.gather(*(c.ask(home.id, "x", None, "pilot", "A notice") for home in (two, three, two)))
        assert sorted(str(row[2]) for row in shown) == ["A notice", "None", "None"]
        notices = [(await c.get(home.id)).notice for home in (one, two, three)]
        assert notices.count("A notice") == 1 and notices[0] is None

    on_home(tmp_path, work)
    assert on_home(tmp_path, lambda c, _: asked(c)) is None


async def asked(c: Conversations) -> str | None:
    return (await c.ask((await c.create()).id, "x", None, "pilot", "A notice"))[2]


def test_listing_and_paging(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        made = [await c.create(f"number {at}") for at in range(7)]
        await said(c, made[2], "to the front", "a")
        order = [made[2].id, *(m.id for m in reversed(made) if m is not made[2])]
        seen: list[str] = []
        before: float | None = None
        for page in range(4):
            found, more = await c.list("", 2, before)
            assert all(conversation.messages == () for conversation in found)
            seen += [conversation.id for conversation in found]
            assert more == (page < 3)
            before = found[-1].updated_at
        assert seen == order
        assert await c.list("", 7) == ([await bare(c, name) for name in order], False)
        assert await c.list("", 2, 0.0) == ([], False)

    on_home(tmp_path, work)


async def bare(c: Conversations, name: str) -> Conversation:
    return replace(await c.get(name), messages=())


SEARCHES = [
    ("kettle", True),
    ("KETTLE", True),
    ("ket", True),
    ("ettle", False),
    ("ket copper", False),
    ("copper ket", True),
    ("copper-kettle", True),
    ("kettle nothing", False),
    ("cafe", True),
    ("CAFÉ", True),
    ("streamed", True),
    ("answ", True),
    ('"copper', True),
    ("kettle*", True),
    ("title:kettle", False),
    ("copper OR nothing", False),
    ("NOT copper", False),
    ("copper NEAR kettle", False),
    ("(copper", True),
    ("brand", True),
    ("old", False),
]


@pytest.mark.parametrize(("words", "found"), SEARCHES, ids=[words for words, _ in SEARCHES])
def test_search(words: str, found: bool, tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        home = await c.create("old")
        await c.update(home.id, {"title": "brand new"})
        await said(c, home, "Where is the copper kettle? In the café.", "The answer is streamed.")
        other = await c.create()
        await said(c, other, "Unrelated", "words")
        listed, _ = await c.list(words)
        assert [conversation.id for conversation in listed] == ([home.id] if found else [])

    on_home(tmp_path, work)


def test_no_query_is_an_error_and_every_word_is_found(tmp_path: Path) -> None:
    """Any text at all as a query; and any word of a stored text finds it."""
    letters = st.text("abcxyzäöüéñΩλжщ0189_", min_size=1, max_size=8)
    syntax = st.text("\"*():^-+{}[]ANDORT NEAR\\\0'%;,. é漢\U0001f600", max_size=30)

    async def work(c: Conversations, store: Store) -> None:
        loop = asyncio.get_running_loop()
        home = await c.create()

        def run(call: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(call, loop).result(10)

        @settings(max_examples=120, deadline=None, database=None)
        @given(st.one_of(syntax, st.text(max_size=40), letters))
        @example("\0")
        @example('"')
        @example("_")
        @example("a _ b")
        @example("AND")
        @example("x" * 5000)
        @example("a " * 2000)
        def harmless(words: str) -> None:
            run(c.list(words))

        @settings(max_examples=60, deadline=None, database=None)
        @given(st.lists(letters, min_size=1, max_size=6), st.data())
        def found(words: list[str], data: st.DataObject) -> None:
            run(c.update(home.id, {"title": " ".join(words)}))
            word = data.draw(st.sampled_from(words))
            if word.strip("_"):
                listed, _ = run(c.list(data.draw(st.sampled_from([word, word.upper(), f'"{word}"', f"*{word}^"]))))
                assert [conversation.id for conversation in listed] == [home.id]

        await asyncio.to_thread(harmless)
        await asyncio.to_thread(found)

    on_home(tmp_path, work)


def test_deleted_and_restored(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        home = await c.create("needle")
        await said(c, home, "haystack", "a")
        whole = await c.get(home.id)
        await c.delete(home.id)
        for words in ("", "needle", "haystack"):
            assert await c.list(words) == ([], False)
        for call in (c.get(home.id), c.update(home.id, {"title": "x"}), c.delete(home.id),
                     c.ask(home.id, "x", None, "pilot", None)):  # fmt: skip
            with pytest.raises(UnknownConversation):
                await call
        assert await c.purge() == 0, "ten minutes have not gone by"
        assert await c.restore(home.id) == whole
        assert len((await c.list("haystack"))[0]) == 1
        await c.delete(home.id)
        assert await c.purge(0.0) == 1
        with pytest.raises(UnknownConversation):
            await c.restore(home.id)

    on_home(tmp_path, work)


def test_purging_takes_only_what_was_deleted(tmp_path: Path) -> None:
    async def work(c: Conversations, store: Store) -> None:
        keep, drop = await c.create("keep"), await c.create("drop")
        await said(c, keep, "kept question", "kept answer")
        await said(c, drop, "lost question", "lost answer")
        await c.delete(drop.id)
        assert await c.purge(-1.0) == 1
        assert len((await c.get(keep.id)).messages) == 2
        assert await store.read(lambda d: d.execute("SELECT count(*) FROM messages").fetchone()) == (2,)
        assert await store.read(lambda d: d.execute("SELECT count(*) FROM words").fetchone()) == (3,)

    on_home(tmp_path, work)


def test_purged_text_is_gone_from_the_file(tmp_path: Path) -> None:
    secret = "xylophonequartz"  # one word, so that the index holds it in one piece
    long = " ".join(f"{secret}{number}" for number in range(3000))

    async def work(c: Conversations, store: Store) -> None:
        keep = await c.create("keep")
        await said(c, keep, "a kept " + "word " * 500, "kept")
        home = await c.create(f"{secret} title", None, f"{secret} system")
        answer = await said(c, home, f"{secret} question", long)
        again = await c.answer_again(home.id, answer.id, "pilot")
        await c.save_partial(again.id, long[:9000])
        await c.finish(home.id, replace(again, content=f"{secret} short", state="stopped"))
        await c.update(home.id, {"title": "renamed"})
        await checkpoint(store)
        assert secret.encode() in (tmp_path / "homefire.db").read_bytes(), "the search below can find it"
        await c.delete(home.id)
        assert await c.purge(-1.0) == 1
        # An answer that ends after its conversation was purged brings nothing back.
        await c.finish(home.id, replace(again, content=f"{secret} late", state="stopped"))
        await checkpoint(store)
        assert await c.list(secret) == ([], False)
        assert len((await c.list("kept"))[0]) == 1

    on_home(tmp_path, work)
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    # The index stores words with their common beginnings cut off, so its pieces are looked for as well.
    for piece in (secret, secret[2:], "quartz29", "uartz2999", "xylophone"):
        assert piece.encode() not in left


async def checkpoint(store: Store) -> None:
    """Folds the WAL into the database, from a connection of its own: the writer is always inside a transaction."""

    def fold() -> None:
        connection = apsw.Connection(str(store.path))
        connection.set_busy_timeout(2000)
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
        connection.close()
        assert busy == 0

    await asyncio.to_thread(fold)


def test_what_was_streaming_reads_interrupted(tmp_path: Path) -> None:
    async def dies(c: Conversations, store: Store) -> str:
        home = await c.create()
        await said(c, home, "done?", "done")
        _, answer, _ = await c.ask(home.id, "more?", None, "pilot", None)
        await c.save_partial(answer.id, "half an answer")
        return home.id

    async def starts(c: Conversations, store: Store) -> None:
        assert await c.mark_interrupted() == 1
        states = [m.state for m in (await c.get(home)).messages]
        assert states == ["complete", "complete", "complete", "interrupted"]
        assert (await c.get(home)).messages[-1].content == "half an answer"
        assert len((await c.list("half"))[0]) == 1, "it can be found"
        assert await c.mark_interrupted() == 0

    home = on_home(tmp_path, dies)
    on_home(tmp_path, starts)
