"""Facts for the whole-run answer: did any partial gradient reach the threshold? Where, when, how many?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradprof.record.sites import KINDS

from .totals import SiteTotals


@dataclass(frozen=True)
class Found:
    """Something that happened at a step in a site."""

    step: int
    site: str


@dataclass(frozen=True)
class KindAnswer:
    """What sites of one kind did.

    Attributes:
        n_values: all that came, of which `n_above` reached the threshold, in `steps_above` steps.
        first_above: None if none did.
        abs_max, largest: the largest magnitude and where; NaN and None if no value was finite.
    """

    kind: str
    n_values: int
    n_above: int
    steps_above: int
    first_above: Found | None
    abs_max: float
    largest: Found | None


@dataclass(frozen=True)
class NonFinite:
    """NaN and inf: how many, in how many sites, and where first."""

    n_values: int
    n_sites: int
    first: Found


@dataclass(frozen=True)
class Answer:
    """Of some sites of a run.

    Attributes:
        threshold, n_steps: of the run.
        kinds: those of which a gradient came, in the order of `KINDS`.
        non_finite: None where every value was finite.
    """

    threshold: float
    n_steps: int
    kinds: list[KindAnswer]
    non_finite: NonFinite | None


def answer(
    sites: Sequence[SiteTotals], steps_above: Mapping[str, int], n_steps: int, threshold: float
) -> Answer:
    """The answer about some sites of a run.

    Args:
        sites: in any order.
        steps_above: of each kind, in how many steps some of these sites reached the threshold.
    """
    in_order = sorted(sites, key=lambda site: site.order)
    kinds = [
        _about_kind(kind, of_kind, steps_above[kind])
        for kind in KINDS
        if (of_kind := [site for site in in_order if site.kind == kind and site.steps_seen])
    ]
    return Answer(threshold, n_steps, kinds, _non_finite(in_order))


def _about_kind(kind: str, sites: Sequence[SiteTotals], steps_above: int) -> KindAnswer:
    first = min(sites, key=lambda site: _order(site.first_above_step))
    finite = [site for site in sites if not math.isnan(site.abs_max)]
    largest = max(finite, key=lambda site: site.abs_max, default=None)
    return KindAnswer(
        kind=kind,
        n_values=sum(site.numel for site in sites),
        n_above=sum(site.n_above for site in sites),
        steps_above=steps_above,
        first_above=_found(first.first_above_step, first),
        abs_max=largest.abs_max if largest else math.nan,
        largest=_found(largest.abs_max_step, largest) if largest else None,
    )


_BACKWARD = {"output": 0, "input": 1, "param": 2}
"""In which order a backward pass has the gradients of one module."""


def _non_finite(sites: Sequence[SiteTotals]) -> NonFinite | None:
    """Of several sites that have their first at the same step the one that a backward pass comes to first is
    named: outputs before parameters, and what stands last in the model."""
    broken = [site for site in sites if site.first_non_finite_step is not None]
    if not broken:
        return None
    first_step = min(_order(site.first_non_finite_step) for site in broken)
    at_first = [site for site in broken if site.first_non_finite_step == first_step]
    first = min(at_first, key=lambda site: (_BACKWARD.get(site.kind, 2), -site.order))
    n_values = sum(site.n_non_finite for site in broken)
    return NonFinite(n_values, len(broken), Found(int(first_step), first.site))


def _found(step: int | None, site: SiteTotals) -> Found | None:
    return None if step is None else Found(step, site.site)


def _order(step: int | None) -> float:
    return math.inf if step is None else step
