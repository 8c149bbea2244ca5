"""A real PostgreSQL with pgvector in a folder: the programs of the package pgserver, run as a plain user.

Promises: as root it becomes `nobody` for them (they refuse root); `kill` ends it as a power cut does, `start` brings it back.
Does not cover: pgserver's own Python side, which adds a system user when root starts it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PASSWORD = "open sesame"
NOBODY = 65534


def missing() -> str:
    """Why there is no server here; "" if there can be one."""
    for name in ("pgserver", "psycopg"):
        if importlib.util.find_spec(name) is None:
            return f"the package {name} is not installed (extra test)"
    if os.name != "posix":
        return "the programs are started as another user, which is written for POSIX"
    return ""


class Server:
    def __init__(self, folder: Path) -> None:
        found = importlib.util.find_spec("pgserver")
        assert found is not None and found.origin is not None
        self._programs = Path(found.origin).parent / "pginstall" / "bin"
        self._folder = folder
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self._as: dict[str, Any] = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(folder)}}
        word = folder / "word"
        word.write_text(PASSWORD + "\n")
        if os.getuid() == 0:
            self._as |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            for each in (folder, word):
                os.chown(each, NOBODY, NOBODY)
        made = subprocess.run(
            [self._programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync", f"--pwfile={word}"],
            capture_output=True, text=True, check=False, **self._as,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port), "-k", self._folder,
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL, stderr=(self._folder / "log").open("ab"), **self._as,
        )  # fmt: skip
        self.sql("SELECT 1")

    def kill(self) -> None:
        """Ends it at once; its own children end with it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)  # without a shutdown, so that the next start recovers
        self._process.wait(30)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # SIGTERM would wait for whoever is connected
            self._process.wait(30)

    def sql(self, query: str, database: str = "postgres") -> Any:
        """The rows of one statement; waits for a server that is starting."""
        import psycopg

        until = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(self.address(database), password=PASSWORD, autocommit=True) as connection:
                    found = connection.execute(query)
                    return found.fetchall() if found.description else []
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


@contextmanager
def running() -> Iterator[Server]:
    """A server that is there until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="homefire-pg-"))
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
