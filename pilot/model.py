"""The network: a plain llama in PyTorch, laid out as llama.cpp reads it.

Promises: rotary positions turn neighbouring pairs (0,1), (2,3)..., the convention of the GGUF
architecture `llama`, so weights are written out without permutation; the evaluation compares
the logits of both programs. Documents packed in one row do not see each other.
Does not cover: sampling or a KV cache; llama.cpp runs the model.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pilot.settings import Shape

EMBEDDING = 0.05  # standard deviation of a token's vector at the start


class Norm(nn.Module):  # type: ignore[misc]
    """Root-mean-square normalisation with a gain."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on neighbouring pairs; x is (batch, heads, time, head width)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


STRIDE = 256  # queries taken together: none of them looks behind the last of them


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention where `mask`, which never looks ahead, is True; each of q, k, v is (batch, heads, time, head width).

    Written out because PyTorch's own kernel, given a mask, takes 1.2 (rows of 512) to 1.8 times (256) as long on two cores
    and does not leave out what lies ahead (docs/log.md).
    """
    time, parts = q.shape[-2], []
    for start in range(0, time, STRIDE):
        stop = min(start + STRIDE, time)
        scores = torch.matmul(q[:, :, start:stop], k[:, :, :stop].transpose(-1, -2)).float() * q.shape[-1] ** -0.5
        scores = torch.where(mask[:, :, start:stop, :stop], scores, -1e4)
        share = (scores - scores.detach().amax(-1, keepdim=True)).exp()
        total = share.sum(-1, keepdim=True)
        parts.append((torch.matmul(share.to(v.dtype), v[:, :, :stop]).float() / total).to(v.dtype))
    return parts[0] if len(parts) == 1 else torch.cat(parts, -2)


class Block(nn.Module):  # type: ignore[misc]
    """Attention and a gated feed-forward layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        kv = shape.kv_heads * shape.head_width
        self.norm_attention = Norm(shape.width, shape.norm_eps)
        self.q = nn.Linear(shape.width, shape.width, bias=False)
        self.k = nn.Linear(shape.width, kv, bias=False)
        self.v = nn.Linear(shape.width, kv, bias=False)
        self.o = nn.Linear(shape.width, shape.width, bias=False)
        self.norm_hidden = Norm(shape.width, shape.norm_eps)
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        batch, time, width = x.shape
        h = self.norm_attention(x)
        q = self.q(h).view(batch, time, self.shape.heads, -1).transpose(1, 2)
        k = self.k(h).view(batch, time, self.shape.kv_heads, -1).transpose(1, 2)
        v = self.v(h).view(batch, time, self.shape.kv_heads, -1).transpose(1, 2)
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        repeat = self.shape.heads // self.shape.kv_heads
        if repeat > 1:
            k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        seen = attention(q, k, v, mask)
        x = x + self.o(seen.transpose(1, 2).reshape(batch, time, width))
        h = self.norm_hidden(x)
        down: Tensor = self.down(F.silu(self.gate(h)) * self.up(h))
        return x + down


class Pilot(nn.Module):  # type: ignore[misc]
    """Token ids in, logits out (only where `wanted` says so)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width, shape.norm_eps)
        half = torch.arange(0, shape.head_width, 2, dtype=torch.float32) / shape.head_width
        angles = torch.outer(torch.arange(shape.context).float(), shape.rope_base**-half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.apply(self._begin)
        self._seed_copying()

    def _begin(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=EMBEDDING)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5 / math.sqrt(module.in_features))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _seed_copying(self) -> None:
        """Start with an induction circuit (Olsson et al. 2022) built by hand instead of waiting for one to be found.

        Blocks add nothing at first, so that the residual stream is the token. Dimension 0 is the same for every token. In block 0
        two heads look one position back (their fast rotary pairs, fed by dimension 0, are turned by one step) and write half of
        what that token is into directions of their own. In block 1 two heads look for a position whose predecessor was this
        token (by the slow rotary pairs, which distance hardly turns) and bring the token that stands there to the output.
        """
        shape, width = self.shape, self.shape.head_width
        for block in self.blocks:
            block.o.weight.zero_()
            block.down.weight.zero_()
        self.embedding.weight[:, 0] = 4 * EMBEDDING
        pace = shape.rope_base ** -(torch.arange(0, width, 2).float() / width)
        basis, _ = torch.linalg.qr(torch.randn(shape.width, shape.width))
        before, match = self.blocks[0], self.blocks[1]
        heads = shape.width // width // 2
        for head in range(heads):
            rows = slice(head * width, (head + 1) * width)
            reads = basis[:, rows].T.clone()
            reads[:, 0] = 0
            writes = basis[:, (head + heads) * width : (head + heads + 1) * width]
            for layer in (before, match):
                layer.q.weight[rows] = 0
                layer.k.weight[rows] = 0
                layer.v.weight[rows] = reads
            for pair in range(6):
                row = head * width + 2 * pair
                before.q.weight[row, 0] = 2 * math.cos(pace[pair])
                before.q.weight[row + 1, 0] = -2 * math.sin(pace[pair])
                before.k.weight[row, 0] = 2
            before.o.weight[:, rows] = EMBEDDING * writes
            slow = slice(head * width + width // 2, (head + 1) * width)
            match.q.weight[slow] = 2.5 * reads[width // 2 :]
            match.k.weight[slow] = 2.5 * writes.T[width // 2 :]
            match.o.weight[:, rows] = 12 * EMBEDDING * reads.T

    def forward(self, ids: Tensor, places: Tensor, mask: Tensor, wanted: Tensor | None) -> Tensor:
        """`places`: position within its document; `mask`: (batch, 1, time, time), True = sees; `wanted`: which of the batch *
        time positions, by number, are to be given logits (None: all, as batch, time, vocabulary)."""
        x = self.embedding(ids)
        kind = torch.bfloat16 if torch.is_autocast_enabled(ids.device.type) else x.dtype
        x = x.to(kind)
        cos = self.cos[places][:, None].to(kind)
        sin = self.sin[places][:, None].to(kind)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        x = self.norm(x)
        if wanted is not None:
            x = x.flatten(0, 1)[wanted]
        return F.linear(x, self.embedding.weight)


@torch.no_grad()  # type: ignore[untyped-decorator]
def grow(model: Pilot, values: dict[str, Tensor], new_blocks: tuple[int, ...]) -> None:
    """Load `values` of a network with fewer blocks; those at `new_blocks` add nothing at first: the same function."""
    old = iter(range(len(model.blocks) - len(new_blocks)))
    for number, block in enumerate(model.blocks):
        if number in new_blocks:
            for part in block.children():
                if isinstance(part, nn.Linear):
                    nn.init.normal_(part.weight, std=0.5 / math.sqrt(part.in_features))
            block.o.weight.zero_()
            block.down.weight.zero_()
            continue
        start = f"blocks.{next(old)}."
        block.load_state_dict(
            {name.removeprefix(start): value for name, value in values.items() if name.startswith(start)}
        )
    model.embedding.weight.copy_(values["embedding.weight"])
    model.norm.weight.copy_(values["norm.weight"])


def own_document(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Places and mask for rows that hold one document each."""
    batch, time = ids.shape
    places = torch.arange(time, device=ids.device).expand(batch, time)
    mask = torch.ones(time, time, dtype=torch.bool, device=ids.device).tril()[None, None]
    return places, mask
