"""Where the Triton kernels are tried: on the CPU in the interpreter, and on a CUDA device."""

from __future__ import annotations

import os

import pytest
import torch

PLACES = [
    pytest.param(
        "cpu",
        id="interpreter",
        marks=pytest.mark.skipif("TRITON_INTERPRET" not in os.environ, reason="the kernels are compiled"),
    ),
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(
                not torch.cuda.is_available() or "TRITON_INTERPRET" in os.environ,
                reason="needs a CUDA device, and to be run with pytest -m gpu",
            ),
        ],
    ),
]
AT_EACH_PLACE = pytest.mark.parametrize("place", PLACES)
ON_CUDA = pytest.mark.parametrize("place", PLACES[1:])
