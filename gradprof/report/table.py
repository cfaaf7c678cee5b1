"""The table of sites in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradprof.run import Run
from gradprof.sites import KINDS

from .figures import SiteFigures
from .sparkline import ASCII, BLOCKS, sparkline

_TREND_WIDTH = 10
_FIGURES_WIDTH = 60
"""Columns that all but the name take, gaps included."""


def print_table(run: Run, figures: Sequence[SiteFigures], console: Console) -> None:
    """One table per kind of site; at 80 columns names are shortened in the middle, piped they are not."""
    for kind in KINDS:
        of_kind = [site for site in figures if site.site.startswith(f"{kind}/")]
        if of_kind:
            console.print(_table(run, kind, of_kind, console))


def _table(run: Run, kind: str, figures: Sequence[SiteFigures], console: Console) -> Table:
    plain = not console.is_terminal
    levels = ASCII if console.options.ascii_only else BLOCKS
    above = f"{'>=' if console.options.ascii_only else '≥'}{run.threshold:g}"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(kind, no_wrap=True)
    for heading in ("max |g|", "at", "L2 med", "L2 last", "zero", above, "NaN at"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("log10 L2", no_wrap=True)
    room = 10_000 if plain else max(12, console.width - _FIGURES_WIDTH)
    for site in figures:
        table.add_row(
            Text(_shortened(site.site.partition("/")[2], room, console.options.ascii_only)),
            _magnitude(site.abs_max),
            _step(site.abs_max_step),
            _magnitude(site.l2_median),
            _magnitude(site.l2_last),
            _share(site.zero_share),
            _share(site.above_share),
            _step(site.first_non_finite_step),
            Text(sparkline(site.log10_l2, _TREND_WIDTH, levels)),
        )
    return table


def _magnitude(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1e}"


def _step(step: int | None) -> str:
    return "-" if step is None else str(step)


def _share(share: float) -> str:
    if math.isnan(share) or share == 0:
        return "-"
    if share < 1e-4:
        return "<.01%"
    return f"{share:.2%}" if share < 0.01 else f"{share:.0%}"


def _shortened(name: str, room: int, ascii_only: bool) -> str:
    if len(name) <= room:
        return name
    mark = "~" if ascii_only else "…"
    tail = (room - 1) * 2 // 3
    return name[: room - 1 - tail] + mark + name[len(name) - tail :]
