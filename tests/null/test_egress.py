"""The way out of a sandbox: which hosts are dialled, and in how many ways a private address can be written.

Promises: every form that leads to an address that is not public is refused, by its writing or by what it resolves to; what was
checked is what is dialled. The resolver and the far side are stand-ins; the proxy is the real one.
Does not cover: the forwarder inside the sandbox (`tests/chaos/test_sandbox_folder.py`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homefire.errors import AddressRefused
from homefire.safety.addresses import is_public
from homefire.safety.egress import Egress, Target, read_head

PUBLIC = "93.184.215.14"
# Written as a host. Whatever is on the list of a job, none of these is ever one of its targets.
WRITTEN = [
    "127.0.0.1", "127.1", "127.0.1", "127.00.0.1", "0177.0.0.1", "0177.1", "0x7f.0.0.1", "0x7f000001", "0x7f.1", "2130706433",
    "017700000001", "0", "0.0.0.0", "0x0", "00", "10.0.0.1", "10.1", "172.16.0.1", "192.168.1.1", "192.168.257",
    "169.254.169.254",
    "0xa9fea9fe", "2852039166", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1",
    "127.0.0.1.",
    "example.org.", "example..org", ".example.org", "-example.org", "example-.org", "exa_mple.org", "example.org\0", "\0",
    "example.org\0.evil.org", "user@example.org", "example.org%00", "%31%32%37.0.0.1", "example.org#", "example.org/",
    "example.org?x",
    "exämple.org", "①②⑦.⓪.⓪.①", "127。0。0。1", "example.org ", " example.org", "example.org\t", "example.org\r\nX: y", "",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]", "[fd12::1]", "[ff02::1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[2001:0:7f00:1::]", "[2001:db8::1]", "[::1",
    "localhost", "router", "printer.local", "nas.home.arpa", f"[{PUBLIC}]",
    "::1", "::1]", "[[::1]]", "[127.0.0.1]", "a" * 64 + ".org", "a." * 127 + "org",
]  # fmt: skip
# What a name may turn out to lead to.
LED_TO = [
    "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255", "192.0.2.7", "198.18.0.1", "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    f"::ffff:{PUBLIC}", "::7f00:1",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "fec0::1", "ff02::1", "2002:7f00:1::1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2001::1", "2001:db8::1", "100::1", "junk", "",
]  # fmt: skip


@pytest.mark.parametrize("host", WRITTEN)
def test_a_host_that_is_not_written_plainly_is_refused(host: str) -> None:
    for text in (f"{host}:443", f"{host}:80"):
        with pytest.raises(AddressRefused):
            Target.parse(text)
    with pytest.raises(AddressRefused):
        Egress([f"{host}:443"])


def test_enough_forms_are_tried() -> None:
    assert len(WRITTEN) + len(LED_TO) >= 80


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("example.org:443", "example.org", 443), ("EXAMPLE.org:80", "example.org", 80), (f"{PUBLIC}:443", PUBLIC, 443),
     ("[2606:4700:4700::1111]:443", "2606:4700:4700::1111", 443), ("xn--bcher-kva.example:8443", "xn--bcher-kva.example", 8443),
     ("[2606:4700:4700:0:0:0:0:1111]:443", "2606:4700:4700::1111", 443)],
)  # fmt: skip
def test_plain_ones_are_read(text: str, host: str, port: int) -> None:
    assert Target.parse(text) == Target(host, port)


@pytest.mark.parametrize("port", ["", "0", "65536", "99999", "-1", "+80", "0x50", "080", "80 ", "8０", "http"])
def test_a_port_is_a_number(port: str) -> None:
    with pytest.raises(AddressRefused):
        Target.parse(f"example.org:{port}")


class Far:
    """Stands for the internet: a resolver with an answer a question, and what was dialled."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked, self.dialled = list(answers), 0, list[tuple[str, int]]()

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]

    async def dial(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.dialled.append((address, port))
        raise ConnectionRefusedError


def connect(far: Far, target: str, allowed: str = "example.org:443") -> None:
    egress = Egress([allowed], far.resolve, far.dial)
    asyncio.run(egress.connect(Target.parse(target)))


@pytest.mark.parametrize("address", LED_TO)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    assert not is_public(address)
    for answer in ([address], [PUBLIC, address], [address, PUBLIC]):
        far = Far(answer)
        with pytest.raises(AddressRefused):
            connect(far, "example.org:443")
        assert far.dialled == []


def test_what_was_checked_is_what_is_dialled() -> None:
    far = Far([PUBLIC], ["127.0.0.1"])  # a second question would get another answer: rebinding
    with pytest.raises(ConnectionRefusedError):
        connect(far, "example.org:443")
    assert (far.asked, far.dialled) == (1, [(PUBLIC, 443)])
    with pytest.raises(AddressRefused):
        egress = Egress(["example.org:443"], far.resolve, far.dial)
        asyncio.run(egress.connect(Target("example.org", 443)))


@pytest.mark.parametrize(
    "target", ["example.org:80", "www.example.org:443", "example.com:443", f"{PUBLIC}:443", "example.org.evil.net:443"]
)
def test_only_what_is_on_the_list(target: str) -> None:
    far = Far([PUBLIC])
    with pytest.raises(AddressRefused):
        connect(far, target)
    assert far.asked == 0


def test_no_answer_is_no_permission() -> None:
    with pytest.raises(AddressRefused):
        connect(Far([]), "example.org:443")


HEADS = [
    b"GET / HTTP/1.1", b"GET /path HTTP/1.1", b"CONNECT example.org HTTP/1.1", b"CONNECT example.org:443\0 HTTP/1.1",
    b"get http://a/ HTTP/1.1",
    b"GET https://example.org/ HTTP/1.1", b"GET ftp://example.org/ HTTP/1.1", b"GET file:///etc/passwd HTTP/1.1",
    b"GET http:///x HTTP/1.1",
    b"GET http://example.org/ HTTP/2", b"GET  http://example.org/ HTTP/1.1", b"GET http://a b/ HTTP/1.1", b"",
    b"GET http://u:p@example.org/ HTTP/1.1",
    b"GET http://example.org:80:80/ HTTP/1.1", b"GET http://example.org\\@127.0.0.1/ HTTP/1.1",
    b"GET http://example.org#@127.0.0.1/ HTTP/1.1",
]  # fmt: skip


@pytest.mark.parametrize("line", HEADS)
def test_a_head_that_is_no_request_to_a_proxy(line: bytes) -> None:
    with pytest.raises(AddressRefused):
        read_head(line + b"\r\n\r\n")


def test_what_goes_on_names_the_host_that_was_checked() -> None:
    head = b"POST http://Example.org:8080/a?b HTTP/1.0\r\nHost: inside\r\nProxy-Authorization: x\r\n"
    head += b"Connection: keep-alive\r\nX: y\r\n\r\n"
    target, first = read_head(head)
    assert target == Target("example.org", 8080)
    assert first == b"POST /a?b HTTP/1.1\r\nHost: example.org:8080\r\nConnection: close\r\nX: y\r\n\r\n"
    assert read_head(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n") == (Target("example.org", 443), b"")
    assert read_head(b"GET http://example.org?x HTTP/1.1\r\n\r\n")[1].startswith(
        b"GET /?x HTTP/1.1\r\nHost: example.org:80\r\n"
    )


async def asked(door: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(door))
    writer.write(request)
    found = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return found


def test_a_redirect_is_judged_anew(tmp_path: Path) -> None:
    """The far side answers with a redirect into the private network; the client follows it through the same proxy."""

    async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/keys\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def whole() -> None:
        server = await asyncio.start_server(far, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def resolve(host: str, number: int) -> list[str]:
            return [PUBLIC]

        async def dial(address: str, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            assert (address, number) == (PUBLIC, 80)
            return await asyncio.open_connection("127.0.0.1", port)

        async with Egress.open(("example.org:80",), tmp_path / "door", resolve, dial) as door:
            assert b"302 Found" in await asked(door, b"GET http://example.org/ HTTP/1.1\r\n\r\n")
            assert b"403 Forbidden" in await asked(door, b"GET http://169.254.169.254/keys HTTP/1.1\r\n\r\n")
            assert b"403 Forbidden" in await asked(door, b"CONNECT example.org:443 HTTP/1.1\r\n\r\n")
            assert b"502" in await asked(door, b"GET " + b"x" * 20_000 + b"\r\n\r\n")
        server.close()

    asyncio.run(whole())
