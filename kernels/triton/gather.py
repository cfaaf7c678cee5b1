# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""From the programs of a tensor to its last one: each leaves a partial, and who comes last merges all."""

from __future__ import annotations

import triton
import triton.language as tl

from gradprof.kernels.bins import N_BINS

from .partial import INF_BITS, N_NARROW_SUMS, N_SUMS, NOWHERE, Partial, Sums, empty_partial, merge_partials

_N_BINS = tl.constexpr(N_BINS)
_N_OTHERS = tl.constexpr(len(Partial._fields) - 1)
"""Words of a partial that come before its sums."""

_TILE = tl.constexpr(1024)


@triton.jit
def publish(partial, histogram, counter, histograms, partials, slot, n_slots, n_chunks, WIDE: tl.constexpr):
    """Leave what a chunk gave for the last program of its tensor; whether this is it.

    Word i of the partial goes to word i * n_slots + slot of `partials`.
    """
    bins = histograms.to(tl.pointer_type(tl.int64)) + tl.arange(0, _N_BINS)
    tl.atomic_add(bins, histogram, mask=histogram != 0, sem="relaxed")
    words = partials.to(tl.pointer_type(tl.int64)) + slot
    for i in tl.static_range(_N_OTHERS):
        tl.store(words + i * n_slots, partial[i])
    for i in tl.static_range(N_SUMS if WIDE else N_NARROW_SUMS):
        tl.store(words + (_N_OTHERS + i) * n_slots, partial.sums[i].to(tl.int64, bitcast=True))
    tl.debug_barrier()  # what all threads wrote comes before what one thread now announces
    before = tl.atomic_add(counter.to(tl.pointer_type(tl.int64)), 1, sem="acq_rel")
    return before == n_chunks - 1


@triton.jit
def collect(counter, histograms, partials, first_slot, n_slots, n_chunks, WIDE: tl.constexpr):
    """The partial and the histogram of all chunks of a tensor; the counter and the histogram are cleared."""
    bins = histograms.to(tl.pointer_type(tl.int64)) + tl.arange(0, _N_BINS)
    histogram = tl.load(bins, cache_modifier=".cg")
    tl.debug_barrier()
    tl.store(bins, tl.zeros([_N_BINS], tl.int64))
    tl.store(counter.to(tl.pointer_type(tl.int64)), tl.full([], 0, tl.int64))

    first = partials.to(tl.pointer_type(tl.int64)) + first_slot
    partial = empty_partial()
    for i in range(0, n_chunks, _TILE):
        chunks = i + tl.arange(0, _TILE)
        partial = merge_partials(partial, _of_tile(first + chunks, n_slots, chunks < n_chunks, WIDE))
    return partial, histogram


@triton.jit
def _of_tile(words, n_slots, inside, WIDE: tl.constexpr):
    """The partial of up to 1024 chunks, added up in an order that is fixed."""
    at = _word(words + 4 * n_slots, inside, NOWHERE)
    largest = _word(words + 5 * n_slots, inside, 0)
    abs_max = tl.max(largest, 0)
    zero = tl.full([], 0, tl.float64)
    sums = words + _N_OTHERS * n_slots
    return Partial(
        n_zero=tl.sum(_word(words, inside, 0), 0),
        n_nan=tl.sum(_word(words + n_slots, inside, 0), 0),
        n_inf=tl.sum(_word(words + 2 * n_slots, inside, 0), 0),
        n_above=tl.sum(_word(words + 3 * n_slots, inside, 0), 0),
        argmax=tl.min(tl.where(largest == abs_max, at, NOWHERE), 0),
        abs_max=abs_max,
        abs_min=tl.min(_word(words + 6 * n_slots, inside, INF_BITS), 0),
        sums=Sums(
            sum=_sum(sums, inside),
            abs_sum=_sum(sums + n_slots, inside),
            sq=_sum(sums + 2 * n_slots, inside),
            sum_big=_sum(sums + 3 * n_slots, inside) if WIDE else zero,
            abs_sum_big=_sum(sums + 4 * n_slots, inside) if WIDE else zero,
            sq_big=_sum(sums + 5 * n_slots, inside) if WIDE else zero,
            sq_small=_sum(sums + 6 * n_slots, inside) if WIDE else zero,
        ),
    )


@triton.jit
def _word(words, inside, OTHER: tl.constexpr):
    return tl.load(words, mask=inside, other=OTHER, cache_modifier=".cg")


@triton.jit
def _sum(words, inside):
    return tl.sum(_word(words, inside, 0).to(tl.float64, bitcast=True), 0)
