"""What the Gradients tab colours by, and how a column of many steps gets one value; numpy only.

`METRICS` gives each metric as a function of rows, in float32. Rounding comes before pooling, so that what is
pooled in the event file is exactly the largest of the values that a reader computes from the rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .columns import Rule
from .figures import Fields, derive

Float32Array = npt.NDArray[np.float32]

HISTORY = 32
"""Observed steps before a step whose median `l2_change` is measured against."""
MIN_HISTORY = 8
"""With fewer finite values among them there is no change."""
_STEPS_AT_ONCE = 256


@dataclass(frozen=True)
class Metric:
    """One metric of every site and step.

    Attributes:
        name: as in `METRICS`, in addresses and tags.
        title: for people.
        pool: how the values of several steps become one.
    """

    name: str
    title: str
    pool: Rule
    _values: Callable[[Fields], np.ndarray]

    def of(self, fields: Fields) -> Float32Array:
        """The metric of each row, float32 of their shape; NaN where it is not defined, or no gradient came.

        `l2_change` takes the first axis for consecutive observed steps, with none before them.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = self._values(fields).astype(np.float32)
        return np.where(fields["n_obs"] > 0, values, np.float32(np.nan))


class L2Change:
    """How far log10 of each site's norm is from its own recent median, step after step.

    The median is over the `HISTORY` observed steps before, of which those count that have a finite value.
    Pieces in order give what the whole gives at once.
    """

    def __init__(self, n_sites: int) -> None:
        self._past = np.full((HISTORY, n_sites), np.nan, dtype=np.float32)

    def extend(self, log10_l2: Float32Array) -> Float32Array:
        """The change at each of the next observed steps, float32 `[steps, sites]`.

        Args:
            log10_l2: of these steps, float32 `[steps, sites]`; NaN where there is none, −inf for norm 0.
        """
        pieces = [
            self._extend(log10_l2[at : at + _STEPS_AT_ONCE]) for at in range(0, len(log10_l2), _STEPS_AT_ONCE)
        ]
        return np.concatenate([np.empty((0, log10_l2.shape[1]), dtype=np.float32), *pieces])

    def _extend(self, log10_l2: Float32Array) -> Float32Array:
        known = np.concatenate((self._past, np.where(np.isfinite(log10_l2), log10_l2, np.float32(np.nan))))
        self._past = known[len(log10_l2) :]
        before = np.lib.stride_tricks.sliding_window_view(known[:-1], HISTORY, axis=0)
        return (log10_l2 - _median(before)).astype(np.float32)


def _median(values: Float32Array) -> npt.NDArray[np.float64]:
    """Along the last axis, NaN passed over; NaN where fewer than `MIN_HISTORY` are left."""
    ordered = np.sort(values, axis=-1)  # NaN last
    n = np.count_nonzero(~np.isnan(values), axis=-1)[..., None]
    low, high = (
        np.take_along_axis(ordered, np.maximum(rank, 0), axis=-1)[..., 0].astype(np.float64)
        for rank in ((n - 1) // 2, n // 2)
    )
    return np.where(n[..., 0] >= MIN_HISTORY, (low + high) / 2, np.nan)


def _finite_or_nan(rows: Fields, values: np.ndarray) -> np.ndarray:
    """NaN where a site had no finite value at all, rather than the norm of nothing."""
    return np.where(rows["numel"] > rows["n_nan"] + rows["n_inf"], values, np.nan)


def _log10_l2(rows: Fields) -> np.ndarray:
    return _finite_or_nan(rows, np.log10(derive(rows, "l2")))


def _l2_change(rows: Fields) -> np.ndarray:
    log10_l2 = METRICS["log10_l2"].of(rows)
    by_site = log10_l2.reshape(len(log10_l2), -1)
    return L2Change(by_site.shape[1]).extend(by_site).reshape(log10_l2.shape)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "log10_abs_max",
            "log10 of the largest magnitude",
            "max",
            lambda rows: np.log10(derive(rows, "abs_max")),
        ),
        Metric("log10_l2", "log10 of the L2 norm", "max", _log10_l2),
        Metric(
            "log10_rms", "log10 of the root mean square", "max", lambda rows: np.log10(derive(rows, "rms"))
        ),
        Metric(
            "share_above",
            "share at or above the threshold",
            "max",
            lambda rows: rows["n_above"] / rows["numel"],
        ),
        Metric("zero_share", "share of zeros", "max", lambda rows: rows["n_zero"] / rows["numel"]),
        Metric("non_finite", "NaN and inf, count", "max", lambda rows: rows["n_nan"] + rows["n_inf"]),
        Metric(
            "l2_change", "change of log10 L2 against its own running median", "largest_change", _l2_change
        ),
    )
}
"""By name, in the order in which they are offered."""

METRIC_RULES: dict[str, Rule] = {
    "n_rows": "sum",
    **{metric.name: metric.pool for metric in METRICS.values()},
}
"""Of each site in how many steps it has a row, and its metrics."""
