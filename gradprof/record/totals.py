"""What each site did up to now, as one column that pools: the totals of a run are those of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gradprof.kernels.row import FIELDS_DTYPE

from .columns import AtMax, Columns, Rule, joined
from .figures import Fields, derive
from .sites import KINDS

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

TOTAL_RULES: dict[str, Rule] = {
    "n_steps": "sum",
    **{f"steps_above/{kind}": "sum" for kind in KINDS},
    **dict.fromkeys(("steps_seen", "numel", "n_zero", "n_non_finite", "n_above"), "sum"),
    "abs_max": "max",
    "abs_max_step": AtMax("abs_max"),
    "first_above_step": "min",
    "first_non_finite_step": "min",
    "last_seen_step": "max",
    "l2_last": AtMax("last_seen_step"),
}
"""How many steps were observed, and in how many some site of a kind reached the threshold, `[1]`.

Of each site, `[1, sites]`: in how many steps it has a row; counts of values; the largest magnitude and the
first step that has it; the first step that reached the threshold, and the first with a NaN or inf; the last
step with a row, and its norm. Counts are int64, all others float64, NaN where there is none."""

_OF_L2 = ("numel", "n_nan", "n_inf", "sq", "sq_big", "sq_small")


def sites_by_kind(labels: Sequence[str]) -> dict[str, Int64Array]:
    """Of each of `KINDS` the indices of its sites."""
    kinds = np.array([label.partition("/")[0] for label in labels])
    return {kind: np.flatnonzero(kinds == kind) for kind in KINDS}


def totals_of(steps: Int64Array, fields: Fields, by_kind: Mapping[str, Int64Array]) -> Columns:
    """One column for all of these steps.

    Args:
        steps: their numbers, in order, int64 `[steps]`; at least one.
        fields: of their rows, `[steps, sites]`.
        by_kind: see `sites_by_kind`.
    """
    seen, above, numel = fields["n_obs"] > 0, fields["n_above"] > 0, fields["numel"]
    n_non_finite = fields["n_nan"] + fields["n_inf"]
    arrays: dict[str, npt.ArrayLike] = {
        "n_steps": len(steps),
        **{f"steps_above/{kind}": above[:, of].any(axis=1).sum() for kind, of in by_kind.items()},
        "steps_seen": seen.sum(axis=0),
        **{name: fields[name].sum(axis=0) for name in ("numel", "n_zero", "n_above")},
        "n_non_finite": n_non_finite.sum(axis=0),
        **_largest(steps, np.where(numel > n_non_finite, fields["abs_max"], -1.0)),
        "first_above_step": _first(steps, above),
        "first_non_finite_step": _first(steps, n_non_finite > 0),
        **_last(steps, seen, fields),
    }
    return Columns({name: np.asarray(arrays[name])[None] for name in TOTAL_RULES}, TOTAL_RULES)


def no_totals(by_kind: Mapping[str, Int64Array], n_sites: int) -> Columns:
    """The totals of no steps."""
    nothing = totals_of(np.zeros(1, np.int64), np.zeros((1, n_sites), FIELDS_DTYPE), by_kind)
    return Columns({**nothing.arrays, "n_steps": np.zeros(1, np.int64)}, TOTAL_RULES)


def summed(parts: Sequence[Columns]) -> Columns:
    """The totals of parts of a run in order."""
    return joined(parts).pooled([0, len(parts)])


def _first(steps: Int64Array, happened: npt.NDArray[np.bool_]) -> FloatArray:
    """Of each site the first step in which it did."""
    at = happened.argmax(axis=0)
    return np.where(happened[at, np.arange(len(at))], steps[at], np.nan)


def _largest(steps: Int64Array, abs_max: FloatArray) -> dict[str, FloatArray]:
    """Of each site the largest magnitude and its first step; −1 stands for none."""
    at = abs_max.argmax(axis=0)
    largest = abs_max[at, np.arange(len(at))]
    exists = largest >= 0
    return {
        "abs_max": np.where(exists, largest, np.nan),
        "abs_max_step": np.where(exists, steps[at], np.nan),
    }


def _last(steps: Int64Array, seen: npt.NDArray[np.bool_], fields: Fields) -> dict[str, FloatArray]:
    """Of each site the last step with a row, and its norm."""
    at = len(steps) - 1 - seen[::-1].argmax(axis=0)
    sites = np.arange(len(at))
    row = {name: fields[name][at, sites] for name in _OF_L2}
    has_norm = row["numel"] > row["n_nan"] + row["n_inf"]
    return {
        "last_seen_step": np.where(seen[at, sites], steps[at], np.nan),
        "l2_last": np.where(has_norm, derive(row, "l2"), np.nan),
    }
