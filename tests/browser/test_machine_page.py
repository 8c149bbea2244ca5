"""The machine page as a person uses it, against a real daemon whose models share too little memory.

Promises: what is shown comes from real engines in real processes; nothing is waited for longer than it takes.
Does not cover: GPUs and their sensors (`web/tests/machine-page.test.ts`), who leaves for whom (`tests/null/test_scheduler.py`).
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import add_endless
from tests.browser.test_page import ANSWER, field, focus_by_tab, ramble
from tests.conftest import RunningDaemon

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Python's playwright")
expect = sync_api.expect

AT = "/homefire/v1"
# Room for one of the two models: `endless` takes some 650 MiB, the pilot 220.
CAP_MIB = "700"
NO_SIDEWAYS = """() => [...document.querySelectorAll("html, body, main, .machine-page, .device, .model-row, .tile")]
    .every((one) => one.scrollWidth <= Math.ceil(one.getBoundingClientRect().width))"""

# What axe would find first: controls, regions and pictures without a name, ids that are there twice, headings that skip.
FAULTS = """() => {
  const page = document.querySelector(".workspace");
  const given = (one) => one.ariaLabel || one.labels?.length || one.getAttribute("aria-labelledby");
  const named = "select, input, progress, section, [role=img], [role=region], [role=group]";
  const nameless = [...page.querySelectorAll(`button, a[href], ${named}`)]
    .filter((one) => !given(one) && (one.matches(named) || !one.textContent.trim()))
    .map((one) => one.outerHTML.slice(0, 120));
  const dangling = [...page.querySelectorAll("[aria-labelledby], [aria-describedby]")]
    .flatMap((one) => [one.getAttribute("aria-labelledby"), one.getAttribute("aria-describedby")])
    .filter((id) => id && !document.getElementById(id));
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  const levels = [...document.querySelectorAll("main :is(h1, h2, h3)")].map((one) => Number(one.tagName[1]));
  const live = [...document.querySelectorAll("main [role=status], main [aria-live]")].length;
  return {
    nameless, dangling, twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    skips: levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1), mains: document.querySelectorAll("main").length, live,
  };
}"""

# Text on its ground, where both are plain colours: at least 4.5 to 1 (3 to 1 from 24 px on).
PALE = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!colour.startsWith("rgb")) return null;
      if ((parts(colour)[3] ?? 1) > 0) return parts(colour);
    }
    return null;
  };
  const written = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  return [...document.querySelectorAll(".machine-page *")]
    .filter((one) => written(one) && one.getClientRects().length)
    .filter((one) => !one.closest("[aria-disabled=true], .share, .visually-hidden"))
    .map((one) => {
      const [style, under] = [getComputedStyle(one), ground(one)];
      if (!under || !style.color.startsWith("rgb")) return null;
      const [a, b] = [light(parts(style.color)), light(under)].sort((x, y) => y - x);
      const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
      return [one.className + ": " + one.textContent.slice(0, 40), (a + 0.05) / (b + 0.05), least];
    })
    .filter((row) => row && row[1] < row[2]);
}"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon with two models and memory for one, an engine elsewhere that is not there, and who stands in for it."""
    folder = tmp_path_factory.mktemp("machine")
    running = RunningDaemon(folder / "home", HOMEFIRE_MEMORY_CAP_MIB=CAP_MIB, HOMEFIRE_THREADS="1").start()
    add_endless(running, folder)
    with running.client() as home:
        home.post(f"{AT}/engines", {"name": "absent", "url": "http://127.0.0.1:9", "kind": "vllm"})
        home.put(f"{AT}/chains", {"model": "smart", "order": ["absent/m", "pilot"]})
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def nothing_in_memory(small: RunningDaemon) -> None:
    """Each test begins with an empty memory."""
    with small.client() as home:
        for row in home.get(f"{AT}/residency")["models"]:
            home.post(f"{AT}/models/{row['name']}/unload", {"now": True})


def resident(page: Any, name: str) -> Any:
    """A model's row in what is in memory."""
    return page.locator(f'[data-resident="{name}"]')


def open_machine(page: Any) -> None:
    """By the link in the sidebar."""
    page.locator(".machine-link").click()
    expect(page.get_by_role("heading", name="Machine", level=1)).to_be_visible()
    expect(page.get_by_role("heading", name="In memory", exact=True)).to_be_visible()


def test_machine_by_keyboard(visit: Any, small: RunningDaemon) -> None:
    """Load, pin, let go, keep for longer, unload; with no mouse at all."""
    page = visit(to=small).page
    expect(field(page)).to_be_focused()
    page.keyboard.press("Control+Shift+M")
    expect(page.get_by_role("region", name="Machine")).to_be_focused()
    assert page.url.endswith("#/machine")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog").get_by_text("Machine", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("No model is in memory.")).to_be_visible()

    focus_by_tab(page, "#load-model")
    page.keyboard.type("pilot")
    expect(page.get_by_label("Model to load")).to_have_value("pilot")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    row = resident(page, "pilot")
    expect(row).to_have_attribute("data-state", "ready")
    for words in (
        "Ready",
        "Here because 1 request wanted it.",
        "2,048 tokens and 8 slots",
        "0 of 10 places",
        "promised",
    ):
        expect(row).to_contain_text(words)
    expect(page.locator("[data-device=host]")).to_contain_text(f"of {CAP_MIB} MiB promised to models")
    expect(page.get_by_role("status").filter(has_text="pilot is in memory.")).to_have_count(1)

    focus_by_tab(page, "[aria-label='How long pilot stays']")
    for key in ("ArrowUp", "ArrowDown", "End"):
        page.keyboard.press(key)
    expect(row).to_contain_text("When its memory is needed")
    with small.client() as home:
        assert [each["keep_alive_s"] for each in home.get(f"{AT}/residency")["models"]] == [None]
    page.keyboard.press("Tab")
    pin = row.get_by_role("button", name="Keep pilot in memory")
    expect(pin).to_be_focused()
    page.keyboard.press("Space")
    expect(pin).to_have_attribute("aria-pressed", "true")
    expect(row).to_contain_text("Never: it is pinned")
    expect(pin).to_have_attribute("aria-disabled", "false")  # The event may be sooner than the answer.
    page.keyboard.press("Space")
    expect(pin).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    expect(page.get_by_role("heading", name="In memory", exact=True)).to_be_focused()
    page.keyboard.press("Control+Shift+O")
    expect(field(page)).to_be_focused()


def test_it_lives(visit: Any, small: RunningDaemon) -> None:
    """What the command line does is seen at once; a filter; answers are broken off only by who says so."""
    made = visit(to=small)
    page = made.page
    open_machine(page)
    expect(page.locator("[data-resident]")).to_have_count(0)
    done = small.cli("load", "endless", "--keep-alive", "1800", "--json")
    assert done.returncode == 0, done.stderr
    row = resident(page, "endless")
    expect(row).to_have_attribute("data-state", "ready")
    expect(row).to_contain_text(re.compile(r"In (30 min|29 min \d+ s)"))
    expect(page.get_by_text("Next to leave: endless")).to_be_visible()
    first = page.locator("[data-decision]").first
    expect(first).to_contain_text("endless 1 request wanted it; ready with a context of 8,192 tokens and 8 slots.")
    page.get_by_label("Of the kind").select_option("loaded")
    page.get_by_label("Of the model").select_option("endless")
    expect(page.locator("[data-decision]:not([data-decision=loaded])")).to_have_count(0)
    expect(first).to_contain_text("endless")

    talk = made.context.new_page()
    talk.goto(small.url)
    ramble(talk, max_tokens=100_000)
    field(talk).fill("go on")
    field(talk).press("Enter")
    expect(row).to_contain_text("1 of 10 places")
    unload = row.get_by_role("button", name="Unload endless")
    unload.click()
    expect(row.get_by_text("1 answer is under way.")).to_be_visible()
    expect(row.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(unload).to_be_focused()
    expect(row).to_have_attribute("data-state", "ready")
    unload.click()
    row.get_by_role("button", name="When they end").click()
    expect(row).to_contain_text("Ends its answers")
    unload.click()
    row.get_by_role("button", name="Break off now").click()
    expect(row).to_have_count(0)
    expect(talk.locator(ANSWER).last).to_have_attribute("data-state", "failed")


def test_an_answer_that_waits_says_so_and_who_answered(visit: Any, small: RunningDaemon) -> None:
    made = visit(to=small)
    talk = made.page
    ramble(talk, max_tokens=100_000)
    field(talk).fill("go on")
    field(talk).press("Enter")
    expect(talk.locator(".growing")).to_be_visible()

    machine = made.context.new_page()
    machine.goto(small.url + "/#/machine")
    expect(resident(machine, "endless")).to_be_visible()
    other = made.context.new_page()
    other.goto(small.url)
    field(other).fill("hello")
    field(other).press("Enter")
    expect(other.locator(".waiting")).to_contain_text(re.compile("Next in the queue, about|Waiting for the first word"))
    waiting = machine.locator("[data-waiting=pilot]")
    expect(waiting).to_contain_text("pilot: 1 request, the oldest for")
    expect(machine.locator("[data-decision=queued]").first).to_contain_text("It waits for memory that others hold")
    talk.get_by_role("button", name="Stop").click()
    expect(other.locator(f"{ANSWER}[data-state=complete]")).to_be_visible()
    expect(waiting).to_have_count(0)
    expect(resident(machine, "endless")).to_have_count(0)

    other.route(
        re.compile(r"/conversations/[^/]+/messages$"),
        lambda route: route.continue_(post_data=json.dumps(json.loads(route.request.post_data) | {"model": "smart"})),
    )
    field(other).fill("hello again")
    field(other).press("Enter")
    answer = other.locator(f"{ANSWER}[data-state=complete]").nth(1)
    expect(answer).to_contain_text("Answered by pilot. Asked before: absent/m (engine unreachable).")
    expect(answer.locator(".figures")).to_contain_text("pilot for smart")
    expect(machine.locator("[data-decision=fell_back]").first).to_contain_text("smart")


def test_names_colours_and_sensors(visit: Any, small: RunningDaemon) -> None:
    """Names for all that can be reached, text that can be read in light and dark, no zero for what is not measured."""
    page = visit(to=small).page
    with small.client() as home:
        home.post(f"{AT}/models/pilot/load", {"pin": True})
    open_machine(page)
    expect(resident(page, "pilot")).to_contain_text("pinned")
    expect(page.locator("[data-engine=absent]")).to_contain_text("May be asked")
    expect(page.locator("[data-chain=smart]")).to_contain_text("smart: absent/m, then pilot")
    expect(page.get_by_text("MiB of 4.0 GiB allowed")).to_be_visible()
    processor = page.locator(".tile", has_text="Processor")
    expect(processor).to_contain_text(re.compile(r"\d+ %.*logical cores"))
    expect(processor.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"Last five minutes: \d+ % to \d+ %")
    )
    assert not page.locator(".tile-value", has_text=re.compile(r"^0 °C|^0 W")).count()
    faults = page.evaluate(FAULTS)
    assert faults == {"nameless": [], "dangling": [], "twice": [], "skips": [], "mains": 1, "live": 1}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # a colour on its way is no colour
        assert page.evaluate(PALE) == [], scheme


def test_machine_on_a_phone(visit: Any, small: RunningDaemon) -> None:
    page = visit(to=small, width=360, height=700, touch=True).page
    page.get_by_role("button", name="Open the conversations").tap()
    page.locator(".machine-link").tap()
    expect(page.get_by_role("heading", name="Machine", level=1)).to_be_in_viewport()
    page.get_by_role("button", name="Load", exact=True).tap()
    row = page.locator("[data-resident]")
    expect(row).to_have_attribute("data-state", "ready")
    expect(page.locator(".spark").first).to_be_visible()
    expect(page.locator("[data-engine=absent]")).to_be_visible()
    assert page.evaluate(NO_SIDEWAYS)
    small_ones = page.evaluate(
        """() => [...document.querySelectorAll(".machine-page :is(button, select, summary)")]
            .map((one) => [one.ariaLabel || one.textContent, one.getBoundingClientRect().height])
            .filter(([, height]) => height < 44)"""
    )
    assert not small_ones, f"too small to be touched: {small_ones}"


def test_the_daemon_goes_and_comes_back(visit: Any, new_daemon: Any) -> None:
    """What was there stays to be read and can be asked for nothing; the next daemon's memory shows by itself."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    mortal = new_daemon(HOMEFIRE_PORT=str(port)).start()
    made = visit(to=mortal)
    made.expect_errors("net::ERR_")
    page = made.page
    with mortal.client() as home:
        home.post(f"{AT}/models/pilot/load", {})
    open_machine(page)
    expect(resident(page, "pilot")).to_be_visible()
    mortal.kill()
    expect(page.get_by_text("This is how it was when the daemon last answered.")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("The daemon is not answering")
    expect(page.get_by_role("button", name="Unload pilot")).to_have_attribute("aria-disabled", "true")
    mortal.start()
    expect(page.get_by_text("No model is in memory.")).to_be_visible()
    with mortal.client() as home:
        home.post(f"{AT}/models/pilot/load", {})
    expect(resident(page, "pilot")).to_have_attribute("data-state", "ready")
