"""Awkward values, and tensors of them, on which every backend is tried."""

from __future__ import annotations

import math

import numpy as np
import torch
from reference import FLOAT32_MAX

from gradprof.kernels.torch.cpu import CHUNK

NAN, INF = math.nan, math.inf

FLOAT32_VALUES = {
    "zeros": [0.0],
    "zeros of both signs": [0.0, -0.0],
    "denormal": [1e-45, -1e-40, 1.1e-38],
    "denormal beside normal": [1e-45, -1.0, 0.0],
    "1e-30": [1e-30, -3e-30],
    "1e-25": [1e-25],
    "1e25": [1e25],
    "1e30": [1e30, -3e30, 2.0],
    "largest": [FLOAT32_MAX, -FLOAT32_MAX],
    "whole range": [1e38, 1e-38, 1.0, -1e38, 1e-45, 0.0],
    "cancelling": [1e30, -1e30, 1.0],
    "NaN": [NAN],
    "inf": [INF, -INF],
    "all kinds": [NAN, INF, -INF, 0.0, -0.0, 1.0, -2.0, 1e-45, FLOAT32_MAX],
    "non-finite beside zeros": [NAN, 0.0, INF],
    "one finite": [NAN] * 6 + [-2.5],
}
FLOAT64_VALUES = {
    "largest": [1.7e308],
    "largest of both signs": [1.7e308, -1.7e308, 1.6e308],
    "smallest": [5e-324],
    "denormal": [5e-324, -1e-310, 2.2e-308],
    "whole range": [1e308, 1e-308, -1.0, 5e-324, 0.0, 1e154, 1e-154],
    "1e-200 and 1e200": [1e-200, 1e200],
    "at the routing limits": [2.0**400, math.nextafter(2.0**400, 0), 2.0**-400, 0.75 * 2.0**-400],
    "between": [1e-100, -1e100, 3.0],
    "all kinds": [NAN, INF, -INF, 0.0, 1.0, 1e308, 1e-308],
    "beside 1": [1 - 1e-12, 1.0, 1 + 1e-12, -(1 - 1e-9)],
    "cancelling": [1e308, -1e308, 1.0],
}


def repeated(values: list[float], n: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.resize(np.array(values), n)).to(dtype)


TENSORS = {
    "plain": torch.linspace(-3, 5, 1000),
    "rows of 128": torch.linspace(-3, 5, 2**14),
    "one": torch.tensor([0.25]),
    "empty": torch.zeros(0),
    "zeros": torch.zeros(300),
    "half zeros": torch.linspace(-3, 5, 2**15).relu(),
    "NaN": torch.full((5,), NAN),
    "NaN and inf": torch.tensor([NAN, 1.0, INF, -INF, 0.0, -4.0]).repeat(3000),
    "many NaN": torch.full((2**14,), NAN),
    "many zeros": torch.zeros(2**14),
    "vanishing": torch.full((2**14,), 1e-30),
    "denormal": torch.tensor([1e-45, -1e-40, 0.0, 1.0]).repeat(5000),
    "exploding": torch.full((2**14,), -3e38),
    "bfloat16": torch.linspace(-3, 5, 1001).bfloat16(),
    "float16": torch.linspace(-3, 60000, 2**14).half(),
    "float8": torch.linspace(-3, 400, 256).to(torch.float8_e4m3fn),
    "several chunks": torch.logspace(-30, 30, 2 * CHUNK + 5),
}
FLOAT64 = {
    "float64": torch.tensor([1e300, -1e-300, 5e-324, 1.0, 0.0, NAN, INF], dtype=torch.float64),
    "complex": torch.tensor([3 + 4j, complex(NAN, 1), 0, -5 - 12j]),
}
ALL_TENSORS = {**TENSORS, **FLOAT64}
