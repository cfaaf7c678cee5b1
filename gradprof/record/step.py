"""A finished step on the host: numpy only, everything published derives from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    spacing: dict[str, int] = field(default_factory=dict)
    """Steps from one observation to the next by group ("param", "output"), where a budget decides."""
    scalars: dict[str, float] = field(default_factory=dict)
    """The caller's own values."""
    shapes: dict[str, list[int]] = field(default_factory=dict)
    """Shapes of the sites first seen in this step, by label."""


class Record(Mapping[str, TensorStats]):
    """One step by site: `record["param/fc.weight"].abs_max`. Sites without a gradient are not in it."""

    def __init__(self, step: int, sites: Sequence[str], rows: np.ndarray) -> None:
        self.step = step
        self._index = {label: i for i, label in enumerate(sites)}
        self._rows = rows

    def __getitem__(self, label: str) -> TensorStats:
        if label not in self._index:
            raise KeyError(f"no site {label!r}; {near_names(label, list(self._index))}")
        row = self._rows[self._index[label]]
        if row["n_obs"] == 0:
            raise KeyError(f"no gradient reached {label!r} in step {self.step}")
        return TensorStats.from_row(row)

    def __contains__(self, label: object) -> bool:
        """Without the error of `[]`, which looks for near names."""
        index = self._index.get(label) if isinstance(label, str) else None
        return index is not None and bool(self._rows["n_obs"][index])

    def get(self, label: str, default: Any = None) -> Any:
        """The figures of a site, or `default` where no gradient reached it."""
        if label not in self:  # asked first: the error of `[]` looks for near names
            return default
        return self[label]

    def __iter__(self) -> Iterator[str]:
        return (label for label, n in zip(self._index, self._rows["n_obs"], strict=True) if n)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._rows["n_obs"]))

    def __repr__(self) -> str:
        return f"<Record of step {self.step}: {len(self)} of {len(self._index)} sites>"
