"""What the routes of a real TensorBoard answer, with each of its loaders, is what `gradprof.load` reads."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from recorded import EMPTY, HOSTILE, HOSTILE_SITES, LONG, N_SITES, N_STEPS, SHORT, SPIKE, STEP_OF
from serving import Server

import gradprof
from gradprof.record.figures import FIELDS
from gradprof.record.metrics import METRICS

PLAIN = [name for name in METRICS if name != "l2_change"]


@lru_cache
def metric_by_hand(run: gradprof.Run, name: str) -> np.ndarray:
    """float32 `[steps, sites]`, from the tables."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "l2_change":
            return changes_by_hand(metric_by_hand(run, "log10_l2"))
        numel, non_finite = run.table("numel"), run.table("n_nan") + run.table("n_inf")
        values = {
            "log10_abs_max": lambda: np.log10(run.table("abs_max")),
            "log10_l2": lambda: np.where(numel > non_finite, np.log10(run.table("l2")), np.nan),
            "log10_rms": lambda: np.log10(run.table("rms")),
            "share_above": lambda: run.table("n_above") / numel,
            "zero_share": lambda: run.table("n_zero") / numel,
            "non_finite": lambda: non_finite,
        }[name]()
    return values.astype(np.float32)


def changes_by_hand(log10_l2: np.ndarray) -> np.ndarray:
    changes = np.full_like(log10_l2, np.nan)
    for step, site in np.ndindex(log10_l2.shape):
        before = log10_l2[max(0, step - 32) : step, site]
        before = before[np.isfinite(before)]
        if len(before) >= 8:
            changes[step, site] = log10_l2[step, site] - np.median(before.astype(np.float64))
    return changes


def pooled_by_hand(values: np.ndarray, name: str) -> np.ndarray:
    """`[sites]` of `[steps, sites]`."""
    pooled = np.full(values.shape[1], np.nan, dtype=np.float32)
    for site, column in enumerate(values.T):
        known = column[~np.isnan(column)]
        if known.size:
            pooled[site] = max(known, key=abs) if name == "l2_change" else known.max()
    return pooled


def check_heatmap(answer: Any, run: gradprof.Run, name: str, sites: list[int]) -> None:
    """Every cell of a picture against the steps that it covers."""
    header, arrays = answer
    values, numel = metric_by_hand(run, name)[:, sites], run.table("numel")[:, sites]
    non_finite = (run.table("n_nan") + run.table("n_inf"))[:, sites]
    assert header["sites"] == sites
    assert arrays["values"].shape == arrays["flags"].shape == (len(sites), len(arrays["first_step"]))
    end = header["from"]
    for c, (first, last) in enumerate(zip(arrays["first_ordinal"], arrays["last_ordinal"], strict=True)):
        assert first == end
        end = int(last) + 1
        within = slice(int(first), end)
        assert arrays["first_step"][c] == run.steps[within][0]
        assert arrays["last_step"][c] == run.steps[within][-1]
        np.testing.assert_array_equal(arrays["values"][:, c], pooled_by_hand(values[within], name))
        missing = np.isnan(numel[within])
        expected = np.where((non_finite[within] > 0).any(axis=0), 1, 0)
        expected += np.where(missing.all(axis=0), 2, 0) + np.where(missing.any(axis=0), 4, 0)
        assert arrays["flags"][:, c].tolist() == expected.tolist()
    assert end == header["to"]


def test_every_run_is_listed_with_its_size(server: Server, loaded: gradprof.Run) -> None:
    runs = {run.pop("run"): run for run in server.get("runs").json["runs"]}
    assert runs[LONG] == {
        "steps": N_STEPS,
        "first_step": 0,
        "last_step": STEP_OF * (N_STEPS - 1),
        "sites": N_SITES,
        "kinds": ["param", "output"],
        "model": "Synthetic",
        "error": None,
    }
    assert (runs[EMPTY]["steps"], runs[EMPTY]["first_step"], runs[EMPTY]["last_step"]) == (0, None, None)
    assert "foreign" not in runs


def test_a_run_says_what_it_is(server: Server, loaded: gradprof.Run) -> None:
    run = server.get("run", run=LONG).json
    assert (run["n"], run["threshold"], run["observe"]) == (N_STEPS, 1.0, ["param", "output"])
    assert [site["label"] for site in run["sites"]] == loaded.sites
    assert [site["kind"] for site in run["sites"]][:3] == ["param", "output", "param"]
    assert run["kinds"] == [
        {"name": "param", "title": "Parameters"},
        {"name": "output", "title": "Outputs"},
    ]
    assert [(m["name"], m["title"]) for m in run["metrics"]] == [(m.name, m.title) for m in METRICS.values()]
    assert run["scalars"] == ["loss", "late"]
    assert run["about"]["gradprof"] == gradprof.__version__


@pytest.mark.parametrize(
    ("window", "level"),
    [
        ({"columns": 4096}, 1),
        ({"columns": 150}, 8),
        ({"columns": 20}, 64),
        ({"columns": 1}, 64),
        ({"from_": 333, "to": 350, "columns": 100}, 1),
        ({"from_": 333, "to": 900, "columns": 50}, 8),
        ({"from_": 1100, "columns": 3}, 64),
    ],
)
def test_every_cell_of_a_heat_map(
    server: Server, loaded: gradprof.Run, window: dict[str, int], level: int
) -> None:
    for metric in METRICS:
        header, arrays = server.get("heatmap", run=LONG, metric=metric, **window).arrays
        assert header["level"] == level
        assert 0 <= window.get("from_", 0) - header["from"] < level
        assert 0 <= header["to"] - window.get("to", N_STEPS) < level
        assert len(arrays["first_step"]) <= window["columns"]
        check_heatmap((header, arrays), loaded, metric, list(range(N_SITES)))
        assert header["range"]["low"] < header["range"]["high"]


@pytest.mark.parametrize("kind", ["param", "output", "input"])
def test_sites_of_one_kind(server: Server, loaded: gradprof.Run, kind: str) -> None:
    sites = [i for i, label in enumerate(loaded.sites) if label.startswith(f"{kind}/")]
    answer = server.get("heatmap", run=LONG, metric="log10_l2", kind=kind, columns=30).arrays
    check_heatmap(answer, loaded, "log10_l2", sites)


def test_a_spike_of_one_step_shows_at_any_zoom(server: Server, loaded: gradprof.Run) -> None:
    ordinal, site = SPIKE
    spike = np.float32(math.log10(loaded.table("abs_max")[SPIKE]))
    for columns in (1, 7, 20, 163, 1300):
        _, arrays = server.get("heatmap", run=LONG, metric="log10_abs_max", columns=columns).arrays
        at = np.searchsorted(arrays["first_ordinal"], ordinal, side="right") - 1
        assert arrays["values"][site, at] == spike


@pytest.mark.parametrize("window", [(0, N_STEPS), (0, 512), (3, 1299), (770, 790), (900, 901), (1024, 1300)])
def test_the_cell_of_the_worst_step(server: Server, loaded: gradprof.Run, window: tuple[int, int]) -> None:
    for metric, site in product(METRICS, (2, 3, 5)):
        check_cell(server, loaded, metric, window, site)


def check_cell(server: Server, loaded: gradprof.Run, metric: str, window: tuple[int, int], site: int) -> None:
    values = metric_by_hand(loaded, metric)[slice(*window), site]
    if np.isnan(values).all():
        values = metric_by_hand(loaded, "non_finite")[slice(*window), site]
    badness = np.abs(values) if metric == "l2_change" else values
    ordinal = window[0] + (0 if np.isnan(badness).all() else int(np.nanargmax(badness)))
    cell = server.get("cell", run=LONG, site=site, metric=metric, from_=window[0], to=window[1]).json
    assert (cell["ordinal"], cell["worst_of"]) == (ordinal, window[1] - window[0])
    assert (cell["site"], cell["step"]) == (loaded.sites[site], loaded.steps[ordinal])
    assert cell["wall_time"] == loaded.wall_times[ordinal]
    assert cell["scalars"]["loss"] == loaded.scalars["loss"].values[2 * ordinal]
    assert cell["missing"] == np.isnan(loaded.table("numel")[ordinal, site])
    for field in FIELDS:
        assert same(cell["stats"][field], loaded.table(field)[ordinal, site]), field
    for name in METRICS:
        assert same(cell["metrics"][name], metric_by_hand(loaded, name)[ordinal, site]), name


@pytest.mark.parametrize("ordinal", [0, 40, 777, 900, N_STEPS - 1])
def test_every_site_of_a_step(server: Server, loaded: gradprof.Run, ordinal: int) -> None:
    by_ordinal = server.get("step", run=LONG, ordinal=ordinal).json
    assert by_ordinal == server.get("step", run=LONG, step=loaded.steps[ordinal]).json
    assert by_ordinal["step"] == loaded.steps[ordinal]
    assert by_ordinal["sites"] == np.flatnonzero(~np.isnan(loaded.table("numel")[ordinal])).tolist()
    for name in METRICS:
        expected = metric_by_hand(loaded, name)[ordinal]
        assert all(map(same, by_ordinal["metrics"][name], expected)), name


@pytest.mark.parametrize(
    ("window", "level"),
    [({"columns": 2000}, 1), ({"columns": 10}, 64), ({"from_": 500, "to": 600, "columns": 7}, 1)],
)
@pytest.mark.parametrize("site", [2, 3, 4])
def test_a_site_over_the_steps(
    server: Server, loaded: gradprof.Run, site: int, window: dict[str, int], level: int
) -> None:
    header, arrays = server.get("site", run=LONG, site=site, **window).arrays
    assert (header["level"], header["label"], header["threshold"]) == (level, loaded.sites[site], 1.0)
    np.testing.assert_allclose(header["bin_edges_log10"], np.log10(gradprof.BIN_EDGES))
    hist, columns = loaded.hist(loaded.sites[site]), len(arrays["first_step"])
    assert 0 < columns <= window["columns"]
    for c in range(columns):
        within = slice(int(arrays["first_ordinal"][c]), int(arrays["last_ordinal"][c]) + 1)
        tables = {name: loaded.table(name)[within, site] for name in FIELDS}
        assert arrays["hist"][c].tolist() == hist[within].sum(axis=0).tolist()
        counts = {name: np.nansum(tables[name]) for name in ("numel", "n_zero", "n_nan", "n_inf")}
        assert (arrays["numel"][c], arrays["n_zero"][c]) == (counts["numel"], counts["n_zero"])
        assert arrays["non_finite"][c] == counts["n_nan"] + counts["n_inf"]
        extrema = np.fmax.reduce(tables["abs_max"]), np.fmin.reduce(tables["abs_min"])
        merged = stats_of(hist[within].sum(axis=0), *extrema, **counts)
        expected = {
            "abs_max": merged.abs_max,
            "abs_min": merged.abs_min,
            "p01": merged.quantile(0.01),
            "median": merged.quantile(0.5),
            "p99": merged.quantile(0.99),
        }
        for name, magnitude in expected.items():
            with np.errstate(divide="ignore"):
                assert same(arrays[name][c], np.float32(np.log10(magnitude))), name


def stats_of(hist: np.ndarray, abs_max: float, abs_min: float, **counts: float) -> gradprof.TensorStats:
    nothing = dict.fromkeys(FIELDS, 0)
    whole = {name: int(value) for name, value in counts.items()}
    return gradprof.TensorStats(**{**nothing, **whole, "abs_max": abs_max, "abs_min": abs_min}, hist=hist)


def test_names_come_back_as_they_are(server: Server) -> None:
    run = server.get("run", run=HOSTILE).json
    assert run["run"] == HOSTILE
    assert [site["label"] for site in run["sites"]] == HOSTILE_SITES
    for i, label in enumerate(HOSTILE_SITES):
        cell = server.get("cell", run=HOSTILE, site=i, metric="log10_l2")
        assert cell.json["site"] == label
        assert cell.headers["x-content-type-options"] == "nosniff"


def test_runs_of_one_step_and_of_none(server: Server) -> None:
    for run, n in ((SHORT, 1), (EMPTY, 0)):
        header, arrays = server.get("heatmap", run=run, metric="log10_abs_max").arrays
        assert (header["n"], header["from"], header["to"]) == (n, 0, n)
        assert arrays["values"].shape[1] == n
        header, arrays = server.get("site", run=run, site=0).arrays
        assert arrays["hist"].shape == (n, 128)
    of_a, of_b = server.get("step", run=SHORT, ordinal=0).json["metrics"]["log10_abs_max"]
    assert (of_a, of_b) == (0, pytest.approx(math.log10(2)))
    assert server.get("cell", run=SHORT, site=1, metric="l2_change").json["metrics"]["l2_change"] is None
    assert "no observed step" in server.get("step", run=EMPTY, ordinal=0).json["error"]
    assert "holds none" in server.get("cell", run=EMPTY, site=0, metric="log10_l2").json["error"]


def same(answered: float | str | None, expected: float) -> bool:
    """Equal, with JSON's words for what it lacks."""
    if answered is None:
        return bool(np.isnan(expected))
    return float(answered) == float(expected) or bool(np.isnan(answered) and np.isnan(expected))
