"""An MCP server over standard input and output that misbehaves on request: `mcp_server.py STATE`, in plain lines of JSON.

Promises: standard library only; speaks just enough of the handshake of 2025-11-25. Its tool `do` takes `what`: echo, hang, flood,
binary, huge, garbage, die, error; `change` gives it another description and says so. STATE is a file whose text is the
description, so that a change outlives the process.
Does not cover: being a good server.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

STATE = Path(sys.argv[1])
SCHEMA = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}
LOOSE = {"type": "object", "properties": {"x": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}}


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tools() -> list[dict[str, Any]]:
    return [
        {"name": "do", "description": STATE.read_text("utf-8"), "inputSchema": SCHEMA},
        {"name": "change", "description": "Changes.", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}},
        {"name": "loose", "description": "Takes anything.", "inputSchema": LOOSE},
    ]


def text(id_: Any, words: str, error: bool = False) -> None:
    say({"id": id_, "result": {"content": [{"type": "text", "text": words}], "isError": error}})


def do(id_: Any, what: str) -> None:
    if what == "hang":
        time.sleep(3600)
    elif what == "flood":
        while True:
            say({"method": "notifications/message", "params": {"level": "info", "data": "x"}})
    elif what == "binary":
        block = {"type": "image", "mimeType": "image/png", "data": base64.b64encode(b"\x89PNG\0\1\2").decode()}
        say({"id": id_, "result": {"content": [block]}})
    elif what == "huge":
        text(id_, "x" * 50_000_000)
    elif what == "garbage":
        for _ in range(20):
            os.write(1, b"\xff\xfe no message { \n")
        say({"id": id_, "result": {"content": 7}})
    elif what == "die":
        print("I die now.", file=sys.stderr, flush=True)
        os._exit(3)
    else:
        text(id_, what, what == "error")


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        id_, method, given = message.get("id"), message.get("method"), message.get("params", {})
        if method == "initialize":
            able = {"tools": {"listChanged": True}}
            info = {"name": "fake", "version": "1"}
            say({"id": id_, "result": {"protocolVersion": "2025-11-25", "capabilities": able, "serverInfo": info}})
        elif method == "tools/list":
            say({"id": id_, "result": {"tools": tools()}})
        elif method == "tools/call" and given["name"] == "change":
            STATE.write_text(given["arguments"]["what"], "utf-8")
            say({"method": "notifications/tools/list_changed"})
            text(id_, "changed")
        elif method == "tools/call":
            do(id_, given["arguments"]["what"])
        elif id_ is not None:
            say({"id": id_, "error": {"code": -32601, "message": "Method not found"}})


if __name__ == "__main__":
    main()
