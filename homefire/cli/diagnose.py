"""`homefire diagnose`: one file with what helps somebody else to help.

Promises: works with a daemon, without one, and on a home that is broken; says what it wrote and that nothing was sent.
Does not cover: what is in the file (`homefire/diagnose/`; a child of this program writes it).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from homefire.cli.main import parser_for, print_json
from homefire.errors import InternalError, from_envelope

WRITE_SECONDS = 300


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire diagnose`."""
    parser = parser_for("diagnose")
    parser.add_argument("--output", metavar="FILE.zip", help="where to write it; default: a new file in this folder")
    parser.add_argument("--no-logs", action="store_true", help="leave out what the daemon and the models logged")
    parser.add_argument(
        "--anonymous", action="store_true", help="take out the user's name, the home's path, the host's name"
    )
    options = parser.parse_args(argv)
    name = options.output or f"homefire-diagnose-{time.strftime('%Y%m%d-%H%M%S')}.zip"
    wanted = {"output": str(Path(name).absolute()), "logs": not options.no_logs, "anonymous": options.anonymous}
    done = subprocess.run(
        [sys.executable, "-m", "homefire.daemon", "--diagnose", json.dumps(wanted)],
        capture_output=True,
        text=True,
        timeout=WRITE_SECONDS,
        check=False,
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise InternalError(f"The bundle fell over: {done.stderr.strip()[-500:]}", "Install again: make run") from None
    if "failed" in found:
        raise from_envelope(found["failed"])
    if options.json:
        print_json(found)
        return 0
    for entry in found["files"]:
        size = f"missing: {entry['problem']}" if entry["problem"] else f"{entry['bytes'] / 1024:,.1f} KiB"
        print(f"  {entry['name']}: {entry['why']} ({size})")
    print(f"\nWritten to {found['path']} ({found['bytes'] / 1024:,.1f} KiB). Nothing was sent anywhere.")
    print("These are text files: read them before you hand them on. INDEX.txt says what was taken out.")
    return 0
