"""Vectors like those of texts, from a seed: clusters of very different sizes, in groups of clusters, few strong dimensions.

Promises: the same seed gives the same rows; questions come from the same distribution as rows and are none of them.
Does not cover: real text. Nearest neighbours here are about as near as MiniLM's of prose are (cosine .7 to .8 at the first
place, random pairs about 0), which a search by sign bits must be tried with: on uniform noise every method looks the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

WIDTH, CLUSTERS, FAMILIES, LATENT = 384, 4000, 60, 128
BLOCK = 50_000


class Synthetic:
    """A distribution of unit vectors of `width` numbers."""

    def __init__(self, seed: int = 1, width: int = WIDTH, clusters: int = CLUSTERS) -> None:
        self._random = np.random.default_rng(seed)
        spectrum = (1 + np.arange(LATENT)) ** -0.35
        self._turn = np.linalg.qr(self._random.standard_normal((max(width, LATENT), LATENT)))[0][:width]
        families = self._random.standard_normal((FAMILIES, LATENT)) * spectrum
        mine = self._random.integers(0, FAMILIES, clusters)
        self._centres = families[mine] * 0.8 + self._random.standard_normal((clusters, LATENT)) * spectrum
        sizes = 1 / (10 + np.arange(clusters)) ** 0.8
        self._shares = np.cumsum(sizes / sizes.sum())
        self._spread = spectrum * 0.9

    def rows(self, count: int) -> Any:
        """`count` new vectors, f32."""
        made = np.empty((count, self._turn.shape[0]), np.float32)
        for first in range(0, count, BLOCK):
            some = min(BLOCK, count - first)
            which = np.searchsorted(self._shares, self._random.random(some)).clip(0, len(self._centres) - 1)
            latent = self._centres[which] + self._random.standard_normal((some, LATENT)) * self._spread
            block = (latent @ self._turn.T).astype(np.float32)
            made[first : first + some] = block / np.linalg.norm(block, axis=1, keepdims=True)
        return made
