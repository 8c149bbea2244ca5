"""Knowledge: a folder becomes a context of millions of tokens: read, cut, searched, and let into a model's window by a gate.

Promises: importing this loads nothing heavy; what the database does not name does not exist, so that a crash leaves what the last
batch left.
Does not cover: words, vectors and fusion (`index/`), routes (`server/`).
"""
