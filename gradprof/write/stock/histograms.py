"""The histograms of the stock dashboards: log10 of the magnitudes of each site, by TensorBoard's rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradprof.events import tags
from gradprof.events.summary import HIST_ROWS, HistogramTemplate
from gradprof.kernels.bins import BIN_EDGES, bin_of
from gradprof.record.columns import Columns, Pooling, Rule
from gradprof.record.metrics import Float32Array
from gradprof.record.observed import Observed

FloatArray = npt.NDArray[np.float64]

_LOG_EDGES = np.log10(BIN_EDGES)
_EDGES_FROM = np.lib.stride_tricks.sliding_window_view(_LOG_EDGES.astype(np.float32), HIST_ROWS + 1)
"""The edges of the rows from each bin on, float32 `[129 - 32, 33]`."""

_RULES: dict[str, Rule] = {"seen": "any", "hist": "sum", "abs_min": "min", "abs_max": "max"}


class HistogramSeries:
    """Collects steps and gives the serialized points of all histograms."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._template = HistogramTemplate(
            tags.site_tags(tags.HIST, labels), "log10 of the gradient's magnitudes, zeros left out"
        )
        self._pooling = Pooling()
        self._centre = np.zeros(len(labels))

    def extend(self, observed: Observed, due: Sequence[int]) -> dict[int, bytes]:
        """The points at those of the observed steps that are due, each covering all since the one before."""
        fields = observed.fields
        arrays = {"seen": fields["n_obs"] > 0, "hist": observed.hist}
        extrema = {name: fields[name] for name in ("abs_min", "abs_max")}
        points = self._pooling.extend(Columns({**arrays, **extrema}, _RULES), due)
        return {at: self._filled(points, i) for i, at in enumerate(due)}

    def rest(self) -> bytes:
        """The point of the steps after the last one that was due, empty if there are none."""
        points = self._pooling.rest()
        return b"" if points is None else self._filled(points, 0)

    def _filled(self, points: Columns, at: int) -> bytes:
        seen, hist, abs_min, abs_max = (points[name][at] for name in _RULES)
        rows = stock_histograms(hist, abs_min, abs_max, self._centre)
        last = bin_of(abs_max)
        middle = (_LOG_EDGES[last] + _LOG_EDGES[last + 1]) / 2
        self._centre = np.where(abs_max > 0, middle, self._centre)
        return self._template.fill(rows, seen)


def stock_histograms(
    hist: np.ndarray, abs_min: FloatArray, abs_max: FloatArray, centre: FloatArray
) -> Float32Array:
    """TensorBoard's histograms of log10|g|: float32 `[sites, 32, 3]` of (left, right, count).

    The last 31 rows are the quarter-decades down from the largest magnitude, the first row is all below,
    and every edge is clipped to the range of values seen, because an empty end would stretch the axis.

    Args:
        hist: counts, `[sites, 128]`.
        abs_min: smallest non-zero magnitude, inf if there is none, `[sites]`.
        abs_max: largest magnitude, `[sites]`.
        centre: where, in log10, to put the empty histogram of a site without any value, `[sites]`.
    """
    occupied = abs_max > 0
    low = np.log10(abs_min, out=centre.copy(), where=occupied).astype(np.float32)
    high = np.log10(abs_max, out=centre.copy(), where=occupied).astype(np.float32)
    first = np.maximum(bin_of(abs_max) - (HIST_ROWS - 1), 0)
    edges = np.clip(_EDGES_FROM[first], low[:, None], high[:, None])
    edges[:, 0], edges[:, -1] = low, high
    counts = np.lib.stride_tricks.sliding_window_view(hist, HIST_ROWS, axis=1)[np.arange(len(hist)), first]
    rows = np.empty((len(hist), HIST_ROWS, 3), dtype=np.float32)
    rows[:, :, 0], rows[:, :, 1], rows[:, :, 2] = edges[:, :-1], edges[:, 1:], counts
    rows[:, 0, 2] = hist.sum(axis=1) - counts[:, 1:].sum(axis=1)
    return rows
