"""llama.cpp's routes that write a slot's KV cache into a file and read it back.

Source: tools/server/README.md of llama.cpp ("POST /slots/{id_slot}?action=save").
Promises: pure. Does not cover: which slot holds what, where the files lie (`--slot-save-path`).
"""

from __future__ import annotations

import msgspec

from homefire.errors import EngineFailed


def fill_path() -> str:
    """Where to ask for an answer that fills a named slot."""
    return "/completion"


def render_fill(prompt: str) -> bytes:
    """A short answer in slot 0."""
    return msgspec.json.encode({"prompt": prompt, "n_predict": 1, "id_slot": 0, "temperature": 0})


def save_path(slot: int) -> str:
    """Where to ask that a slot be saved."""
    return f"/slots/{slot}?action=save"


def restore_path(slot: int) -> str:
    """Where to ask that a slot be filled from a file."""
    return f"/slots/{slot}?action=restore"


def render(file: str) -> bytes:
    """The body of both: the file's name in the folder of saved slots."""
    return msgspec.json.encode({"filename": file})


def read_count(body: bytes) -> int:
    """How many tokens were saved or restored, or read of the prompt. Raises EngineFailed."""
    try:
        found = msgspec.json.decode(body)
        count = found.get("n_saved", found.get("n_restored", found.get("tokens_evaluated")))
        if type(count) is int:
            return count
    except (msgspec.DecodeError, AttributeError):
        pass
    raise EngineFailed("The engine's answer about a saved slot cannot be read.")
