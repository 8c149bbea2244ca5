"""The daemon: builds the rooms, hands them to each other, starts and stops them. The only room that knows everybody.

Promises: `python -m homefire.daemon` is the whole program (`start.py`); `Daemon` is its rooms (`rooms.py`); a child of this room
loads what it needs itself, not everybody.
Does not cover: anything a room decides.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homefire.daemon.rooms import Daemon
    from homefire.daemon.start import main

__all__ = ["Daemon", "main"]


def __getattr__(name: str) -> Any:
    """Loads the rooms when they are asked for."""
    if name == "Daemon":
        from homefire.daemon.rooms import Daemon

        return Daemon
    if name == "main":
        from homefire.daemon.start import main

        return main
    raise AttributeError(name)
