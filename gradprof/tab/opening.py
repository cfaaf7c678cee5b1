"""From TensorBoard's list of tags to a `Recording`, or to the reason why there is none."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from gradprof.events import tags
from gradprof.events.block import EncodedRows

from .provider import Asker, Damaged, Listed, Missing, Piece, Store
from .query import BadRequest, Query, shown
from .recording import Blocks, Recording, UnreadableRun

TagT = TypeVar("TagT", tags.RowsTag, tags.PooledTag)

_HEADER_BYTES = 1 << 24
_BYTES_OF_A_TAG = 500


def requested_run(store: Store, asker: Asker, query: Query) -> Recording:
    """The run that a request names.

    Raises:
        BadRequest: there is no such run.
        UnreadableRun: it cannot be read.
    """
    return open_run(store, asker, query.text("run"))


def open_run(store: Store, asker: Asker, run: str) -> Recording:
    """A run as it is listed now; raises as `requested_run` does."""
    listing = store.listing(asker, run)
    if not listing:
        raise BadRequest(f"there is no run {shown(run)} of gradprof's; {_some(store.runs(asker))}")
    key = asker.experiment_id, run, "opened"
    known: Recording | None = store.cache.get(key)
    if known is None or known.listing is not listing:
        try:
            known = _recording(store, asker, run, listing)
        except (Damaged, Missing) as error:
            raise UnreadableRun(f"the run {run!r} is damaged: {error}") from error
        store.cache.put(key, known, _BYTES_OF_A_TAG * len(listing))
    return dataclasses.replace(known, asker=asker)


def _recording(store: Store, asker: Asker, run: str, listing: Mapping[str, Listed]) -> Recording:
    header = _header(store, asker, run, listing)
    parsed = [tags.parse(tag) for tag in listing]
    blocks, first, last = _blocks(store, asker, run, listing, _sorted(parsed, tags.RowsTag))
    pooled = _sorted(parsed, tags.PooledTag)
    whole = int(blocks.starts[-1]) // tags.CHUNK_STEPS
    chunks = {
        level: [
            _piece(run, tag, listing)
            for place, tag in enumerate(tag for tag in pooled if tag.level == level)
            if place == tag.chunk < whole
        ]
        for level in tags.LEVELS
    }
    return Recording(store, asker, run, listing, header, blocks, chunks, first, last)


def _header(store: Store, asker: Asker, run: str, listing: Mapping[str, Listed]) -> dict[str, Any]:
    if tags.HEADER not in listing:
        raise UnreadableRun(f"the run {run!r} has no header: its file was cut off or is being written")
    piece = _piece(run, tags.HEADER, listing)
    (header,) = store.read(asker, [piece], _HEADER_BYTES, json.loads)
    version = header.get("format_version") if isinstance(header, dict) else None
    if version != tags.FORMAT_VERSION:
        writer = header.get("gradprof") if version else "unknown"
        raise UnreadableRun(
            f"the run {run!r} has format version {version}; this gradprof reads version "
            f"{tags.FORMAT_VERSION}: use the gradprof that wrote it ({writer})"
        )
    try:
        _check(header)
    except (TypeError, LookupError) as error:
        raise Damaged(f"its header is not one of a run: {error!r}") from error
    return header


def _check(header: Mapping[str, Any]) -> None:
    """Touch whatever the answers will."""
    header["model"], header["options"]["threshold"]
    for site in header["sites"]:
        site["label"], site["kind"], site["name"], site["shape"]


def _blocks(
    store: Store, asker: Asker, run: str, listing: Mapping[str, Listed], found: list[tags.RowsTag]
) -> tuple[Blocks, EncodedRows | None, EncodedRows | None]:
    """All blocks; the first and the last are read, since only the latter says how long the run is."""
    pieces = [_piece(run, tag, listing) for tag in found]
    if not pieces:
        nothing = np.empty(0, dtype=np.int64)
        return Blocks([], np.zeros(1, dtype=np.int64), nothing), None, None
    ordinals = [tag.ordinal for tag in found]
    if [tag.block for tag in found] != list(range(len(found))) or ordinals != sorted(ordinals) or ordinals[0]:
        raise Damaged(f"of its blocks up to {found[-1]} some are not there")
    first, last = store.read(asker, [pieces[0], pieces[-1]], _HEADER_BYTES, EncodedRows)
    starts = np.array([*ordinals, ordinals[-1] + last.shape[0]], dtype=np.int64)
    last_steps = np.array([listing[piece.tag].step for piece in pieces], dtype=np.int64)
    return Blocks(pieces, starts, last_steps), first, last


def _sorted(parsed: Iterable[Any], kind: type[TagT]) -> list[TagT]:
    return sorted(tag for tag in parsed if isinstance(tag, kind))


def _piece(run: str, tag: object, listing: Mapping[str, Listed]) -> Piece:
    return Piece(run, tags.PLUGIN_NAME, str(tag), listing[str(tag)].wall_time)


def _some(runs: list[str], at_most: int = 5) -> str:
    """What could have been asked for."""
    if not runs:
        return "there is none: expected an event file of gradprof.watch() in TensorBoard's log directory"
    return f"expected one of {', '.join(map(repr, runs[:at_most]))}{', …' if len(runs) > at_most else ''}"
