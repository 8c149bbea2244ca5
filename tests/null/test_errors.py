"""The error tree: codes, the envelope and the way back.

Promises: two classes share a code only along one line of descent, every error says what to do next, and each class survives
the way through its envelope.
Does not cover: that the codes stand in docs/errors.md (`test_docs.py`), nor where each error is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from homefire import errors
from homefire.errors import HomefireError, from_envelope, leaves


def tree(root: type[HomefireError] = HomefireError) -> Iterator[type[HomefireError]]:
    yield root
    for below in root.__subclasses__():
        yield from tree(below)


CLASSES = sorted(
    {cls for cls in tree() if cls.__module__.startswith(errors.__name__ + ".")},
    key=lambda cls: (len(cls.__mro__), cls.__name__),
)

LEAVES: list[type[HomefireError]] = sorted(leaves(), key=lambda leaf: leaf.code)


def clashes(classes: list[type[HomefireError]]) -> list[str]:
    """Pairs that share a code though each sets one, or though neither descends from the other."""
    found = []
    for at, one in enumerate(classes):
        for other in classes[at + 1 :]:
            if one.code == other.code and (not issubclass(other, one) or "code" in vars(other)):
                found.append(f"{one.__name__} {other.__name__} {one.code}")
    return found


def test_a_code_is_shared_only_by_inheriting_it() -> None:
    assert clashes(CLASSES) == []


def test_a_stolen_code_would_be_seen() -> None:
    class Thief(errors.DiskFull):
        code = "disk_full"

    class Stranger(errors.ClientError):
        code = "disk_full"

    assert len(clashes([errors.DiskFull, Thief])) == 1
    assert len(clashes([errors.DiskFull, Stranger])) == 1
    del Thief, Stranger


def test_leaves_gives_every_code_once() -> None:
    codes = [cls.code for cls in leaves() if cls.__module__.startswith(errors.__name__ + ".")]
    assert sorted(codes) == sorted({cls.code for cls in CLASSES})


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_is_complete(cls: type[HomefireError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.code)
    assert 400 <= cls.status <= 599
    assert cls.source in ("client", "homefire", "engine", "machine")
    assert cls.__doc__
    assert cls("what").next_step.strip()
    assert cls("what", "do this").next_step == "do this"
    # 4xx is the client's fault or a conflict on the machine; whoever blames the client must not answer 5xx.
    assert (cls.source == "client") <= (cls.status < 500)


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("param", [None, "messages[0].content"])
def test_the_envelope_and_back(cls: type[HomefireError], param: str | None) -> None:
    problem = cls("What happened: ü \n \"'", "Do this.", param=param)
    body = problem.envelope()
    assert list(body) == ["error"]
    assert body["error"] == {
        "message": "What happened: ü \n \"'",
        "type": cls.type,
        "code": cls.code,
        "param": param,
        "next_step": "Do this.",
        "source": cls.source,
    }
    back = from_envelope(json.loads(json.dumps(body)))
    assert back.envelope() == body
    assert type(back) is cls, "what catches the class must catch it after the journey too"
    assert str(back) == problem.message
    assert back.status == cls.status


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": None},
        {"error": "text"},
        {"error": []},
        {"detail": "of another server"},
        {"error": {"code": "from_the_future", "message": "new"}},
        {"error": {"code": None}},
        {"error": {"code": ["disk_full"], "message": "odd"}},
        [],
        "text",
        None,
    ],
    ids=str,
)
def test_a_strange_answer_becomes_an_internal_error(body: Any) -> None:
    back = from_envelope(body)
    assert back.code == "internal_error"
    assert back.next_step
    if isinstance(body, dict) and isinstance(body.get("error"), dict) and "message" in body["error"]:
        assert back.message == body["error"]["message"]
