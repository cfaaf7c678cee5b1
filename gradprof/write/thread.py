"""The writer thread: takes finished steps in order through its stages, the last of which writes the run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from gradprof.record.step import StepRecord

from .run_writer import RunWriter
from .stage import Stage


class Arriving(Protocol):
    """A finished step; its numbers may still be on their way to the host.

    One of the two is called, once: a place that is let go twice may be another step's by then.
    """

    def arrive(self) -> StepRecord:
        """Wait for the numbers; where they came to is let go, whether or not they came."""

    def release(self) -> None:
        """Let go of it: they are not needed."""


class WriterThread:
    """Hands every step from stage to stage. No failure ever reaches training.

    Args:
        run_writer: the last stage.
        before: the others, in order.

    Attributes:
        error: what ended the writing: a failure of the last stage.
        dropped: other stages that failed, by name, with their errors; the rest went on without them.
    """

    def __init__(self, run_writer: RunWriter, before: Sequence[Stage] = ()) -> None:
        self.error: Exception | None = None
        self.dropped: list[tuple[str, Exception]] = []
        self._before = list(before)
        self._run_writer = run_writer
        self._discarded = False
        self._queue: queue.SimpleQueue[Arriving | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="gradprof-writer", daemon=True)
        try:
            self._thread.start()
        except BaseException:  # the system has no thread left, or an interruption
            run_writer.discard()
            raise

    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, step: Arriving) -> None:
        """Hand over one step; never waits."""
        self._queue.put(step)

    def close(self) -> None:
        """Write everything submitted, close the file, and wait for both."""
        self._queue.put(None)
        self._thread.join()

    def discard(self) -> None:
        """End without a run: its file is taken away."""
        self._discarded = True
        self.close()

    def _work(self) -> None:
        pending = False  # whether something is not flushed yet
        while True:
            try:
                timeout = self._run_writer.seconds_to_flush() if pending else None
                step = self._queue.get(timeout=timeout)
            except queue.Empty:
                self._attempt(self._flush)
                pending = False
                continue
            if step is None:
                self._attempt(self._discard if self._discarded else self._close)
                return
            if self.error is None:
                self._attempt(partial(self._write, step))
            else:
                step.release()
            pending = True

    def _write(self, step: Arriving) -> None:
        record: StepRecord | None = step.arrive()
        for stage in list(self._before):
            if record is not None:
                record = self._on(stage, partial(stage.take, record), otherwise=record)
        if record is not None:
            self._run_writer.take(record)
        if self._run_writer.seconds_to_flush() == 0:
            self._flush()

    def _flush(self) -> None:
        for stage in list(self._before):
            self._on(stage, stage.flush)
        self._run_writer.flush()

    def _close(self) -> None:
        for stage in list(self._before):
            self._on(stage, stage.close)
        self._run_writer.close()

    def _discard(self) -> None:
        for stage in self._before:
            _let_go(stage)
        self._run_writer.discard()

    def _on(
        self, stage: Stage, act: Callable[[], StepRecord | None], otherwise: StepRecord | None = None
    ) -> StepRecord | None:
        """What a stage before the last one does; if it fails it is dropped."""
        try:
            return act()
        except Exception as error:  # whatever it is, the run is to be written
            self._before.remove(stage)
            self.dropped.append((type(stage).__name__, error))
            _let_go(stage)
            return otherwise

    def _attempt(self, act: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            act()
        except Exception as error:  # a full disk, a lost mount: training goes on without the run
            self.error = error
            for stage in (*self._before, self._run_writer):
                _let_go(stage)


def _let_go(stage: Stage) -> None:
    with suppress(Exception):  # what has failed, as a file on a lost mount, may fail again as it is closed
        stage.abandon()
