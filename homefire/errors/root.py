"""The root of the error tree and its four branches: whose fault it is.

Promises: `envelope()` is the one form in which an error leaves the daemon.
Does not cover: the leaves (`requests.py`, `failures.py`).
"""

from __future__ import annotations

from typing import Any, ClassVar


class HomefireError(Exception):
    """Root of the tree. `message` says what happened, `next_step` what a person can do, `param` which input it was."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    source: ClassVar[str] = "homefire"
    type: ClassVar[str] = "server_error"
    default_step: ClassVar[str] = "See the log (homefire status names the folder), then: homefire doctor"

    def __init__(self, message: str, next_step: str = "", *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step or self.default_step
        self.param = param

    def envelope(self) -> dict[str, Any]:
        """The error as it goes over the wire: the form OpenAI clients read, with `next_step` and `source` added."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "code": self.code,
                "param": self.param,
                "next_step": self.next_step,
                "source": self.source,
            }
        }


class ClientError(HomefireError):
    """The request is wrong; sending it again unchanged will fail again."""

    code = "invalid_request"
    status = 400
    source = "client"
    type = "invalid_request_error"
    default_step = "Correct the request; the routes and fields are in docs/api.md and at /docs."


class DaemonError(HomefireError):
    """Homefire itself cannot do it now."""

    status = 503


class EngineError(HomefireError):
    """The process that runs a model failed; the daemon lives on."""

    code = "engine_failed"
    status = 502
    source = "engine"


class MachineError(HomefireError):
    """The machine refuses: disk, port, permissions."""

    code = "machine_error"
    status = 503
    source = "machine"
