"""Identifiers cut into their parts, a batch of texts at a time: `parseHTTPUrl` becomes `parse HTTP Url`.

The tokenizer of `words.py` splits at everything that is no letter or digit, underscores among it; what it cannot see are
humps, and scripts that write no spaces. Both get a space here, so that a part finds the identifier, and the parts in a
row (a phrase) find the whole.

Promises: bytes are only added (spaces), never changed; any bytes are taken, also what is no UTF-8.
Does not cover: humps of letters outside ASCII; words of Chinese or Japanese, whose characters are indexed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homefire.index.packages import needed

np = needed("numpy")

# Lead bytes of three-byte characters from U+3000 (kana, CJK ideographs) to U+9FFF.
_FIRST_IDEOGRAPH, _LAST_IDEOGRAPH = 0xE3, 0xE9


def split_identifiers(texts: Sequence[bytes]) -> list[str]:
    """The texts with a space at every hump; what is no UTF-8 becomes U+FFFD."""
    joined = b"\n".join(texts)  # so that no text sees its neighbour's letters
    data = np.frombuffer(joined, np.uint8)
    cuts = _cuts(data, joined.isascii())
    split: bytes = np.insert(data, cuts, 32).tobytes() if len(cuts) else joined
    ends = np.cumsum([len(text) + 1 for text in texts], dtype=np.int64) - 1
    starts = ends - [len(text) for text in texts]
    # A space before byte `at` moves every place beyond `at`; one at a text's edge belongs to no text.
    starts = (starts + np.searchsorted(cuts, starts, side="right")).tolist()
    ends = (ends + np.searchsorted(cuts, ends, side="left")).tolist()
    return [split[start:end].decode("utf-8", "replace") for start, end in zip(starts, ends, strict=True)]


def _cuts(bytes_: Any, is_ascii: bool) -> Any:
    """Places before which a space belongs, ascending."""
    if len(bytes_) < 2:
        return np.zeros(0, np.int64)
    upper = (bytes_ - 65) < 26  # unsigned: anything below 'A' wraps around
    lower = (bytes_ - 97) < 26
    digit = (bytes_ - 48) < 10
    before = upper[1:] & (lower | digit)[:-1]
    # The last capital of a run belongs to the word behind it: HTTPServer is HTTP Server.
    before[:-1] |= upper[:-2] & upper[1:-1] & lower[2:]
    if not is_ascii:
        ideograph = (bytes_ >= _FIRST_IDEOGRAPH) & (bytes_ <= _LAST_IDEOGRAPH)
        before |= ideograph[1:]
        follows = (bytes_ >= 0x80) & (bytes_ < 0xC0)
        before[2:] |= ideograph[:-3] & follows[1:-2] & follows[2:-1]
    return np.flatnonzero(before) + 1
