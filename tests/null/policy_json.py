"""The shipped rules as the browser build reads them: `python -m tests.null.policy_json` writes them into fixtures/.

Promises: the same patterns, ready for `new RegExp(text, "u")`, and the tables that make the plain forms of a text.
Does not cover: the forms themselves in JavaScript: the agent in a tab brings them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from homefire.safety import normalise
from homefire.safety.rules import RuleSet, load

ROOT = Path(__file__).parents[2]


def as_json(found: RuleSet) -> str:
    """The rules and the tables of the plain forms as the browser build reads them: the same patterns, ready for `new RegExp`."""
    rules = [
        {
            "id": rule.id,
            "kind": rule.kind,
            "where": sorted(rule.where),
            "action": rule.action,
            "reason": rule.reason,
            "patterns": [each.text for each in rule.patterns],
            "raw": rule.raw,
            "rewrite": rule.rewrite,
            "number": rule.number,
            "seconds": rule.seconds,
            "words": sorted(rule.words),
        }
        for rule in found.rules
    ]
    whole = {"about": "Made of homefire/safety/policy.toml by python tasks.py policy; do not edit.", "rules": rules}
    return json.dumps({**whole, "tables": tables()}, ensure_ascii=True, indent=1) + "\n"


def tables() -> dict[str, object]:
    """What another implementation needs to make the same forms of a text."""
    return {
        "invisible": normalise.INVISIBLE,
        "marks": normalise.MARKS,
        "escape": normalise.ESCAPE,
        "look_alike": [list(each) for each in normalise.LOOK_ALIKE],
        "leet": list(normalise.LEET),
        "rot13_words": list(normalise.ROT13_WORDS),
        "most_decoded": normalise.MOST_DECODED,
    }


def main() -> None:
    """Writes the files."""
    (ROOT / "fixtures" / "policy.json").write_text(as_json(load(None)), "utf-8")
    for name, copy in (("policy.toml", "policy.toml"), ("examples.json", "attacks.json")):
        shutil.copyfile(ROOT / "homefire" / "safety" / name, ROOT / "fixtures" / copy)


if __name__ == "__main__":
    main()
