"""The daemon: builds the rooms, hands them to each other, starts and stops them. The only room that knows everybody.

Promises: `python -m homefire.daemon` is the whole program (`start.py`); `Daemon` is its rooms (`rooms.py`).
Does not cover: anything a room decides.
"""

from homefire.daemon.rooms import Daemon
from homefire.daemon.start import main

__all__ = ["Daemon", "main"]
