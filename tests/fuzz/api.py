"""schemathesis over /openapi.json of a real daemon with a key: `python -m tests.fuzz.api SECONDS [SEED]`.

Promises: a home of its own and nothing else is touched: the routes that write where a request says (export) and those that reach
for the network (pull) are left out; the daemon must be the same process at the end, alive, without a defect in its log.
Does not cover: WebSockets; what answers say.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT, RunningDaemon, alive

CHECKS = "no_defect,content_type_conformance,response_schema_conformance,unsupported_method,ignored_auth"
LEFT_OUT = (
    "/homefire/v1/models/{name}/export", "/homefire/v1/models/pull", "/api/pull", "/homefire/v1/models/import",
    "/homefire/v1/models/convert", "/homefire/v1/telemetry/send", "/homefire/v1/backup",
    "/homefire/v1/sensors/watch", "/homefire/v1/events",
)  # fmt: skip


def main() -> int:
    """Runs it; returns schemathesis' status, or 1 if the daemon did not stand it."""
    seconds, seed = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else str(int.from_bytes(os.urandom(4), "big"))
    print(f"SEED={seed}")
    with tempfile.TemporaryDirectory(prefix="homefire-fuzz-") as folder:
        running = RunningDaemon(Path(folder) / "home", HOMEFIRE_THREADS="1", HOMEFIRE_WAIT_SECONDS="5").start()
        try:
            status = _run(running, folder, seconds, seed)
            log = running.paths.daemon_log.read_text("utf-8")
            if not alive(running.pid) or "defect in" in log:
                print(log[-20_000:])
                return 1
            return status
        finally:
            running.stop()


def _run(running: RunningDaemon, folder: str, seconds: str, seed: str) -> int:
    left_out = [part for path in LEFT_OUT for part in ("--exclude-path", path)]
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/openapi.json", "--header",
        f"Authorization: Bearer {running.key}", "--checks", CHECKS, "--max-time", seconds, "--seed", seed, "--workers", "1",
        "--request-timeout", "60", "--suppress-health-check", "all", "--no-shrink", "--warnings", "off", *left_out,
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
