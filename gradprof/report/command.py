"""The arguments of `gradprof report`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradprof.read.run import Run

    from .figures import SiteFigures

_DESCRIPTION = """\
What the gradients of a run did, site by site: the largest magnitude and when,
median and last L2 norm, share of zeros and of magnitudes at or above the threshold,
the first step with a NaN or inf, and log10 of the norm over the run, on its own scale."""

_SORT_KEYS: dict[str, Callable[[SiteFigures], Any]] = {
    "order": lambda site: site.totals.order,
    "name": lambda site: site.totals.site,
    "max": lambda site: -_or_zero(site.totals.abs_max),
    "l2": lambda site: -_or_zero(site.l2_median),
    "last": lambda site: -_or_zero(site.totals.l2_last),
    "zero": lambda site: -_or_zero(site.totals.zero_share),
    "above": lambda site: -_or_zero(site.totals.above_share),
    "nonfinite": lambda site: -site.totals.n_non_finite,
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "report",
        help="print what the gradients of a run did",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="?", help="directory of a run (default: the latest below runs/)")
    parser.add_argument("--sort", choices=list(_SORT_KEYS), default="order", help="default: model order")
    parser.add_argument(
        "--filter",
        metavar="PATTERN",
        action="append",
        default=[],
        help="only matching sites, as 'layer4.*'",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything, for programs")
    form.add_argument("--csv", action="store_true", help="one line per site")
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Print the report.

    Returns:
        0, or 2 for a run that cannot be read or a filter that matches nothing, said on stderr.
    """
    from gradprof.read.run import load
    from gradprof.record.sites import select

    from .export import write_csv, write_json
    from .figures import site_figures

    try:
        recorded = load(_latest() if args.run is None else args.run)
        chosen = set(select(recorded.sites, args.filter))
    except (OSError, ValueError) as error:
        print(f"gradprof report: error: {error}", file=sys.stderr)
        return 2
    figures = [site for site in site_figures(recorded) if site.totals.site in chosen]
    figures.sort(key=_SORT_KEYS[args.sort])
    if args.json:
        write_json(recorded, figures, sys.stdout)
    elif args.csv:
        write_csv(figures, sys.stdout)
    else:
        _print(recorded, figures)
    return 0


def _print(recorded: Run, figures: list[SiteFigures]) -> None:
    from rich.console import Console

    from .answer import answer_about, worded
    from .table import print_table

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not console.is_terminal:
        console.width = 10_000
    steps = f"{len(recorded.steps):,} step{'s' if len(recorded.steps) != 1 else ''}"
    if len(recorded.steps):
        steps += f" ({recorded.steps[0]} to {recorded.steps[-1]})"
    console.print(f"{recorded.path.parent}: {recorded.header['model']}, {steps}", markup=False)
    if recorded.truncated:
        console.print("The last record is incomplete: the run was cut off, or is being written.")
    console.print()
    print_table(recorded, figures, console)
    console.print(worded(answer_about(recorded, [site.totals for site in figures])), markup=False)
    if (waited := float(recorded.waits.sum())) > 0:
        console.print(f"Training waited {waited:.2f} s for the writer.")


def _latest() -> Path:
    from gradprof.read.find import find_runs

    runs = find_runs(Path("runs"))
    if not runs:
        raise FileNotFoundError("there is no run below 'runs': name one, or make one with: gradprof demo")
    return runs[-1].parent


def _or_zero(value: float) -> float:
    return 0.0 if value != value else value
