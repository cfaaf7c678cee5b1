"""The row: what one pass over one tensor leaves behind, and how rows merge.

A row is 144 words of 8 bytes, so that a table of rows is one int64 tensor `[sites, 144]` on the device,
one copy to the host, and one numpy structured array `[sites]` there. Every field is a count (int64) or
a sum or an extremum (float64), and two rows of the same site merge field by field: counts and sums add,
`abs_max` takes the maximum, `abs_min` the minimum.

Sums are float64. For float32 and narrower input that covers the whole finite range (the square of the
largest float32, 1.2e77, times 2**40 values is still far from overflow). For float64 input squares
overflow and underflow, so values are routed by magnitude into scaled sums that still merge by addition
(J. L. Blue, "A portable Fortran program to find the Euclidean norm of a vector", 1978):

    |x| >= BIG      sum_big, abs_sum_big, sq_big of x * DOWN
    |x| <  SMALL    sq_small of (x * UP)**2; its plain sums cannot underflow and stay where they are
    otherwise       sum, abs_sum, sq

All scales are powers of two, hence exact.
"""

from __future__ import annotations

import numpy as np

from .bins import N_BINS

BIG = 2.0**400
DOWN = 2.0**-600
SMALL = 2.0**-400
UP = 2.0**600

COUNTS = ("n_obs", "numel", "n_zero", "n_nan", "n_inf", "n_above")
SUMS = ("sum", "abs_sum", "sq", "sum_big", "abs_sum_big", "sq_big", "sq_small")

ROW_DTYPE = np.dtype(
    [(name, np.int64) for name in COUNTS]
    + [("argmax", np.int64), ("abs_max", np.float64), ("abs_min", np.float64)]
    + [(name, np.float64) for name in SUMS]
    + [("hist", np.int64, (N_BINS,))]
)
"""Fields of a row. `n_obs` counts the tensors merged into it: 0 means that no gradient was seen.
`argmax` is the flat index of `abs_max` in its tensor, -1 if it was not asked for or does not exist.
`abs_min` is inf until a non-zero finite magnitude was seen."""

FIELDS_DTYPE = np.dtype([(name, ROW_DTYPE[name]) for name in ROW_DTYPE.names or () if name != "hist"])
"""A row without its histogram."""

NARROW = 1 << 30
"""Counts below this, and so their changes, fit into 32 bits."""

ROW_WORDS = ROW_DTYPE.itemsize // 8
WORD = {name: ROW_DTYPE.fields[name][1] // 8 for name in ROW_DTYPE.names or ()}  # type: ignore[index]
"""Index of each field's first word."""


def empty_rows(n: int) -> np.ndarray:
    """`n` rows that have seen nothing, a structured array `[n]`: the neutral element of `merge_rows`."""
    rows = np.zeros(n, dtype=ROW_DTYPE)
    rows["abs_min"] = np.inf
    rows["argmax"] = -1
    return rows


def merge_rows(into: np.ndarray, rows: np.ndarray) -> None:
    """Merge `rows` into `into`, both structured arrays of one shape, elementwise and in place.

    On equal `abs_max` the position seen first is kept.
    """
    take = (into["argmax"] < 0) | (rows["abs_max"] > into["abs_max"])
    into["argmax"] = np.where(take, rows["argmax"], into["argmax"])
    into["abs_max"] = np.maximum(into["abs_max"], rows["abs_max"])
    into["abs_min"] = np.minimum(into["abs_min"], rows["abs_min"])
    for name in (*COUNTS, *SUMS, "hist"):
        into[name] += rows[name]
