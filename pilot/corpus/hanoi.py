"""The skill "steps": one move of Towers of Hanoi and the state after it, from the rules, the last move and the state.

A state is written as its last move and its pegs, one peg a line, each from the top: `move c A C`, then lines like
`A a d t`. The prompt is the cycle of disk a and a state; the answer is the next state in the same form, so an answer
can be the next prompt. From the top, because the three disks that matter then stand beside the names of their pegs,
and every other disk is followed by the same disk before and after the move.

Promises: states and moves are exact, by closed forms (no walking); `parse` repairs nothing; of towers of `HELD_FROM`
disks and more the evaluation's steps are never trained, whatever the pegs are called. Does not cover: smaller towers
(they have too few states to hold any out), the run of a million steps, states off the shortest way.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from pilot.corpus.skill import Ask, Mark
from pilot.corpus.words import is_held
from pilot.dialogue import Dialogue, Turn, pilot, user

RULES = (
    "Towers of Hanoi. If disk a did not move last, move disk a to the next peg of its cycle. "
    "Otherwise make the one legal move of another disk. Answer with the move and the pegs after it, from the top."
)
LETTERS = "abcdefghijklmnopqrst"  # disks, smallest first
PEGS = "ABC"
PEG_ORDERS = ("ABC", "ACB", "BAC", "BCA", "CAB", "CBA")
SMALLEST, LARGEST = 3, len(LETTERS)
HELD_FROM = 10
MAX_TOKENS = 60
GOALS: dict[str, tuple[str, float]] = {
    "hanoi_step_pct": (">=", 99.0),
    "hanoi_small_pct": (">=", 99.0),
    "hanoi_second_pct": (">=", 99.0),
    "hanoi_large_pct": (">=", 99.0),
}
TRIALS = 20_000


@dataclass(frozen=True)
class State:
    """The last move (disk, from, to; empty before the first) and the disks on A, B and C, each peg from the top."""

    move: str
    pegs: tuple[str, str, str]


def places(disks: int, count: int) -> list[int]:
    """Peg of each disk (0 start, 1 spare, 2 goal), smallest first, after `count` moves of the shortest solution."""
    out = []
    for disk in range(1, disks + 1):
        moved = (count + (1 << (disk - 1))) >> disk
        direction = (
            -1 if (disks - disk) % 2 == 0 else 1
        )  # the largest disk goes straight to the goal, its neighbours the other way
        out.append(direction * moved % 3)
    return out


def mover(count: int) -> int:
    """Which disk makes move number `count` (from 1): 0 is the smallest."""
    return (count & -count).bit_length() - 1


def state(disks: int, count: int, pegs: str = PEGS) -> State:
    """The state after `count` moves, of 2 ** disks - 1; `pegs` names start, spare and goal."""
    now = places(disks, count)
    stacks = {peg: "" for peg in PEGS}
    for disk, place in enumerate(now):
        stacks[pegs[place]] += LETTERS[disk]
    move = ""
    if count:
        disk = mover(count)
        move = LETTERS[disk] + pegs[places(disks, count - 1)[disk]] + pegs[now[disk]]
    return State(move, (stacks["A"], stacks["B"], stacks["C"]))


def cycle(disks: int, pegs: str = PEGS) -> str:
    """The order in which disk a visits the pegs, written from A: towards the goal first if the number of disks is odd."""
    start, spare, goal = pegs[0], pegs[1], pegs[2]
    order = start + (goal + spare if disks % 2 else spare + goal)
    at = order.index("A")
    return order[at:] + order[:at]


def answer(after: State) -> str:
    """A state as the model writes it: the move, then the three pegs."""
    lines = ["move " + (" ".join(after.move) or "none")]
    lines += [" ".join(peg + stack) for peg, stack in zip(PEGS, after.pegs, strict=True)]
    return "\n".join(lines)


def prompt(before: State, order: str) -> str:
    """What the user says: the cycle of disk a, the last move and the state. The rules are the system message."""
    return f"cycle {' '.join(order)}\n{answer(before)}"


def messages(before: State, order: str) -> list[dict[str, str]]:
    """One step as a request, in the OpenAI form."""
    return [{"role": "system", "content": RULES}, {"role": "user", "content": prompt(before, order)}]


def parse(text: str) -> State | None:
    """The state in an answer, or None: four lines, a move of three names, each disk once, small upon large."""
    lines = text.split("\n")
    if len(lines) != 4:
        return None
    words = lines[0].split(" ")
    if len(words) != 4 or words[0] != "move" or words[1] not in tuple(LETTERS):
        return None
    if words[2] == words[3] or {words[2], words[3]} - set(PEGS):
        return None
    stacks = []
    for peg, line in zip(PEGS, lines[1:], strict=True):
        name, *disks = line.split(" ")
        if name != peg or any(len(disk) != 1 or disk not in LETTERS for disk in disks) or disks != sorted(disks):
            return None
        stacks.append("".join(disks))
    known = "".join(sorted("".join(stacks)))
    if known != LETTERS[: len(known)] or words[1] not in known:
        return None
    return State("".join(words[1:]), (stacks[0], stacks[1], stacks[2]))


def held_out(now: State) -> bool:
    """Does the step from here belong to the evaluation? The disks from the seventh on decide, so that runs stay whole."""
    if sum(map(len, now.pegs)) < HELD_FROM:
        return False
    return is_held("hanoi " + "/".join(stack.strip(LETTERS[:6]) for stack in now.pegs))


def start_of_run(rng: random.Random, pegs: str) -> tuple[int, int]:
    """Disks and moves made. Large towers come more often; a third of the steps move a disk drawn at random, or follow one."""
    disks = rng.choices(range(SMALLEST, LARGEST + 1), range(SMALLEST, LARGEST + 1))[0]
    while True:
        if rng.random() < 0.65:
            count = rng.randrange((1 << disks) - 1)
        else:  # large disks move seldom, and one wrong move spoils a run
            disk = rng.randrange(disks)
            count = (2 * rng.randrange(1 << (disks - disk - 1)) + 1 << disk) - rng.choice((1, 1, 0))
        if count < (1 << disks) - 1 and not held_out(state(disks, count, pegs)):
            return disks, count


def document(rng: random.Random) -> Dialogue:
    """One step, or two to six in a row: the state just written is the next state, so it is written once."""
    pegs = PEGS if rng.random() < 0.7 else rng.choice(PEG_ORDERS)
    disks, count = start_of_run(rng, pegs)
    turns = [Turn("system", RULES), user(prompt(state(disks, count, pegs), cycle(disks, pegs)))]
    steps = 1 if rng.random() < 0.5 else rng.randrange(2, 7)
    for step in range(count, min(count + steps, (1 << disks) - 1)):
        if held_out(state(disks, step, pegs)):
            break
        if step > count:
            turns.append(user("next"))
        turns.append(pilot(answer(state(disks, step + 1, pegs))))
    return Dialogue(turns)


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One step from one state: move and pegs must both be exact."""
    disks = rng.randrange(SMALLEST, LARGEST + 1)
    count = rng.randrange((1 << disks) - 1)
    while disks >= HELD_FROM and not held_out(state(disks, count)):
        count = rng.randrange((1 << disks) - 1)
    before, after = state(disks, count), state(disks, count + 1)
    reply = ask([dict(one) for one in messages(before, cycle(disks))], max_tokens=MAX_TOKENS, temperature=0)
    good = reply.text == answer(after)
    note = f"{disks} disks, step {count}: {answer(before)!r} -> {reply.text!r} {reply.error}, wanted {answer(after)!r}"
    kind = ("hanoi_small_pct", "hanoi_second_pct", "hanoi_large_pct")[min(mover(count + 1), 2)]
    yield Mark(kind, good, note)
    yield Mark("hanoi_step_pct", good, note)
