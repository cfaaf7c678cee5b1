"""What is shown while training: a bar on a terminal, a line per epoch anywhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

REFRESH_SECONDS = 0.25


@dataclass(frozen=True)
class Figures:
    """One step, as shown."""

    step: int
    loss: float
    lr: float
    largest: float | None
    """The largest gradient magnitude; None in a training that is not watched."""

    def __str__(self) -> str:
        shown = f"loss {self.loss:.4g}  lr {self.lr:.1e}"
        return shown if self.largest is None else f"{shown}  max gradient {self.largest:.1e}"


class Lines:
    """Plain lines only, for files and pipes."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        pass

    def after_step(self, figures: Callable[[], Figures]) -> None:
        """Called at every step; `figures` waits for the device, so it is called only to be shown."""

    def after_epoch(self, line: str) -> None:
        print(line, flush=True)


class Bar(Lines):
    """The lines, above a bar that is drawn a few times a second and goes when the training ends."""

    def __init__(self, n_steps: int) -> None:
        self._console = Console(highlight=False)
        self._progress = Progress(
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("", total=n_steps)
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

    def after_step(self, figures: Callable[[], Figures]) -> None:
        if time.monotonic() < self._next_refresh:
            return
        shown = figures()
        self._progress.update(self._task, completed=shown.step, description=str(shown))
        self._progress.refresh()
        self._next_refresh = time.monotonic() + REFRESH_SECONDS

    def after_epoch(self, line: str) -> None:
        self._console.print(line, markup=False)


def make_progress(n_steps: int) -> Lines:
    """A bar where stdout is a terminal that can redraw a line, else lines."""
    can_redraw = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return Bar(n_steps) if can_redraw else Lines()
