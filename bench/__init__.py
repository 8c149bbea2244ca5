"""Benchmarks: `homefire bench NAME --json`, or `python -m bench NAME` in a checkout.

Promises: each prints one JSON object on its last line (report.py); figures are medians, and comparisons are taken interleaved in
one run, because machines are noisy; nothing here is a test.
Does not cover: quality of models (`homefire pilot evaluate`).
"""
