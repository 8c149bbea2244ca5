"""Token files: the documents of a seed as ids, weights and ends, made ahead of training.

Promises: worker processes change nothing in the result; the first `copying_share` of the
documents are random tokens said twice (the curriculum that brings copying early).
Does not cover packing (`pilot/train.py`).
"""

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from pilot import tokens
from pilot.corpus.drill import copying
from pilot.corpus.mixture import WEIGHTS, dialogue, draw_skill
from pilot.dialogue import render
from pilot.settings import Plan

CHUNK = 2000


def sample_texts(seed: int, count: int) -> Iterator[str]:
    """Plain texts for the tokenizer."""
    for number in range(count):
        yield "".join(text for text, _ in render(dialogue(seed, number, number / count)))


def chunk(work: Path, plan: Plan, start: int) -> tuple[list[int], list[int], list[int]]:
    """Documents `start` to `start + CHUNK`."""
    tokenizer = tokens.load(work / "tokenizer.json")
    size = tokenizer.get_vocab_size() - len(tokens.SPECIAL)
    all_ids: list[int] = []
    all_weights: list[int] = []
    ends: list[int] = []
    for number in range(start, min(start + CHUNK, plan.documents)):
        early = number < plan.documents * plan.copying_share
        if early or random.Random(f"copy?{plan.seed}:{number}").random() < plan.copying_later:
            ids, weights = copying(plan.seed, number, size)
            weights = [0.3 * weight for weight in weights]
        else:
            heard = random.Random(f"heard:{plan.seed}:{number}").random() < plan.prompt_share
            least = plan.prompt_weight if heard else 0.0
            scale = WEIGHTS[draw_skill(random.Random(f"{plan.seed}:{number}"))]
            stretches = [
                (text, 0.0 if weight < 0 else max(weight * scale, least))
                for text, weight in render(dialogue(plan.seed, number, number / plan.documents))
            ]
            ids, weights = tokens.encode(tokenizer, stretches)
        if len(ids) > max(plan.rows):
            continue
        all_ids.extend(ids)
        all_weights.extend(round(weight * 255) for weight in weights)
        ends.append(len(all_ids))
    return all_ids, all_weights, ends


def make_tokenizer(work: Path, plan: Plan, spaced_words: int = 900) -> int:
    """Train the tokenizer on 30,000 documents; gives its size."""
    work.mkdir(parents=True, exist_ok=True)
    trained = tokens.train(sample_texts(plan.seed, 30_000), plan.shape.vocabulary, spaced_words)
    trained.save(str(work / "tokenizer.json"))
    return int(trained.get_vocab_size())


def generate(work: Path, plan: Plan) -> dict[str, int]:
    """Write ids.npy, weights.npy, ends.npy."""
    ids: list[np.ndarray[tuple[int], np.dtype[np.uint16]]] = []
    weights: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []
    ends: list[int] = []
    total = 0
    with ProcessPoolExecutor(plan.threads) as pool:
        for part in pool.map(partial(chunk, work, plan), range(0, plan.documents, CHUNK)):
            ids.append(np.array(part[0], np.uint16))
            weights.append(np.array(part[1], np.uint8))
            ends.extend(total + end for end in part[2])
            total += len(part[0])
    np.save(work / "ids.npy", np.concatenate(ids))
    np.save(work / "weights.npy", np.concatenate(weights))
    np.save(work / "ends.npy", np.array(ends, np.int64))
    learned = int(sum(int((part > 0).sum()) for part in weights))
    return {"documents": len(ends), "tokens": total, "learned_tokens": learned}
