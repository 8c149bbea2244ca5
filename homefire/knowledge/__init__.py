"""Knowledge: a folder becomes a context of millions of tokens.

Promises: importing this loads nothing beyond the standard library. Does not cover: anything itself; see the modules.
"""
