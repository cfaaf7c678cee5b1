"""Observed steps on their way into a block, their rows taken apart as encoding and statistics want them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradprof.kernels.row import FIELDS_DTYPE, NARROW, ROW_DTYPE, WORD

from .metrics import METRICS, Float32Array
from .sites import GROUPS
from .step import StepRecord

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_FIELDS = FIELDS_DTYPE.names or ()
_MEASURED = tuple(name for name in METRICS if name != "l2_change")


@dataclass
class Observed:
    """Consecutive observed steps.

    Attributes:
        steps: int64 `[steps]`.
        wall_times, seconds, waits, overheads: as in `StepRecord`, float64 `[steps]`.
        cadences: steps from one observation to the next by group, float64 `[steps]`, NaN without a budget.
        fields: every field of the rows but the histogram, `[steps, sites]`, by name.
        hist: counts, `[steps, sites, 128]`: int32 where no gradient has `NARROW` elements, else int64.
        metrics: those of `METRICS` that need no history, float32 `[steps, sites]`, by name.
    """

    steps: Int64Array
    wall_times: FloatArray
    seconds: FloatArray
    waits: FloatArray
    overheads: FloatArray
    cadences: Mapping[str, FloatArray]
    fields: Mapping[str, np.ndarray]
    hist: np.ndarray
    metrics: Mapping[str, Float32Array]

    def __len__(self) -> int:
        return len(self.steps)


class ObservedBuffer:
    """Collects up to `capacity` steps, in memory that is used again.

    Each field lies on its own, so that a pass over it reads nothing else.
    """

    def __init__(self, capacity: int, n_sites: int) -> None:
        self._steps: list[int] = []
        self._costs: list[tuple[float, ...]] = []
        self._fields = np.empty((len(_FIELDS), capacity, n_sites), dtype=np.int64)
        self._hist = np.empty((capacity, n_sites, *ROW_DTYPE["hist"].shape), dtype=np.int32)

    def add(self, record: StepRecord) -> None:
        """Take the rows of a record apart; it may be changed afterwards."""
        assert record.rows is not None
        at = len(self._steps)
        if self._hist.dtype == np.int32 and record.rows["numel"].max(initial=0) >= NARROW:
            self._hist = self._hist.astype(np.int64)
        self._hist[at] = record.rows["hist"]
        words = np.ascontiguousarray(record.rows).view(np.int64).reshape(len(record.rows), -1)
        self._fields[:, at] = words[:, : WORD["hist"]].T
        self._steps.append(record.step)
        cadences = (record.spacing.get(group, math.nan) for group in GROUPS)
        self._costs.append((record.wall_time, record.seconds, record.wait, record.overhead, *cadences))

    def take(self) -> Observed:
        """The steps collected, valid until the next is added; the buffer is empty afterwards."""
        steps, self._steps = self._steps, []
        costs, self._costs = self._costs, []
        n = len(steps)
        fields = {name: self._fields[WORD[name], :n].view(FIELDS_DTYPE[name]) for name in _FIELDS}
        by_name = np.array(costs, dtype=np.float64).reshape(n, 4 + len(GROUPS)).T
        wall_times, seconds, waits, overheads, *cadences = by_name
        return Observed(
            steps=np.array(steps, dtype=np.int64),
            wall_times=wall_times,
            seconds=seconds,
            waits=waits,
            overheads=overheads,
            cadences=dict(zip(GROUPS, cadences, strict=True)),
            fields=fields,
            hist=self._hist[:n],
            metrics={name: METRICS[name].of(fields) for name in _MEASURED},
        )
