"""`homefire read`: a question over a whole file or collection, however large: cut by code, read in parts, put together by code.

Promises: an answer that a budget cut short says so, and exits 1; so does one that was not found.
Does not cover: a few passages that a search finds: that is `homefire ask`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire

SECONDS = 86_400.0
SHOWN = 10


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    parser = parser_for(verb)
    parser.add_argument("question", nargs="+", help="what is wanted of it")
    parser.add_argument("--in", dest="place", required=True, help="a file, a collection, or a handle kb:...")
    parser.add_argument("--kind", choices=("find", "count", "list", "cross", "summary"), help="how it is put together")
    parser.add_argument("--model", default="", help="who reads (default: the role rlm, else main)")
    parser.add_argument("--calls", type=int, default=2000, help="calls of the model at most")
    parser.add_argument("--tokens", type=int, default=0, help="tokens at most, about")
    parser.add_argument("--seconds", type=float, default=0.0, help="no call begins after these")
    parser.add_argument(
        "--error", type=float, default=0.0, help="share of wrong parts that was measured: parts are voted on"
    )
    parser.add_argument("--chunk", type=int, help="bytes of a part at most")
    parser.add_argument("--all", action="store_true", help="read on where an answer is certain already")
    options = parser.parse_args(argv)
    body: dict[str, Any] = {
        "question": " ".join(options.question), "model": options.model, "calls": options.calls, "tokens": options.tokens,
        "seconds": options.seconds, "error": options.error, "all": options.all, **_where(options.place),
    }  # fmt: skip
    body |= {name: value for name, value in (("kind", options.kind), ("chunk", options.chunk)) if value is not None}
    with Homefire.connect() as home:
        found = home.post("/homefire/v1/read", body, seconds=SECONDS)
    if options.json:
        print_json(found)
    else:
        print(found["answer"] or "not found")
        for name, start, end in found["places"][:SHOWN]:
            print(f"  {name}: bytes {start} to {end}", file=sys.stderr)
        saved = f", {found['saved']} not needed" if found["saved"] else ""
        print(f"{found['read']} of {found['chunks']} parts read{saved}; {found['calls']} calls.", file=sys.stderr)
        if not found["whole"]:
            print(f"Not all was read. {found['why']}", file=sys.stderr)
    return 0 if found["found"] and found["whole"] else 1


def _where(place: str) -> dict[str, str]:
    if place.startswith("kb:"):
        return {"handle": place}
    file = Path(place)
    return {"path": str(file.resolve())} if file.exists() else {"collection": place}
