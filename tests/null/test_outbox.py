"""What waits for one client of a WebSocket: bounded, in order, and nothing that must arrive is dropped.

Promises: by order of calls, without sleeping.
Does not cover: sockets (`test_event_socket.py`, `tests/process/test_event_socket.py`).
"""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from homefire.server.outbox import Outbox


async def drain(outbox: Outbox, count: int) -> list[tuple[str, int]]:
    return [await outbox.take() for _ in range(count)]


def test_the_oldest_event_goes_and_the_next_message_says_how_many() -> None:
    async def work() -> None:
        outbox = Outbox(3)
        for name in ("a", "b", "c", "d", "e"):
            outbox.tell(name)
        assert await drain(outbox, 3) == [("c", 2), ("d", 0), ("e", 0)]

    asyncio.run(work())


def test_a_token_is_never_dropped_and_its_writer_waits() -> None:
    async def work() -> None:
        outbox = Outbox(2)
        outbox.say("one")
        outbox.say("two")
        waiting = asyncio.ensure_future(outbox.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        outbox.tell("an event")  # nothing may make room for it
        assert await outbox.take() == ("one", 1)
        await waiting
        outbox.say("three")
        assert await drain(outbox, 2) == [("two", 0), ("three", 0)]

    asyncio.run(work())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60), st.integers(1, 6))
def test_what_must_arrive_arrives_in_order_and_what_went_is_counted(given_: list[tuple[bool, int]], limit: int) -> None:
    async def work() -> None:
        outbox = Outbox(limit)
        says = [str(n) for must, n in given_ if must]
        for must, number in given_:
            (outbox.say if must else outbox.tell)(f"{'must' if must else 'may'} {number}")
        outbox.say("must end")
        seen: list[str] = []
        dropped = 0
        while not seen or seen[-1] != "must end":
            text, gone = await outbox.take()
            seen.append(text)
            dropped += gone
        assert [each[5:] for each in seen if each.startswith("must ")] == [*says, "end"]
        assert len(seen) + dropped == len(given_) + 1
        assert sum(each.startswith("may ") for each in seen) <= limit

    asyncio.run(work())
