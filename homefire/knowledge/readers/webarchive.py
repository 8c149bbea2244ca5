"""Web archives: WARC (also compressed) and MHTML. Each page or file in them is a text of its own, its address the entry.

Promises: as the socket; records are read one at a time; one that is damaged or too large is left out, the archive goes on.
Does not cover: pictures, what scripts fetched in a browser but did not archive.
"""

from __future__ import annotations

import email
from collections.abc import Iterator
from urllib.parse import urlsplit

from homefire.knowledge.kinds import HEAD, kind_of
from homefire.knowledge.reader import MIB, BadDocument, Source, Text
from homefire.knowledge.readers import reader_for

# Of one record, unpacked.
RECORD = 16 * MIB
_TYPES = {"text/html": "html", "application/xhtml+xml": "html", "application/pdf": "pdf", "application/json": "json",
          "text/markdown": "markdown", "text/csv": "csv"}  # fmt: skip
_READ = frozenset({"html", "text", "markdown", "code", "csv", "json", "pdf", "notebook"})


class WebArchive:
    """WARC and MHTML."""

    kinds = ("webarchive",)

    def read(self, source: Source) -> Iterator[Text]:
        """The texts of its records."""
        warc = source.at(0, 5) == b"WARC/" or source.at(0, 2) == b"\x1f\x8b"
        for number, (address, told, data) in enumerate(_warc(source) if warc else _mhtml(source), 1):
            if number > source.bounds.entries:
                raise BadDocument("document_too_large", f"It has more than {source.bounds.entries} records.")
            name = urlsplit(address).path if "://" in address else address
            found, language = kind_of(name, data[:HEAD])
            kind = found if found in ("binary", "image", "pdf") else _TYPES.get(told, found)
            if kind not in _READ or not data.strip():
                continue
            try:
                for text in reader_for(kind).read(Source(name, kind, language, content=data, bounds=source.bounds)):
                    entry = f"{address} {text.entry}" if text.entry else address
                    yield Text(
                        text.data, text.kind, text.language, text.title, entry[:2000], text.line, text.pieces, text.windows,
                        text.notes,
                    )  # fmt: skip
            except BadDocument:  # this record; the archive goes on
                continue


def _warc(source: Source) -> Iterator[tuple[str, str, bytes]]:
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    unpacked = 0
    try:
        for record in ArchiveIterator(source.file()):
            if record.rec_type not in ("response", "resource"):
                continue
            head = record.http_headers
            if head is not None and not (head.get_statuscode() or "200").startswith("2"):
                continue
            kind = (head or record.rec_headers).get_header("Content-Type") or ""
            data = record.content_stream().read(RECORD + 1)
            unpacked += len(data)
            if unpacked > max(source.bounds.unpacked_bytes, source.bounds.ratio * source.size):
                raise BadDocument("document_too_large", "It unpacks to far more than it is: a bomb.")
            if len(data) <= RECORD:
                yield (
                    record.rec_headers.get_header("WARC-Target-URI") or "",
                    kind.partition(";")[0].strip().lower(),
                    data,
                )
    except (ArchiveLoadFailed, EOFError, ValueError, AttributeError, TypeError) as problem:
        raise BadDocument("document_broken", f"A record of it is damaged: {str(problem)[:150]}.") from None


def _mhtml(source: Source) -> Iterator[tuple[str, str, bytes]]:
    for part in email.message_from_bytes(source.whole()).walk():
        if not part.is_multipart() and isinstance(data := part.get_payload(decode=True), bytes):
            yield str(part.get("Content-Location") or part.get_filename() or ""), part.get_content_type(), data
