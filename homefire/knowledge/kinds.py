"""What kind of document a file is, and what language its code is in: by its name, then by its first bytes.

Promises: pure; a name never makes a binary file text: a NUL in the first bytes that is not UTF-16 says "binary".
Does not cover: what the kinds are read by (`readers/`), encodings (`decode.py`).
"""

from __future__ import annotations

# How much of a file `kind_of` wants to see.
HEAD = 4096

_CODE = {
    "python": "py pyi pyw", "javascript": "js mjs cjs jsx", "typescript": "ts mts cts", "tsx": "tsx", "c": "c h",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp inl cu cuh", "rust": "rs", "go": "go", "java": "java", "c_sharp": "cs",
    "ruby": "rb rake gemspec", "php": "php phtml", "bash": "sh bash zsh ksh", "sql": "sql", "css": "css scss sass less",
    "xml": "xml xsd xsl xslt svg plist csproj vcxproj", "yaml": "yaml yml", "toml": "toml",
    "ini": "ini cfg conf properties editorconfig", "kotlin": "kt kts", "swift": "swift", "scala": "scala sc",
    "perl": "pl pm t", "lua": "lua", "r": "r", "haskell": "hs", "elixir": "ex exs", "erlang": "erl hrl",
    "clojure": "clj cljs edn", "dart": "dart", "zig": "zig", "nim": "nim", "julia": "jl", "ocaml": "ml mli",
    "fsharp": "fs fsx", "powershell": "ps1 psm1", "batch": "bat cmd", "proto": "proto", "graphql": "graphql gql",
    "terraform": "tf hcl", "cmake": "cmake", "make": "mk", "asm": "s asm", "vue": "vue", "svelte": "svelte", "tcl": "tcl",
    "lisp": "el lisp cl scm", "groovy": "groovy gradle", "verilog": "v sv", "vhdl": "vhd vhdl", "diff": "diff patch",
}  # fmt: skip
_KINDS = {
    "text": "txt text log rst adoc asciidoc tex bib srt vtt org pod man me nfo",
    "markdown": "md markdown mdown mkd mdx qmd rmd", "html": "html htm xhtml", "pdf": "pdf", "docx": "docx docm",
    "epub": "epub", "mail": "eml", "mbox": "mbox", "csv": "csv tsv psv", "json": "json jsonl ndjson geojson webmanifest",
    "notebook": "ipynb", "webarchive": "warc mhtml mht", "image": "png jpg jpeg gif webp bmp tif tiff heic avif ico",
}  # fmt: skip
_NAMES = {
    "makefile": ("code", "make"), "gnumakefile": ("code", "make"), "dockerfile": ("code", "docker"),
    "containerfile": ("code", "docker"), "jenkinsfile": ("code", "groovy"), "cmakelists.txt": ("code", "cmake"),
    "rakefile": ("code", "ruby"), "gemfile": ("code", "ruby"), "vagrantfile": ("code", "ruby"), ".bashrc": ("code", "bash"),
    ".profile": ("code", "bash"), "readme": ("markdown", ""),
}  # fmt: skip
_SUFFIXES: dict[str, tuple[str, str]] = {
    **{suffix: ("code", language) for language, given in _CODE.items() for suffix in given.split()},
    **{suffix: (kind, "") for kind, given in _KINDS.items() for suffix in given.split()},
}
_MAGIC = (
    (b"%PDF-", "pdf"),
    (b"WARC/", "webarchive"),
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
)
_PACKED = ("docx", "epub")
_SHELLS = {"sh": "bash", "dash": "bash", "ksh": "bash", "zsh": "bash", "node": "javascript", "nodejs": "javascript"}
# Kinds that need no parser of ours written in C and no unpacking: these may be read without walls, if a person says so.
PLAIN = frozenset({"text", "markdown", "code", "csv", "json", "notebook"})


def kind_of(name: str, head: bytes) -> tuple[str, str]:
    """Kind and language ("" when it is no code) of a file with this name whose first `HEAD` bytes are these."""
    kind, language = _by_name(name)
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found, ""
    if head.startswith(b"PK\x03\x04"):
        return (kind if kind in _PACKED else _packed(head)), ""
    if head.startswith(b"\x1f\x8b"):
        return ("webarchive" if name.lower().endswith(".warc.gz") else "binary"), ""
    if kind in ("pdf", "image", *_PACKED):  # the name promises what the first bytes do not keep: its reader will say so
        return kind, ""
    if looks_binary(head):
        return "binary", ""
    return (kind, language) if kind else _by_content(head)


def looks_binary(head: bytes) -> bool:
    """Whether these first bytes are no text in any encoding that is read here."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in head:
        strange = sum(head.count(code) for code in _STRANGE)
        return b"\0" not in head and strange * 20 > len(head)
    return utf16_without_mark(head) is None


def utf16_without_mark(head: bytes) -> str | None:
    """The form of UTF-16 that Latin text without a byte order mark is in, by where its zeros stand; None if it is none."""
    half = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if half >= 8 and odd > 0.7 * half and even < 0.1 * half:
        return "utf-16-le"
    if half >= 8 and even > 0.7 * half and odd < 0.1 * half:
        return "utf-16-be"
    return None


_STRANGE = [bytes([code]) for code in (*range(1, 7), *range(14, 27), *range(28, 32), 127)]


def _by_name(name: str) -> tuple[str, str]:
    last = name.rpartition("/")[2].lower()
    if last in _NAMES:
        return _NAMES[last]
    if last.endswith(".d.ts"):
        return "code", "typescript"
    stem, dot, suffix = last.rpartition(".")
    return _SUFFIXES.get(suffix, ("", "")) if dot and stem else ("", "")


def _by_content(head: bytes) -> tuple[str, str]:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:512]
    if start.startswith(b"#!"):
        program = start.split(b"\n", 1)[0].split(b"/")[-1].decode("ascii", "replace").split()
        word = (program[1] if len(program) > 1 and program[0] == "env" else program[0] if program else "").rstrip(
            "0123456789."
        )
        word = _SHELLS.get(word, word)
        return ("code", word) if word in _CODE else ("text", "")
    lower = start.lower()
    if lower.startswith((b"<!doctype html", b"<html")):
        return "html", ""
    if lower.startswith(b"<?xml"):
        return "code", "xml"
    if start.startswith(b"<?php"):
        return "code", "php"
    if start.startswith(b"From ") and b"\nSubject:" in head:
        return "mbox", ""
    if start[:1] in b"{[" and start[1:].lstrip()[:1] in (b'"', b"{", b"[", b"}", b"]"):
        return "json", ""
    return "text", ""


def _packed(head: bytes) -> str:
    """The kind of a zip archive that its name does not tell: an EPUB begins with its type."""
    return "epub" if head[30:].startswith(b"mimetypeapplication/epub+zip") else "binary"
