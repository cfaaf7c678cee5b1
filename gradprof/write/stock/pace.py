"""What the stock dashboards show: scalars and histograms of log10|g|, thinned in long runs.

TensorBoard keeps about 1000 scalars and 100 histograms of a tag, chosen at random. So every step is
written while a run is short; later the distance between points grows in proportion to the steps behind
them, and each point covers all steps since the one before: the largest value, the merged histogram. No
spike is lost to thinning, and the full record is in the blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradprof.record.observed import Observed

from .histograms import HistogramSeries
from .scalars import SUMMARY_TAGS, ScalarSeries

__all__ = ["HIST_PACE", "SCALAR_PACE", "SUMMARY_TAGS", "Pace", "StockSeries"]


class Pace:
    """Which steps get a point: all of the first `full`, then fewer, in proportion to those behind.

    Between step n and 2n lie about 0.7 * `resolution` points.
    """

    def __init__(self, full: int, resolution: int) -> None:
        self._full = full
        self._resolution = resolution
        self._count = 0
        self._due = 0

    def due(self, n: int) -> list[int]:
        """Which of the next `n` steps get a point."""
        return [i for i in range(n) if self.tick()]

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

_FEW_SITES = 50
_LEAST_SCALARS, _LEAST_HISTS = 0.2, 0.5
"""Shares of these points that a run of very many sites still gets."""


def thinned(pace: tuple[int, int], n_sites: int, least: float) -> tuple[int, int]:
    """The pace for a run of `n_sites`: TensorBoard holds every point in memory, and with a thousand sites
    nobody looks at all of their charts."""
    share = min(1.0, max(least, _FEW_SITES / max(n_sites, 1)))
    return max(1, round(pace[0] * share)), max(1, round(pace[1] * share))


class StockSeries:
    """Collects steps and gives the serialized summary of each point that is due."""

    def __init__(self, labels: Sequence[str]) -> None:
        n = len(labels)
        self._scalars = ScalarSeries(labels)
        self._scalar_pace = Pace(*thinned(SCALAR_PACE, n, _LEAST_SCALARS))
        self._histograms = HistogramSeries(labels)
        self._histogram_pace = Pace(*thinned(HIST_PACE, n, _LEAST_HISTS))

    def extend(self, observed: Observed) -> list[bytes]:
        """For each of the next steps the serialized summary of what is due at it, empty if nothing is."""
        n = len(observed)
        scalars = self._scalars.extend(observed, self._scalar_pace.due(n))
        histograms = self._histograms.extend(observed, self._histogram_pace.due(n))
        return [scalars.get(i, b"") + histograms.get(i, b"") for i in range(n)]

    def rest(self) -> bytes:
        """The last point, covering the steps after the one before."""
        return self._scalars.rest() + self._histograms.rest()
