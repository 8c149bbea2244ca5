"""The socket Reader: one suite that every plug runs, on documents made by code.

Promises: each kind gives the sentence that is in it, cut by the rules; a document cut anywhere, or with bytes turned over,
ends in texts or in BadDocument with a known code.
Does not cover: processes, walls, limits (`tests/process/test_reading.py`).
"""

from __future__ import annotations

import random

import pytest

from homefire.knowledge.kinds import HEAD, kind_of
from homefire.knowledge.reader import REASONS, BadDocument, Bounds, NullReader, Reader, Source, Text
from homefire.knowledge.readers import READERS, reader_for
from tests import documents
from tests.documents import SENTENCE, SOUND


def read(name: str, data: bytes, bounds: Bounds | None = None) -> list[Text]:
    """As the child does it: what a parser raises by itself on a bad document counts as broken."""
    kind, language = kind_of(name, data[:HEAD])
    try:
        return list(reader_for(kind).read(Source(name, kind, language, content=data, bounds=bounds)))
    except (OSError, ImportError, MemoryError):
        raise
    except BadDocument as problem:
        assert problem.code in REASONS and problem.message
        raise


def follows_the_rules(text: Text) -> None:
    data = text.data
    data.decode()
    assert b"".join(data[piece.start : piece.end] for piece in text.pieces) == data and data
    assert all(piece.line == data.count(b"\n", 0, piece.start) + 1 for piece in text.pieces)
    for window in text.windows:
        assert text.pieces[window.piece].start <= window.start < window.end <= text.pieces[window.piece].end


@pytest.mark.parametrize("name", SOUND)
def test_the_sentence_in_a_document_is_found(name: str) -> None:
    texts = read(name, SOUND[name])
    for text in texts:
        follows_the_rules(text)
    assert any(SENTENCE in " ".join(text.data.decode().split()) for text in texts)
    if name not in ("a.csv", "a.json"):
        spans = [text.data[w.start : w.end] for text in texts for w in text.windows]
        assert any(SENTENCE.rstrip(".").encode() in span for span in spans)


def test_every_kind_has_a_sound_document_here_and_its_reader_says_so() -> None:
    kinds = {kind_of(name, data[:HEAD])[0] for name, data in SOUND.items()}
    assert kinds == set(READERS)
    assert all(kind in reader_for(kind).kinds for kind in READERS)


def test_the_null_plug_reads_nothing() -> None:
    plug: Reader = NullReader()
    assert list(plug.read(Source("a.txt", "text", content=b"x"))) == []


@pytest.mark.parametrize("name", SOUND)
def test_a_document_cut_or_damaged_anywhere_ends_in_texts_or_a_known_reason(name: str) -> None:
    data, chance = SOUND[name], random.Random(7)
    damaged = [data[: chance.randrange(len(data))] for _ in range(12)]
    for _ in range(12):
        turned = bytearray(data)
        for _ in range(chance.randint(1, 20)):
            turned[chance.randrange(len(turned))] = chance.randrange(256)
        damaged.append(bytes(turned))
    for each in damaged:
        try:
            for text in read(name, each):
                follows_the_rules(text)
        except BadDocument:
            continue


PRIVATE = f"-----BEGIN PRIVATE {'KEY'}-----\nMIIEpAIBAAKCAQEA7Zr3fQ8vLw1kXb2Y9sTq5uHn4mPcRd0e\n".encode()


def refused(name: str, data: bytes, bounds: Bounds | None = None) -> str:
    with pytest.raises(BadDocument) as caught:
        read(name, data, bounds)
    return caught.value.code


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.pdf", documents.locked_pdf(), "document_encrypted"),
        ("a.pdf", b"%PDF-1.4 nothing else", "document_broken"),
        ("a.pdf", documents.pdf(""), "needs_sight"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "document_encrypted"),
        ("a.docx", b"no zip", "document_broken"),
        ("a.docx", documents.packed({"other.xml": "x"}), "document_broken"),
        ("a.docx", documents.docx(), "document_empty"),
        ("a.docx", documents.packed({"word/document.xml": "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}), "document_broken"),
        ("a.docx", documents.packed({"word/document.xml": "<a>" * 100_000}), "document_broken"),
        ("a.docx", documents.packed({"word/document.xml": b" " * 30_000_000}), "document_too_large"),
        ("a.epub", documents.packed({"META-INF/container.xml": "<container/>"}), "document_broken"),
        ("a.html", b"<script>only()</script>", "document_empty"),
        ("a.ipynb", b'{"cells": 3}', "document_broken"),
        ("a.ipynb", b"[" * 100_000, "document_broken"),
        ("a.png", b"\x89PNG....", "needs_sight"),
        ("a.bin", bytes(range(256)) * 20, "not_text"),
        ("a.txt", PRIVATE, "secret_skipped"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(name: str, data: bytes, code: str) -> None:
    assert refused(name, data) == code


def test_limits_of_one_document_are_kept() -> None:
    assert refused("a.txt", b"x" * 100, Bounds(source_bytes=99)) == "document_too_large"
    assert refused("a.html", SOUND["a.html"], Bounds(document_bytes=99)) == "document_too_large"
    assert refused("a.pdf", SOUND["a.pdf"], Bounds(unpacked_bytes=20)) == "document_too_large"
    assert refused("a.mbox", SOUND["a.mbox"], Bounds(entries=1)) == "document_too_large"
    assert (
        refused("a.warc", documents.warc({"http://x/1": b"<p>a", "http://x/2": b"<p>b"}), Bounds(entries=1))
        == "document_too_large"
    )


def test_pages_cells_and_headings_are_told_in_labels() -> None:
    (text,) = read("a.pdf", documents.pdf("First page\nwith two lines", "Second page", deflate=True))
    assert [piece.label for piece in text.pieces] == ["page 1", "page 2"]
    assert text.data.decode().split() == ["First", "page", "with", "two", "lines", "Second", "page"]
    (text,) = read("a.ipynb", SOUND["a.ipynb"])
    assert [piece.label for piece in text.pieces] == ["cell 1 > Doors", "cell 2"] and b"# > printed here" in text.data
    (text,) = read("a.docx", SOUND["a.docx"])
    assert (text.title, text.pieces[0].label) == ("Doors", "Doors")
    (text,) = read("a.epub", SOUND["a.epub"])
    assert text.title == "A Book" and b"Another chapter." in text.data


def test_entries_of_a_mailbox_and_of_an_archive_are_texts_of_their_own() -> None:
    assert [(text.entry, text.title) for text in read("a.mbox", SOUND["a.mbox"])] == [("1", "Doors"), ("2", "Keys")]
    pages = {f"http://example.org/{n}": documents.PAGE.encode() for n in range(3)}
    for compressed in (False, True):
        texts = read("a.warc.gz" if compressed else "a.warc", documents.warc(pages, compressed=compressed))
        assert [text.entry for text in texts] == list(pages) and texts[0].title == "Doors & keys"
    (text,) = read("a.mhtml", SOUND["a.mhtml"])
    assert text.entry == "http://example.org/doors"


def test_a_page_becomes_markdown_without_its_scripts() -> None:
    page = b"<h2>Use</h2><ul><li>one<li>two</ul><pre>a\n  b</pre><table><tr><td>1<td>2</table>"
    page += b"<script>var x</script><p>a <b>bold</b> word"
    (text,) = read("a.html", page)
    assert text.data.decode() == "## Use\n\n- one\n- two\n\na\n  b\n\n | 1 | 2\n\na bold word\n"


def test_mail_gives_its_plain_body_and_names_what_is_attached() -> None:
    (text,) = read("a.eml", documents.mail("=?utf-8?q?Gr=C3=B6=C3=9Fe?=", SENTENCE, "<p>html body</p>"))
    assert text.title == "Größe" and SENTENCE.encode() in text.data
    assert b"html body" not in text.data and b"Attached: plan.pdf" in text.data


def test_parts_of_a_long_document_count_lines_on() -> None:
    line = b"A line of a long file that is read in parts. \n"
    texts = read("a.txt", line * 200_000)
    assert [text.entry for text in texts] == ["part 1", "part 2", "part 3"]
    assert texts[1].line == texts[0].data.count(b"\n") + 1
