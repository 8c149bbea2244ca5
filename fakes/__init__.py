"""Real child programs and model files that misbehave on request.

Promises: nothing here is imported by the package; every program is a process of its own, started with this interpreter.
Does not cover: faults of the machine (full disks, killed processes): the tests in `tests/chaos/` make those themselves.
"""
