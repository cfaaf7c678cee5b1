"""From records to the event file of a run: one Event a step, blocks of the full record, in time on disk."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradprof.kernels.row import ROW_DTYPE

from .about import about
from .events import tags
from .events.block import Block, encode
from .events.framing import frame, summary_event, version_event
from .events.summary import ScalarTemplate, bytes_value, json_value, text_value
from .record import StepRecord
from .stock import StockSeries

FLUSH_SECONDS = 5.0
"""Nothing recorded stays off the disk for longer."""
BLOCK_STEPS = 64
BLOCK_BYTES = 32 << 20
"""A block holds at most this many steps and bytes of rows before compression."""
_BUFFER_BYTES = 1 << 20

FILE_SUFFIX = ".gradprof"


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
        self._block: list[StepRecord] = []
        self._block_steps = max(1, min(BLOCK_STEPS, BLOCK_BYTES // (len(self._labels) * ROW_DTYPE.itemsize)))
        self._n_blocks = 0
        self._shapes: dict[str, list[int]] = {}
        self._described = False
        self._last_step = 0
        self._file = _EventFile(self.directory)
        try:
            self._file.append(version_event(time.time()))
            self._append_summary(json_value(tags.HEADER, json.dumps(header)), time.time(), 0)
            self._file.flush()
        except OSError:
            self._file.remove()  # an empty file would keep the next run out of this directory
            raise

    def write(self, record: StepRecord) -> None:
        """Add one finished step.

        Raises:
            OSError: the file cannot be written; what was flushed before stays readable.
        """
        self._last_step = record.step
        summary = b""
        if record.rows is not None:
            summary = self._stock.add(record.rows, record.seconds, record.wait)
        if record.scalars:
            summary += ScalarTemplate(list(record.scalars)).fill(list(record.scalars.values()))
        if summary:
            self._append_summary(summary, record.wall_time, record.step)
        self._shapes.update(record.shapes)
        if record.rows is not None or record.scalars:
            self._block.append(record)
        if len(self._block) >= self._block_steps:
            self._append_block()

    def seconds_to_flush(self) -> float:
        """Seconds until `flush` is due."""
        return max(0.0, self._file.flushed_at + FLUSH_SECONDS - time.monotonic())

    def flush(self) -> None:
        """Put everything written so far on disk, a block that is not full yet included.

        Raises:
            OSError: as for `write`.
        """
        if self._block:
            self._append_block()
        self._file.flush()

    def close(self) -> None:
        """Write what remains and close the file.

        Raises:
            OSError: as for `write`.
        """
        try:
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

    def _append_block(self) -> None:
        records, self._block = self._block, []
        if not self._described:
            self._describe()
        observed = [record for record in records if record.rows is not None]
        rows = np.empty((len(observed), len(self._labels)), dtype=ROW_DTYPE)
        for i, record in enumerate(observed):
            rows[i] = record.rows
        scalars: dict[str, list[tuple[int, float]]] = {}
        shapes: dict[str, list[int]] = {}
        for record in records:
            shapes.update(record.shapes)
            for name, scalar in record.scalars.items():
                scalars.setdefault(name, []).append((record.step, scalar))
        block = Block(
            steps=np.array([record.step for record in observed], dtype=np.int64),
            wall_times=np.array([record.wall_time for record in observed]),
            seconds=np.array([record.seconds for record in observed]),
            waits=np.array([record.wait for record in observed]),
            rows=rows,
            scalars=scalars,
            shapes=shapes,
        )
        value = bytes_value(tags.block_tag(self._n_blocks), encode(block))
        self._n_blocks += 1
        self._append_summary(value, records[-1].wall_time, records[-1].step)

    def _describe(self) -> None:
        """The readable summary, once the shapes of the first steps are known."""
        self._described = True
        text = text_value(tags.ABOUT, about(self._header, self._shapes))
        self._append_summary(text, time.time(), 0)

    def _append_summary(self, summary: bytes, wall_time: float, step: int) -> None:
        self._file.append(summary_event(wall_time, step, summary))


class _EventFile:
    """Framed events in a buffer of our own, so that a failed write ends between two records."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if found := sorted(directory.glob(f"*tfevents*{FILE_SUFFIX}")):
            raise ValueError(
                f"{directory} already holds a gradprof run ({found[0].name}); TensorBoard would mix the two. "
                "Choose another directory, delete that one, or leave it out: every run then gets its own"
            )
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}{FILE_SUFFIX}"
        self._path = directory / name
        self._file = self._path.open("xb", buffering=0)
        self._size = 0
        self._buffer: list[bytes] = []
        self._buffered = 0
        self.flushed_at = time.monotonic()

    def append(self, event: bytes) -> None:
        record = frame(event)
        self._buffer.append(record)
        self._buffered += len(record)
        if self._buffered >= _BUFFER_BYTES:
            self._drain()

    def flush(self) -> None:
        self._drain()
        self.flushed_at = time.monotonic()

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self._file.close()
        self._path.unlink()

    def _drain(self) -> None:
        data = memoryview(b"".join(self._buffer))
        self._buffer.clear()
        self._buffered = 0
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(data)
