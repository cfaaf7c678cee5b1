"""The scalars of the stock dashboards: two of each site, and those of the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gradprof.events import tags
from gradprof.events.summary import ScalarTemplate
from gradprof.record.metrics import Fields, Float32Array, figure
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


class ScalarSeries:
    """Collects steps and gives the serialized points of all scalars."""

    def __init__(self, labels: Sequence[str]) -> None:
        per_site = [*tags.site_tags(tags.ABS_MAX, labels), *tags.site_tags(tags.L2, labels)]
        self._template = ScalarTemplate([*per_site, *(f"{tags.SUMMARY}/{tag}" for tag in _ALL_TAGS)])
        self._is_param = np.array([label.startswith("param/") for label in labels], dtype=bool)
        self._pending: _Values | None = None

    def extend(self, observed: Observed, due: Sequence[int]) -> dict[int, bytes]:
        """The points at those of the observed steps that are due, each covering all since the one before."""
        values = _Values.of(observed, self._is_param)
        ends = [at + 1 for at in due]
        if self._pending is not None:
            values = self._pending.followed_by(values)
            ends = [end + 1 for end in ends]
        bounds = [0, *ends]
        n_left = len(values) - bounds[-1]
        self._pending = values.pooled([bounds[-1], len(values)]) if n_left else None
        return dict(zip(due, self._filled(values.pooled(bounds)), strict=True)) if due else {}

    def rest(self) -> bytes:
        """The point of the steps after the last one that was due, empty if there are none."""
        pending, self._pending = self._pending, None
        return b"" if pending is None else self._filled(pending)[0]

    def _filled(self, points: _Values) -> list[bytes]:
        per_site, network = points.per_site.reshape(len(points), -1), points.shown()
        shown = np.concatenate((per_site, network), axis=1)
        has_point = ~(np.isnan(network) & np.isin(_ALL_TAGS, COST_TAGS))
        present = np.concatenate((points.seen, points.seen, has_point), axis=1)
        return [self._template.fill(*point) for point in zip(shown, present, strict=True)]


@dataclass
class _Values:
    """What is shown of each step, or of several pooled into one.

    Attributes:
        seen: whether the site had a gradient, `[steps, sites]`.
        per_site: log10 of its largest magnitude and of its norm, float32 `[steps, 2, sites]`, NaN for none.
        network: by tag, float64 `[steps]`; times are sums.
        n_steps: pooled into each, `[steps]`.
    """

    seen: npt.NDArray[np.bool_]
    per_site: Float32Array
    network: dict[str, FloatArray]
    n_steps: FloatArray

    @classmethod
    def of(cls, observed: Observed, is_param: npt.NDArray[np.bool_]) -> _Values:
        log10_abs_max, log10_l2 = observed.metrics["log10_abs_max"], observed.metrics["log10_l2"]
        return cls(
            seen=observed.fields["n_obs"] > 0,
            per_site=np.stack((log10_abs_max, log10_l2), axis=1),
            network=_network(observed, is_param),
            n_steps=np.ones(len(observed)),
        )

    def __len__(self) -> int:
        return len(self.seen)

    def followed_by(self, later: _Values) -> _Values:
        return _Values(
            np.concatenate((self.seen, later.seen)),
            np.concatenate((self.per_site, later.per_site)),
            {tag: np.concatenate((values, later.network[tag])) for tag, values in self.network.items()},
            np.concatenate((self.n_steps, later.n_steps)),
        )

    def pooled(self, bounds: Sequence[int]) -> _Values:
        """Steps `bounds[i]` up to `bounds[i + 1]` as one: the largest values, the sums of the times."""
        starts, within = bounds[:-1], slice(bounds[-1])
        network = {tag: np.fmax.reduceat(values[within], starts) for tag, values in self.network.items()}
        for tag in _MEANS:
            network[tag] = np.add.reduceat(self.network[tag][within], starts)
        network["site_of_abs_max"] = self._site_of_largest(bounds)
        return _Values(
            np.logical_or.reduceat(self.seen[within], starts, axis=0),
            np.fmax.reduceat(self.per_site[within], starts, axis=0),
            network,
            np.add.reduceat(self.n_steps[within], starts),
        )

    def shown(self) -> FloatArray:
        """The values of all tags, float64 `[steps, tags]`: times are means per step."""
        columns = {**self.network, **{tag: self.network[tag] / self.n_steps for tag in _MEANS}}
        return np.stack([columns[tag] for tag in _ALL_TAGS], axis=1)

    def _site_of_largest(self, bounds: Sequence[int]) -> FloatArray:
        sites = self.network["site_of_abs_max"]
        lowest = np.finfo(np.float64).min  # a step whose largest magnitude is 0 still has a site
        largest = np.where(np.isnan(sites), -np.inf, np.maximum(self.network["log10_abs_max"], lowest))
        return sites[[start + int(largest[start:stop].argmax()) for start, stop in pairwise(bounds)]]


def _network(observed: Observed, is_param: npt.NDArray[np.bool_]) -> dict[str, FloatArray]:
    """The values of all tags at each step, float64 `[steps]`; −inf for log10 of 0."""
    fields = observed.fields
    abs_max = figure(fields, "abs_max")
    known = np.where(np.isnan(abs_max), -1.0, abs_max)
    largest = known.max(axis=1, initial=-1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        numel = fields["numel"].sum(axis=1)
        return {
            "log10_global_norm": np.log10(global_norm(fields, is_param)),
            "log10_abs_max": np.log10(np.where(largest < 0, np.nan, largest)),
            "site_of_abs_max": np.where(largest < 0, np.nan, known.argmax(axis=1)),
            "share_above_threshold": fields["n_above"].sum(axis=1) / numel,
            "zero_share": fields["n_zero"].sum(axis=1) / numel,
            "non_finite": (fields["n_nan"] + fields["n_inf"]).sum(axis=1).astype(np.float64),
            "profiler_seconds": observed.seconds,
            "writer_wait_seconds": observed.waits,
            "overhead": observed.overheads,
            **{f"cadence/{group}": observed.cadences[group] for group in GROUPS},
        }


def global_norm(fields: Fields, of: npt.NDArray[np.bool_]) -> FloatArray:
    """The norm of all chosen sites' gradients together, that of their merged rows; NaN if nothing is finite.

    Args:
        fields: of rows, `[steps, sites]`, by name.
        of: which sites, `[sites]`.
    """
    names = ("numel", "n_nan", "n_inf", "sq", "sq_big", "sq_small")
    merged = {name: fields[name][:, of].sum(axis=1) for name in names}
    n_finite = merged["numel"] - merged["n_nan"] - merged["n_inf"]
    return np.where(n_finite > 0, figure(merged, "l2"), np.nan)
