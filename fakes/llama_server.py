"""A `llama-server` that is the wheel's server behind the program's options: what a native build looks like from outside, without
the quarter of an hour that a real one takes.

`make(file)` writes it as a program. It takes the options that `homefire/engines/parameters.py` spells, `--host`, `--port` and
`LLAMA_API_KEY`; with `HOMEFIRE_FAKE=abort` in a file beside it, it ends by SIGABRT after its first health check.
Promises: an option that it does not know is an error, so a wrong spelling does not pass.
Does not cover: a build's speed, or differences of its arithmetic.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path
from typing import Any

from homefire.engines.parameters import OPTIONS, settle


def make(file: Path, *, broken: bool = False) -> Path:
    """The program at `file`. `broken`: it ends by a signal while it loads."""
    root = Path(__file__).parent.parent
    lines = [
        f"#!{sys.executable}",
        f"import sys; sys.path.insert(0, {str(root)!r})",
        "import os, signal",
        "os.kill(os.getpid(), signal.SIGABRT)" if broken else "",
        "from fakes.llama_server import main",
        "main()",
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", "utf-8")
    file.chmod(0o700)
    return file


def main() -> None:
    """Serves until it is killed."""
    if sys.argv[1:] == ["--version"]:
        print("version: 0 (fake)")
        return
    from xllamacpp import CommonParams, Server

    found, host, port = _read(sys.argv[1:])
    params = CommonParams()
    settle(params, found)
    params.hostnames, params.port = [host], port
    if key := os.environ.get("LLAMA_API_KEY", ""):
        params.api_keys = [key]
    server = Server(params)
    assert server.listening_address
    threading.Event().wait()


def _read(argv: list[str]) -> tuple[dict[str, Any], str, int]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--fit", choices=("on", "off"))
    parser.add_argument("--lora", dest="adapters", action="append")
    parser.add_argument("--offline", action="store_true")
    for name, option in OPTIONS.items():
        if isinstance(option, str):
            parser.add_argument(option.removesuffix("="), dest=name, type=_value)
        else:
            for word, value in zip(option, (True, False), strict=True):
                if word:
                    parser.add_argument(word, dest=name, action="store_const", const=value)
    given = vars(parser.parse_args(argv))
    host, port, fit = given.pop("host"), given.pop("port"), given.pop("fit")
    known = {name: value for name, value in given.items() if name not in ("offline",) and value is not None}
    return known | ({"fit": fit == "on"} if fit else {}), host, port


def _value(text: str) -> str | int:
    return int(text) if text.lstrip("-").isdigit() else text
