"""Where an effect or a job wants to go: an address on the network, read once; what was checked is what is used.

Promises: http and https alone, no user names, no fragments of hosts that are repaired; a host that some system would read as a
number, an address that is not of the public internet (however it is written) and a name for this machine are refused.
Does not cover: what a name leads to: whoever dials resolves it once and checks the address (`egress.py`).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from homefire.errors import AddressRefused

MOST = 4096
_URL = re.compile(r"(https?)://([^/?#\\@\s]+)([/?#][\x21-\x7e]*)?")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_HERE = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "home.arpa")
# Public by their own right, but they carry an IPv4 address or lead to a translator.
_CARRIERS = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


@dataclass(frozen=True, slots=True)
class Destination:
    """A parsed URL. `host` in lower case; `rest` begins with / or ?, or is empty."""

    scheme: str
    host: str
    port: int
    rest: str

    @property
    def url(self) -> str:
        """The one form in which it is used."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme] == self.port
        return f"{self.scheme}://{host}{'' if usual else f':{self.port}'}{self.rest or '/'}"


def read_url(text: str) -> Destination:
    """Raises AddressRefused."""
    found = _URL.fullmatch(text) if len(text) <= MOST and text.isascii() else None
    if found is None:
        raise _refused(text)
    host, port = read_place(found[2], {"http": 80, "https": 443}[found[1]])
    return Destination(found[1], host, port, (found[3] or "").partition("#")[0])


def read_place(text: str, usual: int | None = None) -> tuple[str, int]:
    """Host and port out of `host:port`, or out of `host` where there is a usual port. Raises AddressRefused."""
    host, colon, number = text.rpartition(":")
    if not colon or (text.startswith("[") and text.endswith("]")):
        host, number = text, str(usual or "")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", number) or int(number) > 65535:
        raise _refused(text)
    return read_host(host), int(number)


def read_host(text: str) -> str:
    """A host's name, or a public address in its one canonical form. Raises AddressRefused."""
    host = text.lower()
    if host.startswith("[") and host.endswith("]"):
        return _public(host[1:-1], text, 6)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused(text)
    if _NUMBER.fullmatch(labels[-1]):  # systems read 0177.1, 0x7f.1 and 2130706433 as addresses
        return _public(host, text, 4)
    if len(labels) < 2 or labels[-1] in _HERE or ".".join(labels[-2:]) in _HERE:
        raise _refused(text)
    return host


def matches(host: str, granted: str) -> bool:
    """Whether a host is the granted one, or one below it where the grant begins with `*.`."""
    return host.endswith(granted[1:]) if granted.startswith("*.") else host == granted


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, and not one that stands for another."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (
        found.ipv4_mapped or found.scope_id or found.is_site_local or any(found in net for net in _CARRIERS)
    ):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _public(text: str, whole: str, kind: int) -> str:
    if not is_public(text) or (found := ipaddress.ip_address(text)).version != kind:
        raise _refused(whole)
    return str(found)


def _refused(text: str) -> AddressRefused:
    return AddressRefused(f"{text[:120]!r} is no address of the public internet in its plain form.", param="address")
