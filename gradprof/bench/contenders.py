"""The contenders of the step benchmark: twins, each with its own watcher or with none."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import gradprof

from .resources import OthersTime, PeakMemory, ThreadTime
from .twin import Twin

Watch = Callable[..., "gradprof.Profiler"]


class Watcher:
    """Something that looks at the gradients of every step."""

    def attach(self, twin: Twin, directory: Path) -> None:
        """Begin to watch, writing into `directory`; ImportError where a package is missing."""
        raise NotImplementedError

    def after_backward(self) -> None:
        """Called in every step between the backward pass and the optimizer, and timed with it."""

    def detach(self) -> None:
        """End: everything is written."""


class Contender:
    """A twin that is timed step by step.

    Args:
        watcher: None for the bare twin.
        directory: the watcher's own, made here.
    """

    def __init__(
        self, name: str, twin: Twin, watcher: Watcher | None, directory: Path, device: torch.device
    ) -> None:
        self.name = name
        self.twin = twin
        self.watcher = watcher
        self.directory = directory
        self.peaks: list[float] = []
        """Bytes above what was held before the step, for each `step_for_memory`."""
        self.writer_seconds: float | None = None
        """CPU time of the watcher's own threads, a step on average, closing included; once finished."""
        self.bytes_written = 0.0
        """On disk, a step on average; once finished."""
        self._after_backward = None if watcher is None else watcher.after_backward
        self._memory = PeakMemory(device)
        self._threads = ThreadTime(())
        self._bytes_before = 0

    @property
    def replaceable(self) -> bool:
        """Whether the benchmark means something without it."""
        return not (self.watcher is None or isinstance(self.watcher, Gradprof))

    def start(self) -> None:
        self.directory.mkdir()
        if self.watcher is None:
            return
        before = set(threading.enumerate())
        self.watcher.attach(self.twin, self.directory)
        new = [thread for thread in threading.enumerate() if thread not in before]
        self._threads = ThreadTime(thread for thread in new if not isinstance(thread, threading.Timer))
        self._bytes_before = _size(self.directory)

    def __call__(self) -> float:
        """Train one step; the seconds until the device has finished it."""
        self.twin.prepare()
        start = time.perf_counter()
        self.twin.step(self._after_backward)
        taken = time.perf_counter() - start
        self._threads.settle()  # or they would work beside the next contender
        return taken

    def step_for_memory(self) -> None:
        """Train one step that is not timed, and keep its peak."""
        self.twin.prepare()
        self._memory.reset()
        self.twin.step(self._after_backward)
        if (peak := self._memory.read()) is not None:
            self.peaks.append(peak)
        self._threads.settle()

    def finish(self) -> None:
        if self.watcher is None:
            return
        working = self._threads.seconds()
        with OthersTime() as closing:
            self.watcher.detach()
        n_steps = max(1, self.twin.age)
        if working is not None:
            self.writer_seconds = (working + closing.seconds) / n_steps
        self.bytes_written = max(0, _size(self.directory) - self._bytes_before) / n_steps


class Gradprof(Watcher):
    """`gradprof.watch` at every iteration.

    Args:
        observe: the kinds; with none of them it watches parameters and outputs, but skips every step.
        budget: as of `gradprof.watch`.
    """

    def __init__(
        self, watch: Watch, observe: tuple[str, ...], backend: str = "auto", budget: float | None = None
    ) -> None:
        self.observe = observe
        self.every_step = bool(observe) and budget is None
        self.overhead = math.nan
        """By its own measure, at the end."""
        self._options = {"backend": backend, "budget": budget}
        self.table_seconds: list[float] = []
        """From the optimizer's last work to the end of gradprof's: the table's copy begun, and cleared."""
        self._watch = watch
        self._profiler: gradprof.Profiler | None = None
        self._handles: list[Any] = []
        self._optimizer_ended = 0.0

    def attach(self, twin: Twin, directory: Path) -> None:
        # Hooks run in the order in which they were registered, so these two enclose gradprof's.
        self._handles = [twin.optimizer.register_step_post_hook(self._begin)]
        self._profiler = self._watch(
            twin.model,
            directory / "run",
            optimizer=twin.optimizer,
            observe=self.observe or ("param", "output"),
            every=1 if self.observe else _never,
            **self._options,
        )
        self._handles.append(twin.optimizer.register_step_post_hook(self._end))

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        if self._profiler is not None:
            self.overhead = self._profiler.overhead
            self._profiler.close()

    def _begin(self, *_: object) -> None:
        self._optimizer_ended = time.perf_counter()

    def _end(self, *_: object) -> None:
        self.table_seconds.append(time.perf_counter() - self._optimizer_ended)


@contextmanager
def started(contenders: dict[str, Contender], notes: list[str]) -> Iterator[None]:
    """Within this, all watch; an alternative that cannot is taken out of `contenders`."""
    running: list[Contender] = []
    try:
        for name, contender in list(contenders.items()):
            if done(contender, contender.start, notes):
                running.append(contender)
            else:
                del contenders[name]
        yield
    finally:
        for contender in running:
            done(contender, contender.finish, notes, "could not be closed")


def done(
    contender: Contender, act: Callable[[], object], notes: list[str], otherwise: str = "was left out"
) -> bool:
    """Whether `act` went well; a note if it did not, but only of an alternative."""
    try:
        act()
    except Exception as error:  # a package that is missing, or whatever an alternative meets in this model
        if not contender.replaceable:
            raise
        notes.append(f"{contender.name} {otherwise}: {_reason(error)}.")
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed"
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}"


def _never(_step: int) -> bool:
    return False


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
