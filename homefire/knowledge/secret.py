"""What is a secret: by a file's name, and by what stands in a text. Such files are never read into an index, only listed.

Promises: pure; a name is enough (the file is not opened); a text is looked through for the beginnings of tokens first, so
that it costs a millisecond or two a megabyte; what documents print as an example is none.
Does not cover: passwords in free text, secrets of a form of one's own. It keeps accidents away, not somebody who hides one on
purpose.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

_NAMES = re.compile(
    r"""\.env(\..+)?|.+\.env|\.netrc|_netrc|\.pgpass|\.my\.cnf|\.pypirc|\.htpasswd|\.git-credentials|\.vault-token|\.dockercfg
    |id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.+\.(ppk|p12|pfx|jks|keystore|kdbx?|key|agekey|ovpn|tfstate|tfstate\.backup|keytab|asc\.key)
    |credentials(\.(json|ya?ml|toml|ini|csv|xml|db))?|client_secrets?.*\.json|service[-_]account.*\.json
    |secrets?\.(json|ya?ml|toml|ini|env|properties)|kubeconfig|shadow|gshadow|master\.key|wallet\.dat|logins\.json|key[34]\.db
    |accesstokens?\.json|token\.json|\.terraformrc|terraform\.rc|.+\.tfvars|auth\.json|hosts\.yml\.gpg""",
    re.VERBOSE | re.IGNORECASE,
)
_HARMLESS = re.compile(r".*\.(example|sample|template|dist|tmpl|defaults?|schema)(\..+)?", re.IGNORECASE)
_FOLDERS = frozenset({".ssh", ".gnupg", ".aws", ".azure", ".kube", ".password-store", ".docker"})

# What a token begins with -> the whole of it. Looked for with `find`, which runs at a gigabyte a second.
_PRIVATE, _PUTTY = b"PRIVATE KEY", b"PuTTY-User-Key-File-"
_TOKENS = {
    _PRIVATE: rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----"
    rb"(\\n|\s){1,4}([A-Za-z-]{1,30}: [^\n]{0,200}\n){0,8}\s{0,4}[A-Za-z0-9+/=\\]{40}",
    _PUTTY: rb"PuTTY-User-Key-File-\d: ",
    b"AKIA": rb"\bAKIA[0-9A-Z]{16}\b",
    b"ASIA": rb"\bASIA[0-9A-Z]{16}\b",
    b"ghp_": rb"\bghp_[A-Za-z0-9]{36}\b",
    b"gho_": rb"\bgho_[A-Za-z0-9]{36}\b",
    b"ghs_": rb"\bghs_[A-Za-z0-9]{36}\b",
    b"github_pat_": rb"\bgithub_pat_[A-Za-z0-9_]{60,}",
    b"glpat-": rb"\bglpat-[A-Za-z0-9_-]{20,}",
    b"xox": rb"\bxox[abprs]-[0-9]{6,}-[A-Za-z0-9-]{10,}",
    b"sk-": rb"\bsk-(ant-|proj-|or-)?[A-Za-z0-9_-]{20,180}[A-Za-z0-9]{12}\b",
    b"sk_live_": rb"\bsk_live_[A-Za-z0-9]{20,}",
    b"rk_live_": rb"\brk_live_[A-Za-z0-9]{20,}",
    b"AIza": rb"\bAIza[A-Za-z0-9_-]{35}\b",
    b"hf_": rb"\bhf_[A-Za-z0-9]{34}\b",
    b"npm_": rb"\bnpm_[A-Za-z0-9]{36}\b",
    b"pypi-AgE": rb"\bpypi-AgE[A-Za-z0-9_-]{50,}",
    b"homefire-": rb"\bhomefire-[A-Za-z0-9_-]{43}",
    b"AGE-SECRET-KEY-": rb"AGE-SECRET-KEY-1[0-9A-Z]{50,}",
}
_PATTERNS = {begin: re.compile(whole) for begin, whole in _TOKENS.items()}
# The shortest token there is (`AKIA` and 16 more), and what no token has in it.
_SHORTEST = 20
_BETWEEN: Any = np.ones(256, bool)
_BETWEEN[np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-", np.uint8)] = False
# Most beginnings looked at in one text: one that is made of nothing else costs no more.
_TRIES = 2000


def secret_name(path: str) -> str:
    """Why the file of this name is taken for a secret, or ""."""
    *folders, name = path.split("/")
    if any(folder in _FOLDERS for folder in folders):
        return f"it lies in {next(folder for folder in folders if folder in _FOLDERS)}"
    if _NAMES.fullmatch(name) and not _HARMLESS.fullmatch(name):
        return "its name is that of a file with secrets"
    return ""


def secret_inside(data: bytes) -> str:
    """What secret stands in the text and where, without the secret; or ""."""
    # Twenty searches through the whole text cost more than to find the few places where a token is long enough to be.
    spaced = _PRIVATE in data or _PUTTY in data
    return _secret(data) if spaced or _secret(_long_words(data)) else ""


def _long_words(data: bytes) -> bytes:
    """Runs of the signs of tokens that are as long as the shortest token, each on a line of its own."""
    others: Any = np.flatnonzero(_BETWEEN[np.frombuffer(data, np.uint8)])
    ends: Any = np.append(others, len(data))
    starts = np.concatenate(([0], others + 1))
    long = ends - starts >= _SHORTEST
    return b"\n".join([data[s:e] for s, e in zip(starts[long].tolist(), ends[long].tolist(), strict=True)])


def _secret(data: bytes) -> str:
    for begin, pattern in _PATTERNS.items():
        place = data.find(begin)
        for _ in range(_TRIES):
            if place < 0:
                break
            start = data.rfind(b"-----BEGIN", max(0, place - 40), place) if begin == _PRIVATE else place
            found = pattern.match(data, max(start, 0), place + 2000)
            if found is not None and not _example(found[0]):
                line = data.count(b"\n", 0, found.start()) + 1
                return f"line {line} has what looks like {_word(begin)}"
            place = data.find(begin, place + len(begin))
    return ""


def _example(token: bytes) -> bool:
    """Whether it is one that documents print: EXAMPLE in it, or few different signs."""
    body = token.split(b"-----")[-1][-40:]
    return b"EXAMPLE" in token.upper() or b"XXXX" in token.upper() or len(set(body)) < 8


def _word(begin: bytes) -> str:
    return "a private key" if b"KEY" in begin or begin.startswith(b"PuTTY") else f"a token ({begin.decode()}...)"
