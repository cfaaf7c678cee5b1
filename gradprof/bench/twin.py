"""Twins: trainings alike in every bit, one of which is watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from torch import Tensor

import gradprof

from .results import Check
from .target import Training

_TOLERANCE = 1e-6


class Twin:
    """A training. Twins of equal age have seen the same data and the same random numbers."""

    def __init__(self, make: Callable[[], Training], device: torch.device) -> None:
        torch.manual_seed(0)
        self.training = make()
        self.model = self.training.model
        params = [param for param in self.model.parameters() if param.requires_grad]
        self.optimizer = torch.optim.SGD(params, lr=0.01, momentum=0.9)
        self.age = 0
        self.synchronize: Callable[[], object] = torch.get_device_module(device).synchronize

    def prepare(self) -> None:
        """What a step needs before it is timed."""
        torch.manual_seed(self.age)
        self.synchronize()

    def step(self, after_backward: Callable[[], object] | None = None) -> None:
        """Train one step, and wait for the device; `prepare` comes first."""
        batch = self.training.batches[self.age % len(self.training.batches)]
        self.age += 1
        self.optimizer.zero_grad()
        self.training.loss(self.model, batch).backward()
        if after_backward is not None:
            after_backward()
        self.optimizer.step()
        self.synchronize()

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters, buffers and the optimizer's state, named."""
        yield from self.model.state_dict().items()
        for index, values in self.optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    yield f"optimizer state {name} of parameter {index}", value


def check_twins(bare: Twin, watched: Twin) -> Check:
    """Watching changes nothing: parameters, buffers and the optimizer's state hold the same bits."""
    what = f"twins are bit-identical after {bare.age} steps"
    differing = [
        name
        for (name, left), (_, right) in zip(bare.state(), watched.state(), strict=True)
        if not torch.equal(_bytes(left), _bytes(right))
    ]
    if differing:
        return Check(what, f"{len(differing)} tensors differ, the first is {differing[0]}")
    return Check(what)


def check_record(twin: Twin, run: gradprof.Run, norms: bool) -> list[Check]:
    """The run on disk has every step and, if `norms`, the last one's are those of `p.grad` to 1e-6."""
    steps = Check(f"the run on disk holds all {twin.age} steps")
    if run.steps.tolist() != list(range(twin.age)):
        steps = Check(steps.what, f"it holds {len(run.steps)}")
    if not norms:
        return [steps]
    what = "the last L2 norms are those of p.grad"
    if not len(run.steps):
        return [steps, Check(what, "there is no step")]
    recorded = dict(zip(run.sites, run.table("l2")[-1].tolist(), strict=True))
    for name, param in twin.model.named_parameters():
        if param.grad is None:
            continue
        grad = param.grad.double().cpu().numpy().reshape(-1)
        expected = float(np.linalg.norm(grad[np.isfinite(grad)]))
        got = recorded.get(f"param/{name}", float("nan"))
        if not abs(got - expected) <= _TOLERANCE * expected:
            return [steps, Check(what, f"{name} has {expected!r}, recorded is {got!r}")]
    return [steps, Check(what)]


def own_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """The caller's generators stay as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def deterministic_cudnn() -> Iterator[None]:
    """Twins can only be alike if the same convolution gives the same bits each time."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


def _bytes(tensor: Tensor) -> Tensor:
    """The bits of a tensor, to compare those of NaN too."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
