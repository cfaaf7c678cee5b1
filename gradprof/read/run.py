"""`gradprof.load`: a run back from its event file. Needs no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event

from gradprof.events import tags
from gradprof.events.block import BadBlock, EncodedRows, decode_hist, hist_groups
from gradprof.events.framing import TruncatedFile, read_records
from gradprof.kernels.bins import N_BINS
from gradprof.kernels.row import ROW_DTYPE
from gradprof.record.figures import FIELDS, derive
from gradprof.record.sites import near_names
from gradprof.record.step import Record

from .find import find_event_file

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_OWN_TAGS = b"gradprof/"


class ScalarSeries(NamedTuple):
    """The caller's own values of one name."""

    steps: Int64Array
    values: FloatArray


def load(path: str | os.PathLike[str]) -> Run:
    """Read the run in a directory (or its event file), also while it is being written.

    Raises:
        FileNotFoundError: there is no such directory or file.
        ValueError: it holds no run of gradprof's, more than one, or one of another format version.
    """
    return Run(find_event_file(Path(path)))


@dataclass(frozen=True)
class _Block:
    """Consecutive steps, still compressed; `hists` are their histograms by group of sites."""

    tag: str
    rows: EncodedRows
    hists: dict[int, bytes]

    def hist(self, site: int) -> Int64Array:
        """Counts of one site, by its index, int64 `[steps, 128]`; decodes no more than the group it is in."""
        n_steps, n_sites = self.rows.shape
        if not n_steps:
            return np.empty((0, N_BINS), dtype=np.int64)
        n_groups = hist_groups(n_steps, n_sites)
        group = tags.group_of_site(site, n_groups, n_sites)
        return self._group(group)[:, site - tags.group_sites(group, n_groups, n_sites).start]

    def whole_rows(self, at: int) -> np.ndarray:
        """The rows of the block's step `at`, structured array `[sites]` of `kernels.row.ROW_DTYPE`."""
        fields = self.rows.fields()[at]
        rows = np.empty(fields.shape, dtype=ROW_DTYPE)
        for name in fields.dtype.names or ():
            rows[name] = fields[name]
        groups = range(hist_groups(*self.rows.shape))
        rows["hist"] = np.concatenate([self._group(group)[at] for group in groups])
        return rows

    def _group(self, group: int) -> Int64Array:
        if group not in self.hists:
            raise BadBlock(f"{self.tag}: group {group} of its histograms is missing: the file is damaged")
        return decode_hist(self.hists[group])


class Run:
    """A recorded run.

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
        truncated: the file ends inside a record: cut off, or being written just now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.truncated = False
        self.header: dict[str, Any] = {}
        self._blocks: list[_Block] = []
        self._hists: dict[int, dict[int, bytes]] = {}  # by block and group, also of a block still to come
        self._tables: dict[str, FloatArray] = {}
        self._read()
        self.sites: list[str] = [site["label"] for site in self.header["sites"]]
        self.threshold: float = self.header["options"]["threshold"]
        self.steps: Int64Array = self._joined("steps", np.int64)
        self.wall_times: FloatArray = self._joined("wall_times", np.float64)
        self.seconds: FloatArray = self._joined("seconds", np.float64)
        self.waits: FloatArray = self._joined("waits", np.float64)
        self.scalars = self._join_scalars()
        self.shapes: dict[str, list[int]] = {
            site["label"]: site["shape"] for site in self.header["sites"] if site["shape"] is not None
        }
        for block in self._blocks:
            self.shapes.update(block.rows.shapes)

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
                rows = block.rows.fields()
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
        index = self.sites.index(site)
        parts = [block.hist(index) for block in self._blocks]
        return np.concatenate([np.empty((0, N_BINS), dtype=np.int64), *parts])

    def record(self, step: int) -> Record:
        """Every site's figures at one step, as `prof.last` gave them.

        Raises:
            KeyError: the step was not observed.
        """
        for block in self._blocks:
            at = np.flatnonzero(block.rows.steps == step)
            if at.size:
                return Record(step, self.sites, block.whole_rows(int(at[0])))
        have = f"{self.steps[0]} to {self.steps[-1]}" if len(self.steps) else "none"
        raise KeyError(f"step {step} was not observed; observed steps: {have}")

    def __repr__(self) -> str:
        return f"<gradprof.Run {str(self.path.parent)!r}: {len(self.steps)} steps of {len(self.sites)} sites>"

    def _read(self) -> None:
        try:
            for data in read_records(self.path):
                if _OWN_TAGS in data:
                    self._take(Event.FromString(data))
        except TruncatedFile:
            self.truncated = True
        if not self.header:
            raise ValueError(f"{str(self.path)!r} holds no gradprof run, or was cut off before it began")

    def _take(self, event: Event) -> None:
        for value in event.summary.value:
            if value.tag == tags.HEADER:
                self.header = json.loads(value.tensor.string_val[0])
                if (found := self.header["format_version"]) != tags.FORMAT_VERSION:
                    raise ValueError(
                        f"{str(self.path)!r} has format version {found}; this gradprof reads version "
                        f"{tags.FORMAT_VERSION}: use the gradprof that wrote it ({self.header['gradprof']})"
                    )
            elif isinstance(tag := tags.parse(value.tag), tags.HistTag):
                self._hists.setdefault(tag.block, {})[tag.group] = value.tensor.tensor_content
            elif isinstance(tag, tags.RowsTag):
                try:
                    rows = EncodedRows(value.tensor.tensor_content)
                except BadBlock as error:
                    raise ValueError(f"{str(self.path)!r}, {value.tag}: {error}") from error
                self._blocks.append(_Block(value.tag, rows, self._hists.pop(tag.block, {})))

    def _joined(self, name: str, dtype: type[np.generic]) -> Any:
        return np.concatenate(
            [np.empty(0, dtype=dtype), *(getattr(block.rows, name) for block in self._blocks)]
        )

    def _join_scalars(self) -> dict[str, ScalarSeries]:
        points: dict[str, list[tuple[int, float]]] = {}
        for block in self._blocks:
            for name, series in block.rows.scalars.items():
                points.setdefault(name, []).extend(series)
        return {
            name: ScalarSeries(
                np.array([step for step, _ in series], dtype=np.int64),
                np.array([value for _, value in series], dtype=np.float64),
            )
            for name, series in points.items()
        }
