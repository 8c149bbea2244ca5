"""Chat templates made to attack: a model's file brings a program in a template language, and whoever made it chose it.

The daemon never renders one: llama.cpp does, in a child. What an attack gets is a refusal, that child's end, or an error of the
request.
Promises: no template runs code of the system's; one that takes much time or memory is refused before its model is loaded, within
the limits of `template_child.py`; the daemon lives on, and what is honest is not refused; a request on which a template runs away
ends.
Does not cover: what a template makes the model say (`safety/`); walls around the child (`test_walls.py`); the bookkeeping of
verdicts (`tests/null/test_templates.py`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from homefire.daemon.templates import MODULE, Templates
from homefire.engines.engine import EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.engines.template_trial import MEMORY
from homefire.errors import BadTemplate, EngineError, EngineFailed
from homefire.messages import ChatRequest, Message, Sampling
from homefire.models.library import PILOT_FILE
from homefire.models.task import run
from tests.conftest import RunningDaemon, alive
from tests.null.library_home import with_home

KEY = b"tokenizer.chat_template"
MARK = "/tmp/homefire-template-was-here"
EVERY = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
# What the engine itself takes, with the built-in model loaded twice, beside what the template may.
ENGINE = 128 << 20
HARMLESS = {
    "attributes": "{{ ''.__class__.__mro__[1].__subclasses__() }}" + EVERY,
    "globals": "{{ cycler.__init__.__globals__.os.system('touch MARK') }}",
    "import": "{% import 'os' as os %}{{ os.system('touch MARK') }}",
    "include": "{% include '/etc/passwd' %}",
    "self": "{{ self.__init__.__globals__.__builtins__.open('MARK','w') }}",
    "nested": "{{ " + "(" * 250 + "1" + ")" * 250 + " }}",
    "broken": "{% for m in messages %}{{ m.content",
    "raises": "{{ raise_exception('not for this') }}",
    "honest": EVERY,
}
REFUSED = {
    "bomb": ("{{ 'a' * 10000000000 }}", "memory"),
    "doubling": (
        "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(40) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
        "memory",
    ),
    "range": ("{% for a in range(999999999) %}{{ a }}{% endfor %}", "memory"),
    "loops": (
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "processor time",
    ),
    "itself": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "crash"),
    "late": ("{% if messages|length > 3 %}{{ 'a' * 10000000000 }}{% endif %}" + EVERY, "memory"),
}


def with_template(target: Path, template: str) -> Path:
    """A copy of the pilot with another template of the same length."""
    data = bytearray(PILOT_FILE.read_bytes())
    at = data.index(KEY) + len(KEY)
    kind, length = struct.unpack_from("<IQ", data, at)
    raw = template.replace("MARK", MARK).encode()
    assert kind == 8 and len(raw) + 4 <= length
    data[at + 12 : at + 12 + length] = raw + b"{#" + b"." * (length - len(raw) - 4) + b"#}"  # a comment
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("name", HARMLESS)
def test_a_template_without_reach_does_nothing(name: str, tmp_path: Path) -> None:
    Path(MARK).unlink(missing_ok=True)
    file = with_template(tmp_path / "m.gguf", HARMLESS[name])
    asyncio.run(Templates(lambda: False).require(file))
    assert not Path(MARK).exists()


@pytest.mark.parametrize("name", REFUSED)
def test_one_that_takes_too_much_is_refused_within_the_limits(name: str, tmp_path: Path) -> None:
    template, word = REFUSED[name]
    file = with_template(tmp_path / "m.gguf", template)
    found = asyncio.run(run(MODULE, {"model": str(file), "pilot": str(PILOT_FILE)}, None))
    assert found["refused"].startswith(KEY.decode()) and word in found["refused"]
    assert 0 < found["peak_bytes"] < MEMORY + ENGINE


def test_it_is_tried_behind_walls_too(tmp_path: Path) -> None:
    async def story() -> None:
        tried = Templates(lambda: True)
        await tried.require(with_template(tmp_path / "good.gguf", EVERY))
        with pytest.raises(BadTemplate, match="processor time"):
            await tried.require(with_template(tmp_path / "bad.gguf", REFUSED["loops"][0]))

    asyncio.run(story())


def test_without_the_trial_the_attack_works(tmp_path: Path, pilot_spec: EngineSpec) -> None:
    """The positive control: what the refusals above keep away."""
    file = with_template(tmp_path / "m.gguf", REFUSED["loops"][0])
    engine = LlamaCpp(dataclasses.replace(pilot_spec, path=file, load_seconds=2.5))
    with pytest.raises(EngineFailed, match="not ready within"):
        asyncio.run(engine.start())


def test_a_daemon_refuses_it_at_the_door_and_what_lies_there_already(
    tmp_path: Path, new_daemon: Callable[..., RunningDaemon]
) -> None:
    bad = with_template(tmp_path / "bad.gguf", REFUSED["bomb"][0])
    running = new_daemon()
    # As an earlier Homefire, which tried nothing, would have left it.
    with_home(running.home, lambda home: home.add("old", raw=bad.read_bytes()))
    running.start()
    done = running.cli("models", "import", str(bad), "--name", "new", "--json")
    assert done.returncode != 0 and '"bad_template"' in done.stdout + done.stderr
    for _ in range(6):  # more than the crashes after which a model rests
        refused = running.cli("chat", "--model", "old", "hello", "--json")
        assert refused.returncode != 0 and '"bad_template"' in refused.stdout + refused.stderr
    sound = running.cli("models", "import", str(with_template(tmp_path / "good.gguf", EVERY)), "--name", "good")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    answered = running.cli("chat", "--model", "good", "hello", "--json")
    assert answered.returncode == 0, answered.stdout + answered.stderr
    assert alive(running.pid) and len(running.engine_pids()) == 1
    listed = running.cli("models", "list", "--json").stdout
    assert '"old"' in listed and '"new"' not in listed


@pytest.mark.parametrize("leaves", [False, True], ids=["waits", "leaves"])
def test_a_request_on_which_a_template_runs_away_ends(leaves: bool, tmp_path: Path, pilot_spec: EngineSpec) -> None:
    template = "{% if 'boom' in messages[0].content %}" + REFUSED["loops"][0] + "{% endif %}" + EVERY
    file = with_template(tmp_path / "m.gguf", template)
    spec = dataclasses.replace(pilot_spec, path=file, hang_seconds=0.6)

    async def story() -> None:
        engine = LlamaCpp(spec, approve=Templates(lambda: False).require)
        await engine.start()
        try:
            await _ask(engine, "hello")
            asked = asyncio.ensure_future(_ask(engine, "boom"))
            began = time.monotonic()
            if leaves:
                await asyncio.wait({asked}, timeout=0.2)
                asked.cancel()
            else:
                with pytest.raises(EngineError, match="its chat template did not end"):
                    await asked
            async with asyncio.timeout(20):
                assert "its chat template did not end" in await engine.wait()
            assert time.monotonic() - began >= 2 * spec.hang_seconds, "honest ones are given their time"
        finally:
            await engine.stop()

    asyncio.run(story())


async def _ask(engine: LlamaCpp, text: str) -> None:
    answer = await engine.chat(ChatRequest(engine.name, (Message("user", text),), Sampling(max_tokens=3), stream=True))
    try:
        async for _ in answer.pieces():
            pass
    finally:
        await answer.close()
