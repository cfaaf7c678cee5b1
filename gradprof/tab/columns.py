"""Metrics of a run as base columns: the event file's own, the rest from the rows themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradprof.events.pooled import EncodedPooled
from gradprof.events.tags import CHUNK_STEPS
from gradprof.record.metrics import HISTORY, METRICS, L2Change, pool

from .places import Places, level_bounds
from .recording import Recording

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

PRESENCE = "non_finite"
"""A metric that every row has: where it is NaN there is no row."""
_STEPS = "steps"
_FEW_BLOCKS = 4
"""So many are kept whole as well: who looks at single steps will look at more of them."""


@dataclass(frozen=True)
class Columns:
    """Metrics of several sites in consecutive columns.

    Attributes:
        places: where the columns stand.
        n_rows: how many steps of each have a row, `[columns, sites]`.
        metrics: pooled values by name, float32 `[columns, sites]`, NaN where there is none.
    """

    places: Places
    n_rows: Int64Array
    metrics: dict[str, Float32Array]

    def pooled(self, bounds: Int64Array) -> Columns:
        """Columns `bounds[c]` up to `bounds[c + 1]` as one, for each c."""
        if len(bounds) == len(self.places) + 1:
            return self
        return Columns(
            places=self.places.pooled(bounds),
            n_rows=np.add.reduceat(self.n_rows, bounds[:-1], axis=0),
            metrics={name: pool(values, METRICS[name].pool, bounds) for name, values in self.metrics.items()},
        )

    def followed_by(self, other: Columns) -> Columns:
        """These columns and those that begin where these end."""
        return Columns(
            places=self.places.followed_by(other.places),
            n_rows=np.concatenate((self.n_rows, other.n_rows)),
            metrics={
                name: np.concatenate((values, other.metrics[name])) for name, values in self.metrics.items()
            },
        )


def base_columns(
    recording: Recording, level: int, start: int, stop: int, metrics: Collection[str], sites: Sequence[int]
) -> Columns:
    """The columns of `level` steps from ordinal `start` up to `stop`, of chosen sites.

    `start` is a multiple of `level`, and so is `stop` if it is not the run's end.
    """
    if level == 1:
        return step_columns(recording, start, stop, metrics, sites)
    ready = min(max(recording.pooled_steps(level), start), stop)
    head = _ready_columns(recording, level, start, ready, metrics, sites)
    tail = step_columns(recording, ready, stop, metrics, sites)
    return head.followed_by(tail.pooled(level_bounds(stop - ready, level)))


def step_columns(
    recording: Recording, start: int, stop: int, metrics: Collection[str], sites: Sequence[int]
) -> Columns:
    """A column for each step from ordinal `start` up to `stop`."""
    wanted, before = {PRESENCE, *metrics}, start
    if "l2_change" in metrics:
        wanted, before = wanted - {"l2_change"} | {"log10_l2"}, max(0, start - HISTORY)
    steps, values = _of_rows(recording, before, stop, wanted)
    values = {name: of_all[:, sites] for name, of_all in values.items()}
    if "l2_change" in metrics:
        values["l2_change"] = L2Change(len(sites)).extend(values["log10_l2"])
    asked = slice(start - before, None)
    return Columns(
        places=Places(np.arange(start, stop + 1), steps[asked], steps[asked]),
        n_rows=(~np.isnan(values[PRESENCE][asked])).astype(np.int64),
        metrics={name: values[name][asked] for name in metrics},
    )


def ready_places(parts: Sequence[EncodedPooled], level: int, start: int, stop: int) -> tuple[Places, slice]:
    """Where columns that the event file holds stand, and which they are of those of the chunks `parts`."""
    skip = start % CHUNK_STEPS // level
    within = slice(skip, skip + (stop - start) // level)
    no_steps = np.empty(0, dtype=np.int64)
    places = Places(
        np.arange(start, stop + 1, level),
        np.concatenate([no_steps, *(part.first_steps for part in parts)])[within],
        np.concatenate([no_steps, *(part.last_steps for part in parts)])[within],
    )
    return places, within


def _ready_columns(
    recording: Recording, level: int, start: int, stop: int, metrics: Collection[str], sites: Sequence[int]
) -> Columns:
    """Columns that the event file holds."""
    parts = list(recording.pooled(level, recording.chunks_holding(start, stop)))
    places, within = ready_places(parts, level, start, stop)
    integers = np.empty((0, len(sites)), dtype=np.int64)
    floats = integers.astype(np.float32)
    return Columns(
        places=places,
        n_rows=np.concatenate([integers, *(part.n_rows()[:, sites] for part in parts)])[within],
        metrics={
            name: np.concatenate([floats, *(part.metric(name)[:, sites] for part in parts)])[within]
            for name in metrics
        },
    )


def _of_rows(
    recording: Recording, start: int, stop: int, metrics: Collection[str]
) -> tuple[Int64Array, dict[str, Float32Array]]:
    """Step numbers `[steps]` and metrics of all sites `[steps, sites]`; what was computed is remembered."""
    blocks = recording.blocks.holding(start, stop)
    parts = {i: recording.remembered(i, (_STEPS, *metrics)) for i in blocks}
    unknown = [i for i, part in parts.items() if not part]
    few = len(unknown) <= _FEW_BLOCKS
    for i, rows in zip(unknown, recording.rows(unknown, keep=few), strict=True):
        fields = rows.fields(_fields_of(metrics))
        parts[i] = {_STEPS: rows.steps, **{name: METRICS[name].of(fields) for name in metrics}}
        recording.remember(i, parts[i])
    within = recording.blocks.within(start, stop)
    none = np.empty((0, recording.n_sites), dtype=np.float32)
    steps = np.concatenate([np.empty(0, dtype=np.int64), *(part[_STEPS] for part in parts.values())])
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
