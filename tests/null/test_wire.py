"""HTTP to a model's child, against a scripted far side on a unix socket.

Promises: a connection is used again only when it may be, what is lost says so, a slow reader makes the far side wait.
Does not cover: loopback ports (the same code), a real llama.cpp (`tests/contract`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from homefire.engines import wire as module
from homefire.engines.wire import HIGH_WATER, ConnectionLost, NobodyThere, Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class FarSide:
    """One connection of the far side. `requests` are the heads and bodies that came."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self.writer = writer
        self.requests: list[bytes] = []
        self.ended = asyncio.Event()

    async def request(self) -> bytes:
        """The next request; IncompleteReadError when the near side has gone."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
        self.requests.append(head + await self._reader.readexactly(length))
        return self.requests[-1]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> bool:
        """Whether the near side closes within two seconds."""
        try:
            return await asyncio.wait_for(self._reader.read(1), 2) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


Script = Callable[[FarSide], Awaitable[None]]
Work = Callable[[Wire, list[FarSide]], Awaitable[None]]


def against(tmp_path: Path, script: Script, work: Work, key: str = "") -> None:
    """Runs `work` against a far side in which every connection follows the script."""

    async def main() -> None:
        made: list[FarSide] = []
        problems: list[BaseException] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            side = FarSide(len(made), reader, writer)
            made.append(side)
            try:
                await script(side)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            except AssertionError as problem:
                problems.append(problem)
            finally:
                side.ended.set()
                writer.close()

        path = str(tmp_path / "far.sock")
        server = await asyncio.start_unix_server(serve, path)
        wire = Wire(path, key)
        try:
            async with asyncio.timeout(10):
                await work(wire, made)
        finally:
            wire.close()
            server.close()
            for side in made:
                side.writer.transport.abort()
            await asyncio.sleep(0.01)
        assert problems == []

    asyncio.run(main())


async def answers(side: FarSide) -> None:
    while True:
        await side.request()
        await side.send(OK)


def test_what_is_sent_and_that_the_connection_is_used_again(tmp_path: Path) -> None:
    async def work(wire: Wire, made: list[FarSide]) -> None:
        for number in range(5):
            response = await wire.post(f"/v1/{number}", b'{"n": %d}' % number)
            assert (response.status, await response.read()) == (200, b"ok")
        assert (await (await wire.get("/health")).read()) == b"ok"
        assert len(made) == 1
        first, *_, last = made[0].requests
        assert first.startswith(b"POST /v1/0 HTTP/1.1\r\n") and first.endswith(b'\r\n\r\n{"n": 0}')
        assert b"Content-Type: application/json\r\n" in first and b"Authorization: Bearer k\r\n" in first
        assert last.startswith(b"GET /health HTTP/1.1\r\n") and last.endswith(b"\r\n\r\n")

    against(tmp_path, answers, work, key="k")


def test_several_at_once_have_a_connection_each(tmp_path: Path) -> None:
    async def work(wire: Wire, made: list[FarSide]) -> None:
        async def one() -> None:
            assert await (await wire.post("/", b"{}")).read() == b"ok"

        await asyncio.gather(*(one() for _ in range(10)))
        assert len(made) == 10
        await asyncio.gather(*(one() for _ in range(10)))
        assert len(made) == 10

    against(tmp_path, answers, work)


def test_more_idle_connections_than_allowed_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_IDLE", 2)

    async def work(wire: Wire, made: list[FarSide]) -> None:
        responses = await asyncio.gather(*(wire.get("/") for _ in range(5)))
        for response in responses:
            await response.read()
        await asyncio.gather(*(wire.get("/") for _ in range(5)))
        assert len(made) == 8

    against(tmp_path, answers, work)


def test_an_idle_connection_that_the_far_side_dropped_is_replaced(tmp_path: Path) -> None:
    async def once(side: FarSide) -> None:
        await side.request()
        await side.send(OK)

    async def work(wire: Wire, made: list[FarSide]) -> None:
        for number in range(4):
            assert await (await wire.post("/", b"{}")).read() == b"ok"
            assert len(made) == number + 1
            if number % 2:
                await asyncio.sleep(0.01)  # the near side has seen the end; without this it finds out while sending

    against(tmp_path, once, work)


def test_a_connection_dropped_when_it_is_used_again_is_replaced(tmp_path: Path) -> None:
    async def script(side: FarSide) -> None:
        await side.request()
        await side.send(OK)
        await side.request()  # the second request gets no answer here, only on a fresh connection

    async def work(wire: Wire, made: list[FarSide]) -> None:
        for _ in range(3):
            assert await (await wire.post("/", b"{}")).read() == b"ok"
        assert [len(side.requests) for side in made] == [2, 2, 1]

    against(tmp_path, script, work)


def test_an_old_idle_connection_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(wire: Wire, made: list[FarSide]) -> None:
        await (await wire.get("/")).read()
        with monkeypatch.context() as patch:
            patch.setattr(module, "IDLE_SECONDS", 0.0)
            await (await wire.get("/")).read()
        assert len(made) == 2
        await made[0].ended.wait()

    against(tmp_path, answers, work)


@pytest.mark.parametrize("head", [OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
                                  OK.replace(b"HTTP/1.1", b"HTTP/1.0")])  # fmt: skip
def test_connection_close_is_honoured(head: bytes, tmp_path: Path) -> None:
    async def script(side: FarSide) -> None:
        await side.request()
        await side.send(head)
        assert await side.gone()

    async def work(wire: Wire, made: list[FarSide]) -> None:
        for _ in range(3):
            assert await (await wire.get("/")).read() == b"ok"
        assert [len(side.requests) for side in made] == [1, 1, 1]

    against(tmp_path, script, work)


LOST = {
    "no answer": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "half a chunk": CHUNKED + b"5\r\nhal",
    "no last chunk": CHUNKED + b"4\r\nhalf\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a broken chunk": CHUNKED + b"4\r\nhalf\r\nzz\r\n",
}


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used before"])
def test_what_is_lost_says_so(name: str, used: bool, tmp_path: Path) -> None:
    async def script(side: FarSide) -> None:
        if used and side.number == 0:
            await side.request()
            await side.send(OK)
        await side.request()
        await side.send(LOST[name])

    async def work(wire: Wire, made: list[FarSide]) -> None:
        if used:
            await (await wire.get("/")).read()
        with pytest.raises(ConnectionLost):
            await (await wire.post("/", b"{}")).read()
        sent = sum(len(side.requests) for side in made) - used
        # Sent again only when nothing at all came back on a connection that had been idle.
        assert sent == (2 if used and name == "no answer" else 1)

    against(tmp_path, script, work)


def test_what_came_before_the_loss_is_handed_on(tmp_path: Path) -> None:
    async def script(side: FarSide) -> None:
        await side.request()
        await side.send(CHUNKED + b"4\r\nhalf\r\n")

    async def work(wire: Wire, made: list[FarSide]) -> None:
        got = b""
        with pytest.raises(ConnectionLost):
            async for piece in (await wire.get("/")).pieces():
                got += piece
        assert got == b"half"

    against(tmp_path, script, work)


def test_nobody_listens(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(NobodyThere):
            await Wire(str(tmp_path / "none.sock")).get("/")

    asyncio.run(main())


def test_a_far_side_that_ends_on_a_request_had_it(tmp_path: Path) -> None:
    """Whoever gets NobodyThere may ask another far side; what ended this one must not be handed on."""

    async def script(side: FarSide) -> None:
        await side.request()
        await side.send(OK)
        await side.request()
        (tmp_path / "far.sock").unlink()

    async def work(wire: Wire, made: list[FarSide]) -> None:
        await (await wire.get("/")).read()
        with pytest.raises(ConnectionLost) as caught:
            await wire.post("/", b"{}")
        assert caught.type is ConnectionLost

    against(tmp_path, script, work)


def test_a_chunked_body_cut_anywhere(tmp_path: Path) -> None:
    whole = CHUNKED + b"5\r\ndata:\r\n2;ext=1\r\n \xff\r\nb\r\n0123456789\n\r\n0\r\n\r\n"
    body = b"data: \xff0123456789\n"

    async def script(side: FarSide) -> None:
        while True:
            at = int((await side.request()).split(b" ")[1][1:])
            for piece in [whole[:at], whole[at:]] if at else [whole[i : i + 1] for i in range(len(whole))]:
                await side.send(piece)
                await asyncio.sleep(0.0005)

    async def work(wire: Wire, made: list[FarSide]) -> None:
        for cut in range(len(whole)):
            response = await wire.get(f"/{cut}")
            assert await response.read() == body
        assert len(made) == 1

    against(tmp_path, script, work)


def test_a_slow_reader_makes_the_far_side_wait(tmp_path: Path) -> None:
    total, piece = 16 << 20, b"x" * 65_536
    sent = 0

    async def script(side: FarSide) -> None:
        nonlocal sent
        await side.request()
        await side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            await side.send(piece)
            sent += len(piece)
        await side.request()

    async def work(wire: Wire, made: list[FarSide]) -> None:
        response = await wire.get("/")
        await asyncio.sleep(0.15)
        first = sent
        await asyncio.sleep(0.15)
        assert first == sent < 8 * HIGH_WATER, "it stands still, with little more sent than may pile up"
        got = 0
        async for found in response.pieces():
            assert len(found) <= 4 * HIGH_WATER
            got += len(found)
        assert got == total == sent

    against(tmp_path, script, work)


def test_closing_breaks_off(tmp_path: Path) -> None:
    async def script(side: FarSide) -> None:
        await side.request()
        await side.send(CHUNKED + b"4\r\nhalf\r\n")
        assert await side.gone()

    async def work(wire: Wire, made: list[FarSide]) -> None:
        for number in range(3):
            response = await wire.get("/")
            async for piece in response.pieces():
                assert piece == b"half"
                break
            response.close()
            response.close()
            assert [piece async for piece in response.pieces()] == []
            assert len(made) == number + 1
        await asyncio.sleep(0.05)

    against(tmp_path, script, work)


def test_closing_after_the_end_keeps_the_connection(tmp_path: Path) -> None:
    async def work(wire: Wire, made: list[FarSide]) -> None:
        for _ in range(3):
            response = await wire.get("/")
            await response.read()
            response.close()
        assert len(made) == 1
        wire.close()
        await made[0].ended.wait()
        assert await (await wire.get("/")).read() == b"ok"
        assert len(made) == 2

    against(tmp_path, answers, work)


def test_who_stops_waiting_closes_the_connection(tmp_path: Path) -> None:
    async def script(side: FarSide) -> None:
        await side.request()
        assert await side.gone()

    async def work(wire: Wire, made: list[FarSide]) -> None:
        waiting = asyncio.ensure_future(wire.post("/", b"{}"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait((waiting,))
        assert waiting.cancelled() and len(made) == 1
        await asyncio.sleep(0.05)

    against(tmp_path, script, work)
