"""The page of a package index about one package, in its two forms: JSON (PEP 691) and HTML (PEP 503).

Promises: every file that is listed with its address, digest and whether it was withdrawn (yanked); nothing of a page is run.
Does not cover: which of the files to take (`models/wheels.py`), asking.
"""

from __future__ import annotations

import html.parser
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from homefire.errors import SourceUnreachable

JSON, HTML = "application/vnd.pypi.simple.v1+json", "text/html"


@dataclass(frozen=True, slots=True)
class Link:
    """A file of a package as an index lists it. `sha256` "" if it gives none."""

    name: str
    url: str
    sha256: str = ""
    size: int | None = None
    yanked: bool = False


def read_json(text: str, base: str) -> list[Link]:
    """The files of a PEP 691 page. Raises SourceUnreachable for no such page."""
    try:
        rows: Any = json.loads(text)["files"]
        return [
            Link(
                str(row["filename"]), urljoin(base, str(row["url"])), str(row.get("hashes", {}).get("sha256", "")),
                row.get("size") if isinstance(row.get("size"), int) else None, bool(row.get("yanked")),
            )
            for row in rows
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SourceUnreachable(f"{urlsplit(base).hostname} does not answer as a package index does.") from None


def read_html(text: str, base: str) -> list[Link]:
    """The files of a PEP 503 page. Raises SourceUnreachable for no such page."""
    found: list[Link] = []

    class Anchors(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = dict(attrs)
            if tag == "a" and (href := values.get("href")):
                url, _, mark = urljoin(base, href).partition("#")
                digest = re.fullmatch(r"sha256=([0-9a-f]{64})", mark)
                name = unquote(urlsplit(url).path.rpartition("/")[2])
                found.append(Link(name, url, digest[1] if digest else "", yanked="data-yanked" in values))

    try:
        Anchors().feed(text)
    except (ValueError, AssertionError):  # no address; a declaration that Python's own parser gives up on
        raise SourceUnreachable(f"{urlsplit(base).hostname} does not answer as a package index does.") from None
    return found
