"""What every browser test needs: one headless Chromium, and a fresh profile for each visit.

Promises: where no Chromium is found the tests skip and say so; at the end of each test that used `visit` nothing may have
left the daemon's origin, no Content-Security-Policy may have been broken and no error may stand in the console, unless the
test said beforehand which one it brings about.
Does not cover: building the page (`npm run build` in web/).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fakes.models import endless
from homefire.models.library import PILOT_FILE
from tests.conftest import RunningDaemon

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Python's playwright")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# How long anything is waited for: a busy machine takes its time, and no test is about that.
PATIENCE_MS = 60_000
sync_api.expect.set_options(timeout=PATIENCE_MS)

WATCH_POLICY = """
window.brokenPolicies = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.brokenPolicies.push(event.violatedDirective + " " + event.blockedURI));
"""

# Remembers each length that the newest answer's text had while it came in.
WATCH_GROWTH = """
window.lengths = [];
const look = () => {
  const growing = document.querySelector(".growing");
  const length = growing ? growing.textContent.length : 0;
  if (length > 0 && window.lengths.at(-1) !== length) window.lengths.push(length);
};
new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
"""


def find_chromium() -> str | None:
    """The one that CHROMIUM names, and no other; else the system's."""
    named = os.environ.get("CHROMIUM")
    usual = ("/usr/bin/chromium", shutil.which("chromium"), shutil.which("chromium-browser"))
    return next((path for path in ([named] if named else usual) if path and os.access(path, os.X_OK)), None)


@dataclass
class Visit:
    """One browser profile with one page, and what was heard from it."""

    page: Any
    context: Any
    origin: str
    expected: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def expect_errors(self, *patterns: str) -> None:
        """Errors in the console that this test brings about on purpose."""
        self.expected.extend(patterns)

    def listen(self) -> None:
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.context.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.origin + "/", "data:", "blob:")):
            self.foreign.append(request.url)

    def check(self) -> None:
        unexpected = [text for text in self.errors if not any(re.search(pattern, text) for pattern in self.expected)]
        assert not unexpected, f"errors in the console: {unexpected}"
        assert not self.foreign, f"requests that left the origin: {self.foreign}"
        broken = self.page.evaluate("window.brokenPolicies")
        assert not broken, f"Content-Security-Policy broken: {broken}"


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon whose conversations are the browser's alone: what other tests leave behind would stand in the sidebar."""
    folder = tmp_path_factory.mktemp("browser")
    running = RunningDaemon(folder / "home").start()
    add_endless(running, folder)
    yield running
    running.stop()


def add_endless(daemon: RunningDaemon, folder: Path) -> None:
    """Installs the model `endless`, whose answers go on until they are stopped: the pilot's end within a screen's frame."""
    done = daemon.cli("models", "import", str(endless(PILOT_FILE, folder / "endless.gguf")))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found: install one, or name it in the environment variable CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, daemon: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a page in a fresh profile: `visit()` with a one-time link, `visit(link=False)` without; `to`: another daemon."""
    visits: list[Visit] = []

    def open_page(
        *, to: Any = daemon, link: bool = True, width: int = 1280, height: int = 800, touch: bool = False
    ) -> Visit:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch, locale="en-GB"
        )
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(WATCH_POLICY)
        context.add_init_script(WATCH_GROWTH)
        made = Visit(context.new_page(), context, to.url.rstrip("/"))
        made.listen()
        visits.append(made)
        made.page.goto(to.link() if link else to.url + "/")
        return made

    yield open_page
    for made in visits:
        made.check()
    for made in visits:
        made.context.close()
