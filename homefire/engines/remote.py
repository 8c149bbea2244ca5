"""Any server that speaks OpenAI's interface, as an engine: vLLM, llama.cpp's server, LM Studio, a service on the internet.

Promises: as `far.py`. Kinds: "openai" (that interface and no more), "vllm" and "llama-server" (with what they
add, and without what they pass over in silence).
Does not cover: what `far.py` does not.
"""

from __future__ import annotations

from homefire.dialects import far_openai
from homefire.engines.far import Far, FarSpec


class Remote(Far):
    """An Engine."""

    def __init__(self, spec: FarSpec) -> None:
        super().__init__(spec, far_openai)
