"""One file that says what this Homefire is and how it fares, for a person to read and perhaps to hand on.

Promises: see `bundle.py`; nothing is imported before it is needed.
Does not cover: sending it anywhere. Nothing here opens a connection but to this home's own daemon.
"""
