"""What is called what in the event files. Tags are made, and read, here alone.

Stock dashboards group by the text before the first slash and sort by name. Hence one group per metric, then
the zero-padded place of the site in the model, which keeps model order: `grad_log10_l2/007_param/fc.weight`.

Own tags have one event each, so that no reservoir of TensorBoard's ever drops one. The *ordinal* of an
observed step is its index among the observed steps of the run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PLUGIN_NAME = "gradprof"
HIST_PLUGIN_NAME = "gradprof_hist"
"""Of the histograms, which are many: so listing the tags of the other stays short."""
FORMAT_VERSION = 3
FILE_SUFFIX = ".gradprof"

HEADER = "gradprof/header"
"""One JSON document: what the run is."""
ABOUT = "gradprof/about"
"""The same for people, in the Text tab."""
ROWS_PREFIX = "gradprof/rows/"
"""The full record but for the histograms, one block of steps a tag."""
HIST_PREFIX = "gradprof/hist/"
"""The histograms of a block, one group of sites a tag."""
POOLED_PREFIX = "gradprof/pooled/"
"""The metrics of one chunk of `CHUNK_STEPS` ordinals, pooled by columns of `level` steps."""
POOLED_HIST_PREFIX = "gradprof/pooled_hist/"
"""The histograms of one chunk, merged by columns of `HIST_LEVEL` steps, one group of sites a tag."""
TOTALS_PREFIX = "gradprof/totals/"
"""What each site did from the run's start to the end of a chunk."""

CHUNK_STEPS = 512
MOST_SITES = 1 << 20
"""More than this no block speaks of."""
LEVELS = (8, 64)
HIST_LEVEL = 64

ABS_MAX = "grad_log10_abs_max"
L2 = "grad_log10_l2"
HIST = "grad_log10_hist"
SUMMARY = "grad_summary"

RESERVED = ("gradprof", ABS_MAX, L2, HIST, SUMMARY)
"""First parts of tags that the caller's own scalars must not have."""


class RowsTag(NamedTuple):
    """Block `block` of the run, whose first observed step has the ordinal `ordinal`."""

    block: int
    ordinal: int

    def __str__(self) -> str:
        return f"{ROWS_PREFIX}{self.block:07d}_{self.ordinal:010d}"


class HistTag(NamedTuple):
    """Histograms of the same block, sites `group_sites(group, n_groups, n_sites)`."""

    block: int
    ordinal: int
    group: int
    n_groups: int

    def __str__(self) -> str:
        return f"{HIST_PREFIX}{self.block:07d}_{self.ordinal:010d}/{_of(self.group, self.n_groups)}"


class PooledTag(NamedTuple):
    """Columns of `level` steps, ordinals from `CHUNK_STEPS * chunk` on."""

    level: int
    chunk: int

    def __str__(self) -> str:
        return f"{POOLED_PREFIX}{self.level}/{self.chunk:07d}"


class PooledHistTag(NamedTuple):
    """Histograms of the same ordinals, sites `group_sites(group, n_groups, n_sites)`."""

    level: int
    chunk: int
    group: int
    n_groups: int

    def __str__(self) -> str:
        return f"{POOLED_HIST_PREFIX}{self.level}/{self.chunk:07d}/{_of(self.group, self.n_groups)}"


class TotalsTag(NamedTuple):
    """All ordinals up to the end of a chunk."""

    chunk: int

    def __str__(self) -> str:
        return f"{TOTALS_PREFIX}{self.chunk:07d}"


OwnTag = RowsTag | HistTag | PooledTag | PooledHistTag | TotalsTag

_PATTERNS: dict[type[OwnTag], re.Pattern[str]] = {  # no number is larger than int64 holds
    RowsTag: re.compile(rf"{ROWS_PREFIX}(\d{{7,18}})_(\d{{10,18}})"),
    HistTag: re.compile(rf"{HIST_PREFIX}(\d{{7,18}})_(\d{{10,18}})/(\d{{2,18}})of(\d{{2,18}})"),
    PooledTag: re.compile(rf"{POOLED_PREFIX}(\d{{1,18}})/(\d{{7,18}})"),
    PooledHistTag: re.compile(rf"{POOLED_HIST_PREFIX}(\d{{1,18}})/(\d{{7,18}})/(\d{{2,18}})of(\d{{2,18}})"),
    TotalsTag: re.compile(rf"{TOTALS_PREFIX}(\d{{7,18}})"),
}


def parse(tag: str) -> OwnTag | None:
    """What a tag says, `str` of which is the tag; None if it is none of these."""
    for kind, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(tag):
            own = kind(*map(int, found.groups()))
            return own if str(own) == tag else None  # the same number can be written otherwise
    return None


def group_sites(group: int, n_groups: int, n_sites: int) -> slice:
    """The sites, in model order, that a group of histograms holds."""
    return slice(group * n_sites // n_groups, (group + 1) * n_sites // n_groups)


def group_of_site(site: int, n_groups: int, n_sites: int) -> int:
    """The group that holds a site: the inverse of `group_sites`."""
    return ((site + 1) * n_groups - 1) // n_sites


def site_tags(group: str, labels: Sequence[str]) -> list[str]:
    """One tag per site, in an order that survives sorting by name."""
    width = max(3, len(str(len(labels) - 1)))
    return [f"{group}/{i:0{width}d}_{label}" for i, label in enumerate(labels)]


def _of(group: int, n_groups: int) -> str:
    width = max(2, len(str(n_groups)))
    return f"{group:0{width}d}of{n_groups:0{width}d}"
