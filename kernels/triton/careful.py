# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""The careful pass: any values, with masks, clipped bins, and sums in float64."""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

from gradprof.kernels.row import BIG, DOWN, SMALL, UP

from .block import by_thread, thread_max, thread_min, thread_sum, widened
from .histogram import clipped_bins, count_bins
from .partial import INF_BITS, NOWHERE, Partial, Sums, merge_sums, no_sums

_FLOAT32_MAX = tl.constexpr((2 - 2.0**-23) * 2.0**127)
_INF32_BITS = tl.constexpr(0x7F800000)
_NOWHERE32 = tl.constexpr(0x7FFFFFFF)
_BIG, _DOWN, _SMALL, _UP = tl.constexpr(BIG), tl.constexpr(DOWN), tl.constexpr(SMALL), tl.constexpr(UP)


class _Counts(NamedTuple):
    """Of each thread, int32 [LANES]: zeros; NaN; finite and not zero, and of these in bin 0; at or above the
    threshold."""

    zero: tl.tensor
    nan: tl.tensor
    good: tl.tensor
    first: tl.tensor
    above: tl.tensor


class _Extrema(NamedTuple):
    """Of each thread, [LANES]: the largest bits of a finite magnitude, the smallest non-zero ones, and where
    the largest stand."""

    largest: tl.tensor
    smallest: tl.tensor
    at: tl.tensor


@triton.jit
def careful_pass(
    histogram,
    start,
    head,
    skipped,
    n,
    threshold,
    inv_scale,
    DTYPE: tl.constexpr,
    SCALED: tl.constexpr,
    ABOVE: tl.constexpr,
    LOCATE: tl.constexpr,
    BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):
    """`n` values, whatever they are: `head` from `start` on, and the others after `skipped` more.

    Returns:
        The histogram; how many non-zero values belong into its bin 0, and how many of its counts there
        stand for zeros, NaN, inf and nothing at all; the partial.
    """
    WIDE: tl.constexpr = DTYPE == tl.float64
    INF: tl.constexpr = INF_BITS if WIDE else _INF32_BITS
    none = tl.zeros([LANES], tl.int32)
    counts = _Counts(none, none, none, none, none)
    extrema = _Extrema(
        largest=tl.full([LANES], -1, tl.int64 if WIDE else tl.int32),
        smallest=tl.full([LANES], INF, tl.int64 if WIDE else tl.int32),
        at=tl.full([LANES], _NOWHERE32, tl.int32),
    )
    sums = no_sums(tl.zeros([LANES], tl.float64))
    for i in range(0, n, BLOCK):
        j = i + tl.arange(0, BLOCK)
        inside = j < n
        position = tl.where(j < head, j, j + skipped)
        x = widened(tl.load(start + position, mask=inside, other=0), DTYPE)
        if SCALED:
            x = x * inv_scale.to(x.dtype)
        bits = _magnitude_bits(x, WIDE)
        finite = inside & (bits < INF)
        x = tl.where(finite, x, 0)
        bins = _bins(bits, x, finite, WIDE)
        counts = _count(counts, bits, x, bins, inside, finite, threshold, INF, ABOVE or WIDE, LANES)
        extrema = _extend(extrema, bits, finite, position, INF, LOCATE, LANES)
        histogram = count_bins(histogram, 4 * bins)
        sums = merge_sums(sums, _sums_of(x.to(tl.float64), WIDE, LANES))

    n_good = tl.sum(counts.good, 0)
    partial = _over_threads(counts, extrema, sums, n - n_good, WIDE)
    return histogram, tl.sum(counts.first, 0), tl.cdiv(n, BLOCK) * BLOCK - n_good, partial


@triton.jit
def _magnitude_bits(x, WIDE: tl.constexpr):
    if WIDE:
        bits = x.to(tl.int64, bitcast=True) & 0x7FFFFFFFFFFFFFFF
    else:
        bits = x.to(tl.int32, bitcast=True) & 0x7FFFFFFF
    return bits


@triton.jit
def _bins(bits, x, finite, WIDE: tl.constexpr):
    """0 for zeros and what is not finite."""
    bits32 = bits
    if WIDE:
        bits32 = tl.minimum(tl.abs(x), _FLOAT32_MAX).to(tl.float32).to(tl.int32, bitcast=True)
    return tl.where(finite & (bits > 0), clipped_bins(bits32), 0)


@triton.jit
def _count(
    counts,
    bits,
    x,
    bins,
    inside,
    finite,
    threshold,
    INF: tl.constexpr,
    ABOVE: tl.constexpr,
    LANES: tl.constexpr,
):
    nonzero = finite & (bits > 0)
    above = counts.above
    if ABOVE:
        above += _how_many(finite & (tl.abs(x) >= threshold), LANES)
    return _Counts(
        zero=counts.zero + _how_many(inside & (bits == 0), LANES),
        nan=counts.nan + _how_many(inside & (bits > INF), LANES),
        good=counts.good + _how_many(nonzero, LANES),
        first=counts.first + _how_many(nonzero & (bins == 0), LANES),
        above=above,
    )


@triton.jit
def _how_many(condition, LANES: tl.constexpr):
    return thread_sum(condition.to(tl.int32), LANES, 1)


@triton.jit
def _extend(extrema, bits, finite, position, INF: tl.constexpr, LOCATE: tl.constexpr, LANES: tl.constexpr):
    candidates = tl.where(finite, bits, -1)
    largest = thread_max(candidates, LANES, 1)
    at = extrema.at
    if LOCATE:
        is_largest = by_thread(candidates, LANES, 1) == largest[None, :, None]
        positions = tl.where(is_largest, by_thread(position, LANES, 1), _NOWHERE32)
        at = tl.where(largest > extrema.largest, tl.min(tl.min(positions, 2), 0), at)
    smallest = thread_min(tl.where(finite & (bits > 0), bits, INF), LANES, 1)
    return _Extrema(tl.maximum(extrema.largest, largest), tl.minimum(extrema.smallest, smallest), at)


@triton.jit
def _sums_of(x, WIDE: tl.constexpr, LANES: tl.constexpr):
    """Those of a block, for each thread; float64 by magnitude, see `row`."""
    m = tl.abs(x)
    middle = m
    none = tl.zeros([LANES], tl.float64)
    sum_big, abs_sum_big, sq_big, sq_small = none, none, none, none
    if WIDE:
        big = m >= _BIG
        small = m < _SMALL
        m_big = tl.where(big, m, 0) * _DOWN
        m_small = tl.where(small, m, 0) * _UP
        sum_big = thread_sum(tl.where(big, x, 0) * _DOWN, LANES, 1)
        abs_sum_big = thread_sum(m_big, LANES, 1)
        sq_big = thread_sum(m_big * m_big, LANES, 1)
        sq_small = thread_sum(m_small * m_small, LANES, 1)
        x = tl.where(big, 0, x)
        m = tl.where(big, 0, m)
        middle = tl.where(small, 0, m)
    return Sums(
        sum=thread_sum(x, LANES, 1),
        abs_sum=thread_sum(m, LANES, 1),
        sq=thread_sum(middle * middle, LANES, 1),
        sum_big=sum_big,
        abs_sum_big=abs_sum_big,
        sq_big=sq_big,
        sq_small=sq_small,
    )


@triton.jit
def _over_threads(counts, extrema, sums, n_others, WIDE: tl.constexpr):
    """The partial; `n_others` values are zero or not finite."""
    n_zero = tl.sum(counts.zero, 0)
    n_nan = tl.sum(counts.nan, 0)
    largest = tl.max(extrema.largest, 0)
    smallest = tl.min(extrema.smallest, 0)
    at = tl.min(tl.where(extrema.largest == largest, extrema.at, _NOWHERE32), 0)
    largest = tl.maximum(largest, 0)
    if not WIDE:
        largest = _widened_bits(largest)
        smallest = _widened_bits(smallest)
    return Partial(
        n_zero=n_zero.to(tl.int64),
        n_nan=n_nan.to(tl.int64),
        n_inf=(n_others - n_zero - n_nan).to(tl.int64),
        n_above=tl.sum(counts.above, 0).to(tl.int64),
        argmax=tl.where(at == _NOWHERE32, NOWHERE, at.to(tl.int64)),
        abs_max=largest,
        abs_min=smallest,
        sums=Sums(
            sum=tl.sum(sums.sum, 0),
            abs_sum=tl.sum(sums.abs_sum, 0),
            sq=tl.sum(sums.sq, 0),
            sum_big=tl.sum(sums.sum_big, 0),
            abs_sum_big=tl.sum(sums.abs_sum_big, 0),
            sq_big=tl.sum(sums.sq_big, 0),
            sq_small=tl.sum(sums.sq_small, 0),
        ),
    )


@triton.jit
def _widened_bits(bits):
    """Of a float32 as those of a float64."""
    return bits.to(tl.float32, bitcast=True).to(tl.float64).to(tl.int64, bitcast=True)
