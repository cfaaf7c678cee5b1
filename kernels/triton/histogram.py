# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""A 128-bin histogram in the shared memory of one program, counted while the program reads.

    histogram = begin_histogram()
    for block in ...:
        histogram = count_bins(histogram, 4 * bins)
    histogram = end_histogram(histogram)             # int32 [128]

`tl.histogram` gives a block's counts as a tensor: it clears shared memory, counts, and reads it back for
every block, with barriers between; and before Triton 3.8 it counts by warp votes, at 40 instructions for
32 values. Here one array stays in shared memory until the program has read everything, and a value costs
one instruction: ptxas turns an increment of shared memory whose result nobody reads into
`ATOMS.POPC.INC`, which adds up what the lanes of a warp bring to one address, so a tensor whose values
all fall into one bin costs no more than another.

Triton has no word for such an array, but PTX has: a `.shared` variable declared once, by the first
inline assembly below, is known by its name to all that follow in the same kernel. So `begin_histogram`
stands exactly once in a kernel, outside of loops and branches. On a device the tensor that is passed
along stays zero, and is there for the interpreter, which has no assembly and adds up `tl.histogram`.

The rule of the bins, in float32, for the prefix midpoint m of a value (`bins`):

    4 * bin + (0 to 3) = floor(16 * log10(2) * log2(m)) + 4 * 96

Added to 1.5 * 2**23, where float32 counts in ones, and rounded down, the result stands in the low bits
of the sum: one multiply-add gives the address, up to a mask. The hardware's log2 is within 2**-22 of the
true one, relatively, hence within 2.3e-5 bins; the nearest edge is 4.6e-5 away.
"""

from __future__ import annotations

import triton
import triton.language as tl

from gradprof.kernels.bins import N_BINS, ONE_BIN

INTERPRETED = tl.constexpr(bool(triton.knobs.runtime.interpret))
"""Whether these kernels run in Triton's interpreter, which is decided when they are first imported."""

_N_BINS = tl.constexpr(N_BINS)
_ONE_BIN = tl.constexpr(ONE_BIN)
_BINS_PER_OCTAVE = tl.constexpr(1.2041199826559248)  # 4 * log10(2)

_ASM_DECLARE = tl.constexpr(".shared .align 16 .b32 gradprof_histogram[128]; mov.u32 $0, 0;")

_ASM_CLEAR = tl.constexpr("""
    {
        .reg .b32 address;
        mov.u32 address, gradprof_histogram;
        add.u32 address, address, $1;
        st.shared.u32 [address], 0;
        mov.u32 $0, 0;
    }
""")

_ASM_COUNT = tl.constexpr("""
    {
        .reg .b32 address;
        mov.u32 address, gradprof_histogram;
        add.u32 address, address, $1;
        red.shared.add.u32 [address], 1;
        mov.u32 $0, 0;
    }
""")

_ASM_READ = tl.constexpr("""
    {
        .reg .b32 address;
        mov.u32 address, gradprof_histogram;
        add.u32 address, address, $1;
        ld.shared.u32 $0, [address];
    }
""")

# 0f409A209B is 16 * log10(2), 0f4B400180 is 1.5 * 2**23 + 4 * 96.
_OFFSET = """
        abs.f32 value, value;
        lg2.approx.ftz.f32 value, value;
        fma.rm.f32 value, value, 0f409A209B, 0f4B400180;
        mov.b32 bits, value;
        and.b32 $0, bits, 0x1fc;
    }
"""
_ASM_OFFSET = tl.constexpr(
    """
    {
        .reg .b32 bits;
        .reg .f32 value;
        and.b32 bits, $1, 0xffff0000;
        or.b32 bits, bits, 0x8000;
        mov.b32 value, bits;
"""
    + _OFFSET
)
# Of a bfloat16, whose lower half is empty. Two constants in one instruction cost a second one.
_ASM_OFFSET_OF_PREFIX = tl.constexpr(
    """
    {
        .reg .b32 bits;
        .reg .f32 value;
        or.b32 bits, $1, 0x8000;
        mov.b32 value, bits;
"""
    + _OFFSET
)

_ASM_LOG2 = tl.constexpr("lg2.approx.ftz.f32 $0, $1;")


@triton.jit
def begin_histogram():
    """An empty histogram. Once in a kernel."""
    if not INTERPRETED:
        tl.inline_asm_elementwise(_ASM_DECLARE, "=r,r", [0], dtype=tl.int32, is_pure=False, pack=1)
    return clear_histogram(tl.zeros([_N_BINS], tl.int32))


@triton.jit
def clear_histogram(histogram):
    """Forget what was counted."""
    if not INTERPRETED:
        tl.debug_barrier()
        offsets = 4 * tl.arange(0, _N_BINS)
        tl.inline_asm_elementwise(_ASM_CLEAR, "=r,r", [offsets], dtype=tl.int32, is_pure=False, pack=1)
        tl.debug_barrier()
    return tl.zeros_like(histogram)


@triton.jit
def count_bins(histogram, offsets):
    """Count one for each of `offsets`, int32 [n], four times the bin."""
    if INTERPRETED:
        histogram += tl.histogram(offsets // 4, _N_BINS)
    else:
        tl.inline_asm_elementwise(_ASM_COUNT, "=r,r", [offsets], dtype=tl.int32, is_pure=False, pack=1)
    return histogram


@triton.jit
def end_histogram(histogram):
    """The counts, int32 [128]."""
    if not INTERPRETED:
        tl.debug_barrier()
        histogram = tl.inline_asm_elementwise(
            _ASM_READ, "=r,r", [4 * tl.arange(0, _N_BINS)], dtype=tl.int32, is_pure=False, pack=1
        )
    return histogram


@triton.jit
def wrapped_offsets(x, IS_PREFIX: tl.constexpr):
    """Four times the bin of each float32, if it lies in [1e-24, 1e8); 0 for zeros and denormals.

    Values out of range land in a wrong bin, but always in one of the 128. `IS_PREFIX`: the lower half
    of each value's bits is zero.
    """
    if INTERPRETED:
        bits = x.to(tl.int32, bitcast=True) & 0x7FFFFFFF
        bins = _bins_of_midpoints(bits)
        offsets = tl.where((bits >= 0x00800000) & (bits < 0x7F800000), 4 * (bins & (_N_BINS - 1)), 0)
    else:
        asm: tl.constexpr = _ASM_OFFSET_OF_PREFIX if IS_PREFIX else _ASM_OFFSET
        offsets = tl.inline_asm_elementwise(asm, "=r,r", [x], dtype=tl.int32, is_pure=True, pack=1)
    return offsets


@triton.jit
def clipped_bins(bits):
    """The bin of each finite non-zero float32 magnitude, given its bits, int32."""
    bins = tl.minimum(tl.maximum(_bins_of_midpoints(bits), 0), _N_BINS - 1)
    return tl.where(bits < 0x00800000, 0, bins)  # the hardware takes denormals for zeros


@triton.jit
def _bins_of_midpoints(bits):
    """floor(4 * log10(m)) + 96 of normal magnitudes; whatever fits an int32 of others."""
    normal = (bits >= 0x00800000) & (bits < 0x7F800000)
    midpoint = tl.where(normal, (bits & 0x7FFF0000) | 0x8000, 0x3F808000).to(tl.float32, bitcast=True)
    if INTERPRETED:
        log2 = tl.log2(midpoint)
    else:
        log2 = tl.inline_asm_elementwise(
            _ASM_LOG2, "=f,f", [midpoint], dtype=tl.float32, is_pure=True, pack=1
        )
    return tl.floor(log2 * _BINS_PER_OCTAVE + _ONE_BIN).to(tl.int32)
