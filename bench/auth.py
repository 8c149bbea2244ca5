"""`bench auth`: what the door costs each request, and how long a revoked key lives on.

`authorise_us` is the whole call with a key in a header: parsing, sha256, look-up, comparison, scope, with 1,000 keys stored;
`guard_us` the checks of Host, Origin and Sec-Fetch-Site; `admitted_us` counting the request against limits and keeping
it at hand. `revocation_ms` is from the call that revokes to the moment at which the last of 20 open streams of a real daemon
has ended, the call itself among it.
Promises: medians of rounds, everything in one run; the product's own objects, nothing of them left out.
Does not cover: WebSocket and gRPC, which ask the same call.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bench.report import Report
from bench.world import World, running_daemon
from homefire.client import Homefire
from homefire.paths import KeyName, Paths
from homefire.server.authority import Authority
from homefire.server.door import Door
from homefire.server.scopes import CHAT
from homefire.store import Audit, KeyRights, Keys, Store

GOALS: dict[str, tuple[str, float]] = {
    "authorise_us": ("<=", 50),
    "guard_us": ("<=", 20),
    "revocation_ms": ("<=", 1000),
}
ROUNDS, CALLS, KEYS, STREAMS = 9, 5000, 1000, 20


async def measure() -> Report:
    """Runs it; in a thread, because it needs event loops of its own."""
    return await asyncio.to_thread(_measure)


def _measure() -> Report:
    report = Report("auth", GOALS)
    with tempfile.TemporaryDirectory(prefix="homefire-bench-") as folder:
        report.figures |= asyncio.run(_calls(Path(folder)))
    with running_daemon() as world:
        found = [_revoke(world, number) for number in range(5)]
    report.figures |= {"revocation_ms": statistics.median(found), "revocation_worst_ms": max(found)}
    return report


async def _calls(home: Path) -> dict[str, float]:
    (paths := Paths(home)).prepare()
    store = Store(paths.database)
    store.open()
    try:
        authority = Authority(Keys(store), paths, "homefire_7373", Audit(store))
        await authority.open()
        rights = KeyRights(("chat",), time.time() + 3600, 10**9, 10**9, 1000)
        made = [await authority.add_key(KeyName(f"key {number}"), rights, "bench") for number in range(KEYS)]
        secret = made[KEYS // 2][1]
        token = await authority.login(authority.make_code()[0])
        usual = {"host": "127.0.0.1:7373", "user-agent": "bench", "accept": "*/*", "content-type": "application/json"}
        key = {**usual, "authorization": f"Bearer {secret}"}
        other = {**usual, "x-api-key": secret}
        cookie = {**usual, "cookie": f"theme=dark; homefire_7373={token}"}
        principal = authority.authorise(key, CHAT)

        async def nothing(*_: object) -> None:
            pass

        door = Door(nothing, authority, ["127.0.0.1:7373", "localhost:7373", "[::1]:7373"], ["/"])
        headers = [(name.encode(), value.encode()) for name, value in {**key, "origin": "http://127.0.0.1:7373",
                                                                        "sec-fetch-site": "same-origin"}.items()]  # fmt: skip
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}

        def admitted() -> None:
            with authority.admitted(principal, print):
                pass

        return {
            "authorise_us": _micro(lambda: authority.authorise(key, CHAT)),
            "authorise_x_api_key_us": _micro(lambda: authority.authorise(other, CHAT)),
            "authorise_cookie_us": _micro(lambda: authority.authorise(cookie, CHAT)),
            "guard_us": _micro(lambda: door._guard(scope)),
            "admitted_us": _micro(admitted),
        }
    finally:
        store.close()


def _micro(call: Callable[[], object]) -> float:
    """Microseconds a call, the median of rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter() - began) / CALLS * 1e6)
    return statistics.median(rounds)


def _revoke(world: World, number: int) -> float:
    """Milliseconds until the streams of a revoked key have all ended."""
    url = f"http://127.0.0.1:{world.port}"
    with Homefire.connect(url=url, key=world.key) as home:
        made = home.post("/homefire/v1/keys", {"name": f"short {number}", "scopes": ["models"]})
        streams = [_listen(url, made["key"]) for _ in range(STREAMS)]
        ended: list[float] = []
        readers = [threading.Thread(target=_until_closed, args=(stream, ended)) for stream in streams]
        for reader in readers:
            reader.start()
        began = time.perf_counter()
        home.delete(f"/homefire/v1/keys/{made['name'].replace(' ', '%20')}")
        for reader in readers:
            reader.join(30)
    assert len(ended) == STREAMS
    return (max(ended) - began) * 1000


def _listen(url: str, key: str) -> socket.socket:
    """A stream that has begun."""
    where = urlsplit(url)
    assert where.hostname is not None
    connection = socket.create_connection((where.hostname, where.port or 80), timeout=30)
    head = f"GET /homefire/v1/events HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {key}\r\n\r\n"
    connection.sendall(head.encode())
    heard = b""
    while b"event: " not in heard:
        heard += (piece := connection.recv(65536))
        assert piece, heard
    return connection


def _until_closed(connection: socket.socket, ended: list[float]) -> None:
    with connection:
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass
        ended.append(time.perf_counter())
