"""A step while it happens, and until its numbers are on the host."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from gradprof.record.step import StepRecord

from .ring import HostScalar, Slot


class Step:
    """One step of a training. The training thread fills it, the writer's thread takes what arrives.

    Attributes:
        number: from 0.
        due: the groups of sites that are observed in it.
        passes: the backward pass in progress by device, by its id, if its end will be heard of.
        touched: parameters whose gradients changed in a backward pass that has not ended, by device and site.
        shapes: of sites first seen in it, by label.
        scalars: what the caller logged.
        had_backward: whether a backward pass was completed in it.
        wall_time: seconds since the epoch at its end.
        duration: seconds from the end of the step before to its own.
        ending: seconds that its end took here.
        wait: of these, waited for a writer that had fallen behind.
        overhead, spacing: of the cadence at its end, see `StepRecord`.
        slot: where its rows are, or on their way to; None where none are.
    """

    __slots__ = (
        "_seconds",
        "due",
        "duration",
        "ending",
        "had_backward",
        "number",
        "overhead",
        "passes",
        "scalars",
        "shapes",
        "slot",
        "spacing",
        "touched",
        "wait",
        "wall_time",
    )

    def __init__(self, number: int, due: frozenset[str]) -> None:
        self.number = number
        self.due = due
        self.passes: dict[torch.device, int] = {}
        self.touched: dict[torch.device, dict[int, torch.Tensor]] = {}
        self.shapes: dict[str, list[int]] = {}
        self.scalars: dict[str, float | HostScalar] = {}
        self.had_backward = False
        self.wall_time = math.nan
        self.duration = self.ending = self.wait = 0.0
        self.overhead = math.nan
        self.spacing: Mapping[str, int] = {}
        self.slot: Slot | None = None
        self._seconds: dict[tuple[str, torch.device | None], float] = {}

    def spent(self, seconds: float, group: str, device: torch.device | None = None) -> None:
        """Add time spent on a group of sites.

        Each device's gradients come on a thread of its own, hence a sum for each; None: the forward pass.
        """
        key = group, device
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def seconds_of(self, group: str) -> float:
        """Spent on a group of sites, on all threads together."""
        return sum(seconds for (of, _), seconds in self._seconds.items() if of == group)

    @property
    def seconds(self) -> float:
        """Spent in all."""
        return sum(self._seconds.values()) + self.ending

    def arrive(self) -> StepRecord:
        """Wait for the numbers, and let the training thread use their place again, in any case."""
        try:
            rows = None if self.slot is None else self.slot.rows()
        finally:
            self.release()
        return StepRecord(
            step=self.number,
            wall_time=self.wall_time,
            rows=rows,
            seconds=self.seconds,
            wait=self.wait,
            overhead=self.overhead,
            spacing=dict(self.spacing),
            scalars={name: float(value) for name, value in self.scalars.items()},
            shapes=dict(self.shapes),
        )

    def release(self) -> None:
        """Let the training thread use the place of its rows again."""
        if self.slot is not None:
            self.slot.free.set()
