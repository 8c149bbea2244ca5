"""The trainer: packed documents in, a checkpoint out.

Promises: the device is one setting; a run that was stopped goes on from its checkpoint with the
same optimiser state and data order; learning rate follows the clock (warm-up, flat, cool-down)
or, with `steps`, the step count. Documents are packed into rows of a few lengths and masked
from each other. Does not cover: more than one device.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pilot.model import Pilot
from pilot.settings import Plan, as_json

Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # ids, places, mask, weights of the next token


@dataclass(frozen=True)
class Rows:
    """Packed rows of one length: ids, weight of each id, number of the document in the row."""

    ids: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any]
    document: np.ndarray[Any, Any]


def pack(folder: Path, plan: Plan) -> list[Rows]:
    """First-fit packing in the order of the token file, one table for each row length."""
    ids = np.load(folder / "ids.npy")
    weights = np.load(folder / "weights.npy")
    ends = np.load(folder / "ends.npy")
    out = []
    low = 0
    lengths = np.diff(ends, prepend=0)
    for length in plan.rows:
        chosen = np.nonzero((lengths > low) & (lengths <= length))[0]
        low = length
        out.append(pack_one(ids, weights, ends, chosen, length))
    return [rows for rows in out if len(rows.ids)]


def pack_one(ids: Any, weights: Any, ends: Any, chosen: Any, length: int) -> Rows:
    """Keep eight rows open; a document goes into the first that has room."""
    rows: list[list[int]] = []
    room: list[int] = []
    open_rows: list[int] = []
    for document in chosen.tolist():
        size = int(ends[document]) - (int(ends[document - 1]) if document else 0)
        place = next((row for row in open_rows if room[row] >= size), None)
        if place is None:
            rows.append([])
            room.append(length)
            place = len(rows) - 1
            open_rows = [*open_rows[-7:], place]
        rows[place].append(document)
        room[place] -= size
    shape = (len(rows), length)
    packed = Rows(np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.int32))
    for number, row in enumerate(rows):
        at = 0
        for count, document in enumerate(row, 1):
            start, end = (int(ends[document - 1]) if document else 0), int(ends[document])
            stop = at + end - start
            packed.ids[number, at:stop] = ids[start:end]
            packed.weights[number, at:stop] = weights[start:end] / 255.0
            packed.weights[number, at] = 0.0  # nothing stands before a first token
            packed.document[number, at:stop] = count
            at = stop
    return packed


def order(tables: list[Rows], plan: Plan) -> list[tuple[int, int]]:
    """Batches as (table, first row), early documents first so that the curriculum holds."""
    out: list[tuple[float, int, int]] = []
    for number, rows in enumerate(tables):
        size = max(1, plan.batch_tokens // rows.ids.shape[1])
        count = max(1, len(rows.ids) // size)
        out.extend((i / count, number, i * size) for i in range(count))
    return [(table, row) for _, table, row in sorted(out)]


def batch_of(rows: Rows, first: int, plan: Plan) -> Batch:
    """ids, places, mask, weights of the next token (shifted)."""
    size = max(1, plan.batch_tokens // rows.ids.shape[1])
    part = slice(first, first + size)
    ids = torch.from_numpy(rows.ids[part])
    document = torch.from_numpy(rows.document[part])
    same = document[:, :, None] == document[:, None, :]
    mask = same.tril()[:, None]
    count = torch.arange(ids.shape[1]).expand_as(ids)
    begins = torch.ones_like(ids, dtype=torch.bool)
    begins[:, 1:] = document[:, 1:] != document[:, :-1]
    places = count - torch.where(begins, count, torch.zeros_like(count)).cummax(1).values
    weights = torch.from_numpy(rows.weights[part])
    ahead = torch.zeros_like(weights)
    ahead[:, :-1] = weights[:, 1:]
    return ids, places, mask, ahead


def loss_of(model: Any, batch: Batch, device: str) -> Tensor:
    """Weighted cross entropy in 32 bits, computed only where the weight is not zero."""
    ids, places, mask, weights = (part.to(device, non_blocking=True) for part in batch)
    wanted = weights > 0
    following = torch.roll(ids, -1, 1)
    with torch.autocast(device, dtype=torch.bfloat16):
        logits = model(ids, places, mask, wanted)
    each = F.cross_entropy(logits.float(), following[wanted], reduction="none")
    chosen = weights[wanted]
    return (each * chosen).sum() / chosen.sum()


def rate(progress: float, plan: Plan) -> float:
    """Warm-up, flat, then linear cool-down: a factor on both learning rates."""
    if progress < plan.warm_up:
        return max(progress / plan.warm_up, 0.02)
    left = (1.0 - progress) / plan.cool_down
    return max(min(1.0, left), plan.final_rate)


def optimisers(model: Pilot, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the embedding and the gains."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or name.startswith("embedding")]
    return [
        torch.optim.Muon(
            matrices, lr=plan.matrix_rate, weight_decay=plan.weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=plan.vector_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


@dataclass
class Run:
    """What a checkpoint holds beside weights."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0


def save(path: Path, model: Pilot, makers: list[torch.optim.Optimizer], run: Run, plan: Plan) -> None:
    """Write beside the old checkpoint, then rename: a crash leaves one whole file."""
    beside = path.with_suffix(".new")
    torch.save(
        {
            "model": model.state_dict(),
            "optimisers": [maker.state_dict() for maker in makers],
            "run": vars(run),
            "plan": as_json(plan),
        },
        beside,
    )
    beside.replace(path)


def resume(path: Path, model: Pilot, makers: list[torch.optim.Optimizer], plan: Plan) -> Run:
    """Take up a stopped run where its checkpoint left it; a new run where there is none."""
    if not path.exists():
        return Run()
    state = torch.load(path, map_location=plan.device, weights_only=True)
    model.load_state_dict(state["model"])
    for maker, kept in zip(makers, state["optimisers"], strict=True):
        maker.load_state_dict(kept)
    return Run(**state["run"])


def set_rates(makers: list[torch.optim.Optimizer], progress: float, plan: Plan) -> None:
    """Give each optimiser its learning rate for this moment of the run."""
    factor = rate(progress, plan)
    for maker, base in zip(makers, (plan.matrix_rate, plan.vector_rate), strict=True):
        for group in maker.param_groups:
            group["lr"] = base * factor


def step(model: Pilot, makers: list[torch.optim.Optimizer], batch: Batch, plan: Plan) -> float:
    """One batch forward and back; gives the loss."""
    loss = loss_of(model, batch, plan.device)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    for maker in makers:
        maker.step()
        maker.zero_grad(set_to_none=True)
    return float(loss.item())


def train(work: Path, plan: Plan, log: Any = sys.stderr) -> dict[str, Any]:
    """Train until the budget is spent; gives the run's figures."""
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    model = Pilot(plan.shape).to(plan.device)
    makers = optimisers(model, plan)
    checkpoint = work / "checkpoint.pt"
    run = resume(checkpoint, model, makers, plan)
    tables = pack(work, plan)
    batches = order(tables, plan)
    saved, began = run.seconds, time.monotonic() - run.seconds
    recent: list[float] = []
    while True:
        run.seconds = time.monotonic() - began
        progress = run.step / plan.steps if plan.steps else run.seconds / (plan.minutes * 60)
        if progress >= 1:
            break
        set_rates(makers, progress, plan)
        table, first = batches[run.step % len(batches)]
        batch = batch_of(tables[table], first, plan)
        recent.append(step(model, makers, batch, plan))
        run.step += 1
        run.tokens += batch[0].numel()
        if run.step % 20 == 0:
            say(log, run, progress, recent, len(batches))
            recent = []
        if run.seconds - saved > plan.save_every_s:
            saved = run.seconds
            save(checkpoint, model, makers, run, plan)
    save(checkpoint, model, makers, run, plan)
    figures = {
        "steps": run.step,
        "tokens": run.tokens,
        "seconds": round(run.seconds, 1),
        "tokens_per_s": round(run.tokens / max(run.seconds, 1e-9)),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    (work / "train.json").write_text(json.dumps(figures) + "\n")
    return figures


def say(log: Any, run: Run, progress: float, recent: list[float], batches: int) -> None:
    """One line of progress."""
    print(
        f"step {run.step} of {batches} a pass, {progress:5.1%}, loss {np.mean(recent):.3f}, "
        f"{run.tokens / run.seconds:.0f} tokens/s",
        file=log,
        flush=True,
    )
