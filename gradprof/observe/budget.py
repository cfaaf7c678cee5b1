"""What watching costs, and how often to observe so that it stays within a share of the training's time.

A step of a training takes `bare` seconds without gradprof. Observing parameters in every n-th step and
outputs in every m-th adds p / n + q / m, where p and q are what recent observed steps took. All three are
medians, because a step that compiles, validates or waits for data says nothing of the others.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Collection, Mapping

LEAST_OFTEN = 100
"""However small the budget, one step in so many is observed."""

_MARGIN = 0.9
"""Of the budget is aimed at: costs vary."""
_WARM_UP = 2
"""Steps that count for nothing: the first ones compile and allocate."""
_ENOUGH = 3
"""Observed steps before anything is left out."""
_AROUND = 8
"""Steps observed from a non-finite value on."""


class Costs:
    """Seconds of recent steps, with gradprof and without."""

    def __init__(self, groups: Collection[str]) -> None:
        self._bare: deque[float] = deque(maxlen=31)
        self._spent: deque[float] = deque(maxlen=2 * LEAST_OFTEN)
        self._host: dict[str, deque[float]] = {group: deque(maxlen=9) for group in groups}
        self._device: dict[str, deque[float]] = {group: deque(maxlen=9) for group in groups}
        self._rest: deque[float] = deque(maxlen=9)

    def add(self, seconds: float, host: Mapping[str, float], rest: float) -> None:
        """One step.

        Args:
            seconds: from the end of the step before to the end of this one.
            host: spent on the training thread for each group that was observed.
            rest: spent there besides: the table, the copy, waiting for the writer.
        """
        for group, spent in host.items():
            self._host[group].append(spent)
        if host:
            self._rest.append(rest)
        on_host = sum(host.values()) + rest
        self._bare.append(max(seconds - on_host, 0.0))
        self._spent.append(sum(max(host[group], self._device_cost(group)) for group in host) + rest)

    def add_device(self, device: Mapping[str, float]) -> None:
        """Device time of the reductions of an observed step, once it is known."""
        for group, spent in device.items():
            self._device[group].append(spent)

    def of(self, group: str) -> float:
        """What observing a group takes in one step: on the host or on the device, whichever is longer."""
        return max(_median(self._host[group]), self._device_cost(group))

    def known(self) -> bool:
        return all(len(spent) >= _ENOUGH for spent in self._host.values())

    @property
    def bare(self) -> float:
        """A step without gradprof."""
        return _median(self._bare)

    @property
    def rest(self) -> float:
        """Once per observed step, whatever is observed."""
        return _median(self._rest)

    @property
    def overhead(self) -> float:
        """The mean time in gradprof over the typical step without it; NaN at first."""
        bare = self.bare
        return statistics.fmean(self._spent) / bare if bare > 0 else math.nan

    def _device_cost(self, group: str) -> float:
        return _median(self._device[group])


class Budget:
    """Decides which groups a step observes.

    Args:
        share: of step time, such as 0.02; None observes everything, and only keeps count.
        groups: what there is to observe, among `GROUPS`.
    """

    def __init__(self, share: float | None, groups: Collection[str]) -> None:
        self.costs = Costs(groups)
        self._share = share
        self._spacing = dict.fromkeys(groups, 1)
        self._due = dict.fromkeys(groups, 0)
        self._all_until = -1
        self._n_steps = 0

    @property
    def spacing(self) -> dict[str, int]:
        """Steps from one observation of a group to the next."""
        return dict(self._spacing)

    def due(self, step: int) -> frozenset[str]:
        """The groups that `step` should observe."""
        if step <= self._all_until:
            return frozenset(self._due)
        if step < self._due[min(self._spacing, key=self._spacing.__getitem__)]:
            return frozenset()  # the rarer group waits for the other, so that they share steps
        return frozenset(group for group, due in self._due.items() if step >= due)

    def observe_around(self, step: int) -> None:
        """Observe everything from `step` on for a while, whatever it costs."""
        self._all_until = max(self._all_until, step + _AROUND)

    def finish(self, step: int, seconds: float, host: Mapping[str, float], rest: float) -> None:
        """A step is over; see `Costs.add`."""
        self._n_steps += 1
        if self._n_steps > _WARM_UP:
            self.costs.add(seconds, host, rest)
        if self._share is None or not host:
            return
        if self.costs.known():
            costs = {group: self.costs.of(group) for group in self._due}
            self._spacing = spacing(costs, self.costs.rest, self.costs.bare * self._share * _MARGIN)
        for group in host:
            self._due[group] = step + self._spacing[group]


def spacing(costs: Mapping[str, float], rest: float, allowance: float) -> dict[str, int]:
    """Steps between observations of each group, such that a step takes `allowance` seconds more on average.

    The cheapest group may take an equal part of what is left, and leaves the others what it does not need.
    Where one divides the other, both share steps, and `rest` is paid once.

    Args:
        costs: seconds of an observation by group.
        rest: seconds of a step that observes anything.
    """
    order = sorted(costs, key=lambda group: costs[group])
    chosen: dict[str, int] = {}
    left, step = allowance, 1
    for i, group in enumerate(order):
        cost = costs[group] + (rest if i == 0 else 0.0)
        part = left / (len(order) - i)
        wanted = math.ceil(cost / part) if part > 0 else LEAST_OFTEN
        multiple = math.ceil(min(wanted, LEAST_OFTEN) / step) * step
        chosen[group] = max(1, multiple if multiple <= LEAST_OFTEN else LEAST_OFTEN // step * step)
        left -= cost / chosen[group]
        step = chosen[group]
    return chosen


def _median(values: Collection[float]) -> float:
    return statistics.median(values) if values else 0.0
