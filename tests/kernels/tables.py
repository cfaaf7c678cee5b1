"""Rows of small tables as numpy sees them, and when two of them are the same."""

from __future__ import annotations

import numpy as np
import torch

from gradprof.kernels.row import COUNTS, ROW_DTYPE
from gradprof.kernels.torch.reducer import TorchReducer, empty_table

EXACT = (*COUNTS, "abs_max", "abs_min", "hist")
"""The fields that are the same from every lane, backend and order of summation."""


def as_rows(table: torch.Tensor) -> np.ndarray:
    return table.numpy().view(ROW_DTYPE)[:, 0]


def row_of(*tensors: torch.Tensor, threshold: float = 1.0, locate: bool = False) -> np.ndarray:
    """The row of `tensors` merged one after the other, a structured array `[1]`."""
    table = empty_table(1, "cpu")
    reducer = TorchReducer(threshold=threshold, locate=locate)
    for tensor in tensors:
        reducer.reduce_into(table, 0, tensor)
    return as_rows(table)


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    for name in ROW_DTYPE.names:
        assert a[name].tobytes() == b[name].tobytes(), (name, a[name], b[name])


def assert_same_but_sums(a: np.ndarray, b: np.ndarray) -> None:
    for name in EXACT:
        assert a[name].tobytes() == b[name].tobytes(), (name, a[name], b[name])
