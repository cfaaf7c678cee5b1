"""The speed of reducing one tensor, beside that of merely reading it.

The read ceiling is the fastest of three torch reductions that keep nothing but one number, on the same
tensor and in the same rounds. `reduce_into` is called again and again without waiting for its result,
so for small tensors both sides measure how fast calls follow each other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gradprof.bench.pairs import ratios
from gradprof.bench.results import Bound, Check, Figure, Grid, Result
from gradprof.kernels.reducer import Reducer
from gradprof.kernels.torch.reducer import empty_table
from gradprof.record.figures import TensorStats

from .ceiling import HELD_BYTES, gigabytes_per_second, reads_of, with_ceiling
from .contents import CONTENTS, TIMED, filled
from .expected import MAX_NUMPY, difference, expected_of, row_by_plain_torch, stats_of
from .job import Job
from .plain_torch import plain_torch
from .sizes import binary, dtype_name, grid_within

SHARE_BOUNDS = {torch.float32: Bound("at least", 0.9), torch.bfloat16: Bound("at least", 0.8)}
ONE_BIN_BOUND = Bound("at least", 0.9)

_COLUMNS = ("ceiling", "normal", "share", *(name for name in TIMED if name != "normal"))


def measure_single_tensors(job: Job, dtype: torch.dtype) -> Result:
    """GB/s by size and content for tensors of one dtype; nothing is timed if a result is wrong."""
    numels, notes = grid_within(job.sizes, dtype, job.device)
    found = Result(notes=notes)
    tensors: dict[str, Tensor] = {}
    for content, _ in zip(
        CONTENTS, job.rounds(len(CONTENTS), f"kernels: checking {dtype_name(dtype)}"), strict=False
    ):
        values = filled(content, numels[-1], dtype, job.device)
        found.checks += _check(job.reducer, content, values, numels)
        if content in TIMED:
            tensors[content] = values
    if not found.correct or job.rounds.requested:
        return found
    rows = {}
    for n in numels:
        if job.rounds.requested:
            break
        costs = _costs(job, {name: values[:n] for name, values in tensors.items()})
        if not costs["normal"]:  # Ctrl-C came before the first round
            break
        rows[binary(n)] = _cells(costs, n * dtype.itemsize)
        if n * dtype.itemsize >= HELD_BYTES:
            found.measured += _held(costs, n, dtype, job.device)
    title = f"one tensor of {dtype_name(dtype)}: GB/s of reading it, and of reducing it by its contents"
    found.tables = [Grid(title, "elements", _COLUMNS, rows)]
    return found


def _check(reducer: Reducer, content: str, values: Tensor, numels: list[int]) -> list[Check]:
    """The row of each size, and the fields of plain torch, which stand for numpy's above `MAX_NUMPY`."""
    name = f"{dtype_name(values.dtype)}, {content}"
    fields = plain_torch(values.device)
    plain = Check(f"{name}: plain torch and numpy give the same fields")
    exact = f"{name}: counts, extrema and histogram exact, sums to 1e-6"
    for n in numels:
        tensor = values[:n]
        expected = expected_of(tensor)
        if n <= MAX_NUMPY:
            failure = difference(TensorStats.from_row(row_by_plain_torch(fields, tensor)), expected)
            plain = Check(plain.what, plain.failure or failure)
        rows = empty_table(1, values.device)
        reducer.reduce_into(rows, 0, tensor)
        if failure := difference(stats_of(rows)[0], expected):
            return [Check(exact, f"of {binary(n)} elements, {failure}")]
    return [Check(exact), *([] if plain.passed else [plain])]


def _costs(job: Job, tensors: dict[str, Tensor]) -> dict[str, list[float]]:
    """Seconds of reducing each content, and as "ceiling" of the read of normal values that is fastest."""
    normal = tensors["normal"]
    table = empty_table(1, normal.device)
    acts: dict[str, Callable[[], object]] = {
        name: partial(job.reducer.reduce_into, table, 0, tensor) for name, tensor in tensors.items()
    }
    acts |= reads_of(normal)
    return with_ceiling(job.compare(acts, f"{dtype_name(normal.dtype)}, {binary(normal.numel())}"))


def _cells(costs: dict[str, list[float]], n_bytes: int) -> list[Figure | None]:
    cells: dict[str, Figure | None] = {
        name: Figure(name, "GB/s", gigabytes_per_second(n_bytes, taken)) for name, taken in costs.items()
    }
    cells["share"] = Figure("share", "ratio", ratios(costs["ceiling"], of=costs["normal"]))
    return [cells[name] for name in _COLUMNS]


def _held(
    costs: dict[str, list[float]], numel: int, dtype: torch.dtype, device: torch.device
) -> list[Figure]:
    """What has a bound on a GPU."""
    on_gpu = device.type == "cuda"
    what = f"{dtype_name(dtype)}, {binary(numel)}"
    share = ratios(costs["ceiling"], of=costs["normal"])
    one_bin = ratios(costs["normal"], of=costs["one bin"])
    return [
        Figure(f"share, {what}", "ratio", share, SHARE_BOUNDS[dtype] if on_gpu else None),
        Figure("  one bin / normal", "ratio", one_bin, ONE_BIN_BOUND if on_gpu else None),
    ]
