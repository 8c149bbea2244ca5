"""What survives a crash in the middle: the journal that runs stand in, and later million-step processes.

Promises: what was answered is there after kill -9 and a power cut; what was not is cut off, never half there.
Does not cover: what a record means (`agent/record.py`).
"""

from homefire.durable.journal import Journal

__all__ = ["Journal"]
