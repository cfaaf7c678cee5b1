"""What a reduction must give, by other means: numpy for small tensors, plain torch for large ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from gradprof.kernels.bins import BIN_EDGES, N_BINS, ONE_BIN
from gradprof.kernels.row import ROW_DTYPE, empty_rows, merge_rows
from gradprof.record.figures import TensorStats

from .plain_torch import PlainTorch, plain_torch

MAX_NUMPY = 1 << 20
"""Elements up to which numpy is quick enough."""

_TOLERANCE = 1e-6
_EXACT = ("numel", "n_zero", "n_nan", "n_inf", "n_above", "abs_max", "abs_min")
_SLICE = {"cpu": 1 << 18, "cuda": 1 << 24}


def expected_of(tensor: Tensor) -> TensorStats:
    """By numpy up to `MAX_NUMPY` elements, else by plain torch, slice by slice."""
    if tensor.numel() <= MAX_NUMPY:
        return TensorStats.from_row(row_by_numpy(tensor))
    fields = plain_torch(tensor.device)
    row = empty_rows(1)
    for part in tensor.reshape(-1).split(_SLICE[tensor.device.type]):
        merge_rows(row, row_by_plain_torch(fields, part))
    return TensorStats.from_row(row)


def row_by_numpy(tensor: Tensor) -> np.ndarray:
    """A structured array `[1]` of `kernels.row.ROW_DTYPE`, as for a threshold of 1."""
    x = tensor.to(torch.float64).cpu().numpy().reshape(-1)
    finite = x[np.isfinite(x)]
    magnitudes = np.abs(finite)
    nonzero = magnitudes[magnitudes > 0]
    hist = np.bincount(np.searchsorted(BIN_EDGES[1:-1], nonzero, side="right"), minlength=N_BINS)
    return _row(
        x.size,
        n_zero=finite.size - nonzero.size,
        n_nan=np.isnan(x).sum(),
        n_inf=np.isinf(x).sum(),
        abs_max=magnitudes.max(initial=0.0),
        abs_min=nonzero.min(initial=np.inf),
        sum=finite.sum(),
        abs_sum=magnitudes.sum(),
        sq=magnitudes.dot(magnitudes),
        hist=hist,
    )


def row_by_plain_torch(fields: PlainTorch, tensor: Tensor) -> np.ndarray:
    """As `row_by_numpy`; waits for the device."""
    return _row(tensor.numel(), **{name: value.cpu().numpy() for name, value in _wide(fields(tensor))})


def _wide(fields: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """numpy has no bfloat16."""
    return [
        (name, value.to(torch.float64) if value.is_floating_point() else value)
        for name, value in fields.items()
    ]


def _row(numel: int, **fields: np.generic | np.ndarray | float | int) -> np.ndarray:
    row = empty_rows(1)
    row["n_obs"], row["numel"] = 1, numel
    for name, value in fields.items():
        row[name] = value
    row["n_above"] = row["hist"][:, ONE_BIN:].sum()
    return row


def stats_of(rows: Tensor) -> list[TensorStats]:
    """The figures of every row of a table; waits for the device."""
    return [TensorStats.from_row(row) for row in rows.cpu().numpy().view(ROW_DTYPE)[:, 0]]


def difference(got: TensorStats, expected: TensorStats) -> str:
    """What is wrong with a measurement; empty if nothing is.

    Counts, extrema and the histogram are compared exactly, norms to 1e-6, the mean to 1e-6 of abs_mean.
    """
    if found := exact_difference(got, expected):
        return found
    for name in ("l1", "l2", "mean", "abs_mean"):
        scale = expected.abs_mean if name == "mean" else getattr(expected, name)
        if not _close(getattr(got, name), getattr(expected, name), _TOLERANCE * scale):
            return _unequal(name, got, expected)
    return ""


def exact_difference(got: TensorStats, expected: TensorStats) -> str:
    """As `difference`, of the fields alone that are the same however a tensor is read."""
    for name in _EXACT:
        if not _close(getattr(got, name), getattr(expected, name), 0):
            return _unequal(name, got, expected)
    if not np.array_equal(got.hist, expected.hist):
        return f"bin {int(np.flatnonzero(got.hist != expected.hist)[0])} of the histogram differs"
    return ""


def _close(value: float, wanted: float, tolerance: float) -> bool:
    """NaN is close to NaN."""
    return (math.isnan(value) and math.isnan(wanted)) or abs(value - wanted) <= tolerance


def _unequal(name: str, got: TensorStats, expected: TensorStats) -> str:
    return f"{name} is {getattr(got, name)!r}, expected {getattr(expected, name)!r}"
