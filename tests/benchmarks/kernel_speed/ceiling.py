"""The read ceiling: how fast this device reads a tensor when almost nothing is done with the values."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

HELD_BYTES = 64 << 20
"""From here on what is read exceeds the caches, and is held to a share of the ceiling."""

_READS: dict[str, Callable[[Tensor], Tensor]] = {
    "read: sum": torch.sum,
    "read: vector_norm": torch.linalg.vector_norm,
    "read: amax": torch.amax,
}


def reads_of(tensor: Tensor) -> dict[str, Callable[[], object]]:
    """Torch's plain reads, which keep one number. Which one is fastest differs by device, dtype and size."""
    return {name: partial(read, tensor) for name, read in _READS.items()}


def with_ceiling(costs: dict[str, list[float]]) -> dict[str, list[float]]:
    """Costs in which those of the reads are replaced, under "ceiling", by the fastest one's (by median)."""
    reads = [taken for name, taken in costs.items() if name in _READS and taken]
    others = {name: taken for name, taken in costs.items() if name not in _READS}
    return {"ceiling": min(reads, key=statistics.median, default=[]), **others}


def gigabytes_per_second(n_bytes: int, seconds: Sequence[float]) -> list[float]:
    return [n_bytes / s / 1e9 for s in seconds]
