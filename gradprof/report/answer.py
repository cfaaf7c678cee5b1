"""The whole-run answer in a few lines of plain text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradprof.diagnosis.answer import Answer, KindAnswer, NonFinite, answer
from gradprof.diagnosis.totals import SiteTotals, site_totals
from gradprof.read.run import Run
from gradprof.record.sites import KINDS


def answer_text(run: Run) -> str:
    """The answer about a whole run, at most 80 columns but for long site names."""
    return worded(answer_about(run, site_totals(run.sites, run.totals)))


def answer_about(run: Run, sites: Sequence[SiteTotals]) -> Answer:
    """The answer about some sites of a run."""
    if len(sites) == len(run.sites):
        steps_above = {kind: int(run.totals[f"steps_above/{kind}"][0]) for kind in KINDS}
    else:  # of some sites only the rows know in how many steps any of them did
        above = np.nan_to_num(run.table("n_above")) > 0
        of_kind = {kind: [site.order for site in sites if site.kind == kind] for kind in KINDS}
        steps_above = {kind: int(above[:, of].any(axis=1).sum()) for kind, of in of_kind.items()}
    return answer(sites, steps_above, int(run.totals["n_steps"][0]), run.threshold)


def worded(answer: Answer) -> str:
    """The answer in words."""
    lines = [f"Did any partial gradient reach {answer.threshold:g} in magnitude?"]
    if not answer.kinds:
        return "\n".join([*lines, "  Unknown: no gradient was recorded in this run."])
    for kind in answer.kinds:
        lines += _about_kind(answer, kind)
    if answer.non_finite:
        lines.append(_about_non_finite(answer.non_finite))
    return "\n".join(lines)


def _about_kind(answer: Answer, of: KindAnswer) -> list[str]:
    meaning = KINDS[of.kind].meaning
    if of.largest is None:
        return [f"  Unknown, {meaning}: none of {of.n_values:,} values was finite."]
    lines = [f"  No, {meaning}: none of {of.n_values:,} values;"]
    if of.first_above is not None:
        lines = [
            f"  Yes, {meaning}: {of.n_above:,} of {of.n_values:,} values,"
            f" in {of.steps_above:,} of {answer.n_steps:,} steps;",
            f"    first at step {of.first_above.step} in {of.first_above.site};",
        ]
    value = _rounded(of.abs_max, answer.threshold)
    return [*lines, f"    the largest was {value}, at step {of.largest.step} in {of.largest.site}."]


def _about_non_finite(found: NonFinite) -> str:
    return (
        f"  NaN or inf: {_counted(found.n_values, 'value')} in {_counted(found.n_sites, 'site')}, "
        f"first at step {found.first.step} in {found.first.site}."
    )


def _rounded(value: float, threshold: float) -> str:
    """Three digits, or all of them where three would put it on the wrong side of the threshold."""
    text = f"{value:.3g}"
    return text if (float(text) >= threshold) == (value >= threshold) else repr(value)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
