"""Reading ahead: the file of a model that waits for memory is brought into the page cache while another model still works.

Promises: no more bytes than were allowed; a system without the call, or a file that cannot be opened, is no error: then the load
reads.
Does not cover: deciding (`keeper.py`), keeping it there: the kernel may drop it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

# The kernel queues the reads of one call at once; in pieces another reader's turn comes in between.
PIECE = 64 * 2**20


def read_ahead(files: Iterable[Path], most: int) -> int:
    """Asks for the first `most` bytes of these files together; returns how many were asked for. May block while the disk is
    busy."""
    if not hasattr(os, "posix_fadvise"):
        return 0
    asked = 0
    for path in files:
        try:
            with path.open("rb", buffering=0) as file:
                size = min(os.fstat(file.fileno()).st_size, most - asked)
                for at in range(0, max(0, size), PIECE):
                    length = min(PIECE, size - at)
                    os.posix_fadvise(file.fileno(), at, length, os.POSIX_FADV_WILLNEED)
                    asked += length
        except OSError:
            continue
    return asked
