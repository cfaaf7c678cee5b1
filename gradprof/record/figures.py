"""From rows to the figures that people read; numpy only.

`FIELDS` gives each published figure as a function of a structured array of rows (`kernels.row.ROW_DTYPE`)
of any shape, so that one formula serves one tensor, a step and a whole run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gradprof.kernels.bins import BIN_EDGES
from gradprof.kernels.row import DOWN, UP

FloatArray = npt.NDArray[np.float64]


def _n_finite(rows: np.ndarray) -> npt.NDArray[np.int64]:
    finite: npt.NDArray[np.int64] = rows["numel"] - rows["n_nan"] - rows["n_inf"]
    return finite


def _mean_of(rows: np.ndarray, plain: str, big: str) -> FloatArray:
    n = _n_finite(rows)
    mean: FloatArray = rows[plain] / n + (rows[big] / n) / DOWN
    return mean


def _l2(rows: np.ndarray, count: npt.NDArray[np.int64] | int = 1) -> FloatArray:
    """sqrt(sum of squares / count), from the three scaled sums, without overflow on the way."""
    big = np.sqrt(rows["sq_big"] / count) / DOWN
    small = np.sqrt(rows["sq_small"] / count) / UP
    norm: FloatArray = np.hypot(np.hypot(big, np.sqrt(rows["sq"] / count)), small)
    return norm


def _where_finite(rows: np.ndarray, values: npt.NDArray[np.generic]) -> FloatArray:
    return np.where(_n_finite(rows) > 0, values, np.nan)


FIELDS: dict[str, Callable[[np.ndarray], npt.NDArray[np.generic]]] = {
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


def derive(rows: np.ndarray, field: str) -> npt.NDArray[np.generic]:
    """One published figure of each row: int64 for counts and positions, float64 otherwise, NaN where it
    does not exist (no finite value, or no non-zero one for `abs_min`)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return FIELDS[field](rows)


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
        """The magnitude below which a share `q` of the finite values lies, read off the histogram.

        Zeros count as magnitude 0. The answer is exact to a bin (a quarter of a decade): the geometric
        middle of the bin that holds the value, within [abs_min, abs_max]; q=0 and q=1 are exact.

        Raises:
            ValueError: `q` is outside [0, 1].
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q is {q!r}: expected a share between 0 and 1")
        n = self.numel - self.n_nan - self.n_inf
        if n == 0:
            return float("nan")
        rank = round(q * (n - 1))
        if rank < self.n_zero:
            return 0.0
        if rank == n - 1:
            return self.abs_max
        if rank == self.n_zero:
            return self.abs_min
        b = int(np.searchsorted(np.cumsum(self.hist), rank - self.n_zero, side="right"))
        middle = float(np.sqrt(BIN_EDGES[b] * BIN_EDGES[b + 1]))
        return min(max(middle, self.abs_min), self.abs_max)

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
