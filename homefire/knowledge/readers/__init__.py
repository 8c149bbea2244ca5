"""The readers, one file a family of kinds. Each is a plug of the socket `reader.Reader`.

Promises: importing this loads none of them: what a reader needs is loaded when its first document comes.
Does not cover: which kind a file is (`kinds.py`).
"""

from __future__ import annotations

import importlib
from functools import lru_cache

from homefire.knowledge.reader import BadDocument, Reader

# Kind -> module here and the class in it.
READERS = {
    "text": ("plain", "Prose"),
    "markdown": ("plain", "Prose"),
    "code": ("plain", "Code"),
    "csv": ("plain", "Rows"),
    "json": ("plain", "Json"),
    "notebook": ("notebook", "Notebook"),
    "html": ("page", "Page"),
    "pdf": ("pdf", "Pdf"),
    "docx": ("docx", "Docx"),
    "epub": ("epub", "Epub"),
    "mail": ("mail", "Mail"),
    "mbox": ("mail", "Mbox"),
    "webarchive": ("webarchive", "WebArchive"),
}


@lru_cache
def reader_for(kind: str) -> Reader:
    """The reader of this kind. Raises BadDocument where there is none."""
    if kind == "image":
        raise BadDocument("needs_sight")
    if kind not in READERS:
        raise BadDocument("not_text")
    module, name = READERS[kind]
    made: Reader = getattr(importlib.import_module(f"{__name__}.{module}"), name)()
    return made
