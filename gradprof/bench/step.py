"""What watching costs a training step: twins of one model, one bare and one watched, step in turn.

The profiler hands a step to its writer thread at the first sign of the next one, so the writer's work
for a watched step runs beside the next watched step, and is counted there, not in the bare step between.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradprof.profiler import Profiler, watch
from gradprof.run import Run, load

from .pairs import alternate, ratios
from .results import Bound, Check, Figure, Result
from .session import Session

BOUND = Bound("at most", 1.30)
BOUND_SETUP = "resnet18, batch 32 of 3x64x64, on a CPU, parameters and outputs at every iteration"

_N_CLASSES = 10
_N_BATCHES = 4
_N_WARM_UP = 3
_TOLERANCE = 1e-6
_OBSERVE = {"parameters and outputs": ("param", "output"), "parameters only": ("param",)}

Watch = Callable[..., Profiler]


@dataclass(frozen=True)
class Setup:
    """What is trained."""

    model: str
    batch_size: int
    image_size: int
    device: torch.device

    def __str__(self) -> str:
        images = f"batch {self.batch_size} of 3x{self.image_size}x{self.image_size}"
        return f"{self.model}, {images}, SGD with momentum, on {self.device}"


def check_setup(setup: Setup) -> None:
    """Train one step without gradprof.

    Raises:
        ImportError: torchvision is not installed.
        ValueError: it has no such model, or the model cannot be trained like this.
    """
    make_model = _maker(setup.model)
    with _own_random_numbers(setup.device):
        try:
            _Twin(make_model, setup).step()
        except (ValueError, RuntimeError) as error:  # images too small, a batch of one, memory
            raise ValueError(f"cannot train {setup}: {error}") from error


def measure_step(session: Session, setup: Setup, pairs: int, watch: Watch = watch) -> Result:
    """Step time watched / bare, every iteration recorded into a run that is removed afterwards.

    Args:
        watch: what watches, `gradprof.watch`.

    Raises: as `check_setup`, which says more of what is wrong.
    """
    make_model = _maker(setup.model)
    checks: list[Check] = []
    figures: list[Figure] = []
    with _own_random_numbers(setup.device), _deterministic_cudnn():
        for what, observe in _OBSERVE.items():
            if session.stopped:
                break
            costs, found = _compare(session, make_model, setup, pairs, what, observe, watch)
            checks += [Check(f"{what}: {check.what}", check.failure) for check in found]
            bound = BOUND if "output" in observe else None
            figures.append(Figure(what, "ratio", ratios(costs["watched"], of=costs["bare"]), bound))
            figures += [Figure(f"  {name} step", "ms", [1e3 * s for s in costs[name]]) for name in costs]
    return Result(
        name="step",
        setup=f"{setup}; step time watched / bare, in pairs",
        bound_setup=BOUND_SETUP,
        options={
            "model": setup.model,
            "batch_size": setup.batch_size,
            "image_size": setup.image_size,
            "device": str(setup.device),
            "pairs": pairs,
        },
        checks=checks,
        figures=figures,
        interrupted=session.stopped,
    )


class _Twin:
    """A model in training. Twins of equal age have seen the same data and the same random numbers."""

    def __init__(self, make_model: Callable[[], nn.Module], setup: Setup) -> None:
        torch.manual_seed(0)
        self.model = make_model().to(setup.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.age = 0
        size = setup.image_size
        self._images = torch.randn(_N_BATCHES, setup.batch_size, 3, size, size, device=setup.device)
        self._labels = torch.randint(_N_CLASSES, (_N_BATCHES, setup.batch_size), device=setup.device)
        self._synchronize = torch.get_device_module(setup.device).synchronize

    def step(self) -> float:
        """Train one step; the seconds until the device has finished it."""
        batch = self.age % _N_BATCHES
        torch.manual_seed(self.age)
        self.age += 1
        self._synchronize()
        start = time.perf_counter()
        self.optimizer.zero_grad()
        output = self.model(self._images[batch])
        logits = output if isinstance(output, Tensor) else output[0]
        nn.functional.cross_entropy(logits, self._labels[batch]).backward()
        self.optimizer.step()
        self._synchronize()
        return time.perf_counter() - start

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters, buffers and the optimizer's state, named."""
        yield from self.model.state_dict().items()
        for index, values in self.optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    yield f"optimizer state {name} of parameter {index}", value


def _compare(
    session: Session,
    make_model: Callable[[], nn.Module],
    setup: Setup,
    pairs: int,
    what: str,
    observe: tuple[str, ...],
    watch: Watch,
) -> tuple[dict[str, list[float]], list[Check]]:
    """The costs of "bare" and "watched" steps, and whether both twins and the record are right."""
    with tempfile.TemporaryDirectory(prefix="gradprof-bench-") as directory:
        bare, watched = _Twin(make_model, setup), _Twin(make_model, setup)
        logdir = Path(directory) / "run"
        with watch(watched.model, logdir, optimizer=watched.optimizer, observe=observe):
            for _ in session.rounds(_N_WARM_UP, f"step: {what}, warming up"):
                bare.step()
                watched.step()
            rounds = session.rounds(pairs, f"step: {what}")
            costs = alternate({"bare": bare.step, "watched": watched.step}, rounds)
        return costs, [_check_twins(bare, watched), *_check_record(watched, load(logdir))]


def _check_twins(bare: _Twin, watched: _Twin) -> Check:
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


def _check_record(twin: _Twin, run: Run) -> list[Check]:
    """The run on disk has every step, and the last one's norms are those of `p.grad` to 1e-6."""
    steps = Check(f"the run on disk holds all {twin.age} steps")
    if run.steps.tolist() != list(range(twin.age)):
        steps = Check(steps.what, f"it holds {len(run.steps)}")
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


def _bytes(tensor: Tensor) -> Tensor:
    """The bits of a tensor, to compare those of NaN too."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def _maker(name: str) -> Callable[[], nn.Module]:
    try:
        from torchvision import models
    except ImportError as error:
        raise ImportError("the step benchmark needs torchvision: pip install torchvision") from error
    if name not in models.list_models(module=models):
        from gradprof.sites import near_names

        raise ValueError(
            f"torchvision has no model {name!r}; {near_names(name, models.list_models(module=models))}"
        )
    options: dict[str, Any] = {"weights": None, "num_classes": _N_CLASSES}
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # takes minutes
    return lambda: models.get_model(name, **options)


def _own_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """The caller's generators stay as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def _deterministic_cudnn() -> Iterator[None]:
    """Twins can only be alike if the same convolution gives the same bits each time."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
