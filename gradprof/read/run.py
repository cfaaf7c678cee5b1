"""`gradprof.load`: a run back from its event file. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradprof.events.block import EncodedRows
from gradprof.record.columns import Columns
from gradprof.record.figures import FIELDS, derive
from gradprof.record.sites import near_names
from gradprof.record.step import Record

from .find import find_event_file
from .opening import open_recording
from .source import FileSource
from .totals import run_totals

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


class ScalarSeries(NamedTuple):
    """The caller's own values of one name."""

    steps: Int64Array
    values: FloatArray


def load(path: str | os.PathLike[str]) -> Run:
    """Read the run in a directory (or its event file), also while it is being written.

    Raises:
        FileNotFoundError: there is no such directory or file.
        ValueError: it holds no run of gradprof's, more than one, one of another format version, or one with a
            block missing.
    """
    return Run(find_event_file(Path(path)))


class Run:
    """A recorded run, by step numbers and names. What cannot be read of it raises
    `UnreadableRun`, a `ValueError`, when it is asked for.

    Attributes:
        path: its event file.
        header: what was watched and how: options, devices, versions, bin edges, sites.
        sites: labels in model order.
        steps: the observed steps, int64 `[steps]`.
        wall_times: seconds since the epoch at the end of each, float64 `[steps]`.
        seconds: spent in the profiler on the training thread, float64 `[steps]`.
        waits: of these, waited for the writer, float64 `[steps]`.
        scalars: what `prof.log` was given, by name.
        shapes: of each site's gradient as first seen, by label.
        totals: what each site did over the whole run, one column of `record.totals`; of a long run it takes
            next to nothing to read.
        truncated: the file ends inside a record: cut off, or being written just now.
    """

    def __init__(self, path: Path) -> None:
        source = FileSource(path)
        self.path = path
        self.truncated = source.truncated
        self._recording = open_recording(source)
        self.header = self._recording.header
        self.sites: list[str] = [site["label"] for site in self.header["sites"]]
        self.threshold = self._recording.threshold
        self._tables: dict[str, FloatArray] = {}

    @cached_property
    def steps(self) -> Int64Array:
        return self._joined("steps", np.int64)

    @cached_property
    def wall_times(self) -> FloatArray:
        return self._joined("wall_times", np.float64)

    @cached_property
    def seconds(self) -> FloatArray:
        return self._joined("seconds", np.float64)

    @cached_property
    def waits(self) -> FloatArray:
        return self._joined("waits", np.float64)

    @cached_property
    def scalars(self) -> dict[str, ScalarSeries]:
        points: dict[str, list[tuple[int, float]]] = {}
        for block in self._blocks:
            for name, series in block.scalars.items():
                points.setdefault(name, []).extend(series)
        return {
            name: ScalarSeries(
                np.array([step for step, _ in series], dtype=np.int64),
                np.array([value for _, value in series], dtype=np.float64),
            )
            for name, series in points.items()
        }

    @cached_property
    def shapes(self) -> dict[str, list[int]]:
        return self._recording.shapes_in(self._blocks)

    @cached_property
    def totals(self) -> Columns:
        return run_totals(self._recording)

    def table(self, field: str) -> FloatArray:
        """One figure of every step and site, float64 `[steps, sites]`; NaN where no gradient came.

        Raises:
            ValueError: there is no such field.
        """
        return self.tables((field,))[field]

    def tables(self, fields: Iterable[str]) -> dict[str, FloatArray]:
        """Several tables from one pass over the run; raises as `table` does."""
        fields = list(fields)
        for field in fields:
            if field not in FIELDS:
                raise ValueError(f"there is no field {field!r}: expected one of {', '.join(FIELDS)}")
        wanted = [field for field in fields if field not in self._tables]
        if wanted:
            new = {field: np.full((len(self.steps), len(self.sites)), np.nan) for field in wanted}
            at = 0
            for block in self._blocks:
                rows = self._recording.fields(block)
                for field, table in new.items():
                    values = derive(rows, field).astype(np.float64)
                    table[at : at + len(rows)] = np.where(rows["n_obs"] > 0, values, np.nan)
                at += len(rows)
            self._tables.update(new)
        return {field: self._tables[field] for field in fields}

    def hist(self, site: str) -> Int64Array:
        """Counts of one site over the run, int64 `[steps, 128]`, bins as in `gradprof.BIN_EDGES`.

        Raises:
            KeyError: there is no such site.
        """
        if site not in self.sites:
            raise KeyError(f"no site {site!r}; {near_names(site, self.sites)}")
        recording = self._recording
        blocks = recording.blocks.holding(0, recording.n)
        parts = recording.hist(blocks, self.sites.index(site))
        return np.concatenate([np.empty((0, len(recording.bin_edges) - 1), dtype=np.int64), *parts])

    def record(self, step: int) -> Record:
        """Every site's figures at one step, as `prof.last` gave them.

        Raises:
            KeyError: the step was not observed.
        """
        found = np.flatnonzero(self.steps == step)
        if found.size:
            return Record(step, self.sites, self._recording.row(int(found[0])))
        have = f"{self.steps[0]} to {self.steps[-1]}" if len(self.steps) else "none"
        raise KeyError(f"step {step} was not observed; observed steps: {have}")

    def __repr__(self) -> str:
        return f"<gradprof.Run {str(self.path.parent)!r}: {len(self.steps)} steps of {len(self.sites)} sites>"

    @cached_property
    def _blocks(self) -> list[EncodedRows]:
        return list(self._recording.rows(range(len(self._recording.blocks))))

    def _joined(self, name: str, dtype: type[np.generic]) -> Any:
        return np.concatenate([np.empty(0, dtype=dtype), *(getattr(block, name) for block in self._blocks)])
