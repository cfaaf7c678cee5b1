"""`gradprof.watch`: a training, watched. Ties hooks, reductions, tables, steps and the writer together."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

from gradprof.kernels.reducer import make_reducer
from gradprof.record.step import Record
from gradprof.write.run_writer import start_run
from gradprof.write.thread import WriterThread

from .arguments import (
    Options,
    Schedule,
    as_directory,
    as_scalar,
    check_model,
    checked_options,
    describe_devices,
    new_run_directory,
)
from .cadence import Cadence
from .grad_scaler import ScalerWatch
from .hooks import watch_model, watch_optimizer
from .lifecycle import Steps
from .notices import Notices, warn
from .observer import Observer
from .private import missing_names
from .ring import Ring
from .table import Tables
from .targets import find_targets, hook_targets, observable_groups, shapes_of
from .tensor_hooks import TensorHooks

RING_SLOTS = 4


def watch(
    model: nn.Module,
    logdir: str | os.PathLike[str] | None = None,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    observe: str | Iterable[str] = ("param", "output"),
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
    every: Schedule = 1,
    threshold: float = 1.0,
    backend: str = "auto",
    budget: float | None = None,
    grad_scaler: torch.amp.GradScaler | None = None,
    locate: bool = False,
    strict: bool = False,
) -> Profiler:
    """Watch `model` train: reduce every gradient where it lies, and write a run for TensorBoard.

    Args:
        model: any module; its parameters, optimizer state and random numbers stay exactly what they
            would be without a watch.
        logdir: directory of the run, `runs/<date-time>_<host>` unless given.
        optimizer: its `step` ends a step. Without it, call `prof.step()`.
        observe: any of "param" (`p.grad` as the last backward before the step left it: accumulated,
            before clipping), "output" (gradients w.r.t. what leaf modules return, merged over the step)
            and "input" (w.r.t. what they are given).
        include, exclude: shell-style patterns on site labels (`param/*`) or names (`layer4.*.weight`).
        every: observe every n-th step, or the steps for which a function of the step's number is true.
        threshold: count magnitudes >= threshold.
        budget: share of step time that gradprof may take, such as 0.02. Of the steps that `every` allows it
            then observes as many as fit, parameters and outputs apart, but no fewer than one in 100, and
            all of them for a while after a value given to `prof.log` turns out not finite.
        backend: "triton" (fused kernels on a CUDA device, one launch for all parameters), "numba" (compiled
            loops on the CPU, where numba is installed), "torch" (any device, slower), or "auto": the
            fastest that runs.
        grad_scaler: gradients are recorded unscaled, and skipped steps are steps too.
        locate: record the flat index at which the largest magnitude stands.
        strict: raise what goes wrong inside instead of warning once and dropping that site.

    Returns:
        The profiler, also a context manager. `close()` leaves the model as it was found.

    Raises:
        TypeError: `model`, `optimizer` or `grad_scaler` is something else.
        ValueError: a keyword has no such value, a pattern matches nothing, the model has no parameters
            that require gradients or is watched already, or `logdir` already holds a run.
        OSError: `logdir` cannot be written.
    """
    check_model(model)
    options = checked_options(
        model,
        optimizer=optimizer,
        observe=observe,
        include=include,
        exclude=exclude,
        every=every,
        threshold=threshold,
        backend=backend,
        budget=budget,
        grad_scaler=grad_scaler,
        locate=locate,
        strict=strict,
    )
    return Profiler(model, None if logdir is None else as_directory(logdir), options)


class Profiler:
    """A watched model. Made by `gradprof.watch`, which documents the keywords."""

    def __init__(self, model: nn.Module, logdir: Path | None, options: Options) -> None:
        self._notices = Notices(options.strict)
        self._notices.add_all(missing_names(options.grad_scaler))
        self._notices.say()
        self._ended_by_optimizer = options.optimizer is not None
        self._closed = False
        self._watching = False
        self._pid = os.getpid()
        targets = find_targets(model, options.observe, options.include, options.exclude)
        self._labels = [site.label for site in targets]
        self._cadence = Cadence(options.may_observe, options.budget, observable_groups(targets))
        scaler = None if options.grad_scaler is None else ScalerWatch(options.grad_scaler)
        tables = _make_tables(model, len(targets), options)
        tensor_hooks = TensorHooks()
        with ExitStack() as undo:  # whatever fails from here on, what was done before is undone
            self.logdir = self._make_directory(logdir, undo)
            self._writer = WriterThread(
                start_run(
                    self.logdir,
                    list(targets),
                    shapes=shapes_of(targets),
                    devices=describe_devices(model),
                    model=type(model).__name__,
                    options=options.as_json(),
                )
            )
            undo.callback(self._end_writing)
            undo.callback(atexit.unregister, self._close_at_exit)
            atexit.register(self._close_at_exit)
            ring = Ring(RING_SLOTS, len(targets))
            self._steps = Steps(
                tables, ring, self._cadence, self._writer, self.logdir, scaler, tensor_hooks, self._notices
            )
            self._observer = Observer(
                list(targets),
                self._steps,
                tables,
                scaler,
                tensor_hooks,
                self._notices,
                self._cadence.timer,
            )
            undo.callback(self._observer.close)
            watch_model(model, self._steps, undo)
            hook_targets(targets, self._observer, undo)
            if options.optimizer is not None:
                watch_optimizer(options.optimizer, self._steps, undo)
            self._undo = undo.pop_all()
        self._watching = True

    @property
    def sites(self) -> list[str]:
        """The labels of all sites, in the order of the run."""
        return list(self._labels)

    @property
    def overhead(self) -> float:
        """The mean time spent here per step over the typical step without it, such as 0.03; NaN at first.

        Time on the training thread; with `budget`, on CUDA devices, time on the device where that is longer.
        """
        return self._cadence.overhead

    @property
    def last(self) -> Record:
        """The latest finished step that was observed; waits until its numbers are on the host.

        Raises:
            RuntimeError: no observed step has finished yet.
        """
        self._steps.end_skipped()
        self._notices.say()
        step = self._steps.last
        if step is None or step.slot is None:
            raise RuntimeError(
                "no observed step has finished yet: read prof.last after optimizer.step() or prof.step()"
            )
        return Record(step.number, self._labels, step.slot.rows())

    def log(self, **scalars: float | torch.Tensor) -> None:
        """Put the caller's own values beside the gradients, on the same step.

        They belong to the step in progress or, between `optimizer.step()` and the next forward pass, to
        the step just finished. Values are numbers or tensors of one element; one on a GPU is copied
        without waiting for it.

        Raises:
            TypeError: a value is neither.
            ValueError: a name is taken by gradprof's own tags.
            RuntimeError: the profiler is closed.
        """
        self._check_not_closed()
        self._steps.log({name: as_scalar(name, value) for name, value in scalars.items()})

    def step(self) -> None:
        """End the current step, for trainings watched without `optimizer`.

        Raises:
            RuntimeError: the profiler is closed, or the optimizer already ends the steps.
        """
        self._check_not_closed()
        if self._ended_by_optimizer:
            raise RuntimeError(
                "prof.step() was called, but the optimizer given to watch() already ends the steps: "
                "leave out one of the two"
            )
        self._steps.end()

    def close(self) -> None:
        """Take the hooks off the model, write what remains, and close the run. Twice is once.

        A step whose backward pass was completed counts as finished. What is to be warned of, or raised with
        `strict`, comes last.
        """
        if self._closed:
            return
        self._closed = True
        with self._undo:
            self._steps.close()
        self._steps.report_writer()
        self._notices.say()

    def __enter__(self) -> Profiler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except Exception as error:
            if kind is None:
                raise
            warn(f"gradprof could not close its run: {error}")  # the caller's own exception goes first

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at step {self._steps.current.number}"
        return f"<gradprof.Profiler of {len(self._labels)} sites, {state}, {str(self.logdir)!r}>"

    def _make_directory(self, logdir: Path | None, undo: ExitStack) -> Path:
        if logdir is not None:
            return logdir
        directory = new_run_directory()
        undo.callback(self._remove_unused, directory)
        return directory

    def _end_writing(self) -> None:
        if self._watching:
            self._writer.close()
        else:
            self._writer.discard()

    def _remove_unused(self, directory: Path) -> None:
        if not self._watching:
            with suppress(OSError):  # somebody else has put something there
                directory.rmdir()

    def _check_not_closed(self) -> None:
        if self._closed:
            raise RuntimeError("this profiler is closed and its run is complete: watch the model again")

    def _close_at_exit(self) -> None:
        if os.getpid() == self._pid:  # a forked child has neither the thread nor the file
            self.close()


def _make_tables(model: nn.Module, n_sites: int, options: Options) -> Tables:
    new_reducer = partial(
        make_reducer,
        options.backend,
        threshold=options.threshold,
        locate=options.locate,
        dtypes={param.dtype for param in model.parameters() if param.requires_grad},
        scaled=options.grad_scaler is not None and options.grad_scaler.is_enabled(),
    )
    devices = {param.device for param in model.parameters()} or {torch.device("cpu")}
    return Tables(n_sites, new_reducer, devices)
