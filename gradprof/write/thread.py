"""The writer thread: takes finished steps in order, derives everything from them, and writes the run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from gradprof.record.step import StepRecord

from .run_writer import RunWriter


class Arriving(Protocol):
    """A finished step; its numbers may still be on their way to the host."""

    def arrive(self) -> StepRecord:
        """Wait for the numbers."""

    def release(self) -> None:
        """They are not needed any more."""


class WriterThread:
    """Owns a `RunWriter`. A failure ends the writing, is kept in `error`, and never reaches training."""

    def __init__(self, run_writer: RunWriter) -> None:
        self.error: Exception | None = None
        self._run_writer = run_writer
        self._discarded = False
        self._queue: queue.SimpleQueue[Arriving | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="gradprof-writer", daemon=True)
        self._thread.start()

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
                self._attempt(self._run_writer.flush)
                pending = False
                continue
            if step is None:
                self._attempt(self._run_writer.discard if self._discarded else self._run_writer.close)
                return
            if self.error is None:
                self._attempt(partial(self._write, step))
            step.release()
            pending = True

    def _write(self, step: Arriving) -> None:
        self._run_writer.write(step.arrive())
        if self._run_writer.seconds_to_flush() == 0:
            self._run_writer.flush()

    def _attempt(self, act: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            act()
        except Exception as error:  # a full disk, a lost mount: training goes on without the run
            self.error = error
            self._run_writer.abandon()
