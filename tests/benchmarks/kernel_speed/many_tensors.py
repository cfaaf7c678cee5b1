"""The speed of reducing all parameters of a model at once, beside what torch offers for many tensors.

`torch._foreach_norm` is what torch gives for free, one norm a tensor; the plain-torch equivalent gives
the fields of a row, tensor by tensor. The read ceiling is that of one flat tensor of as many values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from gradprof.bench.pairs import ratios
from gradprof.bench.results import Bound, Check, Figure, Grid, Result
from gradprof.kernels.reducer import Reducer
from gradprof.kernels.torch.reducer import empty_table
from gradprof.record.figures import TensorStats

from .ceiling import HELD_BYTES, gigabytes_per_second, reads_of, with_ceiling
from .contents import filled
from .expected import difference, exact_difference, row_by_plain_torch, stats_of
from .job import Job
from .models import Part, Shape, load_model
from .plain_torch import PlainTorch, plain_torch
from .sizes import ceiling_numel, dtype_name, part_within

BOUNDS = {"Llama 3 8B": Bound("at least", 0.85)}

_COLUMNS = ("M values", "ceiling", "GB/s", "share", "ms", "foreach", "plain")


def measure_many_tensors(job: Job, dtypes: Sequence[torch.dtype]) -> Result:
    """GB/s and ms of `replace_many` for the parameters of each model of these dtypes; ends at the first wrong
    result."""
    found = Result()
    rows: dict[str, list[Figure | None]] = {}
    for name in job.sizes.models:
        try:
            model = load_model(name)
        except ModuleNotFoundError as error:
            found.notes.append(f"Left out: {name}, because {error.name} is not installed.")
            continue
        if model.dtype not in dtypes:
            continue
        part = part_within(job.sizes, model, job.device)
        if part is None:
            found.notes.append(f"Left out: {model.name}, of which not one tensor fits.")
            continue
        if job.rounds.requested:
            break
        check, costs = _measure(job, part)
        found.checks.append(check)
        if not check.passed:
            return found
        if costs.get("ours"):
            rows[f"{part.label}, {dtype_name(model.dtype)}"] = _cells(costs, part)
            found.measured += _held(costs, part, job.device)
    if rows:
        title = "all parameters of a model: GB/s; ms of gradprof, foreach and plain torch"
        found.tables = [Grid(title, "", _COLUMNS, rows)]
        found.notes.append(
            "foreach: torch._foreach_norm, one norm a tensor; plain: plain torch operations that give the "
            "same fields."
        )
    return found


def _measure(job: Job, part: Part) -> tuple[Check, dict[str, list[float]]]:
    """Whether the rows are right, and if so the seconds of each contender."""
    device, reducer = job.device, job.reducer
    tensors = _tensors(part.shapes, part.model.dtype, device)
    fields = plain_torch(device)
    check = _check(reducer, part.label, tensors, fields)
    if not check.passed or job.rounds.requested:
        return check, {}
    flat = filled("normal", ceiling_numel(part.numel, part.model.dtype), part.model.dtype, device)
    rows, indices = empty_table(len(tensors), device), list(range(len(tensors)))
    acts: dict[str, Callable[[], object]] = {
        "ours": partial(reducer.replace_many, rows, indices, tensors),
        "foreach": partial(torch._foreach_norm, tensors),
        "plain": lambda: [fields(tensor) for tensor in tensors],
        **reads_of(flat),
    }
    costs = with_ceiling(job.compare(acts, part.label))
    costs["ceiling"] = [seconds * part.numel / flat.numel() for seconds in costs["ceiling"]]
    return check, costs


def _tensors(shapes: Sequence[Shape], dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Normal values, each tensor in memory of its own, as gradients are."""
    generator = torch.Generator(device=device).manual_seed(0)
    return [
        torch.empty(shape, dtype=dtype, device=device).normal_(std=1e-3, generator=generator)
        for shape in shapes
    ]


def _check(reducer: Reducer, label: str, tensors: list[Tensor], fields: PlainTorch) -> Check:
    """`replace_many` against `reduce_into` and plain torch, twice, because it must not merge."""
    what = f"{label}: {len(tensors)} rows at once are those of one tensor after the other"
    many, single = (empty_table(len(tensors), tensors[0].device) for _ in range(2))
    for _ in range(2):
        reducer.replace_many(many, list(range(len(tensors))), tensors)
    for i, tensor in enumerate(tensors):
        reducer.reduce_into(single, i, tensor)
    for tensor, got, alone in zip(tensors, stats_of(many), stats_of(single), strict=True):
        plain = TensorStats.from_row(row_by_plain_torch(fields, tensor))
        if failure := exact_difference(got, alone) or difference(got, plain):
            return Check(what, f"of the tensor {list(tensor.shape)}, {failure}")
    return Check(what)


def _cells(costs: dict[str, list[float]], part: Part) -> list[Figure | None]:
    n_bytes = part.numel * part.model.dtype.itemsize
    return [
        Figure("values", "million", [part.numel / 1e6]),
        Figure("ceiling", "GB/s", gigabytes_per_second(n_bytes, costs["ceiling"])),
        Figure("replace_many", "GB/s", gigabytes_per_second(n_bytes, costs["ours"])),
        Figure("share", "ratio", ratios(costs["ceiling"], of=costs["ours"])),
        *(
            Figure(name, "ms", [1e3 * seconds for seconds in costs[key]])
            for name, key in (
                ("replace_many", "ours"),
                ("_foreach_norm", "foreach"),
                ("plain torch", "plain"),
            )
        ),
    ]


def _held(costs: dict[str, list[float]], part: Part, device: torch.device) -> list[Figure]:
    """What has a bound on a GPU."""
    bound = BOUNDS.get(part.model.name)
    if device.type != "cuda" or bound is None or part.numel * part.model.dtype.itemsize < HELD_BYTES:
        return []
    return [Figure(f"share, {part.label}", "ratio", ratios(costs["ceiling"], of=costs["ours"]), bound)]
