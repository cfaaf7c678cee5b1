"""The scalars of the stock dashboards: two of each site, and those of the whole network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradprof.events import tags
from gradprof.events.summary import ScalarTemplate
from gradprof.record.columns import Columns, Pooling, Rule
from gradprof.record.figures import Fields, derive
from gradprof.record.observed import Observed
from gradprof.record.sites import GROUPS

FloatArray = npt.NDArray[np.float64]

SUMMARY_TAGS = (
    "log10_global_norm",
    "log10_abs_max",
    "site_of_abs_max",
    "share_above_threshold",
    "zero_share",
    "non_finite",
    "profiler_seconds",
    "writer_wait_seconds",
)
"""Of the whole network, at every point."""
COST_TAGS = ("overhead", *(f"cadence/{group}" for group in GROUPS))
"""Only where they are known: not at first, and how often is observed only with a budget."""
_ALL_TAGS = (*SUMMARY_TAGS, *COST_TAGS)
_MEANS = ("profiler_seconds", "writer_wait_seconds")

_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ALL_TAGS, "max"),
    **dict.fromkeys(_MEANS, "sum"),
    "n_steps": "sum",
    "seen": "any",
    "abs_max": "max",
    "log10_abs_max_of_sites": "max",
    "log10_l2_of_sites": "max",
}


class ScalarSeries:
    """Collects steps and gives the serialized points of all scalars."""

    def __init__(self, labels: Sequence[str]) -> None:
        per_site = [*tags.site_tags(tags.ABS_MAX, labels), *tags.site_tags(tags.L2, labels)]
        self._template = ScalarTemplate([*per_site, *(f"{tags.SUMMARY}/{tag}" for tag in _ALL_TAGS)])
        self._is_param = np.array([label.startswith("param/") for label in labels], dtype=bool)
        self._pooling = Pooling()

    def extend(self, observed: Observed, due: Sequence[int]) -> dict[int, bytes]:
        """The points at those of the observed steps that are due, each covering all since the one before."""
        points = self._pooling.extend(_columns(observed, self._is_param), due)
        return dict(zip(due, self._filled(points), strict=True))

    def rest(self) -> bytes:
        """The point of the steps after the last one that was due, empty if there are none."""
        points = self._pooling.rest()
        return b"" if points is None else self._filled(points)[0]

    def _filled(self, points: Columns) -> list[bytes]:
        network = _network(points)
        shown = np.concatenate(
            (points["log10_abs_max_of_sites"], points["log10_l2_of_sites"], network), axis=1
        )
        has_point = ~(np.isnan(network) & np.isin(_ALL_TAGS, COST_TAGS))
        present = np.concatenate((points["seen"], points["seen"], has_point), axis=1)
        return [self._template.fill(*point) for point in zip(shown, present, strict=True)]


def _columns(observed: Observed, is_param: npt.NDArray[np.bool_]) -> Columns:
    """What is shown of each step: of each site `[steps, sites]`, of the whole network by tag `[steps]`."""
    fields = observed.fields
    with np.errstate(divide="ignore", invalid="ignore"):
        numel = fields["numel"].sum(axis=1)
        arrays = {
            "n_steps": np.ones(len(observed)),
            "seen": fields["n_obs"] > 0,
            "abs_max": derive(fields, "abs_max"),
            "log10_abs_max_of_sites": observed.metrics["log10_abs_max"],
            "log10_l2_of_sites": observed.metrics["log10_l2"],
            "log10_global_norm": np.log10(global_norm(fields, is_param)),
            "share_above_threshold": fields["n_above"].sum(axis=1) / numel,
            "zero_share": fields["n_zero"].sum(axis=1) / numel,
            "non_finite": (fields["n_nan"] + fields["n_inf"]).sum(axis=1).astype(np.float64),
            "profiler_seconds": observed.seconds,
            "writer_wait_seconds": observed.waits,
            "overhead": observed.overheads,
            **{f"cadence/{group}": observed.cadences[group] for group in GROUPS},
        }
    return Columns(arrays, _RULES)


def _network(points: Columns) -> FloatArray:
    """The values of all tags, float64 `[points, tags]`: times are means per step; −inf for log10 of 0."""
    known = np.where(np.isnan(points["abs_max"]), -1.0, points["abs_max"])
    largest = known.max(axis=1, initial=-1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            **points.arrays,
            **{tag: points[tag] / points["n_steps"] for tag in _MEANS},
            "log10_abs_max": np.log10(np.where(largest < 0, np.nan, largest)),
            "site_of_abs_max": np.where(largest < 0, np.nan, known.argmax(axis=1)),
        }
    return np.stack([values[tag] for tag in _ALL_TAGS], axis=1)


def global_norm(fields: Fields, of: npt.NDArray[np.bool_]) -> FloatArray:
    """The norm of all chosen sites' gradients together, that of their merged rows; NaN if nothing is finite.

    Args:
        fields: of rows, `[steps, sites]`, by name.
        of: which sites, `[sites]`.
    """
    names = ("numel", "n_nan", "n_inf", "sq", "sq_big", "sq_small")
    merged = {name: fields[name][:, of].sum(axis=1) for name in names}
    n_finite = merged["numel"] - merged["n_nan"] - merged["n_inf"]
    return np.where(n_finite > 0, derive(merged, "l2"), np.nan)
