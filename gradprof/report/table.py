"""The table of sites in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD, Box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradprof.read.run import Run
from gradprof.record.sites import KINDS

from .figures import SiteFigures
from .sparkline import ASCII, BLOCKS, sparkline

_TREND_WIDTH = 10
_LEAST_NAME_WIDTH = 12
_ASCII_HEAD = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""As `SIMPLE_HEAD`: a rule below the headings, and one blank between columns."""


def print_table(run: Run, figures: Sequence[SiteFigures], console: Console) -> None:
    """One table per kind of site; names too long for the console are shortened in the middle."""
    for kind in KINDS:
        of_kind = [site for site in figures if site.totals.kind == kind]
        if of_kind:
            console.print(_table(run, kind, of_kind, console))
            console.print()


def _table(run: Run, kind: str, figures: Sequence[SiteFigures], console: Console) -> Table:
    ascii_only = console.options.ascii_only
    levels = ASCII if ascii_only else BLOCKS
    above = f"{'>=' if ascii_only else '≥'}{run.threshold:g}"
    headings = ("max |g|", "at", "L2 med", "L2 last", "zero", above, "NaN at", "log10 L2")
    rows = [
        (
            _magnitude(site.totals.abs_max),
            _step(site.totals.abs_max_step),
            _magnitude(site.l2_median),
            _magnitude(site.totals.l2_last),
            _share(site.totals.zero_share),
            _share(site.totals.above_share),
            _step(site.totals.first_non_finite_step),
            sparkline(site.log10_l2, _TREND_WIDTH, levels),
        )
        for site in figures
    ]
    # Figures are never cut: the name has what they leave.
    taken = sum(max(map(len, column)) + 1 for column in zip(headings, *rows, strict=True))
    room = max(_LEAST_NAME_WIDTH, console.width - taken)
    table = Table(box=_ASCII_HEAD if ascii_only else SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column(kind, no_wrap=True)
    for heading in headings[:-1]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(headings[-1], no_wrap=True)
    for site, row in zip(figures, rows, strict=True):
        name = _shortened(site.totals.site.partition("/")[2], room, ascii_only)
        table.add_row(*(Text(cell) for cell in (name, *row)))
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
    if cell_len(name) <= room:
        return name
    tail = (room - 1) * 2 // 3
    end = set_cell_size(name[::-1], tail)[::-1]
    return set_cell_size(name, room - 1 - tail) + ("~" if ascii_only else "…") + end
