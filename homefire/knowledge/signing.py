"""What tells a text from others, put to it in the child that read it.

Promises: the work is numpy's and hashlib's; a text of any size.
Does not cover: how signatures are compared (`homefire.index.signatures`).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol, cast

from homefire.knowledge.reader import Signed, Text


class Signatures(Protocol):
    """What `homefire.index.signatures` gives."""

    def signature(self, data: bytes) -> tuple[int, bytes]: ...

    def block_hashes(self, spans: Sequence[bytes]) -> Sequence[int]: ...


def signatures() -> Signatures:
    """The real ones. Raises ImportError."""
    return cast(Signatures, importlib.import_module("homefire.index.signatures"))


def signed(text: Text, by: Signatures) -> Signed:
    """The text with its signatures."""
    data = text.data
    blocks = by.block_hashes([data[piece.start : piece.end] for piece in text.pieces])
    simhash, minhash = by.signature(data)
    hashes = b"".join(int(each).to_bytes(8, "little") for each in blocks)
    return Signed(text, blake2b(data, digest_size=32).digest(), simhash, minhash, hashes)
