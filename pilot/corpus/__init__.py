"""What the pilot reads while it learns: one module a skill, all text generated from a seed.

Promises: every skill keeps its wording, names and values for training apart from those held out
for the evaluation (a test checks that they are disjoint). Does not cover tokens or weights.
"""
