"""Which addresses may be asked, who gets a credential, and the one place that speaks HTTP for `models/`.

Promises: https only, http only to this machine itself; a credential goes to its own origin and to no other, whatever a redirect
says; at most five redirects; after a first answer from a public address no redirect to a private one is followed, judged by the
address that the name has and again by the one that was really connected to; every failure is a leaf of the error tree.
Does not cover: when to try again (`fetch_plan.py`), what the bytes are (`fetch.py`). Behind a proxy the proxy resolves names, so
only addresses that are written as numbers can be judged there.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit, urlunsplit

from homefire.errors import AddressRefused, BadSource, SourceUnreachable

if TYPE_CHECKING:
    import httpx2

REDIRECTS = 5
PAGE_BYTES = 32 * 1024 * 1024
_PORTS = {"https": 443, "http": 80}
_LOCAL_NAMES = frozenset({"localhost", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a credential is bound to (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of a URL. Raises BadSource if it has none."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            host, port = "", 0
        if not host or not port:
            raise BadSource(f"Not a web address: {url[:200]!r}")
        return cls(parts.scheme, host, port)


@dataclass(frozen=True, slots=True)
class Credential:
    """An `Authorization` value and the one origin that may see it."""

    origin: Origin
    value: str = field(repr=False)

    def headers_for(self, url: str) -> dict[str, str]:
        """The header, or nothing if `url` is of another origin."""
        return {"authorization": self.value} if Origin.of(url) == self.origin else {}


def check_url(url: str) -> str:
    """The URL without its fragment. Raises BadSource for anything that is no plain web address, AddressRefused for http beyond
    this machine. A name and password inside a URL are refused: they would end up in logs and lists."""
    # Text that parsers read differently (blanks, backslashes, control characters) is how a check is made to see another host.
    if re.search(r"[\x00-\x20\x7f\\]", url) or len(url) > 8192:
        raise BadSource(f"Not a web address: {url[:200]!r}")
    origin = Origin.of(url)
    parts = urlsplit(url)
    if origin.scheme not in _PORTS:
        raise BadSource(f"Only https is fetched, not {origin.scheme!r}.")
    if parts.username is not None or parts.password is not None:
        raise BadSource("A web address with a name or password inside is not taken.", "Use a token instead.")
    if origin.scheme == "http" and not is_this_machine(origin.host):
        raise AddressRefused(f"{origin.host} is asked over https only; the address says http.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, ""))


def is_this_machine(host: str) -> bool:
    """Whether a host, as written, can only be this machine."""
    if host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Whether an IP address, as text, is one of the internet's; False for private, loopback, link-local and all reserved ones."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast


@dataclass(frozen=True, slots=True)
class Page:
    """A whole answer. `headers` have lower-case names; `url` is the last one after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Stream(Protocol):
    """An answer whose body is still to be read."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, names in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises SourceUnreachable when the connection breaks or stalls."""


class Http(Protocol):
    """What `models/` needs of a network."""

    def open(
        self, url: str, headers: Mapping[str, str], credential: Credential | None = None
    ) -> contextlib.AbstractAsyncContextManager[Stream]:
        """GET, redirects followed. Raises SourceUnreachable, AddressRefused, BadSource."""

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        """GET of something small. Raises as `open`."""


class _Open:
    """A `Stream` over httpx2."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.url = str(response.url)

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Stream`. Raw: what a server compresses in spite of `identity` is caught by its header, not undone here."""
        import httpx2

        try:
            async for piece in self._response.aiter_raw():
                yield piece
        except (httpx2.TransportError, httpx2.StreamError) as problem:
            raise _unreachable(self.url, problem) from None


Resolve = Callable[[str, int], Awaitable[list[str]]]


class Web:
    """`Http` over httpx2. Close it when done.

    `stall_seconds`: how long a connection may give no byte. `certificates`: a file of further authorities to trust. `resolve`
    and `public` are there for tests, which have no public address.
    """

    def __init__(
        self,
        stall_seconds: float = 30.0,
        certificates: str = "",
        resolve: Resolve | None = None,
        public: Callable[[str], bool] = is_public,
    ) -> None:
        import httpx2

        from homefire.models.sockets import ThreadTransport

        verify = httpx2.create_ssl_context()
        if certificates:
            verify.load_verify_locations(cafile=certificates)
        timeout = httpx2.Timeout(stall_seconds, connect=min(15.0, stall_seconds), pool=None)
        limits = httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=15.0)
        # Where the environment names proxies, httpx2's own transports know how to speak to them.
        transport = None if _any_proxy() else ThreadTransport(verify, stall_seconds)
        self._client = httpx2.AsyncClient(
            verify=verify, timeout=timeout, limits=limits, transport=transport, headers=[("user-agent", "homefire")]
        )
        self._resolve = resolve or _addresses
        self._public = public

    async def close(self) -> None:
        """Closes all connections."""
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str], credential: Credential | None = None
    ) -> AsyncIterator[Stream]:
        """See `Http`."""
        url = check_url(url)
        guarded = False
        for hop in range(REDIRECTS + 1):
            if guarded:
                await self._refuse_private(url)
            response = await self._send(url, headers, credential)
            try:
                peer = _peer(response, url)
                if hop == 0:
                    guarded = self._public(peer) if peer else not _is_literal_private(Origin.of(url).host, self._public)
                elif guarded and peer and not self._public(peer):
                    raise AddressRefused(f"A redirect led to the private address {peer}.")
                if response.status_code not in (301, 302, 303, 307, 308) or "location" not in response.headers:
                    yield _Open(response)
                    return
                url = check_url(urljoin(url, response.headers["location"]))
            finally:
                await response.aclose()
        raise AddressRefused(f"{Origin.of(url).host}: more than {REDIRECTS} redirects.", "Try again later.")

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        """See `Http`. Bodies over 32 MiB are refused."""
        body = bytearray()
        async with self.open(url, {"accept": accept}, credential) as stream:
            assert isinstance(stream, _Open)
            async for piece in stream.chunks():
                body += piece
                if len(body) > PAGE_BYTES:
                    raise SourceUnreachable(f"{Origin.of(url).host} answered with more than {PAGE_BYTES >> 20} MiB.")
            return Page(stream.status, stream.headers, bytes(body), stream.url)

    async def _send(self, url: str, headers: Mapping[str, str], credential: Credential | None) -> httpx2.Response:
        import httpx2

        # Compressed bytes have other offsets and digests than the file.
        sent = {**headers, "accept-encoding": "identity", **(credential.headers_for(url) if credential else {})}
        try:
            request = self._client.build_request("GET", url, headers=sent)
            # Cookies would carry what one origin said to the next request; nothing fetched here needs them.
            self._client.cookies.clear()
            return await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except httpx2.InvalidURL:
            raise BadSource(f"Not a web address: {url[:200]!r}") from None
        except httpx2.TransportError as problem:
            raise _unreachable(url, problem) from None

    async def _refuse_private(self, url: str) -> None:
        """Judges the target of a redirect before anything is sent there."""
        origin = Origin.of(url)
        if _proxied(url):
            if _is_literal_private(origin.host, self._public):
                raise AddressRefused(f"A redirect leads to the private address {origin.host}.")
            return
        for address in await self._resolve(origin.host, origin.port):
            if not self._public(address):
                raise AddressRefused(f"A redirect leads to {origin.host}, which is the private address {address}.")


async def _addresses(host: str, port: int) -> list[str]:
    """Every address a name has. Raises SourceUnreachable if it has none."""
    import asyncio
    import socket

    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise SourceUnreachable(f"{host} has no address: {problem.strerror or problem}.") from None
    return [str(entry[4][0]) for entry in found]


def _peer(response: httpx2.Response, url: str) -> str:
    """The address that answered, or "" where it cannot be known (a proxy, a transport of a test)."""
    network = response.extensions.get("network_stream")
    if network is None or _proxied(url):
        return ""
    address = network.get_extra_info("server_addr")
    return str(address[0]) if isinstance(address, tuple) and address else ""


class LateWeb:
    """The network for `models/`, made at its first use: most daemons start without needing one."""

    def __init__(self, stall_seconds: float, certificates: str) -> None:
        self._given = stall_seconds, certificates
        self._made: Web | None = None

    def open(
        self, url: str, headers: Mapping[str, str], credential: Credential | None = None
    ) -> contextlib.AbstractAsyncContextManager[Stream]:
        """As `Web.open`."""
        return self._web().open(url, headers, credential)

    async def get(self, url: str, accept: str, credential: Credential | None = None) -> Page:
        """As `Web.get`."""
        return await self._web().get(url, accept, credential)

    async def close(self) -> None:
        """Closes what was made."""
        if self._made is not None:
            await self._made.close()

    def _web(self) -> Web:
        self._made = self._made or Web(*self._given)
        return self._made


def _is_literal_private(host: str, public: Callable[[str], bool]) -> bool:
    if host in _LOCAL_NAMES:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not public(host)


def _any_proxy() -> bool:
    """Whether the environment names a proxy for anything that is fetched."""
    from urllib.request import getproxies

    return not {"http", "https", "all"}.isdisjoint(getproxies())


def _proxied(url: str) -> bool:
    """Whether the environment sends this URL through a proxy."""
    from urllib.request import getproxies, proxy_bypass

    origin = Origin.of(url)
    proxies = getproxies()
    return bool(proxies.get(origin.scheme) or proxies.get("all")) and not proxy_bypass(origin.host)


def _unreachable(url: str, problem: Exception) -> SourceUnreachable:
    return SourceUnreachable(f"{Origin.of(url).host}: {str(problem).rstrip('.') or type(problem).__name__}.")
