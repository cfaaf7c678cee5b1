"""What every own tag holds: a magic word, a JSON header, and compressed streams of numbers.

    magic (4 bytes), uint32 CRC-32C (masked) of all that follows, uint32 length of the header, header, streams

The header names the streams and their lengths; each can be read without the others. Numbers are stored as
their difference from a prediction, the value one step before:

- integers: the change, small ones of either sign as small numbers;
- floating-point numbers: their bits xor those before (float32 kept as float64 has 29 zero bits);

and of these as byte planes: all lowest bytes, then all next ones, … A plane of noise is stored as it is, the
others, nearly all zero, are deflated with run-length matching and Huffman codes.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .framing import masked_crc32c

_HEAD = struct.Struct("<4sII")
_WORD = struct.Struct("<I")
_PLANES = struct.Struct("<QBB")
_NOISE = 0.99
"""Share of bytes other than 0 from which on a plane is not worth deflating. Of random bytes it is 0.996."""

Uint8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]


class BadBlock(ValueError):
    """The bytes are not what this format version says of them."""


def pack(magic: bytes, header: Mapping[str, Any], streams: Mapping[str, bytes]) -> bytes:
    """`header` (JSON types) and finished streams as bytes."""
    lengths = {name: len(data) for name, data in streams.items()}
    text = json.dumps({**header, "streams": lengths}, separators=(",", ":")).encode()
    body = b"".join((_WORD.pack(len(text)), text, *streams.values()))
    return b"".join((magic, _WORD.pack(masked_crc32c(body)), body))


class Packed:
    """What `pack` packed; streams stay compressed until asked for.

    Raises:
        BadBlock: the bytes are damaged, cut off, or begin otherwise than with `magic`.
    """

    def __init__(self, data: bytes, magic: bytes) -> None:
        if data[:4] != magic or len(data) < _HEAD.size:
            raise BadBlock(f"expected a block that starts with {magic!r}, got {data[:4]!r}")
        _, crc, length = _HEAD.unpack_from(data)
        if masked_crc32c(data[8:]) != crc:
            raise BadBlock(f"the block of {len(data)} bytes is damaged or cut off")
        start, view = _HEAD.size + length, memoryview(data)
        self._streams: dict[str, memoryview] = {}
        try:
            self.header: dict[str, Any] = json.loads(data[_HEAD.size : start])
            for name, size in self.header["streams"].items():
                self._streams[name] = view[start : start + size]
                start += size
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadBlock(f"the header of the block does not name its streams: {error!r}") from error
        if start != len(data):
            raise BadBlock(f"expected a block of {start} bytes, got {len(data)}")

    def count(self, name: str, most: int) -> int:
        """A number of things that the header gives.

        Raises:
            BadBlock: it is none, or larger than `most`.
        """
        n = self.header.get(name)
        if type(n) is not int or not 0 <= n <= most:
            raise BadBlock(f"the block has {n!r} {name}: expected a number up to {most}")
        return n

    def reader(self, stream: str, n_arrays: int, n_bytes: int) -> StreamReader:
        """One stream.

        Args:
            n_arrays, n_bytes: how many arrays it has, and how many bytes all of them; a stream that inflates
                to more is not inflated.

        Raises:
            BadBlock: there is no such stream, or it cannot be read.
        """
        try:
            return StreamReader(self._streams[stream], n_arrays * _PLANES.size + n_bytes)
        except KeyError as error:
            raise BadBlock(
                f"the block has no stream {stream!r}: it has {', '.join(self._streams)}"
            ) from error
        except (zlib.error, struct.error) as error:
            raise BadBlock(f"the stream {stream!r} of the block is damaged: {error}") from error


class StreamWriter:
    """Takes arrays in order; `StreamReader` gives them back in the same order."""

    def __init__(self) -> None:
        self._plain: list[bytes] = []
        self._noise: list[bytes] = []

    def raw(self, values: np.ndarray) -> None:
        """Values without prediction."""
        self._plain.append(np.ascontiguousarray(values).tobytes())

    def bits(self, values: np.ndarray) -> None:
        """`[steps, ...]` of uint8, each predicted to be as the step before, in no planes."""
        self.raw(_xor_with_previous(values))

    def integers(self, values: np.ndarray) -> None:
        """int64 `[steps, ...]`."""
        self.changes(np.diff(values, axis=0, prepend=0))

    def changes(self, changes: np.ndarray) -> None:
        """Integers of any shape and either sign, themselves the difference from a prediction."""
        shift = changes.dtype.itemsize * 8 - 1
        self._planes(((changes << 1) ^ (changes >> shift)).view(f"u{changes.dtype.itemsize}"))

    def floats(self, values: np.ndarray) -> None:
        """float64 or float32 `[steps, ...]`."""
        words = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
        self._planes(_xor_with_previous(words))

    def finish(self) -> bytes:
        # Z_RLE: only runs are matched. On byte planes it is several times faster than looking for repeats,
        # and as small: what is not a run of zeros is noise, which only Huffman codes shorten. In one call,
        # because each gives up the interpreter lock and has to wait for it afterwards.
        deflater = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS, strategy=zlib.Z_RLE)
        deflated = deflater.compress(b"".join(self._plain)) + deflater.flush()
        return b"".join((_WORD.pack(len(deflated)), deflated, *self._noise))

    def _planes(self, words: np.ndarray) -> None:
        """The count of words, of planes that are not all zero, and which of these are noise; then these."""
        flat = words.reshape(-1)
        n_planes = (int(np.bitwise_or.reduce(flat)).bit_length() + 7) // 8
        as_bytes = flat.astype(flat.dtype.newbyteorder("<"), copy=False).view(np.uint8)
        planes = np.ascontiguousarray(as_bytes.reshape(flat.size, flat.itemsize)[:, :n_planes].T)
        noise = [np.count_nonzero(plane) >= _NOISE * flat.size for plane in planes]
        marks = sum(1 << i for i, is_noise in enumerate(noise) if is_noise)
        self._plain.append(_PLANES.pack(flat.size, n_planes, marks))
        for plane, is_noise in zip(planes, noise, strict=True):
            (self._noise if is_noise else self._plain).append(plane.tobytes())


class StreamReader:
    """Gives back what was written into one stream, which inflates to at most `most` bytes.

    It raises `BadBlock` where it does not, and each method where the stream ends too early.
    """

    def __init__(self, data: bytes | memoryview, most: int) -> None:
        (length,) = _WORD.unpack_from(data)
        inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self._inflated = inflater.decompress(data[_WORD.size : _WORD.size + length], most + 1)
        if len(self._inflated) > most or not inflater.eof:
            raise BadBlock(f"a stream of the block is cut off, or has more than {most} bytes")
        self._noise = data[_WORD.size + length :]
        self._at = self._noise_at = 0

    def raw(self, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.ndarray:
        dtype = np.dtype(dtype)
        values = self._take(math.prod(shape) * dtype.itemsize)
        return values.view(dtype).reshape(shape)

    def bits(self, shape: tuple[int, ...]) -> Uint8Array:
        return np.bitwise_xor.accumulate(self.raw(np.uint8, shape), axis=0)

    def integers(self, shape: tuple[int, ...]) -> Int64Array:
        return np.cumsum(self.changes(math.prod(shape)).reshape(shape), axis=0)

    def changes(self, n: int) -> Int64Array:
        """`n` of them, flat."""
        words = self._words(n, 8)
        return (words >> np.uint64(1)).view(np.int64) ^ -(words & np.uint64(1)).view(np.int64)

    def floats(self, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> np.ndarray:
        dtype = np.dtype(dtype)
        words = self._words(math.prod(shape), dtype.itemsize).reshape(shape)
        return np.bitwise_xor.accumulate(words, axis=0).view(dtype)

    def skip(self) -> None:
        """Pass over one array of predicted numbers."""
        n, planes = self._next_planes()
        for is_noise in planes:
            self._take_noise(n) if is_noise else self._take(n)

    def _words(self, n: int, size: int) -> np.ndarray:
        """`n` unsigned words of `size` bytes, flat."""
        n_stored, planes = self._next_planes()
        if n_stored != n or len(planes) > size:
            raise BadBlock(f"expected {n} words of {size} bytes, got {n_stored} of {len(planes)}")
        as_bytes = np.zeros((n, size), dtype=np.uint8)
        for i, is_noise in enumerate(planes):
            as_bytes[:, i] = self._take_noise(n) if is_noise else self._take(n)
        return as_bytes.view(f"<u{size}").reshape(n).astype(f"u{size}", copy=False)

    def _next_planes(self) -> tuple[int, list[bool]]:
        n, n_planes, marks = _PLANES.unpack(self._take(_PLANES.size).tobytes())
        return n, [bool(marks >> i & 1) for i in range(n_planes)]

    def _take(self, n: int) -> Uint8Array:
        values = _slice(self._inflated, self._at, n)
        self._at += n
        return values

    def _take_noise(self, n: int) -> Uint8Array:
        values = _slice(self._noise, self._noise_at, n)
        self._noise_at += n
        return values


def _slice(data: bytes | memoryview, at: int, n: int) -> Uint8Array:
    if at + n > len(data):
        raise BadBlock(f"a stream of the block ends after {len(data)} bytes: expected {at + n}")
    return np.frombuffer(data, np.uint8, n, at)


def _xor_with_previous(words: np.ndarray) -> np.ndarray:
    out = words.copy()
    out[1:] ^= words[:-1]
    return out
