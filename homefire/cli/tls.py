"""`homefire tls`: certificates for reaching the daemon from other machines.

Promises: `init` replaces nothing unless told to; `show` prints public things only.
Does not cover: making them (`server/certificates.py`, a child program), turning TLS on: a person writes the settings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import ssl
import subprocess
import sys
from typing import Any

from homefire.cli.main import parser_for, print_json
from homefire.errors import InternalError, InvalidRequest, TlsNotReady, from_envelope
from homefire.paths import Paths, default_home

MAKE_SECONDS = 60


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire tls init | show`."""
    parser = parser_for("tls")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    init = actions.add_parser("init", help="make an authority and a certificate for this machine")
    init.add_argument("--host", action="append", default=[], metavar="NAME",
                      help="a name or address under which others reach this machine; repeat it")  # fmt: skip
    init.add_argument("--again", action="store_true", help="make them anew; other machines must trust the new one")
    show = actions.add_parser("show", help="print the authority's fingerprint and certificate")
    for sub in (init, show):
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    options = parser.parse_args(argv)
    paths = Paths(default_home())
    return _init(paths, options) if options.action == "init" else _show(paths, options.json)


def _init(paths: Paths, options: argparse.Namespace) -> int:
    if paths.tls_authority.exists() and not options.again:
        raise InvalidRequest(
            f"{paths.tls_authority} is there already.",
            "Look at it: homefire tls show. Make all anew with: homefire tls init --again",
        )
    names = options.host or [socket.gethostname()]
    made = _make(paths, names)
    if options.json:
        print_json({**made, "fingerprint": _fingerprint(paths)})
        return 0
    print(f"Made an authority and a certificate for {', '.join(made['names'])}; they end in {made['days']} days.")
    print(f"\nTo let other machines in, put this into {paths.config} and start the daemon again:\n")
    print(f'  tls = 1\n  host = "0.0.0.0"\n  allowed_hosts = "{",".join(names)}"\n')
    print("The other machine must trust the authority: homefire tls show")
    return 0


def _make(paths: Paths, names: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "homefire.server.certificates", str(paths.tls), *names],
        capture_output=True,
        text=True,
        timeout=MAKE_SECONDS,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise InternalError(f"Making the certificates fell over: {done.stderr.strip()[-500:]}") from None
    if done.returncode:
        raise from_envelope(found)
    return found


def _show(paths: Paths, as_json: bool) -> int:
    fingerprint = _fingerprint(paths)
    pem = paths.tls_authority.read_text("ascii")
    if as_json:
        print_json({"fingerprint": fingerprint, "certificate": pem, "file": str(paths.tls_authority)})
        return 0
    print(f"The authority of this daemon, sha256 {fingerprint}\n\n{pem}")
    print("Save it on the other machine as a file, compare the fingerprint, and let that machine's browser or client")
    print("trust it; curl takes it as --cacert FILE, OpenAI's Python client with SSL_CERT_FILE=FILE.")
    return 0


def _fingerprint(paths: Paths) -> str:
    try:
        der = ssl.PEM_cert_to_DER_cert(paths.tls_authority.read_text("ascii"))
    except (OSError, ValueError):
        raise TlsNotReady(f"{paths.tls_authority} is missing or no certificate.") from None
    text = hashlib.sha256(der).hexdigest().upper()
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))
