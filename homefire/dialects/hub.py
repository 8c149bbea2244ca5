"""What a model hub says about a repository: the pages of its list of files, as the Hugging Face Hub's API gives them.

GET {hub}/api/models/OWNER/REPO/tree/main?recursive=true answers an array of {"type", "path", "size", "lfs": {"oid", "size"}};
`lfs.oid` is the file's sha256, which small files (kept in git) do not have. Further pages: Link: <...>; rel="next" (RFC 8288).
Promises: rows that are no files or make no sense are left out; what is no such list at all raises SourceUnreachable.
Does not cover: whether a path may become a name on the disk (`models/sources.py`), asking.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from homefire.errors import SourceUnreachable


@dataclass(frozen=True, slots=True)
class Row:
    """One file: its path in the repository as it came, bytes and sha256 if they are said."""

    path: str
    size: int | None = None
    sha256: str | None = None


def read_tree(body: bytes, host: str) -> list[Row]:
    """The files on a page of the list. Raises SourceUnreachable, which names `host`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise SourceUnreachable(f"{host} does not answer as a model hub does.")
    return [
        _row(entry)
        for entry in found
        if isinstance(entry, dict) and entry.get("type") == "file" and isinstance(entry.get("path"), str)
    ]


def _row(entry: dict[str, object]) -> Row:
    lfs = entry.get("lfs")
    big = lfs if isinstance(lfs, dict) else {}
    size, oid = big.get("size", entry.get("size")), big.get("oid")
    return Row(
        str(entry["path"]),
        size if isinstance(size, int) and 0 <= size < 1 << 50 else None,
        oid if isinstance(oid, str) and re.fullmatch(r"[0-9a-f]{64}", oid) else None,
    )


def next_page(link: str, base: str) -> str | None:
    """The address of the next page in a Link header; None on the last. Raises SourceUnreachable for what is no address."""
    match = re.search(r'<([^<>]+)>\s*;\s*rel="?next"?', link)
    try:
        return urljoin(base, match[1]) if match else None
    except ValueError:  # such as a bracket that opens an IPv6 address and never closes
        raise SourceUnreachable(f"{urlsplit(base).hostname} does not answer as a model hub does.") from None
