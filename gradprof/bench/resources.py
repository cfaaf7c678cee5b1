"""What a step takes besides time: peak memory, and the CPU time of threads that work beside it."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import torch

_RESET_PEAK = "5"  # proc(5), clear_refs: the peak resident size begins anew
_IDLE_SECONDS = 1e-3
"""Threads that work less than a tenth of so long are taken to be idle."""


class PeakMemory:
    """Peak memory above what was held at the last `reset`, in bytes.

    On CUDA that of torch's allocator; elsewhere the resident size of the process, where Linux tells. What is
    free but kept for later is given back to the system first, which makes the next step slower.
    """

    def __init__(self, device: torch.device, process: Path = Path("/proc/self")) -> None:
        self._device = device
        self._process = process
        self._held: int | None = None

    def reset(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._held = torch.cuda.memory_allocated(self._device)
            return
        _give_back_free_memory()
        try:
            (self._process / "clear_refs").write_text(_RESET_PEAK)
            self._held = self._resident("VmRSS")
        except OSError:  # not Linux, or not allowed
            self._held = None

    def read(self) -> int | None:
        """None where it is not known."""
        if self._held is None:
            return None
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._held
        return max(0, self._resident("VmHWM") - self._held)

    def _resident(self, key: str) -> int:
        for line in (self._process / "status").read_text().splitlines():
            name, _, amount = line.partition(":")
            if name == key:
                return int(amount.split()[0]) * 1024
        raise OSError(f"no {key} in {self._process / 'status'}")


def _give_back_free_memory() -> None:
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


class ThreadTime:
    """CPU seconds of some threads."""

    def __init__(self, threads: Iterable[threading.Thread]) -> None:
        self._threads = list(threads)

    def seconds(self) -> float | None:
        """Since they began, of those that go on; None where the system does not tell, or there is none."""
        idents = [thread.ident for thread in self._threads if thread.is_alive()]
        if not hasattr(time, "pthread_getcpuclockid") or not idents:
            return None
        return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in idents if ident)

    def settle(self, at_most: float = 1.0) -> None:
        """Wait until they do nothing, but only so many seconds; a moment also where there is none."""
        end = time.perf_counter() + at_most
        while time.perf_counter() < end:
            before = self.seconds()
            time.sleep(_IDLE_SECONDS)
            worked = self.seconds()
            if before is None or worked is None or worked - before < _IDLE_SECONDS / 10:
                return


class OthersTime:
    """CPU seconds of all other threads while this one closes something and waits for it."""

    def __enter__(self) -> OthersTime:
        self.seconds = 0.0
        self._start = self._now()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.seconds = self._now() - self._start

    @staticmethod
    def _now() -> float:
        return time.process_time() - time.thread_time()
