"""What a reduction costs the thread that asks for it: microseconds of host time per call, small tensors.

On CUDA a call returns before the device has done the work; on a CPU the work is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle

import torch
from torch import Tensor

from gradprof.bench.results import Bound, Check, Figure, Result
from gradprof.kernels.torch.reducer import empty_table

from .contents import filled
from .expected import exact_difference, stats_of
from .job import Job
from .sizes import binary, dtype_name

BOUND = Bound("at most", 15.0)

NUMEL = 1 << 10
N_TENSORS = 161
"""As many as resnet50 has."""


def measure_launch_cost(job: Job, dtype: torch.dtype) -> Result:
    """Microseconds per call of `reduce_into` and `replace_many`, each beside torch's own for one norm.

    A third call finds the tensors elsewhere each time, as where gradients are allocated anew.
    """
    device, reducer = job.device, job.reducer
    tensors = [filled("normal", NUMEL, dtype, device) for _ in range(N_TENSORS)]
    alone, rows = empty_table(1, device), empty_table(N_TENSORS, device)
    indices = list(range(N_TENSORS))
    reducer.reduce_into(alone, 0, tensors[0])
    reducer.replace_many(rows, indices, tensors)
    found = Result(checks=[_check(alone, rows)])
    if not found.correct:
        return found
    call, bound = ("launch", BOUND) if job.on_gpu else ("call", None)
    places = cycle([tensors, [tensor.clone() for tensor in tensors]])
    acts: dict[str, Callable[[], object]] = {
        f"{call}, reduce_into": partial(reducer.reduce_into, alone, 0, tensors[0]),
        "  vector_norm": partial(torch.linalg.vector_norm, tensors[0]),
        f"{call}, replace_many": partial(reducer.replace_many, rows, indices, tensors),
        "  of moved tensors": lambda: reducer.replace_many(rows, indices, next(places)),
        "  _foreach_norm": partial(torch._foreach_norm, tensors),
    }
    costs = job.compare(acts, "launch cost", of_the_host=True)
    found.measured = [
        Figure(name, "us", [1e6 * s for s in taken], bound if name.startswith(call) else None)
        for name, taken in costs.items()
    ]
    found.notes = [
        f"{call}: host time of one call, for one tensor and for {N_TENSORS}, each of {binary(NUMEL)} "
        f"{dtype_name(dtype)}."
    ]
    return found


def _check(alone: Tensor, rows: Tensor) -> Check:
    """All tensors hold the same values."""
    (wanted,) = stats_of(alone)
    failures = (exact_difference(got, wanted) for got in stats_of(rows))
    return Check(f"{len(rows)} small tensors have equal rows", next(filter(None, failures), ""))
