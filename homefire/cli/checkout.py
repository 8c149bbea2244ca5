"""`homefire bench` and `homefire pilot`: programs that only a checkout of the repository carries, run as children.

Promises: passes arguments and exit status through; names the repository when there is no checkout.
Does not cover: what they measure or make (`bench/`, `pilot/`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from homefire.errors import CheckoutNeeded


def run(verb: str, argv: list[str]) -> int:
    """Runs `python -m bench` or `python -m pilot` in the checkout."""
    root = Path(__file__).parents[2]
    if not (root / verb / "__main__.py").is_file():
        raise CheckoutNeeded(f"'homefire {verb}' runs in a checkout of the repository; this is an installed package.")
    return subprocess.run([sys.executable, "-m", verb, *argv], cwd=root, check=False).returncode
