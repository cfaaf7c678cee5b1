"""Decoders of the public shapes, to be trained on: GPT-2 small and Llama 3 8B, or a fraction of them.

Shapes are those of the published configurations; layers, heads and vocabulary shrink alike by `scale`, while
the width of a head stays. Untrained, without dropout, each returns logits `[batch, tokens, vocabulary]`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    vocabulary: int
    context: int
    layers: int
    heads: int
    kv_heads: int
    """Of keys and values, each shared by `heads / kv_heads` queries."""
    head_width: int
    hidden_per_width: float
    """The MLP's hidden width over the model's."""

    @property
    def width(self) -> int:
        return self.heads * self.head_width

    @property
    def hidden(self) -> int:
        return int(self.width * self.hidden_per_width)

    def scaled(self, scale: float) -> Shape:
        kv_heads = max(1, round(self.kv_heads * scale))
        return replace(
            self,
            vocabulary=max(256, round(self.vocabulary * scale)),
            layers=max(1, round(self.layers * scale)),
            heads=kv_heads * (self.heads // self.kv_heads),
            kv_heads=kv_heads,
        )


GPT2 = Shape(50257, 1024, layers=12, heads=12, kv_heads=12, head_width=64, hidden_per_width=4)
"""124 M parameters (Radford et al., 2019): learned positions, LayerNorm before each part, tied embedding."""
LLAMA = Shape(128256, 8192, layers=32, heads=32, kv_heads=8, head_width=128, hidden_per_width=3.5)
"""8.0 B parameters (Llama 3, 2024): rotary positions, RMSNorm, SwiGLU, grouped queries, no biases."""

_ROTARY_BASE = 500_000.0


class Gpt2(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(_Gpt2Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        self.head.weight = self.embedding.weight
        for table in (self.embedding, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.positions(places)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class _Gpt2Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.up = nn.Linear(shape.width, shape.hidden)
        self.act = nn.GELU(approximate="tanh")
        self.down = nn.Linear(shape.hidden, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (_by_head(part, self._heads) for part in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        x = x + self.out(_attend(q, k, v))
        return x + self.down(self.act(self.up(self.norm2(x))))


class Llama(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._head_width = shape.head_width
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(_LlamaBlock(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=1e-5)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        turns = _turns(tokens.shape[1], self._head_width, tokens.device)
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, turns)
        return self.head(self.norm(x))


class _LlamaBlock(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._heads, self._kv_heads = shape.heads, shape.kv_heads
        kv_width = shape.kv_heads * shape.head_width
        self.norm1, self.norm2 = nn.RMSNorm(shape.width, eps=1e-5), nn.RMSNorm(shape.width, eps=1e-5)
        self.q = nn.Linear(shape.width, shape.width, bias=False)
        self.k = nn.Linear(shape.width, kv_width, bias=False)
        self.v = nn.Linear(shape.width, kv_width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.act = nn.SiLU()
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        y = self.norm1(x)
        q = _rotated(_by_head(self.q(y), self._heads), turns)
        k = _rotated(_by_head(self.k(y), self._kv_heads), turns)
        x = x + self.out(_attend(q, k, _by_head(self.v(y), self._kv_heads)))
        y = self.norm2(x)
        return x + self.down(self.act(self.gate(y)) * self.up(y))


def _by_head(x: Tensor, heads: int) -> Tensor:
    """`[batch, tokens, width]` to `[batch, heads, tokens, head_width]`."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention, back to `[batch, tokens, width]`."""
    shared = q.shape[1] // k.shape[1]
    if shared > 1:
        k, v = (x.repeat_interleave(shared, dim=1) for x in (k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


def _turns(tokens: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines `[tokens, head_width / 2]` of the rotary positions."""
    exponents = torch.arange(0, head_width, 2, device=device) / head_width
    angles = torch.arange(tokens, device=device)[:, None] * _ROTARY_BASE**-exponents
    return angles.cos(), angles.sin()


def _rotated(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Each pair (i, i + head_width / 2) turned by its angle (Su et al., 2021)."""
    cos, sin = turns
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)
