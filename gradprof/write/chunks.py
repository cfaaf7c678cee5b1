"""Pools observed steps into the columns of chunks, as they come and without keeping their rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gradprof.events.pooled import POOLED_HIST_DTYPE, Pooled
from gradprof.events.tags import CHUNK_STEPS, HIST_LEVEL, LEVELS
from gradprof.kernels.bins import N_BINS
from gradprof.record.metrics import METRICS, Float32Array, L2Change, figure, larger_change, pool
from gradprof.record.observed import Observed

Int64Array = npt.NDArray[np.int64]

_FINE = LEVELS[0]
_SUMS = ("numel", "n_zero", "n_nan", "n_inf")


class Chunk:
    """The columns of `CHUNK_STEPS` observed steps, from the step with ordinal `number * CHUNK_STEPS` on.

    Attributes:
        hist: merged by columns of `HIST_LEVEL` steps, int64 `[columns, sites, 128]`.
        beside_hist: a structured array `[columns, sites]` of `POOLED_HIST_DTYPE`.
    """

    def __init__(self, number: int, n_sites: int) -> None:
        self.number = number
        self.n_steps = 0
        shape = (CHUNK_STEPS // _FINE, n_sites)
        self._steps = np.zeros(CHUNK_STEPS, dtype=np.int64)
        self._n_rows = np.zeros(shape, dtype=np.int64)
        self._metrics = {name: np.full(shape, np.nan, dtype=np.float32) for name in METRICS}
        self.hist = np.zeros((CHUNK_STEPS // HIST_LEVEL, n_sites, N_BINS), dtype=np.int64)
        self.beside_hist = np.zeros(self.hist.shape[:2], dtype=POOLED_HIST_DTYPE)
        self.beside_hist["abs_max"] = self.beside_hist["abs_min"] = np.nan

    def add(self, observed: Observed, steps: slice, l2_change: Float32Array) -> None:
        """Add some of the observed steps; `l2_change` is of these."""
        n = steps.stop - steps.start
        self._steps[self.n_steps : self.n_steps + n] = observed.steps[steps]
        fields = {name: values[steps] for name, values in observed.fields.items()}
        metrics = {name: values[steps] for name, values in observed.metrics.items()}
        self._add_metrics(fields["n_obs"] > 0, {**metrics, "l2_change": l2_change})
        self._add_hist(fields, observed.hist[steps])
        self.n_steps += n

    def pooled(self, level: int) -> Pooled:
        """All columns of `level` steps."""
        bounds = np.arange(0, CHUNK_STEPS + 1, level)
        fine = bounds // _FINE
        return Pooled(
            level=level,
            first_steps=self._steps[bounds[:-1]],
            last_steps=self._steps[bounds[1:] - 1],
            n_rows=np.add.reduceat(self._n_rows, fine[:-1], axis=0),
            metrics={name: pool(values, METRICS[name].pool, fine) for name, values in self._metrics.items()},
        )

    def _add_metrics(self, seen: npt.NDArray[np.bool_], metrics: dict[str, Float32Array]) -> None:
        columns, bounds = _columns(self.n_steps, len(seen), _FINE)
        self._n_rows[columns] += np.add.reduceat(seen, bounds[:-1], axis=0, dtype=np.int64)
        for name, values in metrics.items():
            merge = np.fmax if METRICS[name].pool == "max" else larger_change
            into = self._metrics[name]
            into[columns] = merge(into[columns], pool(values, METRICS[name].pool, bounds))

    def _add_hist(self, fields: dict[str, np.ndarray], hist: np.ndarray) -> None:
        columns, bounds = _columns(self.n_steps, len(hist), HIST_LEVEL)
        for column, (start, stop) in zip(self.hist[columns], pairwise(bounds), strict=True):
            column += hist[start:stop].sum(axis=0, dtype=np.int64)
        for name in _SUMS:
            self.beside_hist[name][columns] += np.add.reduceat(fields[name], bounds[:-1], axis=0)
        for name, extremum in (("abs_max", np.fmax), ("abs_min", np.fmin)):
            into, values = self.beside_hist[name], figure(fields, name)
            into[columns] = extremum(into[columns], extremum.reduceat(values, bounds[:-1], axis=0))


class Pooling:
    """Takes the observed steps of a run in order."""

    def __init__(self, n_sites: int) -> None:
        self._n_sites = n_sites
        self._l2_change = L2Change(n_sites)
        self._chunk = Chunk(0, n_sites)

    def extend(self, observed: Observed) -> Iterator[Chunk]:
        """Add the next steps; each chunk that they complete, to be used before the next one is asked for."""
        l2_change = self._l2_change.extend(observed.metrics["log10_l2"])
        start = 0
        while start < len(observed):
            steps = slice(start, min(len(observed), start + CHUNK_STEPS - self._chunk.n_steps))
            self._chunk.add(observed, steps, l2_change[steps])
            start = steps.stop
            if self._chunk.n_steps == CHUNK_STEPS:
                complete, self._chunk = self._chunk, Chunk(self._chunk.number + 1, self._n_sites)
                yield complete


def _columns(start: int, n: int, level: int) -> tuple[slice, Int64Array]:
    """The columns of `level` steps that steps `start` to `start + n` of a chunk fall into, and the bounds of
    each among these steps."""
    columns = slice(start // level, (start + n - 1) // level + 1)
    edges = np.arange(columns.start, columns.stop + 1) * level - start
    return columns, np.clip(edges, 0, n)
