"""Pools observed steps into the columns of chunks, as they come and without keeping their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gradprof.events.tags import CHUNK_STEPS, HIST_LEVEL, LEVELS
from gradprof.record.columns import PLACE_RULES, Columns, Pooling, joined, level_bounds
from gradprof.record.figures import distribution
from gradprof.record.metrics import METRIC_RULES, L2Change
from gradprof.record.observed import Observed


class Chunk(NamedTuple):
    """`CHUNK_STEPS` observed steps, from the step with ordinal `number * CHUNK_STEPS` on.

    Attributes:
        metrics: by columns of the finest of `LEVELS`.
        hist: by columns of `HIST_LEVEL` steps.
    """

    number: int
    metrics: Columns
    hist: Columns

    def pooled(self, level: int) -> Columns:
        """The metrics by columns of `level` steps."""
        return self.metrics.pooled(level_bounds(len(self.metrics), level // LEVELS[0]))


class Chunks:
    """Takes the observed steps of a run in order."""

    def __init__(self, n_sites: int) -> None:
        self._l2_change = L2Change(n_sites)
        self._n_steps = self._n_chunks = 0
        self._metrics, self._hist = _Growing(LEVELS[0]), _Growing(HIST_LEVEL)

    def extend(self, observed: Observed) -> Iterator[Chunk]:
        """Add the next steps; each chunk that they complete."""
        self._metrics.extend(self._metrics_of(observed))
        self._hist.extend(distribution(observed.fields, observed.hist))
        self._n_steps += len(observed)
        while (self._n_chunks + 1) * CHUNK_STEPS <= self._n_steps:
            yield Chunk(self._n_chunks, self._metrics.take(), self._hist.take())
            self._n_chunks += 1

    def _metrics_of(self, observed: Observed) -> Columns:
        """A column for each step."""
        arrays = {
            "first_step": observed.steps,
            "last_step": observed.steps,
            "n_rows": observed.fields["n_obs"] > 0,
            **observed.metrics,
            "l2_change": self._l2_change.extend(observed.metrics["log10_l2"]),
        }
        return Columns(arrays, PLACE_RULES | METRIC_RULES)


class _Growing:
    """Columns of `level` steps, those of a chunk at a time."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._n_steps = 0
        self._pooling = Pooling()
        self._parts: list[Columns] = []

    def extend(self, steps: Columns) -> None:
        first = -(self._n_steps + 1) % self._level
        if len(columns := self._pooling.extend(steps, range(first, len(steps), self._level))):
            self._parts.append(columns)
        self._n_steps += len(steps)

    def take(self) -> Columns:
        """The first chunk, which is complete."""
        columns, n = joined(self._parts), CHUNK_STEPS // self._level
        self._parts = [columns.within(slice(n, None)).copy()]  # a view would keep the chunk
        return columns.within(slice(n))
