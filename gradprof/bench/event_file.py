"""`--logdir`: the rounds as a run, so that TensorBoard shows them: one scalar a figure, one step a round."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from gradprof.events.framing import frame, summary_event, version_event
from gradprof.events.summary import ScalarTemplate

from .results import Figure, Result


class EventFile:
    """An event file in `directory`, which is made if it is not there; it may hold others.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        with self.path.open("xb") as file:
            file.write(frame(version_event(time.time())))

    def add(self, result: Result) -> None:
        """Everything that `result` measured; a figure of one value stands at step 0."""
        series = dict(_series(result))
        now = time.time()
        with self.path.open("ab") as file:
            for step in range(max(map(len, series.values()), default=0)):
                present = {tag: values[step] for tag, values in series.items() if step < len(values)}
                summary = ScalarTemplate(list(present)).fill(list(present.values()))
                file.write(frame(summary_event(now, step, summary)))


def _series(result: Result) -> Iterator[tuple[str, list[float]]]:
    for figure in result.figures:
        yield _tag(result.name, figure.name, figure), list(figure.values)
    for grid in result.grids:
        for row, cells in grid.rows.items():
            for figure in filter(None, cells):
                yield (
                    _tag(f"{result.name}, {grid.title}", f"{row}, {figure.name}", figure),
                    list(figure.values),
                )


def _tag(group: str, name: str, figure: Figure) -> str:
    """Dashboards group by what stands before the first slash."""
    return f"bench {group.replace('/', ' per ')}/{name.strip()} ({figure.unit})"
