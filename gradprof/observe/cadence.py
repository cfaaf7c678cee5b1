"""Which steps are observed: those of `every`, as many of them as the budget allows; and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from .budget import Budget
from .device_timer import DeviceTimer
from .ring import HostScalar
from .step import Step


class Cadence:
    """Says what is due in a step, and learns from what steps took.

    Args:
        schedule: whether a step may be observed.
        share: of step time that may be spent; None: no limit.
        groups: what there is to observe, among `record.sites.GROUPS`.
    """

    def __init__(self, schedule: Callable[[int], bool], share: float | None, groups: Collection[str]) -> None:
        self._schedule = schedule
        self._budget = Budget(share, groups)
        self._adapts = share is not None
        self.timer = DeviceTimer() if self._adapts else None
        """For the observer: without a limit nobody needs to know the time on the device."""
        self._non_finite = NonFiniteWatch()

    @property
    def overhead(self) -> float:
        """Mean time in gradprof per step over the typical step without it; NaN at first."""
        return self._budget.costs.overhead

    @property
    def spacing(self) -> dict[str, int]:
        """Steps from one observation to the next by group; empty without a limit."""
        return self._budget.spacing if self._adapts else {}

    def due(self, number: int) -> frozenset[str]:
        """The groups that step `number` observes."""
        return self._budget.due(number) if self._schedule(number) else frozenset()

    def logged(self, number: int, values: Mapping[str, float | HostScalar]) -> bool:
        """The caller logged these in step `number`: whether what is due in it has changed.

        A first value that is not finite is a reason to look closely.
        """
        turned = self._adapts and self._non_finite.begins(values)
        if turned:
            self._budget.observe_around(number)
        return turned

    def learn(self, step: Step) -> None:
        """A step is over."""
        host = {group: step.seconds_of(group) for group in step.due}
        self._budget.finish(step.number, step.duration, host, step.seconds - sum(host.values()))
        if self.timer is not None:
            self.timer.end_step()
            for device in self.timer.arrived():
                self._budget.costs.add_device(device)
        if self._adapts and self._non_finite.arrived():
            self._budget.observe_around(step.number + 1)


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
