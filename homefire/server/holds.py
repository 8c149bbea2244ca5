"""Which models are being worked on, and which are on their way out: so that nothing is removed under work or a load.

Promises: a model that is held cannot leave, one that leaves can neither be held nor loaded; a hold ends with its block.
Lives on the event loop's thread; no method awaits.
Does not cover: what is in memory (`residency/`): the caller evicts first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from homefire.errors import ModelBusy, UnknownModel


class Holds:
    """One for the whole daemon."""

    def __init__(self) -> None:
        self._held: dict[str, Counter[str]] = {}
        self._leaving: set[str] = set()

    @contextmanager
    def hold(self, name: str, what: str) -> Iterator[None]:
        """While the block runs, `name` stays. `what` is what happens to it, such as "verified". Raises UnknownModel."""
        self.check(name)
        counted = self._held.setdefault(name, Counter())
        counted[what] += 1
        try:
            yield
        finally:
            counted[what] -= 1
            if not +counted and self._held.get(name) is counted:
                del self._held[name]

    @contextmanager
    def leave(self, name: str) -> Iterator[None]:
        """While the block runs, `name` is on its way out. Raises ModelBusy while it is held, UnknownModel twice."""
        self.check(name)
        if held := +self._held.get(name, Counter()):
            raise ModelBusy(f"'{name}' is being {' and '.join(held)}.", param="name")
        self._leaving.add(name)
        try:
            yield
        finally:
            self._leaving.discard(name)

    def check(self, name: str) -> None:
        """Raises UnknownModel if the model is on its way out: whoever wants to load it asks first."""
        if name in self._leaving:
            raise UnknownModel(f"'{name}' is being removed.", param="model")
