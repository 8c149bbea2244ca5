"""The null plug: nothing holds here, so nothing runs, unless a person granted this one run.

Promises: a grant is used up by the run it was given for, bound to the exact arguments, and leaves a line in the log before the
job starts; wall clock, output and the limits of each process still apply.
Does not cover: any wall. Who may grant, and how a person is asked (`agent/`).
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field

from homefire.errors import SandboxUnavailable
from homefire.sandbox.run import Plan, Scratch, execute, resource_limits
from homefire.sandbox.sandbox import Facts, Job, Outcome

log = logging.getLogger("homefire.sandbox")


@dataclass(slots=True)
class Grant:
    """A person's leave to run these arguments once without walls. `person` and `reason` go into the log."""

    argv: tuple[str, ...]
    person: str
    reason: str
    used: bool = field(default=False, init=False)


class Refuse:
    """A Sandbox that refuses."""

    def __init__(self, why: str) -> None:
        self._why = why

    def facts(self) -> Facts:
        return Facts("none", 0, (self._why,))

    async def check(self) -> tuple[str, ...]:
        return (self._why,)

    async def run(self, job: Job) -> Outcome:
        raise SandboxUnavailable(f"Programs are not run here: {self._why}.")

    async def run_unsafe(self, job: Job, grant: Grant) -> Outcome:
        """Runs a job without walls, once. Raises SandboxUnavailable if the grant is for another, or was used."""
        if grant.used or grant.argv != job.argv:
            raise SandboxUnavailable("The grant is for another run, or was used already.", "Ask the person again.")
        if sys.platform != "linux":
            raise SandboxUnavailable("A run without walls is offered on Linux only.")
        grant.used = True
        log.warning("unsafe run granted by %s (%s): %s", grant.person, grant.reason, list(job.argv))
        with Scratch(None) as scratch:
            folder = job.folder or scratch.folder(job.files)
            environment = {"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8", **job.environment}
            argv = job.argv if "/" in job.argv[0] else ("/usr/bin/env", "--", *job.argv)
            plan = Plan(argv, environment, str(folder), resource_limits(job.limits), guard=True, watched=(folder,))
            return await execute(plan, job, "none")
