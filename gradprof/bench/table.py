"""Results for people: one table a benchmark, 80 columns, without colours where it is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .machine import Machine
from .pairs import CONFIDENCE
from .results import Bound, Check, Figure, Grid, Result

WIDTH = 80

_SUFFIX = {"x": " x", "ms": " ms", "us": " us", "bytes per site and step": " B"}
_SIGN = {"at most": "<=", "at least": ">="}


def new_console() -> Console:
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    return console


def print_machine(machine: Machine, console: Console) -> None:
    versions = dict(machine.versions)
    commit = ""
    if machine.commit is not None:
        commit = f", commit {machine.commit[:10]}{' with changes' if machine.changed else ''}"
    console.print(f"gradprof {versions.pop('gradprof')}{commit}", style="bold")
    console.print(f"{machine.cpu}, {machine.cores} cores, {machine.threads} threads, {machine.system}")
    if machine.device != "cpu":
        console.print(machine.device)
    console.print(", ".join(f"{name} {number}" for name, number in versions.items()))
    if machine.busy:
        console.print(
            f"The machine is busy (load {machine.load:.1f}): expect wide intervals.", style="yellow"
        )


def print_result(result: Result, console: Console) -> None:
    console.print()
    console.print(result.name, style="bold")
    _indented(Text(result.setup), console)
    for check in result.checks:
        _indented(_check(check), console)
    if result.figures or result.grids:
        if result.figures:
            console.print()
            _indented(_figures(result.figures), console)
        for grid in result.grids:
            console.print()
            _indented(Text(grid.title, style="bold"), console)
            _indented(_grid(grid), console)
            if grid.n_shown is not None and (more := len(grid.rows) - grid.n_shown) > 0:
                _indented(Text(f"... {more} more with --json", style="dim"), console)
        console.print()
        for note in _notes(result):
            _indented(Text(note, style="dim"), console)
    elif result.correct:
        _indented(Text("nothing was measured"), console)
    else:
        _indented(Text("no speed is reported, because the result is wrong", style="red"), console)


def value(number: float, unit: str) -> str:
    """A figure with as many digits as it deserves: ratios three decimals, others three digits."""
    return _number(number, unit) + _SUFFIX.get(unit, "")


def _number(number: float, unit: str) -> str:
    size = abs(number)
    if unit == "ratio" and size < 10:
        return f"{number:.3f}"
    return f"{number:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def _figures(figures: list[Figure]) -> Table:
    table = _new_table()
    table.add_column("")
    for title in ("median", "interval", "quartiles"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("bound", no_wrap=True)
    for figure in figures:
        summary, unit = figure.summary, figure.unit
        table.add_row(
            Text(figure.name),
            value(summary.median, unit),
            f"{_number(summary.low, unit)}-{_number(summary.high, unit)}",
            f"{_number(summary.q1, unit)}-{_number(summary.q3, unit)}",
            "" if figure.bound is None else _bound(figure.bound, summary.median),
        )
    return table


def _bound(bound: Bound, median: float) -> Text:
    answer = ("met", "green") if bound.met_by(median) else ("missed", "yellow")
    return Text.assemble(f"{_SIGN[bound.kind]} {bound.limit:g} ", answer)


def _grid(grid: Grid) -> Table:
    table = _new_table()
    table.add_column(Text(grid.row_title), justify="left" if grid.row_title == "" else "right")
    for title in grid.columns:
        table.add_column(Text(title), justify="right", no_wrap=True)
    for name, cells in list(grid.rows.items())[: grid.n_shown]:
        table.add_row(
            Text(name), *("" if cell is None else _number(cell.summary.median, cell.unit) for cell in cells)
        )
    return table


def _new_table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _check(check: Check) -> Text:
    if check.passed:
        return Text.assemble(("ok ", "green"), check.what)
    return Text.assemble(("WRONG ", "red"), f"{check.what}: {check.failure}")


def _notes(result: Result) -> Iterator[str]:
    yield from result.notes
    n_bounds = sum(figure.bound is not None for figure in result.figures)
    if n_bounds:
        yield f"{'The bound is' if n_bounds == 1 else 'Bounds are'} stated for {result.bound_setup}."
    if not result.figures:
        return
    fewest = min((figure.summary for figure in result.figures), key=lambda summary: summary.n)
    most = max(figure.summary.n for figure in result.figures)
    rounds = f"Each of {fewest.n if most == fewest.n else f'{fewest.n} to {most}'} rounds gives one value"
    if fewest.confidence >= CONFIDENCE:
        yield f"{rounds}; the interval holds the true median at 95 %."
    elif most == fewest.n:
        yield f"{rounds}: too few, the interval is their range."
    else:
        yield f"{rounds}; the interval holds the true median at 95 %, and is their range below 6 rounds."


def _indented(content: Text | Table, console: Console) -> None:
    """Two columns in; lines of text are broken, and end without blanks."""
    if isinstance(content, Table):
        console.print(Padding(content, (0, 0, 0, 2), expand=False))
        return
    for line in content.wrap(console, console.width - 2):
        line.rstrip()
        console.print(Text.assemble("  ", line))
