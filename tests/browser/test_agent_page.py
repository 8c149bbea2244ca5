"""Agents on the page as a person uses them, against the real routes, with runs that do exactly what their task says.

Promises: real Chromium, real store, real streams; what is asked is shown character by character; a reload in the middle finds the
run; all of it by keyboard and at the width of a phone.
Does not cover: a model that acts (`tests/process`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.scripted_house import ServedHouse, served
from tests.browser.test_machine_page import FAULTS, PALE
from tests.browser.test_page import ANSWER, field, focus_by_tab
from tests.null.scripted_runs import SHOWN
from tests.null.test_agent_doors import Whole

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Python's playwright")
expect = sync_api.expect

WIDE = "html, body, main, .thread, .run, .run-steps, .ask, .ask-shown, .composer, .agents-page, .model-row"
NO_SIDEWAYS = """() => [...document.querySelectorAll("WIDE")]
    .filter((one) => one.scrollWidth > Math.ceil(one.getBoundingClientRect().width))
    .map((one) => one.className)""".replace("WIDE", WIDE)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHouse]:
    with served(tmp_path_factory.mktemp("agents") / "home") as found:
        yield found


@pytest.fixture
def daemon(house: ServedHouse) -> ServedHouse:
    """What `visit` opens."""
    return house


def faultless(page: Any) -> None:
    """Every control has a name, every reference its target, every id is one."""
    found = page.evaluate(FAULTS)
    assert [found[name] for name in ("nameless", "dangling", "twice", "skips")] == [[], [], [], []]


def act(page: Any, task: str) -> None:
    """Turns the switch on, writes a task and sends it."""
    switch = page.get_by_role("switch", name=re.compile("^Act"))
    if switch.get_attribute("aria-checked") == "false":
        switch.click()
    field(page).fill(task)
    field(page).press("Enter")


def test_a_task_becomes_steps_and_an_answer(visit: Any) -> None:
    page = visit().page
    act(page, "add 17 and 23")
    answer = page.locator(ANSWER)
    expect(answer).to_have_attribute("data-state", "complete")
    expect(answer.locator(".prose")).to_have_text("It is 391.")
    expect(page.locator(".said-text")).to_have_text("add 17 and 23")
    page.reload()
    expect(answer.locator(".prose")).to_have_text("It is 391.")
    answer.get_by_text("Show its steps").click()
    call = answer.locator(".run-call")
    for words in ("calculate", "17*23", "done", "391"):
        expect(call).to_contain_text(words)
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator(".siblings")).to_contain_text("2 / 2")


def test_a_person_decides_and_a_reload_finds_the_question(visit: Any) -> None:
    page = visit().page
    act(page, "write it")
    card = page.get_by_role("group", name="May it do exactly this?")
    expect(card).to_be_visible()
    assert card.locator("pre").inner_text() == SHOWN
    expect(card).to_contain_text("The grant asks every time.")
    expect(page.get_by_role("log")).to_contain_text("Homefire asks for leave: write_file")
    assert not page.evaluate("document.activeElement.closest('.ask')"), "a key pressed for something else is no yes"
    page.reload()
    expect(card).to_be_visible()
    focus_by_tab(page, ".ask-buttons .button:not(.primary)", limit=120)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(f"{ANSWER} .prose")).to_have_text("Done.")
    expect(card).to_have_count(0)


def test_no_is_heard_and_a_question_answered(visit: Any) -> None:
    page = visit().page
    act(page, "write it")
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator(f"{ANSWER} .prose")).to_have_text("Not done.")
    act(page, "ask me")
    question = page.get_by_role("textbox", name="Your answer")
    question.fill("blue")
    question.press("Enter")
    expect(page.locator(f"{ANSWER} .prose").last).to_have_text("Done: blue.")


def test_stop_and_go_on(visit: Any, house: ServedHouse) -> None:
    page = visit().page
    act(page, "hold on")
    expect(page.locator(".run-thought")).to_have_text("I wait.")
    field(page).fill("and quickly")
    page.get_by_role("button", name="Tell it").click()
    expect(page.locator(".run-steps")).to_contain_text("You said: and quickly")
    expect(field(page)).to_have_value("")
    page.get_by_role("button", name="Stop").click()
    answer = page.locator(ANSWER)
    expect(answer).to_have_attribute("data-state", "stopped")
    expect(answer).to_contain_text("What it did stays done.")
    act(page, "write it again")
    expect(page.get_by_role("group", name="May it do exactly this?")).to_be_visible()
    house.do(interrupt(house))
    expect(answer.last).to_have_attribute("data-state", "interrupted")
    answer.last.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Yes, do this").last.click()
    expect(answer.last.locator(".prose")).to_have_text("Done.")


async def interrupt(house: ServedHouse) -> None:
    """As if the daemon had ended: its runs stop where they are, its answers are marked."""
    assert house.runs is not None
    await house.runs.die()
    await house.house.conversations.mark_interrupted()


def test_it_is_as_wide_as_a_phone_and_nothing_is_markup(visit: Any) -> None:
    page = visit(width=360, height=740, touch=True).page
    act(page, "write it")
    expect(page.get_by_role("group", name="May it do exactly this?")).to_be_visible()
    assert page.evaluate(NO_SIDEWAYS) == []
    small = page.evaluate(
        """() => [...document.querySelectorAll(".composer button, .ask button, .run summary")]
            .map((one) => one.getBoundingClientRect()).filter((box) => box.height < 44 || box.width < 44).length"""
    )
    assert small == 0, "what is touched is at least 44 px"
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator(f"{ANSWER} .prose")).to_have_text("Not done.")


def test_the_room_of_agents(visit: Any) -> None:
    opened = visit()
    opened.expect_errors("404")  # this house has no memory
    page = opened.page
    act(page, "write it")
    expect(page.get_by_role("group", name="May it do exactly this?")).to_be_visible()
    page.keyboard.press("Control+Shift+E")
    expect(page.get_by_role("region", name="Agents")).to_be_focused()
    row = page.locator("[data-run]").filter(has_text="write it").first
    expect(row).to_have_attribute("data-state", "waiting")
    expect(page.get_by_role("link", name=re.compile("Agents"))).to_contain_text("wait")
    row.get_by_role("button", name=re.compile("^Steps of")).click()
    row.get_by_role("button", name="Yes, do this").click()
    expect(row).to_have_attribute("data-state", "ended")
    expect(row).to_contain_text("Done.")
    expect(page.locator("[data-tool=calculate]")).to_have_attribute("data-allowed", "true")
    expect(page.locator("[data-tool=run_code]")).to_contain_text("No sandbox holds here.")
    page.get_by_role("button", name="Grant write_file").click()
    expect(page.locator("[data-tool=write_file]")).to_contain_text("homefire tools allow write_file --folder FOLDER")
    page.get_by_role("button", name="Put away: tea").click()
    expect(page.get_by_text("tea")).to_have_count(0)
    name = row.get_attribute("data-run")
    row.get_by_role("button", name=re.compile("^Remove")).click()
    row.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator(f"[data-run={name}]")).to_have_count(0)
    faultless(page)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[ServedHouse]:
    """A house with real runs. It outlives the pages that a test opens after it."""
    with served(tmp_path / "home", Whole(tmp_path / "home")) as found:
        yield found


def test_a_real_run_writes_a_file_after_a_yes(real: ServedHouse, visit: Any, tmp_path: Path) -> None:
    """A chain of three calls and an effect on a real journal, through the real boundary."""
    folder = tmp_path / "notes"
    folder.mkdir()
    real.do(real.house.call("PUT", "/homefire/v1/tools/write_file/grant", {"folders": [str(folder)], "ask": True}))
    page = visit(to=real).page
    effect = json.dumps({"path": str(folder / "a.txt"), "text": "hello"})
    act(page, f'calculate {{"expression": "17*23"}}\ncalculate {{"expression": "391-1"}}\nwrite_file {effect}')
    card = page.get_by_role("group", name="May it do exactly this?")
    expect(card).to_contain_text(str(folder / "a.txt"))
    assert not (folder / "a.txt").exists()
    page.get_by_role("button", name="Yes, do this").click()
    expect(page.locator(ANSWER)).to_have_attribute("data-state", "complete")
    assert (folder / "a.txt").read_text("utf-8") == "hello"
    page.get_by_text("Show its steps").click()
    expect(page.locator(".run-call")).to_have_count(3)
    expect(page.locator(".run-call").nth(1)).to_contain_text("390")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(visit: Any, scheme: str) -> None:
    page = visit().page
    page.emulate_media(color_scheme=scheme)
    act(page, "write it")
    expect(page.get_by_role("group", name="May it do exactly this?")).to_be_visible()
    assert page.evaluate(PALE.replace(".machine-page", ".workspace")) == []
    faultless(page)
    page.get_by_role("button", name="No", exact=True).click()
