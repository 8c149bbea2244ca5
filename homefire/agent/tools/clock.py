"""Days, the clock, timers and notes.

Promises: a timer and a note have the id of their call: one that is done again after a crash makes nothing new, and a timer rings
at the time that was first said.
Does not cover: who rings (`agent/timers.py`).
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from homefire.agent.timers import Timers
from homefire.agent.tool import Context, Outcome
from homefire.agent.tools.plain import PlainTool, declared, failed, told
from homefire.store import NoteRow, RunRows, TimerRow

MOST_MINUTES, MOST_LABEL, MOST_NOTE = 366 * 24 * 60.0, 200, 100_000
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def read_date(text: str, today: datetime.date) -> datetime.date | None:
    """2026-12-24, 24 December 2026, December 24, 2026, 24.12.2026, today, tomorrow, yesterday; None for anything else."""
    plain = text.strip().lower()
    near = {"today": 0, "now": 0, "tomorrow": 1, "yesterday": -1}
    if plain in near:
        return today + datetime.timedelta(near[plain])
    numbers: tuple[str, str, str] | None = None
    if found := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[t ].*)?", plain):
        numbers = found[1], found[2], found[3]
    elif (found := re.fullmatch(r"(\d{1,2})\.\s*(\d{1,2})\.\s*(\d{4})", plain)) or (
        found := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th|\.)? ([a-z]+),? (\d{4})", plain)
    ):
        numbers = found[3], found[2], found[1]
    elif found := re.fullmatch(r"([a-z]+) (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})", plain):
        numbers = found[3], found[1], found[2]
    if numbers is None:
        return None
    name = numbers[1]
    if not name.isdigit() and name[:3] not in _MONTHS:
        return None
    month = int(name) if name.isdigit() else _MONTHS.index(name[:3]) + 1
    try:
        return datetime.date(int(numbers[0]), month, int(numbers[2]))
    except ValueError:
        return None


def days_tools(now: Callable[[], float] = time.time) -> list[PlainTool]:
    """add_days, current_time."""

    async def add_days(arguments: Mapping[str, Any], context: Context) -> Outcome:
        start = read_date(arguments["date"], datetime.datetime.fromtimestamp(now()).date())
        count = arguments["days"]
        if start is None:
            return failed("bad_date", f"{arguments['date'][:60]!r} is no date that can be read. Write YYYY-MM-DD.")
        if count != int(count):
            return failed("bad_days", "Days are whole numbers.")
        try:
            return Outcome("ok", told({"date": (start + datetime.timedelta(int(count))).isoformat()}))
        except OverflowError:
            return failed("bad_days", "That day is outside the years 1 to 9999.")

    async def current_time(arguments: Mapping[str, Any], context: Context) -> Outcome:
        here = datetime.datetime.fromtimestamp(now()).astimezone()
        return Outcome("ok", told({"date": here.date().isoformat(), "time": f"{here:%H:%M}", "weekday": f"{here:%A}"}))

    return [
        PlainTool(declared("add_days", "read"), add_days),
        PlainTool(declared("current_time", "read"), current_time),
    ]


def timer_tools(rows: RunRows, timers: Timers, now: Callable[[], float] = time.time) -> list[PlainTool]:
    """set_timer, add_note."""

    async def set_timer(arguments: Mapping[str, Any], context: Context) -> Outcome:
        minutes, text = float(arguments["minutes"]), arguments["label"].strip()[:MOST_LABEL]
        if not 0 < minutes <= MOST_MINUTES:
            return failed("bad_minutes", f"A timer runs for more than 0 and at most {MOST_MINUTES:,.0f} minutes.")
        at = now()
        row = TimerRow(
            f"{context.run}:{context.call}", context.key, context.run, text, minutes, at + minutes * 60, "waiting", at
        )
        kept = await timers.add(row)
        due = datetime.datetime.fromtimestamp(kept.due_at).astimezone()
        return Outcome("ok", told({"ok": True, "rings_at": due.isoformat(timespec="seconds")}))

    async def add_note(arguments: Mapping[str, Any], context: Context) -> Outcome:
        title, text = arguments["title"].strip()[:MOST_LABEL], arguments["text"]
        if len(text) > MOST_NOTE:
            return failed("too_large", f"A note has at most {MOST_NOTE:,} characters.")
        made = context.label.through("model").to_text() or "person"
        id_ = f"{context.run}:{context.call}"
        await rows.add_note(NoteRow(id_, context.key, context.run, title, text, made, now()))
        return Outcome("ok", told({"ok": True}))

    return [PlainTool(declared("set_timer", "write"), set_timer), PlainTool(declared("add_note", "write"), add_note)]
