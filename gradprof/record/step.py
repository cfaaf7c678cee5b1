"""A finished step on the host: numpy only, everything published derives from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .figures import TensorStats
from .sites import near_names


@dataclass
class StepRecord:
    """What the training thread hands to the writer, once the device has delivered it."""

    step: int
    wall_time: float
    """Seconds since the epoch at the step's end."""
    rows: np.ndarray | None = None
    """Structured array `[sites]` of `kernels.row.ROW_DTYPE`; None where the step was not observed."""
    seconds: float = 0.0
    """Spent in the profiler, on the training thread."""
    wait: float = 0.0
    """Of these, waited for a writer that had fallen behind."""
    overhead: float = math.nan
    """Mean time in the profiler per step over the typical step without it, of the steps up to this one."""
    every: dict[str, int] = field(default_factory=dict)
    """Steps from one observation to the next by group ("param", "output"), where a budget decides."""
    scalars: dict[str, float] = field(default_factory=dict)
    """The caller's own values."""
    shapes: dict[str, list[int]] = field(default_factory=dict)
    """Shapes of the sites first seen in this step, by label."""


class Record(Mapping[str, TensorStats]):
    """One step by site: `record["param/fc.weight"].abs_max`. Sites without a gradient are not in it."""

    def __init__(self, step: int, sites: Sequence[str], rows: np.ndarray) -> None:
        self.step = step
        self._sites = list(sites)
        self._rows = rows

    def __getitem__(self, label: str) -> TensorStats:
        if label not in self._sites:
            raise KeyError(f"no site {label!r}; {near_names(label, self._sites)}")
        row = self._rows[self._sites.index(label)]
        if row["n_obs"] == 0:
            raise KeyError(f"no gradient reached {label!r} in step {self.step}")
        return TensorStats.from_row(row)

    def __iter__(self) -> Iterator[str]:
        return (label for label, n in zip(self._sites, self._rows["n_obs"], strict=True) if n)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._rows["n_obs"]))

    def __repr__(self) -> str:
        return f"<Record of step {self.step}: {len(self)} of {len(self._sites)} sites>"
