"""Packages whose older versions have known holes or corrupt data: they are refused at the start, not hoped for.

Promises: one table; a package that is not installed is no fault. The versions are read from what is installed, not from what was
asked for: a resolver, a distribution or a hand may have put another one there.
Does not cover: SQLite, which is linked and says its own version (`store/database.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata

from homefire.errors import OldPackage

# package -> the oldest version that is taken, and why.
FLOORS: Mapping[str, tuple[tuple[int, ...], str]] = {
    "starlette": ((0, 49, 1), "CVE-2025-62727: a Range header costs quadratic time"),
    "h11": ((0, 16, 0), "CVE-2025-43859: malformed chunks are taken, requests can be smuggled"),
    "jinja2": ((3, 1, 6), "CVE-2025-27516: a template gets out of the sandbox"),
}


def require_floors(version_of: Callable[[str], str] = metadata.version) -> None:
    """Raises OldPackage, which names the first that is too old."""
    for name, (oldest, why) in FLOORS.items():
        try:
            found = version_of(name)
        except metadata.PackageNotFoundError:
            continue
        if numbers(found) < oldest:
            wanted = ".".join(map(str, oldest))
            raise OldPackage(f"{name} {found} is installed; {wanted} or newer is needed ({why}).")


def numbers(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version, such as (1, 10) of "1.10rc1": a candidate counts as its release."""
    found = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)
