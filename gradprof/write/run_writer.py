"""From records to the event file of a run: one Event a step, blocks of the full record, in time on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gradprof.events import tags
from gradprof.events.block import Block, encode_hist, encode_rows, hist_groups, most_steps
from gradprof.events.framing import summary_event, version_event
from gradprof.events.header import make_header
from gradprof.events.pooled import encode_pooled, encode_pooled_hist, pooled_hist_groups
from gradprof.events.summary import ScalarTemplate, bytes_value, json_value, text_value
from gradprof.events.totals import encode_totals
from gradprof.record.observed import Observed, ObservedBuffer
from gradprof.record.sites import Site
from gradprof.record.step import StepRecord

from .about import about
from .chunks import Chunk, Chunks
from .event_file import EventFile
from .stock.pace import StockSeries

FLUSH_SECONDS = 5.0
"""Nothing recorded stays off the disk for longer."""


class RunWriter:
    """Writes one run; one thread at a time.

    Args:
        directory: made if it does not exist.
        header: what the run is (see `header.make_header`); `header["sites"]` lists the sites in the
            order of every record's rows.

    Raises:
        OSError: the directory cannot be made or written.
        ValueError: it already holds a run of gradprof's.
    """

    def __init__(self, directory: str | Path, header: Mapping[str, Any]) -> None:
        self.directory = Path(directory)
        self._header = dict(header)
        self._labels = [site["label"] for site in header["sites"]]
        self._stock = StockSeries(self._labels)
        self._own_scalars = ScalarTemplate([])
        self._lines: list[_Line] = []  # of the block begun; the rows are in _observed
        self._block_steps = most_steps(len(self._labels))
        self._observed = ObservedBuffer(self._block_steps, len(self._labels))
        self._chunks = Chunks(self._labels)
        self._n_blocks = self._n_observed = 0
        self._shapes: dict[str, list[int]] = {}
        self._described = False
        self._last_step = 0
        self._file = EventFile(self.directory)
        try:
            self._file.append(version_event(time.time()))
            self._append_summary(json_value(tags.HEADER, json.dumps(header)), time.time(), 0)
            self._file.flush()
        except BaseException:
            self._file.remove()  # an empty file would keep the next run out of this directory
            raise

    def write(self, record: StepRecord) -> None:
        """Add one finished step.

        Raises:
            OSError: the file cannot be written; what was flushed before stays readable.
        """
        self._last_step = record.step
        self._shapes.update(record.shapes)
        is_observed = record.rows is not None
        if is_observed:
            self._observed.add(record)
        if is_observed or record.scalars or record.shapes:
            line = _Line(record.step, record.wall_time, is_observed, record.scalars, record.shapes)
            self._lines.append(line)
        if len(self._lines) >= self._block_steps:
            self._append_block()

    def take(self, record: StepRecord) -> None:
        """`write`, as the last `Stage`."""
        self.write(record)

    def seconds_to_flush(self) -> float:
        """Seconds until `flush` is due."""
        return max(0.0, self._file.flushed_at + FLUSH_SECONDS - time.monotonic())

    def flush(self) -> None:
        """Put everything written so far on disk, a block that is not full yet included.

        Raises:
            OSError: as for `write`.
        """
        if self._lines:
            self._append_block()
        self._file.flush()

    def close(self) -> None:
        """Write what remains and close the file.

        Raises:
            OSError: as for `write`.
        """
        try:
            if self._lines:
                self._append_block()
            if rest := self._stock.rest():
                self._append_summary(rest, time.time(), self._last_step)
            if not self._described:
                self._describe()
            self.flush()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, after a failure."""
        self._file.close()

    def discard(self) -> None:
        """Take the run away again, with the directories that were made for it."""
        self._file.remove()

    def _append_block(self) -> None:
        lines, self._lines = self._lines, []
        if not self._described:
            self._describe()
        observed = self._observed.take()
        self._append_points(lines, observed)
        at = lines[-1].wall_time, lines[-1].step
        # A block whose rows are in the file has its histograms there: they come first.
        for tag, data in self._encoded_hists(observed):
            self._append_summary(bytes_value(str(tag), data, tags.HIST_PLUGIN_NAME), *at)
        data = encode_rows(_block_of(lines, observed))
        self._append_summary(bytes_value(str(tags.RowsTag(self._n_blocks, self._n_observed)), data), *at)
        self._n_blocks += 1
        self._n_observed += len(observed)
        for chunk in self._chunks.extend(observed):
            self._append_chunk(chunk, *at)

    def _append_points(self, lines: Iterable[_Line], observed: Observed) -> None:
        """What the stock dashboards show, one event a step."""
        points = iter(self._stock.extend(observed))
        for line in lines:
            summary = next(points) if line.is_observed else b""
            if line.scalars:
                summary += self._scalar_values(line.scalars)
            if summary:
                self._append_summary(summary, line.wall_time, line.step)

    def _scalar_values(self, scalars: Mapping[str, float]) -> bytes:
        """The caller's own scalars, serialized; their names are mostly those of the step before."""
        if list(scalars) != self._own_scalars.tags:
            self._own_scalars = ScalarTemplate(list(scalars))
        return self._own_scalars.fill(list(scalars.values()))

    def _encoded_hists(self, observed: Observed) -> Iterator[tuple[tags.HistTag, bytes]]:
        """The histograms of a block, none for one without observed steps."""
        n_steps, n_sites = observed.hist.shape[:2]
        n_groups = hist_groups(n_steps, n_sites) if n_steps else 0
        for group in range(n_groups):
            sites = tags.group_sites(group, n_groups, n_sites)
            tag = tags.HistTag(self._n_blocks, self._n_observed, group, n_groups)
            yield tag, encode_hist(observed.hist[:, sites])

    def _append_chunk(self, chunk: Chunk, wall_time: float, step: int) -> None:
        n_sites = len(self._labels)
        n_groups = pooled_hist_groups(n_sites)
        for group in range(n_groups):
            data = encode_pooled_hist(chunk.hist, tags.group_sites(group, n_groups, n_sites))
            tag = tags.PooledHistTag(tags.HIST_LEVEL, chunk.number, group, n_groups)
            self._append_summary(bytes_value(str(tag), data, tags.HIST_PLUGIN_NAME), wall_time, step)
        totals = bytes_value(str(tags.TotalsTag(chunk.number)), encode_totals(chunk.totals))
        self._append_summary(totals, wall_time, step)
        for level in tags.LEVELS:
            data = encode_pooled(level, chunk.pooled(level))
            value = bytes_value(str(tags.PooledTag(level, chunk.number)), data)
            self._append_summary(value, wall_time, step)

    def _describe(self) -> None:
        """The readable summary, once the shapes of the first steps are known."""
        self._described = True
        text = text_value(tags.ABOUT, about(self._header, self._shapes))
        self._append_summary(text, time.time(), 0)

    def _append_summary(self, summary: bytes, wall_time: float, step: int) -> None:
        self._file.append(summary_event(wall_time, step, summary))


def start_run(directory: str | Path, sites: Sequence[Site], **about: Any) -> RunWriter:
    """The writer of a new run of these sites; `about`: what else `header.make_header` takes.

    Raises:
        OSError, ValueError: as `RunWriter` does.
    """
    try:
        return RunWriter(directory, make_header(sites, **about))
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write a run into {str(directory)!r} ({error.strerror}): choose a directory that can be "
            "written",
        ) from error


def check_scalar_name(name: str) -> None:
    """
    Raises:
        ValueError: the caller cannot log values under this name.
    """
    if not name or name.partition("/")[0] in tags.RESERVED:
        taken = ", ".join(tags.RESERVED)
        raise ValueError(f"cannot log a value as {name!r}: names in {taken} are gradprof's own")


class _Line(NamedTuple):
    """What a record leaves behind until its block is written, but for its rows."""

    step: int
    wall_time: float
    is_observed: bool
    scalars: dict[str, float]
    shapes: dict[str, list[int]]


def _block_of(lines: Iterable[_Line], observed: Observed) -> Block:
    scalars: dict[str, list[tuple[int, float]]] = {}
    shapes: dict[str, list[int]] = {}
    for line in lines:
        shapes.update(line.shapes)
        for name, value in line.scalars.items():
            scalars.setdefault(name, []).append((line.step, value))
    return Block(
        steps=observed.steps,
        wall_times=observed.wall_times,
        seconds=observed.seconds,
        waits=observed.waits,
        fields=observed.fields,
        scalars=scalars,
        shapes=shapes,
    )
