"""Which steps make a column of a picture, and what a column says of its steps; pure functions.

Event files hold metrics of every step, and pooled over 8 and over 64 steps. A picture is made of these *base
columns* of one level: as fine as the picture can show, as coarse as the work allows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from gradprof.record.columns import PLACE_RULES, Columns

from .query import BadRequest

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Uint8Array = npt.NDArray[np.uint8]

NON_FINITE, MISSING, INCOMPLETE = 1, 2, 4
"""Flags of a cell: some value was NaN or inf; no step of it has a row; some step of it lacks a row."""

_LOW_SHARE, _HIGH_SHARE = 0.01, 0.999


def choose_level(n_steps: int, columns: int, affordable: Mapping[int, int]) -> int | None:
    """The coarsest level that still fills `columns`, or else the finest of which `n_steps` can be paid for.

    Args:
        affordable: how many base columns may be read, for each level that there is.

    Returns:
        The level, or None if every level has too many base columns.
    """
    n_base = {level: -(-n_steps // level) for level in sorted(affordable)}
    payable = [level for level in n_base if n_base[level] <= affordable[level]]
    filling = [level for level in payable if n_base[level] >= columns]
    if filling:
        return filling[-1]
    return payable[0] if payable else None


def level_for(n_steps: int, n_sites: int, columns: int, affordable: Mapping[int, int]) -> int:
    """`choose_level` for a run of `n_sites`, all of which must be read for a picture of one.

    Args:
        affordable: how many values may be read, for each level that there is.

    Raises:
        BadRequest: every level has too many of them.
    """
    base_columns = {level: values // max(1, n_sites) for level, values in affordable.items()}
    level = choose_level(n_steps, columns, base_columns)
    if level is None:
        coarsest = max(base_columns)
        raise BadRequest(
            f"the window has {n_steps} steps of {n_sites} sites, too many for one picture: "
            f"choose at most {base_columns[coarsest] * coarsest} steps"
        )
    return level


def align(start: int, stop: int, level: int, n: int) -> tuple[int, int]:
    """The smallest window of whole base columns around [`start`, `stop`), within a run of `n` steps."""
    return start - start % level, min(n, -(-stop // level) * level)


def column_bounds(n_base: int, columns: int) -> Int64Array:
    """Where each of at most `columns` columns begins and ends among `n_base` base columns, `[columns + 1]`.

    Columns are as even as whole base columns allow: of any two the longer has at most one more.
    """
    n = min(columns, n_base)
    return np.arange(n + 1, dtype=np.int64) * n_base // max(n, 1)


def cell_flags(n_rows: Int64Array, n_steps: Int64Array, non_finite: Float32Array) -> Uint8Array:
    """The flags of each cell, uint8 `[columns, sites]`.

    Args:
        n_rows: steps of the cell that have a row, `[columns, sites]`.
        n_steps: steps of the column, `[columns]`.
        non_finite: the largest count of non-finite values, `[columns, sites]`; NaN where there is no row.
    """
    flags = np.where(non_finite > 0, NON_FINITE, 0)
    flags |= np.where(n_rows == 0, MISSING, 0)
    flags |= np.where(n_rows < n_steps[:, None], INCOMPLETE, 0)
    return flags.astype(np.uint8)


def colour_limits(values: Float32Array) -> tuple[float, float]:
    """Robust limits for colours: the 1st and the 99.9th percentile of what is finite, always low < high."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.quantile(finite, (_LOW_SHARE, _HIGH_SHARE)))
    return (low, high) if low < high else (low, low + 1.0)


def places(columns: Columns) -> dict[str, np.ndarray]:
    """By ordinal and by step, first and last, float64 `[columns]` each: JavaScript's numbers."""
    return {name: columns[name].astype(np.float64) for name in PLACE_RULES}
