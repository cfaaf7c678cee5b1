"""What the reductions cost: against numpy, against merely reading, for many tensors, and per launch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial

import torch

from gradprof.bench.results import Result
from gradprof.kernels import reducer as backends
from gradprof.kernels.reducer import Reducer
from gradprof.observe.measurement import measure
from gradprof.record.figures import TensorStats
from gradprof.terminal.bar import Rounds

from .idiom import compare_with_idiom
from .job import Job
from .launch_cost import measure_launch_cost
from .many_tensors import measure_many_tensors
from .single_tensor import measure_single_tensors
from .sizes import Sizes

_BOUND_SETUP = {
    "cpu": "16 Mi float32 on a CPU",
    "cuda": "64 MiB and more on a GPU, and launches from its host; against numpy for 16 Mi float32 on a CPU",
}


def make_reducer(backend: str, device: torch.device) -> Reducer:
    """As `watch` uses it by default.

    Raises:
        ValueError, ImportError: the backend does not exist, or does not run here.
    """
    return backends.make_reducer(backend, device, threshold=1.0, locate=False)


def measure_kernels(
    rounds: Rounds,
    device: torch.device,
    pairs: int,
    sizes: Sizes,
    backend: str = "auto",
    measure: Callable[..., TensorStats] = measure,
    make_reducer: Callable[[str, torch.device], Reducer] = make_reducer,
) -> Result:
    """All parts, up to the first in which a result is wrong.

    Args:
        measure: what measures one tensor and waits, `gradprof.measure`.
        make_reducer: what makes the reducer of a backend for a device.
    """
    result = Result("kernels", bound_setup=_BOUND_SETUP[device.type])
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        reducer = make_reducer(backend, device)
        reducer.prepare(_dtypes(sizes), scaled=False)
        for part in _parts(Job(rounds, device, pairs, sizes, reducer), partial(measure, backend=backend)):
            result.add(part())
            if device.type == "cuda":
                torch.cuda.empty_cache()
            if rounds.requested or not result.correct:
                break
    chosen = type(reducer).__name__.removesuffix("Reducer").lower()
    result.setup = (
        f"{' and '.join(sizes.dtypes)} on {device}, {chosen} backend; randn * 1e-3 unless said otherwise; "
        "share: of the read ceiling, measured in the same rounds"
    )
    result.options = {"device": str(device), "backend": backend, "chosen": chosen, "pairs": pairs}
    result.options |= asdict(sizes)
    return result


def _parts(job: Job, measure: Callable[..., TensorStats]) -> Iterator[Callable[[], Result]]:
    """Each part begins where the one before it has given back its memory."""
    dtypes = _dtypes(job.sizes)
    if torch.float32 in dtypes:
        yield partial(compare_with_idiom, job, measure)
    for dtype in dtypes:
        yield partial(measure_single_tensors, job, dtype)
    yield partial(measure_many_tensors, job, dtypes)
    yield partial(measure_launch_cost, job, dtypes[0])


def _dtypes(sizes: Sizes) -> list[torch.dtype]:
    return [getattr(torch, name) for name in sizes.dtypes]
