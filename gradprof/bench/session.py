"""One run of the command, as seen from a benchmark: how far it is, and whether it is to stop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

from gradprof.terminal.interruption import Interruption

_CLEAR_LINE = "\r\x1b[2K"


class Session:
    """Shows progress on `stream` if that is a terminal, and makes the first Ctrl-C a request to stop.

    A request takes effect between two rounds, so that what was measured until then is whole: twins have
    done the same steps, and nothing was cut short while it was timed. A second Ctrl-C raises.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._interruption = Interruption()
        self._stream = sys.stderr if stream is None else stream
        self._shows = self._stream.isatty()

    def rounds(self, n: int, what: str) -> Iterator[int]:
        """0 to n - 1, or fewer if asked to stop; nothing is drawn while the caller's round runs."""
        try:
            for i in range(n):
                if self.stopped:
                    return
                self._show(f"{what}, {i + 1} of {n}")
                yield i
        finally:
            self._show("")

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C asked to stop."""
        return self._interruption.requested

    def __enter__(self) -> Session:
        self._interruption.__enter__()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._interruption.__exit__(None, None, None)

    def _show(self, text: str) -> None:
        if self._shows:
            self._stream.write(_CLEAR_LINE + text)
            self._stream.flush()
