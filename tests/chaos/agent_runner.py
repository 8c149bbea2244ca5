"""A process that runs one agent run with real tools, until it is killed: `python -m tests.chaos.agent_runner HOME ROUNDS`.

It begins the run if there is none, else takes it up as a daemon does at its start. Says "started" once, and "ended" at the end.
Promises: the script is the same each time. Does not cover: models.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homefire.agent.order import Order
from homefire.agent.runs import RunsRules
from homefire.agent.tool import Context, Outcome
from tests.null.agent_rig import KEY, Rig, plain, task


def counting(file: Path) -> Any:
    """Work that is not idempotent: a line for each time, on the disk before it answers."""

    async def work(arguments: Mapping[str, Any], context: Context) -> Outcome:
        def add() -> None:
            with file.open("ab") as lines:
                lines.write(context.call.encode() + b"\n")
                lines.flush()
                os.fsync(lines.fileno())

        await asyncio.to_thread(add)
        await asyncio.sleep(0.01)  # so that kills also come between the effect and its result
        return Outcome("ok", f"counted {context.call}")

    return work


def script(rounds: int) -> list[tuple[str, dict[str, Any]]]:
    """The same calls each time."""
    calls: list[tuple[str, dict[str, Any]]] = []
    for n in range(rounds):
        calls += [
            ("write_file", {"path": f"out/{n}.txt", "text": f"text {n}\n" * (n + 1)}),
            ("add_note", {"title": f"note {n}", "text": "x"}),
            ("count", {"text": str(n)}),
            ("set_timer", {"minutes": 600 + n, "label": f"timer {n}"}),
            ("calculate", {"expression": f"{n} * 17"}),
        ]
    return calls


async def main(home: Path, rounds: int) -> None:
    tool = plain("count", counting(home / "counted"), "write", idempotent=False)
    made = Rig(home, [tool], RunsRules())
    await made.open()
    rows = await made.runs.list(KEY)
    if not rows:
        rows = [await made.runs.start(Order(task(*script(rounds))), KEY)]
    elif rows[0].state == "interrupted":  # it was killed more often than a daemon takes a run up by itself
        await made.runs.resume(KEY, rows[0].id)
    print("started", flush=True)
    await made.runs.finished(KEY, rows[0].id)
    await made.close()
    print("ended", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
