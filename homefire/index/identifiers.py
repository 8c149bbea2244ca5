"""Identifiers cut into their parts, a batch of texts at a time: `parseHTTPUrl` becomes `parse HTTP Url`.

The tokenizer of `words.py` splits at everything that is no letter or digit, underscores among it; what it cannot see are
humps, and scripts that write no spaces. Both get a space here, so that a part finds the identifier, and the parts in a
row (a phrase) find the whole.

Promises: bytes are only added (spaces), never changed; any bytes are taken, also what is no UTF-8.
Does not cover: humps of letters outside ASCII; words of Chinese or Japanese, whose characters are indexed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from homefire.index.packages import needed

np = needed("numpy")

# Lead bytes of three-byte characters from U+3000 (kana, CJK ideographs) to U+9FFF.
_FIRST_IDEOGRAPH, _LAST_IDEOGRAPH = 0xE3, 0xE9


def split_identifiers(texts: Sequence[bytes]) -> list[str]:
    """The texts with a space at every hump; what is no UTF-8 becomes U+FFFD."""
    joined = b"".join(texts)
    data = np.frombuffer(joined, np.uint8)
    cuts = _cuts(data, joined.isascii())
    split: bytes = np.insert(data, cuts, 32).tobytes() if len(cuts) else joined
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    # A space before byte `at` moves every end beyond `at`.
    moved = (ends + np.searchsorted(cuts, ends, side="left")).tolist()
    starts = [0, *moved[:-1]]
    return [split[start:end].decode("utf-8", "replace") for start, end in zip(starts, moved, strict=True)]


def _cuts(data: object, is_ascii: bool) -> object:
    """Places before which a space belongs, ascending."""
    bytes_ = np.asarray(data)
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
        before[2:] |= ideograph[:-3]
    return np.flatnonzero(before) + 1
