"""The wire to far engines against a server that drops connections.

Promises: a kept connection that was dropped is replaced without the caller noticing, a fresh one is not tried twice.
Does not cover: what else a server can do wrong (`tests/process/test_far_engines.py`).
"""

from __future__ import annotations

import asyncio

import pytest

from homefire.engines.far_wire import Address, FarWire, Lost

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize("answers", [1, 0], ids=["kept", "fresh"])
def test_a_dropped_connection(answers: int) -> None:
    """Each connection answers so many requests, takes one more and closes."""
    taken: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(0)
        for _ in range(answers + 1):
            await reader.readuntil(b"\r\n\r\n")
            taken[-1] += 1
            if taken[-1] <= answers:
                writer.write(ANSWER)
                await writer.drain()
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        wire = FarWire(Address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        try:
            for _ in range(2 * answers):
                async with wire.ask("/x", None, "text/plain") as response:
                    assert await response.read() == b"ok"
            if not answers:
                with pytest.raises(Lost):
                    await wire.send("/x", None, "text/plain")
        finally:
            await wire.close()
            server.close()
        assert taken == ([2, 1] if answers else [1])

    asyncio.run(asyncio.wait_for(work(), 20))
