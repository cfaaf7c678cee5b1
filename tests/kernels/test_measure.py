"""`measure` against the exact reference: values, sizes, dtypes, thresholds, wrong arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from reference import FLOAT32_MAX, assert_stats, check, expect
from values import FLOAT32_VALUES, FLOAT64_VALUES, INF, NAN, repeated

import gradprof
from gradprof.kernels.torch.cpu import CHUNK

SIZES = (0, 1, 31, 32, 33, 127, 128, 129, 255, 256, 257, 1023, 1024, 1025, 4097)
LONG_SIZES = (
    2**13 - 1,
    2**13,
    2**13 + 1,
    2**14 - 1,
    2**14,
    2**14 + 1,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK + 2**14 + 77,
)

# --- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", FLOAT32_VALUES.values(), ids=FLOAT32_VALUES.keys())
def test_float32_values(values: list[float]) -> None:
    for n in (len(values), 512, 2**13 + 1, 2**14 + 128):
        check(repeated(values, n, torch.float32))


@pytest.mark.parametrize("values", FLOAT64_VALUES.values(), ids=FLOAT64_VALUES.keys())
def test_float64_values(values: list[float]) -> None:
    for n in (len(values), 512, 1025):
        check(repeated(values, n, torch.float64))


@pytest.mark.parametrize("value", [5e-324, 1e-310, 1e-200, 1.0, 1e200, 1.7e308])
def test_one_float64_is_its_own_norm(value: float) -> None:
    stats = gradprof.measure(torch.tensor([-value], dtype=torch.float64))
    assert stats.l1 == stats.abs_mean == -stats.mean == stats.abs_max == stats.abs_min == value
    assert stats.l2 == pytest.approx(value, rel=1e-15, abs=0)
    assert stats.rms == pytest.approx(value, rel=1e-15, abs=0)


def test_float64_that_rounds_up_to_one() -> None:
    """`n_above` is exact, the histogram follows the rounding to float32."""
    stats = gradprof.measure(torch.tensor([1 - 1e-12, -(1 - 1e-12), 1.0], dtype=torch.float64))
    assert stats.n_above == 1
    assert stats.hist[96] == 3
    assert stats.abs_min == 1 - 1e-12


def test_vanishing_and_exploding_norms() -> None:
    """What float32 sums of squares fail on."""
    tiny, huge = torch.full((1000,), 1e-25), torch.full((1000,), 1e25)
    assert (tiny.square().sum(), huge.square().sum()) == (0, INF)
    assert gradprof.measure(tiny).l2 == pytest.approx(1e-25 * math.sqrt(1000), rel=1e-6)
    assert gradprof.measure(huge).l2 == pytest.approx(1e25 * math.sqrt(1000), rel=1e-6)


def test_figures_of_nothing() -> None:
    for tensor, numel in ((torch.zeros(0), 0), (torch.tensor([NAN, INF]), 2)):
        stats = gradprof.measure(tensor, locate=True)
        assert stats.numel == numel
        assert stats.l1 == stats.l2 == stats.n_above == stats.n_zero == stats.hist.sum() == 0
        assert stats.argmax == -1
        for name in ("abs_max", "abs_min", "mean", "abs_mean", "rms"):
            assert math.isnan(getattr(stats, name)), name


def test_fields_have_plain_types() -> None:
    stats = gradprof.measure(torch.ones(3))
    counts = (stats.numel, stats.n_zero, stats.n_nan, stats.n_inf, stats.n_above, stats.argmax)
    assert {type(value) for value in counts} == {int}
    figures = (stats.abs_max, stats.abs_min, stats.mean, stats.abs_mean, stats.l1, stats.l2, stats.rms)
    assert {type(value) for value in figures} == {float}


# --- sizes -------------------------------------------------------------------------------------------


def plain(n: int) -> torch.Tensor:
    """No zero and nothing that is not finite, over ten decades; float32 `[n]`."""
    random = np.random.default_rng(n)
    magnitudes = 10 ** random.uniform(-8, 2, n) * random.choice([-1, 1], n)
    return torch.from_numpy(magnitudes.astype(np.float32))


def messy(n: int) -> torch.Tensor:
    """One value in eight is zero, NaN or inf, at random; float32 `[n]`."""
    tensor = plain(n)
    for value in (0.0, NAN, INF, -INF):
        tensor[torch.from_numpy(np.random.default_rng(n).random(n) < 1 / 32)] = value
        tensor = tensor.roll(1)
    return tensor


@pytest.mark.parametrize("n", SIZES)
def test_sizes(n: int) -> None:
    for tensor in (plain(n), messy(n), plain(n).double(), messy(n).bfloat16()):
        check(tensor)


@pytest.mark.parametrize("n", LONG_SIZES)
def test_long_sizes(n: int) -> None:
    check(plain(n))
    check(messy(n), threshold=0.5)


def test_non_finite_chunks_hide_nothing_in_the_others() -> None:
    tensor = plain(3 * CHUNK)
    tensor[:CHUNK] = NAN
    tensor[CHUNK + 5] = INF
    tensor[2 * CHUNK :] = 0
    check(tensor)
    check(tensor.flip(0))
    check(torch.cat([plain(CHUNK), torch.full((CHUNK,), NAN), plain(CHUNK)]))


@pytest.mark.parametrize("prefix", [0, 1, 31, 32, 62, 63, 64, 65, 127, 128, 129])
def test_zeros_beside_the_smallest_magnitudes(prefix: int) -> None:
    """Zeros share a bin with them, and must not be taken for them."""
    smallest = torch.tensor([prefix << 16 | 1], dtype=torch.int32).view(torch.float32)
    values = torch.cat([smallest, torch.zeros(2), -torch.ones(1), -2 * smallest])
    check(values)
    check(values.repeat(2**12))


# --- dtypes ------------------------------------------------------------------------------------------

FLOAT8 = [getattr(torch, name) for name in dir(torch) if name.startswith("float8_")]


def test_torch_has_float8() -> None:
    assert {torch.float8_e4m3fn, torch.float8_e5m2} <= set(FLOAT8)


@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
def test_every_float8(dtype: torch.dtype) -> None:
    values = torch.arange(256, dtype=torch.uint8).view(dtype)
    check(values)
    check(values.repeat(70))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_16_bit_float(dtype: torch.dtype) -> None:
    check(torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_random_bit_patterns(dtype: torch.dtype) -> None:
    random = np.random.default_rng(0)
    check(torch.from_numpy(random.integers(0, 256, 8 * 2560, dtype=np.uint8)).view(dtype))


PYTHAGOREAN = [3 + 4j, -5 + 12j, 8 - 15j, -7 - 24j, 1, -1j, 0]
"""Their magnitudes are integers, hence the same from every hypot."""


def complex_values(dtype: torch.dtype, scales: list[float]) -> torch.Tensor:
    numbers = np.outer(scales, PYTHAGOREAN).reshape(-1)
    parts = [complex(*pair) for pair in ((NAN, 1), (1, NAN), (INF, 1), (INF, NAN), (0, -INF))]
    return torch.from_numpy(np.concatenate([numbers, parts])).to(dtype)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")
@pytest.mark.parametrize(
    ("dtype", "scales"),
    [
        (torch.complex32, [1, 2.0**-20, 2.0**10]),
        (torch.complex64, [1, 2.0**-140, 2.0**120, 2.0**123]),  # 25 * 2**123 exceeds every float32
        (torch.complex128, [1, 2.0**-1000, 2.0**1000, 2.0**-30]),
    ],
    ids=str,
)
def test_complex_counts_by_magnitude(dtype: torch.dtype, scales: list[float]) -> None:
    tensor = complex_values(dtype, scales)
    check(tensor)
    check(tensor.conj())
    check(tensor.repeat(10)[::3])


def test_complex_magnitudes_to_float64() -> None:
    tensor = torch.randn(4099, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    wide = torch.hypot(tensor.real.double(), tensor.imag.double())
    stats = gradprof.measure(tensor)
    assert stats == gradprof.measure(wide)
    assert_stats(stats, expect(wide), wide=True)


# --- thresholds --------------------------------------------------------------------------------------

THRESHOLDS = [
    0.0,
    5e-324,
    1e-60,
    1e-45,
    0.1,  # float32(0.1) is above it
    0.7,  # float32(0.7) is below it
    1 / 3,
    float(np.float32(0.1)),
    math.nextafter(1, 0),
    1.0,
    math.nextafter(1, 2),
    float(np.nextafter(np.float32(1), np.float32(2))),
    1.005,  # between two bfloat16 numbers
    2,
    FLOAT32_MAX,
    math.nextafter(FLOAT32_MAX, INF),
    1e300,
    INF,
]


def around(threshold: float, dtype: torch.dtype) -> torch.Tensor:
    """The values of `dtype` on both sides of `threshold`, of both signs, with zeros, NaN and inf."""
    nearest = torch.tensor(threshold, dtype=torch.float64).to(dtype)
    infinite = torch.tensor(INF, dtype=dtype)
    beside = [nearest.nextafter(infinite), nearest, nearest.nextafter(-infinite)]
    others = torch.tensor([0.0, -0.0, 1.0, NAN, INF, -INF], dtype=dtype)
    return torch.cat([torch.stack(beside), -torch.stack(beside), others])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_thresholds_compare_as_real_numbers(threshold: float, dtype: torch.dtype) -> None:
    check(around(threshold, dtype), threshold)
    check(around(threshold, dtype).repeat(1000), threshold)
    check(torch.zeros(3, dtype=dtype), threshold)


def test_rounded_thresholds_by_hand() -> None:
    """0.1 rounds up to float32, 0.7 rounds down."""
    for locate in (False, True):
        count = [gradprof.measure(torch.tensor([t]), threshold=t, locate=locate).n_above for t in (0.1, 0.7)]
        assert count == [1, 0]


@pytest.mark.parametrize("threshold", [np.float32(0.7), np.float64(0.7), 1, True])
def test_threshold_may_be_any_real_number(threshold: float) -> None:
    check(around(float(threshold), torch.float32), threshold)


def test_threshold_over_several_chunks() -> None:
    tensor = messy(CHUNK + 1000)
    for threshold in (0, 1e-3, INF):
        check(tensor, threshold)


# --- wrong arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64],
    ids=str,
)
def test_integers_are_refused_by_name(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=rf"{dtype}: expected a floating or complex dtype"):
        gradprof.measure(torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("value", [None, 1.0, [1.0], np.ones(3)], ids=lambda v: type(v).__name__)
def test_what_is_no_tensor_is_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match=rf"got a {type(value).__name__}: expected a torch.Tensor"):
        gradprof.measure(value)


@pytest.mark.parametrize(
    "threshold", [-1, -1e-300, -INF, NAN, np.float32(NAN), np.float64(-1), Fraction(-1, 10**400), -(10**400)]
)
def test_bad_thresholds_are_refused(threshold: object) -> None:
    with pytest.raises(ValueError, match=r"threshold is .* expected a magnitude, a number >= 0"):
        gradprof.measure(torch.ones(3), threshold=threshold)


@pytest.mark.parametrize(
    "threshold", ["1", None, [1.0], Decimal(1), 1 + 0j, np.bool_(True), np.ones(1), torch.tensor(1.0)]
)
def test_thresholds_that_are_no_real_numbers_are_refused(threshold: object) -> None:
    named = rf"expected a magnitude.* not a {type(threshold).__name__}; convert it with float\(\)"
    with pytest.raises(ValueError, match=named):
        gradprof.measure(torch.ones(3), threshold=threshold)


def test_unknown_backends_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"unknown backend 'abacus': expected one of auto, .*torch"):
        gradprof.measure(torch.ones(3), backend="abacus")


def test_numba_is_what_is_taken_on_a_cpu_where_it_is_installed() -> None:
    """Its sums differ from torch's in the last digits."""
    tensor = messy(3000)
    assert gradprof.measure(tensor, backend="numba") == gradprof.measure(tensor)
    assert gradprof.measure(tensor, backend="torch") != gradprof.measure(tensor)


# --- the state of the process ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64], ids=str)
def test_default_dtype_changes_nothing(dtype: torch.dtype) -> None:
    tensor = torch.cat([messy(1024), torch.tensor([1e-42, 1e30])])
    before = [gradprof.measure(tensor, locate=locate) for locate in (False, True)]
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        after = [gradprof.measure(tensor, locate=locate) for locate in (False, True)]
    finally:
        torch.set_default_dtype(usual)
    assert before == after


def test_default_device_changes_nothing() -> None:
    for tensor in (messy(1024), messy(2**14)):
        with torch.device("meta"):
            assert torch.zeros(1).is_meta
            stats = [gradprof.measure(tensor, locate=locate) for locate in (False, True)]
        assert stats == [gradprof.measure(tensor, locate=locate) for locate in (False, True)]


@pytest.mark.parametrize(
    "values",
    [
        [1e-45, -1e-40, 1.1e-38],
        [1e-40, 1.0, 0.0],
        [1e-40, 1e-30, NAN],
        [1e-12, 1e-40],
        [1e-40, 1e-25, 0.0],
    ],
    ids=str,
)
def test_denormals_count_where_the_thread_flushes_them(
    values: list[float], flush_denormals: Callable[[], AbstractContextManager[None]]
) -> None:
    for n in (len(values), 512, 2**13 + 1, 2**14 + 128):
        tensor = repeated(values, n, torch.float32)
        expected = expect(tensor)
        with flush_denormals():
            fast = gradprof.measure(tensor)
            located = gradprof.measure(tensor, locate=True)
        assert_stats(fast, expected, wide=False)
        assert_stats(located, expected, wide=False, located=True)


def test_float64_denormals_are_counted_where_the_thread_flushes_them(
    flush_denormals: Callable[[], AbstractContextManager[None]],
) -> None:
    """Their sums may be lost, for they are denormal too."""
    tensor = repeated([5e-324, 1e-310, 1.0, 0.0], 1024, torch.float64)
    expected = expect(tensor)
    with flush_denormals():
        stats = gradprof.measure(tensor, locate=True)
    assert_stats(stats, expected, wide=True, located=True)


def test_denormals_count_where_only_some_threads_flush_them(
    flush_denormals: Callable[[], AbstractContextManager[None]],
) -> None:
    """The mode belongs to the thread that set it; from 2**15 elements torch shares the work."""
    torch.set_num_threads(2)
    for dtype in (torch.float32, torch.float64):
        tensor = repeated([1e-40, 1.0, 0.0, -1e-39], 2**16, dtype)
        expected = expect(tensor)
        with flush_denormals():
            stats = gradprof.measure(tensor, locate=True)
        assert_stats(stats, expected, wide=dtype == torch.float64, located=True)


def test_threads_change_sums_by_rounding_only() -> None:
    tensor = messy(2**17)
    expected = expect(tensor)
    for n_threads in (2, 3):
        torch.set_num_threads(n_threads)
        assert_stats(gradprof.measure(tensor), expected, wide=False)
        assert_stats(gradprof.measure(tensor, locate=True), expected, wide=False, located=True)


def test_inference_tensors() -> None:
    with torch.inference_mode():
        tensor = plain(300) * 2
        inside = gradprof.measure(tensor)
    assert inside == gradprof.measure(tensor) == gradprof.measure(tensor.clone())
