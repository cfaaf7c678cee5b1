"""Pools observed steps into the columns of chunks, as they come and without keeping their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gradprof.events.tags import CHUNK_STEPS, HIST_LEVEL, LEVELS
from gradprof.record.columns import PLACE_RULES, Columns, Pooling, joined, level_bounds
from gradprof.record.figures import distribution
from gradprof.record.metrics import METRIC_RULES, L2Change
from gradprof.record.observed import Observed
from gradprof.record.totals import sites_by_kind, summed, totals_of

_MOST_PARTS = 32
"""So many totals are held before they are summed up: one by one takes as long as all at once."""


class Chunk(NamedTuple):
    """`CHUNK_STEPS` observed steps, from the step with ordinal `number * CHUNK_STEPS` on.

    Attributes:
        metrics: by columns of the finest of `LEVELS`.
        hist: by columns of `HIST_LEVEL` steps.
        totals: from the run's start to the end of these steps.
    """

    number: int
    metrics: Columns
    hist: Columns
    totals: Columns

    def pooled(self, level: int) -> Columns:
        """The metrics by columns of `level` steps."""
        return self.metrics.pooled(level_bounds(len(self.metrics), level // LEVELS[0]))


class Chunks:
    """Takes the observed steps of a run in order."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._by_kind = sites_by_kind(labels)
        self._l2_change = L2Change(len(labels))
        self._n_steps = 0
        self._metrics, self._hist = _Growing(LEVELS[0]), _Growing(HIST_LEVEL)
        self._totals: list[Columns] = []  # of parts of the run, in order

    def extend(self, observed: Observed) -> Iterator[Chunk]:
        """Add the next steps; each chunk that they complete."""
        self._metrics.extend(self._metrics_of(observed))
        self._hist.extend(distribution(observed.fields, observed.hist))
        start, n_before = 0, self._n_steps
        self._n_steps += len(observed)
        for number in range(n_before // CHUNK_STEPS, self._n_steps // CHUNK_STEPS):
            stop = (number + 1) * CHUNK_STEPS - n_before
            self._add_totals(observed, slice(start, stop))
            self._totals = [summed(self._totals)]
            yield Chunk(number, self._metrics.take(), self._hist.take(), self._totals[0])
            start = stop
        if start < len(observed):
            self._add_totals(observed, slice(start, len(observed)))

    def _add_totals(self, observed: Observed, steps: slice) -> None:
        fields = {name: values[steps] for name, values in observed.fields.items()}
        self._totals.append(totals_of(observed.steps[steps], fields, self._by_kind))
        if len(self._totals) >= _MOST_PARTS:
            self._totals = [summed(self._totals)]

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
