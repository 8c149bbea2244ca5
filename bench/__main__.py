"""`python -m bench NAME [--json]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from bench import (
    agent,
    ask,
    auth,
    crash,
    engine,
    fair,
    fetch,
    fit,
    guardrails,
    ingest,
    kv,
    memory,
    modes,
    needles,
    policy,
    quantize,
    retrieval,
    rlm,
    router,
    sandbox,
    slots,
    start,
    store,
    swap,
    swarm,
    verify,
)
from bench.report import Report
from homefire.cli.main import show_error
from homefire.errors import HomefireError

BENCHES = {
    "agent": agent.measure,
    "guardrails": guardrails.measure,
    "start": start.measure,
    "ask": ask.measure,
    "auth": auth.measure,
    "router": router.measure,
    "slots": slots.measure,
    "fair": fair.measure,
    "swap": swap.measure,
    "swarm": swarm.measure,
    "kv": kv.measure,
    "fetch": fetch.measure,
    "verify": verify.measure,
    "fit": fit.measure,
    "quantize": quantize.measure,
    "crash": crash.measure,
    "sandbox": sandbox.measure,
    "engine": engine.measure,
    "policy": policy.measure,
    "store": store.measure,
    "needles": needles.measure,
    "ingest": ingest.measure,
    "retrieval": retrieval.measure,
    "rlm": rlm.measure,
    "memory": memory.measure,
    "modes": modes.measure,
}


def main() -> int:
    """Runs one benchmark; 1 if it missed a goal."""
    parser = argparse.ArgumentParser(prog="homefire bench", description="Measure speed and memory.")
    parser.add_argument("name", choices=sorted(BENCHES))
    parser.add_argument("--json", action="store_true", help="print the JSON object alone")
    parser.add_argument("--peers", action="store_true", help="retrieval: other programs too, installed under build/")
    parser.add_argument(
        "--tokens", type=int, default=needles.TOKENS, help="needles: size of the haystack, four bytes each"
    )
    parser.add_argument("--pilot", action="store_true", help="guardrails: the built-in model too")
    parser.add_argument("--runs", type=int, default=guardrails.RUNS, help="guardrails: how often each scenario is run")
    options = parser.parse_args()
    choices: dict[str, dict[str, Any]] = {
        "needles": {"tokens": options.tokens},
        "retrieval": {"peers": options.peers},
        "guardrails": {"runs": options.runs, "with_pilot": options.pilot},
    }
    given = choices.get(options.name, {})
    try:
        report: Report = asyncio.run(BENCHES[options.name](**given))
    except HomefireError as problem:
        show_error(problem, options.json)
        return 1
    report.show(options.json)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
