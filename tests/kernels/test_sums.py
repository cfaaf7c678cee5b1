"""Sums that float32 accumulation gets wrong: the contract is 1e-6, whatever the size and the range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from reference import check

from gradprof.kernels.torch.cpu import CHUNK

HALF_ULP = 2.0**-24
"""Of 1.0 in float32: 1 + HALF_ULP rounds to 1."""


def dense(flat: torch.Tensor) -> torch.Tensor:
    return flat


def every_other(flat: torch.Tensor) -> torch.Tensor:
    """The same values at stride 2."""
    return torch.stack([flat, torch.full_like(flat, torch.nan)], dim=1)[:, 0]


def rounded_most(n: int, layout: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """One float32 row `[n]` of which torch's own sum drops as much as it can.

    It is a 1 and as many half ulps as it swallows one by one, wherever its order of summation puts them.
    """
    row = torch.zeros(n)
    row[0] = 1
    for i in range(1, n):
        row[i] = HALF_ULP
        if layout(row.repeat(4)).view(4, n).sum(1)[0] != 1:
            row[i] = 0
    assert (row == HALF_ULP).sum() > 4
    return row


LAYOUTS = pytest.mark.parametrize("layout", [dense, every_other])


@LAYOUTS
@pytest.mark.parametrize("n", [32, 64, 128, 256, 512, 1024])
def test_rows_that_swallow_what_is_added(n: int, layout: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """The signed, the absolute and the squared sum, each over rows made for it."""
    row = rounded_most(n, layout)
    check(layout(row.repeat(2**14 // n)))
    check(layout(-row.repeat(2**14 // n)))
    check(layout(row.sqrt().repeat(2**14 // n)))


@pytest.mark.parametrize("spacing", [64, 128, 256])
def test_sums_of_rows_that_swallow_what_is_added(spacing: int) -> None:
    """Each row short and exact, but the sum of their sums made for losing."""
    sums = rounded_most(2048, dense)
    tensor = torch.zeros(2048, spacing)
    tensor[:, 0] = sums
    check(tensor)


WORST_CONSTANTS = (0.1, 1 / 3, 1.600358486175537, 1.2813376188278198, 1.7786645889282227, 1 + 2.0**-23)
"""Those of 1 + k * 2**-23 which 256 additions round worst, found by trying all of them."""


@LAYOUTS
@pytest.mark.parametrize("constant", WORST_CONSTANTS)
def test_constant_tensors(constant: float, layout: Callable[[torch.Tensor], torch.Tensor]) -> None:
    for n in (128, 2**13 + 128, 2**16, 2**16 + 1):
        check(layout(torch.full((n,), constant)))


def test_constant_tensor_of_several_chunks() -> None:
    check(torch.full((2 * CHUNK + 256,), -0.1))
    check(torch.tensor(0.1).expand(CHUNK, 2))


@pytest.mark.parametrize("exponent", range(-45, 39))
def test_every_decade(exponent: int) -> None:
    """Many of one magnitude, alone and as the largest among smaller ones, in short sums and not."""
    n = 2**13 + 256
    for factor in (1.03, 1.37, 3.0):
        largest = torch.full((n,), factor * 10.0**exponent)
        check(largest)
        check(largest[:-1] * torch.tensor([1, -1e-3, 1e-6, 1e-20]).repeat(n // 4)[:-1])
        check(torch.cat([largest[:1], torch.full((n - 1,), 10.0 ** (exponent - 7))]))


@pytest.mark.parametrize("exponent", [*range(-1074, 1023, 31), -401, -400, -399, 399, 400, 401])
def test_powers_of_two_of_float64(exponent: int) -> None:
    """One magnitude alone, where no larger one hides what is lost, and with others near it."""
    values = 2.0**exponent * torch.tensor([1.0, -1.375, 0.8125], dtype=torch.float64)
    check(values)
    check(values[:1].expand(512))
    check(torch.cat([values, values * 1e-8, values * 1e8]))


@pytest.mark.parametrize("limit", [1e-12, 1e15, 2.0**-60, 2.0**60])
def test_beside_the_limits_of_short_sums(limit: float) -> None:
    at = np.float32(limit)
    for value in (np.nextafter(at, np.float32(0)), at, np.nextafter(at, np.float32(np.inf))):
        check(torch.full((2**14,), float(value)))


MIXTURES = {
    "large among small": torch.cat([torch.tensor([1e8]), torch.full((255,), 3.9)]),
    "one large": torch.cat([torch.tensor([1.0]), torch.full((1023,), 2.0**-25)]),
    "alternating": torch.tensor([1.0, -1.0, 2.0**-20, 1e7]).repeat(64),
    "cancelling": torch.tensor([1e8, 1.0, -1e8, 1e-8]).repeat(64),
    "growing": torch.logspace(-20, 10, 512),
    "shrinking": torch.logspace(10, -20, 512),
}


@pytest.mark.parametrize("values", MIXTURES.values(), ids=MIXTURES.keys())
def test_large_and_small_together(values: torch.Tensor) -> None:
    for tensor in (values, values.repeat(2**14 // values.numel()), values[:-1], values.double()):
        check(tensor)


@pytest.mark.parametrize("sigma", [0.1, 2, 8])
def test_random_tensors(sigma: float) -> None:
    random = np.random.default_rng(0)
    values = random.lognormal(-5, sigma, 2**17).astype(np.float32)
    check(torch.from_numpy(values))
    check(torch.from_numpy(values * random.choice([-1, 1], 2**17).astype(np.float32)))
    check(torch.from_numpy(np.sort(values)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_narrow_constants_do_not_saturate(dtype: torch.dtype) -> None:
    """A bfloat16 sum of ones stops at 256, a float16 sum at 2048."""
    check(torch.ones(2**16, dtype=dtype))
    check(torch.full((2**14,), 300.0, dtype=dtype))
