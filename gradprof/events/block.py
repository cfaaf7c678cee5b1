"""The full record of several steps as compressed blocks, every bit of it recoverable.

A row is 1152 bytes; here it takes about 60. One tag holds every field but the histogram (`encode_rows`),
others the histograms by groups of sites (`encode_hist`), so that one site's can be read without all others'.

A histogram is stored as which bins are occupied, as bits, and then, for every bin occupied in this step or
the one before, the change of its count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gradprof.kernels.bins import N_BINS
from gradprof.kernels.row import FIELDS_DTYPE, NARROW, ROW_DTYPE

from .streams import BadBlock, Packed, StreamWriter, pack
from .tags import MOST_SITES

__all__ = ["BadBlock", "Block", "EncodedHist", "EncodedRows", "encode_hist", "encode_rows", "hist_groups"]

BLOCK_STEPS = 64
BLOCK_BYTES = 32 << 20
"""A block holds at most this many steps and bytes of rows before compression, but at least one step."""
ROW_BYTES = ROW_DTYPE.itemsize
FIELDS_BYTES = FIELDS_DTYPE.itemsize

ROWS_MAGIC = b"GPR3"
HIST_MAGIC = b"GPH3"

_INTEGERS = ("n_obs", "numel", "n_nan", "n_inf", "n_zero", "n_above", "argmax")
_FLOATS = tuple(name for name in ROW_DTYPE.names or () if ROW_DTYPE[name] == np.float64)

_GROUP_ROWS = 2048

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass
class Block:
    """Consecutive recorded steps.

    `fields` gives each field of the rows but the histogram, `[steps, sites]`, by name: a mapping, or a
    structured array. `steps` is int64; `wall_times` (seconds since the epoch), `seconds` (spent in the
    profiler on the training thread) and `waits` (of these, waited for the writer) are float64; all `[steps]`.
    `scalars` holds the caller's own values as name → [(step, value), …], `shapes` the shapes of sites first
    seen in this block, by label.
    """

    steps: Int64Array
    wall_times: FloatArray
    seconds: FloatArray
    waits: FloatArray
    fields: np.ndarray | Mapping[str, np.ndarray]
    scalars: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)


def most_steps(n_sites: int) -> int:
    """How many steps a block may hold."""
    return max(1, min(BLOCK_STEPS, BLOCK_BYTES // (max(1, n_sites) * ROW_BYTES)))


def hist_groups(n_steps: int, n_sites: int) -> int:
    """Into how many groups of sites the histograms of a block are divided: about 2048 rows each."""
    return max(1, min(n_sites, -(-n_steps * n_sites // _GROUP_ROWS)))


def encode_rows(block: Block) -> bytes:
    """The block without its histograms."""
    times, fields = StreamWriter(), StreamWriter()
    for values in (block.steps, block.wall_times, block.seconds, block.waits):
        times.raw(values)
    for name in _INTEGERS:
        fields.integers(block.fields[name])
    for name in _FLOATS:
        fields.floats(block.fields[name])
    n_steps, n_sites = block.fields["n_obs"].shape
    header = {"steps": n_steps, "sites": n_sites, "scalars": block.scalars, "shapes": block.shapes}
    return pack(ROWS_MAGIC, header, {"steps": times.finish(), "fields": fields.finish()})


class EncodedRows:
    """A block without its histograms, still compressed; its rows are decoded when asked for.

    Attributes:
        shape: (steps, sites).
        steps, wall_times, seconds, waits, scalars, shapes: as in `Block`.

    Raises:
        BadBlock: the bytes are not such a block of this format version.
    """

    def __init__(self, data: bytes) -> None:
        self._packed = Packed(data, ROWS_MAGIC)
        header = self._packed.header
        self.shape = self._packed.count("steps", BLOCK_STEPS), self._packed.count("sites", MOST_SITES)
        try:
            self.scalars: dict[str, list[tuple[int, float]]] = {
                name: [(int(np.int64(step)), float(value)) for step, value in points]
                for name, points in header["scalars"].items()
            }
            self.shapes: dict[str, list[int]] = {
                label: [int(n) for n in shape] for label, shape in header["shapes"].items()
            }
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise BadBlock(f"the header of the block is not one of rows: {error!r}") from error
        n = self.shape[:1]
        times = self._packed.reader("steps", 4, 4 * 8 * n[0])
        self.steps: Int64Array = times.raw(np.int64, n)
        self.wall_times: FloatArray = times.raw(np.float64, n)
        self.seconds: FloatArray = times.raw(np.float64, n)
        self.waits: FloatArray = times.raw(np.float64, n)

    def fields(self, names: Iterable[str] | None = None) -> np.ndarray:
        """Structured array `[steps, sites]` of every field but the histogram, or of those named.

        Raises:
            BadBlock: the stream is not whole.
        """
        wanted = frozenset(FIELDS_DTYPE.names or () if names is None else names)
        dtype = [(name, FIELDS_DTYPE[name]) for name in FIELDS_DTYPE.names or () if name in wanted]
        fields = np.empty(self.shape, dtype)
        n_fields = len(_INTEGERS) + len(_FLOATS)
        reader = self._packed.reader("fields", n_fields, 8 * n_fields * math.prod(self.shape))
        for name in (*_INTEGERS, *_FLOATS):
            if name not in wanted:
                reader.skip()
            elif name in _INTEGERS:
                fields[name] = reader.integers(self.shape)
            else:
                fields[name] = reader.floats(self.shape)
        return fields


def encode_hist(hist: np.ndarray) -> bytes:
    """Histograms of a group of sites, `[steps, sites, 128]`: int64, or int32 below `NARROW`."""
    stream = StreamWriter()
    write_hist(stream, hist)
    n_steps, n_sites, _ = hist.shape
    return pack(HIST_MAGIC, {"steps": n_steps, "sites": n_sites}, {"hist": stream.finish()})


class EncodedHist:
    """Histograms of a group of sites, still compressed.

    Attributes:
        shape: (steps, sites of the group).

    Raises:
        BadBlock: the bytes are not such a group of this format version.
    """

    def __init__(self, data: bytes) -> None:
        self._packed = Packed(data, HIST_MAGIC)
        self.shape = self._packed.count("steps", BLOCK_STEPS), self._packed.count("sites", MOST_SITES)

    def hist(self) -> Int64Array:
        """Counts, int64 `[steps, sites of the group, 128]`.

        Raises:
            BadBlock: the stream is not whole.
        """
        return read_hist(self._packed, self.shape)


def whole_rows(fields: np.ndarray, hist: Int64Array) -> np.ndarray:
    """Structured array of `kernels.row.ROW_DTYPE`: every field but the histogram, and that, `[..., 128]`."""
    rows = np.empty(fields.shape, dtype=ROW_DTYPE)
    for name in fields.dtype.names or ():
        rows[name] = fields[name]
    rows["hist"] = hist
    return rows


def write_hist(stream: StreamWriter, hist: np.ndarray) -> None:
    """Add histograms `[steps, sites, 128]` to a stream."""
    if hist.size and hist.dtype == np.int64 and hist.min() >= 0 and hist.max() < NARROW:
        hist = hist.astype(np.int32)
    occupied = hist != 0
    stream.bits(np.packbits(occupied, axis=2))
    changes = np.diff(hist, axis=0, prepend=hist.dtype.type(0))
    stream.changes(changes[_touched(occupied)])


def read_hist(packed: Packed, shape: tuple[int, int]) -> Int64Array:
    """int64 `[steps, sites, 128]`, from the stream "hist" that `write_hist` wrote."""
    n_rows = math.prod(shape)
    stream = packed.reader("hist", 2, n_rows * (N_BINS // 8 + 8 * N_BINS))
    bits = stream.bits((*shape, N_BINS // 8))
    occupied = np.unpackbits(bits, axis=2).view(np.bool_)
    touched = _touched(occupied)
    changes = np.zeros(occupied.shape, dtype=np.int64)
    changes[touched] = stream.changes(int(np.count_nonzero(touched)))
    return np.cumsum(changes, axis=0, out=changes)


def _touched(occupied: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Bins occupied in a step or in the one before: those whose count can have changed."""
    touched = occupied.copy()
    touched[1:] |= occupied[:-1]
    return touched
