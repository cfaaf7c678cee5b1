"""Histograms of one site merged by columns, and the quantiles of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from gradprof.kernels.bins import BIN_EDGES

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass
class Merged:
    """What the rows of one site say together, for each of several columns.

    `hist` is int64 `[columns, 128]`, `numel`, `n_zero` and `non_finite` int64 `[columns]`; `abs_max` and
    `abs_min` float64 `[columns]`, NaN where there is no such value.
    """

    hist: Int64Array
    numel: Int64Array
    n_zero: Int64Array
    non_finite: Int64Array
    abs_max: FloatArray
    abs_min: FloatArray

    @classmethod
    def of(cls, hist: Int64Array, beside: np.ndarray) -> Merged:
        """From histograms `[columns, 128]` and what stands beside them, a structured array `[columns]`."""
        return cls(
            hist=hist,
            numel=beside["numel"],
            n_zero=beside["n_zero"],
            non_finite=beside["n_nan"] + beside["n_inf"],
            abs_max=beside["abs_max"],
            abs_min=beside["abs_min"],
        )

    @classmethod
    def joined(cls, parts: Sequence[Merged]) -> Merged:
        """One after the other; at least one part."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def within(self, columns: slice) -> Merged:
        """Some of the columns."""
        return Merged(*(getattr(self, f.name)[columns] for f in fields(self)))

    def pooled(self, bounds: Int64Array) -> Merged:
        """Columns `bounds[c]` up to `bounds[c + 1]` merged, for each c: counts add up, extrema win."""
        starts = bounds[:-1]
        if not starts.size:
            return self
        return Merged(
            hist=np.add.reduceat(self.hist, starts, axis=0),
            numel=np.add.reduceat(self.numel, starts),
            n_zero=np.add.reduceat(self.n_zero, starts),
            non_finite=np.add.reduceat(self.non_finite, starts),
            abs_max=np.fmax.reduceat(self.abs_max, starts),
            abs_min=np.fmin.reduceat(self.abs_min, starts),
        )

    def quantile(self, q: float) -> FloatArray:
        """The magnitude below which a share `q` of each column's finite values lies, float64 `[columns]`.

        0 where that is a zero, NaN where there is no finite value; exact to a bin, as `TensorStats.quantile`.
        """
        n = self.numel - self.non_finite
        rank = np.rint(q * (n - 1)).astype(np.int64)
        cumulated = np.cumsum(self.hist, axis=1)
        b = np.minimum((cumulated <= (rank - self.n_zero)[:, None]).sum(axis=1), self.hist.shape[1] - 1)
        middle = np.sqrt(BIN_EDGES[b] * BIN_EDGES[b + 1])
        within = np.minimum(np.maximum(middle, self.abs_min), self.abs_max)
        return np.select(
            [n <= 0, rank < self.n_zero, rank == n - 1, rank == self.n_zero],
            [np.nan, 0.0, self.abs_max, self.abs_min],
            within,
        )
