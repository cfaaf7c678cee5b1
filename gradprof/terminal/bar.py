"""How far long work is: a bar where a terminal can redraw its line, plain lines anywhere else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from .interruption import Interruption

REFRESH_SECONDS = 0.25


class Bar:
    """A bar that is drawn a few times a second, only when it is asked to, and goes at the end.

    Args:
        stream: where it is drawn, stdout by default; nothing is drawn where that is a file or a pipe.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        stream = sys.stdout if stream is None else stream
        self._draws = stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        self._progress = Progress(
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(file=stream, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not self._draws,
        )
        self._task = self._progress.add_task("", total=total)
        self._next_refresh = 0.0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, done: int, text: Callable[[], str]) -> None:
        """Draw it, if that is due; `text` may be costly, and is called only to be shown."""
        if self._draws and time.monotonic() >= self._next_refresh:
            self._progress.update(self._task, completed=done, description=text())
            self._progress.refresh()
            self._next_refresh = time.monotonic() + REFRESH_SECONDS

    def line(self, text: str) -> None:
        """A line that stays, above the bar."""
        self._progress.console.print(text, markup=False, emoji=False, soft_wrap=True)


class Rounds(Interruption):
    """Counts rounds of work under a bar, and ends them when Ctrl-C has asked for it.

    A request takes effect between two rounds, so that what was done until then is whole.

    Args:
        stream: where the bar is drawn, stderr by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = sys.stderr if stream is None else stream

    def __call__(self, n: int, what: str) -> Iterator[int]:
        """0 to n - 1, or fewer if asked to stop; nothing is drawn while the caller's round runs."""
        with Bar(n, self._stream) as bar:
            for i in range(n):
                if self.requested:
                    return
                bar.show(i + 1, lambda: what)
                yield i
