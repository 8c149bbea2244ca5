"""The page's static files, and where they are.

Promises: only files of the built page are served, from a table made at start, so no path from a request touches the disk.
Does not cover: building the page (`web/`, `hatch_build.py`).
"""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.types import Receive, Scope, Send

from homefire.errors import MethodNotAllowed, PageMissing, UnknownRoute

FOLDER = Path(__file__).parent.parent / "page"
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("application/manifest+json", ".webmanifest")


class Page:
    """The files of the built page by their route."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, Path] = {}
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self._files["/" + file.relative_to(folder).as_posix()] = file
        if "/index.html" in self._files:
            self._files["/"] = self._files["/index.html"]

    @property
    def routes(self) -> list[str]:
        """The routes that are open without a key; "/" is one even if the page was not built, to say so."""
        return sorted({"/", *self._files})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one file. Raises UnknownRoute, PageMissing or MethodNotAllowed."""
        file = self._files.get(scope["path"])
        if file is None:
            if scope["path"] == "/":
                raise PageMissing("The web page was not built into this installation.")
            raise UnknownRoute(f"There is no {scope['path'][:200]}.")
        if scope["method"] not in ("GET", "HEAD"):
            problem = MethodNotAllowed(f"{scope['path'][:200]} does not take {scope['method']}.", "Use GET.")
            problem.allowed = "GET"
            raise problem
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind.endswith(("json", "svg+xml")):
            kind += "; charset=utf-8"
        body = file.read_bytes()
        hashed = scope["path"].startswith("/assets/")
        cache = b"public, max-age=31536000, immutable" if hashed else b"no-cache"
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", cache),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
