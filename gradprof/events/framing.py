"""Event-file records: `length, crc(length), data, crc(data)`, little-endian, each crc masked CRC-32C.

Each record's data is one serialized `Event`. Source: TensorFlow's TFRecord format, as TensorBoard reads it.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event

with warnings.catch_warnings():
    # Without its C extension it warns when it is imported; here whoever writes is told, see `_warn_if_slow`.
    warnings.simplefilter("ignore", RuntimeWarning)
    import google_crc32c

FILE_VERSION = "brain.Event:2"

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_SUMMARY_FIELD = b"\x2a"  # Event.summary: field 5, length-delimited


def masked_crc32c(data: bytes) -> int:
    """The masked CRC-32C that the TFRecord format stores."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _warn_if_slow() -> None:
    """Say it once: Python's loop takes about 100 ns a byte with the interpreter lock held."""
    if google_crc32c.implementation != "c":
        warnings.warn(
            "google-crc32c has no C extension here, so to write a step of 200 sites takes 2 to 10 ms "
            "of Python instead of half a millisecond: install a wheel of it for this platform",
            RuntimeWarning,
            stacklevel=3,
        )


def frame(data: bytes) -> bytes:
    """One record."""
    _warn_if_slow()
    length = struct.pack("<Q", len(data))
    return b"".join((length, _FOOTER.pack(masked_crc32c(length)), data, _FOOTER.pack(masked_crc32c(data))))


def version_event(wall_time: float) -> bytes:
    """The serialized event that every event file starts with."""
    data: bytes = Event(wall_time=wall_time, file_version=FILE_VERSION).SerializeToString()
    return data


def summary_event(wall_time: float, step: int, summary: bytes) -> bytes:
    """An event around serialized `Summary` values, without parsing them."""
    head: bytes = Event(wall_time=wall_time, step=step).SerializeToString()
    return b"".join((head, _SUMMARY_FIELD, varint(len(summary)), summary))


def varint(value: int) -> bytes:
    """A length as protocol buffers write it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class TruncatedFile(Exception):
    """The file ends, or breaks, inside a record: it was cut off, or is still being written."""


def read_records(path: Path) -> Iterator[bytes]:
    """The data of each record in order.

    Raises:
        TruncatedFile: after the last whole record, if something follows that is not one.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        while header := file.read(_HEADER.size):
            if len(header) < _HEADER.size:
                raise TruncatedFile
            length, length_crc = _HEADER.unpack(header)
            if masked_crc32c(header[:8]) != length_crc:
                raise TruncatedFile
            if length > size:  # not to be allocated
                raise TruncatedFile
            body = file.read(length + _FOOTER.size)
            if len(body) < length + _FOOTER.size:
                raise TruncatedFile
            data = body[:length]
            if masked_crc32c(data) != _FOOTER.unpack_from(body, length)[0]:
                raise TruncatedFile
            yield data
