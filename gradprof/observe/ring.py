"""Rows on their way to the host.

At the end of a step each device's table is copied, without waiting, into a `Slot` of a small ring of host
buffers (pinned where the device is a CUDA device). Whoever reads a slot waits for its copy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch

from gradprof.kernels.row import ROW_DTYPE, empty_rows, merge_rows

from .table import Table


class Slot:
    """Host buffers for one step. The training thread fills it, the writer reads and frees it."""

    def __init__(self, n_sites: int) -> None:
        self._n_sites = n_sites
        self._buffers: dict[torch.device, torch.Tensor] = {}
        self._copied: list[torch.cuda.Event] = []
        self._filled: list[torch.device] = []
        self.free = threading.Event()
        self.free.set()

    def fill(self, tables: Iterable[Table]) -> None:
        """Start copying every table; returns at once."""
        self._copied = []
        self._filled = []
        for table in tables:
            table.order()
            device = table.device
            on_cuda = device.type == "cuda"
            if device not in self._buffers:
                self._buffers[device] = torch.empty(
                    table.rows.shape, dtype=torch.int64, device="cpu", pin_memory=on_cuda
                )
            self._buffers[device].copy_(table.rows, non_blocking=on_cuda)
            self._filled.append(device)
            if on_cuda:
                self._copied.append(_event_after(device))

    def rows(self) -> np.ndarray:
        """The rows of the step, a new structured array `[sites]`, merged over devices; waits for them."""
        for event in self._copied:
            event.synchronize()
        merged = empty_rows(self._n_sites)
        for i, device in enumerate(self._filled):
            rows = self._buffers[device].numpy().view(ROW_DTYPE)[:, 0]
            if i == 0:
                merged[:] = rows
            else:
                merge_rows(merged, rows)
        return merged


class Ring:
    """The slots in turn. The latest one that was filled is the last to be used again."""

    def __init__(self, n_slots: int, n_sites: int) -> None:
        self._slots = [Slot(n_sites) for _ in range(n_slots)]
        self._next = 0

    def acquire(self, writer_alive: Callable[[], bool]) -> tuple[Slot, float]:
        """The next slot, and the seconds waited until the writer had freed it."""
        slot = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        start = time.perf_counter()
        waited = 0.0
        while not slot.free.is_set():
            if not writer_alive():
                break  # nobody will read it any more
            slot.free.wait(0.1)
            waited = time.perf_counter() - start
        slot.free.clear()
        return slot, waited

    def give_back(self, slot: Slot) -> None:
        """The slot acquired last could not be filled: it is the next one once more."""
        self._next = (self._next - 1) % len(self._slots)
        assert self._slots[self._next] is slot
        slot.free.set()


class HostScalar:
    """A number on its way to the host; `float()` of it waits until it is there."""

    def __init__(self, value: torch.Tensor) -> None:
        on_cuda = value.device.type == "cuda"
        self._host = torch.empty((), dtype=torch.float64, device="cpu", pin_memory=on_cuda)
        self._host.copy_(value.detach().reshape(()), non_blocking=on_cuda)
        self._copied = _event_after(value.device) if on_cuda else None

    def arrived(self) -> bool:
        """Whether it is on the host."""
        return self._copied is None or self._copied.query()

    def __float__(self) -> float:
        if self._copied is not None:
            self._copied.synchronize()
        return float(self._host)


def _event_after(device: torch.device) -> torch.cuda.Event:
    """An event that is over once everything queued so far on the device's current stream is."""
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event
