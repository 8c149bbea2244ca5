"""The page as a person uses it, against a real daemon and its built-in model.

Promises: each test is one journey; together they take less than a minute.
Does not cover: looks. The one thing that is faked is a model's output (test_hostile_output), in the browser's network.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import add_endless

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Python's playwright")
expect = sync_api.expect

ANSWER = "article[data-role=assistant]"
SETTLED = f"{ANSWER}:not([data-state=streaming])"


def field(page: Any) -> Any:
    return page.get_by_role("textbox", name="Message", exact=True)


def ask(page: Any, text: str) -> None:
    """Types a message, sends it with Enter and waits until its answer is there."""
    settled = page.locator(SETTLED).count()
    field(page).fill(text)
    field(page).press("Enter")
    expect(page.locator(SETTLED)).to_have_count(settled + 1, timeout=20_000)


def focus_by_tab(page: Any, selector: str, key: str = "Tab", limit: int = 60) -> None:
    """Goes on with Tab until the focus is on the element, as a person without a mouse does."""
    for _ in range(limit):
        page.keyboard.press(key)
        if page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with {key}")


def ramble(page: Any, **sampling: int) -> None:
    """From now on `endless` answers: what the page sends to the daemon names that model, and this sampling."""

    def send(route: Any) -> None:
        body = json.loads(route.request.post_data or "{}")
        route.continue_(post_data=json.dumps(body | {"model": "endless", "sampling": sampling}))

    page.route(re.compile(r"/conversations/[^/]+/messages(/[^/]+/regenerate)?$"), send)


def stop_midway(page: Any, start: Callable[[], None], stop: Callable[[], None]) -> None:
    """Starts an answer and stops it while it comes in. Should one have ended by itself, the next is tried."""
    for seed in range(10):
        ramble(page, seed=seed)
        answers = page.locator(ANSWER)
        start()
        try:
            expect(answers.last.locator(".growing")).to_contain_text(re.compile(r"\S"), timeout=2000)
            stop()
        except (AssertionError, sync_api.TimeoutError):
            continue
        expect(answers.last).not_to_have_attribute("data-state", "streaming")
        page.wait_for_timeout(500)  # The daemon has stored it by then, and the page has looked.
        if answers.last.get_attribute("data-state") == "stopped":
            return
    raise AssertionError("no answer could be stopped")


def test_link_then_a_streamed_answer(visit: Any, daemon: Any) -> None:
    page = visit().page
    expect(field(page)).to_be_focused()
    assert "login" not in page.url, "the one-time code is still in the address"
    answer = page.locator(SETTLED).last
    lengths: list[int] = []
    for seed in range(4, 12):
        ramble(page, max_tokens=1500, seed=seed)
        page.evaluate("window.lengths = []")
        before = page.locator(SETTLED).count()
        page.keyboard.type("What are you?")
        page.keyboard.press("Enter")
        expect(page.locator(SETTLED)).to_have_count(before + 1, timeout=20_000)
        expect(answer).to_have_attribute("data-state", "complete")
        lengths = page.evaluate("window.lengths")
        if len(lengths) >= 2:
            break  # Else it ended within one frame of the screen, as a few words may.
    assert len(lengths) >= 2 and lengths[0] < lengths[-1], f"the text did not grow: {lengths}"
    expect(answer.locator(".prose")).not_to_be_empty()
    figures = answer.locator(".figures")
    expect(figures).to_contain_text(re.compile(r"[\d.,]+ tokens/s"))
    expect(figures).to_contain_text(re.compile(r"first token (< )?[\d.]+ s"))
    expect(figures).to_contain_text(re.compile(r"\d+ tokens?\b"))
    assert re.search(r"#/c/[^/]+$", page.url)
    expect(page.get_by_role("group", name="This machine")).to_contain_text("free")


def test_reload_finds_the_conversation(visit: Any) -> None:
    page = visit().page
    ask(page, "Explain homefire key")
    said, answered = page.locator(".said-text").inner_text(), page.locator(f"{ANSWER} .prose").inner_text()
    field(page).fill("not sent yet")
    page.reload()
    expect(page.locator(".said-text")).to_have_text(said)
    expect(page.locator(f"{ANSWER} .prose")).to_be_visible()
    assert page.locator(f"{ANSWER} .prose").inner_text() == answered
    expect(field(page)).to_have_value("not sent yet")
    expect(page.get_by_role("navigation", name="Conversations").locator("[aria-current=page]")).to_have_count(1)


def test_stop_regenerate_and_siblings(visit: Any) -> None:
    page = visit().page

    def begin() -> None:
        page.get_by_role("button", name="New conversation").click()
        field(page).fill("Tell a very long story about a fire")
        field(page).press("Enter")

    stop_midway(page, begin, lambda: page.get_by_role("button", name="Stop").click(timeout=1000))
    answer = page.locator(ANSWER)
    expect(answer).to_contain_text("You stopped this answer here.")
    text = answer.locator(".prose").inner_text()
    page.reload()
    expect(answer).to_have_attribute("data-state", "stopped")
    # The daemon may have stored a little more than was shown when the button was pressed.
    assert answer.locator(".prose").inner_text()[:40] == text[:40]

    page.unroute_all()
    page.get_by_role("button", name="Answer again").click()
    count = answer.locator(".siblings-count")
    expect(count).to_have_text("2 / 2")
    expect(answer).to_have_attribute("data-state", "complete")
    second = answer.get_attribute("data-id")
    page.get_by_role("button", name="Previous answer").click()
    expect(count).to_have_text("1 / 2")
    expect(answer).to_have_attribute("data-state", "stopped")
    page.get_by_role("button", name="Next answer").click()
    expect(count).to_have_text("2 / 2")
    assert answer.get_attribute("data-id") == second

    # Escape stops as the button does, and wording the question anew makes a sibling of the question.
    def ask_anew() -> None:
        page.locator(".said-text").hover()
        page.get_by_role("button", name="Edit message").click()
        page.get_by_role("textbox", name="Your message").fill("Tell a short one")
        page.keyboard.press("Enter")
        expect(page.locator(".said-text")).to_have_text("Tell a short one")

    stop_midway(page, ask_anew, lambda: page.keyboard.press("Escape"))
    while page.get_by_role("button", name="Previous wording").get_attribute("aria-disabled") != "true":
        page.get_by_role("button", name="Previous wording").click()
    expect(page.locator(".said-text")).to_have_text("Tell a very long story about a fire")
    assert answer.get_attribute("data-id") == second


def test_keyboard_only(visit: Any) -> None:
    """From the link to a second conversation and back, with no mouse at all."""
    page = visit().page
    page.evaluate("addEventListener('pointerdown', () => { window.mouseUsed = true; }, true)")
    expect(field(page)).to_be_focused()
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lighthouse")
    expect(field(page)).to_have_value("first line\nlighthouse")
    page.keyboard.press("Enter")
    expect(page.locator(SETTLED)).to_have_count(1, timeout=20_000)
    first = page.url

    # The first thing that Tab reaches is the way past everything else.
    focus_by_tab(page, ".skip", "Shift+Tab")
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(field(page)).to_be_focused()

    # A message is worded anew, and its answer asked for again.
    focus_by_tab(page, "[aria-label='Edit message']", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your message")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Edit message")).to_be_focused()
    focus_by_tab(page, "[aria-label='Answer again']")
    page.keyboard.press("Enter")
    expect(page.locator(f"{SETTLED} .siblings-count")).to_have_text("2 / 2", timeout=20_000)

    # A menu opens, moves, closes, and gives the focus back.
    focus_by_tab(page, ".model-button", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu")).to_be_visible()
    expect(page.locator("[role=menuitemradio]:focus")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.locator("[role=menuitemradio]:focus")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".model-button")).to_be_focused()

    # The list of keys is a dialog, and gives the focus back too.
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator(".model-button")).to_be_focused()

    page.keyboard.press("Control+Shift+O")
    expect(field(page)).to_be_focused()
    assert "#/c/" not in page.url
    page.keyboard.press("Control+k")
    page.keyboard.type("lighthouse")
    expect(page.get_by_role("searchbox")).to_have_value("lighthouse")
    expect(page.locator(".row")).to_have_count(1)
    focus_by_tab(page, ".row a")
    page.keyboard.press("Enter")
    expect(page.locator(SETTLED)).to_have_count(1)
    assert page.url == first
    assert not page.evaluate("window.mouseUsed ?? false")


def test_rename_delete_and_undo(visit: Any) -> None:
    page = visit().page
    ask(page, "Write JSON for a cup of tea")
    row = page.locator(".row.shown")
    row.hover()
    row.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="New title").fill("Tea <b>as</b> data")
    page.keyboard.press("Enter")
    expect(page.locator(".row.shown a")).to_have_text("Tea <b>as</b> data")
    expect(page.locator(".head-title")).to_have_text("Tea <b>as</b> data")
    page.locator(".row.shown").hover()
    page.get_by_role("button", name="Delete “Tea <b>as</b> data”").click()
    expect(page.get_by_role("link", name="Tea <b>as</b> data")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".row.shown a")).to_have_text("Tea <b>as</b> data")
    expect(page.locator(SETTLED)).to_have_count(1)


def test_settings_of_a_conversation(visit: Any) -> None:
    """What is set before the first message goes with it, is found again, and can be taken back."""
    page = visit().page
    prompt = page.get_by_role("textbox", name="System prompt")
    temperature = page.get_by_role("spinbutton", name="Temperature")

    def open_settings() -> None:
        page.get_by_role("button", name="Settings of this conversation").click()
        expect(prompt).to_be_focused()

    open_settings()
    prompt.fill("Answer shortly.")
    temperature.fill("0.5")
    page.get_by_role("spinbutton", name="Longest answer").fill("16")
    page.keyboard.press("Enter")
    expect(prompt).to_have_count(0)
    with page.expect_request("**/messages") as sent:
        ask(page, "What are you?")
    assert sent.value.post_data_json["sampling"] == {"temperature": 0.5, "max_tokens": 16}
    page.reload()
    expect(page.locator(SETTLED)).to_have_count(1)
    open_settings()
    expect(prompt).to_have_value("Answer shortly.")
    expect(temperature).to_have_value("0.5")
    temperature.fill("")
    page.get_by_role("spinbutton", name="Longest answer").fill("")
    page.get_by_role("button", name="Save").click()
    with page.expect_request("**/messages") as sent:
        ask(page, "And again?")
    assert "sampling" not in sent.value.post_data_json


def test_phone(visit: Any) -> None:
    page = visit(width=375, height=700, touch=True).page
    no_sideways = "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"
    expect(field(page)).to_be_visible()
    assert page.evaluate(no_sideways)
    expect(page.get_by_role("navigation", name="Conversations")).not_to_be_in_viewport()
    page.get_by_role("button", name="Open the conversations").tap()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_in_viewport()
    small = page.evaluate(
        """[...document.querySelectorAll(".sidebar :is(button, a, input)")]
             .map((one) => [one.textContent || one.ariaLabel, one.getBoundingClientRect().height])
             .filter(([name, height]) => height < 44 && name !== "Homefire")"""
    )
    assert not small, f"too small to be touched: {small}"
    page.get_by_role("button", name="Close the conversations").tap()
    expect(page.get_by_role("navigation", name="Conversations")).not_to_be_in_viewport()
    field(page).fill("What are you?")
    page.get_by_role("button", name="Send").tap()
    expect(page.locator(SETTLED)).to_have_count(1, timeout=20_000)
    assert page.evaluate(no_sideways)
    bottom = page.locator(".composer").bounding_box()
    assert bottom and bottom["y"] + bottom["height"] <= 700


HOSTILE = """Look: ![a cat](https://images.example/cat.png) and ![](http://127.0.0.1:9/pixel.gif)

<script>window.taken = 1</script><img src="https://images.example/x.png" onerror="window.taken = 2">
<iframe src="https://images.example/frame"></iframe><style>body { display: none }</style>

[a trap](javascript:window.taken=3) [a door](/homefire/v1/logout) [a page](https://example.org/)

```html
<script src="https://images.example/evil.js"></script>
```
"""


def hostile_stream() -> str:
    """An answer as the daemon streams it, whose model says what no model should."""
    message: dict[str, Any] = {
        "id": "m-question", "parent_id": None, "role": "user", "content": "Show me", "state": "complete", "error": None,
        "created_at": 1.0, "usage": None, "timings": None,
    }  # fmt: skip
    answer = message | {"id": "m-answer", "parent_id": "m-question", "role": "assistant", "model": "pilot"}
    usage = {"prompt_tokens": 3, "completion_tokens": 99, "total_tokens": 102}
    timings = {"time_to_first_token_s": 0.01, "tokens_per_second": 50.0}
    events: list[tuple[str, Any]] = [("message", message), ("message", answer | {"content": "", "state": "streaming"})]
    events += [("delta", {"text": HOSTILE[at : at + 7]}) for at in range(0, len(HOSTILE), 7)]
    events.append(("done", answer | {"content": HOSTILE, "usage": usage, "timings": timings}))
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)


def test_hostile_output(visit: Any) -> None:
    """Nothing that a model says is fetched, run or obeyed. `visit` checks origin, policy and console at the end."""
    made = visit()
    page = made.page
    page.route(
        "**/homefire/v1/conversations/*/messages",
        lambda route: route.fulfill(status=200, content_type="text/event-stream", body=hostile_stream()),
    )
    ask(page, "Show me")
    answer = page.locator(ANSWER)
    expect(answer).to_contain_text("Image: a cat")
    expect(answer).to_contain_text("window.taken = 1")  # Raw HTML is shown as what it is: text.
    expect(answer.locator(".hljs-tag").first).to_be_visible()
    assert page.evaluate("window.taken") is None
    assert answer.locator("img, script:not(pre *), iframe, style").count() == 0
    links = answer.locator("a[href]").evaluate_all("links => links.map((link) => [link.href, link.rel, link.target])")
    assert {href for href, _, _ in links} == {
        "https://images.example/cat.png", "http://127.0.0.1:9/pixel.gif", "https://example.org/",
    }  # fmt: skip
    assert all(rel == "noopener noreferrer" and target == "_blank" for _, rel, target in links)
    page.get_by_role("button", name="Copy code").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()


def test_logged_out(visit: Any, daemon: Any) -> None:
    made = visit(link=False)
    made.expect_errors("401")
    page = made.page
    expect(page.get_by_role("heading", name="This browser is not logged in.")).to_be_visible()
    expect(page.get_by_text("homefire link", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Copy the command")).to_be_visible()
    paste = page.get_by_role("textbox", name="Or paste the link")
    paste.fill("not-a-code-of-this-daemon")
    paste.press("Enter")
    expect(page.get_by_role("alert")).not_to_be_empty()
    paste.fill(daemon.link())
    paste.press("Enter")
    expect(field(page)).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="This browser is not logged in.")).to_be_visible()


def test_keys_that_are_off_are_said_loudly(visit: Any, new_daemon: Any) -> None:
    page = visit(to=new_daemon(HOMEFIRE_AUTH="off").start(), link=False).page
    expect(field(page)).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Keys are off: every program on this machine may use Homefire.")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Keys are off")


def test_daemon_that_dies(visit: Any, new_daemon: Any, tmp_path: Path) -> None:
    """A banner says that nobody answers; nothing written is lost; when the daemon is back, all goes on by itself."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]  # The page must find the second daemon where the first one was.
    mortal = new_daemon(HOMEFIRE_PORT=str(port)).start()
    add_endless(mortal, tmp_path)
    made = visit(to=mortal)
    made.expect_errors("net::ERR_")
    page = made.page
    banner = page.get_by_text("The daemon is not answering. Start it with homefire up.")
    answer = page.locator(ANSWER).last
    for seed in range(4, 10):
        ramble(page, seed=seed)
        field(page).fill("What are you?")
        field(page).press("Enter")
        try:
            expect(answer.locator(".growing")).to_contain_text(re.compile(r"\S"), timeout=2000)
        except AssertionError:
            continue  # It ended by itself within a moment.
        mortal.kill()
        expect(banner).to_be_visible()
        state = answer.get_attribute("data-state")
        if state == "interrupted":
            break
        mortal.start()
        expect(banner).to_have_count(0)
    expect(answer).to_contain_text("The answer was interrupted")
    field(page).fill("keep this")
    field(page).press("Enter")
    expect(field(page)).to_have_value("keep this")

    mortal.start()
    expect(banner).to_have_count(0)
    expect(answer).to_have_attribute("data-state", "interrupted")
    page.unroute_all()
    answer.get_by_role("button", name="Try again").click()
    expect(answer).to_have_attribute("data-state", "complete")
    expect(answer.locator(".siblings-count")).to_have_text("2 / 2")
    field(page).press("Enter")
    expect(page.locator(".said-text").last).to_have_text("keep this")
    expect(answer.locator(".figures")).to_contain_text("tokens/s")
