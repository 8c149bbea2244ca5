"""The web: one page fetched, one search asked; off until a person grants it.

    URL -> read once -> its name resolved once, all addresses public -> that address dialled -> TLS by the name -> GET -> text

Promises: only what `safety/egress.py` lets through is dialled; a redirect to another host is not followed but told, so that the
boundary judges it anew; at most 10 MB and 30 seconds; no cookie, no key, no referrer is sent; all that comes is labelled `web`.
Does not cover: scripts of a page, proxies of the system, what a search engine keeps of a question.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from homefire.agent.tool import Context, Outcome
from homefire.agent.tools.plain import PlainTool, declared, failed, told
from homefire.errors import AddressRefused
from homefire.safety.addresses import read_url
from homefire.safety.egress import Dial, Egress, Resolve, Target

MOST_BYTES, MOST_HEAD, MOST_REDIRECTS, SECONDS = 10 * 10**6, 64 * 1024, 5, 30.0
MOST_HITS = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. `moved` is where a redirect leads that was not followed."""

    status: int
    kind: str
    body: bytes
    url: str
    moved: str = ""


class BadAnswer(ValueError):
    """Not an HTTP answer, or one that is too large."""


class Web:
    """An HTTP client that dials only what the proxy of a sandbox would. `resolve` and `dial` are for tests."""

    def __init__(
        self, resolve: Resolve | None = None, dial: Dial | None = None, trust: ssl.SSLContext | None = None
    ) -> None:
        self._resolve = resolve
        self._dial = dial
        self._trust = trust

    async def get(self, url: str) -> Answer:
        """One GET, redirects on the same host followed. Raises AddressRefused, BadAnswer, OSError, TimeoutError."""
        async with asyncio.timeout(SECONDS):
            for _ in range(MOST_REDIRECTS + 1):
                answer = await self._once(url)
                if not answer.moved:
                    return answer
                if read_url(answer.moved).host != read_url(url).host:
                    return answer
                if url.startswith("https:") and answer.moved.startswith("http:"):
                    return answer
                url = answer.moved
        raise BadAnswer(f"more than {MOST_REDIRECTS} redirects")

    async def _once(self, text: str) -> Answer:
        url = read_url(text)
        target = Target(url.host, url.port)
        place = f"[{target.host}]" if ":" in target.host else target.host
        egress = Egress((f"{place}:{target.port}",), self._resolve, self._dial)
        reader, writer = await egress.connect(target)
        try:
            if url.scheme == "https":
                await writer.start_tls(self._trust or ssl.create_default_context(), server_hostname=url.host)
            path = url.rest if url.rest.startswith("/") else f"/{url.rest}"
            host = place if url.port in (80, 443) else f"{place}:{url.port}"
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Homefire\r\nAccept: text/html, text/plain, */*\r\n"
                "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            await writer.drain()
            return await _read_answer(reader, url.url)
        finally:
            writer.close()


def web_tools(web: Web, search_url: str) -> list[PlainTool]:
    """web_fetch, web_search. `search_url` holds {query}; "": there is no search."""

    async def get(url: str) -> Answer | Outcome:
        try:
            return await web.get(url)
        except AddressRefused:
            raise
        except TimeoutError:
            return failed("web_timeout", "The server did not answer in time.")
        except (OSError, BadAnswer, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            return failed(
                "web_failed", f"The page could not be fetched: {str(problem)[:200] or type(problem).__name__}."
            )

    async def fetch(arguments: Mapping[str, Any], context: Context) -> Outcome:
        answer = await get(arguments["url"])
        if isinstance(answer, Outcome):
            return answer
        if answer.moved:
            return failed("moved", f"The page has moved to {answer.moved} ; fetch that address if it is wanted.")
        if answer.status >= 400:
            return failed("http_error", f"The server answers {answer.status}.")
        return _page(answer)

    async def search(arguments: Mapping[str, Any], context: Context) -> Outcome:
        if "{query}" not in search_url:
            return failed(
                "not_available", "No search engine is set. A person can name one in the setting agent_search_url."
            )
        answer = await get(search_url.replace("{query}", urllib.parse.quote(arguments["query"][:1000])))
        if isinstance(answer, Outcome):
            return answer
        if answer.moved or answer.status >= 400:
            return failed("http_error", f"The search engine answers {answer.status}.")
        hits = _hits(answer.body)
        if hits is None:
            return _page(answer)
        return Outcome("ok", told(hits)) if hits else Outcome("empty", "Nothing was found.")

    return [
        PlainTool(declared("web_search", "read", source="web", way_out=True), search, seconds=SECONDS + 5),
        PlainTool(declared("web_fetch", "read", source="web", addresses=("url",)), fetch, seconds=SECONDS + 5),
    ]


def text_of(html: str) -> str:
    """The words of a page, a line for each block; titles and the addresses of links stay."""
    parser = _Words()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line)


def _page(answer: Answer) -> Outcome:
    kind = answer.kind.partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml", ""):
        text = text_of(answer.body.decode(_charset(answer.kind), "replace"))
        return Outcome("ok", text) if text else Outcome("empty", "The page holds no text.")
    if kind.startswith("text/") or kind.endswith(("json", "xml")):
        return Outcome("ok", answer.body.decode(_charset(answer.kind), "replace"))
    return Outcome("ok", answer.body) if answer.body else Outcome("empty", "There was nothing.")


def _hits(body: bytes) -> list[dict[str, str]] | None:
    """Results in the form of SearXNG (`results`: title, url, content), None if it is not that."""
    try:
        rows = json.loads(body)["results"]
        return [{k: str(row.get(n, ""))[:400] for k, n in (("title", "title"), ("url", "url"), ("text", "content"))}
                for row in rows[:MOST_HITS]]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _charset(kind: str) -> str:
    name = kind.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    return name if name in ("iso-8859-1", "latin-1", "windows-1252", "utf-16", "iso-8859-15") else "utf-8"


async def _read_answer(reader: asyncio.StreamReader, url: str) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:MOST_HEAD].decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise BadAnswer("not an HTTP answer")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    status = int(words[1])
    if status in (301, 302, 303, 307, 308) and "location" in fields:
        moved = urllib.parse.urljoin(url, fields["location"])
        return Answer(status, "", b"", url, read_url(moved).url)
    if fields.get("content-encoding", "identity").lower() != "identity":
        raise BadAnswer("the answer is packed although that was not asked for")
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        length = fields.get("content-length", "")
        body = await _upto(reader, int(length) if length.isdigit() else None)
    return Answer(status, fields.get("content-type", ""), body, url)


async def _upto(reader: asyncio.StreamReader, wanted: int | None) -> bytes:
    if wanted is not None and wanted > MOST_BYTES:
        raise BadAnswer(f"the page is larger than {MOST_BYTES // 10**6} MB")
    if wanted is not None:
        return await reader.readexactly(wanted)
    parts, size = list[bytes](), 0
    while piece := await reader.read(65536):
        size += len(piece)
        if size > MOST_BYTES:
            raise BadAnswer(f"the page is larger than {MOST_BYTES // 10**6} MB")
        parts.append(piece)
    return b"".join(parts)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts, size = list[bytes](), 0
    while True:
        line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            count = int(line, 16)
        except ValueError:
            raise BadAnswer("a chunk without a size") from None
        size += count
        if count < 0 or size > MOST_BYTES:
            raise BadAnswer(f"the page is larger than {MOST_BYTES // 10**6} MB")
        if count == 0:
            return b"".join(parts)
        parts.append(await reader.readexactly(count))
        await reader.readexactly(2)


class _Words(HTMLParser):
    _BLOCKS = frozenset((
        "p", "div", "br", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header",
        "footer", "title", "pre", "blockquote",
    ))  # fmt: skip
    _SILENT = frozenset(("script", "style", "template", "noscript", "svg"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SILENT:
            self._silent += 1
        if tag in self._BLOCKS:
            self.parts.append("\n")
        if tag == "a":
            self._link = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in self._BLOCKS:
            self.parts.append("\n")
        if tag == "a" and self._link.startswith(("http:", "https:")):
            self.parts.append(f" ({self._link[:300]})")
            self._link = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)
