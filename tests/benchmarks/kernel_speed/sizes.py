"""How much the kernels benchmark measures, and what of it this device's memory holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .contents import TIMED
from .models import MODELS, Model, Part, Shape, numel_of

_MAX_NUMEL_ON_CPU = 1 << 24
_MAX_MODEL_NUMEL_ON_CPU = 1 << 25
_WORKING_BYTES = {"cpu": 512 << 20, "cuda": 2 << 30}
"""Left for temporaries of slices: those of the checks, and of the torch backend."""
_PLAIN_TORCH_BYTES = 40
"""Of temporaries per value, in the plain-torch equivalent of a whole tensor."""
_MAX_CEILING_BYTES = 1 << 30
PREFIXES = {"Gi": 1 << 30, "Mi": 1 << 20, "Ki": 1 << 10}


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    numel: int = 1 << 24
    """Of the tensor on which gradprof.measure and numpy compete."""
    grid: tuple[int, ...] = (1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 24, 1 << 26, 1 << 30)
    max_numel: int | None = None
    """Of one tensor, and of a model; None: what memory holds, and on a CPU what takes about a minute."""
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    models: tuple[str, ...] = MODELS
    seconds_per_sample: float = 0.01
    seconds_per_comparison: float | None = 6.0
    """After three rounds, a comparison that took so long is over; None: never before the last round."""


QUICK = Sizes(
    numel=1 << 20, grid=(1 << 10, 1 << 14), max_numel=1 << 20, models=("resnet50",), seconds_per_sample=1e-3
)


def grid_within(sizes: Sizes, dtype: torch.dtype, device: torch.device) -> tuple[list[int], list[str]]:
    """The sizes to measure, ascending, and a note on each reason for which others are left out."""
    limit, why = sizes.max_numel, "--max-numel"
    if limit is None and device.type == "cpu":
        limit, why = _MAX_NUMEL_ON_CPU, "the default on a CPU; see --max-numel"
    ordered = sorted(sizes.grid)
    if limit is not None and limit < ordered[0]:
        ordered = [limit]
    wanted = [n for n in ordered if limit is None or n <= limit]
    available, working = available_bytes(device), _WORKING_BYTES[device.type]
    needed = {n: n * dtype.itemsize * len(TIMED) + working for n in wanted}
    fitting = [n for n in wanted if needed[n] <= available] or wanted[:1]
    notes = []
    if len(wanted) < len(ordered):
        assert limit is not None
        notes.append(f"Left out: {_listed(ordered[len(wanted) :])} elements, above {binary(limit)} ({why}).")
    if len(fitting) < len(wanted):
        notes.append(
            f"Left out: {_listed(wanted[len(fitting) :])} elements of {dtype_name(dtype)}, which need "
            f"{needed[wanted[len(fitting)]] / 2**30:.1f} GiB or more; {available / 2**30:.1f} GiB are free."
        )
    return fitting, notes


def part_within(sizes: Sizes, model: Model, device: torch.device) -> Part | None:
    """As much of `model` as is wanted and fits into memory; None if that is nothing."""
    limit = sizes.max_numel
    if limit is None and device.type == "cpu":
        limit = _MAX_MODEL_NUMEL_ON_CPU
    available = available_bytes(device)

    def fits(shapes: Sequence[Shape]) -> bool:
        n = numel_of(shapes)
        largest = max(numel_of([shape]) for shape in shapes)
        needed = n * model.dtype.itemsize + ceiling_numel(n, model.dtype) * model.dtype.itemsize
        needed += largest * _PLAIN_TORCH_BYTES + _WORKING_BYTES[device.type]
        return (limit is None or n <= limit) and needed <= available

    return model.part(fits)


def ceiling_numel(numel: int, dtype: torch.dtype) -> int:
    """Of the flat tensor whose reading is the ceiling for many tensors of `numel` values together."""
    return min(numel, _MAX_CEILING_BYTES // dtype.itemsize)


def available_bytes(device: torch.device) -> int:
    """Free memory; what torch has reserved and does not use is free too."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    try:
        with open("/proc/meminfo") as file:
            kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in file}
        return kibibytes["MemAvailable"] << 10
    except (OSError, KeyError):  # not Linux: half of what is installed
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def binary(n: int) -> str:
    """16777216 as 16 Mi."""
    for prefix, factor in PREFIXES.items():
        if n >= factor and n % factor == 0:
            return f"{n // factor} {prefix}"
    return str(n)


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(binary, sizes))
