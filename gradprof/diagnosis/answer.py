"""The whole-run answer: did any partial gradient reach the threshold? Where, when, how many?"""

from __future__ import annotations

import numpy as np

from gradprof.read.run import Run
from gradprof.record.sites import KINDS

from .totals import SiteFigures, site_figures


def answer(run: Run) -> str:
    """A few lines of plain text, at most 80 columns but for long site names."""
    return describe(run, site_figures(run))


def describe(run: Run, figures: list[SiteFigures]) -> str:
    """`answer` from figures already there."""
    lines = [f"Did any partial gradient reach {run.threshold:g} in magnitude?"]
    if not any(site.steps_seen for site in figures):
        return "\n".join([*lines, "  Unknown: no gradient was recorded in this run."])
    for kind in KINDS:
        of_kind = [site for site in figures if site.site.startswith(f"{kind}/") and site.steps_seen]
        if of_kind:
            lines.extend(_about_kind(run, kind, of_kind))
    lines.extend(_about_non_finite(figures))
    return "\n".join(lines)


def _about_kind(run: Run, kind: str, figures: list[SiteFigures]) -> list[str]:
    indices = [site.order for site in figures]
    tables = run.tables(("numel", "n_above"))
    above = np.nan_to_num(tables["n_above"][:, indices])
    n_above, n_values = int(above.sum()), int(np.nansum(tables["numel"][:, indices]))
    finite = [site for site in figures if not np.isnan(site.abs_max)]
    if not finite:
        return [f"  Unknown, {KINDS[kind].meaning}: none of {n_values:,} values was finite."]
    lines = []
    if n_above:
        n_steps = int((above.sum(axis=1) > 0).sum())
        first = min(figures, key=lambda site: _order(site.first_above_step))
        lines += [
            f"  Yes, {KINDS[kind].meaning}: {n_above:,} of {n_values:,} values,"
            f" in {n_steps:,} of {len(run.steps):,} steps;",
            f"    first at step {first.first_above_step} in {first.site};",
        ]
    else:
        lines.append(f"  No, {KINDS[kind].meaning}: none of {n_values:,} values;")
    largest = max(finite, key=lambda site: site.abs_max)
    value = _rounded(largest.abs_max, run.threshold)
    lines.append(f"    the largest was {value}, at step {largest.abs_max_step} in {largest.site}.")
    return lines


def _about_non_finite(figures: list[SiteFigures]) -> list[str]:
    broken = [site for site in figures if site.n_non_finite]
    if not broken:
        return []
    first = min(broken, key=lambda site: _order(site.first_non_finite_step))
    total = sum(site.n_non_finite for site in broken)
    return [
        f"  NaN or inf: {_counted(total, 'value')} in {_counted(len(broken), 'site')}, "
        f"first at step {first.first_non_finite_step} in {first.site}."
    ]


def _rounded(value: float, threshold: float) -> str:
    """Three digits, or all of them where three would put it on the wrong side of the threshold."""
    text = f"{value:.3g}"
    return text if (float(text) >= threshold) == (value >= threshold) else repr(value)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _order(step: int | None) -> float:
    return float("inf") if step is None else step
