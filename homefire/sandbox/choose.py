"""Which sandbox protects this machine: the best whose self-test passes now, else none.

Promises: a plug that does not hold is never used, whatever is installed; why each better one was passed over is told. Firejail is
taken only by name: it is a large program that runs as root.
Does not cover: trying again later: the daemon asks at each start.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from homefire.sandbox.bubblewrap import Bubblewrap
from homefire.sandbox.cgroup import find_kind
from homefire.sandbox.landlock import Landlock
from homefire.sandbox.null import Refuse
from homefire.sandbox.sandbox import Egress, Sandbox


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and for each plug that was not: its name and the walls that did not hold."""

    sandbox: Sandbox
    passed_over: tuple[tuple[str, tuple[str, ...]], ...] = ()


def candidates(egress: Egress | None = None) -> list[Sandbox]:
    """The plugs of this system, best first. Those of Windows and macOS were never run by us: they are not chosen by
    themselves."""
    if sys.platform != "linux":
        return []
    kind = find_kind()
    return [Bubblewrap(kind, egress), Landlock(kind)]


async def choose(plugs: list[Sandbox]) -> Choice:
    """Tries them in order."""
    passed_over = list[tuple[str, tuple[str, ...]]]()
    for plug in plugs:
        if not (broken := await plug.check()):
            return Choice(plug, tuple(passed_over))
        passed_over.append((plug.facts().name, broken))
    tried = "; ".join(f"{name}: {', '.join(walls)}" for name, walls in passed_over)
    return Choice(
        Refuse(f"no sandbox holds on this machine ({tried or 'none is known for this system'})"), tuple(passed_over)
    )
