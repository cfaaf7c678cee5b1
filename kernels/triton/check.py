"""That the compiled kernels are right on this very device, before anything is believed of them.

Machine code depends on the versions of Triton, ptxas and the driver, of which more exist than were tried.
So, once in a process and on each device, a few thousand awkward values are reduced by the kernels and by
the specification, and every exact field is compared.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from gradprof.kernels.row import ROW_DTYPE
from gradprof.kernels.torch.reducer import TorchReducer, empty_table

from .compiler import config_of
from .reducer import CODES, TritonReducer


@lru_cache
def check_on_device(device: torch.device) -> None:
    """Raise RuntimeError if the kernels and the specification disagree. Waits for the device."""
    ordinary, awkward = (
        [values.to(dtype).to(device)[first:] for dtype in CODES for first in (0, 1)]
        for values in (_ordinary(), _awkward())
    )
    few_programs = replace(config_of(device), programs=2)
    wrong = _wrong_field(TritonReducer(device), TorchReducer(), awkward) or _wrong_field(
        TritonReducer(device, config=few_programs), TorchReducer(), ordinary + awkward
    )
    if wrong:
        raise RuntimeError(
            f"the compiled reductions are wrong on {torch.cuda.get_device_name(device)}: {wrong}. "
            "Please report this with the versions of torch and triton"
        )


def _ordinary() -> Tensor:
    """What the fast pass takes, and zeros."""
    values = torch.logspace(-6, 2, 50_000, dtype=torch.float64, device="cpu")
    values[::3] *= -1
    values[::5] = 0
    return values


def _awkward() -> Tensor:
    """The same, and every exception among it."""
    exceptions = [torch.nan, torch.inf, -torch.inf, 1e-40, 1e-30, 3e38, 0.0, -1.0]
    repeated = torch.tensor(exceptions * 500, dtype=torch.float64, device="cpu")
    return torch.cat([_ordinary(), repeated, _ordinary()[:777]])


def _wrong_field(kernels: TritonReducer, specification: TorchReducer, tensors: list[Tensor]) -> str:
    """The first field in which the kernels, one by one or together, differ; empty if none does."""
    indices = list(range(len(tensors)))
    expected, one_by_one, together = (empty_table(len(tensors), kernels.device) for _ in range(3))
    specification.replace_many(expected, indices, tensors)
    for i, tensor in enumerate(tensors):
        kernels.reduce_into(one_by_one, i, tensor)
    kernels.replace_many(together, indices, tensors)
    return _difference(one_by_one.cpu(), expected.cpu()) or _difference(together.cpu(), expected.cpu())


def _difference(got: Tensor, expected: Tensor) -> str:
    """The first field in which two tables differ; empty if none does."""
    rows, wanted = (table.numpy().view(ROW_DTYPE)[:, 0] for table in (got, expected))
    for name in ROW_DTYPE.names or ():
        same = (rows[name] == wanted[name]).all()
        if name in ("sum", "abs_sum", "sq"):
            scale = wanted["sq"] if name == "sq" else wanted["abs_sum"]
            same = (abs(rows[name] - wanted[name]) <= 1e-6 * scale).all()
        if not same and not name.endswith(("_big", "_small")):
            return f"{name} is {rows[name].tolist()}, expected {wanted[name].tolist()}"
    return ""
