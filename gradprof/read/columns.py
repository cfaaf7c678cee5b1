"""Steps of a run as base columns: the event file's own, the rest from the rows themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gradprof.events.tags import CHUNK_STEPS, HIST_LEVEL
from gradprof.record.columns import PLACE_RULES, Columns, joined, level_bounds
from gradprof.record.figures import DISTRIBUTION_RULES, NO_DISTRIBUTION, distribution
from gradprof.record.metrics import HISTORY, METRIC_RULES, METRICS, L2Change

from .recording import Recording

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

PRESENCE = "non_finite"
"""A metric that every row has: where it is NaN there is no row."""
_STEPS = "steps"
_FEW_BLOCKS = 4
"""So many are kept whole as well: who looks at single steps will look at more of them."""


class Wanted(Protocol):
    """What base columns are to say of their steps, besides which they are."""

    def of_chunks(self, recording: Recording, level: int, chunks: range) -> Iterator[Columns]:
        """The columns of `level` steps of each of these chunks, as the event file has them."""

    def of_steps(self, recording: Recording, start: int, stop: int) -> Columns:
        """A column for each step from ordinal `start` up to `stop`."""


def base_columns(recording: Recording, level: int, start: int, stop: int, of: Wanted) -> Columns:
    """The columns of `level` steps from ordinal `start` up to `stop`, with their places.

    `start` is a multiple of `level`, and so is `stop` if it is not the run's end.
    """
    ready = min(max(recording.pooled_steps(level) if level > 1 else 0, start), stop)
    chunks = list(of.of_chunks(recording, level, recording.chunks_holding(start, ready)))
    tail = of.of_steps(recording, ready, stop).pooled(level_bounds(stop - ready, level))
    skip = start % CHUNK_STEPS // level if chunks else 0
    bounds = start + level_bounds(stop - start, level)
    columns = joined([*chunks, tail]).within(slice(skip, skip + len(bounds) - 1))
    ordinals = {"first_ordinal": bounds[:-1], "last_ordinal": bounds[1:] - 1}
    return Columns({**ordinals, **columns.arrays}, columns.rules)


@dataclass(frozen=True)
class Metrics:
    """Metrics of several sites, float32 `[columns, sites]`, and `n_rows`: how many steps have a row."""

    names: Collection[str]
    sites: Sequence[int]

    def of_chunks(self, recording: Recording, level: int, chunks: range) -> Iterator[Columns]:
        """See `Wanted`."""
        return recording.pooled(level, chunks, self.names, self.sites)

    def of_steps(self, recording: Recording, start: int, stop: int) -> Columns:
        """See `Wanted`."""
        wanted, before = {PRESENCE, *self.names}, start
        if "l2_change" in wanted:
            wanted, before = wanted - {"l2_change"} | {"log10_l2"}, max(0, start - HISTORY)
        steps, of_all = _of_rows(recording, before, stop, wanted)
        values = {name: array[:, self.sites] for name, array in of_all.items()}
        if "l2_change" in self.names:
            values["l2_change"] = L2Change(len(self.sites)).extend(values["log10_l2"])
        n_rows = (~np.isnan(values[PRESENCE])).astype(np.int64)
        arrays: dict[str, np.ndarray] = {"first_step": steps, "last_step": steps, "n_rows": n_rows}
        arrays |= {name: values[name] for name in self.names}
        return Columns(arrays, PLACE_RULES | METRIC_RULES).within(slice(start - before, None))


@dataclass(frozen=True)
class Distribution:
    """The `record.figures.distribution` of one site."""

    site: int

    def of_chunks(self, recording: Recording, level: int, chunks: range) -> Iterator[Columns]:
        """See `Wanted`; there are none but of `HIST_LEVEL`."""
        assert level == HIST_LEVEL or not chunks
        steps = recording.pooled(level, chunks, (), ())
        for placed, hist in zip(steps, recording.pooled_hist(chunks, self.site), strict=True):
            yield _placed(placed, hist)

    def of_steps(self, recording: Recording, start: int, stop: int) -> Columns:
        """See `Wanted`."""
        blocks = recording.blocks.holding(start, stop)
        parts = [_placed(_NO_PLACES, NO_DISTRIBUTION)]
        for rows, hist in zip(recording.rows(blocks), recording.hist(blocks, self.site), strict=True):
            fields = recording.fields(rows, _DISTRIBUTION_FIELDS)[:, self.site]
            steps = Columns({"first_step": rows.steps, "last_step": rows.steps}, PLACE_RULES)
            parts.append(_placed(steps, distribution(fields, hist)))
        return joined(parts).within(recording.blocks.within(start, stop))


_DISTRIBUTION_FIELDS = tuple(name for name in DISTRIBUTION_RULES if name != "hist")
_NO_STEPS = np.empty(0, dtype=np.int64)
_NO_PLACES = Columns({"first_step": _NO_STEPS, "last_step": _NO_STEPS}, PLACE_RULES)


def _placed(steps: Columns, columns: Columns) -> Columns:
    """Columns with the steps where they stand."""
    places = {name: steps[name] for name in ("first_step", "last_step")}
    return Columns(places | dict(columns.arrays), PLACE_RULES | dict(columns.rules))


def _of_rows(
    recording: Recording, start: int, stop: int, metrics: Collection[str]
) -> tuple[Int64Array, dict[str, Float32Array]]:
    """Step numbers `[steps]` and metrics of all sites `[steps, sites]`; what was computed is remembered."""
    blocks = recording.blocks.holding(start, stop)
    parts = {i: recording.remembered(i, (_STEPS, *metrics)) for i in blocks}
    unknown = [i for i, part in parts.items() if not part]
    few = len(unknown) <= _FEW_BLOCKS
    for i, rows in zip(unknown, recording.rows(unknown, keep=few), strict=True):
        fields = recording.fields(rows, _fields_of(metrics))
        parts[i] = {_STEPS: rows.steps, **{name: METRICS[name].of(fields) for name in metrics}}
        recording.remember(i, parts[i])
    within = recording.blocks.within(start, stop)
    none = np.empty((0, recording.n_sites), dtype=np.float32)
    steps = np.concatenate([_NO_STEPS, *(part[_STEPS] for part in parts.values())])
    return steps[within], {
        name: np.concatenate([none, *(part[name] for part in parts.values())])[within] for name in metrics
    }


def _fields_of(metrics: Collection[str]) -> set[str]:
    """The fields that these metrics are made of: what they ask of a row that notes what it is asked."""
    row = _Noting()
    for name in metrics:
        METRICS[name].of(row)
    return set(row)


class _Noting(dict[str, np.ndarray]):
    def __missing__(self, field: str) -> np.ndarray:
        self[field] = np.empty(0)
        return self[field]
