"""What schemathesis checks of every answer, beside its own checks; loaded by `tests/fuzz/api.py`.

Promises: an answer of 5xx is a finding unless it is an error of the tree that says who failed; `internal_error` always is one.
Does not cover: whether an answer is right.
"""

from __future__ import annotations

import json
from typing import Any

import schemathesis

from homefire.errors import InternalError, leaves

KNOWN = {leaf.code for leaf in leaves()}


@schemathesis.check  # type: ignore[untyped-decorator]
def no_defect(context: Any, response: Any, case: Any) -> None:
    """The code of the error, in whichever dialect it comes."""
    if response.status_code < 400:
        return
    body = json.loads(response.content)
    if response.status_code == 503 and "reasons" in body:
        return  # GET /readyz says why the daemon cannot serve: no error
    code = body["error"].get("code") if isinstance(body["error"], dict) else body["code"]
    assert code in KNOWN, f"an error without a code of ours: {body}"
    assert code != InternalError.code, f"a defect: {body}"
