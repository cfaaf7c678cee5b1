"""Pieces of event files as TensorBoard's data provider gives them.

The provider is all that is used: with TensorBoard's data server there is nothing else, and it reads the log
directory already. A tag of gradprof's holds one event that never changes, so what was decoded of it is kept.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from tensorboard.data.provider import RunTagFilter

from gradprof.events import tags

from .cache import ByteCache

T = TypeVar("T")

LISTING_SECONDS = 1.0
"""For so long a run's list of tags is taken to be up to date."""
BATCH_BYTES = 48 << 20
"""At most read in one go, were nothing compressed: TensorBoard's data server cannot send more than 256 MiB,
and takes tens of milliseconds for however little."""
CACHE_BYTES = 48 << 20


class Asker(NamedTuple):
    """On whose behalf the provider is asked, and of which experiment; both come with a request."""

    context: Any
    experiment_id: str


class Piece(NamedTuple):
    """One tag of a run, and when it was written: another recording in the same place is another piece."""

    run: str
    plugin: str
    tag: str
    wall_time: float


class Listed(NamedTuple):
    """When the one event of a tag was written, and at which step of the training."""

    wall_time: float
    step: int


class Damaged(ValueError):
    """A piece is not what it should be; the message says which and why."""


class Missing(LookupError):
    """A piece that was listed, or follows from those listed, is not there; the message is its tag."""


class Store:
    """Reads and keeps pieces; may be used by several threads.

    Args:
        provider: TensorBoard's data provider.
    """

    def __init__(self, provider: Any) -> None:
        if provider is None:
            raise RuntimeError("TensorBoard has no data provider: start it without --generic_data=false")
        self._provider = provider
        self._listings: dict[tuple[str, str], tuple[float, Mapping[str, Listed]]] = {}
        self.cache = ByteCache(CACHE_BYTES)

    def runs(self, asker: Asker) -> list[str]:
        """The names of all runs of gradprof's, sorted."""
        listed = self._list(asker, RunTagFilter(tags=[tags.HEADER]))
        return sorted(run for run, found in listed.items() if found)

    def listing(self, asker: Asker, run: str) -> Mapping[str, Listed]:
        """The tags of a run but those of histograms; at most a second old, the same object until it changes.

        Empty where there is no such run.
        """
        key = asker.experiment_id, run
        listed_at, known = self._listings.get(key, (-math.inf, {}))
        if time.monotonic() - listed_at < LISTING_SECONDS:
            return known
        series = self._list(asker, RunTagFilter(runs=[run])).get(run, {})
        listing = {tag: Listed(found.max_wall_time, found.max_step) for tag, found in series.items()}
        if listing:
            self._listings[key] = time.monotonic(), known if listing == known else listing
            return self._listings[key][1]
        self._listings.pop(key, None)  # names of runs that are not there would add up
        return listing

    def read(
        self,
        asker: Asker,
        pieces: Sequence[Piece],
        largest: int,
        decode: Callable[[bytes], T],
        keep: bool = True,
    ) -> Iterator[T]:
        """Each piece in order, decoded.

        Args:
            largest: bytes that one piece may have; decides how many are read in one go.
            keep: in the cache, for the next time.

        Raises:
            Missing: a piece is not there.
            Damaged: it cannot be decoded.
        """
        at_once = max(1, BATCH_BYTES // largest)
        for at in range(0, len(pieces), at_once):
            yield from self._read(asker, pieces[at : at + at_once], decode, keep)

    def _read(
        self, asker: Asker, pieces: Sequence[Piece], decode: Callable[[bytes], T], keep: bool
    ) -> Iterable[T]:
        decoded = {piece: self.cache.get((asker.experiment_id, piece)) for piece in pieces}
        if absent := [piece for piece, value in decoded.items() if value is None]:
            data = self._fetch(asker, absent)
            for piece in absent:
                if piece.tag not in data:
                    raise Missing(piece.tag)
                decoded[piece] = _decoded(piece, data[piece.tag], decode)
                if keep:
                    self.cache.put((asker.experiment_id, piece), decoded[piece], len(data[piece.tag]))
        return [decoded[piece] for piece in pieces]

    def _fetch(self, asker: Asker, pieces: Sequence[Piece]) -> dict[str, bytes]:
        """The bytes of pieces of one run and plugin, by tag; those that are not there are left out."""
        found = self._provider.read_tensors(
            asker.context,
            experiment_id=asker.experiment_id,
            plugin_name=pieces[0].plugin,
            downsample=1,
            run_tag_filter=RunTagFilter(runs=[pieces[0].run], tags=[piece.tag for piece in pieces]),
        )
        series = found.get(pieces[0].run, {})
        return {tag: _bytes_of(data[0].numpy) for tag, data in series.items() if data}

    def _list(self, asker: Asker, wanted: RunTagFilter) -> dict[str, dict[str, Any]]:
        listed: dict[str, dict[str, Any]] = self._provider.list_tensors(
            asker.context,
            experiment_id=asker.experiment_id,
            plugin_name=tags.PLUGIN_NAME,
            run_tag_filter=wanted,
        )
        return listed


def _decoded(piece: Piece, data: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(data)
    except (
        ValueError,
        LookupError,
        TypeError,
        struct.error,
    ) as error:  # whatever a stranger's bytes may cause
        raise Damaged(f"{piece.tag}: {error}") from error


def _bytes_of(tensor: Any) -> bytes:
    """A uint8 tensor `[n]`, or one string."""
    value: bytes = tensor.item() if tensor.dtype == object else tensor.tobytes()
    return value
