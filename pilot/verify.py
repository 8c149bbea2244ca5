"""Proof that the file says what the training said: token ids and logits, ours against llama.cpp's.

Promises: several hundred strings with digits, other scripts, white space and code give equal ids;
greedy choices and log-probabilities of both programs agree on prompts of every skill up to what
Q8_0 costs. Does not cover quality; `pilot/evaluate.py` does.
"""

import random
from pathlib import Path
from typing import Any

import torch

from pilot import tokens
from pilot.corpus.mixture import dialogue
from pilot.dialogue import render
from pilot.engine import Engine
from pilot.model import Pilot, own_document
from pilot.settings import Shape

HARD = (
    "",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    " \n ",
    "a\r\nb",
    "3.14159",
    "1 000 000",
    "x1y22z333",
    "don't we'll I'VE",
    "äöüß ÄÖÜ",
    "naïve café",
    "日本語のテキスト",
    "Привет мир",
    "مرحبا",
    "👍🏽 ok 🎉",
    "\u00a0nbsp\u2028line",
    "e\u0301",
    "def f(x):\n    return x ** 2\n",
    "if (a && b) { c[0] = 'd'; }",
    '{"a": [1, 2, {"b": null}]}',
    "<b>html</b>",
    "http://127.0.0.1:7373/v1",
    "`homefire up --detach`",
    "C:\\path\\to",
    "a_b-c.d",
    "....",
    "!!!???",
    "    four",
    "trailing   ",
    "<tool_call>\n{}\n</tool_call>",
    "½ ² Ⅷ ٣",
    "tab\tin\tside",
    "ｆｕｌｌ",
    "\u200bzero",
    "#$%^&*()",
)


def strings(seed: int) -> list[str]:
    """Hard cases, generated text, and noise."""
    rng = random.Random(f"verify:{seed}")
    out = [*HARD]
    out += ["".join(text for text, _ in render(dialogue(seed + 2, number))) for number in range(200)]
    alphabets = ("abc XYZ 019 .,\n\t'\"", "äé日я👍 a1 ", "(){}[]<>=+-*/ \n  x0")
    for _ in range(200):
        alphabet = rng.choice(alphabets)
        out.append("".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 60))))
    return out


def same_tokens(engine: Engine, work: Path, seed: int) -> tuple[float, list[str]]:
    """Share of strings with equal ids, and those that differ."""
    tokenizer = tokens.load(work / "tokenizer.json")
    bad = []
    cases = strings(seed)
    for text in cases:
        theirs = engine.post("/tokenize", {"content": text, "parse_special": True})["tokens"]
        if theirs != tokenizer.encode(text, add_special_tokens=False).ids:
            bad.append(text)
    return 100 * (1 - len(bad) / len(cases)), bad


def same_logits(engine: Engine, work: Path, seed: int, count: int = 40) -> dict[str, float]:
    """Top-1 agreement, and the mean and worst distance of the top log-probability."""
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = Pilot(Shape(**state["plan"]["shape"]))
    model.load_state_dict(state["model"])
    tokenizer = tokens.load(work / "tokenizer.json")
    rng = random.Random(seed)
    agree, distances = 0, []
    for number in range(count):
        text = "".join(text for text, _ in render(dialogue(seed + 3, number)))
        ids = tokenizer.encode(text, add_special_tokens=False).ids[:400]
        ids = ids[: rng.randrange(len(ids) // 2, len(ids))]
        sent: dict[str, Any] = {"prompt": ids, "n_predict": 1, "n_probs": 5, "temperature": 0, "cache_prompt": False}
        theirs = engine.post("/completion", sent)["completion_probabilities"][0]["top_logprobs"]
        batch = torch.tensor([ids])
        with torch.no_grad():
            ours = model(batch, *own_document(batch), None)[0, -1].log_softmax(-1)
        agree += int(ours.argmax()) == theirs[0]["id"]
        distances += [abs(float(ours[one["id"]]) - one["logprob"]) for one in theirs[:1]]
    return {
        "top1_agree_pct": 100 * agree / count,
        "logprob_mean_gap": round(sum(distances) / count, 4),
        "logprob_worst_gap": round(max(distances), 4),
    }


def verify(model: Path, work: Path, seed: int) -> dict[str, Any]:
    """Both proofs."""
    with Engine(model) as engine:
        share, bad = same_tokens(engine, work, seed)
        return {"tokens_equal_pct": round(share, 2), "differ": bad[:5], **same_logits(engine, work, seed)}
