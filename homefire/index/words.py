"""The index of words: one tantivy index in a folder, one writer, any number of readers.

Text is lower-cased and stemmed (English); identifiers are split before (`identifiers.py`), so `getUserName` is three words in a
row: each part finds it, and the whole is a phrase of its parts. A chunk's name (its path, heading or symbol) is a field of its
own: it is short, so that a word in it counts more. The text itself is not stored.

Promises: `commit` is durable and carries a mark, which tells the owner after a crash how far the index is; a writer that was
killed leaves the last commit and no lock; any string is a query. `check` sees a changed byte in what any file of the index holds.
Does not cover: other languages' stemming (their words are found as they are written; Chinese and Japanese by characters in a
row), typing errors, and what exists: rows beyond the truth are removed by the owner (`remove_from`).
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homefire.errors import DiskFull, IndexBusy, IndexDamaged, InvalidRequest
from homefire.index.hits import GROUP_BITS, Groups, Hit
from homefire.index.identifiers import split_identifiers
from homefire.index.packages import needed
from homefire.index.query import MAX_QUERY, STOP_WORDS, Atom, parse
from homefire.paths import from_os

np = needed("numpy")
tantivy = needed("tantivy")

HEAP_BYTES = 128 << 20
FULL_BYTES = 64 << 20
# A name is short, so a word in it counts more already; 1.5 and 2.5 lost functions in a test of 1,000 docstrings.
NAME_WEIGHT, PHRASE_WEIGHT = 1.0, 2.0
# A word of more bytes than this is data (a key, an image), not text; 128 is a sha512 in hexadecimal.
LONGEST_WORD = 128
# A prefix is looked up as the words it stands for; where there are more of them, as a pattern without their weights.
PREFIX_WORDS = 200
# So few texts are a condition of the query itself (about 1 µs each); more are filtered from what is found, which is asked for
# again with more places until enough is left.
FEW_GROUPS, MORE_PLACES = 4096, 4
FIELDS = ("body", "name")
_MAGIC = (1337).to_bytes(4, "little")
_FOOTER = re.compile(rb'\{"version":\{(?:"[a-z_]+":\d+,?)+\},"crc":(\d+)\}')
_ENDINGS = ("ing", "ings", "ed", "es", "er", "ers", "ation", "ations", "ness", "ment", "ly", "able", "ability")


@dataclass(frozen=True, slots=True)
class WordRow:
    """A chunk: its number, the group (text) it is removed with, its bytes, and its name (path, heading, symbol)."""

    id: int
    group: int
    text: bytes
    name: str = ""


def _analyzer() -> Any:
    kept = tantivy.Filter
    simple = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(kept.remove_long(LONGEST_WORD + 1))
    return simple.filter(kept.lowercase()).filter(kept.stemmer("english")).build()


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("id", fast=True)
    builder.add_unsigned_field("group", indexed=True)
    # One document carries the mark of the last commit and nothing else.
    builder.add_unsigned_field("mark", indexed=True, fast=True)
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name="homefire", index_option="position")
    return builder.build()


@contextlib.contextmanager
def _seen(folder: Path) -> Iterator[None]:
    """What tantivy raises, as the error tree says it."""
    try:
        yield
    except OSError as problem:
        raise from_os(problem, folder) from problem
    except ValueError as problem:
        if "LockBusy" in str(problem):
            raise IndexBusy(f"Another process writes the index in {folder}.") from problem
        if "No space left" in str(problem) or ("was killed" in str(problem) and _full(folder)):
            raise DiskFull(f"The disk of {folder} is full.") from problem
        raise IndexDamaged(f"The index of words in {folder} cannot be used: {problem}") from problem
    except BaseException as problem:  # a panic of the library derives from no narrower class
        if type(problem).__name__ == "PanicException":
            raise IndexDamaged(f"The index of words in {folder} cannot be read: {problem}") from problem
        raise


def _full(folder: Path) -> bool:
    # A thread of tantivy that could not write takes the reason with it.
    return shutil.disk_usage(folder).free < FULL_BYTES


def _opened(folder: Path, make: bool) -> Any:
    index = tantivy.Index(_schema(), path=str(folder)) if make else tantivy.Index.open(str(folder))
    index.register_tokenizer("homefire", _analyzer())  # not kept in the folder: without it every call raises
    index.config_reader("manual")  # else a thread of each index watches its folder
    return index


def _mark_of(searcher: Any) -> int:
    found = searcher.search(tantivy.Query.exists_query("mark"), 1, count=False).hits
    values = searcher.fast_field_values("mark", [address for _, address in found])
    return int(values[0]) if values else 0


class WordsWriter:
    """The one writer of an index; makes the folder where there is none. Raises IndexBusy, IndexDamaged, DiskFull."""

    def __init__(self, folder: Path, *, heap_bytes: int = HEAP_BYTES, threads: int = 1) -> None:
        """`heap_bytes` (15 MiB a thread at least) is held until it is full or a commit comes."""
        self._folder = folder
        with _seen(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._index = _opened(folder, make=True)
            self._writer = self._index.writer(heap_bytes, threads)
            self._writer.garbage_collect_files()  # what a killed writer or a full disk left
            self._schema = self._index.schema
            self._index.reload()
            self.mark = _mark_of(self._index.searcher())

    def add(self, rows: Sequence[WordRow]) -> None:
        """Adds rows; nobody finds them before `commit`. Batches of some hundred are quickest."""
        bodies = split_identifiers([row.text for row in rows])
        names = split_identifiers([row.name.encode("utf-8", "surrogateescape") for row in rows])
        with _seen(self._folder):
            for row, body, name in zip(rows, bodies, names, strict=True):
                document = tantivy.Document()
                document.add_unsigned("id", row.id)
                document.add_unsigned("group", row.group)
                document.add_text("body", body)
                document.add_text("name", name)
                self._writer.add_document(document)

    def remove_groups(self, groups: Sequence[int]) -> None:
        """Removes all rows of these groups, those added since the last commit too."""
        if len(groups):
            # By query: deleting by an unsigned term removes nothing and says nothing.
            self._remove(tantivy.Query.term_set_query(self._schema, "group", [int(group) for group in groups]))

    def remove_from(self, group: int) -> None:
        """Removes all rows of `group` and of every later one: what a crash left beyond the truth."""
        self._remove(self._range("group", group))

    def commit(self, mark: int) -> None:
        """Makes all of it durable, under this mark."""
        with _seen(self._folder):
            self._writer.delete_documents_by_query(self._range("mark", 0))
            document = tantivy.Document()
            document.add_unsigned("mark", mark)
            self._writer.add_document(document)
            self._writer.commit()
        self.mark = mark

    def close(self) -> None:
        """Ends the writer; what was not committed is gone."""
        with _seen(self._folder):
            self._writer.rollback()
            self._writer.wait_merging_threads()
        del self._writer

    def _range(self, field: str, lowest: int) -> Any:
        return tantivy.Query.range_query(self._schema, field, tantivy.FieldType.Unsigned, lower_bound=lowest)

    def _remove(self, query: Any) -> None:
        with _seen(self._folder):
            self._writer.delete_documents_by_query(query)


class Words:
    """Searching an index of words, from any thread. A folder that is missing or empty finds nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._analyze = _analyzer().analyze
        self._lock = threading.Lock()
        self._index: Any = None
        self._searcher: Any = None
        self.reload()

    def reload(self) -> int:
        """Sees the writer's last commit from now on and returns its mark (0: there is none). Raises IndexDamaged."""
        with self._lock, _seen(self._folder):
            if self._index is None:
                if not (self._folder / "meta.json").exists():
                    return 0
                self._index = _opened(self._folder, make=False)
            self._index.reload()
            self._searcher = self._index.searcher()
            return _mark_of(self._searcher)

    def search(self, query: str, limit: int, allowed: Groups | None = None) -> list[Hit]:
        """The best chunks for a query, best first; `allowed` are the groups that may be found. Raises InvalidRequest for a
        query of more than MAX_QUERY characters, and IndexDamaged."""
        if len(query) > MAX_QUERY:
            raise InvalidRequest(f"The query has {len(query)} characters; {MAX_QUERY} are allowed.", "Shorten it.")
        searcher = self._searcher
        if searcher is None or limit < 1 or (allowed is not None and not len(allowed)):
            return []
        with _seen(self._folder):
            built = _Built(searcher, self._index.schema, self._analyze).query(parse(query))
            if built is None:
                return []
            if allowed is not None and len(allowed) <= FEW_GROUPS:
                built, allowed = self._among(built, allowed), None
            return self._found(searcher, built, limit, allowed)

    def check(self) -> list[str]:
        """Names of the index's files whose bytes are not those that were written. Reads everything; not while it is written."""
        if not (self._folder / "meta.json").exists():
            return []
        try:
            segments = json.loads((self._folder / "meta.json").read_bytes())["segments"]
            files = [file for segment in segments for file in _files(self._folder, segment)]
        except (ValueError, TypeError, KeyError):
            return ["meta.json"]
        return [file.name for file in files if _changed(file)]

    def _among(self, query: Any, allowed: Groups) -> Any:
        terms = tantivy.Query.term_set_query(self._index.schema, "group", [int(group) for group in allowed])
        must = tantivy.Occur.Must
        return tantivy.Query.boolean_query([(must, query), (must, tantivy.Query.const_score_query(terms, 0.0))])

    def _found(self, searcher: Any, query: Any, limit: int, allowed: Groups | None) -> list[Hit]:
        asked = limit if allowed is None else limit * MORE_PLACES
        while True:
            # Without counting, texts that cannot reach the best are skipped.
            found = searcher.search(query, asked, count=False).hits
            ids = searcher.fast_field_values("id", [address for _, address in found])
            kept = [Hit(int(number), score) for (score, _), number in zip(found, ids, strict=True)]
            if allowed is not None:
                groups = np.array([hit.id for hit in kept], np.uint64) >> np.uint64(GROUP_BITS)
                kept = [hit for hit, good in zip(kept, _in_sorted(groups, allowed), strict=True) if good]
            if len(kept) >= limit or len(found) < asked:
                return sorted(kept, key=lambda hit: (-hit.score, hit.id))[:limit]
            asked *= MORE_PLACES


class _Built:
    """A query for tantivy out of atoms. Words stand side by side at the top, where the library can skip texts."""

    def __init__(self, searcher: Any, schema: Any, analyze: Any) -> None:
        self._searcher, self._schema, self._analyze = searcher, schema, analyze
        self._should: dict[Any, Any] = {}

    def query(self, atoms: Sequence[Atom]) -> Any:
        """None if nothing could match: no atom that asks for something."""
        must: list[Any] = []
        must_not: list[Any] = []
        for atom in atoms:
            if not atom.sign:
                self._wish(atom)
            elif (wanted := self._either(atom)) is not None:
                (must if atom.sign == "+" else must_not).append(wanted)
        if not must and not self._should:
            return None
        occur = tantivy.Occur
        clauses = [(occur.Should, query) for query in self._should.values()]
        clauses += [(occur.Must, query) for query in must] + [(occur.MustNot, query) for query in must_not]
        return tantivy.Query.boolean_query(clauses)

    def _tokens(self, text: str) -> list[str]:
        tokens: list[str] = self._analyze(split_identifiers([text.encode("utf-8", "replace")])[0])
        return tokens

    def _wish(self, atom: Atom) -> None:
        """Adds an atom that need not be there. The parts of an identifier count one by one, the whole more."""
        tokens = self._tokens(atom.text)
        if atom.kind == "prefix":
            for field in FIELDS:
                self._should[atom.text, field] = self._prefix(field, atom.text, tokens)
            self._should = {key: query for key, query in self._should.items() if query is not None}
            return
        for field in FIELDS:
            if len(tokens) > 1:
                phrase = tantivy.Query.phrase_query(self._schema, field, tokens)
                self._should[tuple(tokens), field] = tantivy.Query.boost_query(phrase, PHRASE_WEIGHT)
            if len(tokens) == 1 or atom.kind == "word":
                for token in [token for token in tokens if token not in STOP_WORDS] or tokens:
                    self._should[token, field] = self._term(field, token)

    def _either(self, atom: Atom) -> Any:
        """An atom that must or must not be there: whole, in one of the fields."""
        tokens = self._tokens(atom.text)
        if not tokens:
            return None
        queries = []
        for field in FIELDS:
            if atom.kind == "prefix":
                queries.append(self._prefix(field, atom.text, tokens))
            elif len(tokens) > 1:
                queries.append(tantivy.Query.phrase_query(self._schema, field, tokens))
            else:
                queries.append(self._term(field, tokens[0]))
        found = [(tantivy.Occur.Should, query) for query in queries if query is not None]
        return tantivy.Query.boolean_query(found) if found else tantivy.Query.empty_query()

    def _term(self, field: str, token: str) -> Any:
        query = tantivy.Query.term_query(self._schema, field, token)
        return tantivy.Query.boost_query(query, NAME_WEIGHT) if field == "name" else query

    def _prefix(self, field: str, text: str, tokens: list[str]) -> Any:
        """Words that begin so; of an identifier its last part does. None if there is no such word."""
        plain = split_identifiers([text.encode("utf-8", "replace")])[0].lower().split()
        last = "".join(letter for letter in plain[-1] if letter.isalnum()) if plain else ""
        if len(tokens) > 1:
            return tantivy.Query.phrase_prefix_query(self._schema, field, [*tokens[:-1], last or tokens[-1]])
        if not last:
            return None
        words = {word for word, _ in self._searcher.terms_with_prefix(field, last, limit=PREFIX_WORDS)}
        if len(words) >= PREFIX_WORDS:
            return tantivy.Query.regex_query(self._schema, field, f"{last}.*")
        # The dictionary holds stems: "runni" begins no stem, but "running" begins with it and has the stem "run".
        for ending in _ENDINGS:
            for cut in range(1, len(ending)):
                if last.endswith(ending[:cut]):
                    words |= set(self._analyze(last[:-cut] + ending))
        terms = [(tantivy.Occur.Should, self._term(field, word)) for word in sorted(words)]
        return tantivy.Query.boolean_query(terms) if terms else None


def _in_sorted(values: Any, allowed: Groups) -> Any:
    """Which values stand in the sorted array."""
    allowed = np.asarray(allowed, np.uint64)
    places = np.minimum(np.searchsorted(allowed, values), len(allowed) - 1)
    return allowed[places] == values


def _files(folder: Path, segment: dict[str, Any]) -> list[Path]:
    """The files of a segment; what a killed writer left of others is in nobody's way."""
    number = segment["segment_id"].replace("-", "")
    deletes = segment.get("deletes")
    gone = {f"{number}.{deletes['opstamp']}.del"} if deletes else set()
    return [folder / name for name in sorted({file.name for file in folder.glob(f"{number}.*[!l]")} | gone)]


def _changed(file: Path) -> bool:
    """Whether a file's bytes miss the checksum in its footer: JSON with the CRC, its length, a magic number."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return True
    length = int.from_bytes(data[-8:-4], "little")
    footer = _FOOTER.fullmatch(data[-8 - length : -8]) if data[-4:] == _MAGIC else None
    return footer is None or int(footer[1]) != zlib.crc32(memoryview(data)[: -8 - length])
