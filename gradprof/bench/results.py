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
class Result:
    """What a benchmark, or one part of it, found. What is wrong has no speed: once a check fails there are
    neither figures nor grids to be had."""

    name: str = ""
    setup: str = ""
    """What was measured, in a line or two."""
    bound_setup: str = ""
    """What the bounds are stated for."""
    options: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    measured: list[Figure] = field(default_factory=list)
    tables: list[Grid] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader has to know: how a figure is to be read, what was left out and why."""

    @property
    def correct(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def figures(self) -> list[Figure]:
        """Those with values, if all is right."""
        return [figure for figure in self.measured if figure.values] if self.correct else []

    @property
    def grids(self) -> list[Grid]:
        """Those with figures, if all is right."""
        return [grid for grid in self.tables if any(map(any, grid.rows.values()))] if self.correct else []

    def add(self, part: Result) -> None:
        """All that a part found; a note once."""
        self.checks += part.checks
        self.measured += part.measured
        self.tables += part.tables
        self.notes += [note for note in part.notes if note not in self.notes]

    def as_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "setup": self.setup,
            "bounds_stated_for": self.bound_setup,
            "options": self.options,
            "correct": self.correct,
            "checks": [{"what": c.what, "passed": c.passed, "failure": c.failure} for c in self.checks],
            "figures": [figure.as_json() for figure in self.figures],
            "grids": [grid.as_json() for grid in self.grids],
            "notes": self.notes,
        }
