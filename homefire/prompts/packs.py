"""Packs: prompts to hand on, one file of JSON, with a digest of each and a signature beside them.

    {"form": 1, "pack": name, "made_at", "prompts": [{"name", "text", "sha256"}], "signature": {"key", "value"} or null}

The signature is Ed25519 over the canonical JSON of everything else, by this home's own key (`pack.key`, 0600, made when it is
first needed); it needs the package `cryptography` (extra `tls`). A key is trusted on first use: a person says `trust` once, after
comparing its fingerprint; a pack of the same name by another key is refused until told so again.
Promises: a pack that was changed or cut is refused before anything of it is looked at further; nothing of a pack is in force
unless all of it is; a prompt that is there with another text is left and named, and with `replace` gets a new version that can
be undone; a pack never changes what is Homefire's own unless told to replace.
Does not cover: what a prompt says: it is words of whoever made the pack.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from homefire.errors import InvalidRequest, PackageMissing, PackRefused, UnknownPrompt
from homefire.paths import from_os
from homefire.prompts.prompts import Prompts
from homefire.store import SignerRow

LARGEST_PACK, MOST_IN_PACK = 8 * 2**20, 200
_Hex64 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class _One(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    text: str
    sha256: _Hex64


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    key: _Hex64
    value: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]


class _Pack(msgspec.Struct, forbid_unknown_fields=True):
    form: Annotated[int, Meta(ge=1, le=1)]
    pack: Annotated[str, Meta(min_length=1, max_length=80)]
    made_at: float
    prompts: Annotated[list[_One], Meta(min_length=1, max_length=MOST_IN_PACK)]
    signature: _Signature | None = None


_decoder = msgspec.json.Decoder(_Pack)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person said about a pack: `trust` its key from now on; take it `unsigned`; `replace` what is there."""

    trust: bool = False
    unsigned: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What became of its prompts: `added` and `replaced` with their versions, `same` as they were, `kept`: another text is
    there and stays. `key`: who signed, "" for nobody; `trusted`: since now or before."""

    pack: str
    key: str
    trusted: bool
    added: dict[str, int]
    replaced: dict[str, int]
    same: tuple[str, ...]
    kept: tuple[str, ...]


async def pack(prompts: Prompts, name: str, names: list[str], key_file: Path | None) -> dict[str, Any]:
    """The pack of what is in force under these names, signed if there is a `key_file`. Raises UnknownPrompt, PackageMissing."""
    if not names or len(names) > MOST_IN_PACK or not name.strip() or len(name) > 80:
        raise InvalidRequest(f"A pack has a name and 1 to {MOST_IN_PACK} prompts.", "Name them.", param="names")
    rows = [{"name": each, "text": text, "sha256": _sha(text)} for each in names for text in [prompts.source(each)]]
    body: dict[str, Any] = {"form": 1, "pack": name.strip(), "made_at": round(time.time(), 3), "prompts": rows}
    body["signature"] = None if key_file is None else _signed(canonical(body), key_file)
    return body


async def unpack(prompts: Prompts, data: bytes, wanted: Wanted, by: str) -> Unpacked:
    """Takes a pack in, all or nothing. Raises PackRefused, PackageMissing, and BadPrompt as for an edit."""
    found = read(data)
    key = found.signature.key if found.signature else ""
    signers = await prompts.rows.signers()
    _require_trust(found, key, signers, wanted)
    texts = {each.name: each.text for each in found.prompts}

    def load(name: str) -> str:
        return texts[name] if name in texts else prompts.source(name)

    added, replaced, same, kept = list[str](), list[str](), list[str](), list[str]()
    for name, text in texts.items():
        try:
            here: str | None = prompts.source(name)
        except UnknownPrompt:
            here = None
        if here == text:
            same.append(name)
            continue
        if here is not None and not wanted.replace:
            kept.append(name)
            continue
        prompts.require_sound(name, text, load)
        (added if here is None else replaced).append(name)
    if key and wanted.trust:
        await prompts.rows.trust(SignerRow(key, found.pack, time.time()))
    why = f"pack '{found.pack}'"
    rows = [(prompts.row(name, texts[name], why, by), None) for name in (*added, *replaced)]
    numbers = dict(zip((*added, *replaced), await prompts.rows.add_all(list(rows), found.pack), strict=True))
    await prompts.open()
    trusted = bool(key)
    return Unpacked(
        found.pack, key, trusted, {n: numbers[n] for n in added}, {n: numbers[n] for n in replaced}, tuple(same), tuple(kept)
    )  # fmt: skip


def read(data: bytes) -> _Pack:
    """A pack whose digests and signature hold. Raises PackRefused, PackageMissing for a signature that cannot be checked here."""
    if len(data) > LARGEST_PACK:
        raise PackRefused(f"A pack has at most {LARGEST_PACK >> 20} MiB.", "Hand it on in parts.")
    try:
        found = _decoder.decode(data)
        body = json.loads(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise PackRefused(f"This is no pack: {str(problem)[:200]}.", "Make one with: homefire prompts pack") from None
    if len({each.name for each in found.prompts}) != len(found.prompts):
        raise PackRefused("A prompt is in the pack twice.", "Have it made again.")
    for each in found.prompts:
        if _sha(each.text) != each.sha256:
            raise PackRefused(f"'{each.name[:80]}' is not what was packed.", "Get the file again.")
    if found.signature is not None:
        del body["signature"]
        _verify(canonical(body), found.signature)
    return found


def canonical(body: dict[str, Any]) -> bytes:
    """The bytes that are signed: everything but the signature, in one form."""
    kept = {name: value for name, value in body.items() if name != "signature"}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def fingerprint(key: str) -> str:
    """A public key as two people compare it."""
    made = hashlib.sha256(bytes.fromhex(key)).hexdigest()[:24]
    return "-".join(made[at : at + 4] for at in range(0, 24, 4))


def _require_trust(found: _Pack, key: str, signers: list[SignerRow], wanted: Wanted) -> None:
    if not key:
        if any(each.pack == found.pack for each in signers):
            raise PackRefused(f"Packs called '{found.pack}' were signed before, and this one is not.", "Do not use it.")
        if not wanted.unsigned:
            raise PackRefused(
                "Nobody signed this pack.", "If you know where it is from: homefire prompts unpack FILE --unsigned"
            )
        return
    if any(each.key == key for each in signers) or wanted.trust:
        return
    others = [each for each in signers if each.pack == found.pack]
    what = "it was another one before" if others else "it has not been met here"
    raise PackRefused(
        f"The pack '{found.pack}' is signed by the key {fingerprint(key)}, and {what}.",
        "Compare the fingerprint with its maker's, then: homefire prompts unpack FILE --trust",
    )


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _keys() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise PackageMissing(
            "Signatures of packs need the package 'cryptography'.",
            "Install it: pip install 'homefire[tls]'. Or make the pack without: homefire prompts pack --unsigned",
        ) from None
    return ed25519


def _signed(data: bytes, file: Path) -> dict[str, str]:
    """The signature by the key in the file, which is made if it is not there."""
    ed25519 = _keys()
    try:
        if not file.exists():
            made = ed25519.Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n"
            with contextlib.suppress(FileExistsError):
                number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(number, "w", encoding="ascii") as out:
                    out.write(made)
        key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(file.read_text("ascii").strip()))
    except OSError as problem:
        raise from_os(problem, file) from None
    except ValueError:
        raise PackRefused(f"{file} holds no key.", "Move it away; a new one is made.") from None
    return {"key": key.public_key().public_bytes_raw().hex(), "value": key.sign(data).hex()}


def _verify(data: bytes, signature: _Signature) -> None:
    ed25519 = _keys()
    from cryptography.exceptions import InvalidSignature

    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.key))
        key.verify(bytes.fromhex(signature.value), data)
    except (InvalidSignature, ValueError):
        raise PackRefused("The signature does not fit the pack.", "Get the file again.") from None
