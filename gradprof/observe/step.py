"""A step as the training thread leaves it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gradprof.record.step import StepRecord

from .ring import HostScalar, Slot


@dataclass
class FinishedStep:
    """A step as the training thread leaves it; its numbers may still be on their way to the host."""

    step: int
    wall_time: float
    slot: Slot | None
    seconds: float = 0.0
    wait: float = 0.0
    overhead: float = math.nan
    every: Mapping[str, int] = field(default_factory=dict)
    scalars: dict[str, float | HostScalar] = field(default_factory=dict)
    shapes: Mapping[str, list[int]] = field(default_factory=dict)

    def arrive(self) -> StepRecord:
        """Wait for the numbers, and free the slot."""
        rows = None if self.slot is None else self.slot.rows()
        self.free_slot()
        return StepRecord(
            step=self.step,
            wall_time=self.wall_time,
            rows=rows,
            seconds=self.seconds,
            wait=self.wait,
            overhead=self.overhead,
            every=dict(self.every),
            scalars={name: float(value) for name, value in self.scalars.items()},
            shapes=dict(self.shapes),
        )

    def free_slot(self) -> None:
        """Let the training thread use the slot again."""
        if self.slot is not None:
            self.slot.free.set()
