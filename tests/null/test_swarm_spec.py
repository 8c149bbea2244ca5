"""The plain text of a swarm: what is read, and one clear error for everything else.

Promises: each rule of `agent/spec.py` with a file that breaks it. Does not cover: running one (`test_swarm.py`).
"""

from __future__ import annotations

import pytest

from homefire.agent.spec import MOST_AGENTS, MOST_TEXT, Spec, read
from homefire.errors import BadSwarm

WRITER = '+++\nmodel = "m"\ntools = ["read_file"]\nafter = ["reader"]\ntask = "Write."\ntokens = 50\n+++\nYou write.\n'


def test_a_folder_is_read_in_the_order_of_need_and_kept() -> None:
    found = read({"a-writer.md": WRITER, "reader.md": "You read.", "AGENTS.md": "+++\ntokens = 900\n+++\nBe brief."})
    assert [member.name for member in found.members] == ["reader", "a-writer"]
    writer = found.members[1]
    assert (writer.role, writer.model, writer.tools, writer.after) == ("You write.", "m", ("read_file",), ("reader",))
    assert (writer.task, dict(writer.budget)) == ("Write.", {"tokens": 50})
    assert (found.shared, found.tokens) == ("Be brief.", 900)
    assert Spec.of_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "1 to 16"),
        ({"AGENTS.md": "x"}, "1 to 16"),
        ({f"a{n}.md": "x" for n in range(MOST_AGENTS + 1)}, "1 to 16"),
        ({"a.txt": "x"}, "no Markdown"),
        ({"a.md": "x" * (MOST_TEXT + 1)}, "characters"),
        ({"A b.md": "x"}, "is no name"),
        ({"a.md": "+++\nmodel = 1\n+++\n"}, "'model' that is no text"),
        ({"a.md": "+++\nmodel = \n+++\n"}, "no TOML"),
        ({"a.md": '+++\nmodel = "x"\n'}, "no second line"),
        ({"a.md": "+++\ncolour = 1\n+++\n"}, "'colour' in its front"),
        ({"AGENTS.md": "+++\nsteps = 1\n+++\n", "a.md": ""}, "'steps' in its front"),
        ({"a.md": '+++\ntools = "x"\n+++\n'}, "no list of names"),
        ({"a.md": "+++\ntokens = 0\n+++\n"}, "no number above 0"),
        ({"a.md": "+++\nseconds = true\n+++\n"}, "no number above 0"),
        ({"a.md": "x", "b.md": '+++\nname = "a"\n+++\n'}, "a second agent 'a'"),
        ({"a.md": '+++\nafter = ["b"]\n+++\n'}, "no such agent"),
        ({"a.md": '+++\nafter = ["b"]\n+++\n', "b.md": '+++\nafter = ["a"]\n+++\n'}, "wait for each other: a, b"),
        ({"a.md": '+++\nafter = ["a"]\n+++\n'}, "wait for each other: a."),
    ],
)
def test_what_is_no_swarm_is_one_error(files: dict[str, str], said: str) -> None:
    with pytest.raises(BadSwarm) as found:
        read(files)
    assert said in found.value.message
