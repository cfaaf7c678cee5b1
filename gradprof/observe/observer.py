"""The device side of a watched step: gradients arrive from the hooks and become rows of a table."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence

import torch

from gradprof.kernels.reducer import Reducer
from gradprof.terminal.progress import note_if_slow

from .device_timer import DeviceTimer
from .grad_scaler import ScalerWatch
from .ring import Slot
from .table import Table


class Observer:
    """Reduces what the hooks report, between `on_begin` and `hand_over`.

    Outputs and inputs are merged into their rows as they come. Parameters are noted as their gradients
    accumulate, and reduced together when the backward pass ends, replacing what an earlier backward pass
    of the same step left.

    Args:
        labels: the sites; hooks report their position in it.
        new_reducer: makes the reducer of a device.
        devices: where gradients are expected; those of others are met as they come.
        scaler: tells the factor to unscale by.
        strict: raise failures instead of dropping the site.
        on_begin: called at every first sign of a step, and at further ones.
        timer: measures what reductions take on CUDA devices.
    """

    def __init__(
        self,
        labels: Sequence[str],
        new_reducer: Callable[[torch.device], Reducer],
        devices: Iterable[torch.device],
        scaler: ScalerWatch | None,
        strict: bool,
        on_begin: Callable[[], None],
        timer: DeviceTimer | None = None,
    ) -> None:
        self.observing_params = False
        self.observing_outputs = False
        """Whether the current step is observed; inputs go with outputs."""
        self.had_backward = False
        """Whether a backward pass was completed in the current step."""
        self.begun = False
        """Whether there is nothing to hear of a further sign of the current step; set by the owner."""
        self.seconds = {"param": 0.0, "output": 0.0}
        """Spent here in the current step, on this thread."""
        self.begin = on_begin
        self._labels = list(labels)
        self._new_reducer = new_reducer
        self._scaler = scaler
        self._strict = strict
        self._timer = timer
        self._tables: dict[torch.device, Table] = {}
        self._reducers: dict[torch.device, Reducer] = {}
        self._touched: dict[int, torch.Tensor] = {}
        self._graph_task = -1
        self._shaped: set[int] = set()
        self._new_shapes: dict[str, list[int]] = {}
        self._dropped: set[int] = set()
        self._closed = False
        self._warned_of_capture = False
        for device in devices:
            self._table(device)

    def gradient(self, index: int, grad: torch.Tensor) -> None:
        """Merge the gradient w.r.t. an output or input into its site's row."""
        if self._closed or index in self._dropped:
            return
        start = time.perf_counter()
        try:
            if not self.begun:
                self.begin()
            device = grad.device
            if self.observing_outputs and not self._captured(device):
                self._hear_of_end()
                rows = self._table(device).rows
                started = self._start(device)
                self._reducers[device].reduce_into(rows, index, grad, self._inverse_scale(device))
                self._stop("output", device, started)
                if index not in self._shaped:
                    self._shaped.add(index)
                    self._new_shapes[self._labels[index]] = list(grad.shape)
        except Exception as error:  # whatever a reduction meets must not break the backward pass
            self.failed(index, error)
        self.seconds["output"] += time.perf_counter() - start

    def accumulated(self, index: int, param: torch.Tensor) -> None:
        """Note a parameter whose gradient was added to its `.grad`, to be reduced after the backward pass."""
        if index in self._dropped:
            return
        if self._hear_of_end():
            self.begin()
        self._touched[index] = param

    def failed(self, index: int, error: Exception) -> None:
        """Drop a site that cannot be observed, saying why, once."""
        if self._strict:
            raise error
        self._dropped.add(index)
        for table in self._tables.values():
            table.clear_row(index)
        warn(
            f"gradprof stopped observing {self._labels[index]!r}: {type(error).__name__}: {error}. "
            "Training goes on; strict=True raises instead"
        )

    def hand_over(self, slot: Slot) -> dict[str, list[int]]:
        """Start copying the step's rows into `slot` and clear them; the shapes of sites first seen."""
        slot.fill(self._tables)
        self.forget_step()
        shapes, self._new_shapes = self._new_shapes, {}
        return shapes

    def forget_step(self) -> None:
        """Clear the rows for the next step."""
        for table in self._tables.values():
            table.clear()
        self._touched.clear()  # what a backward pass that raised may have left

    @property
    def observing(self) -> bool:
        """Whether anything of the current step is observed."""
        return self.observing_params or self.observing_outputs

    @property
    def observing_groups(self) -> tuple[str, ...]:
        """What of the current step is observed."""
        return ("param",) * self.observing_params + ("output",) * self.observing_outputs

    def observe(self, groups: Collection[str]) -> None:
        """From now on in the current step; "param" and "output", for outputs and inputs."""
        self.observing_params = "param" in groups
        self.observing_outputs = "output" in groups

    def end_step(self) -> dict[str, float]:
        """The seconds spent here in the step that ends, by group."""
        seconds, self.seconds = self.seconds, {"param": 0.0, "output": 0.0}
        self.had_backward = self.begun = False
        if self._timer is not None:
            self._timer.end_step()
        return seconds

    def close(self) -> None:
        """Take no more gradients: graphs of forward passes in flight still hold their hooks."""
        self._closed = True
        self.observing_params = self.observing_outputs = False
        self._touched.clear()
        self._tables.clear()
        self._reducers.clear()

    def _hear_of_end(self) -> bool:
        """Have `_end_of_backward` called at the end of the backward pass in progress; False if it will be."""
        task = torch._C._current_graph_task_id()
        if task == self._graph_task:
            return False
        self._graph_task = task
        torch.autograd.Variable._execution_engine.queue_callback(self._end_of_backward)  # type: ignore[attr-defined]
        return True

    def _end_of_backward(self) -> None:
        """Reduce the gradients of all parameters that this backward pass touched."""
        start = time.perf_counter()
        touched, self._touched = self._touched, {}
        self._graph_task = -1
        if not self.observing:
            return
        self.had_backward = True
        by_device: dict[torch.device, dict[int, torch.Tensor]] = {}
        for index, param in touched.items():
            if param.grad is not None:
                by_device.setdefault(param.grad.device, {})[index] = param.grad
        for device, grads in by_device.items():
            self._replace_rows(device, grads)
        self.seconds["param"] += time.perf_counter() - start

    def _replace_rows(self, device: torch.device, grads: dict[int, torch.Tensor]) -> None:
        if self._captured(device):
            return
        try:
            table = self._table(device)
            started = self._start(device)
            self._reducers[device].replace_many(
                table.rows, list(grads), list(grads.values()), self._inverse_scale(device)
            )
            self._stop("param", device, started)
        except Exception as error:  # whatever one gradient is, the others are still to be recorded
            if len(grads) == 1:
                self.failed(next(iter(grads)), error)
                return
            for index, grad in grads.items():
                self._replace_rows(device, {index: grad})

    def _captured(self, device: torch.device) -> bool:
        """Whether a CUDA graph is capturing: its replays would write to rows that nobody reads, or to memory
        that has another owner since this was closed."""
        if device.type != "cuda" or not torch.cuda.is_current_stream_capturing():
            return False
        if not self._warned_of_capture:
            self._warned_of_capture = True
            warn("gradprof does not see the replays of a CUDA graph: what a graph captures is not observed")
        return True

    def _table(self, device: torch.device) -> Table:
        table = self._tables.get(device)
        if table is None:
            with note_if_slow(f"gradprof is compiling its reductions for {device} ..."):
                self._reducers[device] = self._new_reducer(device)
            table = self._tables[device] = Table(len(self._labels), device)
        return table

    def _start(self, device: torch.device) -> torch.cuda.Event | None:
        return None if self._timer is None or device.type != "cuda" else self._timer.start(device)

    def _stop(self, group: str, device: torch.device, started: torch.cuda.Event | None) -> None:
        if self._timer is not None and started is not None:
            self._timer.stop(group, device, started)

    def _inverse_scale(self, device: torch.device) -> torch.Tensor | None:
        return None if self._scaler is None else self._scaler.inverse(device)


def warn(message: str) -> None:
    """Say something of gradprof's own, without blaming a line of the caller's."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)
