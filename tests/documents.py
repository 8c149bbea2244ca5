"""Documents of every kind, made by code: sound ones, broken ones, hostile ones.

Promises: no file of somebody else's is needed; what each holds is known.
Does not cover: what the programs that usually write these kinds add to them.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib

WORD = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{}</w:body></w:document>'
SENTENCE = "The vault code of the Oslo office is 12345."


def packed(entries: dict[str, str | bytes], *, stored: bool = False) -> bytes:
    """A zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return made.getvalue()


def docx(*paragraphs: str, heading: str = "") -> bytes:
    """A Word document."""
    body = f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>{heading}</w:t></w:r></w:p>' if heading else ""
    body += "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    return packed({"word/document.xml": WORD.format(body)})


def epub(*chapters: str, title: str = "A Book") -> bytes:
    """A book."""
    names = [f"c{number}.xhtml" for number in range(len(chapters))]
    items = "".join(f'<item id="{n}" href="text/{n}" media-type="application/xhtml+xml"/>' for n in names)
    spine = "".join(f'<itemref idref="{n}"/>' for n in names)
    return packed({
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="o/book.opf"/></rootfiles></container>',
        "o/book.opf": f'<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>{title}</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
        **{f"o/text/{name}": chapter for name, chapter in zip(names, chapters, strict=True)},
    })  # fmt: skip


def pdf(*pages: str, more: bytes = b"", trailer: str = "", deflate: bool = False) -> bytes:
    """A PDF with a page for each text, in one font; `more` objects are added as they are."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]  # fmt: skip
    streams: dict[int, bytes] = {}
    for number, text in enumerate(pages):
        objects.append("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F 3 0 R >> >> "
                       f"/Contents {5 + 2 * number} 0 R >>")  # fmt: skip
        lines = "".join(f"({line}) Tj 0 -14 Td " for line in text.split("\n"))
        content = f"BT /F 12 Tf 40 750 Td {lines}ET".encode() if text else b" "
        streams[len(objects)] = zlib.compress(content) if deflate else content
        objects.append(f"<< /Length {len(streams[len(objects)])}{' /Filter /FlateDecode' * deflate} >>")
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, text in enumerate(objects):
        places.append(len(made))
        made += f"{number + 1} 0 obj\n{text}\n".encode()
        if number in streams:
            made += b"stream\n" + streams[number] + b"\nendstream\n"
        made += b"endobj\n"
    made += more
    start = len(made)
    made += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    made += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    made += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(made)


def locked_pdf() -> bytes:
    """A PDF whose password nobody here knows."""
    lock = "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{}> /U <{}> >> /ID [<{}> <{}>]"
    return pdf("locked", trailer=lock.format("ab" * 32, "cd" * 32, "01" * 16, "01" * 16))


def mail(subject: str, body: str, *more: str) -> bytes:
    """A message; `more`: HTML bodies beside the plain one."""
    head = (
        f"From: Ann <ann@example.org>\nTo: bob@example.org\nDate: Mon, 30 Nov 2026 10:00:00 +0000\nSubject: {subject}\n"
    )
    if not more:
        return f"{head}Content-Type: text/plain; charset=utf-8\n\n{body}\n".encode()
    parts = f"--b\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
    parts += "".join(f"--b\nContent-Type: text/html; charset=utf-8\n\n{each}\n" for each in more)
    parts += "--b\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=plan.pdf\n\nxx\n--b--\n"
    return f"{head}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n{parts}".encode()


def notebook(*cells: tuple[str, str]) -> bytes:
    """A notebook of cells (kind, text)."""
    outputs = [{"output_type": "stream", "text": ["printed here\n"]}]
    made = [
        {"cell_type": kind, "source": [text], **({"outputs": outputs} if kind == "code" else {})}
        for kind, text in cells
    ]
    return json.dumps({"cells": made, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}).encode()


def warc(pages: dict[str, bytes], *, compressed: bool = False, kind: str = "text/html") -> bytes:
    """A web archive of responses."""
    made = b""
    for number, (address, body) in enumerate(pages.items()):
        answer = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {address}\r\nWARC-Date: 2026-11-30T10:00:00Z\r\n"
            f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012}>\r\n"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(answer)}\r\n\r\n"
        )
        record = head.encode() + answer + b"\r\n\r\n"
        made += gzip.compress(record) if compressed else record
    return made


def mhtml(address: str, page: str) -> bytes:
    """A page as browsers save it."""
    return (
        "From: saved\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n"
        f"--b\nContent-Type: text/html; charset=utf-8\n"
        f"Content-Location: {address}\n\n{page}\n--b--\n"
    ).encode()


PAGE = (
    "<html><head><title>Doors &amp; keys</title><style>p {}</style></head><body><h1>Doors</h1>"
    f"<p>{SENTENCE}</p><script>x()</script></body></html>"
)
SOUND: dict[str, bytes] = {
    "a.txt": SENTENCE.encode(),
    "a.md": f"# Doors\n\n{SENTENCE}\n".encode(),
    "a.py": f'def door():\n    """{SENTENCE}"""\n'.encode(),
    "a.csv": f"place,note\nOslo,{SENTENCE}\n".encode(),
    "a.json": json.dumps({"note": SENTENCE}).encode(),
    "a.ipynb": notebook(("markdown", f"# Doors\n\n{SENTENCE}"), ("code", "x = 1\n")),
    "a.html": PAGE.encode(),
    "a.pdf": pdf("First page", SENTENCE),
    "a.docx": docx(SENTENCE, heading="Doors"),
    "a.epub": epub(PAGE, "<html><body><h1>Two</h1><p>Another chapter.</p></body></html>"),
    "a.eml": mail("Doors", SENTENCE),
    "a.mbox": b"From ann\n" + mail("Doors", SENTENCE) + b"\nFrom ann\n" + mail("Keys", "Another message."),
    "a.warc": warc({"http://example.org/doors": PAGE.encode()}),
    "a.mhtml": mhtml("http://example.org/doors", PAGE),
}
