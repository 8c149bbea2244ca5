"""An Ollama server as an engine, over its own interface.

Promises: as `far.py`; a prompt that is too long is an error and not cut, where the server is new enough to be told so.
Does not cover: what `far.py` does not.
"""

from __future__ import annotations

from homefire.dialects import far_ollama
from homefire.engines.far import Far, FarSpec


class Ollama(Far):
    """An Engine."""

    def __init__(self, spec: FarSpec) -> None:
        super().__init__(spec, far_ollama)
