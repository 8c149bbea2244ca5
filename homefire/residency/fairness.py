"""Whose turn it is: fair queueing over keys by start tags (SFQ: Goyal, Vin, Cheng 1996), in estimated tokens.

Each key has a virtual time: the tokens that it was given. The waiting request whose key was given least goes first; a key that
waited for nothing while others were served cannot save up turns.
Promises: pure; two keys that both wait are served tokens at the same rate, whatever number of requests each has waiting; requests
of one key keep their order.
Does not cover: models: a request whose model is not there is passed over by whoever can be served now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar


class Ticket(Protocol):
    """A waiting request: who sent it and how many tokens it may take."""

    @property
    def number(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def cost(self) -> int: ...


T = TypeVar("T", bound=Ticket)


@dataclass(slots=True)
class Shares:
    """The virtual times. `floor`: where a key that comes anew begins."""

    floor: float = 0.0
    times: dict[str, float] = field(default_factory=dict)

    def in_turn(self, waiting: Iterable[T]) -> list[T]:
        """The waiting requests, given in order of arrival, in the order in which they are served."""
        ahead: dict[str, float] = {}
        tagged: list[tuple[float, int, T]] = []
        for ticket in waiting:
            start = ahead.get(ticket.key)
            if start is None:
                start = max(self.times.get(ticket.key, 0.0), self.floor)
            tagged.append((start, ticket.number, ticket))
            ahead[ticket.key] = start + max(1, ticket.cost)
        tagged.sort(key=lambda each: each[:2])
        return [ticket for _, _, ticket in tagged]

    def charge(self, key: str, cost: int) -> None:
        """A request of the key is served."""
        start = max(self.times.get(key, 0.0), self.floor)
        self.floor = start
        self.times[key] = start + max(1, cost)
        if len(self.times) > 256:  # keys that lie behind the floor begin there anyway
            self.times = {each: time for each, time in self.times.items() if time > self.floor}
