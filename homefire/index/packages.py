"""Packages of the extra `knowledge`, loaded where they are needed.

Promises: one that is missing is one clear error with the command that installs it.
Does not cover: which version is too old (pip holds the floors of pyproject.toml).
"""

from __future__ import annotations

import importlib
from typing import Any

from homefire.errors import PackageMissing


def needed(name: str) -> Any:
    """The module `name`; raises PackageMissing."""
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        raise PackageMissing(
            f"Searching texts needs the package '{name}': {problem}.",
            "Install it with: pip install 'homefire[knowledge]'",
        ) from problem
