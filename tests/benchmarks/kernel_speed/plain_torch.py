"""What it takes to get the fields of a row from plain torch operations, written as a user would.

About 20 passes over the tensor, with temporaries of its size. On CUDA nothing here makes the host wait.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gradprof.kernels.bins import INF_PREFIX, N_BINS, N_PREFIXES, PREFIX_BIN

PlainTorch = Callable[[Tensor], dict[str, Tensor]]


def plain_torch(device: torch.device) -> PlainTorch:
    """What computes the fields of a tensor on `device`: 0-dim tensors, and `hist` int64 `[128]`.

    NaN and inf are counted and left out of everything else; `sum`, `abs_sum` and `sq` are float64.
    """
    table = torch.from_numpy(PREFIX_BIN.astype("int32"))
    table[INF_PREFIX:] = N_BINS  # one bin more, for what has none
    bins = table.to(device)
    count = _bincount if device.type == "cpu" else _histc

    def fields(tensor: Tensor) -> dict[str, Tensor]:
        x = tensor.detach().reshape(-1)
        values = torch.where(torch.isfinite(x), x, 0)
        magnitudes = values.abs()
        n_zero = (x == 0).sum()
        return {
            "n_zero": n_zero,
            "n_nan": x.isnan().sum(),
            "n_inf": x.isinf().sum(),
            "abs_max": magnitudes.amax(),
            "abs_min": torch.where(magnitudes > 0, magnitudes, torch.inf).amin(),
            "sum": values.sum(dtype=torch.float64),
            "abs_sum": magnitudes.sum(dtype=torch.float64),
            "sq": torch.linalg.vector_norm(values, dtype=torch.float64).square(),
            "hist": _hist(count, x, n_zero, bins),
        }

    return fields


def _hist(count: Callable[[Tensor, Tensor], Tensor], x: Tensor, n_zero: Tensor, bins: Tensor) -> Tensor:
    hist = count((x.to(torch.float32).view(torch.int32) & 0x7FFFFFFF) >> 16, bins)
    hist[0] -= n_zero
    return hist[:N_BINS]


def _bincount(prefixes: Tensor, bins: Tensor) -> Tensor:
    counts = torch.bincount(prefixes, minlength=N_PREFIXES)
    return counts.new_zeros(N_BINS + 1).index_add_(0, bins, counts)


def _histc(prefixes: Tensor, bins: Tensor) -> Tensor:
    """On CUDA, where bincount would make the host wait; int32 counts, exact below 2**31 values."""
    return torch.histc(bins[prefixes], N_BINS + 1, 0, N_BINS + 1).to(torch.int64)
