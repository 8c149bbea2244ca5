"""`homefire search` and `homefire ask`: places in what was taken in, and answers that name theirs.

Promises: each result begins with its path and line, so that other programs can open it; matches are marked on a terminal only;
what a document holds cannot move the cursor or change colours: control characters are shown as dots.
Does not cover: finding (the daemon does).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from homefire.cli.bars import has_colours, paint
from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire, ServerEvent
from homefire.errors import InvalidRequest

AT = "/homefire/v1/knowledge"
LINES = 3
AGO = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
# What a query means beside words, as `index/query.py` reads it.
OPERATORS = re.compile(r'["+*()-]')


def run(verb: str, argv: list[str]) -> int:
    """Runs the verb."""
    options = _parser(verb).parse_args(argv)
    with Homefire.connect() as home:
        return _search(options, home) if verb == "search" else _ask(options, home)


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = parser_for(verb)
    if verb == "search":
        parser.add_argument("query", nargs="+", help='words; "a phrase", pre*, +must, -not')
        how = parser.add_mutually_exclusive_group()
        modes = ("all", "words", "meaning", "pattern")
        how.add_argument("--mode", choices=modes, help="how to look (all: words and meaning)")
        how.add_argument("--regex", action="store_true", help="the query is a regular expression")
        how.add_argument("--literal", action="store_true", help="the query is a plain string, punctuation and all")
        parser.add_argument("--case", action="store_true", help="with --regex and --literal: mind upper and lower case")
        parser.add_argument("--rerank", action="store_true", help="let an installed reranker read the best ones")
        parser.add_argument("--explain", action="store_true", help="say why each result is where it is")
        parser.add_argument("--limit", type=int, default=10, help="results (10)")
    else:
        parser.add_argument("question", nargs="+", help="what you want to know")
        parser.add_argument("--model", help="who reads and answers (default: the model of the role main)")
        parser.add_argument("--limit", type=int, default=8, help="passages to look for (8)")
    parser.add_argument("--in", dest="collections", action="append", metavar="NAME", help="only in this one; repeat it")
    parser.add_argument("--path", metavar="GLOB", help="only documents whose path fits, such as 'src/*.py'")
    parser.add_argument("--kind", help="only this kind: text, markdown, code, html, pdf, mail, ...")
    parser.add_argument("--language", help="only code in this language, such as python")
    parser.add_argument("--since", metavar="WHEN", help="only what changed since: 2026-01-31, or 7d, 12h")
    parser.add_argument("--until", metavar="WHEN", help="only what changed until then")
    return parser


def narrowed(options: argparse.Namespace) -> dict[str, Any]:
    """The fields that narrow a search."""
    now = time.time()
    given = {
        "collections": options.collections,
        "path": options.path,
        "kind": options.kind,
        "language": options.language,
        "since": moment(options.since, now) if options.since else None,
        "until": moment(options.until, now, end=True) if options.until else None,
    }
    return {name: value for name, value in given.items() if value}


def moment(text: str, now: float, *, end: bool = False) -> float:
    """A date, a date with a time, or how long ago, in Unix seconds; with `end` a bare date means its last moment. Raises
    InvalidRequest."""
    if ago := re.fullmatch(r"(\d{1,5})([hdw])", text):
        return now - int(ago[1]) * AGO[ago[2]]
    try:
        found = datetime.fromisoformat(text)
        if end and len(text) <= len("2026-01-31"):
            found += timedelta(days=1)
        return found.timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidRequest(f"{text[:40]!r} is no date.", "Write 2026-01-31, 2026-01-31T18:00, 7d or 12h.") from None


def _search(options: argparse.Namespace, home: Homefire) -> int:
    query = " ".join(options.query)
    mode = "pattern" if options.regex or options.literal else options.mode or "all"
    fields: dict[str, Any] = {"mode": mode, "limit": options.limit, "explain": options.explain, **narrowed(options)}
    if options.rerank:
        fields["rerank"] = True
    if mode == "pattern":
        fields |= {"literal": options.literal, "ignore_case": not options.case}
    found = home.search(query, **fields)
    if options.json:
        print_json(found)
        return 0
    colours, width = has_colours(sys.stdout), max(40, shutil.get_terminal_size().columns)
    marks = marks_of(query, mode, literal=options.literal, ignore_case=not options.case)
    for row in found["results"]:
        print("\n".join(shown(row, marks, colours=colours, width=width)))
        if options.explain:
            print(f"    {json.dumps(row['why'], ensure_ascii=False)}")
    for note in found["notes"]:
        print(f"({plain(note)})", file=sys.stderr)
    if not found["results"]:
        print("Nothing was found.", file=sys.stderr)
    return 0


def shown(row: dict[str, Any], marks: re.Pattern[str] | None, *, colours: bool, width: int) -> list[str]:
    """A result as lines: where it is, what the place is called, and what stands there."""
    lines, best = row["text"].split("\n"), row["line"] - row["first_line"]
    head = paint(f"{plain(row['path'])}:{row['line']}", "green", colours)
    label = f"  {paint(plain(row['label']), 'grey', colours)}" if row["label"] else ""
    also = f"  (also {', '.join(map(plain, row['also'][:3]))})" if row["also"] else ""
    room = [text for text in lines[best : best + LINES] if text.strip()]
    return [
        f"{head}{label}  [{row['collection']}]{also}",
        *(f"    {_cut(text, marks, width - 4, colours)}" for text in room),
    ]


def marks_of(query: str, mode: str, *, literal: bool, ignore_case: bool) -> re.Pattern[str] | None:
    """What to mark in results; None: nothing."""
    if mode == "pattern":
        try:
            return re.compile(re.escape(query) if literal else query, re.IGNORECASE if ignore_case else 0)
        except re.error:
            return None
    words = sorted(
        {re.escape(word) for word in OPERATORS.sub(" ", query).split() if len(word) > 1}, key=len, reverse=True
    )
    return re.compile("|".join(words), re.IGNORECASE) if words else None


def _cut(text: str, marks: re.Pattern[str] | None, width: int, colours: bool) -> str:
    """One line, as much as fits around its first match."""
    text = plain(text.strip())
    first = marks.search(text) if marks else None
    start = max(0, first.start() - width // 3) if first is not None and len(text) > width else 0
    text = ("..." if start else "") + text[start : start + width]
    if not colours or marks is None:
        return text
    return marks.sub(lambda match: paint(match[0], "yellow", match[0] != ""), text)


def _ask(options: argparse.Namespace, home: Homefire) -> int:
    fields = {"limit": options.limit, **({"model": options.model} if options.model else {}), **narrowed(options)}
    answer = Asked()
    with contextlib.closing(home.ask_about(" ".join(options.question), **fields)) as events:  # type: ignore[type-var]
        try:
            for event in events:
                if (said := answer.hear(event)) and not options.json:
                    sys.stdout.write(said)
                    sys.stdout.flush()
        except KeyboardInterrupt:
            print("\n(stopped)", file=sys.stderr)
            return 130
    if options.json:
        print_json(answer.whole())
        return 0
    print("\n" + "\n".join(answer.sources()))
    for note in answer.notes():
        print(f"({plain(note)})", file=sys.stderr)
    return 0


class Asked:
    """An answer, from its events."""

    def __init__(self) -> None:
        self._passages: dict[str, Any] = {"passages": [], "withheld": 0, "notes": []}
        self._text = ""
        self._sentences: dict[int, str] = {}
        self._end: dict[str, Any] = {}

    def hear(self, event: ServerEvent) -> str:
        """The next event; what of it is to be read now."""
        said = ""
        match event.name:
            case "passages":
                self._passages = event.data
            case "token":
                said = event.data["text"]
            case "citation":
                said = event.data["text"]
                self._sentences[event.data["n"]] = event.data.get("sentence") or ""
            case "quote":
                said = f'"{event.data["text"]}" [{event.data["n"]}]'
            case "done":
                self._end = event.data
        self._text += said
        return _lines(said)

    def sources(self) -> list[str]:
        """The passages that are cited, as a list."""
        cited = set(self._end.get("cited", ()))
        rows = [row for row in self._passages["passages"] if row["n"] in cited]
        lines = [f"  [{row['n']}] {plain(row['path'])}:{row['line']}  {plain(row['label'])}".rstrip() for row in rows]
        return ["", *lines] if lines else []

    def notes(self) -> list[str]:
        """What a person should know of it beside."""
        found = list(self._passages["notes"])
        if self._passages["withheld"]:
            found.append(f"{self._passages['withheld']} passages were kept back by the policy.")
        if self._end.get("removed"):
            found.append(f"{self._end['removed']} citations did not hold and were left out.")
        if self._end.get("unsupported"):
            found.append(f"{len(self._end['unsupported'])} sentences stand in no passage.")
        if self._end.get("quoted"):
            found.append("The model gave no answer that holds; this is the nearest sentence, as it stands.")
        return found

    def whole(self) -> dict[str, Any]:
        """As one object."""
        return {"answer": self._text.strip(), **self._passages, **self._end}


def _lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))


def plain(text: str) -> str:
    """Text of somebody else on a terminal: without what would steer it."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "." for letter in text)
