"""What each method of gRPC needs: what the route that means the same needs.

Promises: pure; a method that is not in the table cannot be called; only a liveness check opens without a key, as `/healthz` does.
Does not cover: who calls (`authority.py`), doing it (`rpc_services.py`).
"""

from __future__ import annotations

from homefire.errors import HomefireError, UnknownRoute
from homefire.server.scopes import RIGHTS, Needs

_AT = "/homefire/v1"
_HEALTH = "/grpc.health.v1.Health"
LIVENESS = f"{_HEALTH}/Check"
# Method -> its route.
RIGHTS_GRPC: dict[str, str] = {
    "/homefire.v1.Chat/Complete": "POST /v1/chat/completions",
    "/homefire.v1.Models/List": f"GET {_AT}/models",
    "/homefire.v1.Models/Load": f"POST {_AT}/models/{{name}}/load",
    "/homefire.v1.Models/Unload": f"POST {_AT}/models/{{name}}/unload",
    "/homefire.v1.Models/Residency": f"GET {_AT}/residency",
    "/homefire.v1.System/Status": f"GET {_AT}/status",
    "/homefire.v1.System/WatchSensors": f"GET {_AT}/sensors/watch",
    "/homefire.v1.System/Decisions": f"GET {_AT}/decisions",
    "/homefire.v1.System/WatchEvents": f"GET {_AT}/events",
    "/homefire.v1.Knowledge/List": f"GET {_AT}/knowledge",
    "/homefire.v1.Knowledge/Show": f"GET {_AT}/knowledge/{{name}}",
    "/homefire.v1.Knowledge/Ingest": f"POST {_AT}/knowledge/ingest",
    "/homefire.v1.Knowledge/Search": f"POST {_AT}/knowledge/search",
    "/homefire.v1.Knowledge/Ask": f"POST {_AT}/knowledge/ask",
    "/homefire.v1.Knowledge/Remove": f"DELETE {_AT}/knowledge/{{name}}",
    "/homefire.v1.Agents/Start": f"POST {_AT}/agent/runs",
    "/homefire.v1.Agents/List": f"GET {_AT}/agent/runs",
    "/homefire.v1.Agents/Show": f"GET {_AT}/agent/runs/{{id}}",
    "/homefire.v1.Agents/Follow": f"GET {_AT}/agent/runs/{{id}}/steps",
    "/homefire.v1.Agents/Say": f"POST {_AT}/agent/runs/{{id}}/say",
    "/homefire.v1.Agents/Decide": f"POST {_AT}/agent/runs/{{id}}/decide",
    "/homefire.v1.Agents/Stop": f"POST {_AT}/agent/runs/{{id}}/stop",
    "/homefire.v1.Agents/Resume": f"POST {_AT}/agent/runs/{{id}}/resume",
    "/homefire.v1.Agents/Remove": f"DELETE {_AT}/agent/runs/{{id}}",
    # Without a key only for the whole server: whether the process lives.
    LIVENESS: "GET /healthz",
    f"{_HEALTH}/Watch": "GET /readyz",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "GET /openapi.json",
}
# Status of HTTP -> name of gRPC's; any other 4xx is INVALID_ARGUMENT, any other 5xx INTERNAL.
CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    507: "RESOURCE_EXHAUSTED",
}


def needs_of(method: str) -> Needs:
    """Scopes of which any one opens a method. Raises UnknownRoute for one that is not in the table."""
    if method not in RIGHTS_GRPC:
        raise UnknownRoute(f"There is no method {method[:200]}.", "See proto/assistant.proto, or ask by reflection.")
    return RIGHTS[RIGHTS_GRPC[method]].needs


def code_of(problem: HomefireError, *, method_known: bool = True) -> str:
    """The name of gRPC's status for an error."""
    if not method_known and problem.status == 404:
        return "UNIMPLEMENTED"
    return CODES.get(problem.status, "INVALID_ARGUMENT" if problem.status < 500 else "INTERNAL")
