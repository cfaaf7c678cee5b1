"""What a writer takes from Python code beside it: a loop that does nothing but turn, with and without it.

A thread that holds the interpreter lock stops all others. So the loop stands for a training whose every
moment needs the interpreter, which none does: what it loses is the most that any can lose.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from gradprof.record.step import StepRecord
from gradprof.write.run_writer import RunWriter


class SpinLoop:
    """A call turns for so long, and gives the seconds of one turn.

    Args:
        beside: what runs meanwhile.
    """

    def __init__(
        self, seconds: float, beside: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self.waits: list[float] = []
        """Wall time over the loop's own CPU time, for each call: 1 if it never waited. This holds also where
        other programs change the speed of the processor; it says nothing of a core that both share."""
        self._seconds = seconds
        self._beside = beside

    def __call__(self) -> float:
        with self._beside():
            turns, start, cpu = 0, time.perf_counter(), time.thread_time()
            end = start + self._seconds
            while time.perf_counter() < end:
                turns += 1
            wall = time.perf_counter() - start
            self.waits.append(wall / (time.thread_time() - cpu))
        return wall / turns


@contextmanager
def paced_writer(
    writer: Callable[[Path], RunWriter], record: Callable[[int], StepRecord], steps_per_second: float
) -> Iterator[None]:
    """A thread that writes the steps of a new run at a training's pace.

    Args:
        writer: makes what writes into a directory.
        record: the step of a number.
    """
    with tempfile.TemporaryDirectory(prefix="gradprof-bench-") as directory:
        run_writer = writer(Path(directory) / "run")
        try:
            with _paced(run_writer, record, 1 / steps_per_second):
                yield
        finally:
            run_writer.close()


@contextmanager
def _paced(writer: RunWriter, record: Callable[[int], StepRecord], period: float) -> Iterator[None]:
    """Write a step every `period` seconds and flush when that is due, as the profiler's thread does."""
    done, failures = threading.Event(), list[Exception]()

    def write() -> None:
        step, start = 0, time.perf_counter()
        try:
            while not done.wait(max(0.0, start + period * (step + 1) - time.perf_counter())):
                writer.write(record(step))
                if writer.seconds_to_flush() == 0:
                    writer.flush()
                step += 1
        except Exception as error:  # of the disk: raised where it can be seen, at the end
            failures.append(error)

    thread = threading.Thread(target=write, name="gradprof-bench-writer")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]
