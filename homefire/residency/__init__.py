"""Residency: which models are in memory. One door: `ensure(model) -> Lease`.

Promises: as many models as fit are in memory at one time, their bytes promised before they load; a model stays while somebody
holds a lease on it; no request waits without end behind others' models; a crashed model comes back at the next request, after a
pause that grows with each crash; why something was done can be asked (`Decisions`).
Engines elsewhere need no memory here; whether they may be asked, and who stands in for whom, is in `far.py` and `fallback.py`.
Does not cover: what an engine is asked and how (`engines/`).
"""

from homefire.residency.decisions import Decisions
from homefire.residency.keeper import Keeper
from homefire.residency.lease import KeeperRules, Lease, Told
from homefire.residency.view import ResidentView

__all__ = ["Decisions", "Keeper", "KeeperRules", "Lease", "ResidentView", "Told"]
