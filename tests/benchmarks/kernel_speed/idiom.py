"""`gradprof.measure` against the numpy idiom that it replaces: both wait for their result."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradprof.bench.pairs import ratios
from gradprof.bench.results import Bound, Check, Figure, Result
from gradprof.record.figures import TensorStats

from .contents import filled
from .expected import difference, expected_of
from .job import Job
from .sizes import binary

BOUND = Bound("at least", 5.0)

Measure = Callable[[Tensor], TensorStats]


def numpy_idiom(tensor: Tensor) -> npt.NDArray[np.int64]:
    """What people write to see a gradient's orders of magnitude."""
    exponents: npt.NDArray[np.int64] = (tensor.abs() + 1e-30).log10().flatten().cpu().numpy().astype(int)
    return exponents


def seconds(act: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def compare_with_idiom(job: Job, measure: Measure) -> Result:
    """How many times as fast, on normal float32 values."""
    sizes = job.sizes
    numel = min(sizes.numel, sizes.max_numel or sizes.numel)
    values = filled("normal", numel, torch.float32, job.device)
    failure = difference(measure(values), expected_of(values))
    found = Result(checks=[Check(f"gradprof.measure gives the fields of {binary(numel)} values", failure)])
    if not found.correct:
        return found
    contenders = {
        "gradprof.measure": partial(seconds, partial(measure, values)),
        "numpy": partial(seconds, partial(numpy_idiom, values)),
    }
    for contender in contenders.values():
        contender()  # the first call allocates scratch
    costs = job.alternate(contenders, "against numpy")
    speed_up = ratios(costs["numpy"], of=costs["gradprof.measure"])
    found.measured = [
        Figure("times as fast as numpy", "x", speed_up, BOUND),
        *(Figure(f"  {name}", "ms", [1e3 * s for s in taken]) for name, taken in costs.items()),
    ]
    found.notes = [
        f"numpy: (x.abs() + 1e-30).log10().flatten().numpy().astype(int) of {binary(numel)} float32."
    ]
    return found
