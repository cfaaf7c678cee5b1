# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""A block of values as the threads of a program hold it: read, widened, and reduced within each thread."""

from __future__ import annotations

import triton
import triton.language as tl

from .histogram import INTERPRETED


@triton.constexpr_function
def loaded_as(dtype):
    """The interpreter loses digits of bfloat16 denormals; there it is loaded as half of a float32."""
    return tl.uint16 if INTERPRETED.value and dtype == tl.bfloat16 else dtype


@triton.jit
def widened(x, DTYPE: tl.constexpr):
    """What was loaded as float32, exactly; float64 as it is."""
    if INTERPRETED and DTYPE == tl.bfloat16:
        x = (x.to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    elif DTYPE != tl.float64:
        x = x.to(tl.float32)
    return x


@triton.jit
def by_thread(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    """A block as [n, LANES, WIDTH]: what one thread loaded stays with it, so that reducing is its own."""
    return tl.reshape(x, [x.shape[0] // (LANES * WIDTH), LANES, WIDTH])


@triton.jit
def thread_sum(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    return tl.sum(tl.sum(by_thread(x, LANES, WIDTH), 2), 0)


@triton.jit
def thread_sum_of_squares(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    """Four neighbours to a chain of multiply-adds, then as a sum."""
    a, b = tl.split(tl.reshape(x, [x.shape[0] // (LANES * WIDTH), LANES, WIDTH // 4, 2, 2]))
    c, d = tl.split(a)
    e, f = tl.split(b)
    chains = tl.fma(f, f, tl.fma(e, e, tl.fma(d, d, c * c)))
    return tl.sum(tl.sum(chains, 2), 0)


@triton.jit
def thread_max(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    return tl.max(tl.max(by_thread(x, LANES, WIDTH), 2), 0)


@triton.jit
def thread_min(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    return tl.min(tl.min(by_thread(x, LANES, WIDTH), 2), 0)
