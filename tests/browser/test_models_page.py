"""The models page as a person uses it, against a real daemon that pulls from a fake hub.

Promises: what is pulled crosses a real network stack, and stands still in its middle for as long as a test looks at it; nothing
outside this machine is asked.
Does not cover: what a machine is proposed (`tests/null/test_proposal.py`), a hub's faults (`tests/process/test_fetch.py`).
"""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_page import focus_by_tab
from tests.conftest import RunningDaemon
from tests.null.gguf_file import KEYS, gguf, tensor
from tests.process.test_fetch import RunningHub

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Python's playwright")
expect = sync_api.expect

# Three chunks of a fetch: the first comes, the others stand still until the gate is opened.
MEGABYTES = 24
AFTER, TIMES = 1, 12
SOURCE = "hf:acme/Tiny-GGUF:Q4_K_M"
NAME = "Tiny-Q4_K_M"
NO_SIDEWAYS = """() => [...document.querySelectorAll("html, body, main, .models-page")]
    .every((one) => one.scrollWidth <= Math.ceil(one.getBoundingClientRect().width))"""


class GatedHub(RunningHub):
    """A hub with a model that comes at once, in two repositories, and files that come when they are let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "whole"
        rows = MEGABYTES * 256
        tensors = (tensor("blk.weight", (1024, rows), 0, 0),)
        self.file.write_bytes(gguf(KEYS, tensors, os.urandom(rows * 4096)))
        # The second is of the catalogue: a hub that has it counts as one that answers.
        for repo, file in (("acme/Tiny-GGUF", "tiny-Q4_K_M.gguf"), ("Qwen/Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q8_0.gguf")):
            (folder / repo).mkdir(parents=True)
            os.link(self.file, folder / repo / file)

    def gated(self, name: str) -> str:
        """The address of a file of which only the first part comes."""
        os.link(self.file, self.folder / f"{name}.gguf")
        return f"{self.address}/files/{name}.gguf?fault=stall&after={AFTER}&times={TIMES}&seconds=3600"

    def open_gate(self, name: str, url: str) -> None:
        """Uses up what is to stand still: the next requests are answered well."""
        while self.count(f"{name}.gguf")["requests"] < AFTER + TIMES:
            urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=0-0"})).close()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedHub]:
    """One hub for the whole file."""
    running = GatedHub(tmp_path_factory.mktemp("hub"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, hub: GatedHub) -> Iterator[RunningDaemon]:
    """A daemon whose hub and package index are the fake one, and that is patient with it."""
    running = RunningDaemon(
        tmp_path_factory.mktemp("shelf") / "home",
        HF_ENDPOINT=hub.address,
        PIP_INDEX_URL=f"{hub.address}/simple",
        PIP_EXTRA_INDEX_URL="",
        OLLAMA_MODELS=str(hub.folder / "no-ollama"),
        HOMEFIRE_STALL_SECONDS="3600",
    ).start()
    yield running
    running.stop()


def open_models(page: Any) -> None:
    """By the link in the sidebar."""
    page.locator(".models-link").click()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    expect(entries(page).first).to_be_visible()


def entries(page: Any, name: str = "") -> Any:
    """Rows of the catalogue."""
    return page.locator(f'[data-entry="{name}"]' if name else "[data-entry]")


def installed(page: Any, name: str) -> Any:
    """A row of what is on this machine."""
    return page.locator(f'[data-model="{name}"]')


def downloads(page: Any) -> Any:
    """Rows of what is under way or failed."""
    return page.locator("[data-download]")


def ask_for(page: Any, source: str) -> None:
    """Writes a source into the field and sends it."""
    page.get_by_role("textbox", name="Source").fill(source)
    page.get_by_role("button", name="Get it").click()


def remove(page: Any, name: str) -> None:
    """Removes a model, if it is there."""
    page.get_by_role("button", name=f"Remove {name}").click()
    installed(page, name).get_by_role("button", name="Remove", exact=True).click()
    expect(installed(page, name)).to_have_count(0)


def test_the_page_and_its_catalogue(visit: Any, shelf: RunningDaemon) -> None:
    page = visit(to=shelf).page
    open_models(page)
    assert page.url.endswith("#/models")
    expect(page.get_by_role("heading", name="What this machine can run")).to_be_visible()
    pilot = installed(page, "pilot")
    for words in ("6.3 M parameters", "Q8_0", "6.8 MB", "built in", "Main"):
        expect(pilot).to_contain_text(words)
    expect(pilot.get_by_role("button", name="Remove pilot")).to_have_count(0)
    expect(page.get_by_text("free on the disk")).to_be_visible()

    every = entries(page).count()
    assert every > 30
    page.get_by_role("searchbox", name="Search the catalogue").fill("qwen3 30b")
    expect(entries(page)).to_have_count(1)
    row = entries(page, "qwen3-30b-a3b")
    expect(row.locator(".fit")).to_have_text(re.compile(r"GPU|processor|Tight|Too large"))
    expect(row).to_contain_text(re.compile(r"needs [\d.]+ GiB"))
    choice = row.get_by_role("combobox", name="Quantization of qwen3-30b-a3b")
    choice.select_option("Q8_0")
    expect(row.get_by_role("button", name="Get qwen3-30b-a3b Q8_0")).to_be_visible()

    page.get_by_role("searchbox", name="Search the catalogue").fill("")
    page.get_by_role("radio", name="Embedding").check(force=True)
    expect(entries(page, "qwen3-8b")).to_have_count(0)
    embedder = entries(page, "all-minilm-l6-v2")
    embedder.get_by_role("combobox").select_option("Q8_0")
    expect(embedder).to_contain_text("Made here of the F32 weights. Fits")
    expect(embedder.locator(".fit")).to_have_text(re.compile(r"GPU|processor"))
    page.get_by_role("radio", name="Chat").check(force=True)
    small = entries(page, "qwen3-0.6b")
    small.scroll_into_view_if_needed()
    expect(small).to_contain_text(re.compile(r"about [\d.]+ tokens/s \([\d.]+ to [\d.]+\)"))

    # The list scrolls, the page around it does not.
    page.evaluate("document.getElementById('source-title').scrollIntoView()")
    assert page.evaluate("document.scrollingElement.scrollTop") == 0

    page.reload()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    expect(entries(page)).to_have_count(every)
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()


def test_a_proposal_is_made_when_asked(visit: Any, shelf: RunningDaemon, hub: GatedHub) -> None:
    page = visit(to=shelf).page
    before = hub.count("Qwen/Qwen3-0.6B-GGUF")
    open_models(page)
    assert hub.count("Qwen/Qwen3-0.6B-GGUF") == before
    page.get_by_role("button", name="Propose models").click()
    for role in ("Main", "Reader", "Memory"):
        expect(page.locator(".choice-role", has_text=role)).to_be_visible()
    expect(page.get_by_text("The package index does not answer")).to_be_visible()
    expect(page.get_by_text("The model hub does not answer")).to_have_count(0)


def test_a_download_is_watched_left_paused_and_ends(visit: Any, shelf: RunningDaemon, hub: GatedHub) -> None:
    page = visit(to=shelf).page
    open_models(page)
    url = hub.gated("slow")
    ask_for(page, url)
    row = downloads(page)
    expect(row).to_contain_text("slow")
    bar = row.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", re.compile(r"^[1-9]\d$"))
    expect(row).to_contain_text("of 25 MB")
    expect(page.locator(".models-link")).to_contain_text(re.compile(r"\d+ %"))

    # Left and come back to, it goes on.
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    expect(page.locator(".models-link")).to_contain_text(re.compile(r"\d+ %"))
    page.locator(".models-link").click()
    expect(row).to_have_attribute("data-state", "running")

    row.get_by_role("button", name="Pause: slow").click()
    expect(row).to_have_attribute("data-state", "paused")
    page.reload()
    expect(row).to_have_attribute("data-state", "paused")
    hub.open_gate("slow", url)
    row.get_by_role("button", name="Resume: slow").click()
    expect(installed(page, "slow")).to_be_visible()
    expect(row).to_have_count(0)
    remove(page, "slow")
    expect(page.get_by_role("heading", name="On this machine")).to_be_focused()


def test_what_one_does_with_a_model(visit: Any, shelf: RunningDaemon) -> None:
    """From the hub, verified, given a role, pinned, and off the disk again."""
    page = visit(to=shelf).page
    open_models(page)
    ask_for(page, SOURCE)
    here = installed(page, NAME)
    expect(here).to_be_visible()
    here.get_by_text("Details").click()
    expect(here).to_contain_text(SOURCE)

    here.get_by_role("button", name=f"Verify {NAME}").click()
    expect(here.get_by_text("Intact")).to_be_visible()
    page.get_by_label("Memory").select_option(NAME)
    expect(here.get_by_text("Memory", exact=True)).to_be_visible()
    page.get_by_label("Memory").select_option("pilot")
    expect(here.get_by_text("Memory", exact=True)).to_have_count(0)

    pin = here.get_by_role("button", name=f"Keep {NAME} pinned")
    pin.click()
    expect(pin).to_have_attribute("aria-pressed", "true")
    expect(here.get_by_role("button", name=f"Remove {NAME}")).to_have_count(0)
    pin.click()
    here.get_by_role("button", name=f"Remove {NAME}").click()
    expect(here.get_by_role("button", name="Keep", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(here.get_by_role("button", name=f"Remove {NAME}")).to_be_focused()
    remove(page, NAME)


def test_what_cannot_be_had_says_why(visit: Any, shelf: RunningDaemon) -> None:
    made = visit(to=shelf)
    made.expect_errors("400", "404")
    page = made.page
    open_models(page)
    ask_for(page, "hf:acme/nothing-of-the-kind")
    row = downloads(page)
    expect(row.get_by_role("alert")).to_be_visible()
    expect(row.get_by_role("alert").locator("p")).to_have_count(2)
    row.get_by_role("button", name=re.compile("Put away")).click()
    expect(row).to_have_count(0)

    # What is no source stays in the field, and the message says what is wrong with it.
    ask_for(page, "carrier-pigeon:model")
    expect(page.locator(".toast.error")).to_be_visible()
    expect(page.get_by_role("textbox", name="Source")).to_have_value("carrier-pigeon:model")


def test_models_by_keyboard(visit: Any, shelf: RunningDaemon, hub: GatedHub) -> None:
    """From the conversation to a search, a download, its end by cancelling, and back, with no mouse at all."""
    page = visit(to=shelf).page
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    focus_by_tab(page, ".models-link", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Models")).to_be_focused()
    expect(entries(page).first).to_be_visible()
    focus_by_tab(page, "#catalogue-search")
    page.keyboard.type("minilm")
    expect(entries(page)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox", name="Search the catalogue")).to_have_value("")
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="All")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="Speech")).to_be_checked()
    expect(entries(page, "whisper-tiny")).to_be_visible()

    focus_by_tab(page, "[aria-describedby=source-hint]", limit=200)
    page.keyboard.type(hub.gated("keys"))
    page.keyboard.press("Enter")
    expect(downloads(page)).to_contain_text("of 25 MB")
    focus_by_tab(page, "[aria-label^='Cancel the download']", "Shift+Tab", limit=200)
    page.keyboard.press("Enter")
    expect(downloads(page).get_by_role("button", name="Keep", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(downloads(page)).to_have_count(0)
    expect(page.get_by_role("searchbox", name="Search the catalogue")).to_be_focused()

    page.keyboard.press("Control+Shift+O")
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    page.keyboard.press("Control+Shift+L")
    expect(page.get_by_role("region", name="Models")).to_be_focused()


def test_models_on_a_phone(visit: Any, shelf: RunningDaemon, hub: GatedHub) -> None:
    page = visit(to=shelf, width=360, height=700, touch=True).page
    page.get_by_role("button", name="Open the conversations").tap()
    page.locator(".models-link").tap()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_in_viewport()
    expect(page.locator(".models-link")).not_to_be_in_viewport()
    expect(entries(page).first).to_be_visible()
    page.get_by_role("button", name="Propose models").tap()
    expect(page.locator(".choice-role").first).to_be_visible()
    assert page.evaluate(NO_SIDEWAYS)
    small = page.evaluate(
        """() => [...document.querySelectorAll(".models-page :is(button, select, summary, input, .chip)")]
            .filter((one) => !one.closest(".chip") || one.matches(".chip"))
            .map((one) => [one.ariaLabel || one.textContent, one.getBoundingClientRect().height])
            .filter(([, height]) => height < 44)"""
    )
    assert not small, f"too small to be touched: {small}"
    ask_for(page, hub.gated("phone"))
    expect(downloads(page)).to_contain_text("of 25 MB")
    assert page.evaluate(NO_SIDEWAYS)
    downloads(page).get_by_role("button", name=re.compile("^Pause")).tap()
    expect(downloads(page)).to_have_attribute("data-state", "paused")
    downloads(page).get_by_role("button", name=re.compile("^Cancel")).tap()
    expect(downloads(page).get_by_role("button", name="Throw away")).to_be_visible()
    assert page.evaluate(NO_SIDEWAYS)
    downloads(page).get_by_role("button", name="Throw away").tap()
    expect(downloads(page)).to_have_count(0)
