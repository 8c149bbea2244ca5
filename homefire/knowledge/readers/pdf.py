"""PDF by pdfium, Chromium's own reader: the words of each page.

Promises: as the socket; pieces are labelled "page N"; memory for one page's words at a time beside the file.
Does not cover: pages that are pictures (`needs_sight` when all are), forms, attachments, the order of words where the file
does not keep one.
"""

from __future__ import annotations

from collections.abc import Iterator

from homefire.knowledge.cut import prose
from homefire.knowledge.reader import BadDocument, Source, Text
from homefire.knowledge.readers.blocks import Blocks

PAGES = 50_000
# Names of pdfium's errors.
_PASSWORD, _SECURITY = 4, 5


class Pdf:
    """PDF files."""

    kinds = ("pdf",)

    def read(self, source: Source) -> Iterator[Text]:
        """The words of its pages."""
        import pypdfium2

        data = source.whole()
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as problem:
            if getattr(problem, "err_code", None) in (_PASSWORD, _SECURITY):
                raise BadDocument("document_encrypted") from None
            raise BadDocument("document_broken", str(problem)[:200]) from None
        try:
            pages, unpacked = len(document), 0
            if pages > PAGES:
                raise BadDocument("document_too_large", f"It has {pages} pages; {PAGES} is the most.")
            blocks = Blocks(source.kind, str(document.get_metadata_value("Title"))[:300])
            for number in range(pages):
                words = _words(document, number)
                unpacked += len(words)
                if unpacked > source.bounds.unpacked_bytes:
                    raise BadDocument("document_too_large", "Its pages hold more text than a document may.")
                if words.strip():
                    label = f"page {number + 1}"
                    yield from blocks.add(words, lambda some, label=label: prose(some, label=label))  # type: ignore[misc]
            yield from blocks.end()
            if not unpacked and pages:
                raise BadDocument("needs_sight", "Its pages are pictures; text in pictures is not read yet.")
        finally:
            document.close()


def _words(document: object, number: int) -> str:
    """The words of a page; "" of one that is damaged."""
    import pypdfium2

    try:
        page = document[number]  # type: ignore[index]
        try:
            text = page.get_textpage()
            try:
                found = str(text.get_text_bounded())
            finally:
                text.close()
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return ""
    # pdfium marks where a word was divided at the end of a line.
    found = found.replace("\r\n", "\n").replace("\ufffe\n", "").replace("\ufffe", "").replace("\x02\n", "")
    return found.strip("\n") + "\n\n" if found.strip() else ""
