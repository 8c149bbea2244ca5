"""What may come in, and what may go out.

Doors: `egress.Egress` (the only way out of a sandbox). Promises: deciding is apart from doing. Does not cover: who may ask
(keys).
"""
