"""Prompts: texts that models are told, written in a small language that always ends, with versions, packs and compression.

Promises: all of Homefire's own prompts are here, as files in `own/`; the daemon hands them to the rooms that need them.
Does not cover: who may change them (`server/scopes.py`).
"""

from homefire.prompts.own import own_names, own_text
from homefire.prompts.prompts import Prompts

__all__ = ["Prompts", "own_names", "own_text"]
