"""E-mail: one message a file (EML), or a mailbox (mbox) of any size, each message a text of its own.

Promises: as the socket; a mailbox is read as it comes, one message in memory; a message that is nonsense gives what can be
read of it.
Does not cover: what is attached but text (its name is told), encrypted and signed messages beyond what stands in them openly.
"""

from __future__ import annotations

import email
import email.errors
import email.header
from collections.abc import Iterator
from email.message import Message

from homefire.knowledge.reader import MIB, BadDocument, Source, Text
from homefire.knowledge.readers.page import decoded, markdown_of
from homefire.knowledge.readers.plain import texts_of

# Of one message in a mailbox; what is beyond is left out.
MESSAGE = 32 * MIB
_PARTS = 1000


class Mail:
    """EML files."""

    kinds = ("mail",)

    def read(self, source: Source) -> Iterator[Text]:
        """Head and body."""
        yield from message(source.whole(), source.kind)


class Mbox:
    """Mailboxes."""

    kinds = ("mbox",)

    def read(self, source: Source) -> Iterator[Text]:
        """Each message, its number being the entry."""
        for number, data in enumerate(_messages(source), 1):
            if number > source.bounds.entries:
                raise BadDocument("document_too_large", f"It has more than {source.bounds.entries} messages.")
            yield from message(data, "mail", str(number))


def message(data: bytes, kind: str, entry: str = "") -> Iterator[Text]:
    """The texts of one message."""
    parsed = email.message_from_bytes(data)
    subject = _header(parsed, "Subject")
    lines = [f"{name}: {value}" for name in ("Subject", "From", "To", "Cc", "Date") if (value := _header(parsed, name))]
    bodies, attached = _bodies(parsed)
    lines += [f"Attached: {name}" for name in attached[:100]]
    text = "\n".join(lines) + "\n\n" + "\n\n".join(bodies).strip() + "\n"
    if text.strip():
        yield from texts_of(text, kind, title=subject, entry=entry)


def _messages(source: Source) -> Iterator[bytes]:
    lines: list[bytes] = []
    size, blank, began = 0, True, False
    with source.file() as file:
        while line := file.readline(MIB):
            if blank and line.startswith(b"From "):
                if began:
                    yield b"".join(lines)
                lines, size, began = [], 0, True
                blank = False
                continue
            began = True
            blank = line in (b"\n", b"\r\n")
            if size < MESSAGE:
                lines.append(line.removeprefix(b">") if line.startswith(b">From ") else line)
                size += len(line)
    if began:
        yield b"".join(lines)


def _header(parsed: Message, name: str) -> str:
    raw = str(parsed.get(name, ""))[:4000]
    try:
        parts = email.header.decode_header(raw)
    except (email.errors.MessageError, ValueError):
        return " ".join(raw.split())
    found = [part if isinstance(part, str) else _text(part, charset or "") for part, charset in parts]
    return " ".join("".join(found).split())


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset or "utf-8", "replace" if charset else "strict")
    except (LookupError, ValueError):
        return decoded(data)


def _bodies(parsed: Message) -> tuple[list[str], list[str]]:
    """The texts in a message (plain rather than HTML where both are given), and the names of what else is attached."""
    bodies: list[str] = []
    attached: list[str] = []
    plain = False
    for number, part in enumerate(parsed.walk()):
        if number > _PARTS or part.is_multipart():
            continue
        kind, name = part.get_content_type(), part.get_filename()
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        charset = part.get_content_charset() or ""
        if name and not kind.startswith("text/"):
            attached.append(str(name)[:200])
        elif kind == "text/html":
            if not plain:
                bodies.append(markdown_of(decoded(data, charset))[0])
        elif kind.startswith("text/"):
            plain = plain or not name
            bodies.append(_text(data, charset).replace("\r\n", "\n"))
    return bodies, attached
