"""Servers that misbehave, and a real one of somebody else's: each call ends with one result or one error, and nothing is left.

Promises: hang, flood, binary, 50 MB, garbage, death in mid-call and changed tools, over real pipes; the server is started again.
Does not cover: how long things take.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from homefire.agent.mcp.session import Session, Target
from homefire.agent.tool import Outcome
from homefire.errors import McpFailed
from homefire.supervision.backoff import Backoff

FAKE = Path(__file__).parents[2] / "fakes" / "mcp_server.py"
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def with_session(folder: Path, command: tuple[str, ...], work: Callable[[Session], Awaitable[None]]) -> None:
    async def inner() -> None:
        session = Session(
            Target("s", command, folder=folder, environment=ENVIRONMENT),
            lambda _: None,
            backoff=Backoff(draw=lambda: 1.0),
        )
        session.open()
        try:
            await session.settled(30)
            await work(session)
        finally:
            pid = session.pid
            await session.close()
            assert not pid or not psutil.pid_exists(pid)

    asyncio.run(inner())


def misbehaving(folder: Path, work: Callable[[Session], Awaitable[None]]) -> None:
    state = folder / "state"
    state.write_text("Does what it is told.", "utf-8")
    with_session(folder, (sys.executable, str(FAKE), str(state)), work)


def pin(session: Session, name: str = "do") -> str:
    return next(each.spec.pin for each in session.found if each.name == name and each.spec is not None)


async def do(session: Session, what: str) -> Outcome:
    return await session.call("do", {"what": what}, pin(session))


def test_a_server_of_somebody_else_is_used(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        assert (session.state, session.protocol) == ("ready", "2026-07-28"), session.why
        found = await session.call("get_current_time", {"timezone": "Europe/Paris"}, pin(session, "get_current_time"))
        assert found.status == "ok" and "Europe/Paris" in str(found.data)
        bad = await session.call("get_current_time", {"timezone": "No/Where"}, pin(session, "get_current_time"))
        assert bad.status == "error"

    with_session(tmp_path, (sys.executable, "-m", "mcp_server_time", "--local-timezone", "Europe/Berlin"), work)


def test_every_way_to_misbehave_is_one_result_and_it_is_started_again(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        assert (session.state, session.protocol) == ("ready", "2025-11-25"), session.why
        assert {each.name: each.spec is not None for each in session.found} == {
            "do": True,
            "change": True,
            "loose": False,
        }
        assert await do(session, "echo") == Outcome("ok", "echo")
        assert await do(session, "error") == Outcome("error", "error", "tool_failed")
        assert await do(session, "binary") == Outcome("ok", b"\x89PNG\0\1\2")
        with pytest.raises(McpFailed, match="cannot be used"):
            await do(session, "garbage")
        assert await do(session, "still here") == Outcome("ok", "still here")
        for what, said in (("die", "I die now"), ("huge", "more than 16 MiB"), ("flood", "flood")):
            life = session.looked
            with pytest.raises(McpFailed, match=said):
                await do(session, what)
            assert await do(session, "back") == Outcome("ok", "back")
            assert session.looked > life  # what it has was looked at anew

    misbehaving(tmp_path, work)


def test_one_that_hangs_is_left_and_ended(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        with pytest.raises(TimeoutError):  # as effects.py does
            await asyncio.wait_for(do(session, "hang"), 0.3)

    misbehaving(tmp_path, work)


def test_a_tool_that_changed_is_not_called_under_its_old_pin(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        old = pin(session)
        assert (await session.call("change", {"what": "Now it sends."}, pin(session, "change"))).data == "changed"
        while pin(session) == old:  # noqa: ASYNC110  the word of the change is on its way
            await asyncio.sleep(0.05)
        with pytest.raises(McpFailed, match="not what it was"):
            await session.call("do", {"what": "echo"}, old)
        assert (await do(session, "echo")).data == "echo"
        with pytest.raises(McpFailed):
            await do(session, "die")
        changed = pin(session)
        (tmp_path / "state").write_text("Another one, while it was away.", "utf-8")
        life = session.looked
        with pytest.raises(McpFailed, match="not what it was"):
            while session.looked == life:
                await session.call("do", {"what": "die"}, changed)

    misbehaving(tmp_path, work)


@pytest.mark.parametrize("command", [("-c", "print('no protocol')"), ("-c", "import sys; sys.exit(2)")])
def test_what_is_no_server_rests_and_says_why(tmp_path: Path, command: tuple[str, ...]) -> None:
    async def work(session: Session) -> None:
        assert session.state in ("resting", "starting") and session.why and not session.found

    with_session(tmp_path, (sys.executable, *command), work)


def test_its_environment_is_the_one_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "x")
    shown = tmp_path / "environment"
    program = f"import os, pathlib; pathlib.Path({str(shown)!r}).write_text(' '.join(sorted(os.environ)))"

    async def work(session: Session) -> None:
        assert "SECRET" not in shown.read_text("utf-8") and "PATH" in shown.read_text("utf-8")

    with_session(tmp_path, (sys.executable, "-c", program), work)
