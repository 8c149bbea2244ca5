"""Memory: core (named blocks), recall (conversations and runs), archival (facts that point at the words they came from).

Promises: nothing here needs a model; with one, more is found.
Does not cover: who may read and write (`server/`, `agent/`), when the background runs (`daemon/`).
"""
