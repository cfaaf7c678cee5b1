"""One run as the tab sees it: what its header says, and which pieces hold which of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gradprof.events import tags
from gradprof.events.block import EncodedRows, decode_hist, hist_groups
from gradprof.events.pooled import EncodedPooled, EncodedPooledHist, pooled_hist_groups
from gradprof.kernels.row import ROW_DTYPE
from gradprof.record.columns import Columns

from .provider import Asker, Damaged, Listed, Missing, Piece, Store

T = TypeVar("T")
Int64Array = npt.NDArray[np.int64]

_HEADER_BYTES = 1 << 16
_ROW_BYTES = ROW_DTYPE.itemsize - ROW_DTYPE["hist"].itemsize
_METRICS_BYTES = 64
_HIST_BYTES = 1152
"""At most, of one site in one step or column: what the encoder cannot compress it stores."""


class UnreadableRun(Exception):
    """The run is there but cannot be read; the message is for people."""


@dataclass(frozen=True)
class Blocks:
    """The blocks of a run in order.

    Attributes:
        pieces: where each is.
        starts: the ordinal of each one's first step, and at last the number of all, int64 `[blocks + 1]`.
        last_steps: no step of a block has a higher number, int64 `[blocks]`.
    """

    pieces: list[Piece]
    starts: Int64Array
    last_steps: Int64Array

    def holding(self, start: int, stop: int) -> list[int]:
        """Indices of the blocks that hold ordinals from `start` up to `stop`."""
        if start >= stop:
            return []
        first, last = np.searchsorted(self.starts[:-1], (start, stop - 1), side="right") - 1
        return [i for i in range(int(first), int(last) + 1) if self.starts[i] < self.starts[i + 1]]

    def within(self, start: int, stop: int) -> slice:
        """Which of the steps of all blocks `holding` these ordinals they are."""
        blocks = self.holding(start, stop)
        skip = start - int(self.starts[blocks[0]]) if blocks else 0
        return slice(skip, skip + stop - start)


@dataclass(frozen=True)
class Moment:
    """One observed step: its number, seconds since the epoch, rows `[sites]`, and what the caller logged."""

    step: int
    wall_time: float
    fields: np.ndarray
    scalars: dict[str, float]


@dataclass(frozen=True)
class Recording:
    """A run as it was listed at one moment. What reads more of it raises `UnreadableRun`.

    Attributes:
        listing: its tags, as they were listed.
        chunks: the pooled chunks of each level that are there without a gap from the run's start.
        first, last: the first and the last block, None before there is one.
        colour_limits: those worked out before, by metric and kind.
    """

    store: Store
    asker: Asker
    run: str
    listing: Mapping[str, Listed]
    header: Mapping[str, Any]
    blocks: Blocks
    chunks: Mapping[int, Sequence[Piece]]
    first: EncodedRows | None
    last: EncodedRows | None
    colour_limits: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Observed steps."""
        return int(self.blocks.starts[-1])

    @property
    def first_step(self) -> int | None:
        """The number of the first observed step, None if there is none."""
        return self.step_at(0) if self.n else None

    @property
    def last_step(self) -> int | None:
        """The number of the last observed step, None if there is none."""
        return self.step_at(self.n - 1) if self.n else None

    @property
    def version(self) -> str:
        """Another one whenever there is more, or something else, to see."""
        return f"{self.header.get('created')}-{len(self.listing)}-{self.n}"

    @property
    def sites(self) -> list[dict[str, Any]]:
        """In model order: label, kind, name and shape of each."""
        return self.header["sites"]

    @property
    def n_sites(self) -> int:
        return len(self.sites)

    @property
    def shapes(self) -> dict[str, list[int]]:
        """By label: those known when the run began, or first seen in its first or last block."""
        shapes = {site["label"]: site["shape"] for site in self.sites if site["shape"] is not None}
        for block in (self.first, self.last):
            shapes.update(block.shapes if block else {})
        return shapes

    @property
    def scalars(self) -> list[str]:
        """Names of what the caller logged in the first and in the last block."""
        blocks = [block for block in (self.first, self.last) if block]
        return list(dict.fromkeys(name for block in blocks for name in block.scalars))

    def sites_of(self, kind: str) -> list[int]:
        """Indices of the sites of one kind, or of "all"."""
        return [i for i, site in enumerate(self.sites) if kind in ("all", site["kind"])]

    def pooled_steps(self, level: int) -> int:
        """How many steps from the run's start there are pooled columns for."""
        return len(self.chunks[level]) * tags.CHUNK_STEPS

    def chunks_holding(self, start: int, stop: int) -> range:
        """Indices of the chunks that hold ordinals from `start` up to `stop`."""
        return range(start // tags.CHUNK_STEPS, -(-stop // tags.CHUNK_STEPS) if start < stop else 0)

    # --- steps -------------------------------------------------------------------------------------

    def moment(self, ordinal: int) -> Moment:
        """One observed step."""
        (i,) = self.blocks.holding(ordinal, ordinal + 1)
        (rows,) = self.rows([i])
        at = ordinal - int(self.blocks.starts[i])
        step = int(rows.steps[at])
        return Moment(
            step=step,
            wall_time=float(rows.wall_times[at]),
            fields=rows.fields()[at],
            scalars={
                name: value for name, points in rows.scalars.items() for when, value in points if when == step
            },
        )

    def step_at(self, ordinal: int) -> int:
        """The number of an observed step."""
        (i,) = self.blocks.holding(ordinal, ordinal + 1)
        (rows,) = self.rows([i])
        return int(rows.steps[ordinal - int(self.blocks.starts[i])])

    def ordinal_of(self, step: int) -> int | None:
        """The ordinal of a step by its number, None if it was not observed."""
        i = int(np.searchsorted(self.blocks.last_steps, step))
        if i == len(self.blocks.pieces):
            return None
        (rows,) = self.rows([i])
        found = np.flatnonzero(rows.steps == step)
        return int(self.blocks.starts[i] + found[0]) if found.size else None

    # --- pieces ------------------------------------------------------------------------------------

    def rows(self, blocks: Sequence[int], keep: bool = True) -> Iterator[EncodedRows]:
        """Whole blocks, but for their histograms; `keep` them, or `remember` what is made of them."""
        pieces = [self.blocks.pieces[i] for i in blocks]
        sizes = [int(self.blocks.starts[i + 1] - self.blocks.starts[i]) for i in blocks]
        largest = max(sizes, default=0) * self.n_sites * _ROW_BYTES
        for i, rows in zip(range(len(pieces)), self._read(pieces, largest, EncodedRows, keep), strict=True):
            if rows.shape != (sizes[i], self.n_sites):
                raise self.damaged(
                    f"{pieces[i].tag} has {rows.shape} steps and sites, not {sizes[i], self.n_sites}"
                )
            yield rows

    def pooled(self, level: int, chunks: range) -> Iterator[EncodedPooled]:
        """Pooled metrics of whole chunks."""
        pieces = [self.chunks[level][i] for i in chunks]
        return self._read(pieces, tags.CHUNK_STEPS // level * self.n_sites * _METRICS_BYTES, EncodedPooled)

    def hist(self, blocks: Sequence[int], site: int) -> Iterator[Int64Array]:
        """The histograms of one site in blocks that have steps, int64 `[steps, 128]` each."""
        pieces, places, largest = [], [], 0
        for i in blocks:
            start, stop = (int(at) for at in self.blocks.starts[i : i + 2])
            n_groups = hist_groups(stop - start, self.n_sites)
            group, place, n_sites = self._group_of(site, n_groups)
            pieces.append(self._hist_piece(tags.HistTag(i, start, group, n_groups), self.blocks.pieces[i]))
            places.append(place)
            largest = max(largest, (stop - start) * n_sites * _HIST_BYTES)
        for place, data in zip(places, self._read(pieces, largest, bytes), strict=True):
            yield decode_hist(data)[:, place].copy()  # a view would keep the other sites' too

    def pooled_hist(self, chunks: range, site: int) -> Iterator[Columns]:
        """The distribution of one site in whole chunks."""
        level, n_groups = tags.HIST_LEVEL, pooled_hist_groups(self.n_sites)
        group, place, n_sites = self._group_of(site, n_groups)
        found = [(tags.PooledHistTag(level, i, group, n_groups), self.chunks[level][i]) for i in chunks]
        pieces = [self._hist_piece(tag, beside) for tag, beside in found]
        largest = tags.CHUNK_STEPS // level * n_sites * _HIST_BYTES
        for merged in self._read(pieces, largest, EncodedPooledHist):
            yield merged.columns(place)

    def remembered(self, block: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """What `remember` was given of a block under these names; nothing if one of them is gone."""
        piece = self.blocks.pieces[block]
        found = {name: self.store.cache.get((self.asker.experiment_id, piece, name)) for name in names}
        return {} if any(array is None for array in found.values()) else found

    def remember(self, block: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep what was computed of a block, while there is room."""
        for name, array in arrays.items():
            key = self.asker.experiment_id, self.blocks.pieces[block], name
            self.store.cache.put(key, array, array.nbytes)

    def damaged(self, what: object) -> UnreadableRun:
        """That the run holds something that it should not."""
        return UnreadableRun(f"the run {self.run!r} is damaged: {what}")

    def _group_of(self, site: int, n_groups: int) -> tuple[int, int, int]:
        """The group of sites that holds a site, its place therein, and how many sites the group has."""
        group = tags.group_of_site(site, n_groups, self.n_sites)
        sites = tags.group_sites(group, n_groups, self.n_sites)
        return group, site - sites.start, sites.stop - sites.start

    def _hist_piece(self, tag: tags.HistTag | tags.PooledHistTag, beside: Piece) -> Piece:
        """Histograms are not listed: their tags follow from those that are."""
        return Piece(self.run, tags.HIST_PLUGIN_NAME, str(tag), beside.wall_time)

    def _read(
        self, pieces: Sequence[Piece], largest: int, decode: Callable[[bytes], T], keep: bool = True
    ) -> Iterator[T]:
        try:
            yield from self.store.read(self.asker, pieces, _HEADER_BYTES + largest, decode, keep)
        except Missing as error:
            raise UnreadableRun(
                f"the run {self.run!r} has no {str(error)!r}: its file was cut off or is being written"
            ) from error
        except Damaged as error:
            raise self.damaged(error) from error
