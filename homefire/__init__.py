"""Homefire: a whole private AI that runs on the machine people already own.

Importing this package opens no file and no socket and loads nothing heavy (`tests/test_house.py` keeps that true).
Start at `docs/map.md`; the composition root is `homefire.daemon`, the command line `homefire.cli`.
"""

__version__ = "0.1.0"
