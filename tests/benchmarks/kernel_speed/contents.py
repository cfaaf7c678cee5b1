"""What the tensors hold on which reductions are timed: from ordinary gradients to the hardest histograms."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_SLICE = 1 << 24
"""Values made at a time, so that a large tensor takes no temporary of its size."""


def filled(content: str, numel: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor `[numel]` of one of `CONTENTS`, the same in every run. Values are made in float32."""
    generator = torch.Generator(device=device).manual_seed(0)
    tensor = torch.empty(numel, dtype=dtype, device=device)
    for part in tensor.split(_SLICE):
        part.copy_(_MAKERS[content](part.numel(), generator))
    return tensor


def _normal(n: int, generator: torch.Generator) -> Tensor:
    """Most values fall into five or six bins."""
    return torch.randn(n, generator=generator, device=generator.device).mul_(1e-3)


def _one_bin(n: int, generator: torch.Generator) -> Tensor:
    """1e-3 with random signs: every increment of a histogram meets the same counter."""
    return torch.copysign(torch.full((n,), 1e-3, device=generator.device), _normal(n, generator))


def _all_bins(n: int, generator: torch.Generator) -> Tensor:
    """Magnitudes log-uniform over 1e-24 to 1e8, the range of the bins, with random signs."""
    log10 = torch.rand(n, generator=generator, device=generator.device).mul_(32).sub_(24)
    return torch.copysign(log10.mul_(math.log(10)).exp_(), _normal(n, generator))


def _half_zeros(n: int, generator: torch.Generator) -> Tensor:
    """As below a ReLU."""
    kept = torch.rand(n, generator=generator, device=generator.device) < 0.5
    return _normal(n, generator) * kept


def _zeros(n: int, generator: torch.Generator) -> Tensor:
    return torch.zeros(n, device=generator.device)


def _non_finite(n: int, generator: torch.Generator) -> Tensor:
    """NaN and inf of both signs among ordinary values and zeros."""
    values = _half_zeros(n, generator)
    for i, rare in enumerate((math.nan, math.inf, -math.inf)):
        values[i::1000] = rare
    return values


_MAKERS: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "NaN and inf": _non_finite,
    "normal": _normal,
    "one bin": _one_bin,
    "all bins": _all_bins,
    "half zeros": _half_zeros,
    "zeros": _zeros,
}

CONTENTS = tuple(_MAKERS)
"""The first one is only checked."""
TIMED = CONTENTS[1:]
