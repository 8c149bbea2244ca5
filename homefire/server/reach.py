"""Whether the places that models come from answer from here, tried the way a pull would.

Promises: an answer within `seconds`, whatever the network does; never raises; only small listings are asked for.
Does not cover: whether they will still answer in the middle of a download.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from homefire.errors import HomefireError
from homefire.models.catalogue import Catalogue
from homefire.models.origin import Http
from homefire.models.sources import Places, Source, resolve_hub
from homefire.models.wheels import Indexes, resolve_package

TRY_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Reach:
    """`hub`: a model hub answers; `index`: a package index that has the embedder answers; `tried`: False if nobody asked. The two
    reasons say why not, "" where it does."""

    hub: bool = False
    index: bool = False
    tried: bool = False
    hub_reason: str = ""
    index_reason: str = ""


async def try_reach(
    http: Http, catalogue: Catalogue, places: Places, indexes: Indexes, seconds: float = TRY_SECONDS
) -> Reach:
    """Asks the hub for the listings of two repositories of the catalogue (one may have moved) and the index for one package."""
    on_hub, packages = _examples(catalogue)
    hub, index = await asyncio.gather(
        _any([resolve_hub(source, http, places) for source in on_hub], seconds),
        _any([resolve_package(source, http, indexes) for source in packages], seconds),
    )
    return Reach(not hub, not index, True, hub, index)


def _examples(catalogue: Catalogue) -> tuple[list[Source], list[Source]]:
    """Two sources on a hub and one in a package index, of rows that are proposed."""
    sources = [offer.source for entry in catalogue.entries if entry.proposed for offer in entry.offers]
    return [s for s in sources if s.kind == "hf"][:2], [s for s in sources if s.kind == "pypi"][:1]


async def _any(tries: list[Coroutine[Any, Any, Any]], seconds: float) -> str:
    """ "" as soon as one try succeeds; else the reason of the last that failed."""
    tasks = [asyncio.ensure_future(one) for one in tries]
    reason = "Nothing there is known."
    try:
        async with asyncio.timeout(seconds):
            for ended in asyncio.as_completed(tasks):
                try:
                    await ended
                except HomefireError as problem:
                    reason = problem.message
                else:
                    return ""
    except TimeoutError:
        reason = f"No answer within {seconds:g} s."
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return reason
