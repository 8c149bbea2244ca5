"""The daemon: builds the rooms, hands them to each other, starts and stops them. The only file that knows everybody.

Run as `python -m homefire.daemon`. Its first line on standard output is JSON: `{"ready": {...}}` or `{"failed": ENVELOPE}`;
everything else goes to the log. `--doctor` prints the offline checks instead and ends.
Promises: one daemon a home (a lock that the kernel releases, whatever happens); an address that is not this machine's own is
refused; on SIGTERM answers under way get two seconds, then everything is stored, every child ended.
Does not cover: running as a system service (`packaging/`, not in this version).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import logging
import logging.handlers
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from homefire import settings as settings_module
from homefire.engines.engine import SMALL_BYTES, Engine, EngineSpec
from homefire.engines.llamacpp import LlamaCpp
from homefire.errors import BindRefused, HomefireError, HomeInUse, MachineError, PortInUse
from homefire.hardware import compute_threads
from homefire.models import Library
from homefire.paths import Paths, default_home, from_os
from homefire.residency import Keeper
from homefire.server import Authority, Rooms, build_app
from homefire.server.protocol import TimedProtocol
from homefire.server.system_routes import Identity
from homefire.settings import Settings
from homefire.store import Blobs, Conversations, Keys, Store

log = logging.getLogger("homefire.daemon")

HOUSEKEEPING_SECONDS = 60.0
GRACE_SECONDS = 2
LARGEST_DEFAULT_CONTEXT = 8192


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m homefire.daemon", description="The Homefire daemon.")
    parser.add_argument("--doctor", action="store_true", help="print the offline checks as JSON and end")
    arguments = parser.parse_args()
    paths = Paths(default_home())
    if arguments.doctor:
        from homefire.doctor import check_all

        print(json.dumps(asyncio.run(check_all(paths))))
        return 0
    try:
        paths.prepare()
        settings = settings_module.load(paths.config)
        _log_to(paths)
        with _only_daemon(paths), _listen(settings) as listening:
            _run(Daemon(paths, settings, listening))
    except HomefireError as problem:
        log.error("%s: %s", problem.code, problem.message)
        _first_line({"failed": problem.envelope()})
        return 1
    return 0


class Daemon:
    """The rooms of one running daemon."""

    def __init__(self, paths: Paths, settings: Settings, listening: socket.socket) -> None:
        self.paths = paths
        self.settings = settings
        self.listening = listening
        self.started = time.time()
        port = listening.getsockname()[1]
        self.url = f"http://{'[::1]' if settings.host == '::1' else '127.0.0.1'}:{port}"
        self.store = Store(paths.database)
        self.blobs = Blobs(paths)
        self.library = Library(self.store, paths, self.blobs)
        self.conversations = Conversations(self.store)
        self.authority = Authority(Keys(self.store), paths, f"homefire_{port}")
        self.keeper = Keeper(self._make_engine, settings.wait_seconds, settings.queue)
        self._serving = False

    async def open(self) -> Any:
        """Opens the rooms from below; returns the ASGI application."""
        await asyncio.to_thread(self.store.open)
        self.blobs.sweep()
        await self.library.open()
        await self.authority.open()
        left = await self.conversations.mark_interrupted()
        if left:
            log.warning("%d answers were interrupted when the last daemon ended", left)
        port = self.listening.getsockname()[1]
        identity = Identity(self.url, self.paths.home, self.settings.model, self.started, self._unready)
        return build_app(
            Rooms(
                identity=identity,
                authority=self.authority,
                keeper=self.keeper,
                library=self.library,
                conversations=self.conversations,
                hosts=tuple(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")),
                body_limit=self.settings.body_mib * 2**20,
            )
        )

    async def serve(self) -> None:
        """From open to closed; returns after SIGTERM or SIGINT."""
        try:
            app = await self.open()
            server = _make_server(app)
            self._serving = True
            house = asyncio.ensure_future(self._keep_house())
            self._announce()
            log.info("ready at %s", self.url)
            try:
                await server.serve(sockets=[self.listening])
            finally:
                self._serving = False
                house.cancel()
        finally:
            await self.close()

    async def close(self) -> None:
        """Closes the rooms from above."""
        with contextlib.suppress(OSError):
            self.paths.address.unlink(missing_ok=True)
        await self.keeper.close()
        with contextlib.suppress(HomefireError):
            await self.authority.flush()
        await asyncio.to_thread(self.store.close)
        log.info("ended")

    def _make_engine(self, name: str) -> Engine:
        model = self.library.get(name)
        small = model.size_bytes < SMALL_BYTES
        trained = model.facts.context_length or LARGEST_DEFAULT_CONTEXT
        return LlamaCpp(
            EngineSpec(
                name=model.name,
                path=model.path,
                context=self.settings.context or min(trained, LARGEST_DEFAULT_CONTEXT),
                slots=self.settings.slots or (8 if small else 4),
                threads=compute_threads(self.settings.threads),
                gpu_layers=self.settings.gpu_layers,
                load_seconds=self.settings.load_seconds,
                log=self.paths.engine_log(model.name),
                socket=self.paths.engine_socket(model.name),
            )
        )

    def _unready(self) -> list[str]:
        return [] if self._serving else ["starting or stopping"]

    async def _keep_house(self) -> None:
        while True:
            try:
                await self.authority.flush()
                await self.conversations.purge()
            except HomefireError as problem:
                log.warning("housekeeping: %s", problem.message)
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    def _announce(self) -> None:
        facts = {"pid": os.getpid(), "url": self.url, "started_at": self.started}
        part = self.paths.address.with_suffix(".new")
        try:
            part.write_text(json.dumps(facts), "utf-8")
            part.replace(self.paths.address)
        except OSError as problem:
            raise from_os(problem, part) from None
        _first_line({"ready": facts})


def _run(daemon: Daemon) -> None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        asyncio.run(daemon.serve())
    else:
        uvloop.run(daemon.serve())


def _make_server(app: Any) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own version raises the signal again afterwards, which would end the process before its rooms close.
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(ValueError):
                    signal.signal(number, lambda *_: self.handle_exit(signal.SIGTERM, None))
            yield

    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nobody stands in front; a header must not change who a request seems to come from
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=1024,
    )
    return Server(config)


@contextlib.contextmanager
def _only_daemon(paths: Paths) -> Iterator[None]:
    """Holds the home's lock. Raises HomeInUse, which names the daemon that has it."""
    try:
        file = paths.lock.open("a+b")
    except OSError as problem:
        raise from_os(problem, paths.lock) from None
    with file:
        if not _lock(file.fileno()):
            raise HomeInUse(f"A daemon runs on {paths.home} already{_who(paths.address)}.")
        yield


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _who(address: Path) -> str:
    try:
        facts = json.loads(address.read_text("utf-8"))
        return f" (pid {facts['pid']}, {facts['url']})"
    except (OSError, ValueError, KeyError):
        return ""


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """A listening socket. Raises BindRefused or PortInUse."""
    if settings.host not in settings_module.LOOPBACK:
        raise BindRefused(f"'{settings.host}' would open Homefire to other machines, which is refused for now.")
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as listening:
        if sys.platform != "win32":  # there it would let two programs share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, settings.port))
            listening.listen(1024)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                raise PortInUse(f"Another program listens on port {settings.port}.") from None
            raise MachineError(f"{host}:{settings.port} cannot be listened on: {problem.strerror}.") from None
        yield listening


def _log_to(paths: Paths) -> None:
    try:
        handler = logging.handlers.RotatingFileHandler(paths.daemon_log, maxBytes=4 * 2**20, backupCount=2)
    except OSError as problem:
        raise from_os(problem, paths.logs) from None
    logging.raiseExceptions = False  # a full disk must not turn each log line into a trace on standard error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _first_line(value: dict[str, Any]) -> None:
    """Tells whoever started the daemon, then lets go of its pipe: writing to it later could block or fail."""
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _log_defect(kind: type[BaseException], defect: BaseException, trace: TracebackType | None) -> None:
    """The last resort: a detached daemon has no standard error, so its last words go to the log."""
    log.critical("the daemon fell over", exc_info=(kind, defect, trace))
    sys.__excepthook__(kind, defect, trace)


if __name__ == "__main__":
    sys.excepthook = _log_defect
    sys.exit(main())
