"""The life of a step: what opens it, what ends it, and to which step a logged value belongs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from gradprof.write.thread import WriterThread

from .cadence import Cadence
from .grad_scaler import ScalerWatch
from .notices import Notices
from .ring import HostScalar, Ring
from .step import Step
from .table import Tables
from .tensor_hooks import TensorHooks


class Steps:
    """All steps of a training, one after the other.

    A step is opened by the first forward pass or gradient after the one before has ended, and ended by
    `end`: by the optimizer, by the caller, or, where a GradScaler skipped the optimizer's step, by the next
    sign of life. What the caller logs between an end and the next opening belongs to the step just ended, so
    that one is handed on only then.

    Args:
        tables: the rows of the step in progress; an end sends them to the host and clears them.
        ring: where on the host.
        cadence: says what is due in each step, and is told what it took.
        writer: takes each step that has ended, and frees its place in the ring.
        logdir: where it writes, for people.
        scaler: tells of skipped steps.
        tensor_hooks: those on leaf tensors go at the end of a step.
        notices: what could not be recorded.

    Attributes:
        current: the step in progress, or the one that the next sign of life opens.
        begun: whether a further sign of life has nothing to tell.
        last: the latest step that ended with its rows on their way.
    """

    def __init__(
        self,
        tables: Tables,
        ring: Ring,
        cadence: Cadence,
        writer: WriterThread,
        logdir: Path,
        scaler: ScalerWatch | None,
        tensor_hooks: TensorHooks,
        notices: Notices,
    ) -> None:
        self._tables = tables
        self._ring = ring
        self._cadence = cadence
        self._writer = writer
        self._logdir = logdir
        self._scaler = scaler
        self._tensor_hooks = tensor_hooks
        self._notices = notices
        self._open = False
        self._any_end = False
        self._closed = False
        self._ended: Step | None = None
        """The step before the current one, until it is handed on."""
        self._ended_at = time.perf_counter()
        self.begun = False
        self.last: Step | None = None
        self.current = Step(0, cadence.due(0))

    def begin(self) -> None:
        """A sign of life: the first opens the step."""
        self.end_skipped()
        if self._open or self._closed:
            return
        self._open = True
        self._submit()
        if self._scaler is None:
            self.begun = True
        else:  # each further sign may be the first after a skipped step
            self._scaler.begin_step()

    def log(self, values: Mapping[str, float | HostScalar]) -> None:
        """Put the caller's own values onto the step that they belong to."""
        step = self.current if self._open or self._ended is None else self._ended
        step.scalars.update(values)
        if self._cadence.logged(self.current.number, values):
            self.current.due = self._due(self.current.number)
            self._notices.say()

    def end_skipped(self) -> None:
        """End the step if a GradScaler has ended it without its optimizer's step."""
        if self._open and self._scaler is not None and self._scaler.updated():
            self._end()

    def end(self) -> None:
        """End the step: start copying its rows, and prepare the next one."""
        self._end()
        self._notices.say()

    def close(self) -> None:
        """Hand on what there is: a step whose backward pass was completed counts as ended."""
        self.end_skipped()
        if self._open and self.current.had_backward:
            if not self._any_end:
                self._notices.add(
                    "gradprof saw no end of a step, so everything was recorded as one: pass optimizer= to "
                    "watch(), or call prof.step() after each step"
                )
            self._end()
        self._submit()
        if self.current.scalars:  # of a step that never ended
            self.current.wall_time = time.time()
            self._writer.submit(self.current)
        self._closed = self.begun = True
        self.current = Step(self.current.number, frozenset())

    def _end(self) -> None:
        start = time.perf_counter()
        self._any_end = True
        self._submit()
        step = self.current
        step.wall_time = time.time()
        step.touched.clear()  # what a backward pass that raised may have left
        self._tensor_hooks.end_step()
        if step.due:
            self._send_rows(step)
        now = time.perf_counter()
        step.ending, step.duration = now - start, now - self._ended_at
        self._ended_at = now
        self._cadence.learn(step)
        step.overhead, step.spacing = self._cadence.overhead, self._cadence.spacing
        self._ended = step
        self._open = self.begun = False
        self.current = Step(step.number + 1, self._due(step.number + 1))
        self.report_writer()

    def report_writer(self) -> None:
        """Notice that the writer, or a stage before it, has failed."""
        for stage, failure in self._writer.dropped:
            message = f"gradprof goes on without its {stage}: {type(failure).__name__}: {failure}"
            self._notices.add(message, failure, key=stage)
        if (error := self._writer.error) is not None:
            self._notices.add(
                f"gradprof stopped writing {str(self._logdir)!r}: {type(error).__name__}: {error}. "
                "What was flushed before stays readable, and training goes on",
                error,
                key="the writer failed",
            )

    def _due(self, number: int) -> frozenset[str]:
        try:
            return self._cadence.due(number)
        except Exception as error:  # in the caller's own function of `every`: the optimizer's step goes on
            self._notices.add(
                f"gradprof does not observe step {number}, for which the function given as every= failed: "
                f"{type(error).__name__}: {error}. Training goes on; strict=True raises instead",
                error,
                key="every failed",
            )
            return frozenset()

    def _send_rows(self, step: Step) -> None:
        slot, step.wait = self._ring.acquire(self._writer.alive)
        try:
            slot.fill(self._tables)
            step.slot = slot
            self.last = step
        except Exception as error:  # such as no host memory left to pin: the optimizer's step goes on
            self._ring.give_back(slot)
            self._notices.add(
                f"gradprof could not record step {step.number}: {type(error).__name__}: {error}. "
                "Training goes on; strict=True raises instead",
                error,
                key="a step was lost",
            )
        self._tables.clear()

    def _submit(self) -> None:
        """Hand on the step that has ended; until now the caller could still log values for it."""
        if self._ended is not None:
            self._writer.submit(self._ended)
            self._ended = None
