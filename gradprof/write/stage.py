"""What a step goes through on the writer's thread before, and until, it is in the run's file."""

from __future__ import annotations

from typing import Protocol

from gradprof.record.step import StepRecord


class Stage(Protocol):
    """Takes the records of a run in order, on one thread.

    What a method raises ends this stage alone; of the last, the run's writer, it ends the writing.
    """

    def take(self, record: StepRecord) -> StepRecord | None:
        """The record as the next stage is to have it, None if there is none for it."""

    def flush(self) -> None:
        """Put in safety what was taken so far."""

    def close(self) -> None:
        """There will be no more records."""

    def abandon(self) -> None:
        """Let go of everything, after a failure."""
