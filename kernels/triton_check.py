"""That the compiled kernels are right on this very device, before anything is believed of them.

Machine code depends on the versions of Triton, ptxas and the driver, of which more exist than were tried.
So, once in a process and on each device, a few thousand awkward values are reduced by the kernels and by
the specification, and every exact field is compared.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .row import ROW_DTYPE
from .torch_backend import TorchReducer, empty_table
from .triton_backend import CODES, TritonReducer


@lru_cache
def check_on_device(device: torch.device) -> None:
    """Raise RuntimeError if the kernels and the specification disagree. Waits for the device."""
    tensors = [_awkward(dtype, device) for dtype in CODES]
    kernels, specification = TritonReducer(device), TorchReducer()
    expected = empty_table(len(tensors), device)
    specification.replace_many(expected, list(range(len(tensors))), tensors)
    one_by_one, together = empty_table(len(tensors), device), empty_table(len(tensors), device)
    for i, tensor in enumerate(tensors):
        kernels.reduce_into(one_by_one, i, tensor)
    kernels.replace_many(together, list(range(len(tensors))), tensors)
    for got in (one_by_one, together):
        wrong = _wrong_field(got.cpu(), expected.cpu())
        if wrong:
            raise RuntimeError(
                f"the compiled reductions are wrong on {torch.cuda.get_device_name(device)}: {wrong}. "
                "Please report this with the versions of torch and triton"
            )


def _awkward(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Whole blocks of ordinary values and zeros, one of exceptions, and an odd rest; not aligned."""
    ordinary = torch.logspace(-6, 2, 20_000, dtype=torch.float64)
    ordinary[::3] *= -1
    ordinary[::5] = 0
    exceptions = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e-40, 1e-30, 3e38, 0.0, -1.0] * 500)
    values = torch.cat([ordinary, exceptions.double(), ordinary[:777]])
    return values.to(dtype).to(device)[1:]


def _wrong_field(got: Tensor, expected: Tensor) -> str:
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
