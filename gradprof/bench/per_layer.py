"""`--per-layer`: what each site costs, one after the other: its reduction alone, in us."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradprof.kernels.reducer import Reducer, make_reducer
from gradprof.kernels.torch.reducer import empty_table
from gradprof.observe.hooks import tensors_in
from gradprof.observe.targets import find_modules, find_params
from gradprof.terminal.bar import Rounds

from .clock import Clock
from .results import Figure, Grid, Result
from .target import Training
from .twin import Twin

_SHOWN = 20
_SECONDS_PER_SAMPLE = {"cpu": 0.0, "cuda": 2e-4}
"""One call on a CPU; on a GPU as many as give its events something to measure."""


@dataclass
class _Site:
    numel: int = 0
    """Of all gradients of one step."""
    seconds: list[float] = field(default_factory=list)
    """Of one step, for each round."""


def measure_layers(
    rounds: Rounds, make: Callable[[], Training], device: torch.device, n_rounds: int
) -> Result:
    """The time of reducing each site's gradients, as they come, in a training of its own.

    Reducing is repeated on the same gradient, so its values are in the cache. Parameters are reduced one
    by one here, where gradprof takes all of them at once.
    """
    sites: dict[str, _Site] = {}
    layers = _Layers(Twin(make, device), device, sites)
    try:
        for _ in rounds(n_rounds, "step: per layer"):
            layers.step()
    finally:
        layers.remove()
    if not sites:
        return Result()
    order = sorted(sites, key=lambda label: -statistics.median(sites[label].seconds))
    rows: dict[str, list[Figure | None]] = {label: list(_cells(sites[label])) for label in order}
    grid = Grid("per layer: us per site and step", "", ("us", "values", "ns per value"), rows, _SHOWN)
    note = (
        "per layer: reductions one by one on values in the cache; parameters are reduced all at once in "
        "a training, for less."
    )
    return Result(tables=[grid], notes=[note])


def _cells(site: _Site) -> Iterator[Figure]:
    yield Figure("us", "us", [1e6 * s for s in site.seconds])
    yield Figure("values", "values", [site.numel])
    yield Figure("ns per value", "ns", [1e9 * s / max(site.numel, 1) for s in site.seconds])


class _Layers:
    """A training in which every gradient is reduced into a row of its own and timed."""

    def __init__(self, twin: Twin, device: torch.device, sites: dict[str, _Site]) -> None:
        self._twin = twin
        self._clock = Clock(device, _SECONDS_PER_SAMPLE[device.type])
        dtypes = {param.dtype for param in twin.model.parameters()}
        self._reducer: Reducer = make_reducer("auto", device, threshold=1.0, locate=False, dtypes=dtypes)
        self._rows = empty_table(1, device)
        self._sites = sites
        self._seconds: dict[str, float] = {}
        self._numel: dict[str, int] = {}
        self._handles = [
            module.register_forward_hook(partial(self._forward, site.label))
            for site, module in find_modules(twin.model, "output").items()
        ]

    def step(self) -> None:
        self._seconds, self._numel = {}, {}
        self._twin.prepare()
        self._twin.step(self._parameters)
        for label, seconds in self._seconds.items():
            site = self._sites.setdefault(label, _Site())
            site.numel = self._numel[label]
            site.seconds.append(seconds)

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _forward(self, label: str, _module: nn.Module, _args: Any, output: Any) -> None:
        for tensor in tensors_in(output):
            if tensor.requires_grad:
                tensor.register_hook(partial(self._output, label))

    def _output(self, label: str, grad: Tensor) -> None:
        self._time(label, grad, partial(self._reducer.reduce_into, self._rows, 0, grad))

    def _parameters(self) -> None:
        for site, param in find_params(self._twin.model).items():
            if param.grad is not None:
                act = partial(self._reducer.replace_many, self._rows, [0], [param.grad])
                self._time(site.label, param.grad, act)

    def _time(self, label: str, grad: Tensor, act: Callable[[], object]) -> None:
        with torch.no_grad():
            seconds = self._clock.sampler(act)()
        self._seconds[label] = self._seconds.get(label, 0.0) + seconds
        self._numel[label] = self._numel.get(label, 0) + grad.numel()
