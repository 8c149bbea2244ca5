"""What a model sees of a run: messages made of its steps, in tiers, within its window.

    pinned   the role's text, every order of the person, the tools
    recent   the newest steps, whole
    older    calls keep their skeleton, results become a line with the handle to the whole
    oldest   a summary (`Summarised`), one line a call, with the range of steps it stands for

Promises: pure; nothing is left out without a line that says so and how to get at it; the order of a step's call and result is
kept; between two compactions messages are only added, so that a model's KV cache keeps what it has read.
Does not cover: when to compact (`loop.py`), how many tokens something has (its own tokenizer).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from homefire.agent.step import Answered, Called, Decided, Entry, Ordered, Repaired, Returned, Summarised, Thought, Told
from homefire.messages import Message, ToolCall

# Characters of a line of a summary, and of a summary.
LINE, SUMMARY = 160, 3000
# Steps at the end that are never summarised.
RECENT = 6


@dataclass(frozen=True, slots=True)
class View:
    """How a run is shown. `system`: the role's text ("": none, as the pilot was trained); `lines_before`: results of entries
    before this number are lines; `drop_repeats`: calls that only repeated another are not shown; `hidden`: a call that is not."""

    system: str = ""
    lines_before: int = 0
    drop_repeats: bool = True
    hidden: str = ""


def messages(run: str, entries: Sequence[Entry], view: View) -> tuple[Message, ...]:
    """The messages of a run."""
    found = [Message("system", view.system)] if view.system else []
    results = {entry.step.call: (entry, entry.step) for entry in entries if isinstance(entry.step, Returned)}
    last = entries[-1].n if entries else 0
    for entry in live(entries):
        step = entry.step
        if isinstance(step, Ordered):
            found.append(Message("user", step.text))
        elif isinstance(step, Summarised):
            found.append(Message("user", f"[Steps {step.first} to {step.last}, shortened]\n{step.text}"))
        elif isinstance(step, Called):
            result = results.get(step.call)
            if result is None or step.call == view.hidden:
                continue  # it is under way, or was when a daemon died
            if not (view.drop_repeats and result[1].status == "cached" and result[0].n < last - 1):
                _called(found, run, step, result, view)
        elif isinstance(step, Thought) and step.text:
            found.append(Message("assistant", step.text))
        elif isinstance(step, Repaired):
            if step.what:
                found.append(Message("assistant", step.what))
            found.append(Message("user", f"[{step.problem}]"))
        elif isinstance(step, Told):
            _told(found, step.text)
        elif isinstance(step, Answered):
            found.append(Message("assistant", step.text))
    return _joined(found)


def _called(found: list[Message], run: str, step: Called, result: tuple[Entry, Returned], view: View) -> None:
    entry, returned = result
    found.append(Message("assistant", None, (ToolCall(step.call, step.tool, step.arguments or "{}"),)))
    text = line_of(run, entry, returned) if entry.n < view.lines_before else shown(returned)
    found.append(Message("tool", text, tool_call_id=step.call, name=step.tool))


def shown(result: Returned) -> str:
    """A result as a model reads it: a failure can not look like one that worked."""
    if result.status == "cached":
        return f"{result.text}\n[The same call as before: this is its result, nothing was done again.]"
    if result.status in ("ok", "empty") or result.text.lstrip().startswith('{"error"'):
        return result.text
    return json.dumps({"error": result.text or result.code or result.status}, ensure_ascii=False)


def line_of(run: str, entry: Entry, result: Returned) -> str:
    """A line in the place of a result."""
    text = " ".join(result.text.split())
    if len(text) <= LINE:
        return shown(result)
    handle = result.handle or f"step:{run}:{entry.n}"
    return f"[{result.status}: {text[: LINE // 2]} ... {len(result.text):,} characters left out: {handle}]"


def summary(run: str, entries: Sequence[Entry]) -> str:
    """Steps as lines, without a model: each call, how it came out, its beginning. What does not fit is counted."""
    results = {entry.step.call: entry.step for entry in entries if isinstance(entry.step, Returned)}
    lines = list[str]()
    for entry in entries:
        step = entry.step
        if isinstance(step, Summarised):
            lines += step.text.splitlines()
        elif isinstance(step, Called):
            result = results.get(step.call)
            if result is not None and result.status != "cached":
                came = f"{result.status}: {' '.join(result.text.split())}"
                lines.append(f"{step.tool} {step.arguments} -> {came}"[:LINE])
        elif isinstance(step, Decided) and step.text:
            lines.append(f"The person said: {step.text}"[:LINE])
    kept, size = list[str](), 0
    for line in reversed(lines):
        if size + len(line) > SUMMARY:
            break
        kept.append(line)
        size += len(line) + 1
    left = len(lines) - len(kept)
    head = [f"[{left} earlier lines left out: step:{run}:{entries[0].n}-{entries[-1].n}]"] if left and entries else []
    return "\n".join([*head, *reversed(kept)])


def to_summarise(entries: Sequence[Entry], recent: int = RECENT) -> tuple[int, int] | None:
    """The range of steps (first, last) that a summary may stand for: what is old, from where the last summary began; None if
    there is nothing worth it. No call is parted from its result."""
    calls = [entry for entry in entries if isinstance(entry.step, Called)]
    if len(calls) <= recent:
        return None
    until = calls[-recent].n
    covered = _covered(entries)
    old = [entry for entry in entries if entry.n < until and not isinstance(entry.step, Ordered)]
    fresh = [entry for entry in old if entry.n not in covered and not isinstance(entry.step, Summarised)]
    if sum(isinstance(entry.step, Called) for entry in fresh) < 2:
        return None
    return old[0].n, old[-1].n


def _covered(entries: Sequence[Entry]) -> set[int]:
    """Numbers of steps that a later summary stands for, orders excepted."""
    found = set[int]()
    for entry in entries:
        if isinstance(entry.step, Summarised):
            found |= set(range(entry.step.first, entry.step.last + 1))
    return found


def live(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that are shown: without what a summary stands for, the newest summary in the place of its range."""
    newest = max((entry.n for entry in entries if isinstance(entry.step, Summarised)), default=None)
    if newest is None:
        return list(entries)
    covered = _covered(entries)
    summaries = {entry.n for entry in entries if isinstance(entry.step, Summarised)} - {newest}
    head = [each for each in entries if isinstance(each.step, Ordered) and each.n in covered]
    body = [
        each
        for each in entries
        if each.n not in summaries and each.n != newest and each.n not in covered and each not in head
    ]
    (made,) = [each for each in entries if each.n == newest]
    assert isinstance(made.step, Summarised)
    before = [each for each in body if each.n < made.step.first]
    return [*before, *head, made, *(each for each in body if each.n >= made.step.first)]


def _told(found: list[Message], text: str) -> None:
    """Beside the last result, where one stands last: a small model takes a turn of the user for a new task."""
    if found and found[-1].role == "tool":
        last = found.pop()
        found.append(Message("tool", f"{last.content}\n[{text}]", tool_call_id=last.tool_call_id, name=last.name))
    else:
        found.append(Message("user", f"[{text}]"))


def _joined(found: Sequence[Message]) -> tuple[Message, ...]:
    """Without two turns of the same plain role in a row, which many templates refuse."""
    kept = list[Message]()
    for message in found:
        last = kept[-1] if kept else None
        if last is not None and last.role == message.role == "assistant" and not last.tool_calls:
            kept[-1] = Message(
                "assistant", "\n".join(filter(None, (last.content, message.content))) or None, message.tool_calls
            )
        elif last is not None and last.role == message.role == "user":
            kept[-1] = Message("user", f"{last.content}\n\n{message.content}")
        else:
            kept.append(message)
    return tuple(kept)
