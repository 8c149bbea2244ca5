"""What fills the wordings of `wishes.py`: values, the arguments that follow from them, a result, and the answer from it.

Promises: values are mostly invented, so that they can only be copied; with `held` they stand on the side of the fence
(`words.fenced`) that training never sees.
Does not cover: the sentences around the values (`wishes.py`), documents and trials (`choice.py`).
"""

import datetime
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pilot.corpus import words
from pilot.corpus.phrases import say


@dataclass(frozen=True)
class Filling:
    """What fills the blanks of a wording, the arguments that follow, a possible result and the answer from it."""

    blanks: dict[str, str]
    arguments: dict[str, Any]
    result: str
    answer: str


Draw = Callable[[random.Random, bool], Filling]
Number = int | float


def shown(value: object) -> str:
    """A result as JSON."""
    return json.dumps(value, ensure_ascii=False)


# Values to copy


def topic(rng: random.Random, held: bool) -> str:
    """One to four words to look for."""
    frames = (
        "{w}",
        "{w}",
        "{w} {v}",
        "{w} {t}",
        "{k}",
        "the {w} {t}",
        "{c} {w}",
        "{p}",
        "{p} {w}",
        "{w} and {t}",
        "{w} in {y}",
    )
    return say(
        rng.choice(frames),
        rng,
        w=words.fresh(rng, held),
        v=words.fresh(rng, held),
        t=words.THINGS.draw(rng),
        k=words.code(rng, held),
        c=words.COLOURS.draw(rng),
        p=words.person(rng, held),
        y=words.city(rng, held),
    )


def sought(rng: random.Random, held: bool) -> str:
    return words.fenced(lambda: topic(rng, held), held)


FACTS = (
    "(my|the) (door code|password|locker number|customer number|pin|order number) is {k}",
    "{p} (lives in|comes from|moved to|works in) {y}",
    "{p} (likes|hates|eats no|never eats) {f}",
    "my (sister|brother|boss|doctor|teacher|neighbour|dog|cat) is called {p}",
    "the {w} is (in|behind|under) the {u}",
    "my {w} is {c}",
    "the meeting (with|about) {w} is at {h}",
    "the {w} costs {n} euros",
    "{w} means {v}",
    "we meet {p} on {d}",
    "{p} has {n} {w}",
    "my favourite {t} is {w}",
    "the {w} {t} belongs to {p}",
    "room {n} is {w}",
)


def fact(rng: random.Random, held: bool) -> str:
    """A short statement about invented things."""

    def draw() -> str:
        return say(
            rng.choice(FACTS),
            rng,
            k=words.code(rng, held),
            p=words.person(rng, held),
            y=words.city(rng, held),
            f=words.FOODS.draw(rng),
            t=words.THINGS.draw(rng),
            u=words.THINGS.draw(rng),
            c=words.COLOURS.draw(rng),
            h=words.clock(rng),
            n=str(words.number(rng, held, 2, 999)),
            w=words.fresh(rng, held),
            v=words.fresh(rng, held),
            d=words.date(rng),
        )

    return words.fenced(draw, held)


def task(rng: random.Random, held: bool) -> str:
    """Something to do, as one says it after "to"."""

    def draw() -> str:
        return say(
            rng.choice(
                (
                    "(check|count|sort|compare|describe|translate|fix|test|review) (the|all) {w} {t}s",
                    "(call|visit|thank|answer|pay) {p}",
                    "(buy|fetch|clean|pack|feed) the {w} {t}",
                    "(take out|turn off|water|wash) the {w}",
                    "(read|check|translate|summarise) {w}.md",
                    "(write|plan|draft) a (letter|report|poem) (about|for) {w}",
                    "(find|collect) the (price|name|size) of {w}",
                    "(call|mail) {p} about {w}",
                    "leave for {y}",
                )
            ),
            rng,
            w=words.fresh(rng, held),
            t=words.THINGS.draw(rng),
            p=words.person(rng, held),
            y=words.city(rng, held),
        )

    return words.fenced(draw, held)


def part(rng: random.Random, held: bool) -> str:
    """One step of a path: mostly an invented word."""
    if rng.random() < 0.15 and not held:
        return words.FILES.draw(rng)
    word = words.fresh(rng, held)
    return rng.choice((word, word, word, word, f"{word}-{words.fresh(rng, held)}", f"{word}_{rng.randrange(1, 30)}"))


def folder(rng: random.Random, held: bool) -> str:
    steps = "/".join(part(rng, held) for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))
    return rng.choice(("", "", "", "", "/", "~/", "./")) + steps


def path(rng: random.Random, held: bool) -> str:
    ending = rng.choice((".md", ".md", ".txt", ".txt", ".json", ".csv", ".py", ".log", ".html", ".pdf"))
    return folder(rng, held) + ending


def quoted(rng: random.Random, text: str, marks: tuple[str, ...] = ('"', "'")) -> str:
    """The text, sometimes in quotation marks, which do not belong to it."""
    mark = rng.choice(marks) if rng.random() < 0.15 else ""
    return mark + text + mark if mark not in text else text


def listed(rng: random.Random) -> list[str]:
    return [part(rng, False) + rng.choice((".md", ".txt", ".csv")) for _ in range(rng.choice((1, 2, 2, 3)))]


# Sums, units and days

SYMBOLS = {
    "+": ("plus", "sum"),
    "-": ("minus", "difference"),
    "*": ("times", "product"),
    "/": ("divided by", "quotient"),
}


def amount(rng: random.Random, held: bool) -> Number:
    """A number as sums have them: small, large, or with a point."""
    kind = rng.random()
    if kind < 0.5:
        return rng.randrange(1, 100)
    if kind < 0.85:
        return words.number(rng, held, 1, 9999)
    return words.fenced(lambda: rng.randrange(11, 9999) / rng.choice((10, 100)), held)


def said(rng: random.Random, value: Number) -> str:
    """A number as people write it: thousands may have a comma."""
    return f"{value:,}" if value >= 1000 and rng.random() < 0.4 else str(value)


def work_out(parts: list[Number | str]) -> str:
    """The value of numbers and signs, multiplication and division first."""
    left: list[tuple[int, float]] = []
    sign, place = 1, 0.0
    for at in range(0, len(parts), 2):
        value, before = float(parts[at]), parts[at - 1] if at else "+"
        if before in ("*", "/"):
            place = place * value if before == "*" else place / value
            continue
        left.append((sign, place))
        sign, place = (-1 if before == "-" else 1), value
    total = sum(one * much for one, much in [*left, (sign, place)])
    return f"{round(total, 4):.10g}" if abs(total) < 1e10 else f"{total:.0f}"


def summed(expression: str, value: str, blanks: dict[str, str], rng: random.Random) -> Filling:
    result = rng.choice((value, shown({"result": float(value) if "." in value else int(value)})))
    return Filling(blanks, {"expression": expression}, result, f"{expression} = {value}.")


def operands(rng: random.Random, held: bool, count: int) -> list[Number | str]:
    """Numbers with signs between them; whole as an expression on its side of the fence."""

    def draw() -> tuple[Number | str, ...]:
        out: list[Number | str] = [amount(rng, held)]
        for _ in range(count - 1):
            out += [rng.choice("++--**/"), amount(rng, held)]
        return tuple(out)

    return list(words.fenced(draw, held))


def symbols(rng: random.Random, held: bool) -> Filling:
    """A sum in signs: the argument is the same, but for commas."""
    parts = operands(rng, held, rng.choice((2, 2, 2, 3, 3, 4)))
    gap = "" if rng.random() < 0.2 else " "
    typed = gap.join(one if isinstance(one, str) else said(rng, one) for one in parts)
    return summed(typed.replace(",", ""), work_out(parts), {"e": typed}, rng)


def spoken(rng: random.Random, held: bool) -> Filling:
    """A sum in words: signs take their place."""
    parts = operands(rng, held, rng.choice((2, 2, 2, 3)))
    expression = " ".join(str(one) for one in parts)
    if len(parts) == 3 and rng.random() < 0.4:
        text = f"the {SYMBOLS[str(parts[1])][1]} of {said_part(rng, parts[0])} and {said_part(rng, parts[2])}"
    else:
        text = " ".join(said_part(rng, one) for one in parts)
    return summed(expression, work_out(parts), {"e": text}, rng)


def said_part(rng: random.Random, one: Number | str) -> str:
    if isinstance(one, str):
        return rng.choice(("multiplied by", "times", "times")) if one == "*" else SYMBOLS[one][0]
    return said(rng, one)


def ordered(sign: str, turned: bool) -> Draw:
    """A sum as an order with two numbers; `turned`: the second comes first ("take 4 from 10")."""

    def draw(rng: random.Random, held: bool) -> Filling:
        first, second = words.fenced(lambda: (amount(rng, held), amount(rng, held)), held)
        parts: list[Number | str] = [second, sign, first] if turned else [first, sign, second]
        blanks = {"a": said(rng, first), "b": said(rng, second)}
        return summed(" ".join(str(one) for one in parts), work_out(parts), blanks, rng)

    return draw


def percent(rng: random.Random, held: bool) -> Filling:
    """The sign stays in the expression, with one space before it."""
    share, whole = words.fenced(lambda: (rng.choice((rng.randrange(1, 100), 2.5, 7.5)), amount(rng, held)), held)
    expression = f"{share} % of {whole}"
    value = work_out([share, "*", whole, "/", 100])
    blanks = {"p": f"{share}" + rng.choice(("%", " %", " percent", " per cent")), "b": said(rng, whole)}
    return summed(expression, value, blanks, rng)


UNITS: tuple[dict[str, float], ...] = (
    {"km": 1000, "kilometres": 1000, "miles": 1609.344, "metres": 1, "m": 1, "feet": 0.3048, "yards": 0.9144},
    {"cm": 0.01, "inches": 0.0254, "mm": 0.001, "centimetres": 0.01},
    {"kg": 1000, "kilograms": 1000, "pounds": 453.592, "grams": 1, "g": 1, "ounces": 28.3495, "tons": 1e6},
    {"litres": 1, "gallons": 3.78541, "cups": 0.24, "ml": 0.001, "pints": 0.473176},
    {"hours": 3600, "minutes": 60, "seconds": 1, "days": 86400, "weeks": 604800},
    {"km/h": 1, "mph": 1.609344, "knots": 1.852},
    {"MB": 1, "GB": 1000, "kB": 0.001, "TB": 1e6},
)


def units(rng: random.Random, held: bool) -> Filling:
    """A value and two units, sometimes ones that nobody knows."""

    def draw() -> tuple[Number, str, str]:
        first, second = rng.sample(sorted(rng.choice(UNITS)), 2)
        if rng.random() < 0.12:
            first, second = rng.choice((("celsius", "fahrenheit"), ("fahrenheit", "celsius")))
        if rng.random() < 0.2:
            first, second = words.fresh(rng, held) + "s", rng.choice((second, words.fresh(rng, held) + "s"))
        return amount(rng, held), first, second

    value, source, target = words.fenced(draw, held)
    table = next((one for one in UNITS if source in one and target in one), {})
    much = value * table[source] / table[target] if table else words.number(rng) / 10
    if source in ("celsius", "fahrenheit") and target in ("celsius", "fahrenheit"):
        much = value * 1.8 + 32 if source == "celsius" else (value - 32) / 1.8
    got = float(f"{much:.4g}") if much < 1e4 else round(much)
    got = int(got) if got == int(got) else got
    result = rng.choice((shown({"value": got, "unit": target}), f"{got} {target}"))
    blanks = {"v": said(rng, value), "f": source, "t": target}
    return Filling(
        blanks, {"value": value, "from": source, "to": target}, result, f"{value} {source} = {got} {target}."
    )


def days(direction: int) -> Draw:
    """Days after (1) or before (-1) a date."""

    def draw(rng: random.Random, held: bool) -> Filling:
        def pair() -> tuple[datetime.date, int]:
            start = datetime.date(rng.randrange(2019, 2041), rng.randrange(1, 13), rng.randrange(1, 29))
            return start, rng.choice((rng.randrange(2, 32), rng.randrange(2, 400)))

        start, count = words.fenced(pair, held)
        month = words.MONTHS[start.month - 1]
        date = rng.choice(
            (start.isoformat(),) * 5 + (f"{start.day} {month} {start.year}", f"{month} {start.day}, {start.year}")
        )
        end = (start + datetime.timedelta(direction * count)).isoformat()
        result = rng.choice((shown({"date": end}), end))
        return Filling(
            {"n": str(count), "d": date}, {"date": date, "days": direction * count}, result, f"The date is {end}."
        )

    return draw


def now(rng: random.Random, held: bool) -> Filling:
    day = f"20{rng.randrange(24, 36)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    hour = f"{rng.randrange(0, 24):02d}:{rng.randrange(0, 60):02d}"
    result = rng.choice((shown({"date": day, "time": hour}), f"{day} {hour}"))
    return Filling({}, {}, result, f"It is {hour} on {day}.")


def span(rng: random.Random, held: bool) -> tuple[str, int]:
    """A time as people say it, and its minutes."""
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(("half an hour", "half an hour", "30 minutes")), 30
    if kind < 0.2:
        hours = rng.randrange(1, 5)
        return (rng.choice(("an hour", "1 hour", "one hour")) if hours == 1 else f"{hours} hours"), 60 * hours
    count = words.number(rng, held, 2, 180)
    return f"{count} " + rng.choice(("minutes", "minutes", "minutes", "min", "mins")), count


def timer(kind: str) -> Draw:
    def draw(rng: random.Random, held: bool) -> Filling:
        text, minutes = span(rng, held)
        label = "timer"
        if kind == "label":
            pick = rng.choice((words.FOODS.draw(rng), words.fresh(rng, held), words.fresh(rng, held)))
            label = pick if rng.random() < 0.75 else f"{words.fresh(rng, held)} {pick}"
        elif kind == "remind":
            label = task(rng, held)
        result = rng.choice((shown({"ok": True}), shown({"label": label, "minutes": minutes})))
        end = f"{minutes} minutes." if kind == "plain" else f"{label}, {minutes} minutes."
        return Filling(
            {"m": text, "l": label}, {"minutes": minutes, "label": label}, result, f"The timer is set: {end}"
        )

    return draw


# Memory and notes

OK = shown({"ok": True})


def remembering(rng: random.Random, held: bool) -> Filling:
    text = fact(rng, held)
    return Filling({"x": quoted(rng, text)}, {"text": text}, rng.choice((OK, "kept")), f"I will remember that {text}.")


def forgetting(rng: random.Random, held: bool) -> Filling:
    text = fact(rng, held)
    return Filling(
        {"x": quoted(rng, text)}, {"text": text}, rng.choice((OK, "removed")), f"I have forgotten that {text}."
    )


def recalling(rng: random.Random, held: bool) -> Filling:
    query = sought(rng, held)
    kept = [fact(rng, False) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    answer = f"I remember: {'; '.join(kept)}." if kept else f"I remember nothing about {query}."
    return Filling({"q": quoted(rng, query)}, {"query": query}, shown({"facts": kept}), answer)


def noting(rng: random.Random, held: bool) -> Filling:
    def draw() -> str:
        plain = rng.choice(("shopping", "list", "plan", "idea", "trip", "letter"))
        one, two = words.fresh(rng, held), words.fresh(rng, held)
        return rng.choice((one, one, f"{one} {plain}", f"{plain} {one}", f"{one} {two}", f"{plain} for {one}"))

    title, text = words.fenced(draw, held), rng.choice((fact, task, topic))(rng, held)
    blanks = {"n": title, "x": quoted(rng, text)}
    return Filling(blanks, {"title": title, "text": text}, rng.choice((OK, "written")), f"The note {title} is written.")


# Files and documents


def listing(rng: random.Random, held: bool) -> Filling:
    where, files = folder(rng, held), listed(rng)
    result = rng.choice((shown({"files": files}), "\n".join(files)))
    return Filling({"d": where}, {"folder": where}, result, f"The files are {', '.join(files)}.")


def reading(rng: random.Random, held: bool) -> Filling:
    where, text = path(rng, held), fact(rng, False)
    result = rng.choice((text, shown({"text": text})))
    return Filling({"p": quoted(rng, where)}, {"path": where}, result, f"The file says: {text}.")


def writing(rng: random.Random, held: bool) -> Filling:
    where, text = path(rng, held), rng.choice((fact, topic, task))(rng, held)
    blanks = {"p": where, "x": quoted(rng, text)}
    return Filling(blanks, {"path": where, "text": text}, rng.choice((OK, "written")), f"The text is in {where}.")


def searching(rng: random.Random, held: bool) -> Filling:
    where, query = folder(rng, held), sought(rng, held)
    hits = listed(rng) if rng.random() < 0.8 else []
    answer = f"Found in {', '.join(hits)}." if hits else f"No file mentions {query}."
    blanks = {"d": where, "q": quoted(rng, query)}
    return Filling(blanks, {"query": query, "folder": where}, shown({"files": hits}), answer)


def knowing(rng: random.Random, held: bool) -> Filling:
    query, source, text = sought(rng, held), listed(rng)[0], fact(rng, False)
    result = rng.choice((shown({"source": source, "text": text}), f"{source}: {text}"))
    return Filling({"q": quoted(rng, query)}, {"query": query}, result, f"{source} says: {text}.")


def ingesting(rng: random.Random, held: bool) -> Filling:
    is_file = rng.random() < 0.35
    where = path(rng, held) if is_file else folder(rng, held)
    kind = rng.choice(
        ("the file ", "the document ", "") if is_file else ("the folder ", "my folder ", "the documents in ", "")
    )
    count = rng.randrange(2, 99)
    result = rng.choice((shown({"pieces": count}), f"{count} pieces"))
    return Filling(
        {"p": where, "fp": kind + where},
        {"path": where},
        result,
        f"{count} pieces of {where} are in the knowledge now.",
    )


# Code, web, machine and helpers


def python(rng: random.Random, held: bool) -> Filling:
    """A line of Python and what it prints."""

    def draw() -> tuple[str, str]:
        word, a, b = words.fresh(rng, held), words.number(rng, held, 2, 300), rng.randrange(2, 40)
        numbers = [rng.randrange(1, 90) for _ in range(rng.choice((3, 4)))]
        name = rng.choice("abnxy")
        return rng.choice(
            (
                (f"print({a} * {b})", str(a * b)),
                (f"print({a} + {b})", str(a + b)),
                (f"print({a} % {b})", str(a % b)),
                (f"print('{word}'.upper())", word.upper()),
                (f"print(len('{word}'))", str(len(word))),
                (f"print('{word}'[::-1])", word[::-1]),
                (f"print('{word}' * 2)", word * 2),
                (f"print(sum({numbers}))", str(sum(numbers))),
                (f"print(sorted({numbers}))", str(sorted(numbers))),
                (f"print(max({numbers}))", str(max(numbers))),
                (f"{name} = {a}; print({name} - {b})", str(a - b)),
                (f"{name} = '{word}'; print({name})", word),
                (f"print(max({a}, {b}))", str(max(a, b))),
            )
        )

    code, output = words.fenced(draw, held)
    result = rng.choice((output, shown({"output": output})))
    return Filling({"c": quoted(rng, code, ("`", "`", '"'))}, {"code": code}, result, f"The output is {output}.")


def shell(rng: random.Random, held: bool) -> Filling:
    """A shell command and what it prints."""
    place, file, word = folder(rng, held), path(rng, held), words.fresh(rng, held)
    count = rng.randrange(2, 90)
    name = part(rng, False)
    command, output = rng.choice(
        (
            (f"ls {place}", name),
            (f"ls -la {place}", name),
            (f"wc -l {file}", f"{count} {file}"),
            (f"echo {word}", word),
            (f"echo {word} > {file}", "done"),
            (f"cat {file}", fact(rng, False)),
            (f"grep {word} {file}", f"{word} {name}"),
            (f"head -n {count} {file}", fact(rng, False)),
            (f"du -sh {place}", f"{count}M {place}"),
            (f"mkdir {place}", "done"),
            (f"mv {file} {place}", "done"),
            (f"cp {file} {place}", "done"),
            (f"which {word}", f"/usr/bin/{word}"),
        )
    )
    result = rng.choice((output, shown({"output": output})))
    return Filling(
        {"c": quoted(rng, command, ("`", "`", '"'))}, {"command": command}, result, f"The output is {output}."
    )


def address(rng: random.Random, held: bool) -> str:
    host = (
        rng.choice(("", "", "www."))
        + words.fresh(rng, held)
        + rng.choice((".com", ".org", ".net", ".de", ".io", ".example"))
    )
    tail = "/".join(part(rng, held) for _ in range(rng.choice((0, 1, 1, 2))))
    return rng.choice(("https://", "https://", "http://", "")) + host + ("/" + tail if tail else "")


def googling(rng: random.Random, held: bool) -> Filling:
    query, title, where = sought(rng, held), topic(rng, False), address(rng, False)
    result = rng.choice((shown({"title": title, "url": where}), f"{title} {where}"))
    return Filling({"q": quoted(rng, query)}, {"query": query}, result, f"The web has: {title}, {where}")


def fetching(rng: random.Random, held: bool) -> Filling:
    where, text = address(rng, held), fact(rng, False)
    result = rng.choice((text, shown({"text": text})))
    return Filling({"u": where}, {"url": where}, result, f"The page says: {text}.")


def health(rng: random.Random, held: bool) -> Filling:
    load, free, model = rng.randrange(1, 100), rng.randrange(1, 640) / 10, rng.choice(("pilot", words.fresh(rng)))
    result = shown({"processor": load, "free_gb": free, "models": [model]})
    return Filling({}, {}, result, f"The processor is at {load} %, {free} GB of memory are free, loaded: {model}.")


def loading(rng: random.Random, held: bool) -> Filling:
    word = words.fresh(rng, held)
    sized = f"{word}-{rng.choice((1, 2, 3, 4, 7, 8, 13, 14, 32, 70))}b"
    name = rng.choice((word, sized, sized, sized + rng.choice(("-q4", "-q8", "-chat")), f"{word}{rng.randrange(2, 6)}"))
    return Filling(
        {"m": name}, {"name": name}, rng.choice((OK, shown({"loaded": name}))), f"The model {name} is loaded."
    )


def process_name(rng: random.Random, held: bool) -> str:
    word = words.fresh(rng, held)
    return rng.choice(
        (word, word, f"{word}-{words.fresh(rng, held)}", f"{word}_{rng.randrange(1, 99)}", words.code(rng, held))
    )


def starting(rng: random.Random, held: bool) -> Filling:
    name, steps = process_name(rng, held), words.number(rng, held, 2, rng.choice((200, 2000)))
    result = rng.choice((OK, shown({"name": name, "state": "running"})))
    return Filling(
        {"n": name, "s": str(steps)}, {"name": name, "steps": steps}, result, f"The process {name} is running."
    )


def progress(rng: random.Random, held: bool) -> Filling:
    name, steps = process_name(rng, held), rng.randrange(5, 900)
    done = rng.choice((steps, rng.randrange(0, steps)))
    result = rng.choice((shown({"step": done, "steps": steps}), f"{done} of {steps}"))
    return Filling({"n": name}, {"name": name}, result, f"{name} is at step {done} of {steps}.")


def asking(rng: random.Random, held: bool) -> Filling:
    def draw() -> str:
        return say(
            rng.choice(
                (
                    "(which|what) {t} do you (want|like|need)?",
                    "do you (want|like|know|have) (the |){w}?",
                    "(may|shall|can) i (delete|open|send|keep|change) {w}?",
                    "where (is|do you keep) the {w}?",
                    "who is {p}?",
                    "when do you (meet|call|visit) {p}?",
                    "how many {w} do you (have|need|want)?",
                    "is {w} the right {t}?",
                    "what is the name of the {w}?",
                )
            ),
            rng,
            w=words.fresh(rng, held),
            t=words.THINGS.draw(rng),
            p=words.person(rng, held),
        )

    question = words.fenced(draw, held)
    reply = rng.choice(("yes", "no", "later", topic(rng, False)))
    result = rng.choice((reply, shown({"answer": reply})))
    return Filling({"q": quoted(rng, question)}, {"question": question}, result, f"The person says: {reply}.")


ROLES = (
    "researcher",
    "reviewer",
    "writer",
    "tester",
    "translator",
    "planner",
    "coder",
    "editor",
    "critic",
    "analyst",
    "tutor",
)


def delegating(rng: random.Random, held: bool) -> Filling:
    job = task(rng, held)
    invented = words.fresh(rng, held)
    role = rng.choice((invented, f"{invented} {rng.choice(ROLES)}", rng.choice(ROLES), rng.choice(ROLES)))
    article = "an" if role[0] in "aeiou" else "a"
    text = rng.choice((fact(rng, False), "done"))
    result = rng.choice((text, shown({"result": text})))
    blanks = {"r": role, "ar": f"{article} {role}", "t": job}
    return Filling(blanks, {"role": role, "task": job}, result, f"The {role} says: {text}.")


FORMS: dict[str, tuple[tuple[str, Draw], ...]] = {
    "calculate": (
        ("calculate.symbols", symbols),
        ("calculate.symbols", symbols),
        ("calculate.spoken", spoken),
        ("calculate.spoken", spoken),
        ("calculate.add", ordered("+", False)),
        ("calculate.take", ordered("-", True)),
        ("calculate.multiply", ordered("*", False)),
        ("calculate.divide", ordered("/", False)),
        ("calculate.percent", percent),
        ("calculate.percent", percent),
    ),
    "convert_units": (("convert_units", units),),
    "add_days": (("add_days.after", days(1)), ("add_days.after", days(1)), ("add_days.before", days(-1))),
    "current_time": (("current_time", now),),
    "set_timer": (
        ("set_timer.plain", timer("plain")),
        ("set_timer.label", timer("label")),
        ("set_timer.remind", timer("remind")),
    ),
    "remember": (("remember", remembering),),
    "recall": (("recall", recalling),),
    "forget": (("forget", forgetting),),
    "add_note": (("add_note", noting),),
    "list_files": (("list_files", listing),),
    "read_file": (("read_file", reading),),
    "write_file": (("write_file", writing),),
    "search_files": (("search_files", searching),),
    "search_knowledge": (("search_knowledge", knowing),),
    "ingest": (("ingest", ingesting),),
    "run_code": (("run_code", python),),
    "run_shell": (("run_shell", shell),),
    "web_search": (("web_search", googling),),
    "web_fetch": (("web_fetch", fetching),),
    "system_status": (("system_status", health),),
    "load_model": (("load_model", loading),),
    "start_process": (("start_process", starting),),
    "process_status": (("process_status", progress),),
    "ask_person": (("ask_person", asking),),
    "spawn_agent": (("spawn_agent", delegating),),
}
