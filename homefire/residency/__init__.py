"""Residency: which models are in memory. One door: `ensure(model) -> Lease`.

Promises: a model stays while somebody holds a lease on it; requests are served in order of arrival, so nobody starves; a
crashed model comes back at the next request, after a pause that grows with each crash.
Does not cover: more than one model at a time, and choosing by memory (not in this version; the door stays the same).
"""

from homefire.residency.keeper import Keeper, Lease, ResidentView

__all__ = ["Keeper", "Lease", "ResidentView"]
