"""From the tags of a source to a `Recording`, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from gradprof.events import tags
from gradprof.events.block import EncodedRows, most_steps
from gradprof.events.header import OtherFormat, parse_header

from .blocks import Blocks
from .recording import Recording
from .source import HEADER, PLUGIN_NAME, Damaged, Listed, Piece, Source, UnreadableRun, telling

TagT = TypeVar("TagT", tags.RowsTag, tags.PooledTag, tags.TotalsTag)

_READ_BYTES = 1 << 24


def open_recording(source: Source) -> Recording:
    """The run as it is listed now.

    Raises:
        UnreadableRun: there is no header, it is of another format version or damaged, or some of the blocks
            between the first and the last are not there.
    """
    listing = source.listing()
    with telling(source):
        header = _header(source, listing)
        parsed = [tags.parse(tag) for tag in listing]
        blocks, first, last = _blocks(source, listing, _sorted(parsed, tags.RowsTag), len(header["sites"]))
    whole = int(blocks.starts[-1]) // tags.CHUNK_STEPS
    pooled = _sorted(parsed, tags.PooledTag)
    chunks = {
        level: _complete([tag for tag in pooled if tag.level == level], listing, whole)
        for level in tags.LEVELS
    }
    totals = _complete(_sorted(parsed, tags.TotalsTag), listing, whole)
    return Recording(source, listing, header, blocks, chunks, totals, first, last)


def _header(source: Source, listing: Mapping[str, Listed]) -> dict[str, Any]:
    if HEADER not in listing:
        raise UnreadableRun(
            f"{source.name} holds no gradprof run, or was cut off before it began: it has no header"
        )
    try:
        (header,) = source.read([_piece(HEADER, listing)], _READ_BYTES, parse_header)
    except OtherFormat as error:
        raise UnreadableRun(f"{source.name} {error}") from error
    return header


def _blocks(
    source: Source, listing: Mapping[str, Listed], found: list[tags.RowsTag], n_sites: int
) -> tuple[Blocks, EncodedRows | None, EncodedRows | None]:
    """All blocks; the first and the last are read, since only the latter says how long the run is."""
    pieces = [_piece(tag, listing) for tag in found]
    if not pieces:
        nothing = np.empty(0, dtype=np.int64)
        return Blocks([], np.zeros(1, dtype=np.int64), nothing), None, None
    ordinals = [tag.ordinal for tag in found]
    if [tag.block for tag in found] != list(range(len(found))) or ordinals[0]:
        raise Damaged(f"of its blocks up to {found[-1]} some are not there")
    first, last = source.read([pieces[0], pieces[-1]], _READ_BYTES, EncodedRows)
    starts = np.array([*ordinals, ordinals[-1] + last.shape[0]], dtype=np.int64)
    n_steps = np.diff(starts)
    if n_steps.min() < 0 or n_steps.max() > most_steps(n_sites):
        raise Damaged(f"of its blocks up to {found[-1]} one would have {n_steps.max()} steps")
    last_steps = np.array([listing[piece.tag].step for piece in pieces], dtype=np.int64)
    return Blocks(pieces, starts, last_steps), first, last


def _complete(
    found: Sequence[tags.PooledTag | tags.TotalsTag], listing: Mapping[str, Listed], n_chunks: int
) -> list[Piece]:
    """Those of the run's whole chunks, up to the first that is not there."""
    return [_piece(tag, listing) for place, tag in enumerate(found) if place == tag.chunk < n_chunks]


def _sorted(parsed: Iterable[Any], kind: type[TagT]) -> list[TagT]:
    return sorted(tag for tag in parsed if isinstance(tag, kind))


def _piece(tag: object, listing: Mapping[str, Listed]) -> Piece:
    return Piece(PLUGIN_NAME, str(tag), listing[str(tag)].wall_time)
