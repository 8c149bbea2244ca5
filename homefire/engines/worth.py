"""Whether a KV cache is worth writing to the disk, or reading back: a pure rule over two measured rates.

Reading a prompt again takes tokens / `read_rate` seconds, moving its KV cache bytes / `move_rate`. Writing and reading back
moves it twice; it must save `MARGIN` times that, or the disk is worn for little.
Promises: pure; before anything was measured it assumes a slow processor and a slow disk.
Does not cover: the quota (`kv_shelf.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

# Until measured: tokens a second of a mid-size model without a GPU, bytes a second of a slow disk, bytes of a token's KV cache.
FIRST_READ_RATE, FIRST_MOVE_RATE, FIRST_BYTES = 100.0, 200e6, 64_000.0
MARGIN = 2.0
# What a file costs whatever its size, in seconds.
FIXED_SECONDS = 0.005
# Of a new measurement, so much counts.
WEIGHT = 0.3
# A growing conversation is written again when it has grown by this share: all its writes together are a few times its size.
GROWTH = 0.25
FEWEST_TOKENS = 32
MOST_TO_MEASURE = 2048


@dataclass(slots=True)
class Worth:
    """What is known of one model on this machine."""

    read_rate: float = FIRST_READ_RATE
    move_rate: float = FIRST_MOVE_RATE
    token_bytes: float = FIRST_BYTES
    measured: bool = False
    moved_once: bool = False

    def read(self, tokens: int, seconds: float) -> None:
        """A prompt was read. Few tokens say little."""
        if tokens >= FEWEST_TOKENS and seconds > 0:
            rate = tokens / seconds
            self.read_rate = rate if not self.measured else _mixed(self.read_rate, rate)
            self.measured = True

    def moved(self, tokens: int, size: int, seconds: float) -> None:
        """A KV cache was written or read back."""
        if tokens and size:
            self.token_bytes = size / tokens
            rate = size / max(seconds, 1e-4)
            self.move_rate = _mixed(self.move_rate, rate) if self.moved_once else rate
            self.moved_once = True

    def reading(self, tokens: int) -> float:
        """Seconds to read so many tokens again."""
        return tokens / self.read_rate

    def moving(self, tokens: int) -> float:
        """Seconds to move the KV cache of so many."""
        return FIXED_SECONDS + tokens * self.token_bytes / self.move_rate

    def unknown(self, tokens: int) -> bool:
        """Whether it is still to be measured what moving takes, and so many tokens are fit to measure it with."""
        return not self.moved_once and FEWEST_TOKENS <= tokens <= MOST_TO_MEASURE

    def keeps(self, tokens: int) -> bool:
        """Whether a conversation of this length is worth being kept over its model's end."""
        return tokens >= FEWEST_TOKENS and self.reading(tokens) >= MARGIN * 2 * self.moving(tokens)

    def brings_back(self, gained: int, whole: int) -> bool:
        """Whether `gained` tokens not read again are worth reading back a file of `whole`."""
        return gained >= FEWEST_TOKENS and self.reading(gained) >= MARGIN * self.moving(whole)

    def saves_now(self, tokens: int, unsaved: int, least_seconds: float) -> bool:
        """Whether it is worth writing now, in case of a crash; reading the rest must take `least_seconds` at least."""
        grown = unsaved >= max(FEWEST_TOKENS, GROWTH * (tokens - unsaved))
        return grown and self.keeps(tokens) and self.reading(unsaved) >= least_seconds


def _mixed(old: float, new: float) -> float:
    return old + WEIGHT * (new - old)
