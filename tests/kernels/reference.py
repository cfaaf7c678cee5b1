"""What `measure` must say of a tensor, computed exactly and independently of `kernels`.

Values become float64 (every dtype fits, complex by magnitude); counts are numpy's; sums are integers and
fractions, hence exact over the whole range of float64; a bin follows from comparing integers.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch

import gradprof

N_PREFIXES = 0x7F80
"""Prefixes of finite float32 magnitudes."""
FLOAT32_MAX = float(np.finfo(np.float32).max)
FLOAT64_MAX = Fraction(float(np.finfo(np.float64).max))
HALF_SMALLEST = Fraction(1, 2**1075)
"""Half of the smallest float64: what rounding the exact result to float64 may cost."""


@dataclass(frozen=True)
class Expected:
    """The fields of `TensorStats`; sums and means as fractions, None where they do not exist."""

    numel: int
    n_zero: int
    n_nan: int
    n_inf: int
    abs_max: float
    abs_min: float
    mean: Fraction | None
    abs_mean: Fraction | None
    l1: Fraction
    l2: Fraction
    rms: Fraction | None
    n_above: int
    argmax: int
    hist: np.ndarray


# --- from a tensor to real numbers ---------------------------------------------------------------


def reals(tensor: torch.Tensor) -> np.ndarray:
    """All values in logical order as float64 `[numel]`; complex by magnitude, sparse with its zeros."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return np.concatenate([reals(part) for part in tensor.unbind()])
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        pairs = torch.view_as_real(tensor.to(torch.complex128).resolve_conj().contiguous()).numpy()
        return np.hypot(pairs[..., 0], pairs[..., 1]).reshape(-1)
    if tensor.dtype.itemsize == 1:  # float8 has no direct way to float64 on every torch
        tensor = tensor.to(torch.float32)
    return tensor.to(torch.float64).contiguous().numpy().reshape(-1)


def is_wide(dtype: torch.dtype) -> bool:
    """Whether the contract of float64 applies: sums to 1e-12."""
    return dtype == torch.float64 or dtype.is_complex


# --- bins ------------------------------------------------------------------------------------------


def midpoint(prefix: int) -> Fraction:
    """The exact float32 whose upper half is `prefix` and whose lower half is 0x8000."""
    exponent, mantissa = prefix >> 7, prefix & 0x7F
    if exponent == 0:
        return (mantissa + Fraction(1, 2)) * Fraction(1, 2**133)
    return (128 + mantissa + Fraction(1, 2)) * Fraction(2) ** (exponent - 134)


def unclipped_rule(prefix: int) -> int:
    """floor(4 * log10(m)) + 96 by comparing m**4 with powers of ten, exactly."""
    fourth = midpoint(prefix) ** 4
    power = math.floor(4 * math.log10(midpoint(prefix)))
    while fourth < Fraction(10) ** power:
        power -= 1
    while fourth >= Fraction(10) ** (power + 1):
        power += 1
    return power + 96


@lru_cache
def unclipped_rule_table() -> np.ndarray:
    """`unclipped_rule` of every finite prefix, int64 `[32640]`."""
    return np.array([unclipped_rule(prefix) for prefix in range(N_PREFIXES)])


def rule_table() -> np.ndarray:
    """The bin of every finite prefix, int64 `[32640]`."""
    return np.clip(unclipped_rule_table(), 0, 127)


def bins_of(magnitudes: np.ndarray) -> np.ndarray:
    """The bin of each finite non-zero float64 magnitude."""
    saturated = np.minimum(magnitudes, FLOAT32_MAX).astype(np.float32)
    return rule_table()[saturated.view(np.uint32) >> 16]


# --- exact sums --------------------------------------------------------------------------------------


def _as_integers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers below 2**53 and exponents of two whose products are the values, both `[n]`."""
    mantissas, exponents = np.frexp(values)
    return (mantissas * 2.0**53).astype(np.int64), exponents.astype(np.int64) - 53


def _total(terms: np.ndarray, exponents: np.ndarray) -> Fraction:
    """The sum of int64 terms * 2**exponents, for up to 2**31 terms."""
    if terms.size == 0:
        return Fraction(0)
    order = np.argsort(exponents.astype(np.int16), kind="stable")  # a radix sort
    terms, exponents = terms[order], exponents[order]
    starts = np.flatnonzero(np.diff(exponents, prepend=exponents[0] - 1))
    high = np.add.reduceat(terms >> 32, starts)
    low = np.add.reduceat(terms & 0xFFFFFFFF, starts)
    base = int(exponents[0])
    groups = zip(high.tolist(), low.tolist(), exponents[starts].tolist(), strict=True)
    total = sum(((h << 32) + lo) << (e - base) for h, lo, e in groups)
    return total * Fraction(2) ** base


def exact_sum(values: np.ndarray) -> Fraction:
    return _total(*_as_integers(values))


def exact_sum_of_squares(values: np.ndarray) -> Fraction:
    integers, exponents = _as_integers(np.abs(values))
    high, low = integers >> 27, integers & (2**27 - 1)
    return (
        _total(high * high, 2 * exponents + 54)
        + _total(2 * high * low, 2 * exponents + 27)
        + _total(low * low, 2 * exponents)
    )


def root(square: Fraction) -> Fraction:
    """The square root, to about 100 bits."""
    if square == 0:
        return square
    missing = 220 - (square.numerator.bit_length() - square.denominator.bit_length())
    half_shift = max(missing, 0) // 2 + 1
    return Fraction(math.isqrt((square.numerator << 2 * half_shift) // square.denominator), 2**half_shift)


# --- the comparison ------------------------------------------------------------------------------------


def expect(tensor: torch.Tensor, threshold: float = 1.0, inv_scale: float | None = None) -> Expected:
    """The exact figures of `tensor`, whose values are first multiplied as the contract says."""
    x = reals(tensor)
    if inv_scale is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            width = np.float64 if is_wide(tensor.dtype) else np.float32
            x = (x.astype(width) * width(inv_scale)).astype(np.float64)
    finite = np.isfinite(x)
    magnitudes = np.abs(x[finite])
    nonzero = magnitudes[magnitudes > 0]
    n = magnitudes.size
    l1, squares = exact_sum(magnitudes), exact_sum_of_squares(magnitudes)
    at_max = np.flatnonzero(finite & (np.abs(x) == magnitudes.max(initial=0)))
    return Expected(
        numel=x.size,
        n_zero=int((magnitudes == 0).sum()),
        n_nan=int(np.isnan(x).sum()),
        n_inf=int(np.isinf(x).sum()),
        abs_max=float(magnitudes.max()) if n else math.nan,
        abs_min=float(nonzero.min()) if nonzero.size else math.nan,
        mean=exact_sum(x[finite]) / n if n else None,
        abs_mean=l1 / n if n else None,
        l1=l1,
        l2=root(squares),
        rms=root(squares / n) if n else None,
        n_above=int((magnitudes >= np.float64(threshold)).sum()),
        argmax=int(at_max[0]) if at_max.size else -1,
        hist=np.bincount(bins_of(nonzero), minlength=128),
    )


def assert_close(got: float, exact: Fraction | None, scale: Fraction | None, tolerance: float) -> None:
    """|got - exact| <= tolerance * scale, up to rounding; NaN where `exact` does not exist, inf only
    where no float64 holds it."""
    if exact is None or scale is None:
        assert math.isnan(got)
    elif got == math.inf:
        assert exact + Fraction(tolerance) * scale > FLOAT64_MAX, float(exact)
    else:
        assert math.isfinite(got)
        assert abs(Fraction(got) - exact) <= Fraction(tolerance) * scale + HALF_SMALLEST, (
            got,
            float(exact),
        )


EXACT = ("numel", "n_zero", "n_nan", "n_inf", "abs_max", "abs_min", "n_above")
SCALE = {"mean": "abs_mean", "abs_mean": "abs_mean", "l1": "l1", "l2": "l2", "rms": "rms"}
"""What the error of each sum is relative to."""


def assert_stats(
    stats: gradprof.TensorStats, expected: Expected, *, wide: bool, located: bool = False
) -> None:
    """Every field of `stats` against the exact figures."""
    for name in EXACT:
        np.testing.assert_equal(getattr(stats, name), getattr(expected, name), err_msg=name)
    for name, scale in SCALE.items():
        tolerance = 1e-12 if wide else 1e-6
        assert_close(getattr(stats, name), getattr(expected, name), getattr(expected, scale), tolerance)
    assert stats.argmax == (expected.argmax if located else -1)
    assert stats.hist.dtype == np.int64
    np.testing.assert_array_equal(stats.hist, expected.hist)
    assert stats.hist.sum() + stats.n_zero + stats.n_nan + stats.n_inf == stats.numel
    compared = {*EXACT, *SCALE, "argmax", "hist"}
    assert compared == {field.name for field in fields(stats)}, "a field that no test compares"


CPU_BACKENDS = ("torch", "numba")


def check(tensor: torch.Tensor, threshold: float = 1.0) -> None:
    """`measure` against the reference, with each backend of the CPU, located and not."""
    expected = expect(tensor, threshold)
    for backend, locate in itertools.product(CPU_BACKENDS, (False, True)):
        stats = gradprof.measure(tensor, threshold=threshold, locate=locate, backend=backend)
        assert_stats(stats, expected, wide=is_wide(tensor.dtype), located=locate)
