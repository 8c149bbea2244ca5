"""The steps of an agent's run on a terminal: one line a step, more where a person has to read it whole.

Promises: what models, tools and documents wrote is shown without what would steer a terminal; what a person is asked about is
never shortened; colours on a terminal only.
Does not cover: fetching steps, asking (`agent.py`).
"""

from __future__ import annotations

import json
import time
from typing import Any, TextIO

from homefire.cli.bars import duration, has_colours, paint, size

# Characters of a line that is not meant to be read whole.
WIDE = 100
RESULT_LINES = 4
# How a call came out -> its mark and colour.
MARKS = {
    "ok": ("ok", "green"),
    "empty": ("nothing", "grey"),
    "error": ("failed", "red"),
    "refused": ("refused", "yellow"),
    "cached": ("as before", "grey"),
    "unknown": ("NOT KNOWN", "red"),
}
ENDINGS = {
    "answered": "answered",
    "stopped": "stopped by a person",
    "budget": "its budget is spent",
    "loop": "it only repeated itself",
    "helpless": "the model could not be brought to a call",
    "failed": "it failed",
}


def say_of(text: str) -> str:
    """Text of somebody else on a terminal: without what would steer it."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "." for letter in text)


def moment(at: float) -> str:
    """A time as people write it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def short(text: str, most: int = WIDE) -> str:
    """The beginning of a text in one line."""
    line = " ".join(text.split())
    return say_of(line if len(line) <= most else line[: most - 1] + "\u2026")


def arguments_of(text: str) -> str:
    """A call's arguments as they are read: `path="a.txt", lines=3`."""
    try:
        found = json.loads(text)
    except ValueError:
        return short(text)
    if not isinstance(found, dict):
        return short(text)
    return ", ".join(
        f"{short(str(name), 40)}={short(json.dumps(value, ensure_ascii=False))}" for name, value in found.items()
    )


class Shown:
    """Prints to one stream; pieces of what a model writes stand on the line that the whole step replaces."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours = has_colours(out)
        self._open = False
        self._wrote = ""

    def piece(self, text: str) -> None:
        """What the model is writing; on a terminal only, and dim."""
        if self._out.isatty():
            self._wrote += text
            clean = "".join(letter if letter == "\n" else say_of(letter) for letter in text)
            print(paint(clean, "grey", self._colours), end="", file=self._out, flush=True)
            self._open = True

    def line(self) -> None:
        """Ends the line that pieces left open."""
        if self._open:
            print(file=self._out)
        self._open, self._wrote = False, ""

    def step(self, step: dict[str, Any]) -> None:
        """One step."""
        wrote = self._wrote
        self.line()
        match step["kind"]:
            case "thought":
                if step["text"].strip() and step["text"].strip() not in wrote:  # it was there as it was written
                    self._print(f"  {short(step['text'], 400)}", "grey")
            case "called":
                self._print(f"> {say_of(step['tool'])}({arguments_of(step['arguments'])})  [{step['call']}]")
            case "returned":
                self._returned(step)
            case "decided":
                said = f": {short(step['text'])}" if step["text"] else ""
                self._print(f"  a person said {'yes' if step['yes'] else 'no'}{said}", "grey")
            case "repaired":
                self._print(f"  its call could not be used: {short(step['problem'])}", "yellow")
            case "told":
                self._print(f"  told: {short(step['text'])}", "yellow")
            case "summarised":
                self._print(f"  steps {step['first']} to {step['last']} are summarised from here on", "grey")
            case "ordered":
                self._print(f"* {short(step['text'], 400)}")
            case "ended":
                if step["text"]:
                    self._print(f"  {say_of(step['text'])}", "grey")
            case _:  # asked is shown where it is decided; begun and answered say nothing that the next step does not
                pass

    def question(self, question: dict[str, Any]) -> None:
        """What a person has to decide about, whole."""
        self.line()
        if question["approval"]:
            self._print(f"? {say_of(question['tool'])} [{question['call']}]: {say_of(question['reason'])}", "yellow")
        else:
            self._print(f"? it asks [{question['call']}]:", "yellow")
        for line in question["shown"].split("\n"):
            print(f"    {say_of(line)}", file=self._out)

    def end(self, run: dict[str, Any]) -> None:
        """How it ended, with what it took."""
        self.line()
        took = duration(max(0.0, run["updated_at"] - run["created_at"]))
        word = ENDINGS.get(run["ending"], run["state"])
        self._print(f"{run['id']}: {word}; {run['steps']} steps, {run['tokens']:,} tokens, {took}", "grey")

    def _returned(self, step: dict[str, Any]) -> None:
        word, colour = MARKS.get(step["status"], (step["status"], "grey"))
        about = [word, *([step["code"]] if step["code"] else []), f"{step['seconds']:.2f} s"]
        about += [f"{size(step['size'])} in all, {step['handle']}"] if step["handle"] else []
        self._print(f"  {', '.join(about)}", colour)
        if step["status"] == "unknown":
            self._print("  The daemon ended after it had begun. Look whether it was done; it is not done again.", "red")
        lines = [line for line in step["text"].split("\n") if line.strip()]
        for line in lines[:RESULT_LINES]:
            self._print(f"    {short(line)}", "grey")
        if len(lines) > RESULT_LINES:
            self._print(f"    ({len(lines) - RESULT_LINES} more lines)", "grey")

    def _print(self, text: str, colour: str = "") -> None:
        print(paint(text, colour, self._colours), file=self._out, flush=True)
