"""Entry point of `homefire`: the verbs, and how an error is shown.

Promises: parsing imports only argparse; a verb's module is imported when the verb is called.
Does not cover: what the verbs do (their modules).
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Sequence

import homefire
from homefire.errors import HomefireError

# verb -> (module of cli/, one line of help)
VERBS: dict[str, tuple[str, str]] = {
    "setup": ("setup", "look at this machine, choose and fetch models for it, and say hello"),
    "up": ("lifecycle", "start the daemon and print a one-time link to the page"),
    "down": ("lifecycle", "stop the daemon"),
    "status": ("lifecycle", "what runs, where, and what is in memory"),
    "sensors": ("sensors", "temperature, load, memory and power of this machine, now"),
    "ps": ("residency", "what is in memory, why, what waits and what leaves next"),
    "why": ("residency", "the last decisions about models: loaded, evicted, queued, refused, and why"),
    "load": ("residency", "bring a model into memory; keep it there"),
    "unload": ("residency", "let a model leave the memory"),
    "kept": ("residency", "KV caches of conversations, kept on the disk while their model is not in memory"),
    "link": ("lifecycle", "print a fresh one-time link to the page"),
    "chat": ("chat", "talk: one prompt, or a conversation"),
    "agent": ("agent", "have an agent do something: it thinks, calls tools, asks before anything risky"),
    "agents": ("agents", "several agents that work together: run, list, show, watch, stop, resume"),
    "tools": ("tools", "what agents can do here: list, show, allow, deny"),
    "mcp": ("mcp", "MCP servers whose tools agents may use: add, list, show, approve, remove; and being one: serve"),
    "models": ("models", "find, fit, fetch, verify, convert, quantize and keep models"),
    "engine": ("engines", "builds of the engine for this machine, other engines beside it, and who stands in for whom"),
    "ingest": ("knowledge", "take in a folder or a file, to be searched and asked about"),
    "search": ("finding", "find places in what was taken in, by words, meaning or a pattern"),
    "ask": ("finding", "ask a question about what was taken in; the answer names its sources"),
    "read": ("reading", "ask a question that takes all of a file or collection: count, list, compare, sum up"),
    "knowledge": ("knowledge", "what was taken in: list, look, keep fresh, check, remove"),
    "policy": ("policy", "the rules of what may go in, and what they say of a text"),
    "memory": ("memory", "what is remembered: show, search, add, edit, forget, undo, export, import"),
    "prompts": ("prompts", "what models are told: list, show, edit, compare, undo, render, pack, make shorter"),
    "key": ("keys", "list keys and what they may do; add, rotate, revoke one"),
    "tls": ("tls", "certificates for reaching this daemon from other machines"),
    "audit": ("keys", "the audit log: what was allowed, taken back, deleted, refused"),
    "backup": ("trust", "copy the whole home into a folder, checked, while it is in use"),
    "restore": ("trust", "bring a backup back; the home it replaces is kept aside"),
    "verify": ("trust", "whether everything that is stored is what was written"),
    "salvage": ("trust", "save what can be read of a damaged database"),
    "doctor": ("doctor", "what is wrong here and what to do"),
    "diagnose": ("diagnose", "write one file about this Homefire that a person may read and hand on"),
    "telemetry": ("telemetry", "off unless you turn it on: see every field, the records, and send them"),
    "bench": ("checkout", "measure (in a checkout)"),
    "pilot": ("checkout", "make the built-in model (in a checkout)"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="homefire",
        description="A whole private AI that runs on this machine.",
        epilog="HOMEFIRE_HOME moves all state, HOMEFIRE_PORT the port. Every verb takes --json and --help.",
    )
    parser.add_argument("--version", action="version", version=f"homefire {homefire.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (_, text) in VERBS.items():
        sub = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", add_help=False)
        sub.add_argument("rest", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(given[:1])
    module = importlib.import_module(f"homefire.cli.{VERBS[chosen.verb][0]}")
    run: Callable[[str, list[str]], int] = module.run
    as_json = "--json" in given
    try:
        return run(chosen.verb, given[1:])
    except HomefireError as problem:
        show_error(problem, as_json)
        return 1
    except BrokenPipeError:  # `homefire models | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def show_error(problem: HomefireError, as_json: bool) -> None:
    """The message and the next step on standard error; with --json the envelope on standard output."""
    if as_json:
        print(json.dumps(problem.envelope(), ensure_ascii=False))
        return
    print(f"homefire: {problem.message}", file=sys.stderr)
    print(f"  {problem.next_step}  [{problem.code}]", file=sys.stderr)


def parser_for(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb, with what all verbs share."""
    text = VERBS[verb][1]
    parser = argparse.ArgumentParser(prog=f"homefire {verb}", description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print JSON on standard output and nothing else")
    return parser


def print_json(value: object) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main())
