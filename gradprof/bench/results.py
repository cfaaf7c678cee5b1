"""What a benchmark found: checks first, and figures only if all of them passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .pairs import Summary, summarize


@dataclass(frozen=True)
class Bound:
    """What a figure is held to."""

    kind: Literal["at most", "at least"]
    limit: float

    def met_by(self, value: float) -> bool:
        return value <= self.limit if self.kind == "at most" else value >= self.limit


@dataclass(frozen=True)
class Check:
    """Something that must be so before any speed means anything."""

    what: str
    """A sentence that is true when the check passed."""
    failure: str = ""
    """What was found instead; empty when it passed."""

    @property
    def passed(self) -> bool:
        return not self.failure


@dataclass(frozen=True)
class Figure:
    """One measured quantity; `unit` is "ratio", "x" (times as much) or a unit such as "ms"."""

    name: str
    unit: str
    values: Sequence[float]
    bound: Bound | None = None

    @property
    def summary(self) -> Summary:
        return summarize(self.values)

    def as_json(self) -> dict[str, Any]:
        bound = None
        if self.bound is not None:
            bound = {**asdict(self.bound), "met": self.bound.met_by(self.summary.median)}
        return {
            "name": self.name,
            "unit": self.unit,
            **asdict(self.summary),
            "bound": bound,
            "values": list(self.values),
        }


@dataclass(frozen=True)
class Grid:
    """Figures in rows and columns, shown by their medians; a cell is None where nothing was measured."""

    title: str
    row_title: str
    columns: Sequence[str]
    rows: dict[str, list[Figure | None]]
    n_shown: int | None = None
    """Rows printed for people, from the first; None: all."""

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": {
                name: [None if figure is None else figure.as_json() for figure in figures]
                for name, figures in self.rows.items()
            },
        }


@dataclass
class Findings:
    """What one part of a benchmark found."""

    checks: list[Check] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader has to know: how a figure is to be read, what was left out and why."""

    @property
    def correct(self) -> bool:
        return all(check.passed for check in self.checks)

    def add(self, other: Findings) -> None:
        self.checks += other.checks
        self.figures += other.figures
        self.grids += other.grids
        self.notes += other.notes


@dataclass
class Result:
    """One benchmark. If a check failed there are no figures: a wrong result has no speed."""

    name: str
    setup: str
    """What was measured, in a line or two."""
    bound_setup: str
    """What the bounds are stated for."""
    options: dict[str, Any]
    checks: list[Check]
    figures: list[Figure] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)
    """Said below the figures."""

    def __post_init__(self) -> None:
        self.figures = [figure for figure in self.figures if figure.values]
        self.grids = [grid for grid in self.grids if any(map(any, grid.rows.values()))]
        if not self.correct:
            self.figures, self.grids = [], []

    @property
    def correct(self) -> bool:
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "setup": self.setup,
            "bounds_stated_for": self.bound_setup,
            "options": self.options,
            "correct": self.correct,
            "checks": [{"what": c.what, "passed": c.passed, "failure": c.failure} for c in self.checks],
            "interrupted": self.interrupted,
            "figures": [figure.as_json() for figure in self.figures],
            "grids": [grid.as_json() for grid in self.grids],
            "notes": self.notes,
        }
