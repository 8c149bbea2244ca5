"""Agents: a loop of typed steps that thinks, calls tools, stays on course with a small model, and can be killed at any point.

Promises: the steps of a run are its only truth; what a run shows, sends to a model and goes on from is derived from them.
Does not cover: what an effect may do (`safety/boundary.py`), where it runs (`sandbox/`), routes (`server/`).
"""
