"""Which steps are observed: those of `every`, as many of them as the budget allows; and what they cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping

from .budget import Budget
from .device_timer import DeviceTimer
from .observer import Observer
from .ring import HostScalar


class Cadence:
    """Tells an observer what to observe in the current step, and hears what it took.

    Args:
        schedule: whether a step may be observed.
        share: of step time that may be spent; None: no limit.
        groups: what there is to observe, among `budget.GROUPS`.
    """

    def __init__(self, schedule: Callable[[int], bool], share: float | None, groups: Collection[str]) -> None:
        self._schedule = schedule
        self._budget = Budget(share, groups)
        self._adapts = share is not None
        self.timer = DeviceTimer() if self._adapts else None
        """For the observer: without a limit nobody needs to know the time on the device."""
        self._non_finite = NonFiniteWatch()
        self._step = 0
        self._ended_at = time.perf_counter()

    @property
    def overhead(self) -> float:
        """Mean time in gradprof per step over the typical step without it; NaN at first."""
        return self._budget.costs.overhead

    @property
    def every(self) -> dict[str, int]:
        """Steps from one observation to the next by group; empty without a limit."""
        return self._budget.every if self._adapts else {}

    def decide(self, observer: Observer) -> None:
        """Let the observer observe what is due in the current step."""
        observer.observe(self._budget.due(self._step) if self._schedule(self._step) else ())

    def logged(self, values: Mapping[str, float | HostScalar], observer: Observer) -> None:
        """The caller logged these: a first value that is not finite is a reason to look closely."""
        if self._adapts and self._non_finite.begins(values):
            self._look_closely(observer)

    def end_step(self, observer: Observer, began: float) -> float:
        """The step is over, its end began at `perf_counter` time `began`; the seconds spent in gradprof."""
        observed = observer.observing_groups
        seconds = observer.end_step()
        now = time.perf_counter()
        spent = sum(seconds.values()) + now - began
        host = {group: seconds[group] for group in observed}
        self._budget.finish(self._step, now - self._ended_at, host, spent - sum(host.values()))
        self._ended_at = now
        self._step += 1
        if self.timer is not None:
            for device in self.timer.arrived():
                self._budget.costs.add_device(device)
        self.decide(observer)
        if self._adapts and self._non_finite.arrived():
            self._look_closely(observer)
        return spent

    def _look_closely(self, observer: Observer) -> None:
        self._budget.observe_around(self._step)
        self.decide(observer)


class NonFiniteWatch:
    """Sees a logged value turn NaN or inf; values on a device are read once they are on the host."""

    def __init__(self) -> None:
        self._was_finite: dict[str, bool] = {}
        self._on_their_way: list[tuple[str, HostScalar]] = []

    def begins(self, values: Mapping[str, float | HostScalar]) -> bool:
        """Whether one of the values is not finite, and its predecessor of that name was, or there is none."""
        self._on_their_way += [(k, v) for k, v in values.items() if isinstance(v, HostScalar)]
        turned = [self._turned(k, v) for k, v in values.items() if not isinstance(v, HostScalar)]
        return any(turned) | self.arrived()

    def arrived(self) -> bool:
        """The same of the values that have come from a device since the last call."""
        turned = False
        while self._on_their_way and self._on_their_way[0][1].arrived():
            name, value = self._on_their_way.pop(0)
            turned |= self._turned(name, float(value))
        return turned

    def _turned(self, name: str, value: float) -> bool:
        finite = math.isfinite(value)
        was_finite = self._was_finite.get(name, True)
        self._was_finite[name] = finite
        return was_finite and not finite
