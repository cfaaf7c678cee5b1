"""Where columns of steps stand in a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Consecutive columns of observed steps.

    Attributes:
        bounds: the ordinal at which each begins, and at last the one where they end, int64 `[columns + 1]`.
        first_steps, last_steps: the numbers of each one's first and last step, int64 `[columns]`.
    """

    bounds: Int64Array
    first_steps: Int64Array
    last_steps: Int64Array

    def __len__(self) -> int:
        return len(self.first_steps)

    @property
    def n_steps(self) -> Int64Array:
        """Observed steps of each column, `[columns]`."""
        return np.diff(self.bounds)

    def pooled(self, bounds: Int64Array) -> Places:
        """Columns `bounds[c]` up to `bounds[c + 1]` as one, for each c."""
        return Places(self.bounds[bounds], self.first_steps[bounds[:-1]], self.last_steps[bounds[1:] - 1])

    def followed_by(self, other: Places) -> Places:
        """These columns and those that begin where these end."""
        return Places(
            np.concatenate((self.bounds, other.bounds[1:])),
            np.concatenate((self.first_steps, other.first_steps)),
            np.concatenate((self.last_steps, other.last_steps)),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """By ordinal and by step, first and last, float64 `[columns]` each: JavaScript's numbers."""
        arrays = {
            "first_ordinal": self.bounds[:-1],
            "last_ordinal": self.bounds[1:] - 1,
            "first_step": self.first_steps,
            "last_step": self.last_steps,
        }
        return {name: values.astype(np.float64) for name, values in arrays.items()}


def level_bounds(n_steps: int, level: int) -> Int64Array:
    """Where each column of `level` steps begins and ends among `n_steps`, `[columns + 1]`; the last may be
    shorter."""
    return np.minimum(np.arange(-(-n_steps // level) + 1) * level, n_steps)
