"""Times in a question: "last week", "before June", "on 3 May 2026", as a span of Unix seconds. Deterministic, English.

Promises: pure; what is not understood is no time and stays in the words; the words of a time are taken out of the question.
Does not cover: other languages; times of day; ambiguous dates such as 3/5/26. Days are of UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10}
_MONTH = "|".join(MONTHS)
_COUNT = rf"\d{{1,3}}|{'|'.join(NUMBERS)}"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` (inclusive) to `until` (exclusive), Unix seconds; None: no bound."""

    since: float | None = None
    until: float | None = None

    def holds(self, at: float) -> bool:
        """Whether a time lies in it."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None


def understood(question: str, now: float) -> tuple[str, Span]:
    """The question without the words of its time, and the time. The first that fits counts."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for pattern, read in _FORMS:
        match = pattern.search(question)
        if match is None:
            continue
        try:
            first, last = read(match, today)
        except (ValueError, OverflowError):
            continue
        word = (match.groupdict().get("side") or "").lower()
        rest = " ".join((question[: match.start()] + " " + question[match.end() :]).split())
        if word in ("before", "until"):
            return rest, Span(None, first.timestamp())
        if word in ("since", "after"):
            return rest, Span((first if word == "since" else last).timestamp(), None)
        return rest, Span(first.timestamp(), last.timestamp())
    return question, Span()


def _month(first: datetime) -> tuple[datetime, datetime]:
    return first, (first + timedelta(days=32)).replace(day=1)


def _named_month(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    number = MONTHS.index(match["month"].lower()) + 1
    year = int(match["year"]) if match["year"] else today.year - (number > today.month)
    return _month(today.replace(year=year, month=number, day=1))


def _named_day(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    number = MONTHS.index(match["month"].lower()) + 1
    day = int(match["day"])
    year = int(match["year"]) if match["year"] else today.year - ((number, day) > (today.month, today.day))
    first = datetime(year, number, day, tzinfo=UTC)
    return first, first + _DAY


def _iso(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    first = datetime(int(match["year"]), int(match["month"]), int(match["day"]), tzinfo=UTC)
    return first, first + _DAY


def _year(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    first = datetime(int(match["year"]), 1, 1, tzinfo=UTC)
    return first, first.replace(year=first.year + 1)


def _ago(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    count, unit = NUMBERS.get(match["count"].lower()) or int(match["count"]), match["unit"].lower()
    if unit == "day":
        first = today - count * _DAY
        return first, first + _DAY
    if unit == "week":
        first = today - timedelta(days=7 * count + today.weekday())
        return first, first + timedelta(days=7)
    months = today.year * 12 + today.month - 1 - count * (12 if unit == "year" else 1)
    return _month(today.replace(year=months // 12, month=months % 12 + 1, day=1))


def _past(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    count = NUMBERS.get((match["count"] or "one").lower()) or int(match["count"])
    days = {"day": 1, "week": 7, "month": 31, "year": 366}[match["unit"].lower()]
    return today - timedelta(days=days * count), today + _DAY


def _unit(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    back, unit = match["which"].lower() == "last", match["unit"].lower()
    if unit == "week":
        first = today - timedelta(days=today.weekday() + 7 * back)
        return first, first + timedelta(days=7)
    if unit == "month":
        first = today.replace(day=1)
        return _month((first - _DAY).replace(day=1) if back else first)
    first = today.replace(year=today.year - back, month=1, day=1)
    return first, first.replace(year=first.year + 1)


def _weekday(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    back = (today.weekday() - DAYS.index(match["weekday"].lower())) % 7 or 7
    return today - back * _DAY, today - (back - 1) * _DAY


def _near(match: re.Match[str], today: datetime) -> tuple[datetime, datetime]:
    first = today - _DAY * (match["near"].lower() == "yesterday")
    return first, first + _DAY


_Read = Callable[[re.Match[str], datetime], tuple[datetime, datetime]]
_SIDE = r"\b(?:(?P<side>before|until|since|after)\s+|(?:in|on|during|from|of)\s+)?(?:the\s+)?"
# A month alone ("may", "march") is a month only behind one of these words: both are verbs too.
_SURE = r"\b(?:(?P<side>before|until|since|after)\s+|(?:in|during|last|of)\s+)"


def _form(pattern: str, read: _Read) -> tuple[re.Pattern[str], _Read]:
    return re.compile(pattern, re.IGNORECASE), read


_FORMS = (
    _form(_SIDE + r"(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b", _iso),
    _form(
        _SIDE
        + rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})\b,?(?:\s+(?P<year>(?:19|20)\d\d))?\b",
        _named_day,
    ),
    _form(
        _SIDE + rf"(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b,?(?:\s+(?P<year>(?:19|20)\d\d))?\b",
        _named_day,
    ),
    _form(_SIDE + rf"(?P<month>{_MONTH})\s+(?P<year>(?:19|20)\d\d)\b", _named_month),
    _form(_SURE + rf"(?P<month>{_MONTH})\b(?P<year>)", _named_month),
    _form(_SIDE + rf"(?P<count>{_COUNT})\s+(?P<unit>day|week|month|year)s?\s+ago\b", _ago),
    _form(_SIDE + rf"(?:past|last)\s+(?P<count>{_COUNT})\s+(?P<unit>day|week|month|year)s?\b", _past),
    _form(_SIDE + r"past(?P<count>)\s+(?P<unit>day|week|month|year)\b", _past),
    _form(_SIDE + r"(?P<which>last|this)\s+(?P<unit>week|month|year)\b", _unit),
    _form(_SIDE + rf"last\s+(?P<weekday>{'|'.join(DAYS)})\b", _weekday),
    _form(rf"\b(?:(?P<side>before|until|since|after)\s+|on\s+)(?P<weekday>{'|'.join(DAYS)})\b", _weekday),
    _form(_SIDE + r"(?P<near>yesterday|today)\b", _near),
    _form(r"\b(?:(?P<side>before|until|since|after)|in|during)\s+(?P<year>(?:19|20)\d\d)\b", _year),
)
