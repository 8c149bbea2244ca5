"""An agent on the page with the model that is built in, in a real daemon.

Promises: a task that is typed becomes a call of a tool and an answer with what it gave, and is there after a reload.
Does not cover: approvals and other ends (`test_agent_page.py`), how well the pilot acts (`bench agent`).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.test_agent_page import act
from tests.browser.test_page import ANSWER
from tests.process.test_agent import CHAIN

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Python's playwright")
expect = sync_api.expect


def test_the_pilot_acts_on_the_page(visit: Any) -> None:
    page = visit().page
    act(page, "What is 17 times 23?")
    answer = page.locator(ANSWER)
    expect(answer).to_have_attribute("data-state", "complete")
    expect(answer.locator(".prose")).to_contain_text("391")
    page.reload()
    expect(answer.locator(".prose")).to_contain_text("391")
    page.get_by_text("Show its steps").click()
    expect(page.locator(".run-call")).to_contain_text("calculate")


def test_a_chain_of_three_calls_on_the_page(visit: Any) -> None:
    page = visit().page
    act(page, CHAIN)
    answer = page.locator(ANSWER)
    expect(answer).to_have_attribute("data-state", "complete")
    expect(answer.locator(".prose")).to_contain_text("day.txt")
    page.reload()
    page.get_by_text("Show its steps").click()
    calls = page.locator(".run-call")
    expect(calls).to_have_count(3)
    for at, tool in enumerate(("current_time", "add_days", "write_file")):
        expect(calls.nth(at)).to_contain_text(tool)
