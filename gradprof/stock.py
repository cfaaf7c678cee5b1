"""What the stock dashboards show: scalars and histograms of log10|g|, thinned in long runs.

TensorBoard keeps about 1000 scalars and 100 histograms of a tag, chosen at random. So every step is
written while a run is short; later the distance between points grows in proportion to the steps behind
them, and each point covers all steps since the one before: the largest value, the merged histogram. No
spike is lost to thinning, and the full record is in the blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradprof.kernels.bins import BIN_EDGES, N_BINS, bin_of

from .events import tags
from .events.summary import HIST_ROWS, HistogramTemplate, ScalarTemplate
from .stats import derive

FloatArray = npt.NDArray[np.float64]

SUMMARY_TAGS = (
    "log10_global_norm",
    "log10_abs_max",
    "site_of_abs_max",
    "share_above_threshold",
    "zero_share",
    "non_finite",
    "profiler_seconds",
    "writer_wait_seconds",
)

_LOG_EDGES = np.log10(BIN_EDGES)


class Pace:
    """Which steps get a point: all of the first `full`, then fewer, in proportion to those behind.

    Between step n and 2n lie about 0.7 * `resolution` points.
    """

    def __init__(self, full: int, resolution: int) -> None:
        self._full = full
        self._resolution = resolution
        self._count = 0
        self._due = 0

    def tick(self) -> bool:
        """Count one step; whether a point is due at it."""
        n = self._count
        self._count += 1
        if n < self._due:
            return False
        self._due = n + (1 if n + 1 < self._full else math.ceil(n / self._resolution))
        return True


SCALAR_PACE = (512, 92)
"""At most 1000 points up to 100,000 steps, 790 at 10,000."""
HIST_PACE = (100, 12)
"""At most 157 points up to 10,000 steps, the one at the end included."""


class StockSeries:
    """Collects steps and gives the serialized summary of each point that is due."""

    def __init__(self, labels: Sequence[str]) -> None:
        n = len(labels)
        self._scalars = ScalarTemplate(
            [*tags.site_tags(tags.ABS_MAX, labels), *tags.site_tags(tags.L2, labels)]
        )
        self._summary = ScalarTemplate([f"{tags.SUMMARY}/{tag}" for tag in SUMMARY_TAGS])
        self._hist = HistogramTemplate(
            tags.site_tags(tags.HIST, labels), "log10 of the gradient's magnitudes, zeros left out"
        )
        self._is_param = np.array([label.startswith("param/") for label in labels])
        self._scalar_pace = Pace(*SCALAR_PACE)
        self._hist_pace = Pace(*HIST_PACE)
        self._point = _ScalarPoint(n)
        self._hist_point = _HistPoint(n)
        self._centre = np.zeros(n)

    def add(self, rows: np.ndarray, seconds: float, wait: float) -> bytes:
        """The serialized summary of what is due at this step, empty if nothing is.

        `rows` is a structured array `[sites]`; `seconds` and `wait` are as in `StepRecord`.
        """
        self._point.add(rows, self._is_param, seconds, wait)
        self._hist_point.add(rows)
        parts = []
        if self._scalar_pace.tick():
            parts.append(self._take_scalars())
        if self._hist_pace.tick():
            parts.append(self._take_hist())
        return b"".join(parts)

    def rest(self) -> bytes:
        """The last point, covering the steps after the one before."""
        return b"".join(
            (
                self._take_scalars() if self._point.n_steps else b"",
                self._take_hist() if self._hist_point.n_steps else b"",
            )
        )

    def _take_scalars(self) -> bytes:
        point, self._point = self._point, _ScalarPoint(len(self._is_param))
        per_site = self._scalars.fill(
            np.concatenate((_log10(point.abs_max), _log10(point.l2))), np.tile(point.seen, 2)
        )
        return per_site + self._summary.fill(point.summary())

    def _take_hist(self) -> bytes:
        point, self._hist_point = self._hist_point, _HistPoint(len(self._is_param))
        rows = stock_histograms(point.hist, point.abs_min, point.abs_max, self._centre)
        has_value = point.abs_max > 0
        last = bin_of(point.abs_max)
        self._centre = np.where(has_value, (_LOG_EDGES[last] + _LOG_EDGES[last + 1]) / 2, self._centre)
        return self._hist.fill(rows, point.seen)


class _ScalarPoint:
    """The largest values since the last point; NaN where nothing finite was seen."""

    def __init__(self, n_sites: int) -> None:
        self.n_steps = 0
        self.seen = np.zeros(n_sites, dtype=bool)
        self.abs_max = np.full(n_sites, np.nan)
        self.l2 = np.full(n_sites, np.nan)
        self._largest = -math.inf
        self._largest_site = math.nan
        self._global_norm = math.nan
        self._share_above = self._zero_share = math.nan
        self._non_finite = 0
        self._seconds = self._wait = 0.0

    def add(self, rows: np.ndarray, is_param: npt.NDArray[np.bool_], seconds: float, wait: float) -> None:
        self.n_steps += 1
        self._seconds += seconds
        self._wait += wait
        seen = rows["n_obs"] > 0
        self.seen |= seen
        if not seen.any():
            return
        abs_max = np.where(seen, derive(rows, "abs_max"), np.nan)
        l2 = np.where(np.isnan(abs_max), np.nan, derive(rows, "l2"))
        self.abs_max = np.fmax(self.abs_max, abs_max)
        self.l2 = np.fmax(self.l2, l2)
        if not np.isnan(abs_max).all():
            site = int(np.nanargmax(abs_max))
            if abs_max[site] > self._largest:
                self._largest, self._largest_site = float(abs_max[site]), site
        self._global_norm = np.fmax(self._global_norm, global_norm(l2, is_param & seen))
        n_non_finite = int((rows["n_nan"] + rows["n_inf"]).sum())
        self._non_finite = max(self._non_finite, n_non_finite)
        if numel := int(rows["numel"].sum()):
            self._share_above = np.fmax(self._share_above, rows["n_above"].sum() / numel)
            self._zero_share = np.fmax(self._zero_share, rows["n_zero"].sum() / numel)

    def summary(self) -> list[float]:
        """The values of `SUMMARY_TAGS`: times are means per step, everything else the largest."""
        largest = self._largest if self._largest >= 0 else math.nan
        return [
            float(_log10(np.float64(self._global_norm))),
            float(_log10(np.float64(largest))),
            self._largest_site,
            self._share_above,
            self._zero_share,
            self._non_finite,
            self._seconds / max(self.n_steps, 1),
            self._wait / max(self.n_steps, 1),
        ]


class _HistPoint:
    """The merged histogram since the last point."""

    def __init__(self, n_sites: int) -> None:
        self.n_steps = 0
        self.seen = np.zeros(n_sites, dtype=bool)
        self.hist = np.zeros((n_sites, N_BINS), dtype=np.int64)
        self.abs_min = np.full(n_sites, np.inf)
        self.abs_max = np.zeros(n_sites)

    def add(self, rows: np.ndarray) -> None:
        self.n_steps += 1
        self.seen |= rows["n_obs"] > 0
        self.hist += rows["hist"]
        self.abs_min = np.minimum(self.abs_min, rows["abs_min"])
        self.abs_max = np.maximum(self.abs_max, rows["abs_max"])


def global_norm(l2: FloatArray, of: npt.NDArray[np.bool_]) -> float:
    """The norm of all parameters' gradients together, from the norm of each; NaN if there is none."""
    norms = l2[of & ~np.isnan(l2)]
    if not norms.size:
        return math.nan
    largest = float(norms.max())
    if largest == 0 or math.isinf(largest):
        return largest
    return largest * math.sqrt(float(np.square(norms / largest).sum()))


def stock_histograms(
    hist: npt.NDArray[np.int64], abs_min: FloatArray, abs_max: FloatArray, centre: FloatArray
) -> npt.NDArray[np.float32]:
    """TensorBoard's histograms of log10|g|: float32 `[sites, 32, 3]` of (left, right, count).

    The last 31 rows are the quarter-decades down from the largest magnitude, the first row is all below,
    and every edge is clipped to the range of values seen, because an empty end would stretch the axis.

    Args:
        hist: counts, int64 `[sites, 128]`.
        abs_min: smallest non-zero magnitude, inf if there is none, `[sites]`.
        abs_max: largest magnitude, `[sites]`.
        centre: where, in log10, to put the empty histogram of a site without any value, `[sites]`.
    """
    occupied = abs_max > 0
    low = np.where(occupied, _log10(abs_min), centre)[:, None]
    high = np.where(occupied, _log10(abs_max), centre)[:, None]
    top = bin_of(abs_max)[:, None]
    first = np.maximum(top - (HIST_ROWS - 1), 0)
    window = first + np.arange(HIST_ROWS)
    counts = np.take_along_axis(hist, window, axis=1)
    counts[:, 0] += hist.sum(axis=1) - counts.sum(axis=1)
    left = np.clip(_LOG_EDGES[window], low, high)
    right = np.where(window >= top, high, np.clip(_LOG_EDGES[window + 1], low, high))
    left[:, 0] = low[:, 0]
    return np.stack((left, right, counts), axis=2).astype(np.float32)


def _log10(values: npt.NDArray[np.floating] | np.floating) -> FloatArray:
    """log10, NaN for 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(values)
    return np.where(np.isinf(logs), np.nan, logs)
