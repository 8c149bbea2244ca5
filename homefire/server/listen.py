"""Where the daemon listens: one TCP address, and a unix socket if it is wanted; and the rules of who may ask there at all.

    host is this machine's own ──> plain http or TLS, with keys; without keys only where `auth` says so
    any other host             ──> TLS and keys, or the daemon does not start
    unix socket                ──> 0600 in a 0700 folder, and the kernel says who connects: this user, or root

Promises: nothing listens before every rule holds; a wider address changes no other rule: names must be in the list, keys are
needed; a certificate's key that others may read is refused.
Does not cover: making certificates (`certificates.py`), what a request is allowed (`door.py`).
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
import ssl
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.errors import BadSetting, BindRefused, MachineError, PortInUse, TlsNotReady
from homefire.paths import Paths, from_os
from homefire.server.protocol import TimedProtocol
from homefire.settings import Settings

OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
ANY = ("0.0.0.0", "::")  # nosec B104 # words to compare a setting with
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Listening:
    """What listens. `hosts` are the accepted Host values; `certificate` the file that is shown and `key` its
    key, None without TLS; `elsewhere` the
    addresses under which other machines may ask."""

    tcp: socket.socket
    unix: socket.socket | None
    tls: ssl.SSLContext | None
    url: str
    hosts: tuple[str, ...]
    elsewhere: tuple[str, ...]
    certificate: Path | None = None
    key: Path | None = None


@contextlib.contextmanager
def listen(settings: Settings, paths: Paths) -> Iterator[Listening]:
    """Opens them. Raises BadSetting, BindRefused, TlsNotReady, PortInUse or MachineError."""
    names = read_names(settings.allowed_hosts)
    check_rules(settings)
    tls, certificate, key = _tls(settings, paths) if settings.tls else (None, None, None)
    scheme = "https" if tls is not None else "http"
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(_tcp(settings))
        unix = stack.enter_context(_unix(paths)) if settings.unix_socket else None
        port = tcp.getsockname()[1]
        own = settings.host if settings.host not in (*ANY, "localhost") else "127.0.0.1"
        own = f"[{own}]" if ":" in own else own
        hosts = tuple(dict.fromkeys((*OWN_NAMES, own, *names)))
        usual = port == (443 if tls is not None else 80)
        elsewhere = () if is_own(settings.host) else tuple(f"{scheme}://{name}:{port}" for name in (*names, own)
                                                            if name not in OWN_NAMES)  # fmt: skip
        yield Listening(
            tcp,
            unix,
            tls,
            f"{scheme}://{own}:{port}",
            (*(f"{name}:{port}" for name in hosts), *(hosts if usual else ())),
            elsewhere,
            certificate,
            key,
        )


def is_own(host: str) -> bool:
    """Whether only this machine can reach the address. Raises BadSetting for what is no address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise BadSetting(
            f"'host' is '{host[:80]}', which is no address.",
            "Give an address of this machine, or 0.0.0.0 for all; names go into 'allowed_hosts'.",
            param="host",
        ) from None


def check_rules(settings: Settings) -> None:
    """Raises BadSetting for an unknown word, BindRefused where an address would stand open."""
    if settings.auth not in ("on", "off"):
        raise BadSetting(f"'auth' is '{settings.auth[:40]}'; it may be on or off.", param="auth")
    if is_own(settings.host):
        return
    if settings.auth == "off":
        raise BindRefused(
            f"'{settings.host}' opens Homefire to other machines, and keys are turned off.",
            "Set auth to on, or host to 127.0.0.1.",
        )
    if not settings.tls:
        raise BindRefused(
            f"'{settings.host}' opens Homefire to other machines, and keys would cross the network unread."
        )


def read_names(text: str) -> tuple[str, ...]:
    """The names of `allowed_hosts`, lower-case, IPv6 addresses in brackets. Raises BadSetting."""
    names = []
    for each in re.split(r"[,\s]+", text.strip().lower()) if text.strip() else []:
        try:
            address = ipaddress.ip_address(each.strip("[]"))
            names.append(f"[{address}]" if address.version == 6 else str(address))
        except ValueError:
            if not re.fullmatch(
                r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", each
            ):
                raise BadSetting(
                    f"'allowed_hosts' has '{each[:80]}', which is no name of a machine.",
                    "Write names or addresses without a port, with commas between them; no wildcards.",
                    param="allowed_hosts",
                ) from None
            names.append(each)
    return tuple(names)


def _tls(settings: Settings, paths: Paths) -> tuple[ssl.SSLContext, Path, Path]:
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise BadSetting("'tls_cert' and 'tls_key' belong together; only one is set.", param="tls_cert")
    certificate = Path(settings.tls_cert).expanduser() if settings.tls_cert else paths.tls_certificate
    key = Path(settings.tls_key).expanduser() if settings.tls_key else paths.tls_key
    for file in (certificate, key):
        if not file.is_file():
            raise TlsNotReady(f"TLS is on, and {file} is missing.")
    if sys.platform != "win32" and key.stat().st_mode & 0o077:
        raise TlsNotReady(f"{key} may be read by others than you.", f"Make it yours alone: chmod 600 {key}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A password would be asked for on a terminal that is not there.
        context.load_cert_chain(certificate, key, password="")  # nosec B106 # none, on purpose
    except (ssl.SSLError, OSError, ValueError) as problem:
        reason = getattr(problem, "reason", None) or getattr(problem, "strerror", None) or "they are not understood"
        raise TlsNotReady(f"{certificate} and {key} do not work together: {reason}.") from None
    return context, certificate, key


@contextlib.contextmanager
def _tcp(settings: Settings) -> Iterator[socket.socket]:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as listening:
        if sys.platform != "win32":  # there it would let two programs share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, settings.port))
            listening.listen(BACKLOG)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                raise PortInUse(f"Another program listens on port {settings.port}.") from None
            raise MachineError(f"{host}:{settings.port} cannot be listened on: {problem.strerror}.") from None
        yield listening


@contextlib.contextmanager
def _unix(paths: Paths) -> Iterator[socket.socket]:
    place = paths.daemon_socket()
    if place is None:
        raise BadSetting("This system has no unix sockets.", "Set unix_socket to 0.", param="unix_socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        try:
            place.unlink(missing_ok=True)  # the home's lock is held: whoever made it is gone
            listening.bind(str(place))
            place.chmod(0o600)
            listening.listen(BACKLOG)
        except OSError as problem:
            raise from_os(problem, place) from None
        try:
            yield listening
        finally:
            with contextlib.suppress(OSError):
                place.unlink(missing_ok=True)


def peer_uid(peer: Any) -> int | None:
    """The user on the other side of a unix socket, by the kernel; None where it does not say."""
    if sys.platform == "linux":
        return int(struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])
    if sys.platform == "darwin":  # written after the system's headers, not tried: struct xucred of LOCAL_PEERCRED
        return int(struct.unpack("II", peer.getsockopt(0, 1, 76)[:8])[1])
    return None


def may_connect(uid: int | None, own: int) -> bool:
    """Whether a user may use the socket of user `own`: the same one, or root. Nobody whom the kernel does not name."""
    return uid in (own, 0)


class PeerProtocol(TimedProtocol):
    """The protocol of the unix socket: who is not this user, nor root, is not answered."""

    _stranger = False

    def connection_made(self, transport: Any) -> None:
        try:
            uid = peer_uid(transport.get_extra_info("socket"))
        except OSError:
            uid = None
        super().connection_made(transport)
        if not may_connect(uid, os.getuid()):
            self._stranger = True
            self._stop_timer()
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._stranger:
            super().data_received(data)
