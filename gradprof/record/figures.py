"""From rows to the figures that people read; numpy only.

`FIELDS` gives each published figure as a function of rows (`kernels.row.ROW_DTYPE`) of any shape, so that one
formula serves one tensor, a step and a whole run; `DISTRIBUTION_RULES` says which of them pool over steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gradprof.kernels.bins import BIN_EDGES, N_BINS
from gradprof.kernels.row import DOWN, ROW_DTYPE, UP

from .columns import Columns, Rule

FloatArray = npt.NDArray[np.float64]
Fields = np.ndarray | Mapping[str, np.ndarray]
"""Rows as a structured array, with or without their histograms, or their fields each on its own, by name."""


def _n_finite(rows: Fields) -> npt.NDArray[np.int64]:
    finite: npt.NDArray[np.int64] = rows["numel"] - rows["n_nan"] - rows["n_inf"]
    return finite


def _mean_of(rows: Fields, plain: str, big: str) -> FloatArray:
    n = _n_finite(rows)
    mean: FloatArray = rows[plain] / n + (rows[big] / n) / DOWN
    return mean


def _l2(rows: Fields, count: npt.NDArray[np.int64] | int = 1) -> FloatArray:
    """sqrt(sum of squares / count), from the three scaled sums, without overflow on the way."""
    big = np.sqrt(rows["sq_big"] / count) / DOWN
    small = np.sqrt(rows["sq_small"] / count) / UP
    norm: FloatArray = np.hypot(np.hypot(big, np.sqrt(rows["sq"] / count)), small)
    return norm


def _where_finite(rows: Fields, values: npt.NDArray[np.generic]) -> FloatArray:
    return np.where(_n_finite(rows) > 0, values, np.nan)


FIELDS: dict[str, Callable[[Fields], npt.NDArray[np.generic]]] = {
    "numel": lambda rows: rows["numel"],
    "n_zero": lambda rows: rows["n_zero"],
    "n_nan": lambda rows: rows["n_nan"],
    "n_inf": lambda rows: rows["n_inf"],
    "abs_max": lambda rows: _where_finite(rows, rows["abs_max"]),
    "abs_min": lambda rows: np.where(np.isinf(rows["abs_min"]), np.nan, rows["abs_min"]),
    "mean": lambda rows: _mean_of(rows, "sum", "sum_big"),
    "abs_mean": lambda rows: _mean_of(rows, "abs_sum", "abs_sum_big"),
    "l1": lambda rows: rows["abs_sum"] + rows["abs_sum_big"] / DOWN,
    "l2": lambda rows: _l2(rows),
    "rms": lambda rows: _where_finite(rows, _l2(rows, _n_finite(rows))),
    "n_above": lambda rows: rows["n_above"],
    "argmax": lambda rows: rows["argmax"],
}
COUNT_FIELDS = frozenset({"numel", "n_zero", "n_nan", "n_inf", "n_above", "argmax"})


def derive(rows: Fields, field: str) -> npt.NDArray[np.generic]:
    """One published figure of each row: int64 for counts and positions, float64 otherwise, NaN where it
    does not exist (no finite value, or no non-zero one for `abs_min`)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return FIELDS[field](rows)


DISTRIBUTION_RULES: dict[str, Rule] = {
    "hist": "sum",
    **dict.fromkeys(("numel", "n_zero", "n_nan", "n_inf"), "sum"),
    "abs_max": "max",
    "abs_min": "min",
}
"""How magnitudes are distributed, of one row or of several together."""


_NO_ROWS = np.empty(0, dtype=ROW_DTYPE)


def distribution(fields: Fields, hist: np.ndarray) -> Columns:
    """A column for each of rows `[steps, ...]`; `hist` is theirs, `[steps, ..., 128]`."""
    beside = {name: derive(fields, name) for name in DISTRIBUTION_RULES if name != "hist"}
    return Columns({"hist": hist, **beside}, DISTRIBUTION_RULES)


NO_DISTRIBUTION = distribution(_NO_ROWS, _NO_ROWS["hist"])
"""Of one site, no columns."""


def quantile(of: Columns, q: float) -> FloatArray:
    """The magnitude below which a share `q` of the finite values of each column lies, float64 `[columns]`.

    Zeros count as magnitude 0; where there is no finite value it is NaN. The answer is read off the histogram
    and exact to a bin (a quarter of a decade): the geometric middle of the bin that holds the value, within
    [abs_min, abs_max]; q=0 and q=1 are exact.

    Args:
        of: the `distribution` of one site, `[columns]`.
    """
    n = of["numel"] - of["n_nan"] - of["n_inf"]
    rank = np.rint(q * (n - 1)).astype(np.int64)
    cumulated = np.cumsum(of["hist"], axis=1)
    b = np.minimum((cumulated <= (rank - of["n_zero"])[:, None]).sum(axis=1), N_BINS - 1)
    middle = np.sqrt(BIN_EDGES[b] * BIN_EDGES[b + 1])
    within = np.minimum(np.maximum(middle, of["abs_min"]), of["abs_max"])
    return np.select(
        [n <= 0, rank < of["n_zero"], rank == n - 1, rank == of["n_zero"]],
        [np.nan, 0.0, of["abs_max"], of["abs_min"]],
        within,
    )


@dataclass(frozen=True, eq=False)
class TensorStats:
    """What one reduction says of one tensor, or of several merged.

    NaN and inf are counted and excluded from everything else:
    `hist.sum() + n_zero + n_nan + n_inf == numel`. Extrema and means of nothing are NaN.
    """

    numel: int
    n_zero: int
    n_nan: int
    n_inf: int
    abs_max: float
    """The largest finite magnitude."""
    abs_min: float
    """The smallest non-zero magnitude."""
    mean: float
    abs_mean: float
    l1: float
    l2: float
    rms: float
    n_above: int
    """How many finite magnitudes are >= the threshold."""
    argmax: int
    """Flat index of `abs_max`; -1 unless it was asked for with `locate=True`."""
    hist: npt.NDArray[np.int64]
    """Counts of non-zero finite magnitudes, int64 `[128]`, bins as in `gradprof.BIN_EDGES`."""

    @classmethod
    def from_row(cls, row: np.void | np.ndarray) -> TensorStats:
        """The figures of one row of `kernels.row.ROW_DTYPE`."""
        rows = np.asarray(row).reshape(1)
        figures: dict[str, Any] = {
            name: (int if name in COUNT_FIELDS else float)(derive(rows, name)[0]) for name in FIELDS
        }
        return cls(**figures, hist=rows["hist"][0].copy())

    def quantile(self, q: float) -> float:
        """The magnitude below which a share `q` of the finite values lies, as `figures.quantile` reads it off
        the histogram: exact to a bin, a quarter of a decade.

        Raises:
            ValueError: `q` is outside [0, 1].
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q is {q!r}: expected a share between 0 and 1")
        arrays = {name: np.asarray(getattr(self, name))[None] for name in DISTRIBUTION_RULES}
        return float(quantile(Columns(arrays, DISTRIBUTION_RULES), q)[0])

    def __eq__(self, other: object) -> bool:
        """Field by field, a NaN equal to a NaN."""
        if not isinstance(other, TensorStats):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name), equal_nan=f.name != "hist")
            for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        occupied = int(np.count_nonzero(self.hist))
        figures = ", ".join(f"{name}={getattr(self, name)!r}" for name in FIELDS)
        return f"TensorStats({figures}, hist=<{occupied} of {len(self.hist)} bins occupied>)"
