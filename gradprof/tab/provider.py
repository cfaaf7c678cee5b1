"""Pieces of event files as TensorBoard's data provider gives them.

The provider is all that is used: with TensorBoard's data server there is nothing else, and it reads the log
directory already. A tag of gradprof's holds one event that never changes, so what was decoded of it is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from tensorboard.data.provider import RunTagFilter

from gradprof.read.source import HEADER, PLUGIN_NAME, Listed, Missing, Piece, decoded

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
        listed = self._list(asker, RunTagFilter(tags=[HEADER]))
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
        run: str,
        pieces: Sequence[Piece],
        largest: int,
        decode: Callable[[bytes], T],
        keep: bool = True,
    ) -> Iterator[T]:
        """Pieces of a run, see `read.source.Source.read`."""
        at_once = max(1, BATCH_BYTES // largest)
        for at in range(0, len(pieces), at_once):
            yield from self._read(asker, run, pieces[at : at + at_once], decode, keep)

    def _read(
        self, asker: Asker, run: str, pieces: Sequence[Piece], decode: Callable[[bytes], T], keep: bool
    ) -> Iterable[T]:
        found = {piece: self.cache.get((asker.experiment_id, run, piece)) for piece in pieces}
        if absent := [piece for piece, value in found.items() if value is None]:
            data = self._fetch(asker, run, absent)
            for piece in absent:
                if piece.tag not in data:
                    raise Missing(piece.tag)
                found[piece] = decoded(piece, data[piece.tag], decode)
                if keep:
                    self.cache.put((asker.experiment_id, run, piece), found[piece], len(data[piece.tag]))
        return [found[piece] for piece in pieces]

    def _fetch(self, asker: Asker, run: str, pieces: Sequence[Piece]) -> dict[str, bytes]:
        """The bytes of pieces of one plugin, by tag; those that are not there are left out."""
        found = self._provider.read_tensors(
            asker.context,
            experiment_id=asker.experiment_id,
            plugin_name=pieces[0].plugin,
            downsample=1,
            run_tag_filter=RunTagFilter(runs=[run], tags=[piece.tag for piece in pieces]),
        )
        series = found.get(run, {})
        return {tag: _bytes_of(data[0].numpy) for tag, data in series.items() if data}

    def _list(self, asker: Asker, wanted: RunTagFilter) -> dict[str, dict[str, Any]]:
        listed: dict[str, dict[str, Any]] = self._provider.list_tensors(
            asker.context,
            experiment_id=asker.experiment_id,
            plugin_name=PLUGIN_NAME,
            run_tag_filter=wanted,
        )
        return listed


@dataclass(frozen=True)
class ProviderSource:
    """One run for one request; implements `read.source.Source`."""

    store: Store
    asker: Asker
    run: str

    @property
    def name(self) -> str:
        """See `Source`."""
        return f"the run {self.run!r}"

    def listing(self) -> Mapping[str, Listed]:
        """See `Store.listing`."""
        return self.store.listing(self.asker, self.run)

    def read(
        self, pieces: Sequence[Piece], largest: int, decode: Callable[[bytes], T], keep: bool = True
    ) -> Iterator[T]:
        """See `Source`."""
        return self.store.read(self.asker, self.run, pieces, largest, decode, keep)

    def remembered(self, key: Hashable) -> Any:
        """See `Source`."""
        return self.store.cache.get((self.asker.experiment_id, self.run, key))

    def remember(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """See `Source`."""
        self.store.cache.put((self.asker.experiment_id, self.run, key), value, n_bytes)


def _bytes_of(tensor: Any) -> bytes:
    """A uint8 tensor `[n]`, or one string."""
    value: bytes = tensor.item() if tensor.dtype == object else tensor.tobytes()
    return value
