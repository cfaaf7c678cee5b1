"""One event file on disk."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from gradprof.events.framing import frame
from gradprof.events.tags import FILE_SUFFIX

_BUFFER_BYTES = 1 << 20


class EventFile:
    """Framed events in a buffer of our own, so that a failed write ends between two records."""

    def __init__(self, directory: Path) -> None:
        self._made = [path for path in (directory, *directory.parents) if not path.exists()]
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
        """Take the file away, and the directories that were made for it."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else has put something there
            for directory in self._made:
                directory.rmdir()

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
