"""What a text says under its disguises: the forms of it that rules are matched against.

    raw -> base (NFKD without accents, no escapes, nothing invisible, lower case, one space between words)
        -> folded (look-alike letters of other scripts), leet, spaced letters, invisible characters as gaps
        -> decoded (base64, hexadecimal, percent, character references, rot13), each of them base again

Promises: pure, without a loop over characters for ordinary texts; decoding is bounded in depth and size; `locate` finds the
piece of the raw text that a place in a view came from.
Does not cover: text inside pictures or other files, ciphers, other writing systems' transliterations.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from string import ascii_lowercase, hexdigits
from urllib.parse import unquote

MOST_DECODED, MOST_RUNS, MOST_DEPTH = 16 * 1024, 32, 2
INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
ESCAPE = r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|\x1b[@-Z\\^_]"
# Letters of other scripts that look like ours.
LOOK_ALIKE = (
    ("аӑӓᴀɑα", "a"), ("вᴠʙβ", "b"), ("сϲᴄ", "c"), ("ԁɗ", "d"), ("еёєҽεᴇ", "e"), ("ғƒ", "f"), ("ɡԍց", "g"), ("һнհ", "h"),
    ("іїіιɩı", "i"), ("јϳ", "j"), ("кκᴋ", "k"), ("ӏⅼլ", "l"), ("мᴍ", "m"), ("ոηпɴ", "n"), ("оοօσᴏө", "o"), ("рρ", "p"),
    ("ԛզ", "q"),    ("гʀ", "r"), ("ѕꜱ", "s"), ("тτᴛ", "t"), ("υսᴜц", "u"),
    ("ѵν", "v"), ("ԝωѡ", "w"), ("хχ", "x"), ("уүγ", "y"), ("ᴢʐ", "z"),
)  # fmt: skip
LEET = ("0134578@$", "oieastbas")
ROT13_WORDS = (
    "ignore", "disregard", "instructions", "system prompt", "password", "forget", "reveal", "override",
    "anweisungen", "ignoriere",
)  # fmt: skip

MARKS = "\u0300-\u036f"

_invisible = re.compile(f"[{INVISIBLE}]")
_unseen = re.compile(f"[{INVISIBLE}{MARKS}]")
_look_alike = re.compile(f"[{''.join(letters for letters, _ in LOOK_ALIKE)}]")
_escape = re.compile(ESCAPE)
_spaced = re.compile(r"\b(?:[a-z][ .*_-]){2,200}[a-z]\b")
_three_apart = re.compile(r" [a-z] [a-z] [a-z]\b")
_wide = re.compile("  +")
_percent = re.compile(r"%[0-9a-fA-F]{2}")
_base64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_hexadecimal = re.compile(r"(?:\b|\\x)(?:[0-9a-fA-F]{2}(?: |:|,|\\x|0x)?){10,}")
# Letters, digits and spaces in hexadecimal begin with these: some of them in a row are quick to look for.
_letters = re.compile(r"[2-7][0-9a-fA-F](?:(?:[ :,]|\\x|0x)?[2-7][0-9a-fA-F]){5}")
_reference = re.compile(r"&#(?:\d{2,7}|[xX][0-9a-fA-F]{2,6});|\\u[0-9a-fA-F]{4}")
_unicode_escape = re.compile(r"\\u([0-9a-fA-F]{4})")
_fold_table = {ord(letter): plain for letters, plain in LOOK_ALIKE for letter in letters}
_apart = str.maketrans(".*_-", "    ")
_leet_table = str.maketrans(*LEET)
_rot13_words = tuple(codecs.encode(word, "rot13") for word in ROT13_WORDS)


# Bytes are changed by a table at once, characters one by one. Whatever is not ASCII is a "?" there, so places stay the same.
def _table(*kinds: tuple[str, str]) -> bytes:
    """For `bytes.translate`: each character of a kind becomes the sign of it, any other a "."."""
    signs = {ord(each): ord(sign) for letters, sign in kinds for each in letters}
    return bytes(signs.get(each, ord(".")) for each in range(256))


_LETTERS, _DIGITS, _SPACES = ascii_lowercase, "0123456789", "\t\n\r"
OTHER_SPACES = f"{_SPACES}\x85\u1680\u2028\u2029"  # those that NFKD leaves
_lower = bytes(32 if chr(each) in _SPACES else ord(chr(each).lower()) for each in range(128)) + bytes(128)
_unprinted = "".join(_invisible.findall("".join(map(chr, range(128))))).encode()
_kinds = _table((_LETTERS, "a"), (LEET[0], "0"), (" .*_-", " "))
_base64_kinds = _table((_LETTERS + _LETTERS.upper() + _DIGITS + "+/_-", "a"))
_hexadecimal_kinds = _table((f"{hexdigits} :,\\x", "a"))
_BASE64_RUN, _HEXADECIMAL_RUN = b"a" * 24, b"a" * 20


@dataclass(frozen=True, slots=True)
class View:
    """One form of a text. `of` makes the form from a raw text; `run`: where in the raw text a decoded piece stands."""

    kind: str
    text: str
    of: Callable[[str], str] | None = None
    run: tuple[int, int] = (0, 0)


def base(text: str) -> str:
    """The plain form: every rule sees it."""
    if "\x1b" in text or "\x9b" in text:
        text = _escape.sub("", text)
    if text.isascii():
        text = text.encode().translate(_lower, _unprinted).decode()
    else:
        text = without_accents(text).lower()
        for space in OTHER_SPACES:
            text = text.replace(space, " ")
    return (_wide.sub(" ", text) if "  " in text else text).strip(" ")


def without_accents(text: str) -> str:
    """Letters without what stands over or under them or cannot be seen; patterns are written in such letters too."""
    return _unseen.sub("", unicodedata.normalize("NFKD", text))


def views(text: str, depth: int = 0) -> Iterator[View]:
    """The forms of a text, the plain one first; others only where they can differ."""
    plain = base(text)
    yield View("base", plain, base)
    if not text.isascii():
        if _look_alike.search(plain):
            yield View("folded", plain.translate(_fold_table), lambda raw: base(raw).translate(_fold_table))
        if _invisible.search(text):
            yield View("gaps", _gaps(text), _gaps)
    kinds = plain.encode("ascii", "replace").translate(_kinds)
    if b"a0a" in kinds:
        yield View("leet", plain.translate(_leet_table), lambda raw: base(raw).translate(_leet_table))
    if b" a a a" in b" " + kinds and _three_apart.search(" " + plain.translate(_apart)):
        yield View("spaced", _unspaced(text), _unspaced)
    for start, end, decoded in _decoded(text):
        if depth < MOST_DEPTH:
            for inner in views(decoded, depth + 1):
                yield View("decoded", inner.text, None, (start, end))
    lowered = plain if depth == 0 else ""
    if any(word in lowered for word in _rot13_words):
        yield View("rot13", codecs.encode(lowered, "rot13"), lambda raw: codecs.encode(base(raw), "rot13"))


def locate(text: str, view: View, start: int, end: int) -> tuple[int, int]:
    """The piece of the raw text that holds what stands from `start` to `end` in a view."""
    if view.of is None:
        return view.run
    first = _shortest(text, view.of, start + 1) - 1
    return max(0, first), _shortest(text, view.of, end)


def _shortest(text: str, of: Callable[[str], str], length: int) -> int:
    """How much of the raw text makes a form of `length` characters."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        if len(of(text[:middle])) >= length:
            high = middle
        else:
            low = middle + 1
    return low


def _gaps(text: str) -> str:
    return base(_invisible.sub(" ", text))


def _unspaced(text: str) -> str:
    """Letters that stand apart, put together; where there was more than one space, a word ends."""
    wide = re.sub(r"[ \t]{2,}", " \x1f ", _escape.sub("", text).lower())
    joined = _spaced.sub(lambda found: re.sub(r"[ .*_-]", "", found[0]), wide)
    return " ".join(joined.replace("\x1f", " ").split())


def _decoded(text: str) -> Iterator[tuple[int, int, str]]:
    """Pieces that are text in another notation: where they stand, and what they say."""
    left, runs = MOST_DECODED, 0
    for find, read in ((_in_base64, _read_base64), (_in_hexadecimal, _read_hexadecimal)):
        for found in find(text):
            if runs >= MOST_RUNS or left <= 0:
                break
            said = read(found[0][: left * 2])
            if said and _is_text(said):
                runs += 1
                left -= len(said)
                yield found.start(), found.end(), said
    part = text[:MOST_DECODED]
    if _percent.search(part) and (said := unquote(part, errors="replace").replace("+", " ")) != part:
        yield 0, len(text), said
    if ("&#" in part or "\\u" in part) and _reference.search(part):
        said = html.unescape(_unicode_escape.sub(lambda found: chr(int(found[1], 16)), part))
        yield 0, len(text), said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _in_base64(text: str) -> Iterator[re.Match[str]]:
    kinds, at = text.encode("ascii", "replace").translate(_base64_kinds), 0
    while (start := kinds.find(_BASE64_RUN, at)) >= 0 and (found := _base64.match(text, start)):
        yield found
        at = found.end()


def _in_hexadecimal(text: str) -> Iterator[re.Match[str]]:
    run = _HEXADECIMAL_RUN in text.encode("ascii", "replace").translate(_hexadecimal_kinds)
    return _hexadecimal.finditer(text) if run and _letters.search(text) else iter(())


def _is_text(said: str) -> bool:
    letters = sum(each.isalpha() or each in " .,:;!?'-" for each in said[:200])
    return len(said) >= 8 and letters >= 0.8 * min(len(said), 200)


def _read_base64(run: str) -> str:
    if run.isalpha() and (run.islower() or run.isupper()):  # a word
        return ""
    body = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _read_hexadecimal(run: str) -> str:
    digits = re.sub(r"\\x|0x|[ :,]", "", run)
    try:
        return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8")
    except (ValueError, UnicodeDecodeError):
        return ""
