"""How long something takes on the device where it runs.

On CUDA the host only asks for work, so a time is taken between two events on the device's stream, around
enough calls to last; elsewhere the host's own clock serves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

import torch

Act = Callable[[], object]

_MAX_CALLS = 10_000
_MAX_QUEUED = 50
"""Calls that the host may ask for before it has to wait for the device; each may be several launches."""


class Clock:
    """Times calls on one device.

    Args:
        seconds_per_sample: how long the calls of one sample last together, about.
    """

    def __init__(self, device: torch.device, seconds_per_sample: float) -> None:
        self._stream = torch.cuda.current_stream(device) if device.type == "cuda" else None
        self._seconds_per_sample = seconds_per_sample

    def sampler(self, act: Act) -> Callable[[], float]:
        """What gives the seconds of one call, each time over as many calls as one sample takes."""
        act()  # the first call may compile, or allocate scratch
        n_calls = self._calls_lasting(act)
        return lambda: self._seconds(act, n_calls)

    def host_sampler(self, act: Act) -> Callable[[], float]:
        """As `sampler`, but of the host's time alone: the device's queue is empty before, and never full."""
        act()
        n_calls = min(self._calls_lasting(act), _MAX_QUEUED)
        return lambda: self._host_seconds(act, n_calls)

    def _calls_lasting(self, act: Act) -> int:
        n_calls = 1
        while (taken := n_calls * self._seconds(act, n_calls)) < self._seconds_per_sample / 4:
            n_calls *= 4
            if n_calls >= _MAX_CALLS:
                return _MAX_CALLS
        return math.ceil(n_calls * self._seconds_per_sample / max(taken, 1e-9)) or 1

    def _seconds(self, act: Act, n_calls: int) -> float:
        if self._stream is None:
            return self._host_seconds(act, n_calls)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._stream.synchronize()
        start.record(self._stream)
        for _ in range(n_calls):
            act()
        end.record(self._stream)
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / n_calls

    def _host_seconds(self, act: Act, n_calls: int) -> float:
        self._synchronize()
        start = time.perf_counter()
        for _ in range(n_calls):
            act()
        taken = time.perf_counter() - start
        self._synchronize()
        return taken / n_calls

    def _synchronize(self) -> None:
        if self._stream is not None:
            self._stream.synchronize()


def within(seconds: float | None, rounds: Iterable[int], at_least: int = 3) -> Iterator[int]:
    """`rounds`, ended early once they have taken this long; None: all of them."""
    start = time.perf_counter()
    for i in rounds:
        yield i
        if seconds is not None and i + 1 >= at_least and time.perf_counter() - start > seconds:
            return
