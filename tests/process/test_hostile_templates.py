"""Chat templates made to attack: a model's file brings a program in a template language, and whoever made it chose it.

The daemon never renders one: llama.cpp does, in the model's child. What an attack gets is that child's end or an error of the request.
Promises: no template runs code of the system's, none makes the child take memory or time beyond bounds unnoticed, and the next
engine starts.
Does not cover: what a template makes the model say (`safety/`); walls around the child (`test_walls.py`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import struct
from pathlib import Path

import psutil
import pytest

from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import HomefireError
from homefire.messages import ChatRequest, Message, Sampling
from homefire.models.library import PILOT_FILE

KEY = b"tokenizer.chat_template"
# The child may take so much on top of what it has before, and a request so long.
MEMORY, SECONDS, HANG = 1024 * 2**20, 40.0, 4.0
MARK = "/tmp/homefire-template-was-here"  # noqa: S108
ATTACKS = {
    "attributes": "{{ ''.__class__.__mro__[1].__subclasses__() }}{% for m in messages %}{{ m.content }}{% endfor %}",
    "globals": "{{ cycler.__init__.__globals__.os.system('touch MARK') }}",
    "import": "{% import 'os' as os %}{{ os.system('touch MARK') }}",
    "include": "{% include '/etc/passwd' %}",
    "self": "{{ self.__init__.__globals__.__builtins__.open('MARK','w') }}",
    "bomb": "{{ 'a' * 10000000000 }}",
    "range": "{% for a in range(999999999) %}{{ a }}{% endfor %}",
    "loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
    "nested": "{{ " + "(" * 250 + "1" + ")" * 250 + " }}",
    "broken": "{% for m in messages %}{{ m.content",
    "itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
}


def with_template(target: Path, template: str) -> Path:
    """A copy of the pilot with another template of the same length."""
    data = bytearray(PILOT_FILE.read_bytes())
    at = data.index(KEY) + len(KEY)
    kind, length = struct.unpack_from("<IQ", data, at)
    raw = template.replace("MARK", MARK).encode()
    assert kind == 8 and len(raw) <= length
    data[at + 12 : at + 12 + length] = raw.ljust(length)
    target.write_bytes(data)
    return target


def memory_of(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_template_ends_in_an_error_or_does_nothing(name: str, pilot_spec: EngineSpec, tmp_path: Path) -> None:
    Path(MARK).unlink(missing_ok=True)
    spec = dataclasses.replace(
        pilot_spec, path=with_template(tmp_path / "m.gguf", ATTACKS[name]), hang_seconds=HANG, load_seconds=SECONDS
    )

    async def scenario() -> None:
        engine = LlamaCpp(spec)
        try:
            async with asyncio.timeout(SECONDS):
                await engine.start()
                assert engine.pid is not None
                before, most = memory_of(engine.pid), 0
                request = ChatRequest(engine.name, (Message("user", "hello"),), Sampling(max_tokens=3), stream=True)
                asked = asyncio.ensure_future(_ask(engine, request))
                while not asked.done():
                    await asyncio.wait((asked,), timeout=0.1)
                    most = max(most, memory_of(engine.pid))
                await asked
                assert most - before < MEMORY
        except HomefireError as problem:
            assert problem.code != "internal_error", problem
        finally:
            await engine.stop()
        assert not Path(MARK).exists()

    asyncio.run(scenario())


async def _ask(engine: LlamaCpp, request: ChatRequest) -> None:
    answer = await engine.chat(request)
    try:
        async for _ in answer.pieces():
            pass
    finally:
        await answer.close()
