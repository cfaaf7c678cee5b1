"""Where a run is read from: the tags of one run, in an event file or behind TensorBoard's data provider."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

from gradprof.events import tags
from gradprof.events.block import BadBlock
from gradprof.events.framing import TruncatedFile, read_records
from gradprof.events.tags import HEADER, HIST_PLUGIN_NAME, PLUGIN_NAME

__all__ = [
    "HEADER",
    "HIST_PLUGIN_NAME",
    "PLUGIN_NAME",
    "Damaged",
    "FileSource",
    "Listed",
    "Missing",
    "Piece",
    "Source",
    "UnreadableRun",
    "decoded",
    "read_shaped",
    "telling",
]

T = TypeVar("T")

_HEADER_BYTES = 1 << 16


class UnreadableRun(ValueError):
    """The run is there but cannot be read, or not all of it; the message is for people."""


class Damaged(ValueError):
    """A piece is not what it should be; the message says which and why."""


class Missing(LookupError):
    """A piece that was listed, or follows from those listed, is not there; the message is its tag."""


class Piece(NamedTuple):
    """One tag of a run, and when it was written: another recording in the same place has other pieces."""

    plugin: str
    tag: str
    wall_time: float


class Listed(NamedTuple):
    """When the one event of a tag was written, and at which step of the training."""

    wall_time: float
    step: int


class Source(Protocol):
    """The tags of one run."""

    @property
    def name(self) -> str:
        """What it is called in a sentence."""

    def listing(self) -> Mapping[str, Listed]:
        """The tags of `PLUGIN_NAME`, empty where there is no such run; those of histograms are not listed."""

    def read(
        self, pieces: Sequence[Piece], largest: int, decode: Callable[[bytes], T], keep: bool = True
    ) -> Iterator[T]:
        """Each piece in order, decoded.

        Args:
            largest: bytes that one piece may have; decides how many are read in one go.
            keep: what was decoded, for the next time, where the source keeps anything.

        Raises:
            Missing: a piece is not there.
            Damaged: it cannot be decoded.
        """

    def remembered(self, key: Hashable) -> Any:
        """What `remember` was given, None if it is gone."""

    def remember(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """Keep something worked out of the run, where the source keeps anything."""


class Shaped(Protocol):
    """Something decoded that says how much is encoded in it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(steps or columns, sites)."""


ShapedT = TypeVar("ShapedT", bound=Shaped)


def decoded(piece: Piece, data: bytes, decode: Callable[[bytes], T]) -> T:
    """One piece; whatever a stranger's bytes may cause is `Damaged`."""
    try:
        return decode(data)
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise Damaged(f"{piece.tag}: {error}") from error


@contextmanager
def telling(source: Source) -> Iterator[None]:
    """What is not as it should be in a source is an `UnreadableRun`.

    Raises:
        UnreadableRun: as it says.
    """
    try:
        yield
    except Missing as error:
        raise UnreadableRun(
            f"{source.name} has no {str(error)!r}: its file was cut off or is being written"
        ) from error
    except (Damaged, BadBlock) as error:
        raise UnreadableRun(f"{source.name} is damaged: {error}") from error


def read_shaped(
    source: Source,
    pieces: Sequence[Piece],
    largest: int,
    decode: Callable[[bytes], ShapedT],
    shapes: Sequence[tuple[int, int]],
    keep: bool = True,
) -> Iterator[ShapedT]:
    """Pieces that have the shapes that they must have, which bounds what is worked out of them.

    Raises:
        UnreadableRun: one is missing or damaged, or has another shape.
    """
    with telling(source):
        found = source.read(pieces, _HEADER_BYTES + largest, decode, keep)
        for piece, shape, value in zip(pieces, shapes, found, strict=True):
            if value.shape != shape:
                raise Damaged(f"{piece.tag} has {value.shape} steps and sites, not {shape}")
            yield value


class FileSource:
    """The event file of a run, read once.

    Attributes:
        truncated: the file ends inside a record: cut off, or being written just now.

    Raises:
        OSError: there is no such file, or it cannot be read.
        UnreadableRun: it has records that are no events.
    """

    def __init__(self, path: Path) -> None:
        self.name = repr(str(path))
        self.truncated = False
        self._listing: dict[str, Listed] = {}
        self._data: dict[str, bytes] = {}
        try:
            for record in read_records(path):
                if _OWN_TAGS in record:
                    self._take(Event.FromString(record))
        except TruncatedFile:
            self.truncated = True
        except DecodeError as error:
            raise UnreadableRun(f"{self.name} is damaged: {error}") from error

    def listing(self) -> Mapping[str, Listed]:
        """See `Source`."""
        return self._listing

    def read(
        self, pieces: Sequence[Piece], largest: int, decode: Callable[[bytes], T], keep: bool = True
    ) -> Iterator[T]:
        """See `Source`; all bytes are held, and decoded again each time."""
        for piece in pieces:
            if piece.tag not in self._data:
                raise Missing(piece.tag)
            yield decoded(piece, self._data[piece.tag], decode)

    def remembered(self, key: Hashable) -> Any:
        """See `Source`."""
        return None

    def remember(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """See `Source`."""

    def _take(self, event: Event) -> None:
        for value in event.summary.value:
            tag = tags.parse(value.tag)
            if value.tag == HEADER:
                self._data[HEADER] = b"".join(value.tensor.string_val)
            elif tag is not None:
                self._data[value.tag] = value.tensor.tensor_content
            else:
                continue
            if not isinstance(tag, tags.HistTag | tags.PooledHistTag):
                self._listing[value.tag] = Listed(event.wall_time, event.step)


_OWN_TAGS = b"gradprof/"
