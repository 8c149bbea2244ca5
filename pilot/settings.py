"""Every number that decides what the pilot becomes, in one frozen dataclass.

Promises: two runs with equal settings see the same documents in the same order at the same
learning rates: `steps` fixes the schedule (0: it follows the clock, for `minutes`).
Does not cover: the wording of the documents (`pilot/corpus/`).
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """The architecture: a plain llama with tied embeddings."""

    vocabulary: int = 4096
    width: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 4
    hidden: int = 512
    context: int = 2048
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True)
class Plan:
    """One training run."""

    seed: int = 1
    documents: int = 86_000
    copying_share: float = 0.0
    copying_later: float = 0.06
    prompt_weight: float = 0.25
    prompt_share: float = 0.0
    rows: tuple[int, ...] = (128, 256, 384, 512, 768, 1024, 1536)
    batch_tokens: int = 4096
    learned_share: float = 0.5  # of the positions of a batch, at most
    minutes: float = 40.0
    steps: int = 3150
    matrix_rate: float = 0.003
    vector_rate: float = 0.0009
    weight_decay: float = 0.05
    warm_up: float = 0.02
    cool_down: float = 0.7
    final_rate: float = 0.02
    clip: float = 1.0
    save_every_s: float = 120.0
    threads: int = 2
    compile: bool = True  # needs a C++ compiler; 1.4 times as fast on two cores
    device: str = "cpu"
    shape: Shape = Shape()
    new_blocks: tuple[int, ...] = (1, 5)  # where a start of fewer layers gets blocks that add nothing at first


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, for logs, checkpoints and the model card."""
    return asdict(plan)
