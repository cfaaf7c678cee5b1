"""The device side of a watched step: gradients arrive from the hooks and become rows of a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import torch

from gradprof.record.sites import KINDS, Site

from .device_timer import DeviceTimer
from .grad_scaler import ScalerWatch
from .lifecycle import Steps
from .notices import Notices
from .private import END_OF_BACKWARD, GRAPH_TASK
from .table import Tables
from .tensor_hooks import TensorHooks

_PARAM = KINDS["param"].group
_NO_PASS = -1
"""What torch calls the backward pass outside of any."""


class Observer:
    """Reduces what the hooks report of the current step.

    Outputs and inputs are merged into their rows as they come. Parameters are noted as their gradients
    accumulate, and reduced together when the backward pass ends, replacing what an earlier backward pass
    of the same step left. Each device's gradients come on a thread of its own, and share no state here.

    Args:
        sites: hooks report their position in it.
        steps: the training's steps; read here, and told of signs of life.
        tables: the rows by device, filled here.
        scaler: tells the factor to unscale by.
        tensor_hooks: those on tensors of forward passes.
        notices: told of sites that are dropped.
        timer: measures what reductions take on CUDA devices.

    Attributes:
        steps, tensor_hooks, notices: as given.
        groups: the group of each site.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        steps: Steps,
        tables: Tables,
        scaler: ScalerWatch | None,
        tensor_hooks: TensorHooks,
        notices: Notices,
        timer: DeviceTimer | None = None,
    ) -> None:
        self.steps = steps
        self.groups = [KINDS[site.kind].group for site in sites]
        self.tensor_hooks = tensor_hooks
        self.notices = notices
        self._labels = [site.label for site in sites]
        self._tables = tables
        self._scaler = scaler
        self._timer = timer
        self._graph_task = GRAPH_TASK.find()
        self._queue = END_OF_BACKWARD.find()
        self._shaped: set[int] = set()
        self._dropped: set[int] = set()

    def gradient(self, index: int, grad: torch.Tensor | None) -> None:
        """Merge the gradient w.r.t. an output or input into its site's row; None: a function gave none."""
        if grad is None or index in self._dropped:
            return
        start = time.perf_counter()
        steps, group, device = self.steps, self.groups[index], grad.device
        try:
            if not steps.begun:
                steps.begin()
            step = steps.current
            if group in step.due and not self._captured(device):
                self._hear_of_end(device)
                table = self._tables.on(device)
                table.order()
                started = self._start(device)
                table.reducer.reduce_into(table.rows, index, grad, self._inverse_scale(device))
                self._stop(group, device, started)
                if index not in self._shaped:
                    self._shaped.add(index)
                    step.shapes[self._labels[index]] = list(grad.shape)
        except Exception as error:  # whatever a reduction meets must not break the backward pass
            self.drop(index, error)
        steps.current.spent(time.perf_counter() - start, group, device)
        self.notices.say()

    def accumulated(self, index: int, param: torch.Tensor) -> None:
        """Note a parameter whose gradient was added to its `.grad`, to be reduced after the backward pass."""
        if index in self._dropped:
            return
        device = param.device
        if self._hear_of_end(device):
            self.steps.begin()
        touched = self.steps.current.touched
        if device not in touched:
            touched[device] = {}
        touched[device][index] = param

    def drop(self, index: int, error: Exception) -> None:
        """Observe a site no more, because of `error`."""
        self._dropped.add(index)
        with suppress(Exception):  # under torch.func not even rows of our own can be written
            for table in self._tables:
                table.clear_row(index)
        self.notices.add(
            f"gradprof stopped observing {self._labels[index]!r}: {type(error).__name__}: {error}. "
            "Training goes on; strict=True raises instead",
            error,
        )

    def close(self) -> None:
        """Let go of everything: graphs of forward passes in flight may still hold hooks."""
        self.tensor_hooks.remove()
        self._dropped.update(range(len(self._labels)))
        self._tables.free()

    def _hear_of_end(self, device: torch.device) -> bool:
        """Have `_end_of_backward` called at the end of the backward pass in progress; False if it will be."""
        step = self.steps.current
        if self._queue is None:
            step.had_backward = True  # so that at least its outputs are kept
            return False
        task = 0 if self._graph_task is None else self._graph_task()
        if step.passes.get(device, _NO_PASS) == task:
            return False
        step.passes[device] = task
        self._queue(partial(self._end_of_backward, device))
        return True

    def _end_of_backward(self, device: torch.device) -> None:
        """Reduce the gradients of all parameters on `device` that this backward pass touched."""
        start = time.perf_counter()
        step = self.steps.current
        step.passes.pop(device, None)
        if not step.due:
            return
        step.had_backward = True
        touched = step.touched.pop(device, {})
        grads = {index: param.grad for index, param in touched.items() if param.grad is not None}
        if grads:
            self._replace_rows(device, grads)
            step.spent(time.perf_counter() - start, _PARAM, device)
        self.notices.say()

    def _replace_rows(self, device: torch.device, grads: dict[int, torch.Tensor]) -> None:
        if self._captured(device):
            return
        try:
            table = self._tables.on(device)
            table.order()
            started = self._start(device)
            table.reducer.replace_many(
                table.rows, list(grads), list(grads.values()), self._inverse_scale(device)
            )
            self._stop(_PARAM, device, started)
        except Exception as error:  # whatever one gradient is, the others are still to be recorded
            if len(grads) == 1:
                self.drop(next(iter(grads)), error)
                return
            for index, grad in grads.items():
                self._replace_rows(device, {index: grad})

    def _captured(self, device: torch.device) -> bool:
        """Whether a CUDA graph is capturing: its replays would write to rows that nobody reads, or to memory
        that has another owner since this was closed."""
        if device.type != "cuda" or not torch.cuda.is_current_stream_capturing():
            return False
        self.notices.add(
            "gradprof does not see the replays of a CUDA graph: what a graph captures is not observed"
        )
        return True

    def _start(self, device: torch.device) -> torch.cuda.Event | None:
        return None if self._timer is None or device.type != "cuda" else self._timer.start(device)

    def _stop(self, group: str, device: torch.device, started: torch.cuda.Event | None) -> None:
        if self._timer is not None and started is not None:
            self._timer.stop(group, device, started)

    def _inverse_scale(self, device: torch.device) -> torch.Tensor | None:
        return None if self._scaler is None else self._scaler.inverse(device)
