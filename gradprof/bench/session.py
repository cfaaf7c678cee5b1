"""One run of the command, as seen from a benchmark: how far it is, and whether it is to stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TextIO

_CLEAR_LINE = "\r\x1b[2K"


class Session:
    """Shows progress on `stream` if that is a terminal, and makes the first Ctrl-C a request to stop.

    A request takes effect between two rounds, so that what was measured until then is whole: twins have
    done the same steps, and nothing was cut short while it was timed. A second Ctrl-C raises.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stopped = False
        self._stream = sys.stderr if stream is None else stream
        self._shows = self._stream.isatty()
        self._listens = False

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

    def __enter__(self) -> Session:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._stop)
            self._listens = True
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._listens:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _show(self, text: str) -> None:
        if self._shows:
            self._stream.write(_CLEAR_LINE + text)
            self._stream.flush()
