"""The messages of `proto/assistant.proto`, generated: `python tasks.py proto`.

Promises: nothing here is written by hand; `tests/null/test_proto.py` generates it anew and compares.
Does not cover: what a method does (`rpc_services.py`).
"""
