"""Makes a home folder with an earlier version's own daemon: `python -m tests.process.earlier_homes.make CODE TARGET`.

CODE is a folder with that version's `homefire` package, TARGET (without an ending) what is written: `TARGET.tar.gz`, the home
without its logs, and `TARGET.json`, what stands in it. See README.md beside this file.
Promises: everything is put there through that version's HTTP interface, nothing by hand; the daemon has ended when the home is
packed.
Does not cover: a home with models of a useful size.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.null.gguf_file import KEYS, gguf, small, tensor
from tests.process.test_fetch import RunningHub

AT = "/homefire/v1"
# What is of one run, or can be made again.
LEFT_OUT = ("logs", "run", "cache")


def main() -> None:
    """See the module's text."""
    code, target = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
    with tempfile.TemporaryDirectory(prefix="homefire-earlier-") as folder:
        home, files = Path(folder) / "home", Path(folder) / "hub"
        home.mkdir(mode=0o700)
        files.mkdir()
        hub = RunningHub(files)
        (home / "config.toml").write_text("threads = 1\nkeep_alive_seconds = 60\n", "utf-8")
        try:
            with daemon(code, home, hub.address) as http:
                facts = fill(http, Path(folder), hub)
        finally:
            hub.stop()
        target.with_suffix(".json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
        pack(home, target.with_suffix(".tar.gz"))


@contextlib.contextmanager
def daemon(code: Path, home: Path, hub: str) -> Iterator[httpx2.Client]:
    """That version's daemon on `home`, until the block ends."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEFIRE_")}
    own = {"PYTHONPATH": str(code), "HOMEFIRE_HOME": str(home), "HOMEFIRE_PORT": "0", "HF_ENDPOINT": hub}
    process = subprocess.Popen(
        [sys.executable, "-m", "homefire.daemon"], env={**kept, **own}, cwd=code, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["ready"]["url"]
        key = json.loads((home / "keys").read_text("utf-8"))["local"]
        with httpx2.Client(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=120, trust_env=False
        ) as http:
            yield http
    finally:
        process.terminate()
        process.wait(30)


def fill(http: httpx2.Client, folder: Path, hub: RunningHub) -> dict[str, Any]:
    """Puts something of every kind into the home; returns what it is."""

    def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = http.request(method, AT + path, json=body)
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else answer.text

    status = call("GET", "/status")
    laptop = call("POST", "/keys", {"name": "laptop"})["key"]
    chat = call("POST", "/conversations", {"title": "Übung macht den Meister", "system": "Answer in one sentence."})
    talk = f"/conversations/{chat['id']}"
    call("POST", f"{talk}/messages", {"content": "hello", "sampling": {"max_tokens": 16, "seed": 1}})
    answer = call("GET", talk)["messages"][-1]["id"]
    again = f"{talk}/messages/{answer}/regenerate"
    call("POST", again, {"sampling": {"max_tokens": 16, "seed": 2, "temperature": 1.0}})
    call("POST", f"{talk}/messages", {"content": "what are you?", "parent_id": answer, "sampling": {"max_tokens": 16}})
    call("POST", "/conversations", {"title": "empty"})
    (folder / "tiny.gguf").write_bytes(small())
    call("POST", "/models/import", {"path": str(folder / "tiny.gguf")})
    call("POST", "/models/tiny/pin", {"pinned": True})
    (hub.folder / "someone" / "pulled").mkdir(parents=True)
    pulled = gguf(KEYS, (tensor("blk.weight", (32, 2), 0, 0),), b"\1" * 256)
    (hub.folder / "someone" / "pulled" / "pulled.gguf").write_bytes(pulled)
    call("POST", "/models/pull", {"source": "hf:someone/pulled"})
    call("PUT", "/roles", {"memory": "tiny"})
    far = {"name": "shed", "url": "http://127.0.0.1:9", "kind": "openai", "models": ["m"], "key": "not-a-real-key"}
    call("POST", "/engines", far)
    call("PUT", "/chains", {"model": "helper", "order": ["tiny", "pilot"]})
    return {
        "version": status["version"],
        "laptop": laptop,
        "conversation": call("GET", talk),
        "conversations": call("GET", "/conversations"),
        "models": call("GET", "/models")["models"],
        "roles": call("GET", "/roles"),
        "engines": call("GET", "/engines"),
        "downloads": call("GET", "/downloads"),
        "keys": [row["name"] for row in call("GET", "/keys")["keys"]],
    }


def pack(home: Path, target: Path) -> None:
    """Writes the home as a tar, the same bytes for the same home."""
    with tarfile.open(target, "w:gz", compresslevel=9) as tar:
        for path in sorted(home.rglob("*")):
            name = path.relative_to(home)
            if path.is_file() and name.parts[0] not in LEFT_OUT:
                data = path.read_bytes()
                row = tarfile.TarInfo(name.as_posix())
                row.size, row.mode = len(data), path.stat().st_mode & 0o777
                tar.addfile(row, io.BytesIO(data))


if __name__ == "__main__":
    main()
