# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""What is known of some values, by name: from a pass over a chunk, over all chunks of a tensor, to its row.

The names are those of a row's words from `n_zero` to the last sum, in their order. The histogram goes
beside it, because programs add theirs up as they end.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

from gradprof.kernels.bins import N_BINS
from gradprof.kernels.row import ROW_DTYPE, SUMS, WORD

NOWHERE = tl.constexpr(0x7FFFFFFFFFFFFFFF)
"""The position of a maximum that was not looked for, or does not exist; positions merge by minimum."""

INF_BITS = tl.constexpr(0x7FF << 52)
"""Of a float64."""


class Sums(NamedTuple):
    """The sums of a row, float64: one number each, or one for each thread."""

    sum: tl.tensor
    abs_sum: tl.tensor
    sq: tl.tensor
    sum_big: tl.tensor
    abs_sum_big: tl.tensor
    sq_big: tl.tensor
    sq_small: tl.tensor


class Partial(NamedTuple):
    """Counts, int64; the position of the largest magnitude; the bits of the float64 largest and smallest
    non-zero ones, which have their order; sums."""

    n_zero: tl.tensor
    n_nan: tl.tensor
    n_inf: tl.tensor
    n_above: tl.tensor
    argmax: tl.tensor
    abs_max: tl.tensor
    abs_min: tl.tensor
    sums: Sums


N_WORDS = len(Partial._fields) - 1 + len(Sums._fields)
"""Of 8 bytes, of a partial in memory."""

_FIRST = WORD["n_zero"]
assert (*Partial._fields[:-1], *Sums._fields) == (ROW_DTYPE.names or ())[_FIRST : _FIRST + N_WORDS]
assert Sums._fields == SUMS

N_SUMS = tl.constexpr(len(SUMS))
N_NARROW_SUMS = tl.constexpr(SUMS.index("sum_big"))
"""The others are 0 unless values are float64."""

_N_BINS = tl.constexpr(N_BINS)
_N_OBS, _NUMEL, _N_ZERO = (tl.constexpr(WORD[name]) for name in ("n_obs", "numel", "n_zero"))
_ARGMAX, _ABS_MAX, _ABS_MIN = (tl.constexpr(WORD[name]) for name in ("argmax", "abs_max", "abs_min"))
_SUM, _HIST = tl.constexpr(WORD["sum"]), tl.constexpr(WORD["hist"])


@triton.jit
def no_sums(zero):
    """Of nothing: `zero` is float64 of the shape wanted."""
    return Sums(zero, zero, zero, zero, zero, zero, zero)


@triton.jit
def empty_partial():
    """Of no values at all: the neutral element of `merge_partials`."""
    no = tl.full([], 0, tl.int64)
    nowhere = tl.full([], NOWHERE, tl.int64)
    return Partial(
        no, no, no, no, nowhere, no, tl.full([], INF_BITS, tl.int64), no_sums(tl.full([], 0, tl.float64))
    )


@triton.jit
def merge_sums(a, b):
    """Those of `a`'s values and `b`'s."""
    return Sums(
        sum=a.sum + b.sum,
        abs_sum=a.abs_sum + b.abs_sum,
        sq=a.sq + b.sq,
        sum_big=a.sum_big + b.sum_big,
        abs_sum_big=a.abs_sum_big + b.abs_sum_big,
        sq_big=a.sq_big + b.sq_big,
        sq_small=a.sq_small + b.sq_small,
    )


@triton.jit
def merge_partials(a, b):
    """Of `a`'s values and `b`'s; where their maxima are equal, at the smaller position."""
    smaller = tl.minimum(a.argmax, b.argmax)
    return Partial(
        n_zero=a.n_zero + b.n_zero,
        n_nan=a.n_nan + b.n_nan,
        n_inf=a.n_inf + b.n_inf,
        n_above=a.n_above + b.n_above,
        argmax=tl.where(b.abs_max > a.abs_max, b.argmax, tl.where(b.abs_max < a.abs_max, a.argmax, smaller)),
        abs_max=tl.maximum(a.abs_max, b.abs_max),
        abs_min=tl.minimum(a.abs_min, b.abs_min),
        sums=merge_sums(a.sums, b.sums),
    )


@triton.jit
def write_row(row, numel, partial, histogram, MERGE: tl.constexpr, WIDE: tl.constexpr):
    """Set the row, or merge into it as `row.merge_rows` does; `WIDE`: there may have been float64 values."""
    at = tl.where(partial.argmax == NOWHERE, -1, partial.argmax)
    largest = partial.abs_max
    smallest = partial.abs_min
    if MERGE:
        old_largest = tl.load(row + _ABS_MAX)
        old_at = tl.load(row + _ARGMAX)
        at = tl.where((old_at < 0) | (largest > old_largest), at, old_at)
        largest = tl.maximum(largest, old_largest)
        smallest = tl.minimum(smallest, tl.load(row + _ABS_MIN))
    _write_count(row + _N_OBS, tl.full([], 1, tl.int64), MERGE)
    _write_count(row + _NUMEL, numel, MERGE)
    for i in tl.static_range(_ARGMAX - _N_ZERO):
        _write_count(row + _N_ZERO + i, partial[i], MERGE)
    tl.store(row + _ARGMAX, at)
    tl.store(row + _ABS_MAX, largest)
    tl.store(row + _ABS_MIN, smallest)
    for i in tl.static_range(N_SUMS):
        if MERGE:
            if i < N_NARROW_SUMS or WIDE:
                before = tl.load(row + _SUM + i).to(tl.float64, bitcast=True)
                tl.store(row + _SUM + i, (before + partial.sums[i]).to(tl.int64, bitcast=True))
        else:
            tl.store(row + _SUM + i, partial.sums[i].to(tl.int64, bitcast=True))
    _write_count(row + _HIST + tl.arange(0, _N_BINS), histogram, MERGE)


@triton.jit
def _write_count(words, counts, MERGE: tl.constexpr):
    if MERGE:
        counts += tl.load(words)
    tl.store(words, counts)
