"""How loops are compiled here and kept on disk, and what numba has no words for: memory by its address, bits
as a number, fetching ahead, counters shared by threads.

Numba widens every integer to 64 bits unless told otherwise, and checks for negative indices unless it
sees that there are none: hence the casts and the slices in what is compiled.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

compiled = numba.njit(nogil=True, boundscheck=False, error_model="numpy")
vectorised = numba.njit(
    nogil=True,
    boundscheck=False,
    error_model="numpy",
    fastmath={"reassoc", "nsz", "contract"},  # sums in any order; NaN and inf keep their meaning
)
"""For loops that the compiler turns into vector instructions."""

KERNELS = Path(__file__).parents[1]


def digest_of_sources(kernels: Path = KERNELS) -> int:
    """Of the files that the loops are made of, and of those whose constants are compiled in."""
    sources = sorted([*kernels.glob("*.py"), *kernels.glob("numba/*.py")])
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).digest()
    return int.from_bytes(digest[:7], "big")  # as an int64 holds


@intrinsic
def pointer_to(typing: Any, dtype: Any, address: Any) -> Any:
    """An address, int64, as a pointer to values of a numba type."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[1], context.get_value_type(signature.return_type))

    return types.CPointer(dtype.dtype)(dtype, address), generate


@intrinsic
def as_float32(typing: Any, bits: Any) -> Any:
    """The float32 that a uint32 is the bits of."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def prefetch(typing: Any, address: Any) -> Any:
    """Ask for the cache line at an address, int64; one that is not mapped is passed over."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        words = [ir.IntType(32)] * 3
        function = ir.FunctionType(ir.VoidType(), [pointer.type, *words])
        fetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        read, keep, data = (ir.Constant(word, value) for word, value in zip(words, (0, 3, 1), strict=True))
        builder.call(fetch, [pointer, read, keep, data])
        return context.get_dummy_value()

    return types.void(address), generate


@intrinsic
def take_ticket(typing: Any, address: Any) -> Any:
    """Add 1 to the int64 at an address; what it was.

    Whoever gets a later ticket sees all that was written before an earlier one was taken.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "acq_rel")

    return types.int64(types.int64), generate
