"""What one site did over a whole run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gradprof.record.columns import Columns


@dataclass(frozen=True)
class SiteTotals:
    """One site over a run. Steps are step numbers, None where there is none; shares are of all values."""

    order: int
    site: str
    steps_seen: int
    """Steps in which a gradient came."""
    numel: int
    """Values of all these steps together."""
    abs_max: float
    abs_max_step: int | None
    l2_last: float
    """Of the last step in which a gradient came; NaN if nothing in it was finite."""
    zero_share: float
    above_share: float
    """Share of finite magnitudes >= the run's threshold."""
    n_above: int
    first_above_step: int | None
    n_non_finite: int
    first_non_finite_step: int | None

    @property
    def kind(self) -> str:
        """As in `record.sites.KINDS`."""
        return self.site.partition("/")[0]


def site_totals(labels: Sequence[str], totals: Columns) -> list[SiteTotals]:
    """Every site, in model order.

    Args:
        totals: one column, see `record.totals`.
    """
    by_name = {name: values[0].tolist() for name, values in totals.arrays.items() if values.ndim == 2}
    return [
        _of_site(i, label, {name: values[i] for name, values in by_name.items()})
        for i, label in enumerate(labels)
    ]


def _of_site(order: int, label: str, of: dict[str, float]) -> SiteTotals:
    numel = int(of["numel"])
    return SiteTotals(
        order=order,
        site=label,
        steps_seen=int(of["steps_seen"]),
        numel=numel,
        abs_max=of["abs_max"],
        abs_max_step=_step(of["abs_max_step"]),
        l2_last=of["l2_last"],
        zero_share=of["n_zero"] / numel if numel else math.nan,
        above_share=of["n_above"] / numel if numel else math.nan,
        n_above=int(of["n_above"]),
        first_above_step=_step(of["first_above_step"]),
        n_non_finite=int(of["n_non_finite"]),
        first_non_finite_step=_step(of["first_non_finite_step"]),
    )


def _step(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
