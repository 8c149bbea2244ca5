"""Notebooks (Jupyter): words and code of the cells, and the text that running them gave.

Promises: as the socket; pieces are labelled "cell N".
Does not cover: pictures and tables that cells made; formats before 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from homefire.knowledge import cut, cut_code
from homefire.knowledge.reader import BadDocument, Piece, Source, Text
from homefire.knowledge.readers.blocks import Blocks

# Of what one cell printed.
OUTPUT = 2000


class Notebook:
    """IPYNB files."""

    kinds = ("notebook",)

    def read(self, source: Source) -> Iterator[Text]:
        """Cell after cell."""
        try:
            whole = msgspec.json.decode(source.whole())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise BadDocument("document_broken", f"It is no sound JSON: {problem}.") from None
        cells = whole.get("cells") if isinstance(whole, dict) else None
        if not isinstance(cells, list):
            raise BadDocument("document_broken", "It has no cells, as a notebook of format 4 has.")
        blocks = Blocks(source.kind, code=True)
        language = _language(whole)
        for number, cell in enumerate(cells, 1):
            if isinstance(cell, dict) and (text := _joined(cell.get("source"))).strip():
                yield from _cell(blocks, f"cell {number}", cell, text.rstrip("\n"), language)
        yield from blocks.end()


def _cell(blocks: Blocks, label: str, cell: dict[str, Any], text: str, language: str) -> Iterator[Text]:
    if cell.get("cell_type") == "code":
        block = f"{text}\n{_printed(cell.get('outputs'))}\n"
        yield from blocks.add(block, lambda some: _labelled(cut_code.code(some, language)[0], label))
    else:
        yield from blocks.add(text + "\n\n", lambda some: cut.prose(some, True, label))


def _labelled(pieces: tuple[Piece, ...], label: str) -> tuple[Piece, ...]:
    return tuple(Piece(p.start, p.end, p.line, f"{label} > {p.label}" if p.label else label) for p in pieces)


def _language(whole: dict[str, Any]) -> str:
    metadata = whole.get("metadata")
    about = metadata.get("language_info") if isinstance(metadata, dict) else None
    return str(about.get("name", "python")).lower() if isinstance(about, dict) else "python"


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "".join(each for each in value if isinstance(each, str))
    return value if isinstance(value, str) else ""


def _printed(outputs: Any) -> str:
    found = []
    for output in outputs if isinstance(outputs, list) else []:
        if isinstance(output, dict):
            data = output.get("data")
            found.append(
                _joined(output.get("text")) or _joined(data.get("text/plain") if isinstance(data, dict) else None)
            )
    text = "\n".join(each for each in found if each)[:OUTPUT]
    return "".join(f"# > {line}\n" for line in text.splitlines())
