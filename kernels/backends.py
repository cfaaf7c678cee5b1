"""Which implementation reduces: an explicit choice fails loudly, the automatic one takes what runs."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Real
from typing import Protocol

import torch
from torch import Tensor

from .torch_backend import TorchReducer

BACKENDS = ("auto", "torch")


class Reducer(Protocol):
    """What every backend offers; the contract is spelled out in `torch_backend`."""

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        """Merge the row of `tensor` into `rows[index]`."""

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        """Set `rows[i]` to the row of each tensor, whatever it held before."""

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        """Compile whatever reducing these dtypes takes, with an `inv_scale` if `scaled`."""


def make_reducer(backend: str, device: torch.device, *, threshold: float, locate: bool) -> Reducer:
    """The reducer called `backend` for tensors on `device`.

    Raises:
        ValueError: there is no such backend, or `threshold` is not a number >= 0.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    if not (isinstance(threshold, Real) and threshold >= 0):
        raise ValueError(f"threshold is {threshold!r}: expected a magnitude, a number >= 0")
    return TorchReducer(threshold=threshold, locate=locate)
