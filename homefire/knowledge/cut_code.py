"""Cutting code by its syntax: a function, a method, a small class is a piece; what is larger is cut between its parts.

Promises: as `cut.py`. A definition begins a piece, with the comments and decorators that stand right above it; its label is
its name in its surroundings ("Store.write"). Without a grammar, after `SECONDS` of parsing, or for a text that is a thicket,
it is cut at blank lines and lines that are not indented.
Does not cover: what names mean; languages without a grammar here (their lines are cut as blocks).
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from homefire.knowledge.cut import CAP, lines_of, numbered, pack
from homefire.knowledge.reader import Piece

# A piece of code is closed at this size when a part ends; a definition of less than `SMALL` may share a piece.
AIM, SMALL = 1000, 160
# Parsing is given up after so many seconds of processor time.
SECONDS = 8.0
# Nodes that are looked at in one text, and how deep: beyond, what is left is cut by lines.
NODES, DEPTH = 400_000, 60

# Bash is not among them: its grammar (0.25.1) ends the process on some texts that a random search finds in a minute.
# Language -> module of its grammar and the name of the function in it.
GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "c_sharp": ("tree_sitter_c_sharp", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "php": ("tree_sitter_php", "language_php"),
}
_DEFINES = re.compile(
    r"(function|method|class|struct|interface|enum|union|trait|impl|mod|namespace|constructor|record|type)_"
    r"(definition|declaration|item|specifier|alias_declaration|signature)|decorated_definition|template_declaration|"
    r"export_statement|method|class|module|singleton_method|preproc_function_def|type_alias_declaration|"
    r"lexical_declaration|async_function_declaration|generator_function_declaration|namespace_definition|internal_module|trait_declaration"
)
_NAMES = ("name", "declarator", "type", "definition", "declaration")


def code(data: bytes, language: str) -> tuple[tuple[Piece, ...], str]:
    """Pieces of code, and a note if it was not cut by its syntax although there is a grammar."""
    if not data:
        return (), ""
    lines = lines_of(data)
    spans, note = [(0, len(data), "")], ""
    if language in GRAMMARS:
        try:
            tree = parsed(data, language)
            note = "" if tree is not None else "too slow to parse"
        except ImportError:
            tree, note = None, f"no grammar for {language} is installed"
        if tree is not None:
            spans = _grouped(data, _Walk(data).parts(tree.root_node))
    sorts = _blocks(data, lines)
    pieces: list[Piece] = []
    for start, end, label in spans:
        begin = start
        for stop in (
            pack(data, start, end, sorts, aim=AIM) if start < end else ()
        ):  # a tree may end in a node of nothing
            pieces.append(Piece(begin, stop, 0, label))
            begin = stop
    return numbered(pieces, lines), note


@lru_cache
def _parser(language: str) -> Any:
    """Raises ImportError."""
    import tree_sitter

    module, name = GRAMMARS[language]
    return tree_sitter.Parser(tree_sitter.Language(getattr(importlib.import_module(module), name)()))


def parsed(data: bytes, language: str, seconds: float = SECONDS) -> Any:
    """The syntax tree, or None when parsing took longer. Raises ImportError."""
    parser = _parser(language)
    soonest, end = time.monotonic() + seconds, time.process_time() + seconds
    view = memoryview(data)
    try:
        return parser.parse(
            lambda offset, _: bytes(view[offset : offset + 65536]),
            progress_callback=lambda *_: time.monotonic() > soonest and time.process_time() > end,
        )
    except ValueError:  # the parser gave up
        return None
    finally:
        parser.reset()


_PLAIN, _DEFINITION, _COMMENT = 0, 1, 2
_Part = tuple[int, int, str, int]


class _Walk:
    """The parts of a tree: (start, end, label, sort), in order, none larger than a piece where the tree goes on. Before the
    parts of a definition that is too large for one piece stands an empty part that opens it."""

    def __init__(self, data: bytes) -> None:
        self._data, self._left = data, NODES
        self._found: list[_Part] = []
        self._sorts: dict[int, int] = {}

    def parts(self, root: Any) -> list[_Part]:
        self._below(root, "", 0)
        return self._found

    def _below(self, node: Any, label: str, depth: int) -> None:
        add, sorts = self._found.append, self._sorts
        if node.child_count > self._left:
            add((node.start_byte, node.end_byte, label, _PLAIN))
            return
        children = node.children
        self._left -= len(children)
        for child in children:
            start, end = child.start_byte, child.end_byte
            sort = sorts.get(child.kind_id)
            if sort is None:
                sort = sorts[child.kind_id] = _sort(child)
            name = label
            if sort == _DEFINITION:
                own = self._name(child)
                name = f"{label}.{own}" if label and own else own or label
            if end - start > CAP and depth < DEPTH and child.child_count:
                if sort == _DEFINITION:
                    add((start, start, name, sort))
                self._below(child, name, depth + 1)
            else:
                add((start, end, name, sort))

    def _name(self, node: Any) -> str:
        for _ in range(6):
            inner = None
            for field in _NAMES:
                if (inner := node.child_by_field_name(field)) is not None:
                    break
            else:
                inner = node.named_child(node.named_child_count - 1) if node.named_child_count else None
            if (
                inner is None
                or (inner.end_byte - inner.start_byte < 80 and not inner.named_child_count)
                or field == "name"
            ):
                inner = node if inner is None else inner
                return self._data[inner.start_byte : min(inner.end_byte, inner.start_byte + 80)].decode(
                    "utf-8", "ignore"
                )
            node = inner
        return ""


def _sort(node: Any) -> int:
    if not node.is_named:
        return _PLAIN
    if "comment" in node.type or node.type in ("attribute_item", "decorator"):
        return _COMMENT
    return _DEFINITION if _DEFINES.fullmatch(node.type) else _PLAIN


def _grouped(data: bytes, parts: Sequence[_Part]) -> list[tuple[int, int, str]]:
    """Parts put together to spans of the right size that cover everything; comments go with what they stand above."""
    spans: list[tuple[int, int, str]] = []
    begin, last, label, named, lead = 0, 0, "", False, -1
    for start, end, name, sort in parts:
        if sort == _COMMENT and data.find(b"\n", last, start) >= 0:
            lead = start if lead < 0 else lead
            if end - lead <= AIM:
                continue
        place = start if lead < 0 else lead
        opens = sort == _DEFINITION and (end == start or end - start >= SMALL or last - begin >= AIM // 2)
        if last > begin and (opens or end - begin > CAP or last - begin >= AIM):
            newline = data.rfind(b"\n", last, place)
            cut = newline + 1 if newline >= 0 else place
            spans.append((begin, cut, label))
            begin, label, named = cut, "", False
        if not label or (sort == _DEFINITION and not named):
            label, named = name, sort == _DEFINITION
        last, lead = max(last, end), -1
    spans.append((begin, len(data), label))
    return spans


def _blocks(data: bytes, lines: Any) -> list[list[int]]:
    """Where code is cut without its syntax: before an unindented line after a blank one, after a blank line, between lines,
    words."""
    array = np.frombuffer(data, np.uint8)
    inner = lines[lines < len(data)]
    if not len(inner):
        return [[], [], [], (np.flatnonzero(array == 32) + 1).tolist() if len(data) > CAP else []]
    first = array[inner]
    gap = np.diff(inner, prepend=0)
    blank = (gap == 1) | ((gap == 2) & (array[np.maximum(inner - 2, 0)] == 13))
    flush = (first > 32) & (first != 125) & (first != 41) & (first != 93)
    words: list[int] = []
    if int(gap.max()) > CAP // 2 or len(data) - int(inner[-1]) > CAP // 2:
        words = (np.flatnonzero((array == 32) | (array == 44) | (array == 59)) + 1).tolist()
    return [inner[blank & flush].tolist(), inner[blank].tolist(), inner.tolist(), words]
