"""Knowledge: a folder becomes a context of millions of tokens. See docs/knowledge.md.

Promises: importing this loads nothing heavy.
Does not cover: which index finds what (`homefire.index`).
"""
