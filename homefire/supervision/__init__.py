"""Supervision: one child's life, from spawn to a clean end, without orphans.

Doors: `child.Child` (spawn, ready, ended), `backoff.Backoff` (when it may start again), `lifeline.attach` (the child's side).
Promises: a child is ready only when it says so itself; its death is seen at once; it never outlives the daemon, however that
ends; crashes in a row are answered with growing pauses.
Does not cover: what the child does (`engines/`), and when one is wanted (`residency/`).
This file imports nothing: the child's side has to start without loading the parent's.
"""
