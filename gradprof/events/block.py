"""The full record of several steps as one compressed block, every bit of it recoverable.

A row is 1152 bytes; a block holds it in about 60 to 80, because most of it can be predicted. What is
stored is the difference from a prediction, as byte planes (all lowest bytes, then all next ones, …)
whose upper planes are nearly all zero, deflated with run-length matching and Huffman codes:

- counts and positions: the change since the step before;
- extrema and sums: their bits xor those of the step before (extrema of float32 have 29 zero bits);
- the histogram: which bins are occupied, as bits, by xor with the step before; then, for every bin
  occupied in this step or the one before, the change of its count.

Layout: `b"GPB1"`, uint32 length of a JSON header, the header, then the streams back to back. The header
names shape, streams and their compressed lengths. The histogram comes last, a stream of its own, so that
the other fields can be read without it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gradprof.kernels.bins import N_BINS
from gradprof.kernels.row import ROW_DTYPE

_MAGIC = b"GPB1"
_LENGTH = struct.Struct("<I")
_INTEGERS = ("n_obs", "numel", "n_nan", "n_inf", "n_zero", "n_above", "argmax")
_FLOATS = tuple(name for name in ROW_DTYPE.names or () if ROW_DTYPE[name] == np.float64)
_FIELDS_DTYPE = np.dtype([(name, ROW_DTYPE[name]) for name in ROW_DTYPE.names or () if name != "hist"])

Int64Array = npt.NDArray[np.int64]
Uint64Array = npt.NDArray[np.uint64]


class BadBlock(ValueError):
    """The bytes are not a block of this format version."""


@dataclass
class Block:
    """Consecutive recorded steps.

    `rows` is a structured array `[steps, sites]` of `kernels.row.ROW_DTYPE`. `steps` is int64;
    `wall_times` (seconds since the epoch), `seconds` (spent in the profiler on the training thread) and
    `waits` (of these, waited for the writer) are float64; all `[steps]`. `scalars` holds the caller's own
    values as name → [(step, value), …], `shapes` the shapes of sites first seen in this block, by label.
    """

    steps: Int64Array
    wall_times: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]
    waits: npt.NDArray[np.float64]
    rows: np.ndarray
    scalars: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)


def encode(block: Block) -> bytes:
    """The block as bytes."""
    hist = block.rows["hist"]
    streams = {
        "steps": _deflate([block.steps, block.wall_times, block.seconds, block.waits]),
        "fields": _deflate([*_integer_planes(block.rows), *_float_planes(block.rows)]),
        "hist": _deflate(_hist_planes(hist)),
    }
    header = json.dumps(
        {
            "steps": len(block.steps),
            "sites": block.rows.shape[1],
            "streams": {name: len(data) for name, data in streams.items()},
            "scalars": block.scalars,
            "shapes": block.shapes,
        },
        separators=(",", ":"),
    ).encode()
    return b"".join((_MAGIC, _LENGTH.pack(len(header)), header, *streams.values()))


class EncodedBlock:
    """A block still compressed; its parts are decoded when asked for.

    Raises:
        BadBlock: the bytes are not a block of this format version.
    """

    def __init__(self, data: bytes) -> None:
        start = len(_MAGIC) + _LENGTH.size
        if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
            raise BadBlock(f"expected a block that starts with {_MAGIC!r}, got {data[:4]!r}")
        start += _LENGTH.unpack_from(data, len(_MAGIC))[0]
        try:
            header: dict[str, Any] = json.loads(data[len(_MAGIC) + _LENGTH.size : start])
        except ValueError as error:
            raise BadBlock(f"the header of the block is not whole: {error}") from error
        if (whole := start + sum(header["streams"].values())) != len(data):
            raise BadBlock(f"expected a block of {whole} bytes, got {len(data)}")
        self.shape: tuple[int, int] = (header["steps"], header["sites"])
        self.scalars: dict[str, list[tuple[int, float]]] = {
            name: [(int(step), float(value)) for step, value in points]
            for name, points in header["scalars"].items()
        }
        self.shapes: dict[str, list[int]] = header["shapes"]
        self._streams: dict[str, bytes] = {}
        for name, length in header["streams"].items():
            self._streams[name] = data[start : start + length]
            start += length
        times = self._reader("steps")
        self.steps: Int64Array = times.words(self.shape[0]).view(np.int64)
        self.wall_times = times.words(self.shape[0]).view(np.float64)
        self.seconds = times.words(self.shape[0]).view(np.float64)
        self.waits = times.words(self.shape[0]).view(np.float64)

    def _reader(self, stream: str) -> _PlaneReader:
        try:
            return _PlaneReader(zlib.decompress(self._streams[stream]))
        except zlib.error as error:
            raise BadBlock(f"the stream {stream!r} of the block is damaged: {error}") from error

    def hist(self) -> Int64Array:
        """int64 `[steps, sites, 128]`."""
        reader = self._reader("hist")
        bits = reader.array(np.uint8, (*self.shape, N_BINS // 8))
        occupied = np.unpackbits(np.bitwise_xor.accumulate(bits, axis=0), axis=2).astype(bool)
        changes = np.zeros(occupied.shape, dtype=np.int64)
        changes[_touched(occupied)] = _unzigzag(reader.planes())
        return np.cumsum(changes, axis=0)

    def fields(self) -> np.ndarray:
        """Structured array `[steps, sites]` of every field but the histogram."""
        reader = self._reader("fields")
        fields = np.empty(self.shape, dtype=_FIELDS_DTYPE)
        for name in _INTEGERS:
            fields[name] = np.cumsum(_unzigzag(reader.planes()).reshape(self.shape), axis=0)
        for name in _FLOATS:
            words = np.bitwise_xor.accumulate(reader.planes().reshape(self.shape), axis=0)
            fields[name] = words.view(np.float64)
        return fields

    def rows(self) -> np.ndarray:
        """Structured array `[steps, sites]` of `kernels.row.ROW_DTYPE`."""
        fields = self.fields()
        rows = np.empty(self.shape, dtype=ROW_DTYPE)
        for name in fields.dtype.names or ():
            rows[name] = fields[name]
        rows["hist"] = self.hist()
        return rows


# --- predictions -------------------------------------------------------------------------------


def _integer_planes(rows: np.ndarray) -> Iterable[npt.NDArray[np.uint8]]:
    for name in _INTEGERS:
        yield from _planes(_zigzag(np.diff(rows[name], axis=0, prepend=0)))


def _float_planes(rows: np.ndarray) -> Iterable[npt.NDArray[np.uint8]]:
    for name in _FLOATS:
        words = np.ascontiguousarray(rows[name]).view(np.uint64)
        yield from _planes(_xor_with_previous(words))


def _hist_planes(hist: Int64Array) -> Iterable[npt.NDArray[np.uint8]]:
    occupied = hist != 0
    yield _xor_with_previous(np.packbits(occupied, axis=2))
    changes = np.diff(hist, axis=0, prepend=0)
    yield from _planes(_zigzag(changes[_touched(occupied)]))


def _touched(occupied: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Bins occupied in a step or in the one before: those whose count can have changed."""
    touched = occupied.copy()
    touched[1:] |= occupied[:-1]
    return touched


def _xor_with_previous(words: np.ndarray) -> np.ndarray:
    out = words.copy()
    out[1:] ^= words[:-1]
    return out


def _zigzag(values: Int64Array) -> Uint64Array:
    """Small magnitudes of either sign to small integers: 0, -1, 1, -2, … to 0, 1, 2, 3, …"""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def _unzigzag(words: Uint64Array) -> Int64Array:
    return (words >> np.uint64(1)).view(np.int64) ^ -(words & np.uint64(1)).view(np.int64)


# --- byte planes and streams ------------------------------------------------------------------


def _planes(words: Uint64Array) -> Iterable[npt.NDArray[np.uint8]]:
    """The count of words and of planes, then the planes that are not all zero, lowest first."""
    flat = words.reshape(-1)
    n_planes = (int(np.bitwise_or.reduce(flat)).bit_length() + 7) // 8
    yield np.frombuffer(struct.pack("<QQ", flat.size, n_planes), dtype=np.uint8)
    as_bytes = flat.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
    yield np.ascontiguousarray(as_bytes[:, :n_planes].T)


class _PlaneReader:
    """Reads back, in order, what `_planes` and plain arrays wrote into one stream."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def array(self, dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
        values = np.frombuffer(self._data, dtype, int(np.prod(shape)), self._at).reshape(shape)
        self._at += values.nbytes
        return values

    def words(self, n: int) -> Uint64Array:
        return self.array(np.uint64, (n,))

    def planes(self) -> Uint64Array:
        n, n_planes = (int(v) for v in self.words(2))
        as_bytes = np.zeros((n, 8), dtype=np.uint8)
        as_bytes[:, :n_planes] = self.array(np.uint8, (n_planes, n)).T
        return as_bytes.view("<u8").reshape(n).astype(np.uint64, copy=False)


def _deflate(arrays: Iterable[np.ndarray]) -> bytes:
    # Z_RLE: only runs are matched. On byte planes it is several times faster than looking for repeats,
    # and as small: what is not a run of zeros is noise, which only Huffman codes shorten.
    deflater = zlib.compressobj(level=6, strategy=zlib.Z_RLE)
    parts = [deflater.compress(np.ascontiguousarray(array).tobytes()) for array in arrays]
    parts.append(deflater.flush())
    return b"".join(parts)
