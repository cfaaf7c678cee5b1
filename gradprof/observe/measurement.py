"""`gradprof.measure`: one tensor, one reduction, all the figures."""

from __future__ import annotations

import torch

from gradprof.kernels.reducer import make_reducer
from gradprof.kernels.row import ROW_DTYPE
from gradprof.kernels.torch.reducer import empty_table
from gradprof.record.figures import TensorStats
from gradprof.terminal.progress import note_if_slow


def measure(
    tensor: torch.Tensor, threshold: float = 1.0, locate: bool = False, backend: str = "auto"
) -> TensorStats:
    """Reduce `tensor` where it lies, in one pass, and wait for the result.

    Args:
        tensor: any floating or complex dtype (complex by magnitude, sparse with its implicit zeros),
            any shape, any strides.
        threshold: `n_above` counts finite magnitudes >= threshold, compared as exact real numbers.
        locate: also find `argmax`, the smallest flat index at which `abs_max` stands.
        backend: "triton" (fused kernels on a CUDA device), "numba" (compiled loops on the CPU, where numba is
            installed), "torch" (any device), or "auto": the fastest that runs.

    Sums accumulate in float64: `l1` and `l2` are within 1e-6 (1e-12 for float64 input) of an exact
    computation over the whole finite range, `mean` within 1e-6 of `abs_mean`. NaN and inf are counted
    and excluded from everything else.

    Raises:
        TypeError: `tensor` is not a tensor, or of an integer or boolean dtype.
        ValueError: `threshold` is not a number >= 0, or `backend` is unknown or cannot run on the device.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(
            f"measure() got a {type(tensor).__name__}: expected a torch.Tensor; "
            "convert it with torch.as_tensor()"
        )
    with note_if_slow(f"gradprof is compiling its reductions for {tensor.device} ..."):
        reducer = make_reducer(backend, tensor.device, threshold=threshold, locate=locate)
    rows = empty_table(1, tensor.device)
    with torch.no_grad():
        reducer.reduce_into(rows, 0, tensor)
    return TensorStats.from_row(rows.cpu().numpy().view(ROW_DTYPE)[0])
