"""Certificates of one's own: an authority made for this daemon alone, and the daemon's certificate that it signs.

Run as `python -m homefire.server.certificates FOLDER NAME...`; prints one JSON object: what was made, or an error's envelope.
Promises: the authority's key signs once and is never written, so nothing can sign for it afterwards; it may sign only for the
names given, on every system that honours name constraints; files are 0600, the key first, each replaced whole.
Does not cover: other machines' trust: a person carries `ca.pem` there (`homefire tls show`); renewing, which is making them anew.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homefire.errors import HomefireError, PackageMissing
from homefire.paths import from_os, make_private_folder
from homefire.server.listen import read_names

# The longest that current browsers and systems take of a server.
DAYS = 825
OWN = ("localhost", "127.0.0.1", "::1")


def make(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Writes `ca.pem`, `certificate.pem` and `key.pem`. Raises PackageMissing, BadSetting for a name, HomeNotWritable."""
    given = [name.strip("[]") for name in read_names(",".join(names))]
    wanted = list(dict.fromkeys((*OWN, *given)))
    authority, certificate, key = _sign(wanted)
    make_private_folder(folder)
    for name, text in (("key.pem", key), ("certificate.pem", certificate), ("ca.pem", authority)):
        _write(folder / name, text)
    return {"folder": str(folder), "names": wanted, "days": DAYS}


def _sign(names: list[str]) -> tuple[bytes, bytes, bytes]:
    """The authority's certificate, the server's and its key, as PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise PackageMissing(
            "Making certificates needs the package 'cryptography'.",
            "Install it: pip install 'homefire[tls]'. Or give files of your own: the settings tls_cert and tls_key.",
        ) from None

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    addresses, hosts = [], []
    for name in names:
        try:
            addresses.append(ipaddress.ip_address(name))
        except ValueError:
            hosts.append(name)
    begins = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    ends = begins + datetime.timedelta(days=DAYS)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    allowed: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    allowed += [x509.IPAddress(ipaddress.ip_network(address)) for address in addresses]
    subject = named(f"Homefire on {hosts[-1] if hosts else names[-1]}, local authority"[:64])
    authority = (
        x509.CertificateBuilder(subject, subject, authority_key.public_key(), x509.random_serial_number(), begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(x509, signs=True), critical=True)
        .add_extension(x509.NameConstraints(allowed, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    shown: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    shown += [x509.IPAddress(address) for address in addresses]
    certificate = (
        x509.CertificateBuilder(subject, named("Homefire"), key.public_key(), x509.random_serial_number(), begins, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(x509, signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(shown), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return authority.public_bytes(pem), certificate.public_bytes(pem), private


def _usage(x509: Any, signs: bool) -> Any:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write(file: Path, text: bytes) -> None:
    part = file.with_suffix(".new")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
    except OSError as problem:
        raise from_os(problem, file) from None


def main(arguments: Sequence[str]) -> int:
    """The program; returns the exit status."""
    try:
        print(json.dumps(make(Path(arguments[0]), arguments[1:])))
    except HomefireError as problem:
        print(json.dumps(problem.envelope()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
