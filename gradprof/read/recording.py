"""One run: what its header says, and its steps by ordinal, read from its source when they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradprof.events import tags
from gradprof.events.block import (
    FIELDS_BYTES,
    ROW_BYTES,
    EncodedHist,
    EncodedRows,
    hist_groups,
    whole_rows,
)
from gradprof.events.pooled import EncodedPooled, EncodedPooledHist, pooled_hist_groups
from gradprof.events.totals import EncodedTotals
from gradprof.record.columns import Columns

from .blocks import Blocks
from .source import HIST_PLUGIN_NAME, Damaged, Listed, Piece, Source, read_shaped, telling

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

LEVELS = (1, *tags.LEVELS)
"""Steps of the columns that a run can be read by, finest first."""

_METRICS_BYTES = 64
"""At most, of one site in one step or column: what the encoder cannot compress it stores."""


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
        header: see `events.header.make_header`.
        chunks: the pooled chunks of each level that are there without a gap from the run's start.
        totals: those up to the end of each chunk.
        first, last: the first and the last block, None before there is one.
    """

    source: Source
    listing: Mapping[str, Listed]
    header: Mapping[str, Any]
    blocks: Blocks
    chunks: Mapping[int, Sequence[Piece]]
    totals: Sequence[Piece]
    first: EncodedRows | None
    last: EncodedRows | None

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
    def threshold(self) -> float:
        """What `n_above` counts from."""
        return float(self.header["options"]["threshold"])

    @property
    def bin_edges(self) -> FloatArray:
        """Of the histograms, float64 `[129]`."""
        return np.array(self.header["bin_edges"], dtype=np.float64)

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
        return self.shapes_in(block for block in (self.first, self.last) if block)

    @property
    def scalars(self) -> list[str]:
        """Names of what the caller logged in the first and in the last block."""
        blocks = [block for block in (self.first, self.last) if block]
        return list(dict.fromkeys(name for block in blocks for name in block.scalars))

    def shapes_in(self, blocks: Iterable[EncodedRows]) -> dict[str, list[int]]:
        """By label: those known when the run began, or first seen in these blocks."""
        shapes = {site["label"]: site["shape"] for site in self.sites if site["shape"] is not None}
        for block in blocks:
            shapes.update(block.shapes)
        return shapes

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
        rows, at = self._holding(ordinal)
        step = int(rows.steps[at])
        return Moment(
            step=step,
            wall_time=float(rows.wall_times[at]),
            fields=self.fields(rows)[at],
            scalars={
                name: value for name, points in rows.scalars.items() for when, value in points if when == step
            },
        )

    def step_at(self, ordinal: int) -> int:
        """The number of an observed step."""
        rows, at = self._holding(ordinal)
        return int(rows.steps[at])

    def ordinal_of(self, step: int) -> int | None:
        """The ordinal of a step by its number, None if it was not observed."""
        i = int(np.searchsorted(self.blocks.last_steps, step))
        if i == len(self.blocks):
            return None
        (rows,) = self.rows([i])
        found = np.flatnonzero(rows.steps == step)
        return int(self.blocks.starts[i] + found[0]) if found.size else None

    def row(self, ordinal: int) -> np.ndarray:
        """The whole rows of one observed step, structured array `[sites]` of `kernels.row.ROW_DTYPE`."""
        (block,) = self.blocks.holding(ordinal, ordinal + 1)
        rows, at = self._holding(ordinal)
        groups = range(hist_groups(*rows.shape))
        hists = [hist[at] for group in groups for hist in self._hists([block], [group])]
        return whole_rows(self.fields(rows)[at], np.concatenate(hists))

    def _holding(self, ordinal: int) -> tuple[EncodedRows, int]:
        """The block that holds an observed step, and its place therein."""
        (block,) = self.blocks.holding(ordinal, ordinal + 1)
        (rows,) = self.rows([block])
        return rows, ordinal - int(self.blocks.starts[block])

    # --- pieces ------------------------------------------------------------------------------------

    def rows(self, blocks: Sequence[int], keep: bool = True) -> Iterator[EncodedRows]:
        """Whole blocks, but for their histograms; `keep` them, or `remember` what is made of them."""
        pieces = [self.blocks.pieces[i] for i in blocks]
        shapes = [(self.blocks.n_steps(i), self.n_sites) for i in blocks]
        largest = max((n_steps for n_steps, _ in shapes), default=0) * self.n_sites * FIELDS_BYTES
        return read_shaped(self.source, pieces, largest, EncodedRows, shapes, keep)

    def fields(self, rows: EncodedRows, names: Iterable[str] | None = None) -> np.ndarray:
        """`EncodedRows.fields`."""
        with telling(self.source):
            return rows.fields(names)

    def pooled(
        self, level: int, chunks: range, metrics: Collection[str], sites: Sequence[int]
    ) -> Iterator[Columns]:
        """Pooled metrics of whole chunks."""
        pieces = [self.chunks[level][i] for i in chunks]
        shape = tags.CHUNK_STEPS // level, self.n_sites
        largest = shape[0] * shape[1] * _METRICS_BYTES
        for part in read_shaped(self.source, pieces, largest, EncodedPooled, [shape] * len(pieces)):
            with telling(self.source):
                columns = part.columns(metrics, sites)
            yield columns

    def hist(self, blocks: Sequence[int], site: int) -> Iterator[Int64Array]:
        """The histograms of one site in blocks that have steps, int64 `[steps, 128]` each."""
        found = [
            tags.group_of_site(site, hist_groups(self.blocks.n_steps(i), self.n_sites), self.n_sites)
            for i in blocks
        ]
        for i, group, hist in zip(blocks, found, self._hists(blocks, found), strict=True):
            n_groups = hist_groups(self.blocks.n_steps(i), self.n_sites)
            place = site - tags.group_sites(group, n_groups, self.n_sites).start
            yield hist[:, place].copy()  # a view would keep the other sites' too

    def pooled_hist(self, chunks: range, site: int) -> Iterator[Columns]:
        """The distribution of one site in whole chunks."""
        level, n_groups = tags.HIST_LEVEL, pooled_hist_groups(self.n_sites)
        group = tags.group_of_site(site, n_groups, self.n_sites)
        sites = tags.group_sites(group, n_groups, self.n_sites)
        pieces = [
            self._hist_piece(tags.PooledHistTag(level, i, group, n_groups), self.chunks[level][i])
            for i in chunks
        ]
        shape = tags.CHUNK_STEPS // level, sites.stop - sites.start
        largest = shape[0] * shape[1] * ROW_BYTES
        for merged in read_shaped(self.source, pieces, largest, EncodedPooledHist, [shape] * len(pieces)):
            with telling(self.source):
                columns = merged.columns(site - sites.start)
            yield columns

    def totals_of_chunks(self) -> Columns | None:
        """The totals up to the end of the last chunk, None before there is one."""
        if not self.totals:
            return None
        shape = 1, self.n_sites
        (encoded,) = read_shaped(
            self.source, self.totals[-1:], self.n_sites * ROW_BYTES, EncodedTotals, [shape]
        )
        with telling(self.source):
            columns, n_steps = encoded.columns(), len(self.totals) * tags.CHUNK_STEPS
            if columns["n_steps"][0] != n_steps:
                raise Damaged(f"{self.totals[-1].tag} is of {columns['n_steps'][0]} steps, not {n_steps}")
        return columns

    def remembered(self, block: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """What `remember` was given of a block under these names; nothing if one of them is gone."""
        piece = self.blocks.pieces[block]
        found = {name: self.source.remembered((piece, name)) for name in names}
        return {} if any(array is None for array in found.values()) else found

    def remember(self, block: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep what was computed of a block, while there is room."""
        for name, array in arrays.items():
            self.source.remember((self.blocks.pieces[block], name), array, array.nbytes)

    def _hists(self, blocks: Sequence[int], groups: Sequence[int]) -> Iterator[Int64Array]:
        """Of each of these blocks one group of histograms, int64 `[steps, sites of the group, 128]`."""
        pieces, shapes = [], []
        for i, group in zip(blocks, groups, strict=True):
            n_steps = self.blocks.n_steps(i)
            n_groups = hist_groups(n_steps, self.n_sites)
            tag = tags.HistTag(i, int(self.blocks.starts[i]), group, n_groups)
            pieces.append(self._hist_piece(tag, self.blocks.pieces[i]))
            sites = tags.group_sites(group, n_groups, self.n_sites)
            shapes.append((n_steps, sites.stop - sites.start))
        largest = max((n_steps * n_sites for n_steps, n_sites in shapes), default=0) * ROW_BYTES
        for hist in read_shaped(self.source, pieces, largest, EncodedHist, shapes):
            with telling(self.source):
                counts = hist.hist()
            yield counts

    def _hist_piece(self, tag: tags.HistTag | tags.PooledHistTag, beside: Piece) -> Piece:
        """Histograms are not listed: their tags follow from those that are."""
        return Piece(HIST_PLUGIN_NAME, str(tag), beside.wall_time)
