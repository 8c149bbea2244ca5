"""The child that tries a model's chat template: a template is a program, and whoever made the model's file chose it.

Run as `python -m homefire.daemon.template_child JSON` (see `models/task.py`): {"model": path, "pilot": path}.
Promises: a template that takes too much, or ends the process, is told apart from one that merely raises, which is fine: many
do on what they were not made for.
Does not cover: the rendering and its limits (`engines/template_trial.py`); a template that does otherwise with its own
model's tokens or at another time. On Windows there is no fork and no such limit: `templates.py`
ends this process after a while (untried).
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homefire.engines.template_trial import MEMORY, SECONDS, peak, render
from homefire.errors import EngineFailed
from homefire.models.gguf import read_header
from homefire.models.task import Progress, child
from homefire.supervision import lifeline

# The two that llama.cpp looks for.
KEYS = ("tokenizer.chat_template", "tokenizer.chat_template.tool_use")
# For a machine that gives the child hardly any time.
WALL_SECONDS = 30.0
_TOOL = {
    "type": "function",
    "function": {"name": "turn", "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
}
_CALL = {"id": "call000001", "type": "function", "function": {"name": "turn", "arguments": '{"on": true}'}}
_TURNS = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Turn it on."},
]
SAMPLES: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "system", "content": "Be brief."}, *_TURNS]},
    {
        "messages": [
            *_TURNS,
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "content": "done", "tool_call_id": _CALL["id"]},
        ],
        "tools": [_TOOL],
    },
)


def templates(keys: Mapping[str, Any]) -> dict[str, str]:
    """The templates in a header's keys that llama.cpp would render, by their keys. Pure."""
    return {key: text for key in KEYS if isinstance(text := keys.get(key), str) and text.strip()}


def verdict(status: int, begun: bool) -> str:
    """Why the template is refused, "" if it is not. `status` as `os.waitstatus_to_exitcode` gives it; `begun`: the child had
    come as far as the template. Pure. Raises EngineFailed if the trial itself did not work."""
    if not begun:
        raise EngineFailed(f"A chat template could not be tried: the engine's process ended with {status}.")
    match -status:
        case signal.SIGPROF:
            return f"takes more than {SECONDS:g} s of processor time"
        case signal.SIGKILL:
            return f"did not end within {WALL_SECONDS:g} s"
        case signal.SIGABRT:
            return f"takes more than {MEMORY >> 20} MiB of memory, or aborts the engine"
        case number if number > 0:
            return f"makes the engine crash ({signal.Signals(number).name})"
    return "breaks the engine" if status else ""


def work(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Tries each template of the file; returns {"refused": "" or why, "peak_bytes": memory that the trial took at most}."""
    why = ""
    for key, text in templates(read_header(Path(arguments["model"])).keys).items():
        if found := _tried(text, arguments["pilot"]):
            why = f"{key} {found}"
            break
    return {"refused": why, "peak_bytes": peak()}


def _tried(text: str, pilot: str) -> str:
    with tempfile.TemporaryDirectory() as folder:  # here, because the process that renders may not come to tidying up
        reading, writing = os.pipe()
        if not hasattr(os, "fork"):  # Windows
            render(text, pilot, SAMPLES, folder, writing)
            return ""
        process = os.fork()
        if not process:
            status = 1
            try:
                lifeline.die_with_parent()
                render(text, pilot, SAMPLES, folder, writing)
                status = 0
            finally:
                os._exit(status)  # whatever it is: nothing of the parent's may run twice
        os.close(writing)
        ends = time.monotonic() + WALL_SECONDS
        while not (done := os.waitpid(process, os.WNOHANG))[0]:
            if time.monotonic() > ends:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.004)
        with open(reading, "rb") as told:
            return verdict(os.waitstatus_to_exitcode(done[1]), bool(told.read()))


if __name__ == "__main__":
    child(work)
