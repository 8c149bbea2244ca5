"""Where the value of a chain comes from: one or two tool calls that find it, and the ways people ask for it.

Promises: the calls follow from the wish and the results; names, paths, texts and numbers are open-ended and fenced.
Does not cover: what is done with the value (`chains.py`), results that are errors (`troubles.py`).
"""

import datetime
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pilot.corpus import words
from pilot.corpus.phrases import say
from pilot.corpus.words import Pool, code, fenced, fresh, number, pool


@dataclass(frozen=True)
class Step:
    """One call and what the tool hands back."""

    name: str
    arguments: dict[str, Any]
    result: str


@dataclass(frozen=True)
class Found:
    """What a source drew: blanks of its wordings, its calls, the sentence that quotes the value, the value itself."""

    blanks: dict[str, str]
    steps: tuple[Step, ...]
    said: str
    value: str
    number: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Source:
    """Orders, questions (without their mark) and names for a value, and how one is drawn."""

    orders: Pool
    asks: Pool
    nouns: Pool
    draw: Callable[[random.Random, bool], Found]
    text: bool = False  # the value is a sentence, not a number, date or name


# ---- values

LABELS = pool(
    "budget,rent,salary,weight,height,loan,bill,price,share,score,target,limit,total,age,fee,tax,bonus,debt,goal,income,cost",
    "deposit,mortgage,allowance,refund,discount,savings",
)
UNITS = (
    ("metres", "feet", "miles", "kilometres", "inches", "yards"),
    ("pounds", "kilograms", "grams", "ounces", "stones"),
    ("litres", "gallons", "cups", "pints"),
    ("hours", "days", "weeks", "seconds", "minutes"),
)
ROLES = pool("writer,critic,planner,researcher,painter,tester,coder,reader", "reviewer,translator,summariser")
TASKS = (
    "(name|describe|draw|sell|plan|test|explain) the {w}",
    "(write|find) (a|one) (line|word|name|title) (about|for) {w}",
    "plan a (trip|day|week) (to|in) {c}",
)
FACTS = (
    "{a} (likes|needs|has|wants|sells|makes|opens|holds) {b}",
    "{a} (is|was|stays|lives|works) (in {c}|at {h}|with {n})",
    "the {a} (is|was|stays) (on|in|under|behind) the {b}",
    "{n} (has|keeps|bought|lost|found) the {a}( of {b}|)",
    "(call|meet|ask|pay|visit) {n} (at {h}|in {c}|about {b})",
    "(buy|bring|send|order) {b} (for|to|with) {n}",
    "{a}: {b} {k}",
    "{n} must (pay|send|call|see) {b}",
    "the (rules|orders|files|tasks) of {a} are {b}",
    "the (agent|system|model|memory) (of|in) {a} is {k}",
)


def label(rng: random.Random, held: bool) -> str:
    """What a value is called: one word, at times two."""
    kind = rng.random()
    if kind < 0.4:
        return LABELS.draw(rng, held)
    if kind < 0.75:
        return fresh(rng, held)
    return f"{fresh(rng, held)} {LABELS.draw(rng, held)}"


def folder(rng: random.Random, held: bool) -> str:
    first = words.FILES.draw(rng, held) if rng.random() < 0.4 else fresh(rng, held)
    return first if rng.random() < 0.75 else f"{first}/{fresh(rng, held)}"


def file_name(rng: random.Random, held: bool) -> str:
    stem = fresh(rng, held) if rng.random() < 0.75 else f"{fresh(rng, held)}-{rng.randrange(1, 100)}"
    return stem + rng.choice((".txt", ".md", ".csv", ".log"))


def path(rng: random.Random, held: bool) -> str:
    name = file_name(rng, held)
    return name if rng.random() < 0.6 else f"{folder(rng, held)}/{name}"


def sentence(rng: random.Random, held: bool, about: str = "") -> str:
    """A short fact, or a line of somebody's list."""
    return say(
        rng.choice(FACTS if not about else FACTS[:2]),
        rng,
        a=about or fresh(rng, held),
        b=fresh(rng, held),
        c=words.city(rng, held),
        n=words.person(rng, held),
        h=words.clock(rng),
        k=code(rng, held),
    )


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def wrapped(value: Any, rng: random.Random, *keys: str) -> str:
    """A value as tools hand it back: in an object, or bare."""
    if rng.random() < 0.7:
        return dumped({rng.choice(keys): value})
    return value if isinstance(value, str) else dumped(value)


def done(rng: random.Random) -> str:
    return rng.choice(('{"ok": true}', '{"status": "done"}', '{"done": true}', "ok", "done"))


def tidy(value: float) -> float:
    """Two digits after the point at most, and none without need."""
    value = round(value, 2)
    return int(value) if value == int(value) else value


def worked(a: float, sign: str, b: float) -> float:
    """What the tool would answer."""
    return tidy({"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1), "% of": a * b / 100}[sign])


# ---- sources


def calculation(rng: random.Random, held: bool) -> Found:
    """Typed as people do, at times with commas in thousands; the call has none."""
    if rng.random() < 0.4:
        a, sign, b = rng.randrange(1, 100), "% of", number(rng, held, 10, 9999)
        percent = rng.choice((" % of ", " % of ", "% of "))
        shown = (str(a) + percent, b)
    else:
        a, sign, b = number(rng, held, 2, 5000), rng.choice("+-*/"), number(rng, held, 2, 900)
        shown = (f"{a} {sign} ", b)
    plain = shown[0].replace("%", " %").replace("  ", " ") + str(b)
    typed = shown[0] + (f"{b:,}" if rng.random() < 0.5 else str(b))
    result = worked(a, sign, b)
    step = Step("calculate", {"expression": plain}, wrapped(result, rng, "result", "result", "value"))
    return Found({"e": typed}, (step,), f"{plain} is {result}.", str(result), result)


def conversion(rng: random.Random, held: bool) -> Found:
    unit, other = rng.sample(rng.choice(UNITS), 2)
    return converted(number(rng, held, 2, 900), unit, other, rng)


def converted(value: float, unit: str, other: str, rng: random.Random) -> Found:
    """The factor is drawn: the model must take it from the tool."""
    result = tidy(value * rng.randrange(2, 4000) / 100)
    step = Step(
        "convert_units", {"value": value, "from": unit, "to": other}, wrapped(result, rng, "result", "value", other)
    )
    blanks = {"v": str(value), "u": unit, "w": other}
    return Found(blanks, (step,), f"{value} {unit} is {result} {other}.", str(result), result, other)


def numeric(text_of: Callable[[random.Random, bool, str], Found]) -> Callable[[random.Random, bool], Found]:
    """A text source whose text holds one number, for the sums behind it."""

    def draw(rng: random.Random, held: bool) -> Found:
        unit = rng.choice(rng.choice(UNITS)) if rng.random() < 0.5 else ""
        value = number(rng, held, 2, 3000)
        found = text_of(rng, held, f" {value} {unit}".rstrip())
        return replace(found, number=value, unit=unit)

    return draw


def stated(about: str, amount: str, rng: random.Random, held: bool) -> str:
    """A text on a subject; with an amount it states that one number."""
    if amount:
        return say("(my |the |){a} (is|was|costs|makes|=)", rng, a=about) + amount
    return sentence(rng, held, about)


def memory(rng: random.Random, held: bool, amount: str = "") -> Found:
    about = label(rng, held)
    text = stated(about, amount, rng, held)
    result = rng.choice((text, dumped([text]), dumped({"facts": [text]}), dumped({"text": text})))
    return Found({"q": about}, (Step("recall", {"query": about}, result),), f"I remember: {text}.", text)


def knowledge(rng: random.Random, held: bool, amount: str = "") -> Found:
    about, source = label(rng, held), file_name(rng, held)
    text = stated(about, amount, rng, held)
    whole = {"source": source, "text": text}
    result = rng.choice((f"{source}: {text}", dumped(whole), dumped([whole])))
    return Found({"q": about}, (Step("search_knowledge", {"query": about}, result),), f"{source} says: {text}.", text)


def contents(where: str, rng: random.Random, held: bool, amount: str = "") -> tuple[Step, str]:
    """A file is read."""
    text = amount.strip() if amount and rng.random() < 0.4 else stated(label(rng, held), amount, rng, held)
    return Step("read_file", {"path": where}, wrapped(text, rng, "text", "content")), text


def file(rng: random.Random, held: bool, amount: str = "") -> Found:
    where = path(rng, held)
    step, text = contents(where, rng, held, amount)
    return Found({"p": where}, (step,), f"The file says: {text}.", text)


def listed(rng: random.Random, held: bool) -> Found:
    """One file of a folder: the path is the folder and the name."""
    inside = folder(rng, held)
    which, count = rng.choice((("only", 1), ("first", rng.randrange(2, 5)), ("last", rng.randrange(2, 5))))
    names = [file_name(rng, held) for _ in range(count)]
    where = f"{inside}/{names[-1] if which == 'last' else names[0]}"
    step, text = contents(where, rng, held)
    first = Step("list_files", {"folder": inside}, rng.choice((dumped(names), dumped({"files": names}))))
    return Found({"f": inside, "w": which}, (first, step), f"The file says: {text}.", text)


def sought(rng: random.Random, held: bool) -> Found:
    """Search, then read what was found."""
    inside, query = folder(rng, held), label(rng, held)
    where = f"{inside}/{file_name(rng, held)}"
    step, text = contents(where, rng, held)
    result = rng.choice((dumped([where]), dumped({"matches": [where]}), dumped({"files": [where]}), where))
    first = Step("search_files", {"query": query, "folder": inside}, result)
    return Found({"f": inside, "q": query}, (first, step), f"The file says: {text}.", text)


def address(rng: random.Random, held: bool) -> str:
    end = rng.choice((".org", ".com", ".net"))
    return f"https://{fresh(rng, held)}{end}" + (f"/{fresh(rng, held)}" if rng.random() < 0.5 else "")


def fetched(rng: random.Random, held: bool) -> Found:
    url, text = address(rng, held), sentence(rng, held)
    step = Step("web_fetch", {"url": url}, wrapped(text, rng, "text", "page"))
    return Found({"a": url}, (step,), f"The page says: {text}.", text)


def web(rng: random.Random, held: bool) -> Found:
    """Search the web and open the first page."""
    query, urls = label(rng, held), [address(rng, held) for _ in range(rng.choice((1, 2, 2)))]
    text = sentence(rng, held, query)
    hits: list[Any] = rng.choice((urls, [{"title": fresh(rng, held), "url": url} for url in urls]))
    first = Step("web_search", {"query": query}, rng.choice((dumped(hits), dumped({"results": hits}))))
    second = Step("web_fetch", {"url": urls[0]}, wrapped(text, rng, "text", "page"))
    return Found({"q": query}, (first, second), f"The page says: {text}.", text)


def program(rng: random.Random, held: bool) -> Found:
    a, b, word = number(rng, held, 2, 999), number(rng, held, 2, 999), fresh(rng, held)
    written, out = rng.choice(
        (
            (f"print({a} * {b})", str(a * b)),
            (f"print({a} + {b})", str(a + b)),
            (f"print('{word}'.upper())", word.upper()),
            (f"print(len('{word}') + {a})", str(len(word) + a)),
            (f"print('{word}-' + str({b}))", f"{word}-{b}"),
            (f"print(max({a}, {b}))", str(max(a, b))),
        )
    )
    step = Step("run_code", {"code": written}, wrapped(out, rng, "output", "stdout"))
    return Found({"k": written}, (step,), f"The output is {out}.", out)


def helper(rng: random.Random, held: bool) -> Found:
    role = ROLES.draw(rng, held) if rng.random() < 0.6 else "t" + fresh(rng, held)

    task = say(rng.choice(TASKS), rng, w=fresh(rng, held), c=words.city(rng, held))
    text = sentence(rng, held)
    step = Step("spawn_agent", {"role": role, "task": task}, wrapped(text, rng, "answer", "result", "text"))
    return Found({"r": role, "t": task}, (step,), f"The {role} says: {text}.", text)


def moment(rng: random.Random, held: bool) -> tuple[datetime.date, str, Step]:
    """A day, a time, and the call that tells them."""
    day = fenced(lambda: datetime.date(2024, 1, 1) + datetime.timedelta(days=rng.randrange(5000)), held)
    hour = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
    result = rng.choice((dumped({"date": str(day), "time": hour}), f"{day} {hour}"))
    return day, hour, Step("current_time", {}, result)


def dated(rng: random.Random, held: bool) -> Found:
    day, _, first = moment(rng, held)
    days = number(rng, held, 2, 400)
    then = str(day + datetime.timedelta(days=days))
    second = Step("add_days", {"date": str(day), "days": days}, wrapped(then, rng, "date", "result"))
    return Found({"d": str(days)}, (first, second), f"The date is {then}.", then)


def now(rng: random.Random, held: bool) -> Found:
    day, hour, step = moment(rng, held)
    return Found({}, (step,), f"It is {hour} on {day}.", hour)


def process(rng: random.Random, held: bool) -> Found:
    name, steps = fresh(rng, held), rng.randrange(3, 200)
    at = rng.randrange(1, steps)
    step = Step("process_status", {"name": name}, dumped({"step": at, "steps": steps}))
    return Found({"p": name}, (step,), f"{name} is at step {at} of {steps}.", f"step {at} of {steps}")


def model(rng: random.Random, held: bool) -> Found:
    """Look what models there are, then load one."""
    which, count = rng.choice((("only", 1), ("first", rng.randrange(2, 4)), ("last", rng.randrange(2, 4))))
    names = [f"{fresh(rng, held)}-{rng.randrange(1, 99)}b" for _ in range(count)]
    name = names[-1] if which == "last" else names[0]
    shown = {"cpu": rng.randrange(1, 100), "free_gb": rng.randrange(1, 64), "models": names}
    first = Step("system_status", {}, dumped(shown))
    second = Step("load_model", {"name": name}, rng.choice((dumped({"loaded": name}), done(rng))))
    return Found({"w": which}, (first, second), f"The model {name} is loaded.", name)


# fmt: off
SOURCES = {
    "calculate": Source(
        Pool(("(calculate|compute|work out|evaluate) {e}",
              "(tell me|find out|show me) (what|how much) {e} (is|makes|gives)", "(find|give me|get) (the result of |){e}"),
             ("work out how much {e} makes", "compute the result of {e}", "show me {e}")),
        Pool(("(what is|what s|how much is) {e}", "what does {e} (make|give)", "{e} (is what|makes what|= )"),
             ("how much does {e} make", "so what is {e}", "{e} is how much")),
        Pool(("{e}", "the (result|value|answer) of {e}", "what {e} (is|makes|gives)", "how much {e} is"),
             ("what you get for {e}", "how much {e} makes", "the number that {e} gives")),
        calculation,
    ),
    "convert": Source(
        Pool(("(convert|turn|change) {v} {u} (to|into) {w}",
              "(tell me|work out|find out) (what|how many {w}) {v} {u} (is|are|makes)( in {w}|)",
              "(give me|get) {v} {u} (in|as) {w}"),
             ("work out {v} {u} in {w}", "show me how many {w} {v} {u} makes", "get {v} {u} into {w}")),
        Pool(("(what is|how much is) {v} {u} in {w}", "how many {w} (are|is|in) {v} {u}", "{v} {u} in {w}"),
             ("how many {w} does {v} {u} make", "what are {v} {u} in {w}")),
        Pool(("{v} {u} in {w}", "what {v} {u} (is|are) in {w}", "the {w} of {v} {u}", "the value of {v} {u} in {w}"),
             ("how much {v} {u} is in {w}", "what you get for {v} {u} in {w}")),
        conversion,
    ),
    "recall": Source(
        Pool(("(recall|look up|bring back|find) my {q}",
              "(recall|look up|find|tell me) what (you know|you kept|memory says) (about|of|on) my {q}",
              "(look|search) in (your|the) memory for my {q}", "search (your|the) memory for my {q}"),
             ("look up in memory what you kept on my {q}", "find my {q} in your memory",
              "bring back what you know of my {q}")),
        Pool(("what is my {q}", "what do you (know|remember) (about|of) my {q}", "what did i (say|tell you) about my {q}"),
             ("what did you keep about my {q}", "do you know my {q}", "what does memory say of my {q}")),
        Pool(("what (you know|you remember|memory says|i told you|you kept) (about|of|on) my {q}", "my {q}",
              "my {q} (from|in) memory", "all (i|that i) said of my {q}"),
             ("what i said about my {q}", "what your memory has on my {q}", "what you found in memory about my {q}")),
        memory,
        True,
    ),
    "knowledge": Source(
        Pool(("(search|look in|look through) (the|my) (documents|knowledge|papers) for {q}",
              "(find|look up|find out|tell me) what (the|my) (documents|papers) (say|have|tell) (about|on|of) {q}",
              "(look up|find|find something on) {q} in (the|my) (documents|knowledge|papers)"),
             ("look through my papers and find {q}", "search {q} in the documents",
              "find out what my knowledge has on {q}")),
        Pool(("what (do|did) (the|my) (documents|papers) (say|tell|have|know) (about|on|of) {q}",
              "what (is|stands) in (the|my) (documents|knowledge|papers) (about|on) {q}"),
             ("do my papers say something about {q}", "what does my knowledge have on {q}")),
        Pool(("what (the|my) (documents|papers) (say|tell|have) (about|on|of) {q}",
              "the {q} (in|of|from) (the|my) (documents|papers)"),
             ("what stands in my papers on {q}", "what you find about {q} in the documents",
              "the {q} that the documents tell of")),
        knowledge,
        True,
    ),
    "file": Source(
        Pool(("(read|open|look into|show me|look at) (the file |){p}",
              "(tell me|find out|show me) what (the file |){p} (says|holds)",
              "(get|show me) (the text|the content) (of|in) (the file |){p}"),
             ("look at what {p} holds", "find out what stands in {p}", "read the text of {p}")),
        Pool(("what (does|did) (the file |){p} say", "what (is|stands) in (the file |){p}"),
             ("what does {p} hold", "what text is in {p}")),
        Pool(("what (the file |){p} (says|holds)", "(the text|the content|the number) (of|in) (the file |){p}",
              "what (is|stands) in {p}"),
             ("what you read in {p}", "what the text in {p} says", "what you find in {p}")),
        file,
        True,
    ),
    "listed": Source(
        Pool(("(read|open|show me|look into) the {w} file (in|of|from) (the folder |){f}",
              "(list|look at|show me) (the files (in|of) |the folder |){f} and (read|open) the {w} (one|file)",
              "(look|see) (what is|which files are) in {f} and (read|open) the {w} (one|file)"),
             ("list {f}, open the {w} one", "see which files are in the folder {f} and read the {w}",
              "look into {f} and open the {w} file")),
        Pool(("what does the {w} file (in|of) (the folder |){f} (say|hold)", "what (is|stands) in the {w} file (in|of) {f}"),
             ("what does the {w} one of the files in {f} say", "the {w} file in {f} says what")),
        Pool(("(the text of |the content of |)the {w} file (in|of) (the folder |){f}",
              "what the {w} file (in|of) {f} (says|holds)"),
             ("what stands in the {w} file of the folder {f}", "what you read in the {w} file in {f}")),
        listed,
        True,
    ),
    "sought": Source(
        Pool(("(find|search|look for) (the file|a file) (in|under) {f} (about|with|on) {q} and (read|open) it",
              "(search|look through) (the folder |){f} for {q} and (read|open|show me) (the file|what you find)",
              "(search|look) for {q} in (the folder |){f} and (read|open) (the file|what you find)",
              "(read|open|show me) the file (in|under) {f} (about|with|on) {q}"),
             ("look in the folder {f} for {q}, read what you find", "find {q} in {f} and open the file",
              "search under {f} for a file with {q} and show me it")),
        Pool(("what does the file (in|under) {f} (about|with|on) {q} say",
              "which file in {f} (is about|has|holds) {q} and what does it say"),
             ("what stands in the file with {q} under {f}", "in {f}, what does the file on {q} say")),
        Pool(("(the text of |what is in |)the file (in|under) {f} (about|with|on) {q}",
              "what the file (in|under) {f} (about|with|on) {q} says"),
             ("what the file on {q} in the folder {f} holds", "the content of the file about {q} under {f}")),
        sought,
        True,
    ),
    "fetch": Source(
        Pool(("(fetch|open|read|get|load|look at) (the page |){a}", "(tell me|find out) what (the page |){a} says",
              "go to {a}"),
             ("look at what {a} says", "get me the page {a}")),
        Pool(("what (does|did) (the page |){a} say", "what (is|stands) on {a}"),
             ("what text is on the page {a}",)),
        Pool(("what (the page |){a} says", "(the text|the content) (of|on) (the page |){a}", "the page {a}"),
             ("what stands on {a}", "what you read on the page {a}")),
        fetched,
        True,
    ),
    "web": Source(
        Pool(("(search|look on) the (web|internet) for {q} and (open|read|fetch) the first (page|result|one)",
              "(look up|find) {q} on the (web|internet) and (open|read|fetch) the first (page|result)",
              "(open|read|fetch) the first (page|result) (on|of) the (web|internet) (about|on|for) {q}"),
             ("look on the internet for {q}, read the first result",
              "find the first page about {q} on the web and read it")),
        Pool(("what does the first (page|result) (on|of) the (web|internet) (about|on|for) {q} say",
              "what (is|stands) on the first (web page|page of the web) (about|on) {q}"),
             ("what does the first web page for {q} say", "which text is on the first page of the internet on {q}")),
        Pool(("(the text of |)the first (page|result) (on|of) the (web|internet) (about|on|for) {q}",
              "what the first web page (about|on) {q} says"),
             ("what you read on the first page of the web about {q}",
              "what the first result on the internet says about {q}")),
        web,
        True,
    ),
    "code": Source(
        Pool(("(run|execute|try) (the code |the line |this: |){k}", "(see|tell me|find out) what {k} (prints|gives)"),
             ("try what {k} gives", "run the line {k} as code")),
        Pool(("what does {k} (print|give)", "what (comes out of|is printed by) {k}"),
             ("what is the result when you run {k}",)),
        Pool(("(the output|the result) of {k}", "what {k} (prints|gives)", "what comes out (of|when you run) {k}"),
             ("what is printed when you run {k}", "the result of the code {k}")),
        program,
    ),
    "agent": Source(
        Pool(("(let|have|get) (a|the|another) {r}( agent|)( do this|): {t}",
              "(ask|tell|get|start) (a|an agent as|another agent as|the) {r} to {t}",
              "(give|hand) (a|the) {r}( agent|) the task to {t}"),
             ("have an agent as {r} do this: {t}", "hand the task to {t} to a {r}", "hand another agent as {r} the task to {t}")),
        Pool(("(can|could|will) (a|another|the) {r}( agent|) {t}",
              "what does (a|the) {r} say (if|when) you (ask|tell) (it |)to {t}"),
             ("will an agent as {r} {t}", "what does the {r} agent say when you hand it the task to {t}")),
        Pool(("what (a|the) {r}( agent|) (says|answers) (if|when) (told|asked) to {t}",),
             ("the answer of a {r} told to {t}",)),
        helper,
        True,
    ),
    "date": Source(
        Pool(("(work out|find|find out|tell me) (the date|(which|what) day it is) (in {d} days|{d} days from (now|today))",
              "(count|add|go) {d} days (on |forward |)(from|to) today"),
             ("find the day {d} days from today", "tell me what date it is {d} days from now", "go {d} days on from now")),
        Pool(("(what|which) (day|date) is (it |)(in {d} days|{d} days from (now|today))",
              "what is the date (in {d} days|{d} days from (now|today))"),
             ("what day do we have in {d} days", "{d} days from now is which date")),
        Pool(("the (date|day) (in {d} days|{d} days from (now|today))", "what (date|day) it is in {d} days",
              "today plus {d} days"),
             ("which date it is {d} days from today", "the day that is {d} days on from now")),
        dated,
    ),
    "now": Source(
        Pool(("(tell me|look up|find out|check|get) (the time|what time it is|how late it is)( now|)",),
             ("find out how late in the day it is", "check what time we have")),
        Pool(("(what time is it|how late is it|what is the time)( now|)",),
             ("so how late is it now", "what is the time of day now")),
        Pool(("the (time|current time|time of day)( now|)", "what time it is( now|)"),
             ("how late it is now",)),
        now,
    ),
    "process": Source(
        Pool(("(check|see|look|find out|tell me) how far (the process |){p} (is|got|has come)",
              "(check|look at|get) (the status|the state) of (the process |){p}"),
             ("look at how far {p} got", "find out the status of {p}", "check where {p} is")),
        Pool(("how far (is|has) (the process |){p}( got| come|)", "what is the (status|state) of (the process |){p}",
              "where is (the process |){p} now"),
             ("so how far did {p} get", "at what step is the process {p}")),
        Pool(("how far (the process |){p} (is|got|has come)", "the (status|state|step) of (the process |){p}"),
             ("at what step {p} is", "where the process {p} is now")),
        process,
    ),
    "model": Source(
        Pool(("(see|check|look|find out) (which|what) models (there are|we have) and (load|start|use) the {w} (one|model)",
              "(load|start|use) the {w} model (there is|we have|of the system|that is there)",
              "(check|look at) the (system|status|models) and load the {w} (one|model)"),
             ("look which models we have and use the {w}", "find out what models are there, then load the {w} one",
              "use the {w} of the models that are there")),
        Pool(("(can|could) you (load|start|use) the {w} model( there is| we have| of the system|)",
              "which models are there, and can you (load|use) the {w} one"),
             ("could you see what models we have and start the {w} one", "can you use the {w} model that is there")),
        Pool((), ()),
        model,
    ),
}
# fmt: on
NUMERIC = {"recall": numeric(memory), "knowledge": numeric(knowledge), "file": numeric(file)}
