"""Models: which ones are on disk, what their headers say, how a file comes in and goes.

Promises: no native parser ever sees a file whose header this room has not checked; a user's file is copied, never rewritten.
Does not cover: which models are in memory (`residency/`), and running one (`engines/`).
"""

from homefire.models.gguf import Header, read_header
from homefire.models.library import Library, Model

__all__ = ["Header", "Library", "Model", "read_header"]
