"""One tensor reduced by Triton at a place, and checked."""

from __future__ import annotations

import numpy as np
import torch
from reference import assert_stats, expect, is_wide
from tables import as_rows, assert_same_but_sums, row_of

from gradprof.kernels.torch.reducer import empty_table
from gradprof.kernels.triton.compiler import Config
from gradprof.kernels.triton.reducer import TritonReducer
from gradprof.record.figures import TensorStats

SMALL = Config(block=256, careful_block=64, threads=32, programs=3)
"""Every boundary within reach of small tensors."""


def reducer_at(
    place: str, *, threshold: float = 1.0, locate: bool = False, config: Config | None = None
) -> TritonReducer:
    return TritonReducer(torch.device(place), threshold=threshold, locate=locate, config=config)


def triton_row(
    place: str,
    *tensors: torch.Tensor,
    threshold: float = 1.0,
    locate: bool = False,
    config: Config | None = None,
) -> np.ndarray:
    """The row of `tensors` merged one after the other, a structured array `[1]`."""
    table = empty_table(3, place)
    reducer = reducer_at(place, threshold=threshold, locate=locate, config=config)
    for tensor in tensors:
        reducer.reduce_into(table, 1, tensor.to(place))
    rows = as_rows(table.cpu())
    untouched = as_rows(empty_table(1, "cpu"))
    for other in (0, 2):
        assert rows[other : other + 1].tobytes() == untouched.tobytes(), "another row was written to"
    return rows[1:2]


def check_at(
    place: str,
    tensor: torch.Tensor,
    threshold: float = 1.0,
    *,
    locate: bool = False,
    config: Config | None = None,
) -> None:
    """One tensor against the specification, bit for bit but for the sums, and against the exact figures."""
    row = triton_row(place, tensor, threshold=threshold, locate=locate, config=config)
    specified = row_of(tensor, threshold=threshold, locate=locate)
    assert_same_but_sums(row, specified)
    assert row["argmax"] == specified["argmax"]
    stats = TensorStats.from_row(row[0])
    assert_stats(stats, expect(tensor, threshold), wide=is_wide(tensor.dtype), located=locate)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tables are the same, NaN or not."""
    return as_rows(a.cpu()).tobytes() == as_rows(b.cpu()).tobytes()
