"""The knowledge page as a person uses it, against a real daemon with a folder that was taken in.

Promises: what is found was read, indexed and searched for by the daemon; the answers are the pilot's; a document that holds
HTML and scripts is shown as its text.
Does not cover: search by meaning (`tests/process/test_embedder_graph.py`), how a stream of an answer is drawn piece by piece
(`web/tests/knowledge-page.test.ts`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_machine_page import FAULTS, PALE
from tests.browser.test_page import field, focus_by_tab
from tests.conftest import RunningDaemon

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Python's playwright")
expect = sync_api.expect

WIDE = "html, body, main, .knowledge-page, .model-row, .snippet, .viewer-lines, .box"
NO_SIDEWAYS = """() => [...document.querySelectorAll("WIDE")]
    .every((one) => one.scrollWidth <= Math.ceil(one.getBoundingClientRect().width))""".replace("WIDE", WIDE)
EVIL = """<h1>Cellar plan</h1>
<script>window.evil = "script"</script>
The zanzibar valve <img src="x" onerror="window.evil = 'image'"> is in the cellar.
<a href="javascript:window.evil = 'link'">click</a>
"""
GARDEN = """# Garden

## Watering

Tomatoes need water every morning in July.

## Tools

The spade hangs on nail 4711 beside the shed.
"""
STORE = """class ValveStore:
    def write_back(self, key: str) -> None:
        # Writes a value of the zanzibar valve.
        self.dirty[key] = 1
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon that has read two folders, one with a space in its name."""
    made = tmp_path_factory.mktemp("knowledge")
    notes, ledger = made / "my notes", made / "ledger"
    for path, text in {
        notes / "garden.md": GARDEN,
        notes / "evil.txt": EVIL,
        notes / "src/store.py": STORE,
        notes / ".env": "API_TOKEN=hf_abcdefghijklmnopqrstuvwxyzABCDEFGH\n",
        ledger / "long.txt": "".join(f"Entry {number} of the ledger.\n" for number in range(1, 1001)),
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (notes / "picture.bin").write_bytes(os.urandom(4096))
    running = RunningDaemon(made / "home", HOMEFIRE_THREADS="1").start()
    for folder in (notes, ledger):
        done = running.cli("ingest", str(folder), "--name", folder.name, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
    yield running
    running.stop()


def open_knowledge(page: Any) -> None:
    """By the link in the sidebar."""
    page.locator(".knowledge-link").click()
    expect(page.get_by_role("heading", name="Knowledge", level=1)).to_be_visible()
    expect(page.locator("[data-collection]")).to_have_count(2)


def place(page: Any, start: str) -> Any:
    """A place that was found, by the beginning of its path and line."""
    return page.locator(f'[data-place^="{start}"]')


def look_for(page: Any, words: str) -> None:
    """Writes it into the field and presses Enter."""
    page.locator("#knowledge-field").fill(words)
    page.keyboard.press("Enter")


def test_searching_by_keyboard(visit: Any, home: RunningDaemon) -> None:
    """To the page, to the field, through the places, into a document and back; with no mouse at all."""
    page = visit(to=home).page
    expect(field(page)).to_be_focused()
    page.keyboard.press("Control+Shift+F")
    expect(page.get_by_role("region", name="Knowledge")).to_be_focused()
    assert page.url.endswith("#/knowledge")
    expect(page.locator("[data-collection]")).to_have_count(2)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search what was taken in")).to_be_focused()
    page.keyboard.type("zanzibar valve")
    page.keyboard.press("Enter")
    expect(page.locator("[data-place]")).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text=re.compile("^2 places"))).to_have_count(1)
    assert "zanzibar" in place(page, "evil.txt").locator("mark").all_inner_texts()
    assert page.evaluate(FAULTS) | {"live": 0} == {
        "nameless": [], "dangling": [], "twice": [], "skips": [], "mains": 1, "live": 0
    }  # fmt: skip

    page.keyboard.press("ArrowDown")
    first = page.locator("[data-place] .place-link").first
    expect(first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-place] .place-link").last).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#knowledge-field")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("region", name="Lines of the document")).to_be_focused()
    expect(page.locator("[data-here]")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(first).to_be_focused()

    focus_by_tab(page, "[aria-label^='Why ']")
    page.keyboard.press("Enter")
    expect(page.locator(".found-place .facts").first).to_contain_text(re.compile(r"Words\s*place 1, score"))
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#knowledge-field")).to_have_value("")


def test_documents_are_text_and_never_markup(visit: Any, home: RunningDaemon) -> None:
    page = visit(to=home).page
    open_knowledge(page)
    look_for(page, "zanzibar cellar")
    found = place(page, "evil.txt")
    expect(found).to_contain_text("onerror=")
    assert found.locator("img, script, h1").count() == 0
    found.locator(".place-link").click()
    lines = page.locator(".viewer-lines")
    expect(lines).to_contain_text('<script>window.evil = "script"</script>')
    assert lines.locator("img, script, h1, a").count() == 0
    page.get_by_role("button", name="Close the document").click()
    page.get_by_text("Ask", exact=True).click()
    look_for(page, "Where is the zanzibar valve in the cellar?")
    expect(page.locator("[data-answer=done]")).to_be_visible()
    assert page.locator(".knowledge-page :is(img, script, iframe)").count() == 0
    assert page.evaluate("window.evil") is None


def test_modes_narrowing_and_a_long_document(visit: Any, home: RunningDaemon) -> None:
    made = visit(to=home)
    made.expect_errors("400")  # a bad pattern
    page = made.page
    open_knowledge(page)
    page.get_by_text("Pattern", exact=True).click()
    look_for(page, r"Entry 5\d\d of")
    expect(place(page, "long.txt").first).to_be_visible()
    look_for(page, "Entry (5")
    expect(page.get_by_role("alert").filter(has_text="pattern")).to_be_visible()
    page.get_by_text("Just these characters").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Nothing found")).to_be_visible()

    look_for(page, "Entry 500 of the ledger")
    expect(place(page, "long.txt:500")).to_be_visible()
    expect(place(page, "long.txt:500").locator("mark")).to_have_text("Entry 500 of the ledger")
    place(page, "long.txt:500").locator(".place-link").click()
    here = page.locator("[data-here]")
    expect(here).to_have_text(re.compile(r"500\s*Entry 500 of the ledger\."))
    expect(here).to_be_in_viewport()
    expect(page.locator(".viewer-facts")).to_contain_text("of 1,000")
    before = page.locator(".viewer-lines li").count()
    page.get_by_role("button", name="Later lines").click()
    expect(page.locator(".viewer-lines li")).not_to_have_count(before)
    page.get_by_role("button", name="Earlier lines").click()
    expect(page.locator("[data-line='201']")).to_have_text(re.compile(r"Entry 201 of"))
    numbers = page.evaluate("[...document.querySelectorAll('.viewer-lines li')].map((one) => Number(one.dataset.line))")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    page.keyboard.press("Escape")

    page.get_by_text("Words", exact=True).first.click()
    look_for(page, "zanzibar")
    expect(page.locator("[data-place]")).to_have_count(2)
    page.get_by_text("Narrow it").click()
    page.get_by_label("Kind").select_option("code")
    expect(page.locator("[data-place]")).to_have_count(1)
    expect(place(page, "src/store.py")).to_contain_text("Python")
    place(page, "src/store.py").locator(".place-link").click()
    expect(page.locator("[data-line='2'] .hljs-keyword")).to_have_text("def")
    page.keyboard.press("Escape")
    page.get_by_label("Kind").select_option("")
    page.get_by_label("Path").fill("*.txt")
    page.keyboard.press("Enter")
    expect(page.locator("[data-place]")).to_have_count(1)
    expect(place(page, "evil.txt")).to_be_visible()
    page.get_by_label("Path").fill("")
    page.get_by_role("checkbox", name="ledger").check(force=True)
    expect(page.get_by_role("status").filter(has_text="Nothing found")).to_be_visible()


def test_asking(visit: Any, home: RunningDaemon) -> None:
    """The pilot reads: what it cites opens at its passage; what is not there is not found."""
    page = visit(to=home).page
    open_knowledge(page)
    page.get_by_text("Ask", exact=True).click()
    look_for(page, "Where does the spade hang?")
    answer = page.locator("[data-answer=done]")
    expect(answer).to_be_visible()
    expect(answer).to_contain_text("4711")
    expect(page.locator(".sources [data-cited]")).to_contain_text("garden.md")
    answer.locator(".citation").first.click()
    expect(page.locator("[data-found]").filter(has_text="nail 4711")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(answer.locator(".citation").first).to_be_focused()
    look_for(page, "Which colour has the submarine of Captain Quirk?")
    expect(page.locator("[data-answer=done]")).to_contain_text("Not found in what was taken in.")


def test_collections(visit: Any, home: RunningDaemon) -> None:
    """What is in them, what was left out, and the commands for what the page may not do."""
    page = visit(to=home).page
    open_knowledge(page)
    notes = page.locator('[data-collection="my notes"]')
    for words in ("3 documents", "tokens", "my notes", "Ready", "Found by words"):
        expect(notes).to_contain_text(words)
    notes.get_by_label("left out").click()
    for name in (".env", "picture.bin"):
        expect(notes.locator("[data-left=skipped] li").filter(has_text=name)).to_have_text(re.compile(rf"{name} \w+"))
    notes.get_by_label("Documents: my notes").click()
    notes.get_by_role("button", name="garden.md").click()
    expect(page.locator("[data-line='9']")).to_contain_text("spade")
    page.keyboard.press("Escape")

    notes.get_by_role("button", name="Verify my notes").click()
    expect(notes.get_by_role("button", name="Verify my notes")).to_have_text("Intact")
    notes.get_by_role("button", name="Remove my notes").click()
    panel = notes.get_by_role("group", name="Remove my notes")
    expect(panel).to_be_focused()
    expect(panel).to_contain_text("cannot be undone")
    expect(panel).to_contain_text("is not touched")
    expect(panel.locator(".command code")).to_have_text("homefire knowledge remove 'my notes'")
    page.keyboard.press("Escape")
    expect(notes.get_by_role("button", name="Remove my notes")).to_be_focused()
    notes.get_by_role("button", name="Take in my notes again").click()
    expect(notes.locator(".command code")).to_have_text(re.compile(r"homefire ingest '/.*/my notes' --name 'my notes'"))

    page.get_by_role("textbox", name="Folder").fill("/srv/it's here")
    page.get_by_role("checkbox", name="Keep it fresh").check(force=True)
    expect(page.locator("section:has(#take-in-title) .command code")).to_have_text(
        "homefire ingest '/srv/it'\\''s here' --watch"
    )


def test_what_the_commands_do_is_seen(visit: Any, home: RunningDaemon, tmp_path: Path) -> None:
    """A folder taken in and removed in a terminal comes and goes on the page by itself."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.md").write_text("# Quokka\n\nA quokka smiles.\n", "utf-8")
    page = visit(to=home).page
    open_knowledge(page)
    for command, count in ((["ingest", str(tmp_path / "more"), "--watch"], 1), (["knowledge", "remove", "more"], 0)):
        done = home.cli(*command)
        assert done.returncode == 0, done.stderr
        expect(page.locator('[data-collection="more"]')).to_have_count(count)
        if count:
            expect(page.locator('[data-collection="more"]')).to_contain_text("Ready, watched")


def test_before_anything_was_taken_in(visit: Any, daemon: RunningDaemon) -> None:
    page = visit(to=daemon).page
    page.locator(".knowledge-link").click()
    expect(page.get_by_text("Nothing was taken in yet.")).to_be_visible()
    expect(page.locator(".command code")).to_have_text("homefire ingest FOLDER")
    expect(page.locator("#knowledge-field")).to_have_count(0)


def test_knowledge_on_a_phone_and_in_the_dark(visit: Any, home: RunningDaemon) -> None:
    page = visit(to=home, width=360, height=700, touch=True).page
    page.get_by_role("button", name="Open the conversations").tap()
    page.locator(".knowledge-link").tap()
    expect(page.get_by_role("heading", name="Knowledge", level=1)).to_be_in_viewport()
    expect(page.locator("[data-collection]")).to_have_count(2)
    look_for(page, "zanzibar")
    expect(page.locator("[data-place]")).to_have_count(2)
    page.get_by_text("Narrow it").tap()
    page.get_by_role("button", name="Remove ledger").tap()
    expect(page.get_by_role("group", name="Remove ledger")).to_be_visible()
    assert page.evaluate(NO_SIDEWAYS)
    small = page.evaluate(
        """() => [...document.querySelectorAll(".knowledge-page :is(button, select, summary, input, .chip)")]
            .filter((one) => one.getClientRects().length && (!one.closest(".chip") || one.matches(".chip")))
            .map((one) => [one.ariaLabel || one.textContent, one.getBoundingClientRect().height])
            .filter(([, height]) => height < 44)"""
    )
    assert not small, f"too small to be touched: {small}"
    place(page, "evil.txt").locator(".place-link").tap()
    expect(page.locator("[data-here]")).to_be_in_viewport()
    assert page.evaluate(NO_SIDEWAYS)
    assert page.evaluate("document.querySelector('.viewer').getBoundingClientRect().width") == 360
    page.get_by_role("button", name="Close the document").tap()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        pale = page.evaluate(PALE.replace(".machine-page", ".knowledge-page"))
        assert not pale, f"too pale in {scheme}: {pale}"
