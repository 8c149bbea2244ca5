"""The verbs of `python -m pilot`: tokenizer, generate, train, export, verify, evaluate, all.

Promises: progress on stderr; the last line on stdout is the result, as one JSON object with
`--json`. `evaluate` needs no torch. Does not cover: installing what the verbs import (torch,
gguf, tokenizers, numpy, xllamacpp).
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pilot.settings import Plan

VERBS = ("tokenizer", "generate", "train", "export", "verify", "evaluate", "all")
MODEL = Path("homefire/models/pilot.gguf")
WEIGHTS = Path("pilot/weights")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m pilot", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--work", type=Path, default=Path("build/pilot"), help="folder for files on the way")
    parser.add_argument("--model", type=Path, default=MODEL, help="the GGUF file to write or to evaluate")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder for the unquantized weights")
    parser.add_argument(
        "--start", type=Path, help="folder of weights that training goes on from, instead of the seeded start"
    )
    parser.add_argument("--share", type=float, default=1.0, help="share of the trials that evaluate runs")
    parser.add_argument("--only", default="", help="skills that evaluate runs, separated by commas")
    parser.add_argument("--documents", type=int, default=plan.documents)
    parser.add_argument(
        "--minutes", type=float, default=plan.minutes, help="training time by the clock, with --steps 0"
    )
    parser.add_argument("--steps", type=int, default=plan.steps, help="training steps; 0: go by --minutes")
    parser.add_argument("--device", default=plan.device)
    parser.add_argument("--threads", type=int, default=plan.threads)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(given)


def run(verb: str, args: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    """One verb. Heavy packages are imported by the verb that needs them."""
    work: Path = args.work
    if verb == "evaluate":
        from pilot.evaluate import evaluate

        return evaluate(args.model, args.seed, args.share, args.only)
    if verb == "verify":
        from pilot.verify import verify

        return verify(args.model, work, args.seed)
    if verb == "tokenizer":
        from pilot.documents import make_tokenizer

        return {"vocabulary": make_tokenizer(work, plan)}
    if verb == "generate":
        from pilot.documents import generate

        return dict(generate(work, plan))
    if verb == "train":
        from pilot.train import train

        return train(work, plan, args.start)
    from pilot.export import export

    return export(work / "checkpoint.pt", work / "tokenizer.json", args.model, args.weights)


def main(given: list[str] | None = None) -> int:
    """Run the verb, print its result; 1 if the evaluation missed a goal."""
    args = arguments(given)
    plan = replace(
        Plan(),
        seed=args.seed,
        documents=args.documents,
        minutes=args.minutes,
        steps=args.steps,
        device=args.device,
        threads=args.threads,
    )
    missed: list[str] = []
    for verb in VERBS[:-1] if args.verb == "all" else (args.verb,):
        print(f"pilot {verb} ...", file=sys.stderr, flush=True)
        result = run(verb, args, plan)
        missed = result.get("missed", [])
        print(
            json.dumps(result)
            if args.json or verb == "evaluate"
            else "\n".join(f"{key}: {value}" for key, value in result.items()),
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
