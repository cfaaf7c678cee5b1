"""`gradprof.watch`: a training, watched. Ties hooks, reductions, tables, steps and the writer together."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

from gradprof.events.header import make_header
from gradprof.kernels.reducer import make_reducer
from gradprof.record.sites import KINDS, Site, one_or_many
from gradprof.record.step import Record
from gradprof.write.run_writer import RunWriter
from gradprof.write.thread import WriterThread

from .arguments import (
    as_budget,
    as_scalar,
    as_schedule,
    check_model,
    check_optimizer,
    describe_devices,
    new_run_directory,
)
from .cadence import Cadence
from .grad_scaler import ScalerWatch
from .hooks import Handles, InputHook, OutputHook, ParamHook, RootHook
from .observer import Observer, warn
from .ring import HostScalar, Ring, Slot
from .step import FinishedStep
from .targets import Target, find_targets

RING_SLOTS = 4

Schedule = int | Callable[[int], bool]


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
    return Profiler(
        model,
        logdir,
        optimizer=optimizer,
        observe=one_or_many(observe),
        include=one_or_many(include),
        exclude=one_or_many(exclude),
        every=every,
        threshold=threshold,
        backend=backend,
        budget=budget,
        grad_scaler=grad_scaler,
        locate=locate,
        strict=strict,
    )


class Profiler:
    """A watched model. Made by `gradprof.watch`, which documents the keywords."""

    def __init__(
        self,
        model: nn.Module,
        logdir: str | os.PathLike[str] | None,
        *,
        optimizer: torch.optim.Optimizer | None,
        observe: list[str],
        include: list[str],
        exclude: list[str],
        every: Schedule,
        threshold: float,
        backend: str,
        budget: float | None,
        grad_scaler: torch.amp.GradScaler | None,
        locate: bool,
        strict: bool,
    ) -> None:
        check_model(model)
        check_optimizer(optimizer, model)
        targets = find_targets(model, observe, include, exclude)
        self._scaler = None if grad_scaler is None else ScalerWatch(grad_scaler)
        new_reducer = partial(
            make_reducer,
            backend,
            threshold=threshold,
            locate=locate,
            dtypes={param.dtype for param in model.parameters() if param.requires_grad},
            scaled=self._scaler is not None and self._scaler.is_enabled(),
        )
        self._strict = strict
        self._cadence = Cadence(
            as_schedule(every), as_budget(budget), dict.fromkeys(KINDS[site.kind].group for site in targets)
        )
        self._labels = [site.label for site in targets]
        self._observer = Observer(
            self._labels,
            new_reducer,
            devices={param.device for param in model.parameters()} or {torch.device("cpu")},
            scaler=self._scaler,
            strict=strict,
            on_begin=self._begin,
            timer=self._cadence.timer,
        )
        self._ring = Ring(RING_SLOTS, len(targets))

        self._step = 0
        self._cadence.decide(self._observer)
        self._open = False
        self._scalars: dict[str, float | HostScalar] = {}
        self._finished: FinishedStep | None = None
        self._loss_reported = False
        self._last: tuple[int, Slot] | None = None
        self._ended_by_optimizer = optimizer is not None
        self._any_end = False
        self._error_reported = False
        self._closed = False
        self._pid = os.getpid()

        header = make_header(
            list(targets),
            shapes={
                site.label: target.shape
                for site, target in targets.items()
                if isinstance(target, nn.Parameter)
            },
            devices=describe_devices(model),
            model=type(model).__name__,
            options={
                "observe": observe,
                "include": include,
                "exclude": exclude,
                "every": every if isinstance(every, int) else "a function",
                "threshold": threshold,
                "backend": backend,
                "budget": budget,
                "grad_scaler": grad_scaler is not None,
                "locate": locate,
            },
        )
        self.logdir = new_run_directory() if logdir is None else Path(logdir)
        try:
            self._writer = WriterThread(RunWriter(self.logdir, header))
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write a run into {str(self.logdir)!r} ({error.strerror}): "
                "choose a directory that can be written",
            ) from error
        self._handles = self._install(model, targets, optimizer)
        atexit.register(self._close_at_exit)

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
        self._finish_skipped_step()
        if self._last is None:
            raise RuntimeError(
                "no observed step has finished yet: read prof.last after optimizer.step() or prof.step()"
            )
        step, slot = self._last
        return Record(step, self._labels, slot.rows())

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
        values = {name: as_scalar(name, value) for name, value in scalars.items()}
        self._cadence.logged(values, self._observer)
        if not self._open and self._finished is not None:
            self._finished.scalars.update(values)
        else:
            self._scalars.update(values)

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
        self._finish_step()

    def close(self) -> None:
        """Take the hooks off the model, write what remains, and close the run. Twice is once.

        A step whose backward pass was completed counts as finished.
        """
        if self._closed:
            return
        self._finish_skipped_step()
        if self._open and self._observer.had_backward:
            if not self._any_end:
                warn(
                    "gradprof saw no end of a step, so everything was recorded as one: pass optimizer= to "
                    "watch(), or call prof.step() after each step"
                )
            self._finish_step()
        self._closed = True
        self._handles.remove()
        self._observer.close()
        atexit.unregister(self._close_at_exit)
        self._submit()
        self._writer.close()
        self._report_writer_error()

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
        state = "closed" if self._closed else f"at step {self._step}"
        return f"<gradprof.Profiler of {len(self._labels)} sites, {state}, {str(self.logdir)!r}>"

    def _begin(self) -> None:
        """The first sign of a step, or one more sign of the current one."""
        self._finish_skipped_step()
        if self._open or self._closed:
            return
        self._open = True
        self._submit()
        if self._scaler is None:
            self._observer.begun = True
        else:
            self._scaler.begin_step()

    def _finish_skipped_step(self) -> None:
        if self._open and self._scaler is not None and self._scaler.updated():
            self._finish_step()

    def _finish_step(self) -> None:
        """End the step: start copying its rows, and prepare for the next."""
        start = time.perf_counter()
        self._any_end = True
        self._submit()
        finished = FinishedStep(self._step, time.time(), None, scalars=self._scalars)
        observer = self._observer
        if observer.observing:
            slot, finished.wait = self._ring.acquire(self._writer.alive)
            try:
                finished.shapes = observer.hand_over(slot)
                finished.slot = slot
                self._last = (self._step, slot)
            except Exception as error:  # such as no host memory left to pin: the optimizer's step goes on
                slot.free.set()
                self._report_lost_step(error)
        self._finished, self._scalars = finished, {}
        self._open = False
        self._step += 1
        finished.seconds = self._cadence.end_step(observer, start)
        finished.overhead, finished.every = self._cadence.overhead, self._cadence.every
        self._report_writer_error()

    def _submit(self) -> None:
        """Hand the finished step to the writer; until now the caller could still log values for it."""
        if self._finished is not None:
            self._writer.submit(self._finished)
            self._finished = None

    def _report_lost_step(self, error: Exception) -> None:
        """The rows of this step could not start on their way to the host."""
        self._observer.forget_step()
        if self._strict:
            raise error
        if not self._loss_reported:
            self._loss_reported = True
            warn(
                f"gradprof could not record step {self._step}: {type(error).__name__}: {error}. "
                "Training goes on; strict=True raises instead"
            )

    def _report_writer_error(self) -> None:
        error = self._writer.error
        if error is None or self._error_reported:
            return
        self._error_reported = True
        if self._strict:
            raise error
        warn(
            f"gradprof stopped writing {str(self.logdir)!r}: {type(error).__name__}: {error}. "
            "What was flushed before stays readable, and training goes on"
        )

    def _install(
        self, model: nn.Module, targets: dict[Site, Target], optimizer: torch.optim.Optimizer | None
    ) -> Handles:
        handles = Handles()
        handles.add(model.register_forward_pre_hook(RootHook(self._observer)))
        for index, (site, target) in enumerate(targets.items()):
            if isinstance(target, nn.Parameter):
                handles.watch_param(target, ParamHook(self._observer, index))
            elif site.kind == "output":
                handles.watch_module(target, OutputHook(self._observer, index))
            else:
                handles.watch_module(target, InputHook(self._observer, index))
        if optimizer is not None:
            handles.add(optimizer.register_step_post_hook(lambda *_: self._finish_step()))
        return handles

    def _check_not_closed(self) -> None:
        if self._closed:
            raise RuntimeError("this profiler is closed and its run is complete: watch the model again")

    def _close_at_exit(self) -> None:
        if os.getpid() == self._pid:  # a forked child has neither the thread nor the file
            self.close()
