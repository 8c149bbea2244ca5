"""The trainer: packed documents in, a checkpoint out.

Promises: the device is one setting; a run that was stopped goes on from its checkpoint with the
same optimiser state and data order; learning rate follows the clock (warm-up, flat, cool-down)
or, with `steps`, the step count. Documents are packed into rows of a few lengths and masked
from each other. Does not cover: more than one device.
"""

import json
import sys
import time
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pilot.export import read_safetensors
from pilot.model import Pilot, grow
from pilot.settings import Plan, as_json

Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # ids, places, mask, weights of the next token


@dataclass(frozen=True)
class Rows:
    """Packed rows of one length: ids, weight of each id, number of the document in the row."""

    ids: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any]
    document: np.ndarray[Any, Any]


BLOCK = 2000  # documents packed together: enough to fill rows well, few enough to keep the order of the curriculum


def pack(folder: Path, plan: Plan) -> list[Rows]:
    """Rows of the lengths of the plan, one table for each; documents stay near their place in the token file."""
    ids = np.load(folder / "ids.npy")
    weights = np.load(folder / "weights.npy")
    ends = np.load(folder / "ends.npy")
    sizes = np.diff(ends, prepend=0)
    rows: dict[int, list[list[int]]] = {length: [] for length in plan.rows}
    for start in range(0, len(ends), BLOCK):
        for length, documents in fill(sizes, range(start, min(start + BLOCK, len(ends))), plan.rows):
            rows[length].append(documents)
    return [lay(ids, weights, ends, found, length) for length, found in rows.items() if found]


def fill(sizes: Any, block: range, lengths: tuple[int, ...]) -> list[tuple[int, list[int]]]:
    """Best fit, longest first: a document goes where least room is left, or opens a row of the shortest length that holds it."""
    rows: list[tuple[int, list[int]]] = []
    room: list[int] = []  # sorted; `place` is the row of each
    place: list[int] = []
    for document in sorted(block, key=lambda number: -int(sizes[number])):
        size = int(sizes[document])
        at = bisect_left(room, size)
        if at < len(room):
            left, row = room.pop(at) - size, place.pop(at)
            rows[row][1].append(document)
        else:
            length = next(one for one in lengths if one >= size)
            left, row = length - size, len(rows)
            rows.append((length, [document]))
        at = bisect_left(room, left)
        room.insert(at, left)
        place.insert(at, row)
    return rows


def lay(ids: Any, weights: Any, ends: Any, rows: list[list[int]], length: int) -> Rows:
    """The rows of one length as tables, in the order of their first documents."""
    rows = sorted(rows, key=min)
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


def cross_entropy(model: Any, seen: tuple[Tensor, Tensor, Tensor], wanted: Tensor, chosen: Tensor) -> Tensor:
    """Weighted mean over the wanted positions, in 32 bits. `seen`: ids, places, mask; `chosen`: the weight of each wanted one."""
    ids, places, mask = seen
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        logits = model(ids, places, mask, wanted)
    following = torch.roll(ids, -1, 1).flatten()[wanted]
    each = F.cross_entropy(logits.float(), following, reduction="none")
    return (each * chosen).sum() / chosen.sum()


def loss_of(compiled: Any, model: Any, batch: Batch, plan: Plan) -> Tensor:
    """The loss of a batch, computed only where the weight is not zero.

    The number of positions is the same in every batch (padded with weight 0; what is too many is left out at random): a compiled
    graph whose length changes ran hundreds of times slower.
    """
    ids, places, mask, weights = (part.to(plan.device, non_blocking=True) for part in batch)
    wanted = weights.flatten().nonzero().squeeze(1)
    room = int(plan.learned_share * ids.numel())
    if len(wanted) > room:
        wanted = wanted[torch.randperm(len(wanted), device=wanted.device)[:room]]
    chosen = F.pad(weights.flatten()[wanted], (0, room - len(wanted)))
    loss: Tensor = compiled(model, (ids, places, mask), F.pad(wanted, (0, room - len(wanted))), chosen)
    return loss


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
        torch.optim.AdamW(others, lr=plan.vector_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
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


def step(compiled: Any, model: Pilot, makers: list[torch.optim.Optimizer], batch: Batch, plan: Plan) -> float:
    """One batch forward and back; gives the loss."""
    loss = loss_of(compiled, model, batch, plan)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    for maker in makers:
        maker.step()
        maker.zero_grad(set_to_none=True)
    return float(loss.item())


def train(work: Path, plan: Plan, start: Path | None = None, log: Any = sys.stderr) -> dict[str, Any]:
    """Train until the budget is spent; gives the run's figures. `start`: a folder of weights to go on from."""
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    model = Pilot(plan.shape).to(plan.device)
    if start is not None:
        values = read_safetensors(start, plan.shape)
        missing = plan.shape.layers - len({name.split(".")[1] for name in values if name.startswith("blocks.")})
        if missing not in (0, len(plan.new_blocks)):
            raise SystemExit(
                f"{start} has {missing} layers less than the plan, which says where {len(plan.new_blocks)} go"
            )
        grow(model, values, plan.new_blocks if missing else ())
    makers = optimisers(model, plan)
    compiled = torch.compile(cross_entropy, dynamic=False) if plan.compile else cross_entropy
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
        recent.append(step(compiled, model, makers, batch, plan))
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
