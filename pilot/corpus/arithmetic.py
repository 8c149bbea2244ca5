"""The skill "arithmetic": sums, differences and comparisons of whole numbers of up to six digits, one digit-step a line.

A line says which digits it takes. Letters count the digits of a number from the left (a the first, f the sixth, x where
there is none left), so the first line shows where both numbers end, each next line goes one letter back, and a digit is
found by its letter: aligning from the right, the hard part, becomes counting down. For 4785 + 926:

    d5+c6+0=11      the last digits and no carry: 11, so write 1 and carry 1
    c8+b2+1=11
    b7+a9+1=17
    a4+x0+1=05
    =5711           the carry and the written digits, read upwards

A difference has the same form: `d2-c6-0=16` borrows 1 and writes 6. A comparison first compares the letters of the last digits
(`d>c`), then, if they are the same, the digits from the left (`a4=4`) until two differ, and ends with less, greater or equal.

Promises: one right working a question; no number of a trial was trained, and no wording. Does not cover: negative
results, numbers of more than six digits, sums without the wish for steps (the pilot declines those).
"""

import random
from collections.abc import Iterable

from pilot.corpus.phrases import say
from pilot.corpus.skill import Ask, Mark
from pilot.corpus.words import fenced, is_held
from pilot.dialogue import Dialogue, Turn, pilot, user

GOALS: dict[str, tuple[str, float]] = {"arithmetic_step_pct": (">=", 99.0)}
TRIALS = 300
MAX_TOKENS = 160
LETTERS = "abcdef"
NONE_LEFT = "x"
HOW = "(step by step|digit by digit|in steps|with all steps|line by line)"
SHOW = "(show|write|give) ((the|all the|your) (steps|lines|working)|(each|every) (step|line))"

ASKS = {
    "+": (
        f"add {HOW}: {{a}} + {{b}}",
        f"add {{a}} and {{b}} {HOW}",
        f"{HOW}: {{a}} + {{b}}",
        f"{{a}} + {{b}} {HOW}",
        f"{{a}} plus {{b}} , {HOW}",
        f"what is {{a}} (plus|+) {{b}} ? {SHOW}",
        f"(find|calculate|compute|work out) the (sum|total) of {{a}} and {{b}} {HOW}",
        f"(find|calculate|compute|work out) {{a}} + {{b}} {HOW}",
        f"{SHOW} for {{a}} + {{b}}",
        f"{SHOW} to add {{a}} and {{b}}",
        f"sum {HOW}: {{a}} and {{b}}",
    ),
    "-": (
        f"subtract {HOW}: {{a}} - {{b}}",
        f"subtract {{b}} from {{a}} {HOW}",
        f"{HOW}: {{a}} - {{b}}",
        f"{{a}} - {{b}} {HOW}",
        f"{{a}} minus {{b}} , {HOW}",
        f"what is {{a}} (minus|-) {{b}} ? {SHOW}",
        f"(find|calculate|compute|work out) the difference of {{a}} and {{b}} {HOW}",
        f"(find|calculate|compute|work out) {{a}} - {{b}} {HOW}",
        f"{SHOW} for {{a}} - {{b}}",
        f"{SHOW} to (subtract|take) {{b}} from {{a}}",
        f"take {{b}} from {{a}} {HOW}",
    ),
    "?": (
        f"compare {HOW}: {{a}} and {{b}}",
        f"compare {{a}} (and|with|to) {{b}} {HOW}",
        f"{HOW}: compare {{a}} (and|with) {{b}}",
        f"is {{a}} (less or greater|greater or less) than {{b}} ? {SHOW}",
        f"is {{a}} (less than|greater than|equal to) {{b}} , {HOW}?",
        f"{SHOW} to compare {{a}} and {{b}}",
        f"{{a}} compared (with|to) {{b}} {HOW}",
    ),
}
ASKS_HELD = {
    "+": (
        f"please work out {{a}} plus {{b}} and {SHOW}",
        f"what is the sum of {{a}} and {{b}} , {HOW}?",
        f"add {{a}} to {{b}} , then {SHOW}",
    ),
    "-": (
        f"please work out {{a}} minus {{b}} and {SHOW}",
        f"what is the difference of {{a}} and {{b}} , {HOW}?",
        f"calculate {HOW} what {{a}} - {{b}} is",
    ),
    "?": (
        f"how does {{a}} compare with {{b}} ? {SHOW}",
        f"please find {HOW} whether {{a}} is less or greater than {{b}}",
        f"compare the numbers {{a}} and {{b}} and {SHOW}",
    ),
}
# The words that only the held patterns put together.
BRIDGES = {
    "+": (f"please add {{a}} to {{b}} and then {SHOW}", f"how does one add {{a}} and {{b}} {HOW}?"),
    "-": (f"please subtract {{b}} from {{a}} and then {SHOW}", f"how does one subtract {{b}} from {{a}} {HOW}?"),
    "?": (
        f"say {HOW} whether {{a}} is greater than {{b}}",
        f"please compare {{a}} and {{b}} , then {SHOW}",
        f"find whether {{a}} is equal to {{b}} , and {SHOW}",
        f"which of the numbers {{a}} and {{b}} is greater? {SHOW}",
    ),
}


def number(rng: random.Random, held: bool) -> int:
    """Up to six digits, long ones more often; of one digit only in training (one of ten is not enough to hold out)."""
    length = rng.choices((1, 2, 3, 4, 5, 6), (0 if held else 1, 2, 3, 4, 4, 4))[0]
    return fenced(lambda: rng.randrange(10 ** (length - 1), 10**length), held)


def near(one: int, rng: random.Random, held: bool) -> int:
    """A number of the same length that begins like `one`, or is the same: only such comparisons take many steps."""
    digits = str(one)
    if rng.random() < 0.15 or len(digits) < 3:
        return one
    tail = len(digits) - rng.randrange(len(digits) - 1)
    start = one // 10**tail * 10**tail
    tries = (start + rng.randrange(10**tail) for _ in range(40))
    return next((other for other in tries if fits(other, len(digits), held)), one)


def fits(other: int, length: int, held: bool) -> bool:
    return len(str(other)) == length and is_held(other) == held


def pair(kind: str, rng: random.Random, held: bool) -> tuple[int, int]:
    """Two numbers for a sum, a difference (the larger first) or a comparison."""
    one = number(rng, held)
    alike = rng.random() < (0.6 if kind == "?" else 0.15 if kind == "-" else 0.0)
    other = near(one, rng, held) if alike else number(rng, held)
    return (max(one, other), min(one, other)) if kind == "-" else (one, other)


def taken(digits: str, step: int) -> str:
    """The letter and the digit that line `step` (from 0, the units) takes from a number."""
    at = len(digits) - 1 - step
    return LETTERS[at] + digits[at] if at >= 0 else NONE_LEFT + "0"


def columns(one: int, other: int, sign: str) -> list[str]:
    """The working of a sum or a difference: a line a digit, then the result."""
    first, second = str(one), str(other)
    carry, lines = 0, []
    for step in range(max(len(first), len(second))):
        left, right = taken(first, step), taken(second, step)
        if sign == "+":
            after, digit = divmod(int(left[1]) + int(right[1]) + carry, 10)
        else:
            digit = int(left[1]) - int(right[1]) - carry
            after, digit = int(digit < 0), digit % 10
        lines.append(f"{left}{sign}{right}{sign}{carry}={after}{digit}")
        carry = after
    return [*lines, f"={one + other if sign == '+' else one - other}"]


def compared(one: int, other: int) -> list[str]:
    """The working of a comparison: the lengths, then digit by digit from the left until two differ."""
    first, second = str(one), str(other)
    lines = [LETTERS[len(first) - 1] + relation(len(first), len(second)) + LETTERS[len(second) - 1]]
    if len(first) == len(second):
        for letter, left, right in zip(LETTERS, first, second, strict=False):
            lines.append(letter + left + relation(int(left), int(right)) + right)
            if left != right:
                break
    return [*lines, {"<": "less", ">": "greater", "=": "equal"}[relation(one, other)]]


def relation(one: int, other: int) -> str:
    return "<" if one < other else ">" if one > other else "="


def working(kind: str, one: int, other: int) -> list[str]:
    """The lines of the one right answer."""
    return compared(one, other) if kind == "?" else columns(one, other, kind)


def question(kind: str, one: int, other: int, rng: random.Random, held: bool) -> str:
    """The request in words; no typing noise, which could touch the numbers."""
    patterns = ASKS_HELD[kind] if held else (*ASKS[kind], *BRIDGES[kind])
    text = say(rng.choice(patterns), rng)
    if rng.random() < 0.3 and text[-1] not in "?}":
        text += "."
    text = text[:1].upper() + text[1:] if rng.random() < 0.6 else text
    return text.replace("{a}", str(one)).replace("{b}", str(other))


def exchange(rng: random.Random) -> list[Turn]:
    """One question and its working."""
    kind = rng.choices(("+", "-", "?"), (4, 4, 3))[0]
    one, other = pair(kind, rng, False)
    return [user(question(kind, one, other, rng, False)), pilot("\n".join(working(kind, one, other)))]


def document(rng: random.Random) -> Dialogue:
    """One to four questions."""
    count = rng.choices((1, 2, 3, 4), (4, 3, 2, 1))[0]
    return Dialogue([turn for _ in range(count) for turn in exchange(rng)])


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One question; every line is a step, judged at its place, up to the first that is missing."""
    kind = rng.choice("+-?")
    one, other = pair(kind, rng, True)
    asked = question(kind, one, other, rng, True)
    reply = ask([{"role": "user", "content": asked}], max_tokens=MAX_TOKENS, temperature=0)
    wanted, got = working(kind, one, other), reply.text.split("\n")
    note = f"{asked!r} -> {reply.text!r} {reply.error}, wanted {wanted}"
    for step, line in enumerate(wanted):
        yield Mark("arithmetic_step_pct", step < len(got) and got[step] == line, note)
        if step >= len(got):
            break
    if len(got) > len(wanted):
        yield Mark("arithmetic_step_pct", False, note)
