"""The Gradients tab in a real browser on a real TensorBoard: what it shows is what was recorded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from page import Page
from page_runs import (
    DEAD,
    HOSTILE,
    MISSING,
    MODULES,
    NAN,
    SITES,
    SPIKE,
    STEPS,
    write_long,
    write_other_version,
)
from serving import Server, serve

import gradprof
from gradprof.record.metrics import METRICS

pytestmark = [
    pytest.mark.browser,
    # selenium leaves the socket to its driver to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

PARAMS = [site for site in SITES if site.startswith("param/")]
NON_FINITE = "#ff2fa0"
TOP_OF_SCALE = "#fde725"


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page")
    write_long(root / "long")
    write_long(root / "short", 600, [*SITES[:6], "param/extra.weight"], troubled=False)
    write_long(root / "hostile", 40, HOSTILE, troubled=False)
    write_other_version(root / "other version")
    return root


@pytest.fixture(scope="module")
def server(logdir: Path) -> Iterator[Server]:
    with serve(logdir, logdir.parent / "page.log") as running:
        running.wait_for({"hostile": 40, "long": STEPS, "other version": None, "short": 600})
        yield running


@pytest.fixture(scope="module")
def run(logdir: Path) -> gradprof.Run:
    return gradprof.load(logdir / "long")


def shown(text: str) -> float:
    """A number of the page: `3.21e-5`, `× 1.2`, `12 (37.5 %)`, `1 NaN, 1 inf of 32`."""
    return float(text.replace("×", "").replace("−", "-").replace(",", "").split("(")[0])


@pytest.mark.parametrize("loader", ["--load_fast=true", "--load_fast=false"])
def test_the_tab_opens_and_tells_what_was_recorded(
    page: Page, logdir: Path, run: gradprof.Run, loader: str
) -> None:
    with serve(logdir, logdir.parent / "loader.log", loader) as server:
        server.wait_for({"hostile": 40, "long": STEPS, "other version": None, "short": 600})
        page.open(server, run="long", **{"from": 1230, "to": 1240})
        page.settled()
        assert page.shown_sites() == PARAMS
        ordinal = 1237
        for site in (PARAMS[0], SPIKE[1]):
            figures = page.hover_cell(site, ordinal, 1230, 1240)
            index = run.sites.index(site)
            for field in ("abs_max", "abs_min", "abs_mean", "rms", "l2", "n_above", "numel", "n_zero"):
                expected = run.table(field)[ordinal, index]
                assert shown(figures[field]) == pytest.approx(expected, rel=5e-3), (site, field, figures)
            assert shown(figures["scalar loss"]) == pytest.approx(
                run.scalars["loss"].values[ordinal], rel=5e-3
            )
        assert f"step {run.steps[ordinal]:,}" in page.text(".tooltip")
        page.driver.switch_to.default_content()
        assert any("gradients" in text.lower() for text in page.browser.texts())


def test_one_step_of_thousands_is_seen_at_full_zoom_out(page: Page, server: Server) -> None:
    page.open(server, run="long")
    pixels = page.pixels()
    height, width = pixels.shape[:2]
    y = int((PARAMS.index(SPIKE[1]) + 0.5) / len(PARAMS) * height)
    bright = np.flatnonzero((pixels[y] == page.colour(TOP_OF_SCALE)).all(axis=1))
    assert bright.size
    assert abs(bright.mean() / width - SPIKE[0] / STEPS) < 2 / width + 2e-3
    assert bright.size < width / 50


def test_a_non_finite_cell_stands_out(page: Page, server: Server) -> None:
    page.open(server, run="long")
    pixels = page.pixels()
    height, width = pixels.shape[:2]
    rows, columns = np.nonzero((pixels == page.colour(NON_FINITE)).all(axis=2))
    assert np.ptp(columns) + 1 >= 5
    assert np.ptp(rows) + 1 >= 5
    assert abs(columns.mean() / width - NAN[0] / STEPS) < 5e-3
    assert abs(rows.mean() / height - (PARAMS.index(NAN[1]) + 0.5) / len(PARAMS)) < 0.05
    summary = page.text(".summary")
    assert f"NaN or inf first at step {2 * NAN[0]:,} in {NAN[1]}" in summary, summary
    assert page.hover_cell(NAN[1], NAN[0], 0, STEPS)["non_finite"] == "1 NaN, 1 inf of 32"


def test_missing_rows_are_not_zeros(page: Page, server: Server) -> None:
    page.open(server, run="long")
    pixels = page.pixels()
    height, width = pixels.shape[:2]

    def colours(site: str, steps: range) -> set[bytes]:
        y = int((PARAMS.index(site) + 0.5) / len(PARAMS) * height)
        x0, x1 = (int((step + share) / STEPS * width) for step, share in ((steps[0], 4), (steps[-1], -4)))
        return {pixel.tobytes() for pixel in pixels[y, x0:x1]}

    assert len(colours(*MISSING[::-1])) == 2  # the hatching and its ground
    assert len(colours(*DEAD[::-1])) == 1
    assert not colours(*MISSING[::-1]) & colours(*DEAD[::-1])
    page.hover((900.5) / STEPS, (PARAMS.index(MISSING[1]) + 0.5) / len(PARAMS))
    page.wait(lambda: "none came" in page.text(".tooltip"), "a missing gradient")


def test_names_of_sites_run_no_scripts(page: Page, server: Server) -> None:
    page.open(server, run="hostile")
    assert page.shown_sites() == HOSTILE
    text = page.text(".gutter")
    assert "<script>parent" in text
    assert "<img src=x" in text
    for row, site in enumerate(HOSTILE):
        page.hover(0.5, (row + 0.5) / len(HOSTILE))
        page.wait(lambda site=site: site in page.text(".tooltip"), site)
        page.press("ENTER")
        page.wait(lambda site=site: page.all(".site-view") and page.text(".trail h2") == site, site)
        assert page.state()["site"] == site
        page.press("ESCAPE")
        page.wait(lambda: page.all(".map-view[data-settled]"), "the map")
    page.press("s")
    assert page.js("return parent.pwned ?? window.pwned ?? null") is None
    assert page.js("return document.querySelectorAll('script, img').length") == 0


def test_without_runs_the_page_says_what_to_do(page: Page, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with serve(tmp_path / "empty", tmp_path / "empty.log") as server:
        page.open(server)
        text = page.text(".message")
    assert "No gradients here yet" in text
    assert "gradprof demo" in text
    assert "tensorboard --logdir runs" in text


def test_a_run_that_cannot_be_read_says_why(page: Page, server: Server) -> None:
    page.open(server, run="other version")
    text = page.text(".message")
    assert "other version cannot be shown" in text
    assert "99" in text
    page.choose("run", "short")
    page.wait(lambda: page.all(".map-view[data-settled]"), "the run that can")


def test_csv_holds_the_numbers_of_the_view(page: Page, server: Server, run: gradprof.Run) -> None:
    page.open(server, run="long", metric="log10_l2", top=2, bottom=5, **{"from": 100, "to": 140})
    page.settled()
    lines = list(csv.DictReader(io.StringIO(page.download("csv", ".csv").decode())))
    expected = METRICS["log10_l2"]
    assert expected.name in lines[0]
    assert [line["site"] for line in lines[::40]] == PARAMS[2:5]
    values = np.array([np.float32(line["log10_l2"]) for line in lines]).reshape(3, 40)
    with np.errstate(divide="ignore"):
        table = np.log10(run.table("l2")[100:140]).astype(np.float32)
    np.testing.assert_array_equal(values, table[:, [run.sites.index(site) for site in PARAMS[2:5]]].T)
    assert [int(line["first_step"]) for line in lines[:40]] == run.steps[100:140].tolist()


def test_csv_of_a_step_holds_each_sites_own_numbers(page: Page, server: Server, run: gradprof.Run) -> None:
    page.open(server, run="long", view="step", at=MISSING[0][100])
    page.settled()
    lines = list(csv.DictReader(io.StringIO(page.download("csv", ".csv").decode())))
    assert [line["site"] for line in lines] == [site for site in PARAMS if site != MISSING[1]]
    expected = np.log10(run.table("l2")[MISSING[0][100]])
    for line in lines:
        assert float(line["log10_l2"]) == pytest.approx(expected[run.sites.index(line["site"])]), line["site"]


@pytest.mark.parametrize("view", [{}, {"view": "site", "site": SPIKE[1]}, {"view": "step", "at": SPIKE[0]}])
def test_every_view_can_be_saved_as_a_picture(page: Page, server: Server, view: dict[str, str]) -> None:
    page.open(server, run="long", **view)
    page.settled()
    assert page.download("png", ".png").startswith(b"\x89PNG\r\n")
    assert page.download("csv", ".csv").count(b"\r\n") > len(MODULES)
