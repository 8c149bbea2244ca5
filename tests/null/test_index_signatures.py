"""Signatures: near-duplicates are found, others are not, blanks and capitals do not matter.

Promises: planted near-duplicates (about 3 % of the words changed) meet in a band and are similar; strangers do not.
Does not cover: speed (`bench ingest`).
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from homefire.index import signatures
from homefire.index.signatures import bands, distance, minhash, simhash64, similarity, text_hash

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DRAWN = random.Random(1)
VOCABULARY = ["".join(DRAWN.choices(LETTERS, k=DRAWN.randint(2, 9))) for _ in range(3000)]


def text(seed: int, words: int = 160) -> list[str]:
    return random.Random(seed).choices(VOCABULARY, k=words)


def near(words: list[str], seed: int, share: float = 0.03) -> list[str]:
    drawn = random.Random(seed)
    return [drawn.choice(VOCABULARY) if drawn.random() < share else word for word in words]


def test_planted_near_duplicates_are_found_and_others_are_not() -> None:
    texts = [text(seed) for seed in range(200)]
    signed = [minhash(" ".join(words).encode()) for words in texts]
    copies = [minhash(" ".join(near(words, seed)).encode()) for seed, words in enumerate(texts)]
    met = sum(bool(set(bands(one)) & set(bands(other))) for one, other in zip(signed, copies, strict=True))
    alike = [similarity(one, other) for one, other in zip(signed, copies, strict=True)]
    assert met >= 198
    assert sum(value >= 0.5 for value in alike) >= 196
    strangers = [similarity(signed[n], signed[n - 1]) for n in range(200)]
    assert max(strangers) < 0.4
    assert similarity(signed[0], signed[0]) == 1


def test_simhash_is_near_for_versions_and_far_for_others() -> None:
    texts = [text(seed, 600) for seed in range(60)]
    signed = [simhash64(" ".join(words).encode()) for words in texts]
    versions = [simhash64(" ".join(near(words, seed, 0.005)).encode()) for seed, words in enumerate(texts)]
    close = sorted(distance(one, other) for one, other in zip(signed, versions, strict=True))
    far = sorted(distance(signed[n], signed[n - 1]) for n in range(60))
    assert close[30] <= 8
    assert 24 <= far[30] <= 40
    assert far[0] > close[54]


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    signed = minhash(data)
    assert len(signed) == 256
    assert similarity(signed, signed) == 1
    assert len(bands(signed)) <= signatures.BANDS
    assert 0 <= simhash64(data) < 1 << 64


def test_blanks_and_capitals_do_not_matter() -> None:
    one, other = b"The quick brown fox\njumps over the lazy dog", b"the  QUICK brown\r\n\tfox jumps over the lazy dog"
    assert minhash(one) == minhash(other)
    assert simhash64(one) == simhash64(other)
    assert text_hash(one) != text_hash(other)


def test_short_texts_look_alike_only_if_they_are() -> None:
    """Bins that are empty on both sides say nothing: counted, they would make any two short texts the same."""
    assert similarity(minhash(b"yes, it is"), minhash(b"no, never")) < 0.2
    assert similarity(minhash(b""), minhash(b"something else")) < 0.2
    assert not set(bands(minhash(b"yes, it is"))) & set(bands(minhash(b"no, never")))


def test_a_long_text_in_blocks_is_the_text(monkeypatch: object) -> None:
    data = " ".join(text(5, 5000)).encode()
    whole = minhash(data)
    kept = signatures._BLOCK
    signatures._BLOCK = 1000
    try:
        assert minhash(data) == whole, "pieces across two blocks are counted"
    finally:
        signatures._BLOCK = kept


def test_signatures_are_the_same_everywhere() -> None:
    """Stored ones must stay valid: these were made on the build machine."""
    assert text_hash(b"homefire") == 0x5979BEBDE3C7958D
    assert simhash64(b"a folder becomes a context of millions of tokens") == 0x733AF92EA1D872F3
    assert (
        minhash(b"a folder becomes a context of millions of tokens")[4:20].hex() == "2d559d1e166c6256ffd2ce8fffffffff"
    )
