"""A task's child that writes half a file and then ends as its argument says: an assertion in the engine, a signal, or silently.

Promises: the assertion is the engine's own.
Does not cover: tasks that succeed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from homefire.models import kernels
from homefire.models.task import Progress, child


def work(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Dies."""
    Path(arguments["beside"]).write_bytes(b"half")
    progress(1, 2)
    match arguments["how"]:
        case "assertion":
            kernels._library().ggml_quantize_chunk(12, bytes(4 * 300), bytearray_pointer(), 7, 1, 300, None)
        case "signal":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "silence":
            sys.exit(0)
        case "memory":
            raise MemoryError
        case "sleep":
            time.sleep(60)
    return {}


def bytearray_pointer() -> Any:
    """Somewhere to write."""
    return kernels._address(bytearray(4096))


if __name__ == "__main__":
    child(work)
