"""The rules of listening, and certificates of one's own; no daemon.

Promises: each rule is flipped alone; what `tls init` makes is used by Python's own TLS, in its strict form.
Does not cover: a daemon on such an address (`tests/process/test_listening.py`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homefire.client import trust_of
from homefire.errors import BadSetting, BindRefused, HomefireError, PackageMissing, TlsNotReady
from homefire.paths import Paths
from homefire.server import certificates
from homefire.server.listen import check_rules, is_own, listen, may_connect, read_names
from homefire.settings import Settings

SAFE = Settings(host="0.0.0.0", port=0, tls=1, auth="on")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    """A home with certificates for one more name and one more address."""
    paths = Paths(tmp_path_factory.mktemp("tls"))
    paths.prepare()
    certificates.make(paths.tls, ["homebox.test", "192.0.2.7"])
    yield paths


# --------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "fe80::1", "::ffff:192.0.2.1", "169.254.1.1"]
)
def test_other_addresses_need_tls_and_keys(host: str) -> None:
    assert not is_own(host)
    check_rules(replace(SAFE, host=host))
    with pytest.raises(BindRefused):
        check_rules(replace(SAFE, host=host, tls=0))
    with pytest.raises(BindRefused):
        check_rules(replace(SAFE, host=host, auth="off"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_this_machines_own_need_neither(host: str) -> None:
    for auth in ("on", "off"):
        for tls in (0, 1):
            check_rules(Settings(host=host, auth=auth, tls=tls))


@pytest.mark.parametrize(
    "wrong", [{"host": "example.com"}, {"host": ""}, {"host": "*"}, {"host": "127.1"}, {"auth": "no"}, {"auth": ""},
              {"auth": "OFF"}, {"tls_cert": "x", "tls": 1}]
)  # fmt: skip
def test_what_is_not_understood_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSetting), listen(replace(Settings(port=0), **wrong), Paths(tmp_path)):
        pass


def test_names() -> None:
    assert read_names("") == ()
    assert read_names("Homebox.local, 192.0.2.7 ,2001:DB8::1,[::2]") == (
        "homebox.local",
        "192.0.2.7",
        "[2001:db8::1]",
        "[::2]",
    )
    for wrong in ("*", "*.local", "a/b", "a:80", "http://a", "a..b", "-a", "a@b", "a_\0", "x" * 300):
        with pytest.raises(BadSetting):
            read_names(wrong)


def test_a_wider_address_accepts_no_other_names(made: Paths) -> None:
    with listen(replace(SAFE, allowed_hosts="homebox.test"), made) as found:
        port = found.tcp.getsockname()[1]
        assert set(found.hosts) == {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", "homebox.test")}
        assert found.url == f"https://127.0.0.1:{port}"
        assert found.elsewhere == (f"https://homebox.test:{port}",)
        assert found.tls is not None


# ------------------------------------------------------------------------------------------------------- certificates


def serve(context: ssl.SSLContext) -> tuple[int, threading.Thread]:
    """A server for one connection on this machine."""
    listening = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        with listening, listening.accept()[0] as plain:
            plain.settimeout(5)
            with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as talk:
                talk.sendall(b"here")

    thread = threading.Thread(target=work)
    thread.start()
    return listening.getsockname()[1], thread


def greet(context: ssl.SSLContext, port: int, name: str) -> bytes:
    """What a client hears that trusts `context` and asks for `name`."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name) as talk,
    ):
        return talk.recv(10)


def heard(made: Paths, trust: ssl.SSLContext, name: str) -> bytes:
    """The same against the home's own certificate."""
    with listen(replace(SAFE, host="127.0.0.1"), made) as found:
        assert found.tls is not None
        port, thread = serve(found.tls)
    try:
        return greet(trust, port, name)
    finally:
        thread.join(10)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "homebox.test", "192.0.2.7"])
def test_who_trusts_the_authority_trusts_its_names(made: Paths, name: str) -> None:
    trust = ssl.create_default_context(cafile=str(made.tls_authority))
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    assert heard(made, trust, name) == b"here"


def test_no_other_name_and_no_other_trust(made: Paths) -> None:
    trust = ssl.create_default_context(cafile=str(made.tls_authority))
    for context, name in ((trust, "evil.test"), (trust, "127.0.0.9"), (ssl.create_default_context(), "localhost")):
        with pytest.raises(ssl.SSLCertVerificationError):
            heard(made, context, name)


def test_the_authority_may_sign_for_its_names_only_and_its_key_is_gone(made: Paths) -> None:
    from cryptography import x509

    authority = x509.load_pem_x509_certificate(made.tls_authority.read_bytes())
    limits = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert limits.value.permitted_subtrees is not None
    assert {str(each.value) for each in limits.value.permitted_subtrees} == {
        "localhost", "homebox.test", "127.0.0.1/32", "::1/128", "192.0.2.7/32"
    }  # fmt: skip
    certificate = x509.load_pem_x509_certificate(made.tls_certificate.read_bytes())
    assert authority.public_key() != certificate.public_key()
    assert sorted(file.name for file in made.tls.iterdir()) == ["ca.pem", "certificate.pem", "key.pem"]
    assert {file.stat().st_mode & 0o777 for file in made.tls.iterdir()} == {0o600}
    assert made.tls.stat().st_mode & 0o777 == 0o700


def test_the_client_trusts_that_one_certificate(made: Paths, tmp_path: Path) -> None:
    made.address.write_text(f'{{"url": "https://127.0.0.1:1", "certificate": "{made.tls_certificate}"}}')
    pinned = trust_of(made)
    assert isinstance(pinned, ssl.SSLContext)
    assert heard(made, pinned, "127.0.0.1") == b"here"
    other = Paths(tmp_path / "other")
    other.prepare()
    certificates.make(other.tls, [])
    with pytest.raises(ssl.SSLCertVerificationError):
        heard(other, pinned, "127.0.0.1")
    made.address.write_text('{"url": "https://127.0.0.1:1", "certificate": "/nowhere"}')
    with pytest.raises(TlsNotReady):
        trust_of(made)


@pytest.mark.parametrize("harm", ["missing", "open to others", "no key", "another's key"])
def test_a_certificate_that_will_not_do(tmp_path: Path, harm: str) -> None:
    paths = Paths(tmp_path / "home")
    paths.prepare()
    certificates.make(paths.tls, [])
    if harm == "missing":
        paths.tls_key.unlink()
    elif harm == "open to others":
        paths.tls_key.chmod(0o640)
    elif harm == "no key":
        paths.tls_key.write_text("nothing")
    else:
        certificates.make(tmp_path / "other", [])
        paths.tls_key.write_bytes((tmp_path / "other" / "key.pem").read_bytes())
    with pytest.raises(TlsNotReady), listen(replace(SAFE, host="127.0.0.1"), paths):
        pass


def test_files_of_ones_own(made: Paths, tmp_path: Path) -> None:
    given = replace(SAFE, host="127.0.0.1", tls_cert=str(made.tls_certificate), tls_key=str(made.tls_key))
    with listen(given, Paths(tmp_path)) as found:
        assert found.certificate == made.tls_certificate


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(PackageMissing, match="cryptography") as told:
        certificates.make(tmp_path / "tls", [])
    assert "homefire[tls]" in told.value.next_step
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize("name", ["*.test", "a/b", "-"])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(HomefireError):
        certificates.make(tmp_path / "tls", [name])


# --------------------------------------------------------------------------------------------------------- unix socket


def test_who_may_connect() -> None:
    assert may_connect(1000, 1000)
    assert may_connect(0, 1000)
    for uid in (1001, 65534, -1, None):
        assert not may_connect(uid, 1000)
    assert not may_connect(1000, 0), "root's daemon is not everybody's"


def test_the_socket_is_private_and_goes(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.prepare()
    place = paths.daemon_socket()
    assert place is not None
    place.write_text("left behind by a daemon that was killed")
    with listen(Settings(port=0, unix_socket=1), paths) as found:
        assert found.unix is not None
        assert place.stat().st_mode & 0o777 == 0o600
        assert place.parent.stat().st_mode & 0o777 == 0o700
        assert place.stat().st_uid == os.getuid()
    assert not place.exists()
