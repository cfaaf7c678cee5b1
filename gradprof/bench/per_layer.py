"""`--per-layer`: what each site costs, one after the other: its reduction alone, in us."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
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


def measure_layers(
    rounds: Rounds, make: Callable[[], Training], device: torch.device, n_rounds: int
) -> Result:
    """The time of reducing each site's gradients, as they come, in a training of its own.

    Reducing is repeated on the same gradient, so its values are in the cache. Parameters are reduced one
    by one here, where gradprof takes all of them at once.
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    layers = _Layers(Twin(make, device), device)
    try:
        for _ in rounds(n_rounds, "step: per layer"):
            layers.step()
            for label, taken in layers.seconds.items():
                seconds[label].append(taken)
    finally:
        layers.remove()
    if not seconds:
        return Result()
    order = sorted(seconds, key=lambda label: -statistics.median(seconds[label]))
    rows: dict[str, list[Figure | None]] = {
        label: list(_cells(seconds[label], layers.numel[label])) for label in order
    }
    grid = Grid("per layer: us per site and step", "", ("us", "values", "ns per value"), rows, _SHOWN)
    note = (
        "per layer: reductions one by one on values in the cache; parameters are reduced all at once in "
        "a training, for less."
    )
    return Result(tables=[grid], notes=[note])


def _cells(seconds: list[float], numel: int) -> Iterator[Figure]:
    yield Figure("us", "us", [1e6 * s for s in seconds])
    yield Figure("values", "values", [numel])
    yield Figure("ns per value", "ns", [1e9 * s / max(numel, 1) for s in seconds])


class _Layers:
    """A training in which every gradient is reduced into a row of its own and timed."""

    def __init__(self, twin: Twin, device: torch.device) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.numel: dict[str, int] = defaultdict(int)
        """By site, of all its gradients in the latest step."""
        self._twin = twin
        self._clock = Clock(device, _SECONDS_PER_SAMPLE[device.type])
        dtypes = {param.dtype for param in twin.model.parameters()}
        self._reducer: Reducer = make_reducer("auto", device, threshold=1.0, locate=False, dtypes=dtypes)
        self._rows = empty_table(1, device)
        self._handles = [
            module.register_forward_hook(partial(self._forward, site.label))
            for site, module in find_modules(twin.model, "output").items()
        ]

    def step(self) -> None:
        self.seconds.clear()
        self.numel.clear()
        self._twin.prepare()
        self._twin.step(self._parameters)

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
            self.seconds[label] += self._clock.sampler(act)()
        self.numel[label] += grad.numel()
