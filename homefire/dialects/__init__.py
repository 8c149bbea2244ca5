"""Dialects: wire formats in both directions, as pure functions. Nobody else sees a vendor's JSON.

Promises: what a dialect reads from outside becomes a value of `messages.py` or one clear error; unknown fields are refused.
Does not cover: transport and routes (`server/`, `engines/`).
"""
