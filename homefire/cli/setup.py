"""`homefire setup`: what this machine can run, a proposal for each role, the downloads, and a first answer.

    look -> propose -> ask -> fetch -> give the roles -> say hello -> propose an engine for the GPU

Promises: nothing is fetched unasked (a person's yes, or --yes); a download that fails is reported and the pilot takes its role,
so that setup ends with a working chat; --offline asks no network; running it again fetches only what is missing; exit status 0 if
a model answered.
Does not cover: what is proposed and why (the daemon's `proposal`), how it is fetched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from homefire.cli import setup_engine
from homefire.cli.bars import has_colours, memory, paint, size, table
from homefire.cli.lifecycle import ensure_running
from homefire.cli.main import parser_for, print_json, show_error
from homefire.cli.transfers import fetch
from homefire.client import Homefire
from homefire.errors import HomefireError, InvalidRequest

AT = "/homefire/v1"
PILOT = "pilot"
ROLES = {
    "main": "talks and works",
    "rlm": "reads long texts",
    "memory": "remembers",
    "embed": "finds by meaning",
    "vision": "looks at images",
}
QUESTION = "Say hello in one short sentence."
ANSWER_TOKENS = 200
# The first answer loads the model.
ANSWER_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Want:
    """A model for a role. Bytes; `rates`: tokens a second (low, expected, high), zeros if they cannot be told;
    `installed_as`: its name in the library, "" for the catalogue's."""

    role: str
    model: str
    quantization: str
    installed: bool
    download_bytes: int
    total_bytes: int
    rates: tuple[float, float, float]
    why: str
    installed_as: str = ""


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    pulled: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, str | None] = field(default_factory=dict)
    chat: dict[str, Any] = field(default_factory=dict)


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire setup`."""
    parser = parser_for("setup")
    parser.add_argument("--yes", action="store_true", help="ask nothing and take the proposal")
    parser.add_argument("--offline", action="store_true", help="try no network: use what is here")
    options = parser.parse_args(argv)
    if not options.yes and not sys.stdin.isatty():
        raise InvalidRequest(
            "Setup asks before it fetches, and there is no terminal to ask at.", "Say: homefire setup --yes"
        )
    ensure_running()
    with Homefire.connect() as home:
        plan = home.get(f"{AT}/proposal", offline=int(options.offline))
        wants = wants_of(plan)
        if not options.json:
            _show_machine(plan)
        wants = wants if options.yes else _settle(home, wants, _out(options))
        if options.yes and not options.json:
            _show_wants(wants, sys.stdout)
        outcome = _do(home, wants, options)
        engine = setup_engine.offer(home, options, _out(options))
        if options.json:
            print_json({**_facts(plan), "url": home.status()["url"], **_result(outcome), "engine": engine})
        elif outcome.chat.get("answer") is not None:
            _farewell(outcome)
            setup_engine.hint(engine)
    return 0 if outcome.chat.get("works") else 1


# -- pure


def wants_of(plan: Mapping[str, Any]) -> list[Want]:
    """The proposal as a list of wants, the embedder last."""
    choices = [*plan["choices"], *([{**plan["embedder"], "role": "embed"}] if plan["embedder"] else [])]
    return [
        Want(
            each["role"],
            each["model"],
            each["quantization"],
            each["installed"],
            each["download_bytes"],
            each["total_bytes"],
            (each["rates"][0], each["rates"][1], each["rates"][2]),
            each["why"],
            each["installed_as"],
        )
        for each in choices
    ]


def missing(wants: Iterable[Want]) -> list[Want]:
    """One want for each model that has to be fetched, in order."""
    found: dict[tuple[str, str], Want] = {}
    for want in wants:
        if not want.installed:
            found.setdefault((want.model, want.quantization), want)
    return list(found.values())


def without_fetching(wants: Iterable[Want]) -> list[Want]:
    """What remains if nothing may be fetched: the pilot in the roles of what is missing, no embedder."""
    return [_piloted(want) for want in wants if want.installed or want.role != "embed"]


def with_main(wants: Iterable[Want], row: Mapping[str, Any]) -> list[Want]:
    """Another main model, a row of the catalogue; roles that the old one had too go with it."""
    given = list(wants)
    old = next(want.model for want in given if want.role == "main")
    offer = next((each for each in row["offers"] if each["quantization"] == row["quantization"]), None)
    fetched = 0 if row["installed"] or offer is None else offer["size_bytes"]
    return [
        replace(
            want,
            model=row["name"],
            quantization=row["quantization"],
            installed=row["installed"],
            download_bytes=fetched,
            total_bytes=row["bytes"],
            rates=(0.0, 0.0, 0.0),
            why=row["why"],
        )
        if want.model == old and want.role != "embed"
        else want
        for want in given
    ]


def _piloted(want: Want) -> Want:
    if want.installed:
        return want
    why = "The built-in pilot: it always runs, and knows almost nothing."
    return replace(want, model=PILOT, quantization="", installed=True, download_bytes=0, rates=(0.0, 0.0, 0.0), why=why)


def _rate(rates: tuple[float, float, float]) -> str:
    low, expected, high = rates
    return f"{expected:.0f} ({low:.0f} to {high:.0f})" if expected else ""


# -- showing


def _show_machine(plan: Mapping[str, Any]) -> None:
    machine, tier, reach = plan["machine"], plan["tier"], plan["reach"]
    print(
        f"This machine: {machine['processor']}, {machine['cores']} cores, {memory(machine['memory_bytes'])} of memory",
        end="",
    )
    print(f" ({memory(machine['memory_available_bytes'])} free).")
    for gpu in machine["gpus"]:
        shared = ", shares the main memory" if gpu["shared"] else ""
        print(f"  GPU: {gpu['name']}, {memory(gpu['memory_bytes'])} ({memory(gpu['free_bytes'])} free{shared})")
    if not machine["gpus"]:
        print("  No GPU was found: models run on the processor.")
    print(f"Its tier is {tier['name']}: it runs {tier['runs']}.")
    if not reach["tried"]:
        print("No network was tried: only what is here is proposed.")
        return
    for name, word in (("hub", "A model hub"), ("index", "A package index")):
        state = "can be reached" if reach[name] else f"cannot be reached: {reach[name + '_reason']}"
        print(f"{word} {state}" if state.endswith(".") else f"{word} {state}.")


def _show_wants(wants: Iterable[Want], stream: Any) -> None:
    rows, colours = [], []
    given = list(wants)
    for want in given:
        fetched = (
            "is here" if want.installed else size(want.download_bytes) if want.download_bytes else "size not known"
        )
        name = f"{want.model} {want.quantization}".strip()
        rows.append(
            (f"  {want.role}", name, fetched, memory(want.total_bytes), _rate(want.rates), ROLES.get(want.role, ""))
        )
        colours.append("green" if want.installed else "")
    head = ("  ROLE", "MODEL", "DOWNLOAD", "MEMORY", "TOKENS/S", "WHAT IT DOES")
    print(f"\n{table(head, rows, colours, has_colours(stream))}\n", file=stream)
    said: set[str] = set()
    for want in given:
        if want.why not in said:
            said.add(want.why)
            print(f"  {want.role}: {want.why}", file=stream)


def _farewell(outcome: Outcome) -> None:
    chat = outcome.chat
    print(f"\n{chat['model']} says: {chat['answer']}\n" if chat["answer"] else f"\n{chat['model']} works.\n")
    if chat["model"] == PILOT:
        print("The pilot is a pilot light, not an assistant. Run setup again when a model hub can be reached, or say:")
        print("  homefire models import FILE.gguf\n")
    print(
        "Talk here:           homefire chat\nTalk in the browser: homefire link\nSee what else fits:  homefire models search\n"
        f"Make it quicker:     homefire models tune {chat['model']} --quick   (minutes, when nothing else is asked of it)"
    )


# -- asking


def _out(options: argparse.Namespace) -> Any:
    return sys.stderr if options.json else sys.stdout


def _settle(home: Homefire, wants: list[Want], stream: Any) -> list[Want]:
    """Asks until there is an answer. Nothing to fetch is nothing to ask."""
    while True:
        _show_wants(wants, stream)
        fetched = sum(want.download_bytes for want in missing(wants))
        if not missing(wants) and all(want.model == PILOT or want.installed for want in wants):
            question = "Use these? y: yes, o: another main model [y] "
        else:
            question = f"Fetch {size(fetched)}? y: yes, n: fetch nothing, o: another main model [y] "
        answer = _ask(question, stream).lower()
        if answer in ("", "y", "yes"):
            return wants
        if answer in ("n", "no"):
            return without_fetching(wants)
        if answer in ("o", "other"):
            wants = _other_main(home, wants, stream)


def _other_main(home: Homefire, wants: list[Want], stream: Any) -> list[Want]:
    rows = [row for row in home.get(f"{AT}/catalogue", capability="chat")["models"] if row["fits"] != "no"]
    on = has_colours(stream)
    for number, row in enumerate(rows, 1):
        line = f"  {number:3}  {row['name']} {row['quantization']}, {memory(row['bytes'])}, {row['licence']}"
        print(paint(line, "yellow" if row["fits"] == "tight" else "green", on), file=stream)
    answer = _ask("Which one? Its number or name, or nothing to go back: ", stream)
    row = next((row for n, row in enumerate(rows, 1) if answer in (str(n), row["name"])), None)
    if answer and row is None:
        print("There is none so called.", file=stream)
    return with_main(wants, row) if row else wants


def _ask(question: str, stream: Any) -> str:
    print(question, end="", file=stream, flush=True)
    line = sys.stdin.readline()
    if not line:  # Ctrl-D
        raise KeyboardInterrupt
    return line.strip()


# -- doing


def _do(home: Homefire, wants: list[Want], options: argparse.Namespace) -> Outcome:
    outcome = Outcome()
    names = {want.model: want.installed_as or want.model for want in wants if want.installed}
    for want in missing(wants):
        if not options.json:
            print(f"\nFetching {want.model}:", flush=True)
        try:
            done = fetch(home, want.model, shown=not options.json, **_asked(want))
        except HomefireError as problem:
            _note_failure(outcome, want.model, problem, options)
            continue
        model = done["model"]
        names[want.model] = model["name"]
        outcome.pulled.append({name: model[name] for name in ("name", "quantization", "size_bytes")})
        if not options.json:
            print(f"  {model['name']} is here.")
    for want in wants:
        stand_in = None if want.role == "embed" else PILOT
        outcome.roles[want.role] = _give(home, want.role, names.get(want.model, stand_in), outcome, options)
    main = outcome.roles.get("main") or PILOT
    outcome.chat = _greet(home, main, options)
    if not outcome.chat["works"] and main != PILOT:
        outcome.failed.setdefault(main, outcome.chat["error"])
        outcome.roles["main"] = _give(home, "main", PILOT, outcome, options)
        outcome.chat = _greet(home, PILOT, options)
    return outcome


def _asked(want: Want) -> dict[str, str]:
    """The embedder comes in one form and is converted as it comes; others are asked for in the quantization that was shown."""
    return {} if want.role == "embed" or not want.quantization else {"quantization": want.quantization}


def _give(home: Homefire, role: str, model: str | None, outcome: Outcome, options: argparse.Namespace) -> str | None:
    """Gives the role; what it has then."""
    try:
        found: str | None = home.put(f"{AT}/roles", {role: model})["roles"][role]
    except HomefireError as problem:
        _note_failure(outcome, model or role, problem, options)
        found = home.put(f"{AT}/roles", {role: None})["roles"][role]
    return found


def _greet(home: Homefire, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """One question and its answer. Does not raise: whether it works is what is asked."""
    if not options.json:
        print(f"\nAsking {model}: {QUESTION}", flush=True)
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": ANSWER_TOKENS}
    try:
        said = home.post("/v1/chat/completions", body, seconds=ANSWER_SECONDS)["choices"][0]["message"]
    except HomefireError as problem:
        if not options.json:
            show_error(problem, as_json=False)
        return {
            "works": False,
            "model": model,
            "question": QUESTION,
            "answer": None,
            "error": problem.envelope()["error"],
        }
    answer = str(said.get("content") or said.get("reasoning_content") or "").strip()
    return {"works": True, "model": model, "question": QUESTION, "answer": answer}


def _note_failure(outcome: Outcome, model: str, problem: HomefireError, options: argparse.Namespace) -> None:
    outcome.failed[model] = problem.envelope()["error"]
    if not options.json:
        print(f"  {model} could not be had; the pilot takes its place.", file=sys.stderr)
        show_error(problem, as_json=False)


def _facts(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {"machine": plan["machine"], "tier": plan["tier"]["name"], "reach": plan["reach"]}


def _result(outcome: Outcome) -> dict[str, Any]:
    said = ("code", "message", "next_step")
    failed = [{"model": model, **{name: error[name] for name in said}} for model, error in outcome.failed.items()]
    return {"roles": outcome.roles, "pulled": outcome.pulled, "failed": failed, "chat": outcome.chat}
