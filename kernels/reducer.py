"""Which implementation reduces: an explicit choice fails loudly, the automatic one takes what runs.

"torch"     plain torch operations, on any device
"triton"    fused kernels, on a CUDA device (on the CPU in Triton's interpreter, to test them)
"auto"      "triton" for tensors on a CUDA device where it can, else "torch", saying once why
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection
from functools import lru_cache
from importlib.util import find_spec
from numbers import Integral, Real
from typing import Any, Protocol

import torch
from torch import Tensor

from .torch.reducer import TorchReducer

BACKENDS = ("auto", "triton", "numba", "torch")

_OLDEST_CAPABILITY = (8, 0)


class Reducer(Protocol):
    """What every backend offers; the contract is spelled out in `torch/reducer`."""

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        """Merge the row of `tensor` into `rows[index]`."""

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        """Set `rows[i]` to the row of each tensor, whatever it held before."""

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        """Compile whatever reducing takes, `dtypes` together, and with an `inv_scale` if `scaled`."""


def make_reducer(
    backend: str,
    device: torch.device,
    *,
    threshold: float,
    locate: bool,
    dtypes: Collection[torch.dtype] | None = None,
    scaled: bool = False,
) -> Reducer:
    """The reducer called `backend` for tensors on `device`, prepared for `dtypes` if they are given.

    Raises:
        ValueError: there is no such backend, it cannot run on `device`, or `threshold` is not a number >= 0.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    threshold = as_threshold(threshold)
    wanted = _preferred(device) if backend == "auto" else backend
    if wanted == "torch":
        return TorchReducer(threshold=threshold, locate=locate)
    missing = _missing_for_triton(device) if wanted == "triton" else _missing_for_numba(device)
    if not missing:
        make = _triton_reducer if wanted == "triton" else _numba_reducer
        try:
            return make(device, threshold, locate, dtypes, scaled)
        except Exception as error:  # whatever a compiler or a driver of another version may meet
            if backend != "auto":
                raise
            missing = f"{type(error).__name__}: {error}"
    if backend != "auto":
        raise ValueError(
            f"backend {backend!r} cannot reduce on {device}: {missing}. Use backend='auto' or 'torch'"
        )
    _say_once(f"gradprof reduces on {device} with torch, many times slower than with {wanted}: {missing}")
    return TorchReducer(threshold=threshold, locate=locate)


def as_threshold(threshold: object) -> float:
    """A threshold as the smallest float64 that is not below it, which counts the same magnitudes.

    inf counts none: only finite magnitudes are counted.

    Raises:
        ValueError: not a real number >= 0.
    """
    if not isinstance(threshold, Real):
        raise ValueError(
            f"threshold is {threshold!r}: expected a magnitude, a number >= 0, "
            f"not a {type(threshold).__name__}; convert it with float()"
        )
    # numpy compares its integers with a float after rounding them.
    number: Any = int(threshold) if isinstance(threshold, Integral) else threshold
    if not number >= 0:
        raise ValueError(f"threshold is {threshold!r}: expected a magnitude, a number >= 0")
    try:
        nearest = abs(float(number))
    except OverflowError:  # an integer or a fraction beyond the largest float64
        return math.inf
    return nearest if nearest >= number else math.nextafter(nearest, math.inf)


def _preferred(device: torch.device) -> str:
    """What is tried first; numba is optional, so that it is missing is nothing to speak of."""
    if device.type == "cuda":
        return "triton"
    return "numba" if device.type == "cpu" and find_spec("numba") is not None else "torch"


def _numba_reducer(
    device: torch.device,
    threshold: float,
    locate: bool,
    dtypes: Collection[torch.dtype] | None,
    scaled: bool,
) -> Reducer:
    from .numba.reducer import NumbaReducer

    reducer = NumbaReducer(threshold=threshold, locate=locate)
    reducer.prepare(dtypes or (), scaled)
    return reducer


def _missing_for_numba(device: torch.device) -> str:
    """What stands in the way of numba on a device; empty if nothing does."""
    if device.type != "cpu":
        return "its loops read tensors on the CPU only"
    try:
        import numba  # noqa: F401
    except ImportError as error:
        return f"numba cannot be imported ({error}); pip install 'gradprof[cpu]'"
    return ""


def _triton_reducer(
    device: torch.device,
    threshold: float,
    locate: bool,
    dtypes: Collection[torch.dtype] | None,
    scaled: bool,
) -> Reducer:
    from .triton.check import check_on_device
    from .triton.reducer import TritonReducer

    reducer = TritonReducer(device, threshold=threshold, locate=locate)
    if device.type == "cuda":
        check_on_device(reducer.device)
    if dtypes is not None:
        reducer.prepare(dtypes, scaled)
    return reducer


def _missing_for_triton(device: torch.device) -> str:
    """What stands in the way of Triton on a device; empty if nothing does."""
    try:
        import triton
    except ImportError as error:
        return (
            f"triton cannot be imported ({error}); it comes with torch for CUDA, or with pip install triton"
        )
    interpreted = triton.knobs.runtime.interpret
    if device.type == "cpu":
        return (
            "" if interpreted else "it needs a CUDA device, or TRITON_INTERPRET=1 in the environment to test"
        )
    if device.type != "cuda" or torch.version.hip is not None:
        return "its kernels are written for CUDA devices"
    if interpreted:
        return "TRITON_INTERPRET is set, and the interpreter reads tensors on the CPU only"
    capability = torch.cuda.get_device_capability(device)
    if capability < _OLDEST_CAPABILITY:
        return (
            f"it needs compute capability 8.0 or later, and this device has {capability[0]}.{capability[1]}"
        )
    return ""


@lru_cache
def _say_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)
